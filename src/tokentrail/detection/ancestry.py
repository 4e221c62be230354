"""Which credentials descend from which, by the parents of all of them: two numbers for each credential of the case."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import pyarrow as pa

from tokentrail.lineage.rows import damaged
from tokentrail.lineage.trees import NONE, Integers, Ring, nearest, positions
from tokentrail.store.interface import Engine

_PARENTS = "SELECT n, coalesce(parent_n, -1) AS parent_n FROM credentials ORDER BY n"


class Ancestry:
    """
    The parents of all credentials of a case, read when first needed; several threads may use it at once.

    Args:
        engine: The engine with the forest's tables.
        alone: The lock to hold while reading.
    """

    def __init__(self, engine: Engine, alone: AbstractContextManager[Any]) -> None:
        self._engine, self._alone = engine, alone
        self._known: tuple[Integers, Integers] | None = None

    def _read(self) -> tuple[Integers, Integers]:
        """All credentials, in order, and the position of the parent of each (-1: none)."""
        with self._alone:
            if self._known is None:
                found = self._engine.table(_PARENTS)
                names = found["n"].to_numpy()
                self._known = names, positions(names, found["parent_n"].to_numpy())
            return self._known

    def ancestors(self, places: Iterable[int]) -> set[int]:
        """All ancestors of some credentials."""
        names, up = self._read()
        above = set[int]()
        for place in positions(names, np.array([*places], np.int64)).tolist():
            parent = int(up[place]) if place != NONE else NONE
            while parent != NONE and parent not in above:
                above.add(parent)
                parent = int(up[parent])
        return {int(names[place]) for place in above}

    def below(self, starts: Collection[int], apart: Collection[int] = ()) -> Mapping[str, pa.Array[Any]]:
        """
        Some credentials and all that descends from them: each (`n`) with the nearest of them (`start`), or itself.

        Args:
            starts: These credentials.
            apart: Credentials that count as nobody's descendants, and so what is below them.
        """
        names, up = self._read()
        marked = np.isin(names, np.array([*starts], np.int64))
        try:
            top = nearest(np.where(np.isin(names, np.array([*apart], np.int64)), NONE, up), marked)
        except Ring as error:
            raise damaged("credentials descend from themselves") from error
        found = np.flatnonzero(top != NONE)
        return {"n": pa.array(names[found]), "start": pa.array(names[top[found]])}
