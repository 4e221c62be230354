"""What DuckDB's binding raises that is no error of DuckDB's own is told as what it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evidence import START, held
from tokentrail.errors import CaseError
from tokentrail.store.duck import DuckEngine
from tokentrail.store.duplicate_ids import sorted_marks
from tokentrail.testing import World

LONG = "SELECT sum(a.range * b.range % 7) AS s FROM range(30_000) a, range(30_000) b"
WAYS: list[Callable[[DuckEngine, str], object]] = [
    DuckEngine.run,
    DuckEngine.rows,
    DuckEngine.table,
    lambda engine, sql: list(engine.each(sql)),
    lambda engine, sql: list(engine.batches(sql)),
]


@pytest.fixture(name="engine", params=[10, 5_000], ids=["shared", "alone"])
def _engine(request: pytest.FixtureRequest) -> Iterator[DuckEngine]:
    with closing(DuckEngine(threads=1, records=request.param)) as engine:
        yield engine


@pytest.fixture(name="_by_hand")
def _ended_by_hand() -> Iterator[None]:
    """SIGINT means here what it does in a terminal, whatever else ran in this process."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("_by_hand")
@pytest.mark.parametrize("ask", WAYS, ids=["run", "rows", "table", "each", "batches"])
def test_a_query_can_be_ended_by_hand(engine: DuckEngine, ask: Callable[[DuckEngine, str], object]) -> None:
    """Ctrl-C in the middle of a query is an interruption, and no fault; the engine answers afterwards."""
    hand = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))
    hand.start()
    with pytest.raises(KeyboardInterrupt):
        ask(engine, LONG)
    hand.join()
    assert [{"i": 1}] == engine.rows("SELECT 1 AS i")


@pytest.mark.parametrize(
    "rows",
    [
        DuckEngine.rows,
        lambda engine, sql: engine.table(sql).to_pylist(),
        lambda engine, sql: list(engine.each(sql)),
        lambda engine, sql: [row for batch in engine.batches(sql) for row in batch.to_pylist()],
    ],
    ids=["rows", "table", "each", "batches"],
)
def test_a_second_thread_is_told_to_open_its_own(
    engine: DuckEngine, rows: Callable[[DuckEngine, str], list[dict[str, Any]]]
) -> None:
    """One connection would hand one thread the other's rows: whoever comes second is told so, in words, and no more."""
    refused, found = [], []

    def ask(number: int) -> None:
        for _ in range(300):
            try:
                sql = f"SELECT {number} AS i FROM range(3_000) HAVING count(*) > 0"
                found.append([{"i": number}] == rows(engine, sql))
            except CaseError as error:
                refused.append(str(error))

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert all(found) and len(found) + len(refused) == 900
    assert refused and all("open a `Case` for each thread" in one for one in refused)


def damaged(path: Path) -> Path:
    """A file of which one bit is another: the name of a column is no text any more."""
    pq.write_table(pa.table({"event_id": pa.array([bytes(16)], pa.binary(16)), "time": [0]}), path)
    data = bytearray(path.read_bytes())
    foot = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    data[data.find(b"time", foot)] |= 0x80
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("ask", [DuckEngine.rows, DuckEngine.table], ids=["rows", "table"])
def test_a_damaged_name_is_told_in_words(
    engine: DuckEngine, tmp_path: Path, ask: Callable[[DuckEngine, str], object]
) -> None:
    """It is evidence that can't be read, not a fault of the program."""
    with pytest.raises(CaseError, match="a query on the case failed"):
        ask(engine, f"SELECT * FROM read_parquet('{damaged(tmp_path / 'damaged.parquet')}')")


def test_a_damaged_name_is_told_by_what_sorts_ids(tmp_path: Path) -> None:
    """Which reads files without an engine, and first of all."""
    with pytest.raises(
        CaseError, match=r"damaged\.parquet: is damaged, the names of its columns are no text"
    ):
        list(sorted_marks([damaged(tmp_path / "damaged.parquet")]))


def test_a_closed_engine_refuses_in_words() -> None:
    """Whoever asks too late is told so."""
    engine = DuckEngine(threads=2, records=5_000)
    engine.close()
    with pytest.raises(CaseError, match="a query on the case failed"):
        engine.rows("SELECT 1 AS i")


def test_several_statements_in_one_text_all_run() -> None:
    """They are left as they are."""
    engine = DuckEngine(threads=1)
    engine.run("CREATE TABLE a AS SELECT 1 AS n; CREATE TABLE b AS SELECT 2 AS n")

    assert [{"n": 1}, {"n": 2}] == engine.rows("SELECT n FROM a UNION ALL SELECT n FROM b ORDER BY n")
    engine.close()


def test_a_statement_that_can_t_be_parsed_is_shown() -> None:
    """The error is ours, and shows the statement."""
    engine = DuckEngine(threads=1)
    with pytest.raises(CaseError, match="SELECT FROM"):
        engine.run("SELECT FROM")
    engine.close()


def test_what_is_made_aside_is_forgotten() -> None:
    """Tables and views go, a name may be taken again, and what the engine knew before is known in both places."""
    engine = DuckEngine(threads=1, records=1)
    engine.run("CREATE TABLE lasting AS SELECT 1 AS n")
    for _ in range(2):
        with engine.aside():
            engine.run("CREATE TABLE passing AS SELECT n + 1 AS n FROM lasting")
            engine.run("CREATE VIEW seen AS SELECT numbered() AS place, iso(n) AS told FROM passing")
            assert ["1970-01-01T00:00:02Z"] == [one["told"] for one in engine.rows("SELECT told FROM seen")]

        assert [{"n": 1}] == engine.rows("SELECT n FROM lasting")
        for gone in ("passing", "seen"):
            with pytest.raises(CaseError, match=gone):
                engine.rows(f"SELECT * FROM {gone}")
    engine.close()


def test_few_records_are_linked_and_answered_by_one_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """And it knows nothing of the tables that it linked with."""
    opened: list[DuckEngine] = []
    first = DuckEngine.__init__

    def counted(self: DuckEngine, *given: object, **named: object) -> None:
        opened.append(self)
        first(self, *given, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(DuckEngine, "__init__", counted)
    world = World(START)
    world.user("ada").assumes("Deploy")
    with held(world) as case:
        assert 2 == len(list(case.credentials()))
        assert 1 == len(opened)
        assert [] == opened[0].rows("SELECT * FROM duckdb_tables() WHERE table_name = 'sightings'")


def test_opening_one_can_be_ended_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while an engine opens is an interruption as it is in the middle of a query."""
    ended = mock.Mock(**{"execute.side_effect": RuntimeError("Query interrupted")})
    monkeypatch.setattr("duckdb.connect", lambda *_, **__: ended)
    with pytest.raises(KeyboardInterrupt):
        DuckEngine(threads=1, records=10)


def test_a_process_that_was_forked_opens_its_own() -> None:
    """Engines of the parent are not waited for, whatever its threads were doing."""
    program = """
import os, signal
from contextlib import closing
from tokentrail.store.duck import DuckEngine

def ask():
    with closing(DuckEngine(threads=1, records=10)) as engine:
        return engine.rows("SELECT 1 AS i")

inherited = DuckEngine(threads=1, records=10)
child = os.fork()
if not child:
    signal.alarm(30)  # what hangs is killed
    ask()
    os._exit(0)
print(os.waitpid(child, 0)[1], ask())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "0 [{'i': 1}]\n" == done.stdout, done.stderr
