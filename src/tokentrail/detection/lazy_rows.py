"""Rows as views of columns, so that of very many values only those that a rule uses become Python objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa


class Columns(Mapping[str, Sequence[Any]]):
    """The columns of a table, each of which becomes a list when first used; of forty, rules use a few."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._read: dict[str, Sequence[Any]] = {}

    def __getitem__(self, name: str) -> Sequence[Any]:
        found = self._read.get(name)
        if found is None:
            found = self._read[name] = self._table[name].to_pylist()
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.column_names)

    def __len__(self) -> int:
        return self._table.num_columns


class LazyRow(Mapping[str, Any]):
    """A row as a view of columns, which takes a fraction of a dictionary's memory."""

    __slots__ = ("_columns", "_place")

    def __init__(self, columns: Mapping[str, Sequence[Any]], place: int) -> None:
        self._columns, self._place = columns, place

    def __getitem__(self, name: str) -> Any:
        return self._columns[name][self._place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)
