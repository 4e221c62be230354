"""
Segments that are brought together at a time.

A segment holds the identities of its calls. Where these are many, calls and identities are joined some segments at a
time: no more of them are then in memory than of a small case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass

from tokentrail.detection.tables import TABLES
from tokentrail.lineage.grow import facts_of
from tokentrail.lineage.together import together
from tokentrail.store.interface import Engine

_MOST = 60_000
"""Identities that are brought together with their calls at once."""
_SOME = re.compile(r"\bsome_(\w+)")
_OWN_FILES = ("identities", "events", "changes")
"""Tables of which each segment has a file: a query that names few files opens no others."""
_OWN_VIEWS = frozenset({"facts", *_OWN_FILES})


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some of all segments, or all where these hold few identities."""

    number: int
    segments: frozenset[int] | None
    condition: str = "TRUE"
    """Holds for their rows alone."""

    def of(self, query: str, apart: Set[str] = frozenset()) -> str:
        """A query over what it calls `some_...`, for these segments; some tables of them lie `apart`, by its number."""
        return _SOME.sub(lambda found: self._table(found[1], apart), query)

    def views(self, engine: Engine) -> Iterator[str]:
        """The names of the views that it takes, which it makes."""
        if self.segments is None:
            return
        narrowed = engine.narrow(self.segments)
        sources = {
            name: f"SELECT * FROM {narrowed[f'some_{name}']} WHERE {self.condition}" for name in _OWN_FILES
        }
        sources["facts"] = facts_of(engine, f"events_{self.number}")
        for name, source in sources.items():
            engine.run(f"CREATE OR REPLACE VIEW {name}_{self.number} AS {source}")
            yield f"{name}_{self.number}"

    def _table(self, name: str, apart: Set[str]) -> str:
        if self.segments is None:
            return name
        if name in _OWN_VIEWS or name in apart:
            return f"{name}_{self.number}"
        if name == "deeds":
            deeds = TABLES["deeds"].replace("facts", "some_facts").replace("actors", "some_actors")
            return f"({self.of(deeds, apart)})"
        return f"(SELECT * FROM {name} WHERE {self.condition})"


ALL = Stretch(0, None)


def stretches(engine: Engine) -> Sequence[Stretch]:
    """All segments in their order, some at a time, each with about as many identities."""
    parts = list(together(engine, _MOST))
    if len(parts) < 2:
        return (ALL,)
    return [
        Stretch(number, frozenset(part), f"segment BETWEEN {part[0]} AND {part[-1]}")
        for number, part in enumerate(parts)
    ]
