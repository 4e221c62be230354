"""
Spell out the few places that a query asks for.

DuckDB reads of a large table the row groups alone that may hold one of the numbers that a query lists. Of those that
come from another table it knows the lowest and the highest until there are fifty, and reads all between.
"""

from __future__ import annotations

import re

from tokentrail.store.interface import Engine

_ASKED = re.compile(r"\{(\w+)\.(\w+)\}")
_LISTED = 500
"""Numbers that a query lists at most: of more it is quicker to let the engine look."""


def filled(engine: Engine, statement: str) -> str:
    """
    A statement that lists what some tables hold.

    Args:
        engine: Knows the tables.
        statement: Its `{table.column}` stand for what `IN` has in parentheses; of no rows, nothing is among them.
    """
    return _ASKED.sub(lambda found: _listed(engine, found[1], found[2]), statement)


def _listed(engine: Engine, table: str, column: str) -> str:
    query = f"SELECT DISTINCT {column} FROM {table}"
    found = engine.rows(f"{query} LIMIT {_LISTED + 1}")
    if len(found) > _LISTED:
        return query
    return ", ".join(str(int(row[column])) for row in found) or "NULL"  # for which no file is opened
