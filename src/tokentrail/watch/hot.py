"""
The evidence that is linked and judged with each new batch, in memory: the newest whole, and what is carried and
recalled of older one. `held` says which.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tokentrail.detection.reading import Place
from tokentrail.errors import CaseError
from tokentrail.store.folder import CaseFolder, segment_name
from tokentrail.store.in_memory import MemoryEngine
from tokentrail.store.interface import StoredObject
from tokentrail.store.records import records
from tokentrail.store.tidying import SPILL
from tokentrail.watch.intake import SCHEMAS, TABLES, Tables
from tokentrail.watch.recollection import Recalled

_CHUNKS = 48
_LOOKS = 200
"""Looks after which an engine gives way to a new one: of each table that was dropped DuckDB keeps some bytes for as
long as it is open, which in an hour came to two hundred megabytes (`duckdb_eviction_queues()`)."""


@dataclass(slots=True)
class _Chunk:
    segments: frozenset[int]
    tables: Tables


class HotSet:
    """The newest evidence, and what is carried of older one."""

    def __init__(self, folder: CaseFolder) -> None:
        self._folder = folder
        self._chunks: deque[_Chunk] = deque()
        self._carried: Tables | None = None
        self._recalled: dict[int, Tables] = {}
        self._places: dict[int, Sequence[tuple[StoredObject, int]]] = {}
        self._objects: dict[int, dict[int, StoredObject]] = {}
        """Of each segment, the objects that may be asked for, by their numbers."""
        self._carried_from: dict[int, set[int]] = {}
        """Of each segment that is carried in part, the objects that this is from."""
        self._engine: MemoryEngine | None = None
        self._looks = 0
        """That were taken with this engine."""
        self._stale = True
        """Whether the engine holds something that is to go."""
        self._fresh: list[tuple[int, Tables]] = []
        self._unseen: set[int] = set()
        """Segments that a sweep under way may not have seen."""

    @property
    def empty(self) -> bool:
        """Whether it holds no record."""
        return not (self._chunks or self._carried or self._recalled)

    def add(self, number: int, tables: Tables, objects: Sequence[StoredObject]) -> None:
        """Add a segment that is new."""
        self._objects[number] = dict(enumerate(objects))
        self._unseen.add(number)
        self._chunks.append(_Chunk(frozenset((number,)), tables))
        self._fresh.append((number, tables))
        if len(self._chunks) > _CHUNKS:
            self._join()
        if self._carried is not None and number in _segments_of(self._carried):  # a sweep saw it sooner
            self._carry(self._carried)

    def forget(self, segments: Iterable[int]) -> None:
        """Let go of some of what was recalled."""
        self._stale = True
        for one in segments:
            del self._recalled[one], self._places[one]

    def recall(self, found: Recalled) -> None:
        """Add older records that the newest must be seen with."""
        self._places[found.segment] = found.places
        self._recalled[found.segment] = found.tables
        self._fresh.append((found.segment, found.tables))

    def _join(self) -> None:
        """Make one of the older half: many small tables are slow to look through."""
        older = [self._chunks.popleft() for _ in range(len(self._chunks) // 2)]
        joined = {
            name: pa.concat_tables([one.tables[name] for one in older]).combine_chunks() for name in TABLES
        }
        segments = frozenset[int]().union(*(one.segments for one in older))
        self._chunks.appendleft(_Chunk(segments, joined))

    def engine(self) -> MemoryEngine:
        """An engine that holds its tables, the same one for as long as it serves."""
        if self._looks >= _LOOKS and not self._fresh:  # nobody waits for a look
            self.close()
        if self._engine is None:
            self._engine, self._looks = MemoryEngine(self._folder.path / "derived" / SPILL), 0
        self._looks += bool(self._fresh)
        if self._stale:
            there = self._carried_places()
            parts = [one.tables for one in self._chunks] + [
                self._without(there, *one) for one in self._recalled.items()
            ]
            parts += [self._carried] if self._carried else []
            for name in TABLES:
                empty = [SCHEMAS[name].empty_table()]
                self._engine.hold(name, pa.concat_tables([one[name] for one in parts] or empty))
        else:
            there = self._carried_places() if self._fresh else frozenset()
            fresh = [self._without(there, *one) for one in self._fresh]
            for name in TABLES if fresh else ():
                self._engine.add(name, pa.concat_tables([one[name] for one in fresh]))
        self._stale = False
        self._fresh.clear()
        return self._engine

    def _carried_places(self) -> frozenset[tuple[str, int]]:
        """Where the records lie that are carried, by object."""
        if self._carried is None:
            return frozenset()
        there = set[tuple[str, int]]()
        lost = set[int]()
        for segment, number, ordinal in _rows_of(self._carried["events"], "segment", "object", "ordinal"):
            if segment not in lost:
                try:
                    there.add((self._stored(segment, number).sha256, ordinal))
                except CaseError:  # merged away: what lies where can't be told, and twice does no harm
                    lost.add(segment)
        return frozenset(there)

    def _without(self, there: Set[tuple[str, int]], number: int, tables: Tables) -> Tables:
        """Of records that were recalled, those that are not there already: what is there twice takes its time twice."""
        lying = enumerate(self._places.get(number, ()))
        twice = [at for at, (stored, ordinal) in lying if (stored.sha256, ordinal) in there]
        if not twice:
            return tables
        gone = pa.array(twice, tables["events"].schema.field("ordinal").type)
        return {
            name: table if name == "identities" else table.filter(pc.invert(pc.is_in(table["ordinal"], gone)))
            for name, table in tables.items()
        }

    def close(self) -> None:
        """Let go of the engine."""
        if self._engine is not None:
            self._engine.close()
            self._engine, self._stale = None, True

    def others(self, newest: Set[int]) -> frozenset[int]:
        """The segments of which anything is held, but for some."""
        carried = _segments_of(self._carried) if self._carried else set[int]()
        return (frozenset(self._objects) | carried) - newest

    def carry(self, newest: Set[int], carried: Tables) -> None:
        """Let all segments but some go, except for what is carried of them."""
        self._chunks = deque(_only(one, newest) for one in self._chunks if one.segments & newest)
        self._carry(carried)

    def sweep_begins(self) -> None:
        """From now on segments come that the sweep may not see."""
        self._unseen = set()

    def swept(self, carried: Tables) -> None:
        """Carry what the sweep chose; of segments that it may not have seen, what is carried already stays."""
        unseen = self._unseen - _segments_of(carried)
        if self._carried is not None and unseen:
            mine = {name: _of_segments(table, unseen) for name, table in self._carried.items()}
            carried = {name: pa.concat_tables([table, mine[name]]) for name, table in carried.items()}
        self._carry(carried)

    def _carry(self, carried: Tables) -> None:
        """Carry these, but for what is there in whole segments: no record may be there twice in one place."""
        self._stale = True
        here = {number for one in self._chunks for number in one.segments}
        if not here.isdisjoint(_segments_of(carried)):
            carried = {name: _of_segments(table, here, others=True) for name, table in carried.items()}
        self._carried = carried if carried["events"].num_rows else None
        self._carried_from = {}
        for segment, number in _rows_of(carried["events"], "segment", "object"):
            self._carried_from.setdefault(segment, set()).add(number)
        known, self._objects = self._objects, {one: self._objects[one] for one in here}
        for segment, numbers in self._carried_from.items():
            self._objects[segment] = {
                one: known[segment][one] for one in numbers & known.get(segment, {}).keys()
            }

    def read(self, places: Sequence[Place]) -> Iterator[tuple[Place, Any]]:
        """Read raw records, secrets blanked; see `detection.scene.Read`."""
        by_object: dict[tuple[int, int], set[int]] = {}
        for segment, number, ordinal in places:
            by_object.setdefault((segment, number), set()).add(ordinal)
        for (segment, number), ordinals in sorted(by_object.items()):
            if segment in self._places:
                yield from self._read_again(segment, ordinals)
                continue
            try:
                for ordinal, record in records(self._folder, self._stored(segment, number), ordinals):
                    yield (segment, number, ordinal), record
            except CaseError:  # gone, or no longer what was read: the columns are left
                continue

    def _read_again(self, segment: int, ordinals: Iterable[int]) -> Iterator[tuple[Place, Any]]:
        """Read raw records of those that were recalled."""
        for one in sorted(ordinals):
            stored, place = self._places[segment][one]
            try:
                for _, record in records(self._folder, stored, {place}):
                    yield (segment, 0, one), record
            except CaseError:  # as above
                continue

    def _stored(self, segment: int, number: int) -> StoredObject:
        """An object of a segment; one that was merged of many has thousands, of which few are ever asked for."""
        if number not in self._objects.get(segment, ()):
            objects = self._folder.manifest(segment_name(segment)).objects
            found = self._objects.setdefault(segment, {})
            found |= {one: objects[one] for one in {number, *self._carried_from.get(segment, ())}}
        return self._objects[segment][number]


def _only(chunk: _Chunk, segments: Set[int]) -> _Chunk:
    """What a chunk holds of some segments."""
    if chunk.segments <= segments:
        return chunk
    mine = chunk.segments & segments
    return _Chunk(mine, {name: _of_segments(table, mine) for name, table in chunk.tables.items()})


def _rows_of(events: pa.Table, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Some columns of the records that lie somewhere."""
    rows = zip(*(events[name].to_pylist() for name in columns), strict=True)
    return (row for row in rows if row[0] is not None)


def _segments_of(tables: Tables) -> set[int]:
    return {one for one in tables["events"].column("segment").unique().to_pylist() if one is not None}


def _of_segments(table: pa.Table, segments: Set[int], *, others: bool = False) -> pa.Table:
    """The rows of some segments, or of all others."""
    mine = pc.is_in(table.column("segment"), pa.array(sorted(segments), pa.int64()))
    return table.filter(pc.invert(mine) if others else mine)
