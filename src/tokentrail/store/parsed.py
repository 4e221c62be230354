"""
Statements, parsed once in a process: a watch, a console and a long script run the same ones again and again, and on
few records parsing a statement takes as long as running it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, Statement

_MOST, _LONGEST = 1_000, 20_000
"""Statements that are remembered at most, and the characters of the longest: one with many file names comes once."""


class Parsed:
    """Remembers statements as the engine's parser left them; several threads may ask at once."""

    def __init__(self) -> None:
        self._known: dict[str, Statement] = {}

    def statement(self, connection: DuckDBPyConnection, sql: str) -> Statement | str:
        """One statement, ready to run on any connection; a text that holds several stays as it is."""
        known = self._known.get(sql)
        if known is not None:
            return known
        found = connection.extract_statements(sql)
        if len(found) != 1:
            return sql
        if len(sql) > _LONGEST:
            return found[0]
        if len(self._known) >= _MOST:
            self._known.clear()
        self._known[sql] = found[0]
        return found[0]
