"""
Run statements in order, without planning those whose result must be empty.

Planning a query over an empty table takes as long as over a full one, and with few records, linking is mostly planning.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tokentrail.events.columns import TABLES
from tokentrail.store.filed import Filed
from tokentrail.store.interface import Step
from tokentrail.store.parsed import Parsed

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_MAKES = re.compile(r"CREATE TABLE (\w+) AS\b")
_NAMES = re.compile(r"CREATE VIEW (\w+) AS SELECT \* FROM (\w+)\Z")
_SHAPES: dict[str, str] = {}
"""By the statement that makes a table: a statement that makes it empty, once its columns have been seen."""


class Steps:
    """Runs statements, and remembers how many rows each table has; several threads may use it at once."""

    def __init__(self, parsed: Parsed, filed: Filed | None = None) -> None:
        """
        Begin with no tables.

        Args:
            parsed: Statements that were parsed before.
            filed: Keeps wide tables in files; by default they are in memory.
        """
        self._parsed = parsed
        self._filed = filed
        self._rows: dict[str, int] = {}

    def run(self, connection: DuckDBPyConnection, step: Step) -> None:
        """Run a statement; or make its table empty, if the table that it is driven by is."""
        made = _MAKES.match(step.sql)
        if made is None:
            named = _NAMES.match(step.sql)
            if named is not None and named[2] in self._rows:
                self._rows[named[1]] = self._rows[named[2]]
            if self._filed is None or not self._filed.drop(connection, step.sql):
                connection.execute(self._parsed.statement(connection, step.sql))
            return
        driven = step.driven_by is not None and self._is_empty(connection, step.driven_by)
        if driven and step.sql in _SHAPES:
            connection.execute(self._parsed.statement(connection, _SHAPES[step.sql]))
            self._rows[made[1]] = 0
            return
        if step.wide and self._filed is not None:
            self._rows[made[1]] = self._filed.make(connection, made[1], step.sql[made.end() :])
            return
        [[count]] = connection.execute(self._parsed.statement(connection, step.sql)).fetchall()
        self._rows[made[1]] = count
        if driven:
            table = connection.table(made[1])
            shape = ", ".join(
                f'"{name}" {kind}' for name, kind in zip(table.columns, table.types, strict=True)
            )
            _SHAPES[step.sql] = f"CREATE TABLE {made[1]} ({shape})"

    def _is_empty(self, connection: DuckDBPyConnection, table: str) -> bool:
        if table in TABLES and table not in self._rows:
            sql = f"SELECT 1 FROM {table} LIMIT 1"
            self._rows[table] = len(connection.execute(self._parsed.statement(connection, sql)).fetchall())
        return self._rows.get(table) == 0
