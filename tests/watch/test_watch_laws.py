"""Whatever comes in whatever order, what was told in the end is what `detect` says of all of it, and the case is the same."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from watch_cases import Given, Json, Remembering, found, packed, same, watched

from evidence import text
from tokentrail import Case
from tokentrail.testing.story import story
from tokentrail.watch import watch
from tokentrail.watch.backlog import keep_all
from tokentrail.watch.interface import Arrival
from tokentrail.watch.recall import Recall
from tokentrail.watch.reconcile import Document
from tokentrail.watch.sweep import SweepProcess

SOME = 175
"""Records that come at once: with what is hot, a little more than half of all."""


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


class Counting(SweepProcess):
    """A sweep that counts one more than looks at a part do."""

    ended = 0

    def found(self) -> Iterator[Sequence[Document]]:
        for some in super().found():
            yield [{**one, "count": one["count"] + 1} for one in some]
        Counting.ended += 1


class Late(Given):
    """A feed that brings its last batch when a sweep has ended, so that the next one begins with it."""

    def take(self, most: int, wait: float) -> Sequence[Arrival]:
        return (
            self.nothing(wait) if len(self.batches) == 1 and not Counting.ended else super().take(most, wait)
        )


def test_a_sweep_that_saw_all_is_believed_more_than_looks_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looks at a part, taken beside and after a sweep over all that has come, change nothing of what it finds."""
    monkeypatch.setattr(watch, "SweepProcess", Counting)
    monkeypatch.setattr(Counting, "ended", 0)
    sink, listed = Remembering(), records()
    feed = Late([[packed(listed[start : start + SOME])] for start in range(0, len(listed), SOME)])
    with Case.open(tmp_path / "case") as case:
        how = watch.Settings(once=True, quiet=0.0, beside=False, hot=300)
        watch.Watch(case.folder, feed, [sink], (), how, lambda _: None).run()

    counts = {ident: one["count"] + 1 for ident, one in found(tmp_path / "case").items()}
    assert counts == {ident: one["count"] for ident, one in sink.standing().items()}
    assert counts


class Slow(SweepProcess):
    """A sweep whose findings are told one at a time."""

    told: ClassVar[list[str]] = []
    first: Callable[[], None] = staticmethod(lambda: None)
    """Done before the first."""

    def found(self) -> Iterator[Sequence[Document]]:
        for some in super().found():
            for one in some:
                if not Slow.told:
                    Slow.first()
                Slow.told.append(one["id"])
                yield [one]


class Between(Given):
    """A feed that brings its last batch when the first of what a sweep found is told."""

    def take(self, most: int, wait: float) -> Sequence[Arrival]:
        return self.nothing(wait) if len(self.batches) == 1 and not Slow.told else super().take(most, wait)

    def kept(self, arrivals: Sequence[Arrival]) -> None:
        super().kept(arrivals)
        if not self.batches:
            self.at = len(Slow.told)


def test_a_sweep_sets_right_what_the_hot_set_cant_see_and_lets_evidence_in_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What is told in the end is what `detect` says also where the case is far larger than what is judged with each batch;
    evidence need not wait for all that a sweep found to be told, and what it brings is not told back.
    """
    monkeypatch.setattr(watch, "SweepProcess", Slow)
    monkeypatch.setattr(Slow, "told", [])
    sink, listed = Remembering(), records()
    feed = Between([[packed(listed[start : start + SOME])] for start in range(0, len(listed), SOME)])
    with Case.open(tmp_path / "case") as case:
        how = watch.Settings(once=True, quiet=0.0, beside=False, hot=300)
        watch.Watch(case.folder, feed, [sink], (), how, lambda _: None).run()

    first_sweep = Slow.told.index(Slow.told[0], 1)
    assert 0 < feed.at < first_sweep
    assert same(found(tmp_path / "case")) == same(sink.standing())
    assert told_at_once() == answers(tmp_path)
    for ident in sink.standing():
        counts = [one.document["count"] for one in sink.notices if one.id == ident]
        assert counts == sorted(counts)


class Endless(Given):
    """A feed that brings something each time it is asked, old files at last, until some of a sweep is told."""

    asked_later = 0

    def take(self, most: int, wait: float) -> Sequence[Arrival]:
        if self.batches:
            self.again = self.batches[0]
        elif len(Slow.told) < 3 and self.asked_later < 3_000:
            self.asked_later += 1
            time.sleep(0.02)  # leave some of the processors to the sweep
            self.batches.append(self.again)
        return super().take(most, wait)


def test_what_a_sweep_found_is_told_though_evidence_never_stops_coming(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some of it is told in each round, whatever else there is to do."""
    monkeypatch.setattr(watch, "SweepProcess", Slow)
    monkeypatch.setattr(Slow, "told", [])
    listed = records()
    feed = Endless([[packed(listed[start : start + SOME])] for start in range(0, len(listed), SOME)])
    with Case.open(tmp_path / "case") as case:
        how = watch.Settings(once=True, quiet=0.0, beside=False, hot=300)
        watch.Watch(case.folder, feed, [Remembering()], (), how, lambda _: None).run()

    assert 0 < feed.asked_later < 3_000


class Unfinished(SweepProcess):
    """A sweep during which the watch is stopped."""

    asked: Callable[[], None] = staticmethod(lambda: None)
    """Done when it is asked whether it has ended."""

    def done(self) -> bool:
        Unfinished.asked()
        return False


@pytest.mark.parametrize(
    "when", ["while it notes what it found", pytest.param("while it sweeps", marks=pytest.mark.long)]
)
def test_a_watch_that_is_stopped_before_it_has_noted_the_past_tells_nothing_of_it(
    when: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With `only_new`, what a case of any size showed before is told neither at the stop nor by the next start."""
    kind = Unfinished if when == "while it sweeps" else Slow
    monkeypatch.setattr(watch, "SweepProcess", kind)
    monkeypatch.setattr(Slow, "told", [])
    sink, listed = Remembering(), records()
    with Case.open(tmp_path / "case") as case:
        parts = (listed[:-250], listed[-250:])  # the second is held, and judged by looks
        for number, some in enumerate(parts):
            before = tmp_path / f"{number}.json.gz"
            before.write_bytes(packed(some))
            case.ingest([str(before)])
            if not number:  # an earlier start has come so far
                (case.folder.path / "watch").mkdir()
                with closing(Recall(case.folder.path / "watch")) as recall:
                    keep_all(case.folder, recall)
        how = watch.Settings(quiet=0.0, beside=False, hot=300, only_new=True)
        running = watch.Watch(case.folder, Given([]), [sink], (), how, lambda _: None)
        monkeypatch.setattr(Slow, "first", staticmethod(running.stop))
        monkeypatch.setattr(Unfinished, "asked", staticmethod(running.stop))
        running.run()
    assert not sink.notices
    monkeypatch.setattr(watch, "SweepProcess", SweepProcess)
    watched(tmp_path / "case", [], sink, hot=300, only_new=True)

    assert found(tmp_path / "case").keys().isdisjoint(one.id for one in sink.notices)
    assert not sink.standing()


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
        watch.Watch(
            case.folder, Quiet([[packed(records()[:1])]]), [sink], [],
            watch.Settings(once=True, quiet=0.0, beside=False), print, lambda: time.time() + ahead,
        ).run()  # fmt: skip

    assert same(found(tmp_path / "case")) == same(sink.standing())
