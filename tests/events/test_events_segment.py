"""Tables as Parquet files."""

from __future__ import annotations

import stat
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from events_cases import arrow, issuing, native, raw, record, tables_of

from tokentrail.events.columns import TABLES
from tokentrail.store.segment import write_segment

MANY = [
    record(),
    issuing(sharedEventID="x"),
    record(eventName="CreateUser", eventSource="iam.amazonaws.com"),
    record(eventID="odd"),
]


@pytest.mark.parametrize("objects", [(), (b"",), (native(raw(), raw(readOnly="x")),)])
def test_every_table_is_a_file(tmp_path: Path, objects: tuple[bytes, ...]) -> None:
    """Each table is a file of its name with all its columns, an empty one too."""
    write_segment(arrow(*objects), tmp_path / "new" / "segment")

    for name, schema in TABLES.items():
        assert schema.names == pq.read_schema(tmp_path / "new" / "segment" / f"{name}.parquet").names


def test_a_segment_is_for_its_owner_alone(tmp_path: Path) -> None:
    """The folder can be entered by its owner only."""
    write_segment(arrow(), tmp_path / "segment")

    assert 0o700 == stat.S_IMODE((tmp_path / "segment").stat().st_mode)


def test_what_is_read_is_what_was_written(tmp_path: Path) -> None:
    """DuckDB and pyarrow read the values that were written."""
    import json

    data = json.dumps({"Records": MANY}).encode()
    write_segment(arrow(data), tmp_path / "segment")
    written = tables_of(MANY)

    for name in TABLES:
        path = tmp_path / "segment" / f"{name}.parquet"
        order = "identity" if name == "identities" else "object, ordinal"
        read = duckdb.from_parquet(str(path)).order(order).to_arrow_table()

        assert written[name] == pa.table(read).to_pylist()
        assert sorted(map(str, written[name])) == sorted(map(str, pq.read_table(path).to_pylist()))
