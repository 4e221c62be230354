"""
Find the records in one JSON object: it is a record, or surrounds or carries some, to a depth.

What it is is told by its members alone. An object with an `eventTime` and an `eventName` is a record, whatever else it
has; transports (SQS, SNS, Kinesis, Lambda) are opened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import msgspec

from tokentrail.events.carriers import stores, table, transports
from tokentrail.events.carriers.lost import AGGREGATED, DIGEST, INSIGHT, LOGSTASH
from tokentrail.events.carriers.shapes import (
    ABSENT,
    DEEPEST,
    Inside,
    Opened,
    Opener,
    Room,
    Shape,
    decode_object,
    each,
    listed,
)
from tokentrail.events.loose import FAILURES, is_text
from tokentrail.events.piece import Piece

TOO_DEEP = f"wrapped more than {DEEPEST} times"
_decode_shape = msgspec.json.Decoder(Shape).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


def outside(room: Room, *, carrier: str = "", document: bool = False) -> Inside:
    """The `Inside` of an object that nothing surrounds."""
    return Inside(room, unwrap, 0, carrier, document)


def unwrap(raw: bytes, inside: Inside) -> Iterator[Piece]:
    """
    Yield the records of one JSON object.

    Raises:
        FAILURES: it is no sound JSON object; before anything was yielded.
    """
    shape = _decode_shape(raw)
    if inside.depth > DEEPEST:
        return iter([Piece(raw, TOO_DEEP, inside.carrier)])
    if inside.document and shape.Records is not ABSENT and (items := listed(shape.Records)) is not None:
        return each(items, inside.within())
    if shape.eventTime is not ABSENT and shape.eventName is not ABSENT:
        return iter([_record(raw, shape, inside)])
    if not is_text(raw):  # texts in it would be lost whole for one byte
        raw = raw.decode("utf-8", "replace").encode()
        shape = _decode_shape(raw)
    for name, opener in OPENERS:
        value = getattr(shape, name)
        if value is not ABSENT:
            found = opener(raw, shape, bytes(value), inside)
            if found is not None:
                return found
    return stores.respelled(raw) or iter([Piece(raw, None, inside.carrier)])


def _record(raw: bytes, shape: Shape, inside: Inside) -> Piece:
    """A record as it is; one whose members are spelled with dots, or are JSON in texts, is rewritten."""
    if (shape.userIdentity is ABSENT and b'"userIdentity.' in raw) or bytes(shape.userIdentity)[:1] == b'"':
        return table.from_object(decode_object(raw), raw)
    if (
        shape.insightDetails is not ABSENT
        and shape.userIdentity is ABSENT
        and bytes(shape.eventCategory) == b'"Insight"'
    ):
        return Piece(raw, INSIGHT, inside.carrier)
    return Piece(raw, None, inside.carrier)


def _logstash(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """An event of Logstash in which a record's members stand, its time under another name."""
    if ABSENT in (shape.eventName, shape.at_timestamp) or shape.eventTime is not ABSENT:
        return None
    made = _logstash_record(raw)
    found = _record(made, _decode_shape(made), replace(inside, carrier=LOGSTASH))
    found.carried = raw
    return iter([found])


def _logstash_record(event: bytes) -> bytes:
    """
    The record of an event, all but its time as it stands there.

    Logstash's codec `cloudtrail` takes `eventTime` away, and puts `disableApiTermination` of a request into an object
    (logstash-codec-cloudtrail, `decode`). An event whose time Logstash could not read bears the time at which it was
    made instead, and keeps what stood there under `_@timestamp` (Logstash, `Event`).
    """
    members = _decode_members(event)
    del members["@version"]
    time = members.pop("@timestamp")
    members["eventTime"] = _logstash_time(members.pop("_@timestamp", time))
    return _encode(members)


def _logstash_time(time: msgspec.Raw) -> msgspec.Raw:
    """A time as CloudTrail spells it; what is no text stays, and is told by whoever reads the record."""
    try:
        return msgspec.Raw(_encode(table.moment(_decode_text(time))))
    except FAILURES:
        return time


def _digest(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    return None if shape.logFiles is ABSENT else iter([Piece(b"", DIGEST)])


def _category(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    reason = {b'"Insight"': INSIGHT, b'"Aggregated"': AGGREGATED}.get(value)
    return None if reason is None else iter([Piece(raw, reason, inside.carrier)])


OPENERS: tuple[tuple[str, Opener], ...] = (
    ("at_version", _logstash),
    ("CloudTrailEvent", transports.looked_up_one),
    ("cloud_trail_event", transports.laid_around),
    ("cloudtrail_event", transports.laid_around),
    ("detail", transports.eventbridge),
    ("class_uid", stores.ocsf),
    ("source_", stores.hit),
    ("event", stores.elastic),
    ("original", stores.elastic),
    ("action", stores.elastic),
    ("fields", stores.elastic),
    ("result", stores.splunk),
    ("raw", stores.raw_event),
    ("logEvents", transports.log_events),
    ("attributes", transports.laid_around),
    ("message", transports.message),
    ("at_message", transports.insight),
    ("Body", transports.envelope),
    ("body", transports.envelope),
    ("Message", transports.envelope),
    ("Sns", transports.envelope),
    ("Event", transports.envelope),
    ("awslogs", transports.compressed),
    ("kinesis", transports.compressed),
    ("Data", transports.compressed),
    ("digestStartTime", _digest),
    ("eventCategory", _category),
    ("s3Bucket", transports.delivery),
    ("eventtime", stores.named),
    ("AwsEventId", stores.named),
    ("Records", transports.objects),
    ("Events", transports.lookup_events),
    ("events", transports.log_events),
    ("Messages", transports.objects),
    ("hits", stores.hits),
    ("results", transports.objects),
    ("QueryResultRows", stores.lake),
    ("ResultSet", stores.athena),
    ("content", transports.laid_around),
    ("source_json", transports.laid_around),
    ("rawstring", transports.laid_around),
    ("data", transports.laid_around),
    ("aws", transports.laid_around),
    ("full_log", transports.laid_around),
    ("log", transports.laid_around),
    ("line", transports.laid_around),
    ("event", transports.laid_around),
    ("rawData", transports.compressed),
    ("map", transports.envelope),
    ("messages", transports.objects),
    ("records", transports.objects),
    ("tables", stores.azure),
    ("rows", stores.splunk_rows),
    ("rows", transports.objects),
)
"""Members by which objects are recognised, in the order in which they are tried, each with its opener."""
