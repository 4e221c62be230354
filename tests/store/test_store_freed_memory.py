"""What an engine may take of the machine's memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tokentrail.store import connection, duck
from tokentrail.store.duck import DuckEngine


@pytest.mark.parametrize(("enough", "each", "threads", "expected"), [
    (64 << 20, 16 << 20, 2, 64 << 20),
    (64 << 20, 48 << 20, 3, 144 << 20),
])  # fmt: skip
def test_an_engine_takes_no_more_memory_than_is_enough(
    monkeypatch: pytest.MonkeyPatch, enough: int, each: int, threads: int, expected: int
) -> None:
    monkeypatch.setattr(duck, "_ENOUGH", enough)
    monkeypatch.setattr(duck, "_EACH", each)
    engine = DuckEngine(threads=threads)
    assert engine.memory() == pytest.approx(expected, rel=0.01)
    engine.close()


def test_an_engine_leaves_half_of_a_small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "_SHARE", "1%")
    before = DuckEngine(threads=1)
    monkeypatch.setattr(duck, "_ENOUGH", 1 << 50)
    after = DuckEngine(threads=1)
    assert before.memory() == after.memory() > 0
    before.close()
    after.close()


def test_what_does_not_fit_is_spilled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(duck, "_ENOUGH", 48 << 20)
    monkeypatch.setattr(duck, "_EACH", 0)
    engine = DuckEngine(tmp_path / "spill", threads=1)
    engine.run(
        "CREATE TABLE much AS SELECT range AS n, hash(range) AS h, hash(range + 1) AS g FROM range(3000000)"
    )
    [found] = engine.rows(
        "SELECT count(*) AS rows, sum(n) AS total, sum(CAST(h = hash(n) AS INT)) AS same FROM much"
    )
    assert found == {"rows": 3_000_000, "total": 4_499_998_500_000, "same": 3_000_000}
    assert list((tmp_path / "spill").iterdir())
    engine.close()


def test_an_engine_draws_nothing() -> None:
    """A process without a script counts as interactive, and DuckDB would draw bars there, between a watch's findings."""
    asked = "SELECT current_setting('enable_progress_bar') AS drawn"
    program = f"from tokentrail.store.duck import DuckEngine; print([*DuckEngine().rows({asked!r})])"
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "[{'drawn': False}]" == told.stdout.strip()


def test_as_many_threads_share_a_query_as_are_asked_for() -> None:
    """For a while: as many as before do from then on, also where what was done meanwhile failed."""

    def threads() -> int:
        [row] = engine.rows("SELECT current_setting('threads') AS threads")
        return int(row["threads"])

    engine = DuckEngine(threads=2)
    with engine.shared_by(1):
        assert threads() == 1
    assert threads() == 2
    with pytest.raises(ZeroDivisionError), engine.shared_by(3):
        assert threads() / 0
    assert threads() == 2
    engine.close()
