"""A queue that is emptied once: what it names is read, and a message goes only when the case has all of it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from unittest import mock

import pytest
from cloud_cases import Cloud, Refusal
from queue_cases import Line

from evidence import START
from tokentrail import Case
from tokentrail.errors import CaseError, SourceError, UsageError
from tokentrail.results import IngestSummary
from tokentrail.sources.interface import Access, Wanted
from tokentrail.sources.queue import Queue
from tokentrail.testing import World, native


def log(serial: int) -> bytes:
    world = World(START, seed=serial)
    world.user("ada").calls("ec2:DescribeInstances", count=2)
    return gzip.compress(native(world.records()), mtime=0)


@pytest.fixture(name="line")
def _line(cloud: Cloud, moto_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Line]:
    """A queue that says at once that it is empty."""
    monkeypatch.setattr("tokentrail.sources.drain._WAIT", 0)
    line = Line.of(cloud, moto_url)
    yield line
    line.client.close()


def drained(line: Line, **wanted: frozenset[str]) -> IngestSummary:
    with Case.open(line.cloud.case) as case:
        return case.ingest([line.source], access=[line.cloud.access], wanted=Wanted(**wanted))


def test_a_queue_is_drained_into_the_case(line: Line) -> None:
    """Each object that a queue tells of is read once, however often it is told of; no message is left."""
    for number in range(12):
        line.cloud.put(f"{number}.json.gz", log(number))
    line.tell(*(f"{number % 12}.json.gz" for number in range(25)))

    summary = drained(line)

    assert (12, 24, 0) == (summary.objects.read, summary.records.new, line.left())


def test_what_cant_be_read_stays_in_the_queue(line: Line) -> None:
    """A message that is none, or whose object is gone, is named and left; the others are read."""
    line.cloud.put("here.json.gz", log(1))
    line.tell("gone.json.gz", "here.json.gz")
    line.say("no notification")

    summary = drained(line)

    assert (1, 2) == (summary.objects.read, line.left())
    assert ["left in the queue"] * 2 == [
        one.reason.rpartition("; ")[2] for one in summary.skipped if one.lost
    ]


def test_what_cant_be_read_ends_no_draining(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    """As much of it as one answer holds, given back at once, came in place of all that was to be read still."""
    monkeypatch.setattr("tokentrail.sources.drain._MESSAGES", 10)
    line.say(*["no notification"] * 10)
    for number in range(3):
        line.cloud.put(f"{number}.json.gz", log(number))
        line.tell(f"{number}.json.gz")

    summary = drained(line)

    assert (3, 10, 10) == (summary.objects.read, line.left(), len(summary.skipped))
    assert 10 == len(drained(line).skipped), "they are given back at the end"


def test_messages_of_an_ingest_that_failed_can_be_read_at_once(line: Line) -> None:
    """They were kept from the next one for ten minutes, which said that all was read; what others hold is told."""
    line.cloud.put("1.json.gz", log(1))
    line.tell("1.json.gz", "1.json.gz")
    line.client.receive_message(QueueUrl=line.url, VisibilityTimeout=100)
    with Case.open(line.cloud.case) as case:
        failing = mock.patch("tokentrail.store.ingest.ingest", side_effect=CaseError("full"))
        with failing, pytest.raises(CaseError):
            case.ingest([line.source], access=[line.cloud.access])
        summary = case.ingest([line.source], access=[line.cloud.access])

    assert (1, 1) == (summary.objects.read, line.left())
    assert [True] == [f"{line.source}: about 1 message held" in one for one in summary.asked]


def test_messages_that_may_not_be_deleted_are_said_so(line: Line) -> None:
    """In words, with what to do; what they name is in the case, and counts once when they come again."""
    line.cloud.put("1.json.gz", log(1))
    line.tell("1.json.gz")
    line.cloud.wire.fault = lambda request: (
        Refusal(403, "AccessDenied") if request.operation == "DeleteMessageBatch" else None
    )
    with pytest.raises(SourceError, match=r"could not be deleted \(AccessDenied: no\).*watch\.json"):
        drained(line)
    with Case.open(line.cloud.case) as case:
        assert 2 == case.status().records


def test_without_a_dead_letter_queue_poison_ends(line: Line) -> None:
    """
    What can't be read is deleted after five receives where the queue sends it nowhere, and that is said.

    What is only denied stays: a policy or KMS key that somebody changed is mended in time, and else all of it were lost.
    """
    line.cloud.put("denied.json.gz", log(1))
    line.cloud.wire.fault = lambda request: Refusal(403, "AccessDenied") if request.key else None
    line.say("no notification")
    line.tell("denied.json.gz")

    fates = [[one.reason.rpartition("; ")[2] for one in drained(line).skipped] for _ in range(6)]
    line.cloud.wire.fault = lambda _: None

    assert {"deleted after 5 receives", "left in the queue"} == {*fates[4]}
    assert (["left in the queue"], 1) == (fates[5], line.left())
    assert (1, 0) == (drained(line).objects.read, line.left())


@pytest.mark.parametrize(
    ("host", "region"),
    [
        ("sqs.eu-west-1.amazonaws.com", "eu-west-1"), ("sqs.cn-north-1.amazonaws.com.cn", "cn-north-1"),
        ("sqs-fips.us-gov-west-1.amazonaws.com", "us-gov-west-1"), ("eu-west-1.queue.amazonaws.com", "eu-west-1"),
        ("vpce-0a1b-x.sqs.eu-west-1.vpce.amazonaws.com", "eu-west-1"), ("queue.amazonaws.com", "us-east-1"),
        ("sqs.internal.example.org", None),
    ],
)  # fmt: skip
def test_a_queue_is_asked_in_the_region_that_its_url_names(host: str, region: str | None) -> None:
    """Endpoints of FIPS and of a VPC name theirs as well; in another region there is no such queue."""
    assert region == Queue(f"sqs:https://{host}/111122223333/trail", Access()).region


def test_a_queue_is_read_whole_or_not_at_all(line: Line) -> None:
    """A part of a queue can't be asked for, and one that isn't there is refused in words."""
    with pytest.raises(UsageError, match="read whole"):
        drained(line, accounts=frozenset({"111122223333"}))
    line.client.delete_queue(QueueUrl=line.url)
    with pytest.raises(SourceError, match="nothing of that name"):
        drained(line)
