"""Looks are taken in a process of their own: it tells the same, and when it is ended, that is said."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from watch_cases import Given, Json, Remembering, found, packed, same, watched

from evidence import HOME, START, pandas_that_tells
from tokentrail import Case
from tokentrail.errors import CaseError
from tokentrail.testing import World
from tokentrail.watch import look_runner, sweep, watch
from tokentrail.watch.interface import Arrival
from tokentrail.watch.judging import Judging
from tokentrail.watch.looking import Looker, LookRequest
from tokentrail.watch.sweep import SweepProcess, SweepRequest
from tokentrail.watch.watch import Settings, Watch


def leak() -> list[Json]:
    """A token mints, long after it was minted."""
    world = World(START, account=HOME)
    token = world.user("ada", ip="192.0.2.10").gets_session_token(duration=129600)
    world.wait(3600)
    token.assumes("Deploy", "later").calls("s3:ListBuckets", count=3)
    return world.records()


def test_a_process_beside_tells_what_detect_does(tmp_path: Path) -> None:
    """A batch at a time, with what is held far smaller than the case, and a sweep for the rest."""
    records, sink = leak(), Remembering()

    watched(tmp_path / "case", [[[one]] for one in records], sink, beside=True, hot=4)

    assert found(tmp_path / "case")
    assert same(found(tmp_path / "case")) == same(sink.standing())


def test_the_end_of_the_process_is_said(tmp_path: Path) -> None:
    """Ended from outside, for want of memory perhaps: the watch ends with a sentence that says what to do."""
    with Case.open(tmp_path / "case") as case:
        beside = look_runner.ProcessRunner(Looker(case.folder.path, Judging(), ()))
        try:
            assert not beside.ask(LookRequest(now=0.0)).result().found
            os.kill(beside.process, signal.SIGKILL)
            with pytest.raises(CaseError, match="Start the watch again"):
                beside.ask(LookRequest(now=0.0)).result()
        finally:
            beside.end()


def test_the_signal_to_stop_is_left_to_the_watch(tmp_path: Path) -> None:
    """A service manager signals all processes of a service: the one that judges goes on until it is told to end."""
    with Case.open(tmp_path / "case") as case:
        beside = look_runner.ProcessRunner(Looker(case.folder.path, Judging(), ()))
        try:
            beside.ask(LookRequest(now=0.0)).result()
            os.kill(beside.process, signal.SIGTERM)
            os.kill(beside.process, signal.SIGINT)
            assert not beside.ask(LookRequest(now=0.0)).result().found
        finally:
            beside.end()


def test_the_past_is_known_once(tmp_path: Path) -> None:
    """What comes after a first start that had nothing to note is told, though a watch was killed before it could."""
    first, second = Remembering(), Remembering()
    watched(tmp_path / "case", [], first, only_new=True)
    (tmp_path / "leak.json.gz").write_bytes(packed(leak()))
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(tmp_path / "leak.json.gz")])
    watched(tmp_path / "case", [], second, only_new=True)

    assert not first.notices
    assert found(tmp_path / "case").keys() == second.standing().keys()


class Failing:
    """A sweep that always fails."""

    def __init__(self, asked: SweepRequest) -> None:
        pass

    def done(self) -> bool:
        return True

    def result(self) -> None:
        return None

    def kill(self) -> None:
        pass


def test_sweeps_that_always_fail_end_a_watch_that_waits_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `once`, what a sweep alone can tell is not waited for for ever."""
    monkeypatch.setattr(watch, "SweepProcess", Failing)

    with pytest.raises(CaseError, match="a sweep over the whole case failed"):
        watched(tmp_path / "case", [[[one]] for one in leak()], Remembering(), hot=4)


class Stopping(Given):
    """A feed that has the watch stopped as soon as it has brought its first batch."""

    stop_watch: Callable[[], None] = staticmethod(lambda: None)

    def kept(self, arrivals: Sequence[Arrival]) -> None:
        super().kept(arrivals)
        self.stop_watch()


def test_what_was_taken_in_is_told_before_a_stop(tmp_path: Path) -> None:
    """What a look is being taken of, and what came meanwhile, waits for no restart."""
    feed, sink = Stopping([[packed(leak())]]), Remembering()
    with Case.open(tmp_path / "case") as case:
        running = Watch(case.folder, feed, [sink], (), Settings(quiet=0.0), lambda _: None, time.time)
        feed.stop_watch = running.stop
        running.run()

    assert found(tmp_path / "case").keys() == sink.standing().keys()


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="only Linux lets a process take what others leave")
def test_a_sweep_takes_what_others_leave_and_more_once_it_has_waited_long(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It disturbs nobody from its start; on a machine without idle time it would never end, were it not for the second."""
    with Case.open(tmp_path / "case") as case:
        (case.folder.path / "watch").mkdir()
        process = SweepProcess(SweepRequest(case=case.folder.path, judging=Judging(), since=None))
        number = process._process.pid
        assert os.sched_getscheduler(number) == os.SCHED_IDLE
        assert os.getpriority(os.PRIO_PROCESS, number) == min(os.getpriority(os.PRIO_PROCESS, 0) + 10, 19)
        assert len(os.sched_getaffinity(number)) == 1
        os.kill(number, signal.SIGSTOP)
        assert not process.done()
        assert os.sched_getscheduler(number) == os.SCHED_IDLE

        monkeypatch.setattr(sweep, "_UNHURRIED", -1.0)
        assert not process.done()
        assert os.sched_getscheduler(number) == os.SCHED_OTHER
        os.kill(number, signal.SIGCONT)
        assert process.result() is not None
        process.kill()


def test_a_sweep_runs_as_it_is_where_none_can_be_made_to_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """macOS names a policy and has no call that sets one: a watch ended there when a sweep had taken ten minutes."""
    monkeypatch.setattr(sys, "platform", "darwin")
    for name in ("sched_setscheduler", "sched_setaffinity", "sched_getaffinity", "sched_param", "SCHED_IDLE"):
        monkeypatch.delattr(os, name, raising=False)
    monkeypatch.setattr(sweep, "_UNHURRIED", -1.0)
    process = SweepProcess(SweepRequest(case=tmp_path, judging=Judging(), since=None))

    assert not process.done()
    process.kill()


@pytest.mark.skipif(not hasattr(os, "SCHED_IDLE"), reason="only Linux lets a process take what others leave")
def test_a_sweep_that_is_waited_for_takes_its_share(tmp_path: Path) -> None:
    """Where the watch begins or ends only with it, it is as urgent as the watch itself."""

    def urgency(number: int) -> tuple[int, int]:
        return os.sched_getscheduler(number), os.getpriority(os.PRIO_PROCESS, number)

    with Case.open(tmp_path / "case") as case:
        (case.folder.path / "watch").mkdir()
        process = SweepProcess(
            SweepRequest(case=case.folder.path, judging=Judging(), since=None, waited_for=True)
        )
        seen = set[tuple[int, int]]()
        while not process.done():  # nobody else waits for it to end, so that its number stays its own
            seen.add(urgency(process._process.pid))

        assert seen == {urgency(os.getpid())}
        assert process.result() is not None
        process.kill()


def test_a_sweep_loads_no_pandas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though Arrow looks for it: where it is installed, it would be most of what a sweep of little loads."""
    loaded = pandas_that_tells(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with Case.open(tmp_path / "case") as case:
        (case.folder.path / "watch").mkdir()
        process = SweepProcess(
            SweepRequest(case=case.folder.path, judging=Judging(), since=None, waited_for=True)
        )
        assert process.result() is not None
        process.kill()
    assert not loaded.exists()


def test_a_watch_takes_its_memory_where_it_is_given_back() -> None:
    """While the verb is loaded, Arrow is told to use the C library's memory; what the watch starts is told nothing."""
    program = (
        "import click, os; from tokentrail.cli.root import root; before = dict(os.environ);"
        "root.get_command(click.Context(root), 'watch');"
        "import pyarrow; print(pyarrow.default_memory_pool().backend_name, before == dict(os.environ))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "system True" == told.stdout.strip()
