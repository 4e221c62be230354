"""The settings of an engine: its memory, the threads of a query, and which optimizers of DuckDB are used."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tokentrail.store.memory import give_back

_UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
_PAYS = frozenset({
    "build_side_probe_side", "column_lifetime", "deliminator", "expression_rewriter", "filter_pushdown", "in_clause",
    "join_order", "statistics_propagation", "top_n", "unnest_rewriter", "unused_columns",
})  # fmt: skip
"""The optimizers that are worth their time with few records."""


class Tuned:
    """The part of an engine that changes its settings."""

    _limit: int
    _alone: bool
    """Whether its DuckDB is its own, so that settings change no other engine."""

    @abstractmethod
    def run(self, sql: str) -> None:
        """Run a statement for its effect."""

    @abstractmethod
    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query that has few."""

    def plan_quickly(self) -> None:
        """From now on use only the optimizers that are worth their time with few records."""
        every = (row["name"] for row in self.rows("SELECT name FROM duckdb_optimizers()"))
        self.run(f"SET disabled_optimizers = '{','.join(one for one in every if one not in _PAYS)}'")

    def memory(self) -> float:
        """Bytes that tables and joins may take."""
        [row] = self.rows("SELECT current_setting('memory_limit') AS said")
        count, unit = str(row["said"]).split()
        return float(count) * _UNITS[unit]

    def limit(self) -> None:
        """Set the limit of memory again, which frees what is unused, and give that back to the system."""
        self.run(f"SET memory_limit = '{self._limit} bytes'")  # setting it does so, and is quick
        give_back()

    def release(self) -> None:
        """Give unused memory back, so that it does not add to what comes next; not for few records."""
        if self._alone:
            self.limit()

    def remember_files(self, remember: bool) -> None:
        """Set whether the footers of Parquet files are kept in memory, which those of very many files would fill."""
        self.run(f"SET GLOBAL parquet_metadata_cache = {remember}")

    @contextmanager
    def shared_by(self, threads: int) -> Iterator[None]:
        """Use so many threads for a query meanwhile, if its DuckDB is its own."""
        if not self._alone:
            yield
            return
        [row] = self.rows("SELECT current_setting('threads') AS before")
        self.run(f"SET threads = {threads}")
        try:
            yield
        finally:
            self.run(f"SET threads = {int(row['before'])}")

    @contextmanager
    def as_written(self) -> Iterator[None]:
        """
        Join tables in the order of each query meanwhile: DuckDB guesses the rows of many files far too low.

        With few records it does not matter, and would change the settings of other engines, too.
        """
        if not self._alone:
            yield
            return
        [row] = self.rows("SELECT current_setting('disabled_optimizers') AS before")
        self.run("SET disabled_optimizers = 'join_order,build_side_probe_side'")
        try:
            yield
        finally:
            self.run(f"SET disabled_optimizers = '{row['before']}'")
