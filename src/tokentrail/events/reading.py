"""
From an object's expanded bytes to its records: at once where all is well, else piece by piece.

Both ways give the same records in the same order; the careful one also says what is wrong with each.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np

from tokentrail.events.assemble import Codes, Moments, moments
from tokentrail.events.loose import FAILURES
from tokentrail.events.record import (
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

Refusal = tuple[int | None, str | None, str]
"""Ordinal (`None`: the whole object), field (`None`: the whole record) and reason."""


@dataclass(frozen=True, slots=True)
class Reading:
    """The records of one object, their places in it, their seconds; and what of it could not be read."""

    records: Sequence[Record]
    ordinals: Codes
    times: Moments
    refusals: Sequence[Refusal] = ()


def read_object(data: bytes, *, whole: bool) -> Reading:
    """Read an object's expanded bytes; `whole` says that none are known to be missing."""
    if whole:
        return _quickly(data) or _carefully(data)
    return _carefully(data) if data else Reading((), np.zeros(0, np.int32), np.zeros(0, np.int64))


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
        times = moments([record.eventTime for record in records])
        if times is not None and NOTIFICATION not in [record.eventSource for record in records]:
            return Reading(records, np.arange(len(records), dtype=np.int32), times)
    return None


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
    return Reading(records, np.array(ordinals, np.int32), np.array(times, np.int64), refusals)


def _native(data: bytes) -> Sequence[SoundRecord] | None:
    return decode_file(data).Records


def _single(data: bytes) -> Sequence[SoundRecord]:
    return [decode_one(data)]


_DECODERS: dict[bytes, tuple[Callable[[bytes], Sequence[SoundRecord] | None], ...]] = {
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
