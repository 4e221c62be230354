"""What DuckDB's binding raises that is no error of DuckDB's own is told as what it is."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tokentrail.errors import CaseError
from tokentrail.store.duck import DuckEngine
from tokentrail.store.repeats import sorted_marks

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


@pytest.fixture(name="asked", params=["few", "one processor", "apart", "beside"])
def _engine_that_is_asked(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[DuckEngine]:
    """An engine that answers a question at once, or beside others on a connection of its own."""
    monkeypatch.setattr(os, "cpu_count", lambda: 1 if request.param == "one processor" else 2)
    engine = DuckEngine(records=10 if request.param == "few" else 5_000)
    with closing(engine), engine.apart() if request.param == "apart" else nullcontext():
        before = threading.active_count()
        yield engine
        assert (threading.active_count() > before) == (request.param == "beside")


def test_what_is_asked_for_later_is_told_when_it_is_wanted(asked: DuckEngine) -> None:
    """Several questions that were begun answer each its own, beside one that was asked and waited for meanwhile."""
    later = [asked.ask(f"SELECT {number} AS i FROM range(300) LIMIT 1") for number in range(20)]
    now = asked.rows("SELECT sum(range) AS s FROM range(30_000)")

    assert now == [{"s": 449_985_000}]
    assert [one() for one in later] == [[{"i": number}] for number in range(20)]


def test_what_can_t_be_answered_later_raises_before_it_is_believed(asked: DuckEngine, tmp_path: Path) -> None:
    """An error of a question that was begun is in words, and comes at the latest when its answer is wanted."""
    path = damaged(tmp_path / "damaged.parquet")
    with pytest.raises(CaseError, match="a query on the case failed"):
        asked.ask(f"SELECT * FROM read_parquet('{path}')")()
    assert asked.ask("SELECT 1 AS i")() == [{"i": 1}]


def test_who_waits_answers_what_has_not_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a long question is answered beside, the others are by the thread that waits; it ends when it is told to."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    answered: list[tuple[str, str]] = []
    begun, told = threading.Event(), threading.Event()
    engine = DuckEngine(threads=2, records=5_000)
    rows = engine.rows

    def noted(sql: str) -> list[dict[str, Any]]:
        answered.append((sql, threading.current_thread().name))
        if sql == "SELECT 0 AS i":
            begun.set()
            assert told.wait(10)
        elif sql == "SELECT 2 AS i":
            told.set()
        return rows(sql)

    monkeypatch.setattr(engine, "rows", noted)
    with closing(engine):
        first = engine.ask("SELECT 0 AS i")
        assert begun.wait(10)
        later = [engine.ask(f"SELECT {number} AS i") for number in (1, 2)]
        assert first() == [{"i": 0}]
        assert [one() for one in later] == [[{"i": 1}], [{"i": 2}]]

    mine = threading.current_thread().name
    assert answered == [("SELECT 0 AS i", "second"), ("SELECT 1 AS i", mine), ("SELECT 2 AS i", mine)]


def test_who_is_interrupted_while_answering_for_another_question_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Ctrl-C ends what the main thread does, whichever question it came in."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    begun, told = threading.Event(), threading.Event()
    engine = DuckEngine(threads=2, records=5_000)

    def answer(sql: str) -> list[dict[str, Any]]:
        if sql == "first":
            begun.set()
            assert told.wait(10)
            return []
        told.set()
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "rows", answer)
    with closing(engine):
        first = engine.ask("first")
        assert begun.wait(10)
        second = engine.ask("second")
        with pytest.raises(KeyboardInterrupt):
            first()
        with pytest.raises(KeyboardInterrupt):  # and nobody waits for it for ever
            second()
        assert first() == []


@pytest.mark.parametrize("closed", [True, False])
def test_an_engine_that_is_gone_leaves_no_thread(closed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that opens a thousand cases keeps none of the threads that they asked on, closed or forgotten."""
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    before = set(threading.enumerate())
    engine = DuckEngine(threads=2, records=5_000)
    assert engine.ask("SELECT 1 AS i")() == [{"i": 1}]
    [own] = set(threading.enumerate()) - before
    if closed:
        engine.close()
    del engine  # without searching for cycles
    own.join(10)

    assert not own.is_alive()


def test_a_closed_engine_refuses_in_words() -> None:
    """Whoever asks too late is told so, and starts no thread."""
    engine = DuckEngine(threads=2, records=5_000)
    engine.close()
    with pytest.raises(CaseError, match="a query on the case failed"):
        engine.ask("SELECT 1 AS i")()
