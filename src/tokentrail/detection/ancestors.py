"""The ancestors of credentials: read all parents at once, or, with very many credentials, climb step by step."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

from tokentrail.lineage.forest import Forest
from tokentrail.store.interface import Engine

_PARENTS = "SELECT n, parent_n FROM credentials WHERE parent_n IS NOT NULL"
_ABOVE = """
    SELECT DISTINCT parent_n FROM credentials
    WHERE parent_n IS NOT NULL AND n IN (SELECT unnest(CAST(? AS BIGINT[])))"""
_CLIMBED = 64
"""How many generations are climbed one query at a time, before the forest is asked."""


class Ancestors:
    """
    Finds the ancestors of credentials; several threads may use it at once.

    Args:
        engine: The engine with the forest's tables.
        forest: The same forest, which only one thread at a time may use.
        alone: The lock to hold while using `forest`.
    """

    def __init__(self, engine: Engine, forest: Forest, alone: AbstractContextManager[Any]) -> None:
        self._engine, self._forest, self._alone = engine, forest, alone
        self._parents: dict[int, int] | None = None

    def at_once(self, places: Iterable[int]) -> set[int]:
        """The ancestors of some credentials, by reading all parents of the case into memory once."""
        with self._alone:
            if self._parents is None:
                found = self._engine.table(_PARENTS)
                n, parent = (found[name].to_numpy().tolist() for name in ("n", "parent_n"))
                self._parents = dict(zip(n, parent, strict=True))
        above = set[int]()
        for n in places:
            up = self._parents.get(n)
            while up is not None and up not in above:
                above.add(up)
                up = self._parents.get(up)
        return above

    def step_by_step(self, places: Iterable[int]) -> set[int]:
        """The ancestors of some credentials, generation by generation, so that memory does not limit the case."""
        # By two columns: the forest's own way reads whole rows, and is meant for few credentials at a time.
        fresh, above = set(places), set[int]()
        for _ in range(_CLIMBED):
            found: list[Any] = self._engine.table(_ABOVE, [sorted(fresh)])["parent_n"].to_pylist()
            ups = set(found) - above
            if not ups:
                return above
            above |= ups
            fresh = ups
        with self._alone:
            return above | self._forest.ancestors(fresh)  # a chain of that many is nobody's habit
