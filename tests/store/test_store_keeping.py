"""What is kept of each value of a column, and of it what a function leaves."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.store import keeping
from tokentrail.store.keeping import rows_by_value, write_groups

COLUMNS = pa.schema([("part", pa.string()), ("number", pa.int64())])


@given(
    st.lists(st.sampled_from(("", "a", "b", "ab", "c")), max_size=30).map(sorted),
    st.integers(1, 9),
    st.integers(1, 40),
)
def test_rows_come_by_value_and_are_written_as_they_come(parts: list[str], group: int, rows: int) -> None:
    """Each value once and whole, however the groups of rows of its file and what is read of them at once lie."""
    with TemporaryDirectory() as folder, mock.patch.object(keeping, "_GROUP", group):
        whole, copy = Path(folder) / "whole.parquet", Path(folder) / "copy.parquet"
        pq.write_table(
            pa.table({"part": parts, "number": range(len(parts))}, COLUMNS), whole, row_group_size=rows
        )
        found = [one.to_pylist() for one in rows_by_value(whole, "part")]
        write_groups(copy, whole, (one.slice(0, 2) for one in rows_by_value(whole, "part")))
        expected = [
            list(some) for _, some in groupby(pq.read_table(whole).to_pylist(), lambda row: row["part"])
        ]
        left = pq.ParquetFile(copy)

        assert expected == found
        assert [row for some in expected for row in some[:2]] == left.read().to_pylist()
        assert left.schema_arrow == COLUMNS
        groups = [left.metadata.row_group(one).num_rows for one in range(left.num_row_groups)]
        assert max(groups, default=0) <= group
