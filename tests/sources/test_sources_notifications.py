"""What messages of a queue say, in every shape in which they come."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tokentrail.sources.notifications import Named, Notice, Unreadable, read

KEY = "AWSLogs/111122223333/CloudTrail/us-east-1/2026/11/23/111122223333_CloudTrail_us-east-1_20261123T1005Z_Ab.json.gz"
DIGEST = KEY.replace("/CloudTrail/", "/CloudTrail-Digest/").replace("_CloudTrail_", "_CloudTrail-Digest_")


def s3(key: str = KEY, *, name: str = "ObjectCreated:Put", **stored: Any) -> dict[str, Any]:
    return {
        "Records": [{
            "eventSource": "aws:s3", "eventName": name,
            "s3": {"bucket": {"name": "logs"}, "object": {"key": key, **stored}},
        }]
    }  # fmt: skip


def bridge(key: str = KEY, *, what: str = "Object Created") -> dict[str, Any]:
    detail = {"bucket": {"name": "logs"}, "object": {"key": key, "size": 7, "etag": "e"}}
    return {"source": "aws.s3", "detail-type": what, "detail": detail}


def sns(message: Any) -> dict[str, Any]:
    return {"Type": "Notification", "Message": message if isinstance(message, str) else json.dumps(message)}


@pytest.mark.parametrize(
    ("said", "named"),
    [
        (s3(size=7, eTag="e"), (Named("logs", KEY, 7, "e"),)),
        (sns(s3()), (Named("logs", KEY),)),
        (sns(sns(s3())), (Named("logs", KEY),)),
        (bridge(), (Named("logs", KEY, 7, "e"),)),
        (sns(bridge()), (Named("logs", KEY, 7, "e"),)),
        ({"s3Bucket": "logs", "s3ObjectKey": [KEY, "b.gz"]}, (Named("logs", KEY), Named("logs", "b.gz"))),
        (sns({"s3Bucket": "logs", "s3ObjectKey": [KEY]}), (Named("logs", KEY),)),
        (s3("a+b%2Bc%C3%BC.gz"), (Named("logs", "a b+cü.gz"),)),
        (bridge("a+b%2B.gz"), (Named("logs", "a+b%2B.gz", 7, "e"),)),
        ({"Records": s3()["Records"] * 2}, (Named("logs", KEY),)),
    ],
)  # fmt: skip
def test_each_shape_names_its_objects(said: dict[str, Any], named: tuple[Named, ...]) -> None:
    """S3, EventBridge and CloudTrail name their objects, wrapped by SNS or not; only S3's own keys are URL-encoded."""
    assert Notice(objects=named) == read(json.dumps(said))


@pytest.mark.parametrize(
    "said",
    [
        {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "logs"},
        sns({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "logs"}),
        sns("CloudTrail validation message."),
        {"Type": "SubscriptionConfirmation", "Message": "You have chosen to subscribe"},
        s3(name="ObjectRemoved:Delete"),
        bridge(what="Object Deleted"),
        s3(DIGEST),
        s3("AWSLogs/"),
        {"Records": []},
    ],
)
def test_what_names_no_evidence_is_fine(said: dict[str, Any]) -> None:
    """Test events, confirmations, removals, digests and folders name nothing to read, and are no fault."""
    assert () == read(json.dumps(said)).objects


@pytest.mark.parametrize(
    "said", [{"Records": [{"id": 7}, *s3()["Records"]]}, {"s3Bucket": "logs", "s3ObjectKey": [KEY, 7]}]
)
def test_what_a_message_names_is_read_whatever_else_stands_in_it(said: dict[str, Any]) -> None:
    """A relay may put several things into one; that a part can't be read is said all the same."""
    found = read(json.dumps(said))
    assert (Named("logs", KEY),) == found.objects
    assert found.unreadable


def test_an_event_that_event_bridge_sends_is_evidence_itself() -> None:
    """A message that holds a CloudTrail event needs no object."""
    said = {
        "source": "aws.sts",
        "detail-type": "AWS API Call via CloudTrail",
        "detail": {"eventName": "AssumeRole"},
    }

    assert Notice(event=True) == read(json.dumps(said))


@pytest.mark.parametrize(
    "body",
    [
        "", "hello", "[]", "7", "null", "{}", '{"Records": [7]}', '{"Records": [{"s3": {}}]}', "[" * 100_000,
        json.dumps(s3("")), json.dumps(s3("k" * 1025)), json.dumps({"s3Bucket": 7, "s3ObjectKey": ["k"]}),
        json.dumps({"s3Bucket": "b\nc", "s3ObjectKey": ["k"]}), json.dumps({"s3Bucket": "logs", "s3ObjectKey": [7]}),
        json.dumps({"source": "aws.s3", "detail-type": "Object Created"}),
        json.dumps(sns(sns(sns(sns(sns(s3())))))),
    ],
)  # fmt: skip
def test_anything_else_is_unreadable_in_words(body: str) -> None:
    """Whatever else stands in a message is refused with a reason, and nothing breaks."""
    with pytest.raises(Unreadable, match=r"\w"):
        read(body)
