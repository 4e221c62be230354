"""
Link a case by what is new in it: the segments that came since the last time are reduced, and the forest is grown anew
from what all segments were reduced to.

The forest is the same as if all had been worked out at once. Older records are read again only where one of them turns
up a second time: then its segment may count differently.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tokentrail.errors import CaseError, NoRoom
from tokentrail.lineage import adding, busy, increment
from tokentrail.lineage.candidates import hashes
from tokentrail.lineage.grow import (
    KEPT,
    KEYHOLDERS,
    LINKING,
    REDUCED,
    Grown,
    link,
    made_by,
    reductions,
    set_aside,
)
from tokentrail.lineage.later import LATER, is_grown, sizes
from tokentrail.lineage.touched import TooMuch
from tokentrail.store import layers as kept
from tokentrail.store.duck import DuckEngine
from tokentrail.store.folder import CaseFolder, segment_name
from tokentrail.store.index import Index, marks_of
from tokentrail.store.interface import Snapshot
from tokentrail.store.layers import Layer
from tokentrail.store.repeats import Beginnings, Marks, among, distinct, sorted_marks, twice

_TABLES = ("events", "identities", "issuances", "changes")
_FRESH = "fresh"
_REMOVED = """
CREATE TABLE removed_{name} AS
SELECT * FROM before_{name} WHERE {any} AND segment IN (SELECT segment FROM removed_segments)"""
_GIVEN_UP = (TooMuch, CaseError, OSError, ValueError, TypeError, LookupError, pa.ArrowException)
"""What ends a way to go on from what was derived: that may be tidied away by another process, damaged or another's."""
_WIDE = ("people", "issuing")
"""What is kept of records that takes the most room."""
_MANY = 100_000
"""Records from which on it takes less time, and less memory, to keep that and read it again than to have it at hand."""
_WORTH = 50_000
"""Credentials from which on an increment is added to a forest."""
Engines = Callable[[int], AbstractContextManager[DuckEngine]]
"""Lends an engine for so many records."""
RoomyEngines = Callable[[int, bool], AbstractContextManager[DuckEngine]]
"""The same, with the usual memory or with as much as may be had."""


@dataclass(frozen=True, slots=True)
class _Base:
    """Where earlier layers lie, and which of their segments still count."""

    folder: Path
    layers: tuple[Layer, ...] = ()

    def segments(self) -> set[str]:
        return {name for layer in self.layers for name in layer.records}

    def known(self, engine: DuckEngine, layers: Sequence[Layer], called: str) -> None:
        """Make what some layers hold known under names that begin so."""
        for name in KEPT:
            files = [(kept.table_file(self.folder, one, name), kept.numbers(one.gone)) for one in layers]
            engine.layered(f"{called}{name}", files)


def grown(folder: CaseFolder, snapshot: Snapshot, into: Path, engines: RoomyEngines) -> Grown:
    """
    Derive the forest of all evidence into a new folder, from what earlier ones hold as far as that goes.

    Raises:
        NoRoom: as much memory as may be had is not enough.
    """
    try:
        return _linked(folder, snapshot, into, lambda records: engines(records, False))
    except NoRoom:
        kept.clear(into)
        return _linked(folder, snapshot, into, lambda records: engines(records, True))


def _linked(folder: CaseFolder, snapshot: Snapshot, into: Path, engines: Engines) -> Grown:
    base = _newest(folder, snapshot)
    ways = [_added] if base.layers and _is_worth(base.folder) else []
    for way in [*ways, *([_grown] if base.layers else [])]:
        try:
            return way(snapshot, into, engines, base)
        except NoRoom:  # from nothing it would need no less
            raise
        except _GIVEN_UP:
            kept.clear(into)
    return _grown(snapshot, into, engines, _Base(into))


def _newest(folder: CaseFolder, snapshot: Snapshot) -> _Base:
    """The derived folder whose layers hold the most of a snapshot's segments."""
    best = _Base(folder.path)
    for derived in folder.all_derived(f"-{LINKING}"):
        layers = (layer.narrowed(snapshot.folders.keys()) for layer in kept.listed(derived))
        found = _Base(derived, tuple(layer for layer in layers if layer.needed(snapshot.folders.keys())))
        if len(found.segments()) > len(best.segments()) and kept.can_be_linked(derived, found.layers):
            best = found
    return best


def _is_worth(derived: Path) -> bool:
    """Whether adding to a forest takes less than linking all: of a small one, its hundred questions take longer."""
    try:
        grown = grown_to(derived)
        first, since = sizes(derived)
    except (CaseError, OSError, ValueError, RecursionError):
        return False
    whole = grown.added == is_grown(derived) and not grown.rings  # where a ring is cut, all of it must tell
    return whole and first >= _WORTH and since <= adding.SHARE * first


def grown_to(derived: Path) -> Grown:
    """
    How large a forest came out, as is noted beside it.

    Raises:
        OSError: nothing is noted.
        ValueError: it can't be read, ...
        RecursionError: ... however deep it goes.
    """
    return msgspec.json.decode((derived / "grown.json").read_bytes(), type=Grown)


def _added(snapshot: Snapshot, into: Path, engines: Engines, base: _Base) -> Grown:
    """
    Link what new segments touch, beside what was linked before.

    Raises:
        TooMuch: all had better be linked.
    """
    fresh = snapshot.folders.keys() - base.segments()
    if not fresh:
        raise TooMuch("nothing is new")
    records = _records_of(snapshot, snapshot.folders.keys())
    kept.prepare(into)
    with engines(records) as engine:
        first, again = _reduced(engine, snapshot, into, base, fresh, "all_")
        _know_removed(engine, base, again)
        index = Index(into, snapshot.folders.keys(), engine.way_of_hashing())
        before = grown_to(base.folder)
        grown = adding.add(engine, base.folder, into, first, records, before, partial(_naming, index))
    for name in LATER:
        kept.linked(base.folder / f"{name}.parquet", into / f"{name}.parquet")
    for path in (
        busy.files(base.folder) if not again else ()
    ):  # else some of what was rolled up counts no more
        kept.linked(path, into / path.name)
    return grown


def _naming(index: Index, hashed: pa.Table) -> set[int]:
    """The segments that may hold names of some hashes."""
    return set(kept.numbers(index.of_names(hashed["hashed"].to_numpy())))


def _know_removed(engine: DuckEngine, base: _Base, again: Set[str]) -> None:
    """Know what the earlier forest was linked from and that counts no more, or is among what is new."""
    before = kept.listed(base.folder)
    stay = base.segments() - again
    removed = kept.numbers({name for layer in before for name in layer.records} - stay)
    engine.register("removed_segments", pa.table({"segment": pa.array(removed, pa.int64())}))
    base.known(engine, before, "before_")
    for name in REDUCED:
        engine.run(_REMOVED.format(name=name, any="TRUE" if removed else "FALSE"))


def _grown(snapshot: Snapshot, into: Path, engines: Engines, base: _Base) -> Grown:
    fresh = snapshot.folders.keys() - base.segments()
    records = _records_of(snapshot, snapshot.folders.keys())
    kept.prepare(into)
    with engines(records) as engine:
        if fresh or not base.layers:
            first, _ = _reduced(engine, snapshot, into, base, fresh)
        else:
            first = _taken_over(engine, base, into, base.layers)
            kept.listing(into, base.layers)
        return link(engine, into, first, records)


def _taken_over(
    engine: DuckEngine, base: _Base, into: Path, layers: Sequence[Layer], *beside: str, called: str = ""
) -> list[str]:
    """Statements that make known what older layers hold, together with tables whose names begin like those `beside`."""
    kept.take_over(base.folder, into, layers)
    if layers:
        _Base(into).known(engine, layers, "kept_")
    return increment.known((*beside, "kept_") if layers else beside, called)


def _reduced(
    engine: DuckEngine, snapshot: Snapshot, into: Path, base: _Base, fresh: Set[str], called: str = ""
) -> tuple[list[str], Set[str]]:
    """
    Statements that reduce new segments, and older ones whose records turn up again, and keep that as a layer.

    What they make of few is linked as it stands in memory, while the layer is written; of many, what is written is read
    again. Answers those older segments, too.
    """
    again = _set_aside(engine, snapshot, into, base, fresh)
    rest = [one.without(again) for one in base.layers]
    records = {name: _records(_events(snapshot, name)) for name in fresh | again}
    taken = kept.absorbed(rest, sum(records.values()))
    rest = [layer for layer in rest if layer not in taken]
    new = together(records, taken, fresh, 0 if engine.small else engine.way_of_hashing())
    beside = ["new_"]
    if taken:
        base.known(engine, taken, "older_")
        beside.append("older_")
    ends = {kept.IDS: kept.merge_marks(into, kept.IDS, _FRESH, sorted(fresh), new, base.folder, taken)}
    listed = [*reductions(engine), KEYHOLDERS]
    files = {name: kept.table_file(into, new, name) for name in KEPT}
    wide = {}
    if new.size >= _MANY and not taken:  # else a file holds what is of older segments, too
        wide = {f"new_{name}": files.pop(name) for name in _WIDE}
    names = partial(_keep_names, engine, snapshot, into, base, fresh, again, new, taken)
    if wide and new.hashed and not again and engine.beside:
        with ThreadPoolExecutor(1) as pool:
            marked = pool.submit(_apart, engine, names)
            listed = _filed(engine, listed, wide)
        ends[kept.NAMES] = marked.result()
    else:
        if new.hashed:
            ends[kept.NAMES] = names()
        listed = _filed(engine, listed, wide) if wide else listed
    kept.listing(into, [*rest, replace(new, ends=ends)])
    keep = [engine.writing(increment.rows(name, beside), path) for name, path in files.items()]
    return [*listed, *keep, *_taken_over(engine, base, into, rest, *beside, called=called)], again


def _apart(engine: DuckEngine, work: Callable[[], tuple[int, int, int]]) -> tuple[int, int, int]:
    with engine.apart():
        return work()


def _filed(engine: DuckEngine, listed: Sequence[str], files: Mapping[str, Path]) -> list[str]:
    """Run the statements that reduce many records: some of the tables go to files, and are read from there."""
    for one in listed:
        made = made_by(one)
        if made and made[1] in files:
            engine.run(engine.writing(one.partition(" AS")[2], files[made[1]]))
            engine.layered(made[1], [(files[made[1]], ())])
        else:
            engine.run(one)
    for made in map(made_by, listed):
        if made and not made[1].startswith("new_"):
            engine.run(f"DROP {made[0]} {made[1]}")
    return []


def _keep_names(
    engine: DuckEngine,
    snapshot: Snapshot,
    into: Path,
    base: _Base,
    fresh: Set[str],
    again: Set[str],
    new: Layer,
    taken: Sequence[Layer],
) -> tuple[int, int, int]:
    """
    Keep which segments of a layer may hold which name, also for those of a small case that nobody marked.

    The engine knows the segments that are fresh or reduced again, and knows them afterwards.
    """
    known = [
        one for one in taken if one.hashed == new.hashed and kept.has_marks(base.folder, one, kept.NAMES)
    ]
    unmarked = {name for layer in taken if layer not in known for name in layer.ids}
    segments = sorted(fresh | (unmarked & snapshot.folders.keys()))
    differ = set(segments) != fresh | again
    if differ:
        _know(engine, snapshot, segments)
    names = marks_of(hashes(engine), kept.numbers(segments))
    if differ:
        _know(engine, snapshot, fresh | again)
    kept.write_marks(into, _FRESH, kept.NAMES, [names])
    return kept.merge_marks(into, kept.NAMES, _FRESH, segments, new, base.folder, known)


def _set_aside(engine: DuckEngine, snapshot: Snapshot, into: Path, base: _Base, fresh: Set[str]) -> Set[str]:
    """Know new segments, and what is set aside in them; answers the older ones that this changes, known too."""
    _know(engine, snapshot, fresh)
    ids = sorted_marks([_events(snapshot, name) for name in sorted(fresh)])
    marks = kept.write_marks(into, _FRESH, kept.IDS, ids)
    sought, where = _sought(base, marks)
    where &= snapshot.folders.keys() - fresh
    if where:
        _know(engine, snapshot, fresh | where)
    engine.register("suspects", among([_events(snapshot, name) for name in fresh | where], sought))
    set_aside(engine)
    if not where:
        return set()
    base.known(engine, base.layers, "older_")
    changed = increment.set_aside_anew(engine, kept.numbers(fresh))
    again = {segment_name(one) for one in changed}
    _know(engine, snapshot, fresh | again)
    return again


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


def _sought(base: _Base, marks: Marks) -> tuple[Beginnings, set[str]]:
    """What ids begin with that may occur more than once, and the older segments that may hold some."""
    same, where = kept.met(base.folder, base.layers, marks)
    return distinct(np.concatenate([twice(marks), same])), where


def together(records: dict[str, int], taken: Sequence[Layer], fresh: Iterable[str], hashed: int) -> Layer:
    """A layer of what was just reduced and of those that it takes in, without their marks."""
    every = dict(records)
    for layer in taken:
        every |= layer.records
    name = hashlib.sha256("\n".join(sorted(every)).encode()).hexdigest()[:16]
    ids = {*fresh, *(one for layer in taken for one in layer.ids)}
    return Layer(name, every, (), tuple(sorted(ids)), hashed)
