"""A queue beside a bucket, as moto has them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import boto3
from cloud_cases import BUCKET, Cloud


@dataclass
class Line:
    """A queue, and what puts messages into it."""

    cloud: Cloud
    client: Any
    url: str

    @classmethod
    def of(cls, cloud: Cloud, upstream: str, **attributes: str) -> Line:
        client = boto3.client("sqs", endpoint_url=upstream)
        url = client.create_queue(QueueName="trail", Attributes=attributes)["QueueUrl"]
        return cls(cloud, client, url)

    @property
    def source(self) -> str:
        return f"sqs:{self.url}"

    def tell(self, *keys: str) -> None:
        """Notify of objects, one message each."""
        self.say(*(notice(key) for key in keys))

    def say(self, *bodies: str) -> None:
        for start in range(0, len(bodies), 10):
            entries = [
                {"Id": str(n), "MessageBody": body} for n, body in enumerate(bodies[start : start + 10])
            ]
            self.client.send_message_batch(QueueUrl=self.url, Entries=entries)

    def left(self) -> int:
        """Messages that are still there, received or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)


def notice(key: str) -> str:
    """What S3 sends about a new object."""
    return json.dumps({
        "Records": [{"eventName": "ObjectCreated:Put", "s3": {"bucket": {"name": BUCKET}, "object": {"key": key}}}]
    })  # fmt: skip
