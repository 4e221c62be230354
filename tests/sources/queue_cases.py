"""A queue beside a bucket, as moto has them."""

from __future__ import annotations

import json
import time
import uuid
from dataclasses import dataclass
from typing import Any

import boto3
from cloud_cases import BUCKET, Cloud
from moto.core import DEFAULT_ACCOUNT_ID
from moto.sqs.models import Message, sqs_backends


@dataclass
class Line:
    """A queue, and what puts messages into it."""

    cloud: Cloud
    client: Any
    url: str
    passed: float = 0.0
    """Seconds by which the queue's clock is ahead, where a test sets it."""

    def now(self) -> float:
        """The time by the queue's clock, in milliseconds."""
        return (time.time() + self.passed) * 1000

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

    def stock(self, *keys: str) -> None:
        """
        Notify of many objects at once; the messages are received as all others are.

        They are put into the queue that moto serves: each message that is sent to it is compared with the clock and
        with all that are there, which for thousands takes many minutes.
        """
        queue = sqs_backends[DEFAULT_ACCOUNT_ID][self.client.meta.region_name].get_queue(
            self.url.rpartition("/")[2]
        )
        for key in keys:
            message = Message(str(uuid.uuid4()), notice(key))
            message.sent_timestamp = int(time.time() * 1000)  # type: ignore[assignment]  # as moto itself does
            queue.add_message(message)

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
