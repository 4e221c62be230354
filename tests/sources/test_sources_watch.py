"""`tokentrail watch` as a process, against SQS and S3 over HTTP: killed at random, told twice, and left without objects."""

from __future__ import annotations

import gzip
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from click.testing import CliRunner
from cloud_cases import BUCKET, Cloud, Refusal, Request
from queue_cases import Line, notice

from evidence import text
from patience import PATIENCE, until
from tokentrail import Case
from tokentrail.cli.root import root
from tokentrail.present.document import document
from tokentrail.sources.files import BytesObject
from tokentrail.sources.interface import Access, Failed, Wanted
from tokentrail.sources.queue import Message, Queue, ResolvedMessage
from tokentrail.testing import native
from tokentrail.testing.story import story
from tokentrail.watch.interface import Lost
from tokentrail.watch.polling import BucketFeed
from tokentrail.watch.queue_feed import QueueFeed

Json = dict[str, Any]
_VISIBLE = 60
"""Seconds for which who received a message has it for himself."""
PROGRAM = [sys.executable, "-m", "tokentrail"]


@pytest.fixture(name="line")
def _line(cloud: Cloud, moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """A queue with a clock of its own, which moto asks about each message at each call; in this process it waits less."""
    monkeypatch.setattr("tokentrail.watch.queue_feed._WAIT", 1)
    line = Line.of(cloud, moto_url, VisibilityTimeout=str(_VISIBLE))
    monkeypatch.setattr("moto.sqs.models.unix_time_millis", line.now)
    yield line
    line.client.close()


def started(cloud: Cloud, source: str, *options: str) -> subprocess.Popen[bytes]:
    """A watch that adds its lines to a file."""
    with (cloud.folder / "out.jsonl").open("ab") as out, (cloud.folder / "err.txt").open("ab") as err:
        return subprocess.Popen(
            [*PROGRAM, "watch", source, "--case", str(cloud.case), "--format", "jsonl",
             "--endpoint-url", cloud.access.endpoint_url or "", *options],
            stdout=out, stderr=err, env=os.environ | {"TOKENTRAIL_CASE": ""},
        )  # fmt: skip


def ended(process: subprocess.Popen[bytes], cloud: Cloud) -> None:
    code = process.wait(PATIENCE * 2)  # moto looks through the whole queue for each message
    assert 0 == code, (cloud.folder / "err.txt").read_text()


def lines(cloud: Cloud) -> list[Json]:
    return [json.loads(one) for one in (cloud.folder / "out.jsonl").read_text().splitlines()]


def standing(told: list[Json]) -> dict[str, Json]:
    found: dict[str, Json] = {}
    for one in told:
        found.pop(one["id"], None)
        if one["change"] != "withdrawn":
            found[one["id"]] = {name: one[name] for name in one if name not in _NOTICE}
    return found


_NOTICE = ("change", "revision", "changed", "delay")


def files(records: list[Json], count: int) -> list[bytes]:
    """Records in so many log files, mixed."""
    mixed = random.Random(5).sample(records, len(records))
    return [gzip.compress(native(mixed[number::count]), mtime=0) for number in range(count)]


def filled(line: Line, stored: list[bytes], *, copies: int, seed: int, gone: int = 0) -> None:
    """Put log files into the bucket and tell of each several times, in any order; some are gone by then."""
    keys = [f"AWSLogs/{number:05d}.json.gz" for number in range(len(stored))]
    line.cloud.stock(dict(zip(keys, stored, strict=True)))
    told = keys * copies
    random.Random(seed).shuffle(told)
    line.stock(*told, *(f"AWSLogs/gone-{number}.json.gz" for number in range(gone)))


def one_ingest(cloud: Cloud, stored: list[bytes]) -> Path:
    """A case that holds the same by one ingest."""
    folder = cloud.folder / "logs"
    folder.mkdir()
    for number, data in enumerate(stored):
        (folder / f"{number}.json.gz").write_bytes(data)
    with Case.open(cloud.folder / "whole") as case:
        case.ingest([str(folder)])
    return cloud.folder / "whole"


def answers(case: Path) -> str:
    with Case.open(case, create=False) as opened:
        keys = [one.id for one in opened.credentials(kind="long_term_key")]
        return text(opened.credentials()) + text([opened.trace(keys)]) + text(opened.detect())


def killed_at_random(line: Line, stored: list[bytes], *, kills: int, seed: int) -> None:
    """Watch, kill, and start again, until all is read; then compare."""
    chance = random.Random(seed)
    wire = line.cloud.wire
    for _ in range(kills):
        enough = len(wire.requests) + chance.randrange(3, 3 + 2 * len(stored) // kills)
        process = started(line.cloud, line.source)
        until(lambda enough=enough: len(wire.requests) >= enough)  # type: ignore[misc]
        time.sleep(chance.uniform(0, 0.3))
        process.send_signal(signal.SIGKILL)
        process.wait()
        until(lambda: not wire.busy)  # it may still be answered
        line.passed += _VISIBLE
    ended(started(line.cloud, line.source, "--once", "--give-up", "1"), line.cloud)

    told = lines(line.cloud)
    keys = [(one["id"], one["revision"]) for one in told]
    whole = one_ingest(line.cloud, stored)
    with Case.open(whole) as opened:
        expected = {one.id: document(one) for one in opened.detect(together=False)}
    assert expected == standing(told)
    assert len(set(keys)) == len(keys)
    assert all(revision == 1 or (ident, revision - 1) in keys for ident, revision in keys)
    assert answers(whole) == answers(line.cloud.case)


@pytest.mark.long
def test_once_waits_for_what_a_killed_watch_held(line: Line) -> None:
    """A watch dies with messages in its hands; the next one, which is to stop when all is read, reads those too."""
    stored = files(story(ordinary_day=False).world.records(), 25)
    filled(line, stored, copies=1, seed=1)
    wire, dead = line.cloud.wire, threading.Event()

    def unread(one: Request) -> None:
        if one.reads:
            dead.wait(PATIENCE)

    wire.fault = unread
    process = started(line.cloud, line.source)
    until(line.cloud.fetched)
    process.kill()
    process.wait()
    dead.set()
    assert _in_flight(line)

    wire.requests.clear()
    process = started(line.cloud, line.source, "--once")
    until(lambda: process.poll() is not None or _asked(line, "GetQueueAttributes") >= 4)
    line.passed += _VISIBLE
    ended(process, line.cloud)

    assert 0 == _in_flight(line)
    with Case.open(line.cloud.case, create=False) as case:
        assert len(stored) == case.status().objects


def _asked(line: Line, operation: str) -> int:
    """How often a watch asked the queue for something."""
    return sum(one.operation == operation for one in list(line.cloud.wire.requests))


def _in_flight(line: Line) -> int:
    """Messages that somebody holds."""
    name = "ApproximateNumberOfMessagesNotVisible"
    found = line.client.get_queue_attributes(QueueUrl=line.url, AttributeNames=[name])
    return int(found["Attributes"][name])


def test_killed_at_random_it_loses_and_repeats_nothing(line: Line) -> None:
    """Killed among duplicates and strays: each finding once, revisions counted, the case as by one ingest."""
    stored = files(story(ordinary_day=False).world.records(), 25)
    filled(line, stored, copies=2, seed=1, gone=2)

    killed_at_random(line, stored, kills=1, seed=7)

    assert 0 == line.left()


@pytest.mark.long
def test_five_thousand_notifications_with_kills(line: Line) -> None:
    """The same with 5,000 notifications, each object told of twice, and twenty kills."""
    stored = files(story().world.records(), 2450)
    filled(line, stored, copies=2, seed=1, gone=100)

    killed_at_random(line, stored, kills=20, seed=7)

    assert 0 == line.left()


def test_it_stops_on_a_signal_and_gives_back_what_it_holds(line: Line) -> None:
    """On SIGTERM it finishes what it is at, says what it did, and ends with 0; what comes later is read next time."""
    stored = files(story(ordinary_day=False).world.records(), 4)
    filled(line, stored[:3], copies=1, seed=1)
    process = started(line.cloud, line.source)
    until(lambda: not line.left())
    process.send_signal(signal.SIGTERM)
    ended(process, line.cloud)

    assert "Stopped: 3 objects" in (line.cloud.folder / "err.txt").read_text()


def test_it_stops_on_a_signal_before_anything_answered(tmp_path: Path) -> None:
    """While its first request waits for an answer there is nothing to finish: it ends with 0, and nothing is made."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        source = f"http://127.0.0.1:{silent.getsockname()[1]}"
        process = subprocess.Popen(
            [*PROGRAM, "watch", f"s3://{BUCKET}/AWSLogs/", "--case", str(tmp_path / "case"),
             "--endpoint-url", source], stderr=subprocess.PIPE,
            env=os.environ | {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing"},
        )  # fmt: skip
        silent.settimeout(PATIENCE)
        asked, _ = silent.accept()
        with asked:
            process.send_signal(signal.SIGTERM)
            _, told = process.communicate(timeout=PATIENCE)

    assert process.returncode == 0, told
    assert told == b""
    assert not (tmp_path / "case").exists()


def test_a_prefix_is_followed(cloud: Cloud) -> None:
    """Objects under a prefix are read as they come, once, and digests never; commands that findings name work as pasted."""
    stored = files(story(ordinary_day=False).world.records(), 4)
    for number, data in enumerate(stored):
        cloud.put(f"AWSLogs/{number}.json.gz", data)
    cloud.put(
        "AWSLogs/111122223333/CloudTrail-Digest/us-east-1/2026/11/23/"
        "111122223333_CloudTrail-Digest_us-east-1_trail_us-east-1_20261123T100000Z.json.gz", b"{}",
    )  # fmt: skip
    out = cloud.folder / "out.jsonl"
    for turn in range(2):  # a process of its own would prove no more, and take longer to start than to read
        asked = [f"s3://{BUCKET}/AWSLogs/", "--case", str(cloud.case), "--format", "text", "--once", "--to", str(out),
                 "--endpoint-url", cloud.access.endpoint_url or ""]  # fmt: skip
        ran = CliRunner().invoke(root, ["watch", *asked])
        assert 0 == ran.exit_code
        assert turn or re.search(r"next +tokentrail contain \S+\s+--case", ran.stdout)

    assert len(stored) == len(cloud.fetched())
    keys = [(one["id"], one["revision"]) for one in lines(cloud)]
    assert len(set(keys)) == len(keys) > 0


def test_an_object_that_is_denied_or_named_after_a_later_day_blinds_nobody(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    What is refused is tried again; whoever may write into the bucket can't have all older days passed over.

    What comes days late is found within the hour, as where an attacker had shut the bucket against CloudTrail.
    """
    clock = [0.0]
    monkeypatch.setattr("tokentrail.watch.polling.time.monotonic", lambda: clock[0])
    day = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
    folder = "AWSLogs/111122223333/CloudTrail/us-east-1"
    keys = [f"{folder}/{when:%Y/%m/%d}/111122223333_CloudTrail_us-east-1_{when:%Y%m%dT%H%MZ}_abcdefghijklmno{n}.json.gz"
            for n, when in enumerate([day, day.replace(year=2099), day])]  # fmt: skip
    cloud.wire.fault = lambda request: Refusal(403, "AccessDenied") if request.key == keys[0] else None
    feed = BucketFeed(
        f"s3://{BUCKET}/AWSLogs/", cloud.access, (), wanted=Wanted(), clock=lambda: day.timestamp()
    )
    for key in keys[:2]:
        cloud.put(key, b"{}")
    assert [keys[1]] == [one.object.name.partition(f"{BUCKET}/")[2] for one in feed.look()]
    assert [False] == [one.final for one in feed.lost()]
    cloud.put(keys[2], b"{}")
    assert 1 == len(list(feed.look()))
    cloud.wire.fault = lambda _: None
    clock[0] = 3600.0
    assert 1 == len(list(feed.look()))
    assert not feed.lost()
    monkeypatch.setattr("tokentrail.watch.polling.LARGEST", 2)
    cloud.put(keys[0], b"too large")
    assert ([], [True]) == (list(feed.look()), [one.final for one in feed.lost()])
    cloud.put(keys[0].replace("/23/", "/20/").replace("20261123", "20261120"), b"{}")
    assert not list(feed.look())
    clock[0] += 3600.0
    assert 1 == len(list(feed.look()))
    feed.stop()


def test_poison_goes_where_the_queue_sends_it(line: Line) -> None:
    """With a dead-letter queue, what can't be read is never deleted but ends there, named once; the rest is read."""
    morgue = line.client.create_queue(QueueName="dead")["QueueUrl"]
    arn = line.client.get_queue_attributes(QueueUrl=morgue, AttributeNames=["QueueArn"])["Attributes"][
        "QueueArn"
    ]
    policy = {"deadLetterTargetArn": arn, "maxReceiveCount": 2}
    line.client.set_queue_attributes(QueueUrl=line.url, Attributes={"RedrivePolicy": json.dumps(policy)})
    stored = files(story(ordinary_day=False).world.records(), 3)
    filled(line, stored, copies=1, seed=1, gone=1)
    line.say("no notification")
    feed = QueueFeed(line.source, line.cloud.access, give_up=1)
    feed.start()
    read, lost, dead = set[str](), list[Lost](), set[str]()

    def taken() -> bool:
        arrivals = feed.take(8, 0.5)
        feed.kept(arrivals)
        read.update(one.object.name for one in arrivals)
        lost.extend(feed.lost())
        there = line.client.receive_message(QueueUrl=morgue, MaxNumberOfMessages=10)
        dead.update(one["Body"] for one in there.get("Messages", ()))
        if len(read) == 3:
            line.passed += _VISIBLE
        return len(dead) == 2

    until(taken)
    feed.stop()

    assert {notice("AWSLogs/gone-0.json.gz"), "no notification"} == dead
    assert (3, 0) == (len(read), line.left())
    assert [False, False] == [one.final for one in lost]
    assert 2 == len({one.name for one in lost})


class Recorded(Queue):
    """A queue that brings one message, again and again, and remembers what became of it."""

    def __init__(self, told: ResolvedMessage, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.url, self.told, self.meanwhile = "https://q", told, meanwhile
        self.deleted: list[str] = []
        self.away: list[int] = []

    def receive(self, wait: int) -> list[Message]:
        return [self.told.message]

    def resolve(self, message: Message) -> ResolvedMessage:
        self.meanwhile()
        return self.told

    def delete(self, messages: Sequence[Message]) -> None:
        self.deleted += [one.id for one in messages]

    def hold(self, messages: Sequence[Message], seconds: int) -> None:
        self.away += [seconds] * len(messages)


@pytest.mark.parametrize(("refused", "hours", "deleted"), [(True, 1, 0), (True, 25, 1), (False, 1, 1)])
def test_what_is_only_denied_is_kept_for_a_day(refused: bool, hours: int, deleted: int) -> None:
    """Whoever shuts the bucket or disables its key for some minutes makes a watch delete no message; nor does it spin."""
    message = Message(id="m", receipt="r", body="", sent=0.0, receives=5)
    feed = QueueFeed("sqs:https://q", Access(), clock=lambda: hours * 3600.0)
    feed._queue = queue = Recorded(ResolvedMessage(message, poison="denied", refused=refused))
    with ThreadPoolExecutor(1) as pool:
        feed._receive_once(pool)

    assert (deleted, [bool(deleted)]) == (len(queue.deleted), [one.final for one in feed.lost()])
    assert ([] if deleted else [900]) == queue.away


def test_what_hinders_a_watch_of_a_queue_is_told_with_the_way_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """`AccessDenied: no` alone said neither what was denied, nor where, nor what it takes."""
    feed = QueueFeed("sqs:https://q", Access())
    message = Message(id="m", receipt="r", body="{}", sent=0.0, receives=1)
    feed._queue = queue = Recorded(ResolvedMessage(message))
    monkeypatch.setattr(queue, "delete", mock.Mock(side_effect=Failed("denied", "AccessDenied", "no")))
    with ThreadPoolExecutor(1) as pool:
        feed._receive_once(pool)

    assert [True] == [
        bool(re.match(r"sqs:https://q: deleting messages failed \(AccessDenied: no\)\..*watch\.json", one))
        for one in feed.troubles()
    ]


def test_a_message_that_comes_twice_is_deleted_once_all_of_it_is_kept() -> None:
    """SQS may bring a message again while a part of it is still to be read, whose other part was just kept."""
    message = Message(id="m", receipt="r", body="", sent=0.0, receives=1)
    feed = QueueFeed("sqs:https://q", Access())
    feed._queue = queue = Recorded(ResolvedMessage(message, [BytesObject("a", b"a"), BytesObject("b", b"b")]))
    with ThreadPoolExecutor(1) as pool:
        feed._receive_once(pool)
        first, second = feed.take(2, 0)
        queue.meanwhile = lambda: feed.kept([first])
        feed._receive_once(pool)
    assert [] == queue.deleted
    feed.kept([second, *feed.take(2, 0)])

    assert ["m"] == queue.deleted


def test_what_came_back_from_the_dead_is_read(line: Line) -> None:
    """A message whose object is there after all is read when it is moved back into the queue, and known objects once."""
    stored = files(story(ordinary_day=False).world.records(), 2)
    line.cloud.stock({"a": stored[0]})
    line.tell("a", "b")
    asked = ["watch", line.source, "--case", str(line.cloud.case), "--format", "jsonl", "--once", "--endpoint-url",
             line.cloud.access.endpoint_url or ""]  # fmt: skip
    assert 0 == CliRunner().invoke(root, asked).exit_code
    line.cloud.stock({"b": stored[1]})
    line.passed += _VISIBLE
    line.tell("a", "b")
    assert 0 == CliRunner().invoke(root, asked).exit_code

    assert answers(one_ingest(line.cloud, stored)) == answers(line.cloud.case)
