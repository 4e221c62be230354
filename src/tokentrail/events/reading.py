"""
Read the records of an object: all at once if they are sound, else piece by piece.

Both ways give the same records in the same order; the careful one also says what is wrong with which record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from tokentrail.events.archives import Content, contents, packed
from tokentrail.events.assemble import Codes, Moments, moments
from tokentrail.events.carriers import parquet
from tokentrail.events.carriers.lost import WITHOUT_IDS
from tokentrail.events.carriers.shapes import Room, says_who
from tokentrail.events.gunzip import Expanded
from tokentrail.events.loose import FAILURES, is_text
from tokentrail.events.piece import Piece
from tokentrail.events.record import (
    ABSENT,
    Record,
    SoundRecord,
    decode_array,
    decode_file,
    decode_lines,
    decode_one,
    read,
)
from tokentrail.events.split import pieces, trim
from tokentrail.events.values import seconds

NOTIFICATION = "aws:s3"
"""The source of S3 event notifications, whose envelope looks like a log file's."""

_AT_ONCE = 1_000
"""Pieces that are read together, at most: an odd one costs the quick way for all of them."""

Refusal = tuple[int | None, str | None, str]
"""Ordinal (`None`: the whole object), field (`None`: the whole record) and reason."""


Scan = Callable[[list[bytes], int], "tuple[int, int] | None"]
"""
Makes rows of texts of one record each, whose ordinals begin with a given one.

Returns the first and the last second of the records; `None`, and makes no rows, if one of the texts is not sound.
"""


@dataclass(frozen=True, slots=True)
class Scanned:
    """Records of which a `Scan` has made rows."""

    records: int
    """How many."""
    first: int
    """The second of the earliest one."""
    last: int
    """The second of the latest one."""
    carriers: frozenset[str]
    """What brought them, by the names of `carriers.lost`."""


@dataclass(frozen=True, slots=True)
class Reading:
    """Records of one object, and what of it could not be read."""

    records: Sequence[Record]
    ordinals: Codes
    """The place of each in the object."""
    times: Moments
    """When each happened, in seconds since 1970."""
    refusals: Sequence[Refusal] = ()
    carriers: frozenset[str] = frozenset()
    """What brought them, by the names of `carriers.lost`."""


def readings(
    data: bytes, expanded: Expanded, *, bound: int, scan: Scan | None = None
) -> Iterator[Reading | Scanned]:
    """
    Read one object, however it is packed and whatever carries its records.

    Args:
        data: The object as received.
        expanded: The same, expanded if it is gzip.
        bound: Bytes to which it may expand.
        scan: Makes rows of sound records at once, if there is a compiled scanner.
    """
    whole = _quickly(expanded.data, lines=scan is None) if expanded.broken is None else None
    if whole is None:
        yield from _carefully(data, expanded, Room(bound), scan)
    else:
        yield whole


def _quickly(data: bytes, *, lines: bool) -> Reading | None:
    """
    Decode a whole object at once; `None` if any byte of it needs more care.

    Args:
        data: The object, expanded.
        lines: Whether to try JSON lines in any case. Otherwise only if records seem to span several lines, since the
            careful way, which cuts at line ends, would not join them.
    """
    data = trim(data)
    for decode in _DECODERS.get(data[:1], ()) if is_text(data) else ():
        if decode is decode_lines and not (lines or _breaks_within(data)):
            continue
        try:
            records = decode(data)
        except FAILURES:
            continue
        if records is None:
            return None
        if not records:
            return Reading(records, np.zeros(0, np.int32), np.zeros(0, np.int64))
        times = moments([record.eventTime for record in records])
        if (
            times is not None
            and all(map(says_who, records))  # else members may be spelled in other ways
            and NOTIFICATION not in [record.eventSource for record in records]
        ):
            return Reading(records, np.arange(len(records), dtype=np.int32), times)
    return None


def every_piece(data: bytes, *, bound: int) -> Iterator[Piece]:
    """Yield all places of an object in the order of their ordinals, which are the same as those of `readings`."""
    room = Room(bound)
    for content in contents(data, room):
        if content.data or content.broken is None:
            yield from pieces(content.data, room)


def _carefully(data: bytes, expanded: Expanded, room: Room, scan: Scan | None) -> Iterator[Reading | Scanned]:
    """Read the members of an archive, or the object itself, noting what can't be read and why."""
    ordinal = 0
    if packed(expanded.data):
        members = contents(data, room)
    else:
        room.left -= len(expanded.data) if expanded.data is not data else 0
        members = iter([Content(expanded.data, expanded.broken)])
    for content in members:
        for reading in _content(content, ordinal, room, scan, tried=content.data is expanded.data):
            yield reading.reading
            ordinal += reading.places
        if content.broken:
            yield _refused([(None, None, content.named(content.broken))])


@dataclass(frozen=True, slots=True)
class _Part:
    """What was read of some places of an object."""

    reading: Reading | Scanned
    places: int
    """How many ordinals it takes, those of refused records included."""


def _content(content: Content, first: int, room: Room, scan: Scan | None, *, tried: bool) -> Iterator[_Part]:
    """
    Read one member.

    Args:
        content: The member.
        first: The ordinal of its first place.
        room: How much may still be expanded.
        scan: As in `readings`.
        tried: Whether reading it at once was tried already, and failed.
    """
    if (
        content.broken is None
        and not tried
        and (whole := _quickly(content.data, lines=scan is None)) is not None
    ):
        moved = (whole.ordinals + first).astype(np.int32)
        yield _Part(Reading(whole.records, moved, whole.times), len(whole.records))
        return
    if not content.data and content.broken is not None:
        return
    plain = content.data[:4] == parquet.MAGIC or is_text(trim(content.data))
    for some in _runs(pieces(content.data, room)):
        at_once = (_scanned(some, first, scan) or _sound_pieces(some, first)) if plain else None
        yield _Part(at_once or _one_by_one(some, first, content), len(some))
        first += len(some)


def _runs(places: Iterable[Piece]) -> Iterator[list[Piece]]:
    """Yield places in lists of up to `_AT_ONCE`; those that hold no record stand in lists of their own."""
    waiting: list[Piece] = []
    for one in places:
        if len(waiting) == _AT_ONCE or (waiting and (waiting[-1].reason is None) is not (one.reason is None)):
            yield waiting
            waiting = []
        waiting.append(one)
    if waiting:
        yield waiting


def _carriers(some: Iterable[Piece]) -> frozenset[str]:
    return frozenset(one.carrier for one in some if one.carrier)


def _scanned(some: Sequence[Piece], first: int, scan: Scan | None) -> Scanned | None:
    """Make rows of places with the compiled scanner; `None` if one of them is no sound record."""
    if scan is None or some[0].reason:
        return None
    ends = scan([one.raw for one in some], first)
    return None if ends is None else Scanned(len(some), *ends, _carriers(some))


def _sound_pieces(some: Sequence[Piece], first: int) -> Reading | None:
    """Read pieces that all are sound records; `None` if one of them is not."""
    if some[0].reason:
        return None
    try:
        records = [one.record or decode_one(one.raw) for one in some]
    except FAILURES:
        return None
    times = moments([record.eventTime for record in records])
    if times is None or NOTIFICATION in [record.eventSource for record in records]:
        return None
    ordinals = np.arange(first, first + len(records), dtype=np.int32)
    return Reading(records, ordinals, times, (), _carriers(some))


def _one_by_one(some: Sequence[Piece], first: int, content: Content) -> Reading:
    """Read pieces one by one, with a refusal for each that is no record and for each field that can't be read."""
    records: list[Record] = []
    ordinals: list[int] = []
    times: list[int] = []
    refusals: list[Refusal] = []
    carriers: set[str] = set()
    for ordinal, piece in enumerate(some, first):
        outcome = piece.reason or read(piece.raw)
        if isinstance(outcome, str):
            refusals.append((ordinal if piece.raw else None, None, content.named(outcome)))
            continue
        record, notes = outcome
        when = _time_of(record)
        if isinstance(when, str):
            refusals.append((ordinal, None, content.named(when)))
            continue
        if not record.eventID:
            record.eventID = "sha256:" + hashlib.sha256(_canonical(piece.raw)).hexdigest()
            carriers.add(WITHOUT_IDS if piece.carrier else "")
        refusals.extend((ordinal, name, content.named(why)) for name, why in notes)
        records.append(record)
        ordinals.append(ordinal)
        times.append(when)
    carriers.update(one.carrier for one in some if not one.reason)
    brought = frozenset(filter(None, carriers))
    return Reading(records, np.array(ordinals, np.int32), np.array(times, np.int64), refusals, brought)


def _refused(refusals: Sequence[Refusal]) -> Reading:
    return Reading((), np.zeros(0, np.int32), np.zeros(0, np.int64), refusals)


def _breaks_within(data: bytes) -> bool:
    """Whether some line may end within an object, and not between two."""
    return data.count(b"\n") != data.count(b"}\n{")


def _native(data: bytes) -> Sequence[SoundRecord] | None:
    """The records of a native log file, or a single record; `None` for a sound object that is neither."""
    file = decode_file(data)
    return [decode_one(data)] if file.Records is None and file.eventName is not ABSENT else file.Records


_DECODERS: dict[bytes, tuple[Callable[[bytes], Sequence[SoundRecord] | None], ...]] = {
    b"{": (_native, decode_lines),
    b"[": (decode_array,),
}


def _time_of(record: Record) -> int | str:
    """When a record happened, in seconds since 1970; or the reason why the record can't be used."""
    if record.eventSource == NOTIFICATION:
        return "an S3 event notification, not a CloudTrail record"
    if record.eventTime is None:
        return "no eventTime: can't be placed in time" if record.eventName else "not a CloudTrail record"
    when = seconds(record.eventTime)
    return "eventTime can't be read" if when is None else when


def _canonical(raw: bytes) -> bytes:
    """Bytes that are the same for the same record, whatever its white space and the order of its members."""
    try:
        return msgspec.json.encode(msgspec.json.decode(raw), order="deterministic")
    except FAILURES:
        return raw
