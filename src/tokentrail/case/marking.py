"""
Mark the names of a case that a cluster links: which segments may hold which name (`store.index`).

Each task marks some segments, and the marks become layers. These layers hold marks alone, which answers need; the
reduced tables, which only a later ingest on one machine would use, are missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from tokentrail.case.linking import layer_of
from tokentrail.lineage.candidates import hashes
from tokentrail.store import layers as layering
from tokentrail.store.duck import DuckEngine
from tokentrail.store.index import marks_of
from tokentrail.store.interface import Snapshot
from tokentrail.store.repeats import OWNERS, Marks

TABLES = ("events", "identities", "issuances")
"""The tables that hold names."""
_ENOUGH = 100_000_000
"""Records from which on a layer is full: some 150 MB of marks, which are sorted in memory."""


class Marked(NamedTuple):
    """The names of some segments."""

    segments: Sequence[str]
    hashed: int
    """Which hash function was used (`hash_fingerprint`)."""
    marks: Marks
    """Sorted; a mark gives the position of its segment in `segments`."""


def marked(folders: Sequence[Path]) -> Marked:
    """Mark the names of some segments, by where their tables lie."""
    ordered = sorted(folders, key=lambda one: one.name)
    segments = [one.name for one in ordered]
    with closing(DuckEngine(threads=1, within={one.parent for one in ordered})) as engine:
        for name in TABLES:
            engine.segments(name, ordered)
        return Marked(
            segments, engine.hash_fingerprint(), marks_of(hashes(engine), layering.numbers(segments))
        )


def keep(into: Path, snapshot: Snapshot, found: Iterable[Marked]) -> None:
    """
    Write marks as layers into a derived folder of a snapshot.

    Marks by another hash function than this process has are left out: a search then reads their segments.
    """
    with closing(DuckEngine(threads=1)) as engine:
        hashed = engine.hash_fingerprint()
    records = {one.segment: sum(each.records for each in one.objects) for one in snapshot.manifests}
    layering.prepare(into)
    layers: list[layering.Layer] = []
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
    layering.write_layers(into, layers)


def _layer(
    into: Path, records: dict[str, int], hashed: int, parts: Sequence[tuple[Marks, Sequence[str]]]
) -> layering.Layer:
    layer = layer_of(records, (), records, hashed)
    return replace(layer, ends={layering.NAMES: layering.keep_marks(into, layering.NAMES, layer, parts)})
