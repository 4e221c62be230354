"""
The hot set: the evidence in memory that is linked and judged with each new batch.

It has the newest segments whole, and of older ones the records that are carried or recalled. `held` says which.
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
"""Chunks above which the older half of them is joined."""
_LOOKS = 200
"""Looks after which an engine is replaced by a new one.

DuckDB keeps some bytes of each table that was dropped until it is closed; in an hour these came to two hundred
megabytes (`duckdb_eviction_queues()`).
"""


@dataclass(slots=True)
class _Chunk:
    """Whole segments, whose tables are joined."""

    segments: frozenset[int]
    tables: Tables


class HotSet:
    """
    The hot set of a case.

    Args:
        folder: The case, from which raw records are read.
    """

    def __init__(self, folder: CaseFolder) -> None:
        self._folder = folder
        self._chunks: deque[_Chunk] = deque()
        """The segments that are held whole, the newest last."""
        self._carried: Tables | None = None
        self._recalled: dict[int, Tables] = {}
        """The tables of recalled segments, by number."""
        self._places: dict[int, Sequence[tuple[StoredObject, int]]] = {}
        """Where the records of recalled segments lie, as in `Recalled.places`."""
        self._objects: dict[int, dict[int, StoredObject]] = {}
        """By segment: the evidence objects from which raw records may be read, by their numbers there."""
        self._carried_from: dict[int, set[int]] = {}
        """By segment of which records are carried: the numbers of the objects that hold these."""
        self._engine: MemoryEngine | None = None
        self._looks = 0
        """How many looks this engine has served."""
        self._stale = True
        """Whether the engine's tables must be made anew, as they hold something that is to go."""
        self._fresh: list[tuple[int, Tables]] = []
        """Segments, recalled ones too, that the engine does not have yet."""
        self._unseen: set[int] = set()
        """Segments that came since the last sweep began, which it may not have seen."""

    @property
    def empty(self) -> bool:
        """Whether it holds no record."""
        return not (self._chunks or self._carried or self._recalled)

    def add(self, number: int, tables: Tables, objects: Sequence[StoredObject]) -> None:
        """Add a new segment."""
        self._objects[number] = dict(enumerate(objects))
        self._unseen.add(number)
        self._chunks.append(_Chunk(frozenset((number,)), tables))
        self._fresh.append((number, tables))
        if len(self._chunks) > _CHUNKS:
            self._join()
        if self._carried is not None and number in _segments_of(self._carried):  # a sweep saw it before
            self._carry(self._carried)

    def forget(self, segments: Iterable[int]) -> None:
        """Let some recalled segments go."""
        self._stale = True
        for one in segments:
            del self._recalled[one], self._places[one]

    def recall(self, found: Recalled) -> None:
        """Add a recalled segment."""
        self._places[found.segment] = found.places
        self._recalled[found.segment] = found.tables
        self._fresh.append((found.segment, found.tables))

    def _join(self) -> None:
        """Join the older half of the chunks into one, as many small tables are slow to query."""
        older = [self._chunks.popleft() for _ in range(len(self._chunks) // 2)]
        joined = {
            name: pa.concat_tables([one.tables[name] for one in older]).combine_chunks() for name in TABLES
        }
        segments = frozenset[int]().union(*(one.segments for one in older))
        self._chunks.appendleft(_Chunk(segments, joined))

    def engine(self) -> MemoryEngine:
        """The engine, brought up to date with the hot set."""
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
        """Where the carried records lie: pairs of an object's digest and an ordinal."""
        if self._carried is None:
            return frozenset()
        there = set[tuple[str, int]]()
        lost = set[int]()
        for segment, number, ordinal in _rows_of(self._carried["events"], "segment", "object", "ordinal"):
            if segment not in lost:
                try:
                    there.add((self._stored(segment, number).sha256, ordinal))
                except (
                    CaseError
                ):  # merged meanwhile: its objects are unknown, and a repeated record does no harm
                    lost.add(segment)
        return frozenset(there)

    def _without(self, there: Set[tuple[str, int]], number: int, tables: Tables) -> Tables:
        """
        The tables of a segment without records that are carried too: linking would take twice as long for these.

        Args:
            there: Where carried records lie.
            number: The number of the segment; of one that was not recalled, nothing is left out.
            tables: Its tables.
        """
        places = enumerate(self._places.get(number, ()))
        twice = [at for at, (stored, ordinal) in places if (stored.sha256, ordinal) in there]
        if not twice:
            return tables
        gone = pa.array(twice, tables["events"].schema.field("ordinal").type)
        return {
            name: table if name == "identities" else table.filter(pc.invert(pc.is_in(table["ordinal"], gone)))
            for name, table in tables.items()
        }

    def close(self) -> None:
        """Close the engine; the next look gets a new one."""
        if self._engine is not None:
            self._engine.close()
            self._engine, self._stale = None, True

    def others(self, newest: Set[int]) -> frozenset[int]:
        """The numbers of the segments of which any record is held, but for some."""
        carried = _segments_of(self._carried) if self._carried else set[int]()
        return (frozenset(self._objects) | carried) - newest

    def carry(self, newest: Set[int], carried: Tables) -> None:
        """Let all whole segments but some go, and carry some of their records."""
        self._chunks = deque(_only(one, newest) for one in self._chunks if one.segments & newest)
        self._carry(carried)

    def sweep_begins(self) -> None:
        """Note that a sweep begins, which may not see segments that come from now on."""
        self._unseen = set()

    def swept(self, carried: Tables) -> None:
        """Carry what a sweep chose, and still what is carried of segments that it may not have seen."""
        unseen = self._unseen - _segments_of(carried)
        if self._carried is not None and unseen:
            mine = {name: _of_segments(table, unseen) for name, table in self._carried.items()}
            carried = {name: pa.concat_tables([table, mine[name]]) for name, table in carried.items()}
        self._carry(carried)

    def _carry(self, carried: Tables) -> None:
        """Carry these records, but for those of segments that are held whole: no place may occur twice."""
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
        """Read raw records, with secrets blanked; see `detection.reading.Read`."""
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
            except CaseError:  # the object is gone or changed: rules have the columns alone
                continue

    def _read_again(self, segment: int, ordinals: Iterable[int]) -> Iterator[tuple[Place, Any]]:
        """Read raw records of a recalled segment."""
        for one in sorted(ordinals):
            stored, place = self._places[segment][one]
            try:
                for _, record in records(self._folder, stored, {place}):
                    yield (segment, 0, one), record
            except CaseError:  # as above
                continue

    def _stored(self, segment: int, number: int) -> StoredObject:
        """
        An evidence object of a segment.

        Only those that are asked for, or carried from, are remembered: a merged segment has thousands.
        """
        if number not in self._objects.get(segment, ()):
            objects = self._folder.manifest(segment_name(segment)).objects
            found = self._objects.setdefault(segment, {})
            found |= {one: objects[one] for one in {number, *self._carried_from.get(segment, ())}}
        return self._objects[segment][number]


def _only(chunk: _Chunk, segments: Set[int]) -> _Chunk:
    """What a chunk has of some segments."""
    if chunk.segments <= segments:
        return chunk
    mine = chunk.segments & segments
    return _Chunk(mine, {name: _of_segments(table, mine) for name, table in chunk.tables.items()})


def _rows_of(events: pa.Table, *columns: str) -> Iterator[tuple[Any, ...]]:
    """Some columns of the records whose first one is not null."""
    rows = zip(*(events[name].to_pylist() for name in columns), strict=True)
    return (row for row in rows if row[0] is not None)


def _segments_of(tables: Tables) -> set[int]:
    return {one for one in tables["events"].column("segment").unique().to_pylist() if one is not None}


def _of_segments(table: pa.Table, segments: Set[int], *, others: bool = False) -> pa.Table:
    """The rows of some segments, or of all others."""
    mine = pc.is_in(table.column("segment"), pa.array(sorted(segments), pa.int64()))
    return table.filter(pc.invert(mine) if others else mine)
