"""Events of Logstash, whose time stands under another name, say what CloudTrail's own file says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from events_cases import ingest, issuing, native, raw, record, tables

from tokentrail.events.carriers.lost import LOGSTASH, sentences
from tokentrail.events.split import pieces
from tokentrail.testing import wrapped

CALL = issuing(managementEvent=True)
TIME = "2024-03-01T00:00:00.000Z"


def event(**members: Any) -> dict[str, Any]:
    """A call as Logstash has it, with some members replaced."""
    found: dict[str, Any] = json.loads(wrapped.logstash([CALL])) | members
    return found


def lines(*events: dict[str, Any]) -> bytes:
    """Events, one a line."""
    return b"\n".join(json.dumps(one).encode() for one in events)


SHAPES: dict[str, Any] = {
    "one a line": lambda one: json.dumps(one),
    "a list": lambda one: json.dumps([one]),
    "a list like CloudTrail's": lambda one: json.dumps({"Records": [one]}),
    "an answer of a search": lambda one: json.dumps({"hits": {"hits": [{"_id": "1", "_source": one}]}}),
    "a hit": lambda one: json.dumps({"_index": "logstash-2024", "_id": "1", "_source": one}),
    "as text in a queue": lambda one: json.dumps({"Messages": [{"Body": json.dumps(one)}]}),
    "callers as text": lambda one: json.dumps(one | {"userIdentity": json.dumps(one["userIdentity"])}),
    "indented": lambda one: json.dumps(one, indent=1),
    "beside what others added": lambda one: json.dumps(
        {"tags": ["x"], "host": {"name": "h"}, "type": "t"} | one
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("count", [1, 3])
def test_an_event_says_what_the_record_says(shape: str, count: int) -> None:
    """The same event, caller and credential, wherever the event stands, and none is refused."""
    data = "\n".join([SHAPES[shape](event())] * count).encode()

    assert tables(data) == tables(native(*[json.dumps(CALL).encode()] * count))


def test_what_an_event_lacks_is_said() -> None:
    """The summary names the carrier, and what it loses is in words."""
    (summary,), _ = ingest(lines(event(), event()))

    assert {LOGSTASH} == summary.carriers
    assert "@timestamp" in sentences({LOGSTASH: 1}, 1)[0]


def test_an_event_is_shown_as_a_record_and_as_it_came() -> None:
    """The record has the time under CloudTrail's name, and nothing of Logstash's; what came in has both as they were."""
    [piece] = pieces(lines(event()))

    assert json.loads(piece.raw) == CALL
    assert json.loads(piece.carried) == event()


def test_a_time_that_logstash_could_not_read_is_the_records_own() -> None:
    """Logstash's `@timestamp` is then the time of its reading, which must not pass for the call's."""
    kept = event(**{"@timestamp": "2026-01-01T00:00:00.000Z", "_@timestamp": "2024-03-01T00:00:00Z"})
    lost = event(**{"_@timestamp": "yesterday"})
    found = tables(lines(kept, lost))

    assert tables(native(json.dumps(CALL).encode()))["events"] == found["events"]
    assert ["eventTime can't be read"] == [one["reason"] for one in found["rejected"]]


@pytest.mark.parametrize(
    "time",
    [
        None,
        [],
        [TIME],
        {"a": TIME},
        True,
        "",
        "\x1b[31m",
        "x" * 10_000,
        "2024-13-45T99:99:99Z",
        1e400,
        "\ud800",
    ],
)
def test_a_time_that_is_none_costs_its_event_alone(time: Any) -> None:
    """It is refused with the reason in its own place, and its neighbours are read."""
    (summary,), found = ingest(lines(event(), event(**{"@timestamp": time}), event(eventName="Last")))

    assert (2, 1) == (summary.records, summary.rejected)
    assert ["AssumeRole", "Last"] == [one["name"] for one in found["events"]]
    assert {1} == {one["ordinal"] for one in found["rejected"]}


@pytest.mark.parametrize(
    "member", ["eventName", "userIdentity", "requestParameters", "eventSource", "errorCode"]
)
@pytest.mark.parametrize("value", [None, [], 7, "x" * 10_000, {"a": {"b": []}}, "\x1b[2J"])
def test_odd_members_are_told_as_in_a_record(member: str, value: Any) -> None:
    """A field of another type, or of any size, is kept or refused exactly as in CloudTrail's own file."""
    odd, plain = event(**{member: value}), record(**CALL | {member: value})
    (found,), rows = ingest(lines(event(), odd))
    (expected,), native_rows = ingest(native(json.dumps(CALL).encode(), json.dumps(plain).encode()))

    assert (expected.records, expected.rejected) == (found.records, found.rejected)
    assert rows == native_rows


@pytest.mark.parametrize(
    "other",
    [
        {"@timestamp": TIME, "eventName": "AssumeRole", "eventSource": "sts.amazonaws.com"},
        {"@version": "1", "eventName": "AssumeRole", "eventSource": "sts.amazonaws.com"},
    ],
)
def test_without_logstashs_marks_no_time_is_guessed(other: dict[str, Any]) -> None:
    """Elsewhere `@timestamp` may be when a log was written: such an object is refused as one without a time."""
    found = tables(lines(other, other))

    assert [] == found["events"]
    assert {"no eventTime: can't be placed in time"} == {one["reason"] for one in found["rejected"]}


def test_a_record_with_a_time_of_its_own_keeps_it() -> None:
    """Where a pipeline left `eventTime` in place, what Logstash says beside it counts for nothing."""
    kept = raw(**{"@timestamp": "2026-01-01T00:00:00.000Z", "@version": "1"})

    assert tables(native(raw()))["events"] == tables(kept)["events"]
