"""Engines of few records share one DuckDB: each has its own tables, and what one leaves is gone."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from unittest import mock

import pytest

from tokentrail.errors import CaseError
from tokentrail.store import duck, shared_duck
from tokentrail.store.duck import DuckEngine

FEW = 10


@contextmanager
def small() -> Iterator[DuckEngine]:
    with closing(DuckEngine(threads=1, records=FEW)) as engine:
        yield engine


def homes(engine: DuckEngine) -> set[str]:
    return {row["database_name"] for row in engine.rows("SELECT database_name FROM duckdb_databases()")} - {
        "memory",
        "system",
        "temp",
    }


def test_each_has_its_own_tables() -> None:
    """Tables, also those made aside and by a thread of its own, are one engine's alone, though others have the name."""
    with small() as one, small() as other:
        one.run("CREATE TABLE kept AS SELECT 1 AS i")
        other.run("CREATE TABLE kept AS SELECT 2 AS i")
        with one.aside(), other.aside():
            one.run("CREATE TABLE made AS SELECT i + 10 AS i FROM kept")
            with other.apart():
                other.run("CREATE TABLE made AS SELECT i + 20 AS i FROM kept")
            assert [{"i": 11}] == one.rows("SELECT i FROM made")
            assert [{"i": 22}] == other.rows("SELECT i FROM made")

        for engine, mine in ((one, 1), (other, 2)):
            assert [{"i": mine}] == engine.rows("SELECT i FROM kept")
            with pytest.raises(CaseError, match="made"):
                engine.rows("SELECT i FROM made")


def test_what_the_first_is_told_the_others_find(monkeypatch: pytest.MonkeyPatch) -> None:
    """How much memory there is and how to plan is told once, and again where another DuckDB is opened in its place."""
    monkeypatch.setattr(duck, "SHARED", shared_duck.SharedDuck())
    monkeypatch.setattr(shared_duck, "_RENEWED", 2)
    monkeypatch.setattr(duck, "_ENOUGH", 64 << 20)
    monkeypatch.setattr(duck, "_EACH", 1)
    told: list[str] = []
    run = DuckEngine.run
    monkeypatch.setattr(DuckEngine, "run", lambda self, sql: (told.append(sql), run(self, sql))[1])
    found = []
    for _ in range(3):
        with small() as one:
            [planning] = one.rows("SELECT current_setting('disabled_optimizers') AS off")
            found.append((sum("SET memory_limit" in sql for sql in told), round(one.memory() / (1 << 20))))
            assert "common_subplan" in planning["off"]

    assert [(1, 64), (1, 64), (2, 64)] == found


def test_what_one_leaves_is_gone() -> None:
    """Whatever an engine held goes with it, also while an answer of it is still read; closing it twice does no harm."""
    with small() as stays:
        leaves = DuckEngine(threads=1, records=FEW)
        leaves.run("CREATE TABLE many AS SELECT range AS i FROM range(100_000)")
        answer = leaves.batches("SELECT i FROM many")
        next(answer)
        both = homes(stays)
        leaves.close()
        leaves.close()

        assert 1 == len(both - homes(stays))
        assert homes(stays) < both


def test_another_is_opened_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a DuckDB remembers does not grow for ever: after some engines another one is opened, and the old ones work."""
    monkeypatch.setattr(duck, "SHARED", shared_duck.SharedDuck())
    monkeypatch.setattr(shared_duck, "_RENEWED", 2)
    with ExitStack() as opened:
        engines = [opened.enter_context(small()) for _ in range(5)]
        for number, engine in enumerate(engines):
            engine.run(f"CREATE TABLE mine AS SELECT {number} AS i")

        assert [[{"i": number}] for number in range(5)] == [one.rows("SELECT i FROM mine") for one in engines]
        assert [2, 2, 2, 2, 1] == [len(homes(one)) for one in engines]


def test_what_nobody_closed_goes_with_the_next_one() -> None:
    """Who lets go of a case without closing it, as in a notebook, leaves none of its tables behind."""
    with small() as stays:
        before = homes(stays)
        for _ in range(3):
            engine = DuckEngine(threads=1, records=FEW)
            engine.run("CREATE TABLE kept AS SELECT 1 AS i")
            del engine
        gc.collect()
        with small() as other:
            assert len(homes(other)) == len(before) + 1


def test_what_could_not_be_forgotten_at_once_goes_with_the_next_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that is closed while another is opened waits for nobody, and one whose end was interrupted is not lost."""
    with small() as stays:
        before = homes(stays)
        busy, interrupted = (DuckEngine(threads=1, records=FEW) for _ in range(2))
        with shared_duck.SHARED._lock:
            busy.close()
        with monkeypatch.context() as patch:
            patch.setattr(shared_duck, "explained", mock.Mock(side_effect=KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                interrupted.close()
        assert len(homes(stays)) == len(before) + 2
        with small() as other:
            assert len(homes(other)) == len(before) + 1


def test_what_broke_for_good_is_not_lent_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """DuckDB refuses everything after a fatal error: engines opened later have another, and ask as before."""
    monkeypatch.setattr(duck, "SHARED", shared_duck.SharedDuck())
    with small():
        broken = duck.SHARED._shared
        assert broken is not None
        broken.whole.close()
        with small() as later:
            assert [{"i": 1}] == later.rows("SELECT 1 AS i")
        assert duck.SHARED._shared is not broken


def test_opening_one_can_be_ended_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while an engine opens is an interruption as it is in the middle of a query."""
    ended = mock.Mock(**{"execute.side_effect": RuntimeError("Query interrupted")})
    monkeypatch.setattr(duck, "SHARED", shared_duck.SharedDuck())
    monkeypatch.setattr("duckdb.connect", lambda *_, **__: ended)
    with pytest.raises(KeyboardInterrupt):
        DuckEngine(threads=1, records=FEW)


def test_a_process_that_was_forked_opens_its_own() -> None:
    """A thread that opened or closed one in the moment of the fork is not waited for; what was inherited can be closed."""
    program = """
import os, signal, threading
from contextlib import closing
from tokentrail.store.shared_duck import SHARED
from tokentrail.store.duck import DuckEngine

def ask():
    with closing(DuckEngine(threads=1, records=10)) as engine:
        return engine.rows("SELECT 1 AS i")

inherited = DuckEngine(threads=1, records=10)
opening = threading.Thread(target=SHARED._lock.acquire)
opening.start()
opening.join()
child = os.fork()
if not child:
    signal.alarm(30)  # what hangs is killed
    ask()
    inherited.close()
    os._exit(0)
SHARED._lock.release()
print(os.waitpid(child, 0)[1], ask())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "0 [{'i': 1}]\n" == done.stdout, done.stderr


def test_settings_are_not_one_engines_to_change() -> None:
    """What is set for a while would hold for all others, and of two that overlap one would stay."""
    asked = "SELECT current_setting('threads') AS threads, current_setting('disabled_optimizers') AS left_out"
    with small() as one, small() as other:
        before = other.rows(asked)
        with one.shared_by(2), one.as_written():
            assert before == other.rows(asked)


def test_threads_may_open_them_at_once() -> None:
    """Threads that open, use and leave engines at the same time each find their own."""
    found: list[int] = []

    def use(number: int) -> None:
        for turn in range(20):
            with small() as engine:
                engine.run(f"CREATE TABLE mine AS SELECT {number * 100 + turn} AS i")
                found.append(engine.rows("SELECT i FROM mine")[0]["i"])

    threads = [threading.Thread(target=use, args=(number,)) for number in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

    assert sorted(found) == [number * 100 + turn for number in range(4) for turn in range(20)]
