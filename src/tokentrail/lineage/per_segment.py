"""Queries whose rows each come from one segment: each segment is asked once, and its rows are kept with its layer."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from tokentrail.errors import CaseError
from tokentrail.store.interface import Engine


def per_segment_rows(
    engine: Engine, name: str, sql: str, folder: Path, asked: str, by: str = "ALL"
) -> list[dict[str, Any]]:
    """
    The rows of the query `asked` over the kept rows of all segments, which `sql` gives (`Engine.keep_apart`).

    If the kept rows turn out damaged, all segments are asked again.
    """
    engine.keep_apart(name, sql, folder, by)
    try:
        return engine.rows(asked)
    except CaseError:
        engine.keep_apart(name, sql, folder, by, anew=True)
        return engine.rows(asked)


class PerSegment:
    """Rows that each segment is asked for once, to be looked up by the first column that they are sorted by."""

    def __init__(self, engine: Engine, folder: Path, name: str, sql: str, by: str) -> None:
        """
        Look at a case.

        Args:
            engine: Knows the evidence.
            folder: The derived folder.
            name: The name of the table; lower-case letters only, as in the names of layer files in buckets.
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
        """Make sure that the rows are there. Returns whether there are any."""
        if self._any is None:
            asked = f"SELECT 1 AS one FROM {self._name} LIMIT 1"
            self._any = bool(
                per_segment_rows(self._engine, self._name, self._sql, self._folder, asked, self._by)
            )
        return self._any

    def of(self, wanted: Collection[str]) -> list[dict[str, Any]]:
        """
        The rows whose first sorting column has one of some values.

        Damage is repaired here too: `prepare` reads only the footer of a file, and damage before it shows only now.
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
