"""What a carrier gives for one place in it: a record's bytes, or the reason why there is none."""

from __future__ import annotations

import msgspec

from tokentrail.events.record import SoundRecord


class Piece(msgspec.Struct, gc=False):
    """One record's bytes, or the reason why there is none at this place."""

    raw: bytes
    """The record as CloudTrail would write it."""
    reason: str | None = None
    carrier: str = ""
    """What brought it, by a name of `carriers.lost`; empty for CloudTrail's own shape."""
    record: SoundRecord | None = None
    """The decoded record, where whoever cut the piece had to decode it anyhow."""
    carried: bytes = b""
    """The same as the carrier held it, where that is not `raw`: JSON."""
