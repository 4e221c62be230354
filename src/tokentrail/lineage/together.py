"""Segments that are looked at together, so that no more is in memory at a time than of a small case."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.store.interface import Engine

_HELD = "SELECT segment, count(*) AS held FROM identities GROUP BY segment ORDER BY segment"


def together(engine: Engine, most: int) -> Iterator[list[int]]:
    """All segments in their order, as many at a time as hold about so many identities."""
    part: list[int] = []
    held = 0
    for row in engine.rows(_HELD):
        if part and held + row["held"] > most:
            yield part
            part, held = [], 0
        part.append(row["segment"])
        held += row["held"]
    if part:
        yield part
