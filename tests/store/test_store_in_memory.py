"""An engine of tables in memory answers as one of files does, and keeps what it is told to keep."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

import pyarrow as pa
import pytest

from tokentrail.errors import CaseError
from tokentrail.store.duck import DuckEngine
from tokentrail.store.in_memory import MemoryEngine
from tokentrail.store.interface import Step

ROWS = pa.table({
    "n": pa.array([5, 1, None, 3, 3, 9], pa.int64()),
    "name": pa.array(["é", "a", "null", "b", "B", "z"], pa.string()),
})  # fmt: skip


@pytest.fixture(name="held")
def _held() -> Iterator[MemoryEngine]:
    with closing(MemoryEngine()) as engine:
        engine.hold("events", ROWS)
        yield engine


@pytest.mark.parametrize("wanted", [[(1, 3)], [(0, 0)], [(1, 1), (9, 9)], [(3, 100)], []])
def test_ranges_are_those_of_a_file(
    held: MemoryEngine, wanted: list[tuple[int, int]], tmp_path: Path
) -> None:
    """Values from one to another, both included, in order; what is null is in no range."""
    with closing(DuckEngine(threads=1)) as files:
        files.register("events", ROWS)
        for engine in (files, held):
            engine.keep(
                "sorted", "SELECT * FROM events ORDER BY n NULLS LAST, name", tmp_path / "sorted.parquet"
            )

        assert (
            files.ranges("sorted", "n", wanted).to_pylist() == held.ranges("sorted", "n", wanted).to_pylist()
        )


def test_what_is_derived_is_replaced_and_what_is_held_stays(held: MemoryEngine) -> None:
    """A table that is written again has the new rows alone; what is made aside is gone afterwards, in every thread."""
    for n in (1, 2):
        with held.aside():
            held.run_all([Step("CREATE TABLE other AS SELECT 1 AS one", frozenset())])
            held.write(f"SELECT {n} * one AS n FROM other", Path("derived.parquet"))
        with held.aside():
            held.view("derived", Path("derived.parquet"))

            assert [{"n": n}] == held.ranges("derived", "n", [(0, 9)]).to_pylist()
            with held.apart():
                assert [{"n": n}] == held.rows("SELECT * FROM derived")

    assert not held.rows("SELECT 1 AS one FROM duckdb_tables() WHERE table_name = 'other'")
    assert held.rows("SELECT count(*) AS rows FROM events") == [{"rows": 6}]


def test_rows_are_added_and_replaced(held: MemoryEngine) -> None:
    """What comes is added; what is held anew takes the place of what was."""
    held.add("events", ROWS)
    assert held.rows("SELECT count(*) AS rows FROM events") == [{"rows": 12}]
    held.hold("events", ROWS[:2])
    assert held.rows("SELECT count(*) AS rows FROM events") == [{"rows": 2}]
    assert held.narrow(frozenset({1})) == {"some_events": "events"}


@pytest.mark.parametrize("told", [True, False])
def test_what_memory_does_not_hold_goes_where_it_was_told(
    told: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Evidence is never written to wherever the process was started: it goes beside the case, or nowhere."""
    started, beside = tmp_path / "started", tmp_path / "beside"
    started.mkdir()
    monkeypatch.chdir(started)
    with closing(MemoryEngine(beside if told else None)) as engine:
        engine.run("SET memory_limit = '20MB'")
        failing: AbstractContextManager[object] = (
            nullcontext() if told else pytest.raises(CaseError, match="needs more memory")
        )
        with failing:
            engine.run("CREATE TABLE large AS SELECT hash(range)::VARCHAR AS name FROM range(2_000_000)")
            assert list(beside.iterdir())

        assert not list(started.iterdir())
