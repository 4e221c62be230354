"""Few rows of a sorted file, whatever groups it has."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.store.duck import DuckEngine
from tokentrail.store.ranges import Ranges

NAMES = st.lists(st.text("abc@é", max_size=3), max_size=30)


def written(folder: Path, values: list[str | None], groups: int, *, statistics: bool = True) -> Path:
    """A file of a sorted column, and one that counts."""
    table = pa.table({"name": pa.array(values, pa.string()), "at": pa.array(range(len(values)), pa.int64())})
    path = folder / "some.parquet"
    pq.write_table(table, path, row_group_size=groups, write_statistics=statistics)
    return path


@given(
    NAMES,
    st.text("abc@é", max_size=3),
    st.text("abc@é", max_size=3),
    st.integers(1, 7),
    st.integers(0, 3),
    st.booleans(),
    st.booleans(),
)
def test_a_range_is_found_whatever_the_groups(
    tmp_path_factory: pytest.TempPathFactory,
    names: list[str],
    one: str,
    other: str,
    groups: int,
    nulls: int,
    statistics: bool,
    seldom: bool,
) -> None:
    values = sorted(names)
    low, high = sorted((one, other))
    path = written(
        tmp_path_factory.mktemp("ranges"), [*values, *[None] * nulls], groups, statistics=statistics
    )
    found = Ranges(path, "name", seldom=seldom).rows([(low, high)])
    expected = list(range(bisect_left(values, low), bisect_right(values, high)))
    assert (found["at"].to_pylist() if values or nulls else []) == expected


@given(st.lists(st.integers(0, 20), max_size=40), st.sets(st.integers(0, 20)), st.integers(1, 5))
def test_files_that_follow_each_other_are_one(
    tmp_path_factory: pytest.TempPathFactory, numbers: list[int], wanted: set[int], groups: int
) -> None:
    folder = tmp_path_factory.mktemp("ranges") / "parts"
    folder.mkdir()
    ordered = sorted(numbers)
    for name, part in zip("cab", (ordered[:5], ordered[5:11], ordered[11:]), strict=True):
        pq.write_table(
            pa.table({"n": pa.array(part, pa.int64())}), folder / f"{name}.parquet", row_group_size=groups
        )
    ranges = Ranges(folder, "n")
    for _ in range(2):
        found = ranges.rows([(n, n) for n in sorted(wanted)])
        assert found["n"].to_pylist() == [n for n in ordered if n in wanted]


def test_no_more_than_some_groups_stay_at_hand(tmp_path: Path) -> None:
    pq.write_table(
        pa.table({"n": pa.array(range(1000), pa.int64())}), tmp_path / "n.parquet", row_group_size=10
    )
    ranges = Ranges(tmp_path / "n.parquet", "n")
    assert ranges.rows([(n, n) for n in range(0, 1000, 5)])["n"].to_pylist() == list(range(0, 1000, 5))
    assert len(ranges._kept) < 20


def test_where_rows_are_seldom_the_column_they_are_sorted_by_is_read_first(tmp_path: Path) -> None:
    """A group that holds none of the rows is not read further, and of one that does the rows are as ever."""
    told = pa.table({"at": pa.array(range(500), pa.int64()), "n": pa.array(range(0, 1000, 2), pa.int64())})
    pq.write_table(told, tmp_path / "n.parquet", row_group_size=20)
    wanted = [(n, n) for n in (400, 401, 402)]
    for seldom in (True, False):
        ranges = Ranges(tmp_path / "n.parquet", "n", seldom=seldom)
        assert ranges.rows([(n, n) for n in range(1, 999, 2)]).num_rows == 0
        assert bool(ranges._kept) is not seldom
        assert ranges.rows(wanted).to_pylist() == [{"at": 200, "n": 400}, {"at": 201, "n": 402}]


def test_a_column_that_is_a_dictionary_in_some_groups_alone_is_read(tmp_path: Path) -> None:
    """The engine packs each group as suits it: of ten million credentials most groups hold no long-term key's account."""
    engine, path = DuckEngine(), tmp_path / "rows.parquet"
    engine.write(
        "SELECT n, CASE WHEN n < 25000 THEN 'account ' || n % 3 WHEN n < 45000 THEN 'own ' || n END AS label "
        "FROM range(90000) t(n) ORDER BY n",
        path,
    )
    metadata = pq.read_metadata(path)
    kinds = {metadata.row_group(one).column(1).encodings for one in range(metadata.num_row_groups)}
    assert len(kinds) > 1  # else this proves nothing
    wanted = [1, 24_999, 44_000, 89_999]
    found = Ranges(path, "n").rows([(n, n) for n in wanted])
    assert found["label"].to_pylist() == ["account 1", "account 0", "own 44000", None]
    engine.close()
