"""
The evidence that is linked and judged with each new batch: bounded, however large the case grows.

As long as the case holds no more than `most` records, that is all of it. Beyond, it is the newest records whole, the
older ones that these must be seen with (`recollection`), and some that tell how things are done otherwise (`carrying`).
The rest is the sweep's, which looks at the whole case.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from tokentrail.detection.scene import Place
from tokentrail.errors import CaseError
from tokentrail.store.duck import DuckEngine
from tokentrail.store.folder import CaseFolder, segment_name
from tokentrail.store.interface import StoredObject
from tokentrail.store.records import records
from tokentrail.watch.intake import SCHEMAS, TABLES, Tables
from tokentrail.watch.recall import Span
from tokentrail.watch.recollection import Recalled

MOST = 50_000
"""Records that are judged with each batch: eight tenths of a second on one core, of which six are for any number."""
_CHUNKS = 48
_NEWEST, _CARRIED, _RECALLED = 2, 10, 4
"""Where not all can be judged: the parts of `most` that the newest, what is carried and what is recalled may be."""


@dataclass(slots=True)
class _Chunk:
    segments: frozenset[int]
    tables: Tables
    spans: tuple[Span, ...] = ()

    @property
    def rows(self) -> int:
        return int(self.tables["events"].num_rows)


class HotSet:
    """The newest evidence, and what is carried of older one."""

    def __init__(self, folder: CaseFolder, most: int = MOST) -> None:
        self._folder, self.most = folder, most
        self.recallable = most // _RECALLED
        """Records that may be recalled."""
        self._chunks: deque[_Chunk] = deque()
        self._carried: Tables | None = None
        self._recalled: list[Tables] = []
        self._places: dict[int, Sequence[tuple[StoredObject, int]]] = {}
        self._objects: dict[int, Sequence[StoredObject]] = {}
        self._engine: DuckEngine | None = None
        self._fresh: list[Tables] = []
        self._unseen: set[int] = set()
        """Segments that a sweep under way may not have seen."""
        self.whole = True
        """Whether it is all that the case holds."""

    @property
    def rows(self) -> int:
        """Records that it holds."""
        carried = self._carried["events"].num_rows if self._carried else 0
        return sum(one.rows for one in self._chunks) + self._remembered + int(carried)

    @property
    def _remembered(self) -> int:
        return sum(one["events"].num_rows for one in self._recalled)

    @property
    def full(self) -> bool:
        """Whether older segments must go."""
        most = self.most if self.whole else self.most // _NEWEST
        return sum(one.rows for one in self._chunks) > most

    @property
    def crowded(self) -> bool:
        """Whether more was recalled than there is room for."""
        return self._remembered > self.recallable

    @property
    def carriable(self) -> int:
        """Records that may be carried."""
        return self.most // _CARRIED

    def spans(self) -> list[Span]:
        """The records that it holds whole segments of, as `recall` numbers them."""
        return [span for one in self._chunks for span in one.spans]

    def add(self, number: int, tables: Tables, objects: Sequence[StoredObject]) -> None:
        """Add a segment that is new."""
        self._objects[number] = objects
        self._unseen.add(number)
        self._chunks.append(_Chunk(frozenset((number,)), tables))
        self._fresh.append(tables)
        if len(self._chunks) > _CHUNKS:
            self._join()

    def kept(self, number: int, span: Span) -> None:
        """Note which records of the database a segment's are."""
        for chunk in reversed(self._chunks):
            if number in chunk.segments:
                chunk.spans += (span,)
                return

    def forget(self) -> None:
        """Let go of what was recalled."""
        self.close()
        self._recalled, self._places = [], {}

    def recall(self, found: Recalled) -> None:
        """Add older records that the newest must be seen with."""
        self._places[found.segment] = found.places
        self._recalled.append(found.tables)
        self._fresh.append(found.tables)

    def _join(self) -> None:
        """Make one of the older half: many small tables are slow to look through."""
        older = [self._chunks.popleft() for _ in range(len(self._chunks) // 2)]
        joined = {
            name: pa.concat_tables([one.tables[name] for one in older]).combine_chunks() for name in TABLES
        }
        segments = frozenset[int]().union(*(one.segments for one in older))
        self._chunks.appendleft(_Chunk(segments, joined, tuple(span for one in older for span in one.spans)))

    def engine(self) -> DuckEngine:
        """An engine that holds its tables; the same one as long as segments only come."""
        if self._engine is None:
            parts = [one.tables for one in self._chunks] + self._recalled
            parts += [self._carried] if self._carried else []
            self._engine = DuckEngine(
                threads=1
            )  # of few records, threads that share a query cost more than they bring
            for name in TABLES:
                empty = [SCHEMAS[name].empty_table()]
                self._engine.hold(name, pa.concat_tables([one[name] for one in parts] or empty))
        else:
            for tables in self._fresh:
                for name in TABLES:
                    self._engine.add(name, tables[name])
        self._fresh.clear()
        return self._engine

    def close(self) -> None:
        """Let go of the engine."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        self._fresh.clear()

    def older(self) -> frozenset[int]:
        """The segments that must go: all but half of what the newest may be."""
        keep = self.most // _NEWEST // 2
        newest = frozenset[int]()
        for chunk in reversed(self._chunks):
            if keep <= 0:
                break
            keep -= chunk.rows
            newest |= chunk.segments
        carried = _segments_of(self._carried) if self._carried else set[int]()
        return (frozenset(self._objects) | carried) - newest

    def carry(self, gone: frozenset[int], carried: Tables) -> None:
        """Let segments go, but for what is carried of them."""
        self._chunks = deque(one for one in self._chunks if not one.segments <= gone)
        self._carry(carried)
        self.whole = False

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
        self.close()
        here = {number for one in self._chunks for number in one.segments}
        if not here.isdisjoint(_segments_of(carried)):
            carried = {name: _of_segments(table, here, others=True) for name, table in carried.items()}
        self._carried = carried if carried["events"].num_rows else None
        held = here | _segments_of(carried)
        self._objects = {number: found for number, found in self._objects.items() if number in held}

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
                for ordinal, record in records(self._folder, self._stored(segment)[number], ordinals):
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

    def _stored(self, segment: int) -> Sequence[StoredObject]:
        if segment not in self._objects:
            self._objects[segment] = self._folder.manifest(segment_name(segment)).objects
        return self._objects[segment]


def _segments_of(tables: Tables) -> set[int]:
    return {one for one in tables["events"].column("segment").unique().to_pylist() if one is not None}


def _of_segments(table: pa.Table, segments: Set[int], *, others: bool = False) -> pa.Table:
    """The rows of some segments, or of all others."""
    mine = pc.is_in(table.column("segment"), pa.array(sorted(segments), pa.int64()))
    return table.filter(pc.invert(mine) if others else mine)
