"""Transports: what brings records whole and adds nothing to them. EventBridge, SQS, SNS, Kinesis, CloudWatch Logs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from tokentrail.events.carriers import table
from tokentrail.events.carriers.lost import (
    CLOUDWATCH_LOGS,
    CONTROL,
    EVENTBRIDGE,
    INSIGHT,
    LOOKUP_EVENTS,
    OTHER_EVENT,
    TEST_EVENT,
)
from tokentrail.events.carriers.shapes import (
    ABSENT,
    Inside,
    Opened,
    Shape,
    decode_object,
    each,
    listed,
    nested,
    string,
    text,
    texts,
)
from tokentrail.events.gunzip import GZIP_MAGIC
from tokentrail.events.loose import FAILURES
from tokentrail.events.piece import Piece

_CLOUDTRAIL_DETAILS = ("via CloudTrail", "Via CloudTrail")


class _Looked(msgspec.Struct, gc=False):
    CloudTrailEvent: str


class _Message(msgspec.Struct, gc=False):
    message: str


_looked_up = msgspec.json.Decoder(list[_Looked]).decode
_messages = msgspec.json.Decoder(list[_Message]).decode


def _list_of_texts(
    decode: Callable[[bytes], list[Any]], name: str, value: bytes, inside: Inside
) -> Iterator[Piece]:
    """The records of a list of objects of which each holds one as text; at once where all are sound."""
    try:
        found = [getattr(one, name).encode("utf-8", "replace") for one in decode(value)]
    except FAILURES:
        return each(listed(value) or [], inside)
    return texts(found, inside)


def lookup_events(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """The answer of LookupEvents."""
    if value[:1] != b"[":
        return None
    return _list_of_texts(_looked_up, "CloudTrailEvent", value, inside.within(LOOKUP_EVENTS))


def looked_up_one(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """One element of such an answer: the record is a text, or the object that somebody decoded it to."""
    inside = inside.within(LOOKUP_EVENTS)
    found = string(value)
    if found is not None:
        return text(found, inside)
    return nested(value, inside) if value[:1] == b"{" else None


def eventbridge(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """An event of EventBridge, whose `detail` is the record, as an object or, by an input transformer, as text."""
    if shape.detail_type is ABSENT:
        return laid_around(raw, shape, value, inside.within(EVENTBRIDGE))
    kind = string(bytes(shape.detail_type)) or ""
    if not kind.endswith(_CLOUDTRAIL_DETAILS) or value[:1] not in b'{"':
        return iter([Piece(raw, OTHER_EVENT, EVENTBRIDGE)])
    if "Insight" in kind:
        return iter([Piece(raw, INSIGHT, EVENTBRIDGE)])
    inside = inside.within(EVENTBRIDGE)
    if (found := string(value)) is not None:
        return text(found, inside)
    return nested(value, inside)


def log_events(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """What CloudWatch Logs hands to a subscription, or answers when asked for events."""
    if bytes(shape.messageType) == b'"CONTROL_MESSAGE"':
        return iter([Piece(raw, CONTROL, CLOUDWATCH_LOGS)])
    if value[:1] != b"[":
        return None
    return _list_of_texts(_messages, "message", value, inside.within(CLOUDWATCH_LOGS))


def message(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """One event of a log, as text, or as the object that somebody decoded it to."""
    if shape.event is not ABSENT:
        return None
    inside = inside.within(CLOUDWATCH_LOGS if b'"ingestionTime"' in raw else "")
    found = string(value)
    return laid_around(raw, shape, value, inside) if found is None else text(found, inside)


def insight(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """A row of Logs Insights as the console exports it: the event as text, or as the object that it is."""
    inside = inside.within(CLOUDWATCH_LOGS, document=True)
    found = string(value)
    return nested(value, inside) if found is None else text(found, inside)


def compressed(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """Base64, perhaps gzip within: a subscription's event for a function, a record of a stream."""
    packed = string(value)
    if packed is None:
        try:
            members = decode_object(value)
        except FAILURES:
            return None
        packed = members.get("data")
    if not isinstance(packed, str):
        return None
    try:
        data = base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        return iter([Piece(raw, "data that is no base64", inside.carrier)])
    return _expanded(raw, data, inside)


def _expanded(raw: bytes, data: bytes, inside: Inside) -> Iterator[Piece]:
    broken = None
    if data[:2] == GZIP_MAGIC:
        data, broken = inside.room.expand(data)
    yield from text(data.decode("utf-8", "replace"), inside.within())
    if broken:
        yield Piece(raw, broken, inside.carrier)


def objects(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """A list of objects that may hold records."""
    items = listed(value)
    if items is None:
        return None
    if items and bytes(items[0])[:1] == b"[":  # rows of a query of CloudWatch Logs Insights
        return _rows(items, inside.within(CLOUDWATCH_LOGS))
    return each(items, inside.within())


def _rows(items: list[msgspec.Raw], inside: Inside) -> Iterator[Piece]:
    for item in items:
        try:
            row = {one.get("field"): one.get("value") for one in msgspec.json.decode(item)}
        except (*FAILURES, AttributeError, TypeError):
            yield Piece(bytes(item), None, inside.carrier)
            continue
        found = row.get("@message")
        if isinstance(found, str):
            yield from text(found, inside)
        else:
            yield table.from_object({str(name): row[name] for name in row}, bytes(item))


def envelope(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """A text within: the body of a message, a notification."""
    if shape.Event is not ABSENT and b"s3:TestEvent" in bytes(shape.Event):
        return iter([Piece(raw, TEST_EVENT)])
    found = string(value)
    if found is not None:
        return text(found, inside.within())
    return nested(value, inside.within(document=True)) if value[:1] == b"{" else None


def laid_around(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """
    What log pipelines lay around a record: whole as an object, in a list, or as text.

    Seen of, or documented for, archives and answers of Datadog (`attributes`, `content`, `data`), CrowdStrike LogScale
    (`@rawstring`), Rapid7 InsightIDR (`source_json`), Wazuh (`data.aws`, `full_log`), Fluent Bit and Docker (`log`),
    Grafana's logcli (`line`), timelines of Plaso and Timesketch (`cloud_trail_event`), tables of Steampipe
    (`cloudtrail_event`), and what is sent to Splunk's HTTP Event Collector (`event`). Members of other names are not
    searched: what strangers write stands in any log.
    """
    if b"eventName" not in value:
        return None
    found = string(value)
    if found is not None:
        return text(found, inside.within(), raw) if found.lstrip()[:1] == "{" else None
    items = listed(value)
    return nested(value, inside.within(document=True)) if items is None else each(items, inside.within())


def delivery(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """CloudTrail's notice that it delivered files."""
    return iter([Piece(raw, "a notice that log files were delivered: give the files themselves")])
