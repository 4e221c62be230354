"""
Write one segment's tables as Parquet, small and quickly.

Dictionaries only where few values repeat; differences where values climb; statistics only on what queries prune
by; ids as they are, since nothing compresses random bytes. Every reader of Parquet 2 knows these encodings.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tokentrail.events.columns import TABLES

_REPEATED = frozenset({"segment", "object", "duration", "resource"})
"""Columns whose values repeat though they are no labels."""
_CLIMBING = frozenset({"ordinal", "time"})
_RANDOM = frozenset({"event_id", "shared_id"})
_PRUNED_BY = frozenset({"time", "account"})
_SORTED_BY = {"identities": "arn"}
"""Neighbours that look alike take a third less room; identities are found by their number, not by their place."""


def write_segment(tables: dict[str, pa.Table], folder: Path) -> None:
    """Write `folder/<table>.parquet` for each table, empty ones too; the folder is made for its owner alone."""
    folder.mkdir(mode=0o700, parents=True)
    for name, table in tables.items():
        _write(table.sort_by(_SORTED_BY[name]) if name in _SORTED_BY else table, folder / f"{name}.parquet")


def is_part(path: Path, name: str) -> bool:
    """Whether a file can be read as a table of a segment."""
    try:
        return set(TABLES[name].names) <= set(pq.read_schema(path).names)
    except (OSError, ValueError):  # pyarrow's own are of these kinds
        return False


def _write(table: pa.Table, path: Path) -> None:
    names = table.column_names
    repeated = [one.name for one in table.schema if pa.types.is_dictionary(one.type) or one.name in _REPEATED]
    pq.write_table(
        table,
        path,
        compression={name: "none" if name in _RANDOM else "zstd" for name in names},
        compression_level={name: 1 for name in names if name not in _RANDOM},
        store_schema=False,
        use_dictionary=repeated,  # type: ignore[arg-type]  # pyarrow takes names, its stubs do not know
        column_encoding={name: "DELTA_BINARY_PACKED" for name in names if name in _CLIMBING},
        write_statistics=[name for name in names if name in _PRUNED_BY],
    )
