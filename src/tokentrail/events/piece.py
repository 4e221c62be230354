"""
The places of an object, each of which an ordinal names: a record's bytes, or the reason why there is no record.

Carriers yield them one by one (`Piece`), or many at once (`Many`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

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


@dataclass(frozen=True, slots=True)
class Many:
    """Several places at once, each of which is expected to have a sound record."""

    texts: list[bytes]
    """The records as CloudTrail would write them, as far as our columns need."""
    carriers: frozenset[str]
    """What brought them; an empty name for CloudTrail's own shape."""
    carefully: Callable[[], Iterator[Found]]
    """Yields the same places one by one, which is needed if one of the texts is no sound record."""


Found: TypeAlias = Piece | Many


def flat(found: Iterable[Found]) -> Iterator[Piece]:
    """Yield every place on its own."""
    for one in found:
        if isinstance(one, Piece):
            yield one
        else:
            yield from flat(one.carefully())
