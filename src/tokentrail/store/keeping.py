"""What an engine was asked for once, and keeps in files beside what was derived."""

from __future__ import annotations

import secrets
from abc import abstractmethod
from collections.abc import Callable, Sequence, Set
from functools import partial
from pathlib import Path
from typing import Any

from tokentrail.errors import CaseError
from tokentrail.store.layers import Layer, covering, numbers, table_file
from tokentrail.store.literals import reading

_TOGETHER = 200
"""Segments that are asked at once for what is kept of each."""


class Keeping:
    """The part of an engine that keeps answers."""

    @abstractmethod
    def run(self, sql: str) -> None:
        """Run a statement for its effect."""

    @abstractmethod
    def rows(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a query that has few."""

    @abstractmethod
    def write(self, sql: str, path: Path) -> None:
        """Write the rows of a query to a Parquet file."""

    @abstractmethod
    def view(self, name: str, path: Path) -> None:
        """Make a Parquet file known under a name."""

    @abstractmethod
    def layered(self, name: str, files: Sequence[tuple[Path, Sequence[int]]]) -> None:
        """Make the rows of some Parquet files known under one name, each without those of some segments."""

    @abstractmethod
    def narrow(self, segments: Set[int]) -> dict[str, str]:
        """How a query names each table of segments with some of them alone."""

    @abstractmethod
    def everywhere(self) -> dict[str, str]:
        """How a query names the tables of segments where it means all of them."""

    @abstractmethod
    def known_segments(self) -> Set[int]:
        """All of them."""

    def keep(self, name: str, sql: str, path: Path) -> None:
        """Make the rows of a query known under a name, from `path`; they are written there if they are not yet."""
        self._written(sql, [lambda: sql], path)
        self.view(name, path)

    def keep_apart(self, name: str, sql: str, folder: Path, by: str = "ALL", *, anew: bool = False) -> None:
        """Make the rows of a query known that are each of one segment: those of each layer are kept; see `Engine`."""
        layers = covering(folder, self.known_segments())
        whole_file = folder / f"{name}.parquet"
        if anew:
            for path in (whole_file, *(table_file(folder, layer, name) for layer in layers)):
                path.unlink(missing_ok=True)
        try:
            if layers:
                self._keep_layers(name, sql, folder, by, layers)
                return
        except (CaseError, OSError):
            if covering(folder, self.known_segments()):
                raise
            # else they were tidied away meanwhile, as those of an older folder are
        self.keep(name, in_order(sql.format_map(self.everywhere()), by), whole_file)

    def _keep_layers(self, name: str, sql: str, folder: Path, by: str, layers: Sequence[Layer]) -> None:
        files = [(table_file(folder, layer, name), layer) for layer in layers]
        columns = sql.format_map(self.narrow(set()))
        for path, layer in files:
            every = numbers(layer.records)
            pieces = [every[start : start + _TOGETHER] for start in range(0, len(every), _TOGETHER)]
            # Spelled where they are asked: to name thousands of files takes longer than to find that nothing is new.
            asked = [partial(self._of_some, sql, piece) for piece in pieces]
            self._written(columns, asked, path, by)
        self.layered(name, [(path, numbers(layer.gone)) for path, layer in files])

    def _of_some(self, sql: str, segments: Sequence[int]) -> str:
        return sql.format_map(self.narrow(set(segments)))

    def _written(
        self, columns: str, pieces: Sequence[Callable[[], str]], path: Path, by: str | None = None
    ) -> None:
        """Write the rows of some queries to a file, in an order, if it is not there with the columns of one of them."""
        if path.exists() and self._holds(path, columns):
            return
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        if len(pieces) == 1:
            sql = pieces[0]()
            self.write(in_order(sql, by) if by else sql, fresh)
        else:  # all at once would bring together what no memory holds
            self.run(f"CREATE OR REPLACE TEMP TABLE pieces AS {pieces[0]()}")
            for piece in pieces[1:]:
                self.run(f"INSERT INTO pieces {piece()}")
            self.write(in_order("SELECT * FROM pieces", by or "ALL"), fresh)
            self.run("DROP TABLE pieces")
        fresh.replace(path)

    def _holds(self, path: Path, sql: str) -> bool:
        """Whether a file has the columns of a query: it may be damaged, or another one in its place."""
        asked = [f"DESCRIBE {one}" for one in (sql, f"SELECT * FROM {reading([path])}")]
        try:
            there, wanted = (
                [(one["column_name"], one["column_type"]) for one in self.rows(each)] for each in asked
            )
        except CaseError:
            return False
        return there == wanted


def in_order(sql: str, by: str) -> str:
    """A query with its rows in an order."""
    return f"{sql} ORDER BY {by}"
