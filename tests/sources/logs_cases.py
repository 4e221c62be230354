"""
A stand-in for CloudWatch Logs over HTTP, with an interpreter of the part of Logs Insights' language that is sent to it.

As AWS documents it: fields of the first 200 members of a log event, 10,000 log events at most, times in seconds with
both ends, and a query of 10,000 characters at most. Whatever the language has beside is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zlib import crc32

from asked_cases import ROW, Asked
from cloud_cases import Answer, Refusal

from tokentrail.testing.names import Json
from tokentrail.testing.wrapped import text

GROUP = "CloudTrail/management"
_TOKEN = re.compile(
    r'\s+|(?P<text>"[^"\\\n]*")|(?P<name>[@A-Za-z][A-Za-z.]*)|(?P<number>\d+)|(?P<mark>[()\[\],|])'
)
_FIELDS = 200

Condition = Callable[[dict[str, str]], bool]


class Malformed(Exception):
    """A query that is none."""


def fields(record: Json) -> dict[str, str]:
    """The fields of a log event: by dotted names, of its first 200 members."""

    def leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
        inner = (
            value.items()
            if isinstance(value, dict)
            else enumerate(value)
            if isinstance(value, list)
            else None
        )
        if inner is None:
            yield path, value if isinstance(value, str) else text(value)
            return
        for name, one in inner:
            yield from leaves(one, f"{path}.{name}" if path else str(name))

    return {"@message": text(record), **dict(list(leaves(record, ""))[:_FIELDS])}


class _Parser:
    """Reads `fields @message | filter CONDITION | limit NUMBER`."""

    def __init__(self, query: str) -> None:
        self.left: list[str] = []
        at = 0
        while at < len(query):
            found = _TOKEN.match(query, at)
            if found is None:
                raise Malformed(query[at : at + 20])
            if found.lastgroup:
                self.left.append(found[0])
            at = found.end()

    def take(self, *wanted: str) -> str:
        if not self.left or (wanted and self.left[0] not in wanted):
            raise Malformed(f"{self.left[:3]}, not {wanted}")
        return self.left.pop(0)

    def query(self) -> tuple[Condition, int]:
        for one in ("fields", "@message", "|", "filter"):
            self.take(one)
        condition = self.any()
        for one in ("|", "limit"):
            self.take(one)
        limit = int(self.take())
        if self.left or not 1 <= limit <= 10_000:
            raise Malformed("what follows")
        return condition, limit

    def any(self) -> Condition:
        found = [self.all()]
        while self.left[:1] == ["or"]:
            self.take("or")
            found.append(self.all())
        return lambda row: any(one(row) for one in found)

    def all(self) -> Condition:
        found = [self.one()]
        while self.left[:1] == ["and"]:
            self.take("and")
            found.append(self.one())
        return lambda row: all(one(row) for one in found)

    def one(self) -> Condition:
        first = self.take()
        if first == "not":
            inner = self.one()
            return lambda row: not inner(row)
        if first == "(":
            inner = self.any()
            self.take(")")
            return inner
        if first == "ispresent":
            self.take("(")
            name = self.take()
            self.take(")")
            return lambda row: name in row
        if self.take("in", "like") == "like":
            part = self.text()
            return lambda row: part in row.get(first, "")
        values = [self.text()] if self.take("[") else []
        while self.take(",", "]") == ",":
            values.append(self.text())
        return lambda row: row.get(first) in values

    def text(self) -> str:
        found = self.take()
        if found[:1] != '"':
            raise Malformed(found)
        return found[1:-1]


def condition(query: str) -> Condition:
    """What a query finds."""
    return _Parser(query).query()[0]


@dataclass
class Logs(Asked):
    """A log group of CloudTrail's records, each with the time of its delivery."""

    limit: int = field(default=10_000, kw_only=True)
    """Log events that a query gives, at most, whatever it asks for."""
    timeout: int | None = field(default=None, kw_only=True)
    """Seconds of time in which a query can search before it times out."""
    latest: int = field(default=600, kw_only=True)
    """Seconds after which all is delivered."""
    spans: list[tuple[int, int]] = field(default_factory=list, kw_only=True)
    """The times that were asked for."""
    read: list[int] = field(default_factory=list, kw_only=True)
    """The seconds that were read whole."""
    source = f"logs:{GROUP}"
    target = "Logs_20140328."

    def __post_init__(self) -> None:
        self._events = [
            (int(datetime.fromisoformat(one["eventTime"]).timestamp()) + self._delay(one), fields(one))
            for one in self.records
        ]
        self._answers: dict[str, Json] = {}
        super().__post_init__()

    def _delay(self, record: Json) -> int:
        return crc32(record["eventID"].encode()) % self.latest if self.latest else 0

    def start_query(self, asked: Json) -> Answer | Refusal:
        """Run a query."""
        query, start, end = asked["queryString"], asked["startTime"], asked["endTime"]
        self.texts.append(query)
        self.spans.append((start, end))
        if asked["logGroupIdentifiers"] != [GROUP] or len(query) > 10_000:
            return Refusal(400, "InvalidParameterException", "group or length")
        try:
            holds, limit = _Parser(query).query()
        except Malformed as error:
            return Refusal(400, "MalformedQueryException", str(error))
        there = [row for when, row in self._events if start <= when <= end]
        found = [row["@message"] for row in there if holds(row)]
        given = found[: min(limit, self.limit)]
        ran = f"{len(self.texts):08}-query"
        state = "Running" if ran in self.slow else "Complete"
        if self.timeout is not None and end - start >= self.timeout:
            state, given = "Timeout", given[:1]
        self.rows += len(given)
        self._answers[ran] = {
            "status": state,
            "statistics": {"recordsMatched": float(len(found)), "bytesScanned": float(ROW * len(there))},
            "results": [
                [{"field": "@message", "value": one}, {"field": "@ptr", "value": f"p{number}"}]
                for number, one in enumerate(given)
            ],
        }
        return Answer({"queryId": ran})

    def get_query_results(self, asked: Json) -> Answer:
        """A page of an answer."""
        told = dict(self._answers[asked["queryId"]])
        start = int(asked.get("nextToken", 0))
        rows = told["results"]
        told["results"] = rows[start : start + self.page]
        if start + self.page < len(rows):
            told["nextToken"] = str(start + self.page)
        return Answer(told)

    def stop_query(self, asked: Json) -> Answer:
        """End a query."""
        self.stopped.append(asked["queryId"])
        return Answer({"success": True})

    def filter_log_events(self, asked: Json) -> Answer:
        """A page of all log events of some time."""
        assert asked["logGroupIdentifier"] == GROUP
        first, last = asked["startTime"], asked["endTime"]
        start = int(asked.get("nextToken", 0))
        if not start:
            self.read.append(first // 1000)
        there = [
            {"timestamp": when * 1000, "message": row["@message"]}
            for when, row in self._events
            if first <= when * 1000 <= last
        ]
        told: Json = {"events": there[start : start + self.page]}
        if start + self.page < len(there):
            told["nextToken"] = str(start + self.page)
        return Answer(told)
