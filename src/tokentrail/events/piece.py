"""What a carrier gives for one place in it: a record's bytes, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

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


@dataclass(frozen=True, slots=True)
class Many:
    """Some places at once, each of which holds a sound record unless a look at its text says otherwise."""

    texts: list[bytes]
    """The records, as CloudTrail would write them as far as our columns go."""
    carriers: frozenset[str]
    """What brought them; an empty name for CloudTrail's own shape."""
    carefully: Callable[[], Iterator[Found]]
    """Cuts the same places one by one, for when one of the texts is no sound record."""


Found: TypeAlias = Piece | Many


def flat(found: Iterable[Found]) -> Iterator[Piece]:
    """Yield every place on its own."""
    for one in found:
        if isinstance(one, Piece):
            yield one
        else:
            yield from flat(one.carefully())
