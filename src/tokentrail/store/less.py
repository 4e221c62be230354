"""Write what a function leaves of a Parquet file that is sorted by a column, the rows of each value by themselves."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tokentrail.store.ranges import opened

_GROUP = 8_192
"""Rows of a group in which few are looked up."""
_MOST = 128 << 20
"""Bytes of one value's rows of which any are left out: one account could else fill memory."""


def written_less(path: Path, whole: Path, by: str, less: Callable[[pa.Table], pa.Table]) -> bool:
    """
    Write to a file what is left of another one.

    Args:
        path: The file; it is there as a whole, or not at all.
        whole: The other one.
        by: The column of text that it is sorted by.
        less: Leaves out some rows of one value.

    Returns:
        Whether it was written: not where there is no room, and where the other one is damaged or odd, so that it
        alone can tell, or say what is wrong.
    """
    fresh = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        left = (less(rows) if complete else rows for rows, complete in rows_by_value(whole, by))
        write_groups(fresh, whole, left)
        fresh.replace(path)
    except (OSError, ValueError, LookupError, RecursionError, pa.ArrowException):
        return False
    finally:
        fresh.unlink(missing_ok=True)
    return True


def rows_by_value(path: Path, by: str) -> Iterator[tuple[pa.Table, bool]]:
    """The rows of each value, one value after another, and whether these are all: of very many, some at a time."""
    begun: list[pa.Table] = []
    known, size, complete = None, 0, True
    for value, rows in _runs(path, by):
        if value != known:
            if begun:
                yield pa.concat_tables(begun), complete
            begun, known, size, complete = [], value, 0, True
        begun.append(rows)
        size += rows.nbytes
        if size > _MOST:
            yield pa.concat_tables(begun), False
            begun, size, complete = [], 0, False
    if begun:
        yield pa.concat_tables(begun), complete


def _runs(path: Path, by: str) -> Iterator[tuple[str, pa.Table]]:
    """The rows that follow each other with one value, with that; cut where a batch ends."""
    with opened(path) as file:
        for batch in file.iter_batches(_GROUP):
            rows = pa.Table.from_batches([batch])
            values: Any = rows[by].cast(pa.string()).combine_chunks()
            codes = values.dictionary_encode("encode").indices.to_numpy()
            starts = [0, *(np.flatnonzero(np.diff(codes)) + 1).tolist()]
            for start, end in zip(starts, [*starts[1:], len(rows)], strict=True):
                yield values[start].as_py(), rows.slice(start, end - start)


def write_groups(path: Path, like: Path, tables: Iterable[pa.Table]) -> None:
    """Write tables one after another to a Parquet file with the columns of another, in groups of few rows."""
    with opened(
        like
    ) as file:  # texts as dictionaries, as `rows_by_value` has them: they may be long, and repeat
        schema = file.schema_arrow
    with pq.ParquetWriter(path, schema, compression="lz4", store_schema=False) as out:
        some: list[pa.Table] = []
        rows = 0
        for table in tables:
            some.append(table)
            rows += table.num_rows
            if rows >= _GROUP:
                out.write_table(pa.concat_tables(some), _GROUP)
                some, rows = [], 0
        if some:
            out.write_table(pa.concat_tables(some), _GROUP)
