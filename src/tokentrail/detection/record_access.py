"""How a context reads raw records."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pyarrow as pa

from tokentrail.lineage.rows import Row

Place = tuple[int, int, int]
"""The place of a raw record: segment, object, ordinal."""
Read = Callable[[Sequence[Place]], Iterator[tuple[Place, Any]]]
"""Reads raw records, with secrets blanked; those that can no longer be read are left out."""
Scan = Callable[[pa.Table], Iterator[tuple[int, Any]]]
"""
Reads the raw records of a table of segments, objects and ordinals, sorted by these: each one's row, and the record with
its secrets, which is not to be shown. Those that can no longer be read are left out.
"""


def place_of(row: Row) -> Place:
    """The place of a row's raw record."""
    return row["segment"], row["object"], row["ordinal"]


def one_by_one(read: Read, wanted: pa.Table) -> Iterator[tuple[int, Any]]:
    """Read the records of a table without its secrets, if there is no quicker way."""
    columns = (wanted[name].to_pylist() for name in ("segment", "object", "ordinal"))
    rows = {place: row for row, place in enumerate(zip(*columns, strict=True))}
    return ((rows[place], record) for place, record in read(list(rows)))
