"""
Which segments may hold which name, of a case that others link: each task marks some segments, and the marks become
layers.

These have no more than that: answers need the marks, and only who goes on from what was linked needs the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tokentrail.case.linking import together
from tokentrail.lineage.candidates import hashes
from tokentrail.store import layers as kept
from tokentrail.store.duck import DuckEngine
from tokentrail.store.index import marks_of
from tokentrail.store.interface import Snapshot
from tokentrail.store.repeats import OWNERS, Marks

TABLES = ("events", "identities", "issuances")
"""What names stand in."""
_ENOUGH = 100_000_000
"""Records of a layer: some 150 MB of marks, which are put in order at once."""


class Marked(NamedTuple):
    """The names of some segments."""

    segments: Sequence[str]
    hashed: int
    """By what the engine that hashed them is told from others."""
    marks: Marks
    """Sorted; the segments go by their places."""


def marked(folders: Sequence[Path]) -> Marked:
    """Mark the names of some segments, by where their tables lie."""
    ordered = sorted(folders, key=lambda one: one.name)
    segments = [one.name for one in ordered]
    with closing(DuckEngine(threads=1)) as engine:
        for name in TABLES:
            engine.segments(name, ordered)
        return Marked(segments, engine.way_of_hashing(), marks_of(hashes(engine), kept.numbers(segments)))


def keep(into: Path, snapshot: Snapshot, found: Iterable[Marked]) -> None:
    """
    Keep marks beside what was derived of the segments of a snapshot.

    Those of an engine that hashes otherwise than this process's are left out: their segments are looked through.
    """
    with closing(DuckEngine(threads=1)) as engine:
        hashed = engine.way_of_hashing()
    records = {one.segment: sum(each.records for each in one.objects) for one in snapshot.manifests}
    kept.prepare(into)
    layers: list[kept.Layer] = []
    waiting: dict[str, int] = {}
    parts: list[tuple[Marks, Sequence[str]]] = []
    for one in found:
        if one.hashed != hashed:
            continue
        if waiting and (len(waiting) + len(one.segments) > OWNERS or sum(waiting.values()) >= _ENOUGH):
            layers.append(_layer(into, waiting, hashed, parts))
            waiting, parts = {}, []
        waiting |= {name: records[name] for name in one.segments}
        parts.append((one.marks, one.segments))
    if waiting:
        layers.append(_layer(into, waiting, hashed, parts))
    kept.listing(into, layers)


def _layer(
    into: Path, records: dict[str, int], hashed: int, parts: Sequence[tuple[Marks, Sequence[str]]]
) -> kept.Layer:
    layer = together(records, (), records, hashed)
    return replace(layer, ends={kept.NAMES: kept.keep_marks(into, kept.NAMES, layer, parts)})
