"""What an engine takes while it is to take little: no less than it needs, and no more for longer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tokentrail.store import duck
from tokentrail.store.allowance import Allowance
from tokentrail.store.duck import DuckEngine

_LITTLE = 24 << 20
_AT_ONCE = "SELECT len(list(n || '-' || n)) AS held FROM (SELECT range AS n FROM range(1200000))"
"""A list is in memory as a whole: it can't spill."""


class Lacking(Exception):
    """More is in use, or needed, than is allowed."""


@pytest.fixture(name="engine")
def _engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DuckEngine]:
    monkeypatch.setattr(duck, "_LITTLE", _LITTLE)
    with closing(DuckEngine(tmp_path / "spill", threads=2, memory=1 << 30)) as engine:
        yield engine


def allowed(engine: DuckEngine) -> tuple[float, int]:
    """The bytes and the threads that an engine may take."""
    [row] = engine.rows("SELECT current_setting('threads') AS threads")
    return round(engine.memory() / (1 << 20)), row["threads"]


def test_little_is_taken_for_a_while(engine: DuckEngine) -> None:
    """And as much as before from then on, also where what was done meanwhile failed."""
    assert allowed(engine) == (1024, 2)
    with engine.sparing():
        assert allowed(engine) == (24, 1)
    assert allowed(engine) == (1024, 2)
    with pytest.raises(ZeroDivisionError), engine.sparing():
        1 / 0  # noqa: B018
    assert allowed(engine) == (1024, 2)


@pytest.mark.parametrize("way", ["run", "made", "table", "rows", "each", "batches"])
def test_what_needs_more_gets_it(engine: DuckEngine, way: str) -> None:
    """Whichever way it is asked; then little is taken again."""
    asked = {
        "run": lambda: engine.run(f"CREATE TABLE told AS {_AT_ONCE}"),
        "made": lambda: engine.made(f"CREATE TABLE told AS {_AT_ONCE}"),
        "table": lambda: engine.table(_AT_ONCE)["held"][0].as_py(),
        "rows": lambda: engine.rows(_AT_ONCE)[0]["held"],
        "each": lambda: next(engine.each(_AT_ONCE))["held"],
        "batches": lambda: next(engine.batches(_AT_ONCE))["held"][0].as_py(),
    }[way]
    with engine.sparing():
        found = asked()
        assert allowed(engine) == (24, 1)
    if way in ("run", "made"):
        assert found == (None if way == "run" else 1)
        [found] = (row["held"] for row in engine.rows("SELECT held FROM told"))
    assert found == 1_200_000


def test_rows_that_are_read_some_at_a_time_may_take_all(engine: DuckEngine) -> None:
    """Of what was told already nothing can be asked again; once they are read, little is taken."""
    with engine.sparing():
        for way in (engine.each, engine.batches):
            told = iter(way("SELECT range AS n FROM range(20000)"))
            next(told)
            assert engine.memory() == pytest.approx(1 << 30, rel=0.01)
            rest = sum(1 if isinstance(one, dict) else one.num_rows for one in told)
            assert rest == 20_000 - (1 if way == engine.each else 8_192)
            assert allowed(engine) == (24, 1)
        assert [row["n"] for row in engine.each("SELECT range AS n FROM range(8192)")] == [*range(8_192)]
        assert [*engine.each("SELECT 1 AS n WHERE FALSE")] == []
        assert [*engine.batches("SELECT 1 AS n WHERE FALSE")] == []


def test_what_needs_more_than_there_is_fails() -> None:
    """It is asked with twice as much each time, and with all that there is once."""
    told: list[int] = []
    asked: list[int] = []

    def ask() -> None:
        asked.append(told[-1])
        raise Lacking

    allowance = Allowance(told.append, 100, Lacking)
    with allowance.sparing(30), pytest.raises(Lacking):
        allowance.for_all(ask)

    assert asked == [30, 60, 100]
    assert told[-1] == 100


def test_several_may_need_more_at_a_time() -> None:
    """What the neediest of them needs is allowed until it is done; what can't be lowered yet, later is."""
    told: list[int] = []
    in_use = 0

    def allow(memory: int) -> None:
        if memory < in_use:
            raise Lacking
        told.append(memory)

    allowance = Allowance(allow, 100, Lacking)
    with allowance.sparing(10):
        with allowance.more(40):
            with allowance.more(20):
                assert told[-1] == 40
            assert told[-1] == 40
            in_use = 30
        assert told[-1] == 40
        in_use = 0
        allowance.settle()
        assert told[-1] == 10
