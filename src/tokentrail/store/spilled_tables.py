"""
Tables that are kept in files for a while: several tables of very many rows would fill memory, and then DuckDB would
move them to disk and back block by block.
"""

from __future__ import annotations

import re
import secrets
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tokentrail.store.literals import quoted, reading

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

_DROPS = re.compile(r"DROP TABLE (\w+)")


class SpilledTables:
    """Tables of a database that are kept in files; queries use their names as those of other tables."""

    def __init__(self, beside: Path, form: str) -> None:
        """
        Begin with no tables.

        Args:
            beside: The folder in which to make one for the files, once there is a table.
            form: DuckDB's options for writing them.
        """
        self._folder = beside / f"tables-{secrets.token_hex(8)}"
        self._form = form
        self._files: dict[str, Path] = {}

    def make(self, connection: DuckDBPyConnection, name: str, query: str) -> int:
        """Make a table of a query's rows, and return how many there are. It is in memory if files can't be written."""
        try:
            self._folder.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._folder.mkdir(mode=0o700, exist_ok=True)
        except OSError:
            [[rows]] = connection.execute(f"CREATE TABLE {name} AS {query}").fetchall()
            return int(rows)
        file = self._folder / f"{name}.parquet"
        [[rows]] = connection.execute(f"COPY ({query}) TO {quoted(str(file))} ({self._form})").fetchall()
        read = f"SELECT * FROM {reading([file])}"
        if not rows:  # of an empty table an engine knows more than of an empty file
            connection.execute(f"CREATE TABLE {name} AS {read}")
            file.unlink()
            return 0
        connection.execute(f"CREATE VIEW {name} AS {read}")
        self._files[name] = file
        return int(rows)

    def drop(self, connection: DuckDBPyConnection, statement: str) -> bool:
        """Drop a table, if the statement drops one of these. Returns whether it does."""
        found = _DROPS.fullmatch(statement)
        file = self._files.pop(found[1], None) if found else None
        if found is None or file is None:
            return False
        connection.execute(f"DROP VIEW {found[1]}")
        file.unlink()
        return True

    def close(self) -> None:
        """Remove their files."""
        shutil.rmtree(self._folder, ignore_errors=True)
