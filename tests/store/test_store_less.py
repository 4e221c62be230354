"""What is kept of each value of a column, and of it what a function leaves."""

from __future__ import annotations

from collections.abc import Callable
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.store import less
from tokentrail.store.less import rows_by_value, write_groups, written_less

KINDS: list[tuple[str, pa.DataType]] = [("part", pa.string()), ("number", pa.int64())]
COLUMNS = pa.schema(KINDS)


@given(
    st.lists(st.sampled_from(("", "a", "b", "ab", "c")), max_size=30).map(sorted),
    st.integers(1, 9),
    st.integers(1, 40),
)
def test_rows_come_by_value_and_are_written_as_they_come(parts: list[str], group: int, rows: int) -> None:
    """Each value once and whole, however the groups of rows of its file and what is read of them at once lie."""
    with TemporaryDirectory() as folder, mock.patch.object(less, "_GROUP", group):
        whole, copy = Path(folder) / "whole.parquet", Path(folder) / "copy.parquet"
        pq.write_table(
            pa.table({"part": parts, "number": range(len(parts))}, COLUMNS), whole, row_group_size=rows
        )
        found = [one.to_pylist() for one, complete in rows_by_value(whole, "part") if complete]
        write_groups(copy, whole, (one.slice(0, 2) for one, _ in rows_by_value(whole, "part")))
        expected = [
            list(some) for _, some in groupby(pq.read_table(whole).to_pylist(), lambda row: row["part"])
        ]
        left = pq.ParquetFile(copy)

        assert expected == found
        assert [row for some in expected for row in some[:2]] == left.read().to_pylist()
        assert left.schema_arrow.equals(COLUMNS)
        groups = [left.metadata.row_group(one).num_rows for one in range(left.num_row_groups)]
        assert max(groups, default=0) <= group


@given(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=30).map(sorted),
    st.integers(1, 9),
    st.integers(0, 400),
)
def test_of_more_than_memory_may_hold_nothing_is_left_out(parts: list[str], group: int, most: int) -> None:
    """Rows of a value that come in pieces stay, as none of the pieces tells of the others; of values in one, half."""
    with (
        TemporaryDirectory() as folder,
        mock.patch.object(less, "_GROUP", group),
        mock.patch.object(less, "_MOST", most),
    ):
        whole, path = Path(folder) / "whole.parquet", Path(folder) / "less.parquet"
        pq.write_table(
            pa.table({"part": parts, "number": range(len(parts))}, COLUMNS), whole, row_group_size=7
        )
        told = [(one.to_pylist(), complete) for one, complete in rows_by_value(whole, "part")]
        assert written_less(path, whole, "part", lambda rows: rows.slice(0, len(rows) // 2))

        assert [row for some, _ in told for row in some] == pq.read_table(whole).to_pylist()
        assert [row for some, complete in told for row in some[: len(some) // 2 if complete else None]] == (
            pq.read_table(path).to_pylist()
        )
        for value in set(parts):
            pieces = [complete for some, complete in told if some[0]["part"] == value]
            assert pieces == [True] or not any(pieces)


def test_what_can_t_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    """Neither a full disk, nor rows that the function can't tell, nor an interrupt leave a part of a file."""
    whole, path = tmp_path / "whole.parquet", tmp_path / "less.parquet"
    pq.write_table(pa.table({"part": ["a", "b"], "number": [1, 2]}, COLUMNS), whole)

    def raising(error: BaseException) -> Callable[[pa.Table], pa.Table]:
        def less(rows: pa.Table) -> pa.Table:
            raise error

        return less

    for error in (
        OSError(28, "No space left on device"),
        RecursionError(),
        pa.ArrowInvalid("offset overflow"),
    ):
        assert not written_less(path, whole, "part", raising(error))
    with pytest.raises(KeyboardInterrupt):
        written_less(path, whole, "part", raising(KeyboardInterrupt()))
    whole.write_bytes(b"damaged")
    assert not written_less(path, whole, "part", lambda rows: rows)
    assert [whole] == list(tmp_path.iterdir())
