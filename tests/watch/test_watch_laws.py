"""Whatever comes in whatever order, what was told in the end is what `detect` says of all of it, and the case is the same."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watch_cases import Given, Json, Remembering, found, packed, same, watched

from evidence import text
from tokentrail import Case
from tokentrail.detection.catalogue import CATALOGUE
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.model import Hit
from tokentrail.testing.story import story
from tokentrail.watch.detection_pass import DetectionPass, Judged
from tokentrail.watch.interface import Arrival, Notice
from tokentrail.watch.watch import Settings, Watch


@cache
def records() -> list[Json]:
    """The story's day, without most of what is ordinary."""
    return story(ordinary_day=False).world.records()


@st.composite
def deliveries(draw: st.DrawFn) -> list[list[list[Json]]]:
    """The records in any order, some twice, in files, in batches."""
    count = len(records())
    order = draw(st.permutations(range(count)))
    again = draw(st.lists(st.integers(0, count - 1), max_size=20))
    told = [records()[place] for place in (*order, *again)]
    cuts = sorted(draw(st.sets(st.integers(1, len(told) - 1), max_size=6)))
    files = [told[start:end] for start, end in zip([0, *cuts], [*cuts, len(told)], strict=True)]
    batches: list[list[list[Json]]] = []
    for one in files:
        if not batches or draw(st.booleans()):
            batches.append([])
        batches[-1].append(one)
    return batches


@cache
def told_at_once() -> tuple[str, str, str]:
    """What one ingest of all of it gives: credentials, a trace, findings."""
    with tempfile.TemporaryDirectory() as folder:
        return answers(Path(folder))


def answers(folder: Path) -> tuple[str, str, str]:
    case, file = folder / "case", folder / "all.json.gz"
    if not case.exists():
        file.write_bytes(packed(records()))
        with Case.open(case) as opened:
            opened.ingest([str(file)])
    with Case.open(case) as opened:
        trace = opened.trace([story(ordinary_day=False).key_ids["A"]])
        return text(opened.credentials()), text([trace]), text(opened.detect())


@given(deliveries())
@settings(max_examples=2)
def test_what_is_told_in_the_end_is_what_detect_says(batches: list[list[list[Json]]]) -> None:
    """After all revisions, in any order, split and repetition; and the case answers byte for byte as after one ingest."""
    with tempfile.TemporaryDirectory() as folder:
        sink = Remembering()
        watched(Path(folder) / "case", batches, sink)

        assert same(found(Path(folder) / "case")) == same(sink.standing())
        assert told_at_once() == answers(Path(folder))


class Stopped(Given):
    """A feed that has the watch stopped before it brings anything."""

    stop_watch: Callable[[], None] = staticmethod(lambda: None)

    def start(self) -> None:
        self.stop_watch()


def test_a_watch_that_is_stopped_early_tells_nothing_of_the_past(tmp_path: Path) -> None:
    """With `only_new`, what a case showed before is told neither at a stop nor by the next start."""
    sink, feed, before = Remembering(), Stopped([]), tmp_path / "before.json.gz"
    before.write_bytes(packed(records()))
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(before)])
        running = Watch(case.folder, feed, [sink], (), Settings(only_new=True), lambda _: None)
        feed.stop_watch = running.stop
        running.run()
    watched(tmp_path / "case", [], sink, only_new=True)

    assert found(tmp_path / "case")
    assert not sink.notices


def test_the_past_is_known_once(tmp_path: Path) -> None:
    """What comes after a first start that had nothing to note is told, though a watch was killed before it could."""
    first, second, later = Remembering(), Remembering(), tmp_path / "later.json.gz"
    watched(tmp_path / "case", [], first, only_new=True)
    later.write_bytes(packed(records()))
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(later)])
    watched(tmp_path / "case", [], second, only_new=True)

    assert not first.notices
    assert found(tmp_path / "case").keys() == second.standing().keys()


def test_what_was_taken_in_is_told_before_a_stop(tmp_path: Path) -> None:
    """What the case has when the watch is asked to stop waits for no restart."""

    class Stopping(Given):
        def kept(self, arrivals: Sequence[Arrival]) -> None:
            super().kept(arrivals)
            running.stop()

    feed, sink = Stopping([[packed(records())]]), Remembering()
    with Case.open(tmp_path / "case") as case:
        running = Watch(case.folder, feed, [sink], (), Settings(quiet=0.0), lambda _: None)
        running.run()

    assert found(tmp_path / "case")
    assert found(tmp_path / "case").keys() == sink.standing().keys()


def test_what_a_killed_watch_had_put_into_the_case_is_told_at_the_next_start(tmp_path: Path) -> None:
    """Its messages are deleted by then; segments that no turn has judged are judged whole, however small the window."""

    class Killed(Exception):
        pass

    class Killing(Given):
        def kept(self, arrivals: Sequence[Arrival]) -> None:
            super().kept(arrivals)
            if not self.batches:
                raise Killed

    half, sink = len(records()) // 2, Remembering()
    feed = Killing([[packed(records()[:half])], [packed(records()[half:])]])
    with Case.open(tmp_path / "case") as case, pytest.raises(Killed):
        Watch(case.folder, feed, [sink], (), Settings(turn=0.0, hot=1), lambda _: None).run()
    before = len(sink.notices)
    watched(tmp_path / "case", [], sink, hot=1)

    assert 0 < before < len(sink.notices)
    assert found(tmp_path / "case").keys() <= {one.id for one in sink.notices}
    assert len(sink.notices) == len({one.key for one in sink.notices})


def test_who_is_behind_takes_in_much_before_it_judges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn takes as long for little as for much: batches that come as fast as they are read don't each get one."""
    turns, judge, sink = list[int](), DetectionPass.judge, Remembering()

    def counted(one: DetectionPass, *given: Any) -> Judged:
        turns.append(1)
        return judge(one, *given)

    monkeypatch.setattr(DetectionPass, "judge", counted)
    monkeypatch.setattr("tokentrail.watch.watch.BATCH", 1)
    size = -(-len(records()) // 6)
    batches = [[records()[start : start + size]] for start in range(0, len(records()), size)]
    watched(tmp_path / "case", batches, sink, turn=30.0)

    assert len(turns) == 2  # the first at once
    assert same(found(tmp_path / "case")) == same(sink.standing())


def test_a_rule_that_fails_ends_no_watch_and_takes_nothing_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hostile evidence may make a rule fail at each start: it is named once, and what it had found stands."""
    half, sink, said = len(records()) // 2, Remembering(), list[str]()
    watched(tmp_path / "case", [[records()[:half]]], sink)
    before = sink.standing()

    def fails(context: DetectionContext) -> Iterator[Hit]:
        raise ZeroDivisionError

    broken = [replace(one, find=fails) for one in CATALOGUE]
    monkeypatch.setattr("tokentrail.detection.run.CATALOGUE", broken)
    watched(tmp_path / "case", [[records()[half:]], [records()[:1]]], sink, say=said.append)

    assert before
    assert before == sink.standing()
    assert len(CATALOGUE) >= sum("could not judge" in one for one in said) > 0


def test_a_clock_that_is_set_back_holds_up_no_turn(tmp_path: Path) -> None:
    """Evidence that comes after the clock went back by hours is taken in at once, and not when it has caught up."""
    ahead, end, half = [7200.0], time.monotonic() + 20, len(records()) // 2

    class SettingBack(Remembering):
        def deliver(self, notices: Sequence[Notice]) -> None:
            super().deliver(notices)
            ahead[0] = 0.0

    class Waiting(Given):
        def take(self, most: int, wait: float) -> Sequence[Arrival]:
            if len(self.kept_ones) == 2 or time.monotonic() > end:
                running.stop()
            return super().take(most, wait)

    feed = Waiting([[packed(records()[:half])], [packed(records()[half:])]])
    with Case.open(tmp_path / "case") as case:
        clock = lambda: time.time() + ahead[0]  # noqa: E731 - the watch is given it
        running = Watch(case.folder, feed, [SettingBack()], (), Settings(), lambda _: None, clock)
        running.run()

    assert ahead == [0.0]
    assert len(feed.kept_ones) == 2


def test_a_case_that_grows_by_the_turn_stays_one_of_few_segments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Small segments are merged once they are judged, and nothing is told again because of it."""
    monkeypatch.setattr("tokentrail.watch.watch.AT_ONCE", 4)
    monkeypatch.setattr("tokentrail.store.merge.AT_ONCE", 4)
    sink, size = Remembering(), -(-len(records()) // 9)
    batches = [[records()[start : start + size]] for start in range(0, len(records()), size)]
    watched(tmp_path / "case", batches, sink)
    before = len(sink.notices)
    watched(tmp_path / "case", [], sink)

    with Case.open(tmp_path / "case") as case:
        assert len(case.folder.snapshot().manifests) < 6
    assert before == len(sink.notices)
    assert same(found(tmp_path / "case")) == same(sink.standing())


def test_what_the_case_shows_already_can_be_left_out(tmp_path: Path) -> None:
    """With `only_new`, the first start tells only what evidence that comes brings; the next one repeats nothing."""
    half = len(records()) // 2
    answers_before = tmp_path / "first.json.gz"
    answers_before.write_bytes(packed(records()[:half]))
    with Case.open(tmp_path / "case") as case:
        case.ingest([str(answers_before)])
        known = {one.id for one in case.detect(together=False)}
    sink = Remembering()
    watched(tmp_path / "case", [[records()[half:]]], sink, only_new=True)
    first = len(sink.notices)
    watched(tmp_path / "case", [], sink)

    new = {one.id for one in sink.notices if one.change == "new"}
    assert new == set(found(tmp_path / "case")) - known
    assert new.isdisjoint(known)
    assert first == len(sink.notices)


def test_what_another_process_puts_into_the_case_is_told_too(tmp_path: Path) -> None:
    """An `ingest` into the case while a watch follows a quiet source: what it brought is judged within seconds."""
    ahead = 0

    class Quiet(Given):
        def nothing(self, wait: float) -> Sequence[Arrival]:
            nonlocal ahead
            if not ahead:
                (tmp_path / "more.json.gz").write_bytes(packed(records()))
                with Case.open(tmp_path / "case") as other:
                    other.ingest([str(tmp_path / "more.json.gz")], workers=1)
                ahead = 60
            return ()

    sink = Remembering()
    with Case.open(tmp_path / "case") as case:
        Watch(
            case.folder, Quiet([[packed(records()[:1])]]), [sink], [],
            Settings(once=True, quiet=0.0, turn=0.0), print, lambda: time.time() + ahead,
        ).run()  # fmt: skip

    assert same(found(tmp_path / "case")) == same(sink.standing())


def test_a_watch_takes_its_memory_where_it_is_given_back() -> None:
    """While the verb is loaded, Arrow is told to use the C library's memory; what the watch starts is told nothing."""
    program = (
        "import click, os; from tokentrail.cli.root import root; before = dict(os.environ);"
        "root.get_command(click.Context(root), 'watch');"
        "import pyarrow; print(pyarrow.default_memory_pool().backend_name, before == dict(os.environ))"
    )
    told = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert "system True" == told.stdout.strip()
