"""What is asked of each segment once, and kept with its layer."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from tokentrail.errors import CaseError
from tokentrail.store.interface import Engine


def kept_rows(
    engine: Engine, name: str, sql: str, folder: Path, asked: str, by: str = "ALL"
) -> list[dict[str, Any]]:
    """The rows of a query over what is kept of each segment (`Engine.keep_apart`), again if that turns out damaged."""
    engine.keep_apart(name, sql, folder, by)
    try:
        return engine.rows(asked)
    except CaseError:
        engine.keep_apart(name, sql, folder, by, anew=True)
        return engine.rows(asked)


class Kept:
    """Rows that are asked of each segment once, and looked up by the first column that they are sorted by."""

    def __init__(self, engine: Engine, folder: Path, name: str, sql: str, by: str) -> None:
        """
        Look at a case.

        Args:
            engine: Knows the evidence.
            folder: Where what is derived from it lies.
            name: What the rows are known by, in small letters alone, as buckets have files of layers.
            sql: The query, as of `Engine.keep_apart`.
            by: What they are sorted by.
        """
        self._engine = engine
        self._folder = folder
        self._name = name
        self._sql = sql
        self._by = by
        self._any: bool | None = None

    def prepare(self) -> bool:
        """Have them at hand; whether there are any."""
        if self._any is None:
            asked = f"SELECT 1 AS one FROM {self._name} LIMIT 1"
            self._any = bool(kept_rows(self._engine, self._name, self._sql, self._folder, asked, self._by))
        return self._any

    def of(self, wanted: Collection[str]) -> list[dict[str, Any]]:
        """
        The rows of some values; worked out again if they turn out damaged.

        Whether there are any rows is in the end of a file, what is damaged further ahead shows only now.
        """
        if not wanted or not self.prepare():
            return []
        asked = [(one, one) for one in sorted(wanted)]
        column = self._by.partition(",")[0]
        try:
            return self._engine.ranges(self._name, column, asked).to_pylist()
        except CaseError:
            self._engine.keep_apart(self._name, self._sql, self._folder, self._by, anew=True)
            return self._engine.ranges(self._name, column, asked).to_pylist()
