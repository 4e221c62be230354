"""Feeds: a folder whose files are still being written, and a buffer that makes who fetches wait for who reads."""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from patience import PATIENCE, until
from tokentrail.errors import SourceError, UsageError
from tokentrail.sources.files import BytesObject, FileObject
from tokentrail.sources.interface import Access, Wanted
from tokentrail.store.tasks import Outcome
from tokentrail.watch import feed_buffer, polling
from tokentrail.watch.feed_buffer import Buffer
from tokentrail.watch.feeds_and_sinks import feed_of
from tokentrail.watch.heartbeat import Counts, Heartbeat
from tokentrail.watch.interface import Arrival
from tokentrail.watch.polling import FolderFeed


@pytest.fixture(name="feed")
def _feed(tmp_path: Path) -> Iterator[FolderFeed]:
    (tmp_path / "logs").mkdir()
    feed = FolderFeed(str(tmp_path / "logs"), every=0.02)
    feed.start()
    yield feed
    feed.stop()


def brought(feed: FolderFeed) -> dict[str, bytes]:
    """What a feed brings next."""
    found: dict[str, bytes] = {}

    def taken() -> bool:
        arrivals = feed.take(1 << 20, 0.05)
        found.update({Path(one.object.name).name: one.object.read() for one in arrivals})
        feed.kept(arrivals)
        return bool(found)

    until(taken)
    return found


def test_files_are_brought_as_they_come_and_once(feed: FolderFeed, tmp_path: Path) -> None:
    """New files and new folders with files are seen; what was brought is not brought again; digests and cases never are."""
    logs = tmp_path / "logs"
    (tmp_path / "case" / "manifests").mkdir(parents=True)
    for name in ("case/case.json", "case/manifests/1.json"):
        (tmp_path / name).write_bytes(b'{"format": 3, "case_id": "1"}')
    (tmp_path / "case").rename(logs / "case")  # at once, as a case's marker is put in place
    (logs / "a.json").write_bytes(b"a")
    assert {"a.json": b"a"} == brought(feed)
    (logs / "deep" / "er").mkdir(parents=True)
    (logs / "deep" / "er" / "b.json").write_bytes(b"b")
    (logs / "111122223333_CloudTrail-Digest_us-east-1_t_us-east-1_20261123T100000Z.json.gz").write_bytes(b"d")
    assert {"b.json": b"b"} == brought(feed)
    (logs / "z.json").write_bytes(
        b"z"
    )  # what would be brought again would be before it, as a look goes by name
    assert {"z.json": b"z"} == brought(feed)
    until(feed.drained)


class Clock:
    """The time of day, and of a feed that waits, as a test has it go on."""

    def __init__(self) -> None:
        self.since, self.passed = time.time(), 0.0

    def monotonic(self) -> float:
        return self.passed

    def time(self) -> float:
        return self.since + self.passed

    def time_ns(self) -> int:
        return int(self.time() * 1e9)


def test_a_file_that_is_still_written_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file counts once it has stopped changing for a while, so that none is read in half."""
    clock = Clock()
    monkeypatch.setattr(polling, "time", clock)
    feed = FolderFeed(str(tmp_path))
    with (tmp_path / "slow.json").open("wb") as file:
        for _ in range(8):
            file.write(b"x" * 10)
            file.flush()
            assert [] == list(feed.look())
            clock.passed += polling.SETTLED * 0.9
            assert [] == list(feed.look())
            assert feed.unsettled()
    clock.passed += polling.SETTLED * 0.2

    assert [b"x" * 80] == [one.object.read() for one in feed.look()]
    assert not feed.unsettled()


def test_a_folder_that_can_t_be_looked_into_costs_no_other_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is said as long as it lasts, and read when it can be; so is a file that was refused, and a folder that is gone."""
    clock, shut = Clock(), {str(tmp_path / "logs" / "b"), str(tmp_path / "logs" / "c" / "c.json")}
    entries, read = polling._entries, FileObject.read
    for name in "abc":
        (tmp_path / "logs" / name).mkdir(parents=True)
        (tmp_path / "logs" / name / f"{name}.json").write_bytes(name.encode())

    def refused(path: Path) -> Path:
        if str(path) in shut:
            raise PermissionError(13, "Permission denied")
        return path

    monkeypatch.setattr(polling, "_entries", lambda folder: entries(str(refused(Path(folder)))))
    monkeypatch.setattr(FileObject, "read", lambda one: refused(Path(one.name)) and read(one))
    for module in (polling, feed_buffer):
        monkeypatch.setattr(module, "time", clock)
    clock.passed = 60.0  # nothing is new by then
    feed = FolderFeed(str(tmp_path / "logs"))

    def looked() -> list[bytes]:
        clock.passed += 100.0
        return [one.object.read() for one in feed.look()]

    assert [b"a"] == looked()
    assert ["Permission denied" in one for one in feed.troubles()] == [True]
    assert [(False, "c.json")] == [(one.final, Path(one.name).name) for one in feed.lost()]
    assert [] == looked()
    assert not feed.lost()
    shut.clear()
    clock.passed += 100.0
    assert [b"b", b"c"] == looked()
    assert not feed.troubles()
    (tmp_path / "logs").rename(tmp_path / "gone")
    with pytest.raises(SourceError, match="no folder any more"):
        looked()


def test_what_is_too_large_to_be_followed_is_named_and_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backup beside the logs ended the watch, at each start anew, for want of memory."""
    monkeypatch.setattr(polling, "LARGEST", 3)
    feed = FolderFeed(str(tmp_path))
    for name, data in (("backup", b"1234"), ("log.json", b"log")):
        (tmp_path / name).write_bytes(data)
        os.utime(tmp_path / name, (1, 1))

    assert [[b"log"], []] == [[one.object.read() for one in feed.look()] for _ in range(2)]
    assert [("backup", True)] == [(Path(one.name).name, one.final) for one in feed.lost()]


def test_a_file_that_grows_is_read_anew_ever_more_rarely(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log that is added to does not change its folder: what came after the first reading was never seen."""
    clock = Clock()
    for module in (polling, feed_buffer):
        monkeypatch.setattr(module, "time", clock)
    feed, log = FolderFeed(str(tmp_path)), tmp_path / "log.jsonl"
    log.write_bytes(b"0")
    read = list[tuple[int, int]]()
    for minute in range(20):
        for _ in range(2):
            clock.passed += 30.0
            read += [(minute, len(one.object.read())) for one in feed.look()]
        with log.open("ab") as file:
            file.write(b"+")

    assert [(0, 1), (2, 3), (4, 5), (8, 9), (16, 17)] == read


def test_a_link_to_a_folder_is_no_loop(feed: FolderFeed, tmp_path: Path) -> None:
    """A folder that links to itself is looked through once."""
    (tmp_path / "logs" / "loop").symlink_to(tmp_path / "logs")
    (tmp_path / "logs" / "a.json").write_bytes(b"a")

    assert {"a.json": b"a"} == brought(feed)
    (tmp_path / "logs" / "z.json").write_bytes(b"z")
    assert {"z.json": b"z"} == brought(feed)


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    """A file elsewhere is not taken in as evidence because somebody linked to it, and that is said."""
    logs = tmp_path / "logs"
    logs.mkdir()
    (tmp_path / "credentials").write_bytes(b"mine")
    (logs / "a.json").symlink_to(tmp_path / "credentials")
    (logs / "b.json").write_bytes(b"b")
    (logs / "c.json").symlink_to("b.json")
    for path in (tmp_path / "credentials", logs / "b.json"):
        os.utime(path, (0, 0))  # they have settled
    feed = FolderFeed(str(logs))

    assert [b"b", b"b"] == [one.object.read() for one in feed.look()]
    assert ["a.json"] == [Path(one.name).name for one in feed.lost() if "not followed" in one.reason]


def test_what_a_watch_says_of_itself_goes_through_no_link(tmp_path: Path) -> None:
    """A link that somebody put where the state is written leads to no file elsewhere."""
    (tmp_path / "mine").write_bytes(b"mine")
    for name in ("state.json", ".state.json.new"):
        (tmp_path / name).symlink_to(tmp_path / "mine")
    Heartbeat(FolderFeed(str(tmp_path)), tmp_path, Counts(), 60, time.time).beat([].append, 0)

    assert (tmp_path / "mine").read_bytes() == b"mine"
    assert not (tmp_path / "state.json").is_symlink()


def waits(thread: threading.Thread) -> bool:
    """Whether a thread waits for a condition."""
    frame = sys._current_frames().get(thread.ident or 0)
    while frame is not None and frame.f_code is not threading.Condition.wait.__code__:
        frame = frame.f_back
    return frame is not None


def test_who_fetches_waits_for_who_reads() -> None:
    """A buffer holds so many bytes, and lets go of who waits when it is closed."""
    bounded = Buffer(most=10)
    arrival = Arrival(object=BytesObject("a", b"x" * 8), at=0.0)
    done: list[bool] = []

    def fetch() -> None:
        done.extend(bounded.put(arrival) for _ in range(4))

    thread = threading.Thread(target=fetch)
    thread.start()
    until(lambda: len(done) == 2 and waits(thread))
    assert 2 == bounded.held()[0]
    assert 1 == len(bounded.take(8, 1))
    until(lambda: len(done) == 3 and waits(thread))
    bounded.close()
    thread.join(PATIENCE)
    assert [True, True, True, False] == done


@pytest.mark.parametrize(("source", "wanted"), [("-", Wanted()), ("lookup-events:", Wanted()), ("sqs:trail", Wanted()),
                                                ("sqs:https://q/1/q", Wanted(accounts=frozenset({"1"})))])  # fmt: skip
def test_what_cant_be_followed_is_refused_in_words(source: str, wanted: Wanted, tmp_path: Path) -> None:
    """Standard input, LookupEvents, a queue without a URL, and a part of a queue."""
    with pytest.raises(UsageError):
        feed_of(source, [Access()], wanted, tmp_path / "case", give_up=5)


def test_a_folder_that_is_not_there_is_refused_at_once(tmp_path: Path) -> None:
    """A wrong name is said when the watch starts, not waited for."""
    with pytest.raises(SourceError, match="no such folder"):
        FolderFeed(str(tmp_path / "none")).start()


def test_a_watch_that_can_t_read_its_source_is_not_up_to_date(tmp_path: Path) -> None:
    """It sees nothing that waits then; how long that has been so, and why, is said at each beat, with what was lost."""
    feed, said, clock, counts = FolderFeed(str(tmp_path)), list[str](), [0.0], Counts()
    beat = Heartbeat(feed, tmp_path, counts, 60, lambda: clock[0])
    for trouble in (None, "It is denied.", "It is denied.", None):
        feed._trouble = trouble
        clock[0] += 60
        beat.beat(said.append, 0)

    rest = "newest record none yet; 0 records; 0 findings and revisions."
    assert [
        f"Up to date; {rest}", "It is denied.", f"Hindered for 0 s; {rest} It is denied.",
        f"Hindered for 60 s; {rest} It is denied.", "The source is read again.", f"Up to date; {rest}",
    ] == said  # fmt: skip
    counts.take([Outcome("cut.json.gz", "0", 9, 141, 2, False), Outcome("cut.json.gz", "0", 9, 141, 2, True)])
    clock[0] += 60
    beat.beat(said.append, 0)

    assert ["cut.json.gz: 2 parts rejected, 141 records read" in one for one in counts.flaws()] == [True]
    assert said[-1].endswith("141 records; 0 findings and revisions; 2 records rejected.")


def test_a_clock_that_is_set_back_silences_no_watch(tmp_path: Path) -> None:
    """Lines and `state.json`, by which others see that it lives, go on at once, and not when the clock has caught up."""
    said, clock = list[str](), [7200.0]
    beat = Heartbeat(FolderFeed(str(tmp_path)), tmp_path, Counts(), 60, lambda: clock[0])
    stamps = []
    for now in (7200.0, 3600.0, 3661.0):
        clock[0] = now
        beat.beat(said.append, 0)
        stamps.append(json.loads((tmp_path / "state.json").read_text())["updated"][11:])

    assert (["02:00:00Z", "01:00:00Z", "01:01:01Z"], 1) == (stamps, len(said))


def test_a_watch_that_judges_for_long_seems_alive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`state.json`, by which a container's health is checked, is written on time while a turn takes minutes."""
    monkeypatch.setattr("tokentrail.watch.heartbeat._STATE_EVERY", 0.01)
    clock = [0.0]
    beat = Heartbeat(FolderFeed(str(tmp_path)), tmp_path, Counts(), 60, lambda: clock[0])
    beat.beat(lambda _: None, 7)
    with beat.while_judging():
        clock[0] = 120.0
        until(lambda: json.loads((tmp_path / "state.json").read_text())["updated"].endswith("00:02:00Z"))

    assert json.loads((tmp_path / "state.json").read_text())["undelivered"] == 7
