"""
Read a few rows of a large Parquet file that is sorted by a column: the footer once, then only the row groups needed.

An engine that plans a query over such a file examines every row group anew, which for ten million rows takes longer
than reading the one group that is wanted.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Range = tuple[Any, Any]
"""The lowest value and the highest, both included."""
_KEPT = 8
"""Row groups that are remembered, as one question leads to the next."""
_COLUMNS = 64
"""Row groups of which the column that they are sorted by is remembered."""


def without(rows: pa.Table, segments: Sequence[int]) -> pa.Table:
    """Those of few rows that are of none of some segments."""
    if not segments or not rows.num_rows:
        return rows
    return rows.filter(pa.array(~np.isin(rows["segment"].to_numpy(), segments)))


class Ranges:
    """Reads ranges of rows of a Parquet file, or of a folder of them that follow each other."""

    def __init__(self, path: Path, by: str, *, seldom: bool = False) -> None:
        """
        Read the footers.

        Args:
            path: The file or folder.
            by: The column that its rows are sorted by, with what is null at the end.
            seldom: Whether it holds few of the rows that it is asked for: then that column is read first.
        """
        self._seldom = seldom
        self._by = by
        self._groups: list[tuple[pq.ParquetFile, int]] = []
        self._lowest: list[Any] = []
        self._highest: list[Any] = []
        self._unsure: list[int] = []
        """Row groups without statistics, which must always be read."""
        self._kept: OrderedDict[int, pa.Table] = OrderedDict()
        self._columns: OrderedDict[int, pa.Table] = OrderedDict()
        files = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        read = [opened(one) for one in files]
        self._nothing = read[0].schema_arrow.empty_table() if read else pa.table({})
        for number, (file, group, low, high) in enumerate(_ordered(read, by)):
            self._groups.append((file, group))
            self._lowest.append(low)
            self._highest.append(high)
            if low is None:
                self._unsure.append(number)

    def rows(self, wanted: Sequence[Range]) -> pa.Table:
        """The rows in some ranges that don't overlap, given in order."""
        found = [self._nothing]
        asked = ((number, one) for one in wanted for number in self._holding(*one))
        for number, some in groupby(asked, key=itemgetter(0)):
            places = _found(self._column(number), (one for _, one in some))
            if places:
                found += _at(self._group(number), places)
        return pa.concat_tables(found)

    def _holding(self, low: Any, high: Any) -> Iterable[int]:
        """The groups that may hold any of a range."""
        if self._unsure:
            return [
                number
                for number, (lowest, highest) in enumerate(zip(self._lowest, self._highest, strict=True))
                if lowest is None or (lowest <= high and highest >= low)
            ]
        return range(bisect_left(self._highest, low), bisect_right(self._lowest, high))

    def _column(self, number: int) -> pa.ChunkedArray[Any]:
        """The column of a group that it is sorted by."""
        if number in self._kept or not self._seldom:
            return self._group(number)[self._by]
        return _remembered(self._columns, _COLUMNS, number, lambda: self._read(number, [self._by]))[self._by]

    def _group(self, number: int) -> pa.Table:
        return _remembered(self._kept, _KEPT, number, lambda: self._whole(number))

    def _whole(self, number: int) -> pa.Table:
        if number not in self._columns:
            return self._read(number, None)
        place = self._nothing.schema.get_field_index(self._by)
        others = self._read(number, [name for name in self._nothing.column_names if name != self._by])
        return others.add_column(place, self._nothing.schema.field(place), self._column(number))

    def _read(self, number: int, columns: list[str] | None) -> pa.Table:
        file, group = self._groups[number]
        return file.read_row_group(group, columns, use_threads=False).combine_chunks()


def _remembered(
    known: OrderedDict[int, pa.Table], most: int, number: int, read: Callable[[], pa.Table]
) -> pa.Table:
    """What is known of a group, or is read and then known, as long as it is among the last that were wanted."""
    if number in known:
        known.move_to_end(number)
        return known[number]
    found = known[number] = read()
    if len(known) > most:
        known.popitem(last=False)
    return found


def within(table: pa.Table, by: str, wanted: Iterable[Range]) -> Iterator[pa.Table]:
    """The rows in some ranges of a table that is sorted by a column, with what is null at the end."""
    yield from _at(table, _found(table[by], wanted))


def _at(table: pa.Table, places: Sequence[tuple[int, int]]) -> Iterator[pa.Table]:
    """The rows of a table at some places."""
    if sum(end - start for start, end in places) > len(table) // 2:
        yield from (table.slice(start, end - start) for start, end in places)
    elif places:  # a slice would hold the whole table in memory
        yield table.take(pa.array(np.concatenate([np.arange(start, end) for start, end in places])))


def _found(column: pa.ChunkedArray[Any], wanted: Iterable[Range]) -> list[tuple[int, int]]:
    """Where each of some ranges that a sorted column has any values of begins and ends in it."""
    if pa.types.is_int64(column.type) and not column.null_count:  # thousands are found at once
        numbers: Any = column.to_numpy()
        lows, highs = np.array([*wanted], np.int64).reshape(-1, 2).T
        starts, ends = np.searchsorted(numbers, lows), np.searchsorted(numbers, highs, side="right")
        there = starts < ends
        return list(zip(starts[there].tolist(), ends[there].tolist(), strict=True))
    values = _Values(column)
    places = []
    for low, high in wanted:
        start = bisect_left(values, low)
        end = bisect_right(values, high, lo=start)
        if start < end:
            places.append((start, end))
    return places


def plain(table: pa.Table) -> pa.Table:
    """The same with text as text, as another file may not hold the same columns as dictionaries."""
    kinds = {field.name: field.type for field in table.schema}
    told = {name: kind.value_type if pa.types.is_dictionary(kind) else kind for name, kind in kinds.items()}
    return table.cast(pa.schema(list(told.items())))


class _Values(Sequence[Any]):
    """A column to search in: what is null sorts behind all else."""

    def __init__(self, column: pa.ChunkedArray[Any]) -> None:
        self._column = column

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, place: Any) -> Any:
        value = self._column[place].as_py()
        return _Last() if value is None else value


class _Last:
    """Greater than anything."""

    def __lt__(self, _: object) -> bool:
        return False

    def __gt__(self, _: object) -> bool:
        return True


def _ordered(files: Iterable[pq.ParquetFile], by: str) -> list[tuple[pq.ParquetFile, int, Any, Any]]:
    """Every row group with its lowest and highest value, in order; `None` where the footer has no statistics."""
    found = []
    for file in files:
        place = file.schema_arrow.get_field_index(by)
        for group in range(file.num_row_groups):
            told = file.metadata.row_group(group).column(place).statistics
            low, high = (told.min, told.max) if told is not None and told.has_min_max else (None, None)
            found.append((file, group, low, high))
    if all(low is not None for _, _, low, _ in found):
        found.sort(key=lambda one: (one[2], one[3]))
    return found


def opened(path: Path) -> pq.ParquetFile:
    """A file, whose footer is read once: that of ten million rows has megabytes."""
    footer = pq.read_metadata(path)
    return pq.ParquetFile(path, metadata=footer, memory_map=True, read_dictionary=_labels(footer))


def _labels(metadata: pq.FileMetaData) -> list[str]:
    """Columns of text that a file holds as dictionaries throughout: they are quicker read so, and only they can be."""
    labels = []
    for place in range(metadata.num_columns):
        told = metadata.schema.column(place)
        if told.physical_type == "BYTE_ARRAY" and "." not in told.path:
            groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
            if all(_is_dictionary(group.column(place).encodings) for group in groups):
                labels.append(told.path)
    return labels if metadata.num_row_groups else []


def _is_dictionary(encodings: Iterable[str]) -> bool:
    """Whether nothing but a dictionary's numbers, or plain text past them, follows in a part of a column."""
    return "RLE_DICTIONARY" in encodings and not any(one.startswith("DELTA") for one in encodings)
