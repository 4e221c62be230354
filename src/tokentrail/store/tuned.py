"""How much memory an engine may take, how many threads share a query, and what it makes of a query before it runs."""

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
"""What DuckDB may do to a query before it runs: of few records the rest takes more time than it saves."""


class Tuned:
    """The part of an engine that is told how to go about its work."""

    _limit: int
    _alone: bool
    """Whether no other engine is told as well."""

    @abstractmethod
    def run(self, sql: str) -> None:
        """Run a statement for its effect."""

    @abstractmethod
    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query that has few."""

    def plan_quickly(self) -> None:
        """From now on do no more to a query before it runs than pays where it reads few records."""
        every = (row["name"] for row in self.rows("SELECT name FROM duckdb_optimizers()"))
        self.run(f"SET disabled_optimizers = '{','.join(one for one in every if one not in _PAYS)}'")

    def memory(self) -> float:
        """Bytes that tables and joins may take."""
        [row] = self.rows("SELECT current_setting('memory_limit') AS said")
        count, unit = str(row["said"]).split()
        return float(count) * _UNITS[unit]

    def limit(self) -> None:
        """Let tables and joins take no more than that, and give back to the system what they have let go of."""
        self.run(f"SET memory_limit = '{self._limit} bytes'")  # setting it does so, and is quick
        give_back()

    def release(self) -> None:
        """Give back what was let go of: beside what comes next it would add up, unless it was of few records."""
        if self._alone:
            self.limit()

    def remember_files(self, remember: bool) -> None:
        """From now on keep what the ends of files say, or read it anew each time: of very many it would fill memory."""
        self.run(f"SET GLOBAL parquet_metadata_cache = {remember}")

    @contextmanager
    def shared_by(self, threads: int) -> Iterator[None]:
        """Meanwhile let so many threads share a query's work, if that is this engine's alone to say."""
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
        Meanwhile join tables in the order of each query: how many rows many files have is guessed far too low.

        Of few records it does not matter, and it would be said to other engines, too.
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
