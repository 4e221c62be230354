"""The places of an object, each of which an ordinal names: a record's bytes, or the reason why there is no record."""

from __future__ import annotations

import msgspec

from tokentrail.events.record import SoundRecord


class Piece(msgspec.Struct, gc=False):
    """One place: a record's bytes, or the reason why there is no record."""

    raw: bytes
    """The record as CloudTrail would write it."""
    reason: str | None = None
    carrier: str = ""
    """What brought it, by a name of `carriers.lost`; empty for CloudTrail's own shape."""
    record: SoundRecord | None = None
    """The record decoded, if that was done already."""
    carried: bytes = b""
    """What the carrier had in its place, as JSON; empty where that is `raw`."""
