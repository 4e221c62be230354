"""Later rows of a table, and what is gone of earlier ones: the same by queries and by ranges."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.store import duck
from tokentrail.store.duck import DuckEngine
from tokentrail.store.ranges import Gone

Row = tuple[int, int, int | None]
ROWS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 3), st.one_of(st.none(), st.integers(0, 3))), max_size=30
)


def table(rows: list[Row]) -> pa.Table:
    """Rows as a table that is sorted by its first column."""
    ordered = sorted(rows, key=lambda row: row[0])
    return pa.table({
        name: pa.array([row[at] for row in ordered], pa.int64()) for at, name in enumerate(("n", "segment", "identity"))
    })  # fmt: skip


@given(
    ROWS,
    ROWS,
    ROWS,
    st.sets(st.integers(0, 30)),
    st.sets(st.integers(0, 3), max_size=1),
    st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=3),
    st.sampled_from([0, 50]),
)
def test_queries_and_ranges_show_the_same_rows(
    rows: list[Row], more: list[Row], last: list[Row], places: set[int], segments: set[int], pairs: set[tuple[int, int]],
    listed: int,
) -> None:  # fmt: skip
    """Those of each file that no value and no pair takes away from it, whether a query lists these or joins them."""
    gone = Gone(
        {"n": np.array(sorted(places), np.int64), "segment": np.array(sorted(segments), np.int64)},
        pa.table(
            {
                "segment": pa.array([one for one, _ in pairs], pa.int64()),
                "identity": pa.array([one for _, one in pairs], pa.int64()),
            }
        ),
    )
    few = Gone({"n": np.array(sorted(places)[:1], np.int64)})
    expected = [
        row for row in rows if row[0] not in places and row[1] not in segments and row[1:] not in pairs
    ]
    expected += [row for row in more if row[0] not in sorted(places)[:1]] + last
    with (
        tempfile.TemporaryDirectory() as folder,
        closing(DuckEngine(threads=1)) as engine,
        mock.patch.object(duck, "_LISTED", listed),
    ):
        files = [Path(folder) / f"{number}.parquet" for number in range(3)]
        for path, given_rows in zip(files, (rows, more, last), strict=True):
            engine.register("given", table(given_rows))
            engine.write("SELECT * FROM given ORDER BY n", path)
        engine.view_amended("things", list(zip(files, (gone, few, None), strict=True)))

        shown = [tuple(row.values()) for row in engine.rows("SELECT * FROM things")]
        near = [tuple(row.values()) for row in engine.ranges("things", "n", [(0, 9), (20, 30)]).to_pylist()]

    assert sorted(map(str, expected)) == sorted(map(str, shown))
    assert sorted(str(row) for row in expected if row[0] <= 9 or row[0] >= 20) == sorted(map(str, near))
    assert [row[0] for row in near] == sorted(row[0] for row in near)


def test_what_is_gone_is_not_looked_up() -> None:
    """A value that is gone is not asked for; a range that holds others is, and whatever another column is asked for."""
    gone = Gone({"n": np.array([3, 5], np.int64), "segment": np.array([], np.int64)})
    assert gone.still_wanted("n", [(1, 1), (3, 3), (3, 5), (5, 5), (9, 9)]) == [(1, 1), (3, 5), (9, 9)]
    assert gone.still_wanted("segment", [(3, 3)]) == gone.still_wanted("name", [(3, 3)]) == [(3, 3)]
    assert gone.still_wanted("n", []) == []
