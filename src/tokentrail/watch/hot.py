"""
The evidence that is linked and judged with each new batch: bounded, however large the case grows.

As long as the case holds no more than `most` records, that is all of it. Beyond, it is the newest records whole, and
of older ones those that findings to come may rest on: who minted whom, the habits of each principal, changes in IAM.
The rest is the sweep's, which looks at the whole case.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from tokentrail.detection.scene import Place
from tokentrail.errors import CaseError
from tokentrail.store.duck import DuckEngine
from tokentrail.store.folder import CaseFolder, segment_name
from tokentrail.store.interface import StoredObject
from tokentrail.store.records import records
from tokentrail.watch.intake import SCHEMAS, TABLES, Tables

MOST = 50_000
"""Records that are judged with each batch: half a second on one core."""
_CHUNKS = 48


@dataclass(slots=True)
class _Chunk:
    segments: frozenset[int]
    tables: Tables

    @property
    def rows(self) -> int:
        return int(self.tables["events"].num_rows)


class HotSet:
    """The newest evidence, and what is carried of older one."""

    def __init__(self, folder: CaseFolder, most: int = MOST) -> None:
        self._folder, self.most = folder, most
        self._chunks: deque[_Chunk] = deque()
        self._carried: Tables | None = None
        self._objects: dict[int, Sequence[StoredObject]] = {}
        self._engine: DuckEngine | None = None
        self._fresh: list[_Chunk] = []
        self.whole = True
        """Whether it is all that the case holds."""

    @property
    def rows(self) -> int:
        """Records that it holds."""
        carried = self._carried["events"].num_rows if self._carried else 0
        return sum(one.rows for one in self._chunks) + int(carried)

    @property
    def full(self) -> bool:
        """Whether older records must go."""
        return sum(one.rows for one in self._chunks) > self.most

    def add(self, segment: str, tables: Tables, objects: Sequence[StoredObject]) -> None:
        """Add a segment that is new."""
        number = int(segment, 16)
        self._objects[number] = objects
        self._chunks.append(_Chunk(frozenset((number,)), tables))
        self._fresh.append(self._chunks[-1])
        if len(self._chunks) > _CHUNKS:
            self._join()

    def _join(self) -> None:
        """Make one of the older half: many small tables are slow to look through."""
        older = [self._chunks.popleft() for _ in range(len(self._chunks) // 2)]
        joined = {
            name: pa.concat_tables([one.tables[name] for one in older]).combine_chunks() for name in TABLES
        }
        self._chunks.appendleft(_Chunk(frozenset().union(*(one.segments for one in older)), joined))

    def engine(self) -> DuckEngine:
        """An engine that holds its tables; the same one as long as segments only come."""
        if self._engine is None:
            parts = [one.tables for one in self._chunks] + ([self._carried] if self._carried else [])
            self._engine = DuckEngine(
                threads=1
            )  # of few records, threads that share a query cost more than they bring
            for name in TABLES:
                empty = [SCHEMAS[name].empty_table()]
                self._engine.hold(name, pa.concat_tables([one[name] for one in parts] or empty))
        else:
            for chunk in self._fresh:
                for name in TABLES:
                    self._engine.add(name, chunk.tables[name])
        self._fresh.clear()
        return self._engine

    def close(self) -> None:
        """Let go of the engine."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None
        self._fresh.clear()

    def older(self) -> frozenset[int]:
        """The segments that must go: of what came, all but the newest half."""
        keep = self.most // 2
        newest = frozenset[int]()
        for chunk in reversed(self._chunks):
            if keep <= 0:
                break
            keep -= chunk.rows
            newest |= chunk.segments
        return frozenset(self._objects) - newest

    def carry(self, gone: frozenset[int], carried: Tables) -> None:
        """Let segments go, but for what is carried of them."""
        self._chunks = deque(one for one in self._chunks if not one.segments <= gone)
        self.replace_carried(carried)
        self.whole = False

    def replace_carried(self, carried: Tables) -> None:
        """Carry these instead of what was carried."""
        self.close()
        self._carried = carried if carried["events"].num_rows else None
        held = {one for one in carried["events"].column("segment").unique().to_pylist() if one is not None}
        held |= {number for one in self._chunks for number in one.segments}
        self._objects = {number: found for number, found in self._objects.items() if number in held}

    def read(self, places: Sequence[Place]) -> Iterator[tuple[Place, Any]]:
        """Read raw records, secrets blanked; see `detection.scene.Read`."""
        by_object: dict[tuple[int, int], set[int]] = {}
        for segment, number, ordinal in places:
            by_object.setdefault((segment, number), set()).add(ordinal)
        for (segment, number), ordinals in sorted(by_object.items()):
            try:
                for ordinal, record in records(self._folder, self._stored(segment)[number], ordinals):
                    yield (segment, number, ordinal), record
            except CaseError:  # gone, or no longer what was read: the columns are left
                continue

    def _stored(self, segment: int) -> Sequence[StoredObject]:
        if segment not in self._objects:
            self._objects[segment] = self._folder.manifest(segment_name(segment)).objects
        return self._objects[segment]
