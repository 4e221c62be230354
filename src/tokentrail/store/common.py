"""
Opening DuckDB: one for each engine, or one for all engines of few records in a process, with a catalog for each.

To open one takes some 15 ms, in which it registers thousands of functions: longer than most questions to few records.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import duckdb

_CLOSED = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
}
"""Nothing is ever fetched behind the user's back (DuckDB documentation, 'Securing DuckDB'), and a name that is no
table's is no Python variable's either."""
_SHARE = "50%"
"""What tables and joins may take of the machine's memory at most; past that they spill beside the case."""
_RENEWED = 1_000
"""Engines after which another one is opened, so that what it remembers of files does not grow for ever."""


def opened(threads: int, spill: Path | None) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory, which spills to a folder if one is named."""
    config: dict[str, Any] = dict(_CLOSED)
    config["threads"] = threads
    config["preserve_insertion_order"] = False
    config["memory_limit"] = _SHARE
    # Left out, it would be a folder wherever the process was started.
    config["temp_directory"] = "" if spill is None else str(spill)
    found = duckdb.connect(":memory:", config=config)
    # A process that was started with `python -c` counts as interactive.
    found.execute("SET enable_progress_bar = false")
    return found


class Home:
    """A catalog that is nobody else's, in a DuckDB that others use as well."""

    def __init__(self, whole: duckdb.DuckDBPyConnection, catalog: str) -> None:
        self._whole = whole
        self.catalog = catalog
        self.connection = whole.cursor()

    def leave(self) -> None:
        """Forget what is in it."""
        self.connection.close()
        with _LOCK:
            self._whole.execute(f"DETACH DATABASE IF EXISTS {self.catalog}")


class Common:
    """Opens one of one thread when it is first needed; several threads may ask at once."""

    def __init__(self) -> None:
        self._whole: duckdb.DuckDBPyConnection | None = None
        self._lent = 0

    def lend(self) -> Home:
        """A catalog to use until it is left."""
        with _LOCK:
            if self._whole is None or self._lent == _RENEWED:
                self._whole, self._lent = opened(1, None), 0  # the one before goes with the last that uses it
            self._lent += 1
            catalog = f"home_{self._lent}"
            self._whole.execute(f"ATTACH ':memory:' AS {catalog}")
            return Home(self._whole, catalog)


_LOCK = threading.Lock()
COMMON = Common()
