"""What openers share: the members that tell objects apart, where an object was found, and looking further in."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from tokentrail.events.fields import fields
from tokentrail.events.gunzip import DEFAULT_BOUND, expand
from tokentrail.events.loose import FAILURES, Raw, clean
from tokentrail.events.piece import Piece
from tokentrail.events.record import Record, SoundRecord, decode_one

DEEPEST = 8
BEYOND = "expands beyond the bound; raise it with --max-expansion"
NOT_JSON = "text that is no JSON"
ABSENT = msgspec.Raw()
_Raw = msgspec.Raw


class Shape(msgspec.Struct, gc=False):
    """The members by which objects are told apart, undecoded."""

    eventTime: _Raw = ABSENT
    eventName: _Raw = ABSENT
    userIdentity: _Raw = ABSENT
    Records: _Raw = ABSENT
    CloudTrailEvent: _Raw = ABSENT
    cloud_trail_event: _Raw = ABSENT
    cloudtrail_event: _Raw = ABSENT
    Events: _Raw = ABSENT
    detail: _Raw = ABSENT
    detail_type: _Raw = msgspec.field(default=ABSENT, name="detail-type")
    logEvents: _Raw = ABSENT
    messageType: _Raw = ABSENT
    events: _Raw = ABSENT
    message: _Raw = ABSENT
    awslogs: _Raw = ABSENT
    kinesis: _Raw = ABSENT
    Data: _Raw = ABSENT
    Messages: _Raw = ABSENT
    Body: _Raw = ABSENT
    body: _Raw = ABSENT
    Message: _Raw = ABSENT
    Sns: _Raw = ABSENT
    hits: _Raw = ABSENT
    source_: _Raw = msgspec.field(default=ABSENT, name="_source")
    fields: _Raw = ABSENT
    event: _Raw = ABSENT
    original: _Raw = msgspec.field(default=ABSENT, name="event.original")
    action: _Raw = msgspec.field(default=ABSENT, name="event.action")
    result: _Raw = ABSENT
    results: _Raw = ABSENT
    raw: _Raw = msgspec.field(default=ABSENT, name="_raw")
    class_uid: _Raw = ABSENT
    eventtime: _Raw = ABSENT
    eventname: _Raw = ABSENT
    digestStartTime: _Raw = ABSENT
    logFiles: _Raw = ABSENT
    insightDetails: _Raw = ABSENT
    eventCategory: _Raw = ABSENT
    s3Bucket: _Raw = ABSENT
    Event: _Raw = ABSENT
    at_timestamp: _Raw = msgspec.field(default=ABSENT, name="@timestamp")
    at_version: _Raw = msgspec.field(default=ABSENT, name="@version")
    at_message: _Raw = msgspec.field(default=ABSENT, name="@message")
    AwsEventId: _Raw = ABSENT
    TimeGenerated: _Raw = ABSENT
    QueryResultRows: _Raw = ABSENT
    ResultSet: _Raw = ABSENT
    attributes: _Raw = ABSENT
    content: _Raw = ABSENT
    data: _Raw = ABSENT
    aws: _Raw = ABSENT
    source_json: _Raw = ABSENT
    rawstring: _Raw = msgspec.field(default=ABSENT, name="@rawstring")
    log: _Raw = ABSENT
    full_log: _Raw = ABSENT
    line: _Raw = ABSENT
    records: _Raw = ABSENT
    messages: _Raw = ABSENT
    map: _Raw = ABSENT
    rawData: _Raw = ABSENT
    tables: _Raw = ABSENT
    rows: _Raw = ABSENT


_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str).decode
decode_object = msgspec.json.Decoder(dict[str, Any]).decode


@dataclass(slots=True)
class Room:
    """How many bytes may still be expanded for one object."""

    left: int = DEFAULT_BOUND

    def expand(self, data: bytes) -> tuple[bytes, str | None]:
        """Gunzip within the bytes that are left: the expanded bytes, and what is damaged, if anything."""
        if self.left <= 0:
            return b"", BEYOND
        found = expand(data, bound=self.left)
        if found.data is not data:
            self.left -= len(found.data)
        return found.data, found.broken


@dataclass(frozen=True, slots=True)
class Inside:
    """Where an object was found, as far as that matters for reading it."""

    room: Room
    unwrap: Callable[[bytes, Inside], Iterator[Piece]]
    """Reads one object of any kind."""
    depth: int = 0
    """How many objects surround it."""
    carrier: str = ""
    """The innermost carrier around it that loses something, by a name of `lost`."""
    document: bool = False
    """Whether it is a whole document: only there is `Records` the list of a log file, and not any other member."""

    def within(self, carrier: str = "", *, document: bool = False) -> Inside:
        """The same one level deeper, in a carrier if that loses something."""
        return Inside(self.room, self.unwrap, self.depth + 1, carrier or self.carrier, document)


def each(items: Sequence[Raw], inside: Inside) -> Iterator[Piece]:
    """The records in the objects of a list."""
    for item in items:
        yield from nested(bytes(item), inside)


def texts(records: Sequence[bytes], inside: Inside) -> Iterator[Piece]:
    """The records in texts, each of which is expected to be a record."""
    for one in records:
        yield from text_bytes(one, inside)


def nested(raw: bytes, inside: Inside) -> Iterator[Piece]:
    """The records in an object, or in a text in its place. A damaged envelope is repaired first, a record is not."""
    if raw[:1] == b'"' and (held := string(raw)) is not None:
        yield from text(held, inside.within())
        return
    try:
        found = inside.unwrap(raw, inside)
    except FAILURES:
        found = _mended(raw, inside)
    yield from found


def _mended(raw: bytes, inside: Inside) -> Iterator[Piece]:
    """The records in a damaged object, decoded forgivingly if it is an envelope; a record stays as it is."""
    members = fields(raw)
    if members is not None and not {"eventName", "eventTime"} <= members.keys():
        try:
            mended = msgspec.json.encode(clean(json.loads(raw.decode("utf-8", "replace"), strict=False)))
            return inside.unwrap(mended, inside)
        except (*FAILURES, ValueError):
            pass
    return iter([Piece(raw, None, inside.carrier)])


def text(value: str, inside: Inside, carried: bytes = b"") -> Iterator[Piece]:
    """The records in a text, which mostly is one."""
    return text_bytes(value.encode("utf-8", "replace"), inside, carried)


def text_bytes(raw: bytes, inside: Inside, carried: bytes = b"") -> Iterator[Piece]:
    """The records in the bytes of a text; `carried` is what its carrier had in its place."""
    try:
        yield Piece(raw, None, inside.carrier, sound(raw), carried)
        return
    except FAILURES:
        pass
    raw = raw.strip()
    if raw[:1] == b"{":
        yield from nested(raw, inside.within(document=True))
    elif raw[:1] == b"[" and (items := listed(raw)) is not None and inside.depth < DEEPEST:
        yield from each(items, inside.within())
    else:
        yield Piece(raw, NOT_JSON, inside.carrier)


def sound(raw: bytes) -> SoundRecord:
    """
    Decode a sound record.

    Raises:
        FAILURES: it is none, or lacks something.
    """
    found = decode_one(raw)
    if not says_who(found):
        raise msgspec.DecodeError("look closer")
    return found


def says_who(record: Record) -> bool:
    """Whether a record has a `userIdentity` as CloudTrail spells it: other carriers leave it out, or make it a text."""
    return bytes(record.userIdentity)[:1] not in (b"n", b'"')


def listed(raw: msgspec.Raw | bytes) -> list[msgspec.Raw] | None:
    """The items of a list; `None` where there is none."""
    try:
        return _decode_list(raw)
    except FAILURES:
        return None


def string(raw: bytes) -> str | None:
    """The text of a JSON string; `None` where it is none."""
    try:
        return _decode_text(raw)
    except FAILURES:
        return None


Opened = Iterator[Piece] | None
Opener = Callable[[bytes, Shape, bytes, Inside], Opened]
"""
Reads the records in an object that has a certain member.

It takes the object, its members, the value of that one, and where it was found; and returns `None` if the object is not
of the kind that it opens.
"""
