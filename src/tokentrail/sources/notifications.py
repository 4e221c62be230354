"""
Read a queue's messages: which objects were put into a bucket, or why a message names none. Pure.

Messages are S3 event notifications, S3 events from EventBridge, or CloudTrail's notices to SNS, each of which SNS may
have wrapped once more.
Sources: Amazon S3 User Guide, 'Event message structure' (keys are URL-encoded there) and 'Amazon EventBridge event
structure' (keys are not); AWS CloudTrail User Guide, 'Configuring Amazon SNS notifications for CloudTrail'.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from tokentrail.sources import trail

_WRAPPED = 3
"""How often a message may be wrapped: once for S3 by SNS to SQS; a relay of the user's own may add to that."""
_CREATED = ("ObjectCreated:", "ObjectRestore:Completed")
_EVENTS = " via CloudTrail"
"""How EventBridge's detail types of CloudTrail's own events end (EventBridge events reference)."""
_LONGEST_KEY = 1024


@dataclass(frozen=True, slots=True)
class Named:
    """An object that a message names."""

    bucket: str
    key: str
    size: int = 0
    etag: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a message says."""

    objects: tuple[Named, ...] = ()
    ignored: tuple[str, ...] = ()
    """Why there is nothing to read in it, or in parts of it, though nothing is wrong."""
    unreadable: str | None = None
    """Why a part of it can't be read; what else it names is read all the same."""
    event: bool = False
    """Whether the message is itself an event of CloudTrail, sent by EventBridge."""


class Unreadable(Exception):
    """A message that is no notification of any shape we know."""


def read(body: str) -> Notice:
    """
    Read the body of a message.

    Raises:
        Unreadable: no part of it can be read; the message says why.
    """
    found = _content(body, _WRAPPED)
    if isinstance(found, str):
        return Notice(ignored=(found,))
    if isinstance(found.get("detail"), dict) and str(found.get("detail-type", "")).endswith(_EVENTS):
        return Notice(event=True)
    objects: list[Named] = []
    ignored: list[str] = []
    unreadable: Unreadable | None = None
    for one in _named(found):
        if isinstance(one, Unreadable):
            unreadable = unreadable or one
            continue
        why = one if isinstance(one, str) else _not_wanted(one.key)
        if why is not None:
            ignored.append(why)
        elif isinstance(one, Named):
            objects.append(one)
    if unreadable is not None and not objects and not ignored:
        raise unreadable
    return Notice(
        objects=tuple(dict.fromkeys(objects)),
        ignored=tuple(ignored),
        unreadable=str(unreadable) if unreadable else None,
    )


def _content(text: Any, depth: int) -> dict[str, Any] | str:
    """The innermost notification, or the reason why there is none though nothing is wrong."""
    try:
        found = json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise Unreadable("not JSON") from error
    if not isinstance(found, dict):
        raise Unreadable("JSON, but no object")
    if found.get("Type") in ("SubscriptionConfirmation", "UnsubscribeConfirmation"):
        return "a confirmation of a subscription of SNS"
    if found.get("Event") == "s3:TestEvent":
        return "the test event that S3 sends when notifications are set up"
    if isinstance(found.get("Message"), str) and found.get("Type") == "Notification":
        if found["Message"].startswith("CloudTrail validation message"):
            return "the test message that CloudTrail sends when notifications are set up"
        if not depth:
            raise Unreadable("wrapped too often")
        return _content(found["Message"], depth - 1)
    return found


def _named(found: dict[str, Any]) -> Iterator[Named | str | Unreadable]:
    if isinstance(found.get("Records"), list):
        for one in found["Records"]:
            try:
                yield _from_s3(one)
            except Unreadable as why:
                yield why
    elif "s3ObjectKey" in found:
        bucket, keys = found.get("s3Bucket"), found["s3ObjectKey"]
        for key in keys if isinstance(keys, list) else [keys]:
            try:
                yield _checked(bucket, key)
            except Unreadable as why:
                yield why
    elif found.get("source") == "aws.s3":
        yield _from_event_bridge(found)
    else:
        raise Unreadable("no notification of S3, EventBridge or CloudTrail")


def _from_s3(one: Any) -> Named | str:
    if not isinstance(one, dict) or not isinstance(one.get("s3"), dict):
        raise Unreadable("a record of it is no event of S3")
    what = str(one.get("eventName", "ObjectCreated:")).removeprefix("s3:")
    if not what.startswith(_CREATED):
        return f"{what}: no object came"
    stored = _part(one["s3"], "object")
    key = stored.get("key")
    decoded = unquote_plus(key) if isinstance(key, str) else key
    return _checked(_part(one["s3"], "bucket").get("name"), decoded, stored.get("size"), stored.get("eTag"))


def _from_event_bridge(found: dict[str, Any]) -> Named | str:
    if found.get("detail-type") not in ("Object Created", "Object Restore Completed"):
        return f"{found.get('detail-type')}: no object came"
    detail = _part(found, "detail")
    stored = _part(detail, "object")
    return _checked(
        _part(detail, "bucket").get("name"), stored.get("key"), stored.get("size"), stored.get("etag")
    )


def _part(found: dict[str, Any], name: str) -> dict[str, Any]:
    part = found.get(name)
    if not isinstance(part, dict):
        raise Unreadable(f"it has no `{name}`")
    return part


def _checked(bucket: Any, key: Any, size: Any = 0, etag: Any = "") -> Named:
    """Check names, which go into a request, by what S3 allows."""
    if not isinstance(bucket, str) or not 3 <= len(bucket) <= 255 or not bucket.isprintable():
        raise Unreadable("it names no bucket")
    if not isinstance(key, str) or not 0 < len(key.encode("utf-8", "replace")) <= _LONGEST_KEY:
        raise Unreadable("it names no object")
    if not isinstance(size, int) or size < 0:
        size = 0
    return Named(bucket, key, size, etag if isinstance(etag, str) else "")


def _not_wanted(key: str) -> str | None:
    """Why an object is not to be read; `None` if it is."""
    if key.endswith("/"):
        return "a folder, no object"
    known = trail.name(key)
    if known is not None and known.kind not in trail.LOGS:
        return known.other or "of another kind than log files"
    return None
