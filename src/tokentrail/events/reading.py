"""
From an object's expanded bytes to its records: at once where all is well, else piece by piece.

Both ways give the same records in the same order; the careful one also says what is wrong with each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import astuple

from tokentrail.events.assemble import Codes, Moments, moments
from tokentrail.events.loose import FAILURES
from tokentrail.events.record import Record, decode_array, decode_file, decode_lines, decode_record, read
from tokentrail.events.split import pieces, trim
from tokentrail.events.values import seconds

BATCH = 2_000
"""Records that are taken through all columns together: as many as the processor's caches hold."""
NOTIFICATION = "aws:s3"
"""The source of S3 event notifications, whose envelope looks like a log file's."""

Refusal = tuple[int | None, str | None, str]
"""Ordinal (`None`: the whole object), field (`None`: the whole record) and reason."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records, column by column: each of `Record`'s fields, their places in the object, their seconds."""

    fields: dict[str, tuple[Any, ...]]
    ordinals: Codes
    times: Moments


@dataclass(frozen=True, slots=True)
class Reading:
    """The records of one object, and what of it could not be read."""

    batches: Sequence[Batch]
    refusals: Sequence[Refusal] = ()


def read_object(data: bytes, *, whole: bool) -> Reading:
    """Read an object's expanded bytes; `whole` says that none are known to be missing."""
    if whole:
        return _quickly(data) or _carefully(data)
    return _carefully(data) if data else Reading(())


def _quickly(data: bytes) -> Reading | None:
    """Decode a whole object at once; `None` where one byte of it needs more care."""
    data = trim(data)
    for decode in _DECODERS.get(data[:1], ()):
        try:
            records = decode(data)
        except FAILURES:
            continue
        if records is None:
            continue
        batches = _whole(records)
        if batches is not None:
            return Reading(batches)
    return None


def _columns(records: list[Record]) -> Iterator[dict[str, tuple[Any, ...]]]:
    for at in range(0, len(records), BATCH):
        columns = zip(*map(astuple, records[at : at + BATCH]), strict=True)
        yield dict(zip(Record.__struct_fields__, columns, strict=True))


def _whole(records: list[Record]) -> list[Batch] | None:
    """The records in batches, if all of them have a name, an id and a time; `None` where one has not."""
    batches: list[Batch] = []
    for at, fields in zip(range(0, len(records), BATCH), _columns(records), strict=True):
        times = moments(fields["eventTime"])
        unusable = not all(fields["eventName"]) or not all(fields["eventID"])
        if times is None or unusable or NOTIFICATION in fields["eventSource"]:
            return None
        batches.append(Batch(fields, np.arange(at, at + len(times), dtype=np.int32), times))
    return batches


def _carefully(data: bytes) -> Reading:
    """Read record by record, noting each that can't be read and why."""
    records: list[Record] = []
    ordinals: list[int] = []
    times: list[int] = []
    refusals: list[Refusal] = []
    for ordinal, piece in enumerate(pieces(data)):
        outcome = piece.reason or read(piece.raw)
        if isinstance(outcome, str):
            refusals.append((ordinal if piece.raw else None, None, outcome))
            continue
        record, notes = outcome
        when = _placed(record)
        if isinstance(when, str):
            refusals.append((ordinal, None, when))
            continue
        if not record.eventID:
            record.eventID = "sha256:" + hashlib.sha256(_canonical(piece.raw)).hexdigest()
        refusals.extend((ordinal, name, why) for name, why in notes)
        records.append(record)
        ordinals.append(ordinal)
        times.append(when)
    batches = [
        Batch(
            fields, np.array(ordinals[at : at + BATCH], np.int32), np.array(times[at : at + BATCH], np.int64)
        )
        for at, fields in zip(range(0, len(records), BATCH), _columns(records), strict=True)
    ]
    return Reading(batches, refusals)


def _native(data: bytes) -> list[Record] | None:
    return decode_file(data).Records


def _single(data: bytes) -> list[Record]:
    return [decode_record(data)]


_DECODERS: dict[bytes, tuple[Callable[[bytes], list[Record] | None], ...]] = {
    b"{": (_native, decode_lines, _single),
    b"[": (decode_array,),
}


def _placed(record: Record) -> int | str:
    """When a record happened, in seconds; or why it can't be used."""
    if record.eventSource == NOTIFICATION:
        return "an S3 event notification, not a CloudTrail record"
    if record.eventTime is None:
        return "no eventTime: can't be placed in time" if record.eventName else "not a CloudTrail record"
    when = seconds(record.eventTime)
    return "eventTime can't be read" if when is None else when


def _canonical(raw: bytes) -> bytes:
    """The same bytes for the same record however it was laid out."""
    try:
        return msgspec.json.encode(msgspec.json.decode(raw), order="deterministic")
    except FAILURES:
        return raw
