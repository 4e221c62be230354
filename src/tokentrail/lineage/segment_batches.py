"""
Batches of segments, so that a query over a large case needs no more memory than over a small one.

Calls are joined with the identities of their own segment. Where a case has very many identities, such a join is done
for one batch of segments after another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from tokentrail.lineage.link import facts_of
from tokentrail.store.interface import Engine

_SOME = re.compile(r"\bsome_(\w+)")
_IDENTITIES = "SELECT segment, count(*) AS identities FROM identities GROUP BY segment ORDER BY segment"
_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class SegmentBatch:
    """Some segments, or all of them where these hold few identities."""

    number: int
    segments: frozenset[int] | None
    condition: str = "TRUE"
    """The SQL condition that holds for the rows of these segments."""

    def of(self, query: str, apart: Set[str], spelled: Mapping[str, str] = _NOTHING) -> str:
        """
        Spell a query for these segments alone: what it names `some_NAME` becomes their part of `NAME`.

        Args:
            query: The query.
            apart: Names of which each batch has its own table or view, whose name ends in the number of the batch.
            spelled: Queries by the names that stand for them; they may use `some_...` themselves.
        """
        return _SOME.sub(lambda found: self._table(found[1], apart, spelled), query)

    def views(self, engine: Engine, names: Sequence[str]) -> Iterator[str]:
        """Make this batch's views of `facts` and of the tables in `names`. Yields the names of the views."""
        if self.segments is None:
            return
        narrowed = engine.narrow(self.segments)
        sources = {name: f"SELECT * FROM {narrowed[f'some_{name}']} WHERE {self.condition}" for name in names}
        sources["facts"] = facts_of(engine, f"events_{self.number}")
        for name, source in sources.items():
            engine.run(f"CREATE OR REPLACE VIEW {name}_{self.number} AS {source}")
            yield f"{name}_{self.number}"

    def _table(self, name: str, apart: Set[str], spelled: Mapping[str, str]) -> str:
        if self.segments is None:
            return name
        if name in apart:
            return f"{name}_{self.number}"
        if name in spelled:
            return f"({self.of(spelled[name], apart, spelled)})"
        return f"(SELECT * FROM {name} WHERE {self.condition})"


ALL = SegmentBatch(0, None)


def segment_batches(engine: Engine, most: int) -> Sequence[SegmentBatch]:
    """Divide all segments, in order, into batches of about `most` identities; one batch without a condition if few."""
    groups = list(_groups(engine, most))
    if len(groups) < 2:
        return (ALL,)
    return [
        SegmentBatch(number, frozenset(group), f"segment BETWEEN {group[0]} AND {group[-1]}")
        for number, group in enumerate(groups)
    ]


def _groups(engine: Engine, most: int) -> Iterator[list[int]]:
    group: list[int] = []
    identities = 0
    for row in engine.rows(_IDENTITIES):
        if group and identities + row["identities"] > most:
            yield group
            group, identities = [], 0
        group.append(row["segment"])
        identities += row["identities"]
    if group:
        yield group
