"""
Link a case by what is new in it: the segments that came since the last time are reduced, and the forest is grown anew
from what all segments were reduced to.

The forest is the same as if all had been worked out at once. Older records are read again only where one of them turns
up a second time: then its segment may count differently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from tokentrail.errors import CaseError
from tokentrail.lineage import increment
from tokentrail.lineage.grow import LINKING, Grown, link, reduce, set_aside
from tokentrail.store import layers as kept
from tokentrail.store.duck import DuckEngine
from tokentrail.store.folder import CaseFolder, segment_name
from tokentrail.store.interface import Snapshot
from tokentrail.store.layers import Layer
from tokentrail.store.repeats import Halves, among, sorted_halves, twice

_TABLES = ("events", "identities", "issuances", "changes")
_FRESH = "fresh"
Engines = Callable[[int], DuckEngine]
"""Opens an engine for so many records."""


@dataclass(frozen=True, slots=True)
class _Base:
    """Where earlier layers lie, and which of their segments still count."""

    folder: Path
    layers: tuple[Layer, ...] = ()

    def segments(self) -> set[str]:
        return {name for layer in self.layers for name in layer.records}

    def known(self, engine: DuckEngine, layers: Sequence[Layer], called: str) -> None:
        """Make what some layers hold known under names that begin so."""
        for name in increment.KEPT:
            files = [(kept.table_file(self.folder, one, name), increment.numbers(one.gone)) for one in layers]
            engine.layered(f"{called}{name}", files)


def grown(folder: CaseFolder, snapshot: Snapshot, into: Path, engines: Engines) -> Grown:
    """Derive the forest of all evidence into a new folder, from what earlier ones hold as far as that goes."""
    base = _newest(folder, snapshot)
    if base.layers:
        try:
            return _grown(snapshot, into, engines, base)
        except (
            CaseError,
            OSError,
            ValueError,
        ):  # tidied away by another process, or damaged: it is only derived
            kept.clear(into)
    return _grown(snapshot, into, engines, _Base(into))


def _newest(folder: CaseFolder, snapshot: Snapshot) -> _Base:
    """The derived folder whose layers hold the most of a snapshot's segments."""
    best = _Base(folder.path)
    for derived in folder.all_derived(f"-{LINKING}"):
        layers = (layer.narrowed(snapshot.folders.keys()) for layer in kept.listed(derived))
        found = _Base(derived, tuple(layer for layer in layers if layer.needed(snapshot.folders.keys())))
        if len(found.segments()) > len(best.segments()):
            best = found
    return best


def _grown(snapshot: Snapshot, into: Path, engines: Engines, base: _Base) -> Grown:
    held = base.segments()
    fresh = {name for name in snapshot.folders if name not in held}
    kept.prepare(into)
    rest: Sequence[Layer] = base.layers
    added: list[Layer] = []
    if fresh or not rest:
        rest, new = _reduced(snapshot, into, engines, base, fresh)
        added = [new]
    kept.take_over(base.folder, into, rest)
    kept.listing(into, [*rest, *added])
    size = sum(layer.size for layer in (*rest, *added))
    engine = engines(size)
    try:
        _Base(into).known(engine, [*rest, *added], "")
        return link(engine, into, size - increment.count(engine, "losers"))
    finally:
        engine.close()


def _reduced(
    snapshot: Snapshot, into: Path, engines: Engines, base: _Base, fresh: set[str]
) -> tuple[list[Layer], Layer]:
    """Reduce new segments, and older ones whose records turn up again, to a layer; answers the others, and this one."""
    engine = engines(_records_of(snapshot, fresh))
    try:
        _know(engine, snapshot, fresh)
        ids = kept.write_halves(into, _FRESH, sorted_halves([_events(snapshot, name) for name in fresh]))
        sought, where = _sought(base, ids)
        where &= snapshot.folders.keys() - fresh
        if where:
            _know(engine, snapshot, fresh | where)
        engine.register("suspects", among([_events(snapshot, name) for name in fresh | where], sought))
        set_aside(engine)
        again: set[str] = set()
        if where:
            base.known(engine, base.layers, "older_")
            changed = increment.set_aside_anew(engine, increment.numbers(fresh))
            again = {segment_name(one) for one in changed}
            _know(engine, snapshot, fresh | again)
        reduce(engine)
        rest = [one.without(again) for one in base.layers]
        records = {name: _records(_events(snapshot, name)) for name in fresh | again}
        taken = kept.absorbed(rest, sum(records.values()))
        new = _together(records, taken, fresh)
        if taken:
            base.known(engine, taken, "older_")
        for name in increment.KEPT:
            engine.write(increment.rows(name, together=bool(taken)), kept.table_file(into, new, name))
        kept.merge_halves(into, _FRESH, new, base.folder, taken)
        return [layer for layer in rest if layer not in taken], new
    finally:
        engine.close()


def _records_of(snapshot: Snapshot, segments: Set[str]) -> int:
    """Records of some segments, as their manifests say."""
    return sum(each.records for one in snapshot.manifests if one.segment in segments for each in one.objects)


def _know(engine: DuckEngine, snapshot: Snapshot, segments: Iterable[str]) -> None:
    folders = [snapshot.folders[name] for name in sorted(segments)]
    for name in _TABLES:
        engine.segments(name, folders)


def _events(snapshot: Snapshot, segment: str) -> Path:
    return snapshot.folders[segment] / "events.parquet"


def _records(file: Path) -> int:
    return int(pq.read_metadata(file).num_rows)


def _sought(base: _Base, ids: Halves) -> tuple[Halves, set[str]]:
    """Halves of ids that may occur more than once, and the older segments that may hold some."""
    same, where = kept.met(base.folder, base.layers, ids)
    return np.unique(np.concatenate([twice(ids), same])), where


def _together(records: dict[str, int], taken: Sequence[Layer], fresh: Iterable[str]) -> Layer:
    """A layer of what was just reduced and of those that it takes in."""
    every = dict(records)
    for layer in taken:
        every |= layer.records
    name = hashlib.sha256("\n".join(sorted(every)).encode()).hexdigest()[:16]
    ids = {*fresh, *(one for layer in taken for one in layer.ids)}
    return Layer(name, every, (), tuple(sorted(ids)))
