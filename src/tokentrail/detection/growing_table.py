"""Tables whose rows come some at a time: in a large case they are collected in files, not in memory."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from tokentrail.store.interface import Engine


class GrowingTable:
    """Collects rows for a table, which queries can name once `register` was called."""

    def __init__(self, engine: Engine, name: str, folder: Path | None) -> None:
        """
        Begin without rows.

        Args:
            engine: Where the table will be registered.
            name: The name of the table.
            folder: A folder to make, where the rows are collected; in memory if there is none.
        """
        self._engine, self._name, self._folder = engine, name, folder
        self._tables: list[pa.Table] = []
        self._files = 0
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True)

    def add(self, table: pa.Table) -> None:
        """Add rows; the first call gives the columns, even if it has no rows."""
        if self._folder is None:
            self._tables.append(table)
        elif len(table) or not self._files:
            self._given(table)
            self._engine.park(f"SELECT * FROM given_{self._name}", self._folder / f"{self._files}.parquet")
            self._given(table.slice(0, 0))
            self._files += 1

    def register(self) -> None:
        """Register the table."""
        if self._folder is not None:
            self._engine.view(self._name, self._folder)
            return
        self._given(pa.concat_tables(self._tables))
        self._engine.run(f"CREATE OR REPLACE TEMP TABLE {self._name} AS SELECT * FROM given_{self._name}")
        self._tables.clear()

    def _given(self, table: pa.Table) -> None:
        self._engine.register(f"given_{self._name}", table)
