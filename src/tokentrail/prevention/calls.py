"""
Query all calls of a case with their callers, one batch of segments after another, so that memory holds only one batch.

In a query, `some_facts`, `some_identities`, `some_callers` and so on stand for the rows of the batch.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from tokentrail.lineage.link import facts_of
from tokentrail.lineage.segment_batches import segment_batches
from tokentrail.store.interface import Engine

_MOST = 600_000
"""Identities of a batch, about: with smaller batches, planning the query for each would take longer."""
_APART_AT_MOST = 500_000
"""Rows of batches that may wait to be combined, or three times the rows of the last combination if that is more."""
_OWN_FILES = ("identities", "events", "issuances")
_APART = frozenset({"facts", *_OWN_FILES})
_WITH_PLACE = "SELECT DISTINCT segment FROM callers WHERE place IS NOT NULL"


class Calls:
    """The calls of a case, for queries between `open` and `close`."""

    def __init__(self, engine: Engine, scratch: Path | None) -> None:
        """
        Divide the segments.

        Args:
            engine: Knows the case.
            scratch: A folder that is made for large tables; without one, all are in memory.
        """
        self._engine = engine
        self._parts = segment_batches(engine, _MOST)
        self._scratch = scratch if len(self._parts) > 1 else None
        self._made: dict[str, str] = {}
        """What `close` must drop, by name: a `VIEW` or a `TABLE`."""
        self._theirs: frozenset[int] = frozenset()
        self._folders: dict[str, Path] = {}
        """The folders of tables that are kept in files, by name."""
        self._numbers = count()

    def open(self) -> None:
        """Make the views of each batch."""
        if len(self._parts) < 2:
            return
        self._engine.remember_files(False)  # each is read once for each query
        for one in self._parts:
            for name in one.views(self._engine, _OWN_FILES):
                self._made[name] = "VIEW"

    def close(self) -> None:
        """Drop everything that was made."""
        try:
            for name in list(self._made):
                self.forget(name)
        finally:
            if len(self._parts) > 1:
                self._engine.remember_files(True)

    def register_callers(self, sql: str, more: str) -> None:
        """
        Make the table `callers`: one row for each identity, with `place` set for the attacker's credentials alone.

        Args:
            sql: The query for it, in which `w` has the `segment`.
            more: A query for further segments that hold calls of the attacker's.
        """
        self._keep("callers", [f"{sql} ORDER BY w.segment"])  # so that those of some segments lie together
        self._theirs = frozenset(row["segment"] for row in self._engine.rows(f"{_WITH_PLACE} UNION {more}"))

    def keep(self, name: str, sql: str, whole: str | None = None) -> None:
        """
        Make a table of a query's rows over all batches.

        Args:
            name: The name of the table.
            sql: The query over one batch.
            whole: A query that combines the rows of several batches, `{parts}`, such as a sum; it must be possible to
                combine its own rows with further ones in the same way. By default all rows are kept.
        """
        first, *rest = (one.of(sql, _APART) for one in self._parts)
        self._engine.run(f"CREATE OR REPLACE TEMP TABLE {name} AS {first}")
        added, most = 0, _APART_AT_MOST
        for part in rest:
            added += self._engine.made(f"INSERT INTO {name} {part}")
            if whole is not None and added > most:
                added, most = 0, max(_APART_AT_MOST, 3 * self._put_together(name, whole))
        if whole is not None and added:
            self._put_together(name, whole)

    def keep_theirs(self, name: str, sql: str) -> None:
        """Make a table of a query's rows over the batches that hold calls of the attacker's."""
        asked = [one for one in self._parts if one.segments is None or one.segments & self._theirs]
        parts = [one.of(sql, _APART) for one in asked] or [f"{self._parts[0].of(sql, _APART)} LIMIT 0"]
        self._keep(name, parts)

    def forget(self, name: str) -> None:
        """Drop a table."""
        self._engine.run(f"DROP {self._made.pop(name)} IF EXISTS {name}")
        if folder := self._folders.pop(name, None):
            shutil.rmtree(folder, ignore_errors=True)

    def facts_of_theirs(self) -> str:
        """A query for all calls in the segments that hold calls of the attacker's."""
        if not self._theirs:
            return "SELECT * FROM facts LIMIT 0"
        return facts_of(self._engine, self._engine.narrow(self._theirs)["some_events"])

    def _keep(self, name: str, parts: Sequence[str]) -> None:
        """Make a table that may have as many rows as there are calls: in files, if there is a scratch folder."""
        self._made[name] = "TABLE" if self._scratch is None else "VIEW"
        if self._scratch is None:
            self._engine.run(f"CREATE OR REPLACE TEMP TABLE {name} AS {' UNION ALL '.join(parts)}")
            return
        folder = self._folders[name] = self._scratch / f"{name}-{next(self._numbers)}"
        folder.mkdir(mode=0o700, parents=True)
        for number, part in enumerate(parts):
            self._engine.park(part, folder / f"{number}.parquet")
        self._engine.view(name, folder)

    def _put_together(self, name: str, whole: str) -> int:
        """Combine the rows of the batches so far; returns how many rows are left."""
        rows = self._engine.made(f"CREATE OR REPLACE TEMP TABLE {name}_whole AS {whole.format(parts=name)}")
        self._engine.run(f"DROP TABLE {name}")
        self._engine.run(f"ALTER TABLE {name}_whole RENAME TO {name}")
        return rows


def add_table(engine: Engine, name: str, columns: Mapping[str, pa.Array[Any]]) -> None:
    """Make some rows known to queries under a name."""
    engine.register(f"given_{name}", pa.table(dict(columns)))
    engine.run(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM given_{name}")
