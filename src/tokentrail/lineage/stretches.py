"""
Segments that are brought together at a time.

A segment holds the identities of its calls. Where these are many, calls and identities are joined some segments at a
time: no more of them are then in memory than of a small case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

from tokentrail.lineage.grow import facts_of
from tokentrail.lineage.together import together
from tokentrail.store.interface import Engine

_SOME = re.compile(r"\bsome_(\w+)")
_NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some of all segments, or all where these hold few identities."""

    number: int
    segments: frozenset[int] | None
    condition: str = "TRUE"
    """Holds for their rows alone."""

    def of(self, query: str, apart: Set[str], spelled: Mapping[str, str] = _NOTHING) -> str:
        """
        Spell a query over what it calls `some_...` for these segments alone.

        Args:
            query: The query.
            apart: What is known of each stretch under a name of its own, which ends in its number.
            spelled: Queries that some names stand for, which may name `some_...` themselves.
        """
        return _SOME.sub(lambda found: self._table(found[1], apart, spelled), query)

    def views(self, engine: Engine, names: Sequence[str]) -> Iterator[str]:
        """The names of the views that it takes, which it makes: of some tables of segments, and of `facts`."""
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


ALL = Stretch(0, None)


def stretches(engine: Engine, most: int) -> Sequence[Stretch]:
    """All segments in their order, some at a time, each with about so many identities."""
    parts = list(together(engine, most))
    if len(parts) < 2:
        return (ALL,)
    return [
        Stretch(number, frozenset(part), f"segment BETWEEN {part[0]} AND {part[-1]}")
        for number, part in enumerate(parts)
    ]
