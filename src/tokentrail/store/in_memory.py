"""
An engine whose evidence is in memory tables, for a watch, which links its newest records again with each batch.

Derived tables stay in memory too: for few records, writing and reading a file takes longer than the query itself.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence, Set
from pathlib import Path

import pyarrow as pa

from tokentrail.store.duck import DuckEngine
from tokentrail.store.interface import Step
from tokentrail.store.keeping import in_order
from tokentrail.store.ranges import Range, within


class MemoryEngine(DuckEngine):
    """An engine that keeps evidence and everything derived from it in memory."""

    def __init__(self, spill: Path | None = None) -> None:
        """Open one, of one thread: of few records, threads that share a query cost more than they bring."""
        super().__init__(spill, threads=1)
        self._held: list[str] = []
        self._sorted: dict[str, pa.Table] = {}

    def hold(self, name: str, table: pa.Table) -> None:
        """Make one table of segments known, in place of what it held before."""
        self._taken(f"CREATE OR REPLACE TABLE {name} AS SELECT * FROM coming", table)
        if name not in self._held:
            self._held.append(name)

    def add(self, name: str, rows: pa.Table) -> None:
        """Add rows to a table that is held."""
        self._taken(f"INSERT INTO {name} SELECT * FROM coming", rows)

    def _taken(self, sql: str, coming: pa.Table) -> None:
        self.register("coming", coming)
        self.run(sql)
        self._connection.unregister("coming")

    def run_all(self, listed: Sequence[Step]) -> None:
        """Run statements, but none that drops a table: what is made is forgotten at once, later; see `aside`."""
        super().run_all([one for one in listed if not one.sql.startswith("DROP ")])

    def suspects(self) -> None:
        """Nothing: a query tells as quickly which event ids occur more than once."""

    def narrow(self, segments: Set[int]) -> dict[str, str]:
        """How a query names each table of segments: whole."""
        return self.everywhere()

    def holding(self, *, events: Collection[bytes] = (), names: Collection[str] = ()) -> dict[str, str]:
        """The same, whatever they hold."""
        return self.everywhere()

    def everywhere(self) -> dict[str, str]:
        """The same for all of them."""
        return {f"some_{name}": name for name in self._held}

    def keep_apart(self, name: str, sql: str, folder: Path, by: str = "ALL", *, anew: bool = False) -> None:
        """Make the rows of a query known under a name."""
        self.keep(name, in_order(sql.format_map(self.everywhere()), by), folder / f"{name}.parquet")

    def write(self, sql: str, path: Path) -> None:
        """Keep the rows of a query until they are written anew: a path is but a name here."""
        self.run(f"CREATE OR REPLACE TABLE main.kept_{path.stem} AS {sql}")

    def view(self, name: str, path: Path) -> None:
        """Make what was kept known under a name."""
        self._sorted.pop(name, None)
        self.run(f"CREATE OR REPLACE VIEW {name} AS SELECT * FROM main.kept_{path.stem}")

    def keep(self, name: str, sql: str, path: Path) -> None:
        """Make the rows of a query known under a name."""
        self.write(sql, path)
        self.view(name, path)

    def ranges(self, name: str, by: str, wanted: Sequence[Range]) -> pa.Table:
        """Few rows of what is known by `view`; see `Engine`."""
        if name not in self._sorted:
            self._sorted[name] = self.table(f"SELECT * FROM {name} ORDER BY {by} NULLS LAST").combine_chunks()
        return pa.concat_tables([self._sorted[name][:0], *within(self._sorted[name], by, wanted)])
