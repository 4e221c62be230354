"""
Derive the forest of a case, reading only what is new since the last time.

Each segment is reduced once to the rows that linking needs (`lineage.link.REDUCED`), which are kept in layers
(`store.layers`). After an ingest only the new segments are reduced. The forest is then either the stored one with the
new rows added (`_add`), or linked from the layers of all segments (`_link_all`); both give the same forest. An older
segment is reduced again only if a new record repeats one of its event ids, since another copy may then be the one that
counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tokentrail.errors import CaseError, NoRoom
from tokentrail.lineage import activity_cache, increment, segment_tables
from tokentrail.lineage.affected_rows import TooMuch
from tokentrail.lineage.candidates import hashes
from tokentrail.lineage.link import (
    KEPT,
    KEYHOLDERS,
    LINKING,
    REDUCED,
    ForestSize,
    link_reduced,
    made_by,
    reductions,
    set_aside,
)
from tokentrail.store import layers as layering
from tokentrail.store.duck import DuckEngine
from tokentrail.store.duplicate_ids import Beginnings, Marks, among, distinct, sorted_marks, twice
from tokentrail.store.folder import CaseFolder, segment_name
from tokentrail.store.index import Index, marks_of
from tokentrail.store.interface import Snapshot
from tokentrail.store.layers import Layer
from tokentrail.store.tidying import DATABASE

_TABLES = ("events", "identities", "issuances", "changes")
_FRESH = "fresh"
_REMOVED = """
CREATE TABLE removed_{name} AS
SELECT * FROM before_{name} WHERE segment IN (SELECT segment FROM removed_segments)"""
_NONE_REMOVED = "CREATE TABLE removed_{name} AS SELECT * FROM new_{name} LIMIT 0"
_FALL_BACK_ON = (TooMuch, CaseError, OSError, ValueError, pa.ArrowException)
"""Errors after which less is built on what was derived before: it may be removed meanwhile, damaged, or foreign."""
_LARGE = ("people", "issuing")
"""Reduced tables that take the most room."""
_FILED_FROM = 100_000
"""Records from which on it is quicker, and takes less memory, to write these tables to files and read them there."""
_ADDED_FROM = 50_000
"""Credentials of a forest from which on new rows are added to it; a smaller one is linked anew, which is quicker."""
Engines = Callable[[int], AbstractContextManager[DuckEngine]]
"""Lends an engine that suits a number of records."""
_Made = TypeVar("_Made")
RoomyEngines = Callable[[int, bool], AbstractContextManager[DuckEngine]]
"""The same; the flag asks for as much memory as the machine allows instead of the usual limit."""


@dataclass(frozen=True, slots=True)
class _Base:
    """An earlier derived folder, and those of its layers that still count."""

    folder: Path
    layers: tuple[Layer, ...] = ()

    def segments(self) -> set[str]:
        return {name for layer in self.layers for name in layer.records}

    def register(self, engine: DuckEngine, layers: Sequence[Layer], prefix: str) -> None:
        """Register the tables of some layers with an engine, each under its name with a prefix."""
        for name in KEPT:
            files = [
                (layering.table_file(self.folder, one, name), layering.numbers(one.gone)) for one in layers
            ]
            engine.layered(f"{prefix}{name}", files)


def derive(
    folder: CaseFolder, snapshot: Snapshot, into: Path, engines: RoomyEngines, *, reuse: bool = True
) -> ForestSize:
    """
    Derive the forest of all evidence into a new folder, reusing what earlier folders hold unless `reuse` is false.

    Raises:
        NoRoom: even all the memory that the engine may take is not enough.
    """
    try:
        return _derive(folder, snapshot, into, lambda records: engines(records, False), reuse)
    except NoRoom:
        layering.clear(into)
        return _derive(folder, snapshot, into, lambda records: engines(records, True), reuse)


def _derive(folder: CaseFolder, snapshot: Snapshot, into: Path, engines: Engines, reuse: bool) -> ForestSize:
    base = _best_base(folder, snapshot) if reuse else _Base(into)
    reusing = [_add] if base.layers and _worth_adding_to(base.folder) else []
    reusing += [_link_all] if base.layers else []
    for way in reusing:
        try:
            return way(snapshot, into, engines, base)
        except NoRoom:  # without reuse it would need no less
            raise
        except _FALL_BACK_ON:
            layering.clear(into)
    return _link_all(snapshot, into, engines, _Base(into))


def _best_base(folder: CaseFolder, snapshot: Snapshot) -> _Base:
    """The derived folder whose layers cover the most segments of a snapshot; empty where none can be reused."""
    best = _Base(folder.path)
    for derived in folder.all_derived(f"-{LINKING}"):
        layers = (layer.narrowed(snapshot.folders.keys()) for layer in layering.read_layers(derived))
        found = _Base(derived, tuple(layer for layer in layers if layer.needed(snapshot.folders.keys())))
        if len(found.segments()) > len(best.segments()) and layering.can_be_linked(derived, found.layers):
            best = found
    return best


def _worth_adding_to(derived: Path) -> bool:
    """Whether adding to a forest is quicker than linking all: it costs some hundred queries whatever the size."""
    try:
        size = read_size(derived)
    except (OSError, ValueError, RecursionError):
        return False
    if size.rings or not (derived / DATABASE).exists():  # where a ring is cut depends on all of it
        return False
    return size.credentials >= _ADDED_FROM and size.added <= increment.SHARE * size.credentials


def read_size(derived: Path) -> ForestSize:
    """
    The size of a derived forest, from the file beside its tables.

    Raises:
        OSError: there is no such file.
        ValueError: it is not what was written there.
        RecursionError: the same, of JSON that is nested too deeply.
    """
    return msgspec.json.decode((derived / "grown.json").read_bytes(), type=ForestSize)


def _add(snapshot: Snapshot, into: Path, engines: Engines, base: _Base) -> ForestSize:
    """
    Add new segments to an earlier forest: only the credentials that they touch are linked again.

    Raises:
        TooMuch: so much is touched that linking all is quicker, or what is touched can't be told apart.
    """
    fresh = snapshot.folders.keys() - base.segments()
    if not fresh:
        raise TooMuch("nothing is new")
    records = records_of(snapshot)
    layering.prepare(into)
    with engines(records) as engine:
        first, again = _reduced(engine, snapshot, into, base, fresh, "all_")
        first = [*first, *_removed(engine, base, again)]
        index = Index(into, snapshot.folders.keys(), engine.hash_fingerprint())
        before = read_size(base.folder)
        size = increment.add(
            engine, base.folder, into, first, records, before, partial(_segments_naming, index)
        )
    for path in (
        [] if again else activity_cache.files(base.folder)
    ):  # they may count records of segments reduced again
        layering.hard_link(path, into / path.name)
    return size


def _segments_naming(index: Index, hashed: pa.Table) -> set[int]:
    """The numbers of the segments that may hold names with some hashes."""
    return set(layering.numbers(index.of_names(hashed["hashed"].to_numpy())))


def _removed(engine: DuckEngine, base: _Base, again: Set[str]) -> list[str]:
    """
    Make `removed_segments`: which of the earlier forest no longer count or were reduced again.

    Returns:
        The statements that make `removed_...`, the reduced rows of these; others may run beside.
    """
    before = layering.read_layers(base.folder)
    stay = base.segments() - again
    removed = layering.numbers({name for layer in before for name in layer.records} - stay)
    engine.register("given_segments", pa.table({"segment": pa.array(removed, pa.int64())}))
    engine.run("CREATE TABLE removed_segments AS SELECT * FROM given_segments")  # which every connection sees
    if removed:
        base.register(engine, before, "before_")
    return [(_REMOVED if removed else _NONE_REMOVED).format(name=name) for name in REDUCED]


def _link_all(snapshot: Snapshot, into: Path, engines: Engines, base: _Base) -> ForestSize:
    """Link all segments: new ones are reduced, older ones come from the layers of `base`."""
    fresh = snapshot.folders.keys() - base.segments()
    records = records_of(snapshot)
    layering.prepare(into)
    again: Set[str] = set()
    with engines(records) as engine:
        if fresh or not base.layers:
            first, again = _reduced(engine, snapshot, into, base, fresh)
        else:
            first = _take_over(engine, base, into, base.layers)
            layering.write_layers(into, base.layers)
        size = link_reduced(engine, into, first, records)
        before = base.folder / DATABASE
        if base.layers and before.exists():
            segment_tables.carry_over(
                engine, into / DATABASE, before, layering.numbers(base.segments() - again)
            )
        return size


def _take_over(
    engine: DuckEngine, base: _Base, into: Path, layers: Sequence[Layer], *beside: str, called: str = ""
) -> list[str]:
    """Carry older layers over to a new folder. Returns the statements that join them with the tables named `beside`."""
    layering.take_over(base.folder, into, layers)
    if layers:
        _Base(into).register(engine, layers, "kept_")
    return increment.all_segments((*beside, "kept_") if layers else beside, called)


def _reduced(
    engine: DuckEngine, snapshot: Snapshot, into: Path, base: _Base, fresh: Set[str], called: str = ""
) -> tuple[list[str], Set[str]]:
    """
    Reduce the new segments, and older ones of which a new record repeats an event id, into a new layer.

    The layer takes in small older ones (`absorbed`), so that a case that grows by small ingests has few layers.
    Reductions of few records are linked from memory while the layer is written; those of many are written first and
    read back.

    Args:
        engine: An engine that knows nothing yet.
        snapshot: The case.
        into: The new derived folder.
        base: What was derived before.
        fresh: Names of the segments that are not in `base`.
        called: What the names of the tables of all segments begin with.

    Returns:
        The statements that make the reduced tables of all segments, and the older segments that were reduced again.
    """
    again = _find_repeats(engine, snapshot, into, base, fresh)
    rest = [one.without(again) for one in base.layers]
    records = {name: _records(_events(snapshot, name)) for name in fresh | again}
    taken = layering.taken_in(rest, sum(records.values()))
    rest = [layer for layer in rest if layer not in taken]
    new = layer_of(records, taken, fresh, 0 if engine.small else engine.hash_fingerprint())
    beside = ["new_"]
    if taken:
        base.register(engine, taken, "older_")
        beside.append("older_")
    ends = {
        layering.IDS: layering.merge_marks(into, layering.IDS, _FRESH, sorted(fresh), new, base.folder, taken)
    }
    listed = [*reductions(engine), KEYHOLDERS]
    files = {name: layering.table_file(into, new, name) for name in KEPT}
    wide = {}
    if new.size >= _FILED_FROM and not taken:  # else a file holds what is of older segments, too
        wide = {f"new_{name}": files.pop(name) for name in _LARGE}
    names = partial(_keep_names, engine, snapshot, into, base, fresh, again, new, taken)
    if wide and new.hashed and not again and engine.beside:
        with ThreadPoolExecutor(1) as pool:
            marked = pool.submit(_in_own_cursor, engine, names)
            listed = _reduce_to_files(engine, listed, wide)
        ends[layering.NAMES] = marked.result()
    else:
        if new.hashed:
            ends[layering.NAMES] = names()
        listed = _reduce_to_files(engine, listed, wide) if wide else listed
    layering.write_layers(into, [*rest, replace(new, ends=ends)])
    keep = [engine.writing(increment.union_of(name, beside), path) for name, path in files.items()]
    return [*listed, *keep, *_take_over(engine, base, into, rest, *beside, called=called)], again


def _in_own_cursor(engine: DuckEngine, work: Callable[[], _Made]) -> _Made:
    with engine.apart():
        return work()


def _reduce_to_files(engine: DuckEngine, listed: Sequence[str], files: Mapping[str, Path]) -> list[str]:
    """Run the statements that reduce many records; the tables that `files` names are written there and read back."""
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
    Write the marks of a new layer: which of its segments may hold which name (see `store.index`).

    A small case has layers without marks; their segments are marked here too, once they become part of this layer.
    On entry and on return the engine knows the segments that are new or reduced again.
    """
    known = [
        one
        for one in taken
        if one.hashed == new.hashed and layering.has_marks(base.folder, one, layering.NAMES)
    ]
    unmarked = {name for layer in taken if layer not in known for name in layer.ids}
    segments = sorted(fresh | (unmarked & snapshot.folders.keys()))
    differ = set(segments) != fresh | again
    if differ:
        _register(engine, snapshot, segments)
    names = marks_of(hashes(engine), layering.numbers(segments))
    if differ:
        _register(engine, snapshot, fresh | again)
    layering.write_marks(into, _FRESH, layering.NAMES, [names])
    return layering.merge_marks(into, layering.NAMES, _FRESH, segments, new, base.folder, known)


def _find_repeats(
    engine: DuckEngine, snapshot: Snapshot, into: Path, base: _Base, fresh: Set[str]
) -> Set[str]:
    """
    Set aside the repeated records of new segments (`new_duplicates`), and find the older segments that this changes.

    The engine then knows the tables of the new segments and of these older ones.

    Returns:
        The names of the older segments whose records may count differently now.
    """
    _register(engine, snapshot, fresh)
    ids = sorted_marks([_events(snapshot, name) for name in sorted(fresh)])
    marks = layering.write_marks(into, _FRESH, layering.IDS, ids)
    sought, where = _suspects(base, marks)
    where &= snapshot.folders.keys() - fresh
    if where:
        _register(engine, snapshot, fresh | where)
    engine.register("suspects", among([_events(snapshot, name) for name in fresh | where], sought))
    set_aside(engine)
    if not where:
        return set()
    base.register(engine, base.layers, "older_")
    changed = increment.set_aside_anew(engine, layering.numbers(fresh))
    again = {segment_name(one) for one in changed}
    _register(engine, snapshot, fresh | again)
    return again


def records_of(snapshot: Snapshot, segments: Set[str] | None = None) -> int:
    """Records of some segments, or of all, as their manifests say."""
    told = (one for one in snapshot.manifests if segments is None or one.segment in segments)
    return sum(each.records for one in told for each in one.objects)


def _register(engine: DuckEngine, snapshot: Snapshot, segments: Iterable[str]) -> None:
    folders = [snapshot.folders[name] for name in sorted(segments)]
    for name in _TABLES:
        engine.segments(name, folders)


def _events(snapshot: Snapshot, segment: str) -> Path:
    return snapshot.folders[segment] / "events.parquet"


def _records(file: Path) -> int:
    return int(pq.read_metadata(file).num_rows)


def _suspects(base: _Base, marks: Marks) -> tuple[Beginnings, set[str]]:
    """The beginnings of event ids that may occur more than once, and the older segments that may hold one of them."""
    same, where = layering.shared_ids(base.folder, base.layers, marks)
    return distinct(np.concatenate([twice(marks), same])), where


def layer_of(records: dict[str, int], taken: Sequence[Layer], fresh: Iterable[str], hashed: int) -> Layer:
    """The description of a layer of the given segments and of older layers that it takes in; it has no marks yet."""
    every = dict(records)
    for layer in taken:
        every |= layer.records
    name = hashlib.sha256("\n".join(sorted(every)).encode()).hexdigest()[:16]
    ids = {*fresh, *(one for layer in taken for one in layer.ids)}
    return Layer(name, every, (), tuple(sorted(ids)), hashed)
