"""Later rows of a table, and what is gone of earlier ones: the same by queries and by ranges."""

from __future__ import annotations

import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from tokentrail.store.duck import DuckEngine
from tokentrail.store.later import Gone

ROWS = st.lists(
    st.tuples(st.integers(0, 30), st.integers(0, 3), st.one_of(st.none(), st.integers(0, 3))), max_size=30
)


def table(rows: list[tuple[int, int, int | None]]) -> pa.Table:
    """Rows as a table that is sorted by its first column."""
    ordered = sorted(rows, key=lambda row: row[0])
    return pa.table({
        name: pa.array([row[at] for row in ordered], pa.int64()) for at, name in enumerate(("n", "segment", "identity"))
    })  # fmt: skip


@given(
    ROWS,
    ROWS,
    st.sets(st.integers(0, 30)),
    st.sets(st.integers(0, 3), max_size=1),
    st.sets(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=3),
)
def test_queries_and_ranges_show_the_same_rows(
    rows: list[tuple[int, int, int | None]], more: list[tuple[int, int, int | None]], places: set[int], segments: set[int],
    pairs: set[tuple[int, int]],
) -> None:  # fmt: skip
    """Those of the first file that no value and no pair takes away, and all of the later one."""
    gone = Gone(
        {"n": np.array(sorted(places), np.int64), "segment": np.array(sorted(segments), np.int64)},
        pa.table(
            {
                "segment": pa.array([one for one, _ in pairs], pa.int64()),
                "identity": pa.array([one for _, one in pairs], pa.int64()),
            }
        ),
    )
    expected = [
        row for row in rows if row[0] not in places and row[1] not in segments and row[1:] not in pairs
    ] + more
    with tempfile.TemporaryDirectory() as folder, closing(DuckEngine(threads=1)) as engine:
        first, later = Path(folder) / "first.parquet", Path(folder) / "later.parquet"
        for path, given_rows in ((first, rows), (later, more)):
            engine.register("given", table(given_rows))
            engine.write("SELECT * FROM given ORDER BY n", path)
        engine.view_amended("things", first, later, gone)

        shown = [tuple(row.values()) for row in engine.rows("SELECT * FROM things")]
        near = [tuple(row.values()) for row in engine.ranges("things", "n", [(0, 9), (20, 30)]).to_pylist()]

    assert sorted(map(str, expected)) == sorted(map(str, shown))
    assert sorted(str(row) for row in expected if row[0] <= 9 or row[0] >= 20) == sorted(map(str, near))
    assert [row[0] for row in near] == sorted(row[0] for row in near)
