"""
Ask a log group of CloudWatch Logs, to which a trail delivers, for what a trace of some access keys needs.

It is asked by Logs Insights. A query gives 10,000 log events at most, and does not say which: where more match, the
time is split, and a second that alone has more is read whole by FilterLogEvents, which has no such limit.

Logs Insights finds the fields of the first 200 members of a log event alone (Amazon CloudWatch Logs User Guide,
'parse'). Who calls, what, and where stand first in a record; what stands behind a call's answer is searched for in the
record's text, or asked for in such a way that a record without the field is found. The time of a log event may be
that of its delivery, so that a day more is searched.

Sources: CloudWatch Logs API Reference, 'StartQuery', 'GetQueryResults', 'StopQuery', 'FilterLogEvents'; Amazon
CloudWatch Logs User Guide, 'filter' and 'Supported operations and functions'. Not tested against AWS.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tokentrail.errors import UsageError
from tokentrail.formatting import at
from tokentrail.sources.files import BytesObject
from tokentrail.sources.following import VALUE, Question
from tokentrail.sources.interface import Access, Wanted
from tokentrail.sources.query_service import LATE, Asker, Progress, Query
from tokentrail.sources.spans import Span

LIMIT = 10_000
"""
Log events that a query gives, at most. The API takes more by now, but gives no more than these at once.
"""
_LONGEST = 10_000
"""Characters of a query."""
_SOURCE = re.compile(
    r"logs:(?P<group>(arn:aws[a-z-]*:logs:(?P<region>[a-z0-9-]+):\d{12}:log-group:)?[.\-_/#A-Za-z0-9]{1,512})(:\*)?",
    re.ASCII,
)
_FIELDS = {
    "AccessKeyId": "userIdentity.accessKeyId",
    "PrincipalId": "userIdentity.principalId",
    "EventName": "eventName",
}
"""What is searched by in a field; all else is searched for in the text."""
_ENDED = ("Complete", "Failed", "Cancelled", "Timeout", "Unknown")


class Insights(Asker):
    """Asks a log group."""

    note = "logs"
    service = "logs"

    def __init__(self, source: str, access: Access, wanted: Wanted) -> None:
        """
        Name the log group.

        Raises:
            UsageError: the source names none.
        """
        found = _SOURCE.fullmatch(source)
        if found is None:
            raise UsageError(
                f"{source}: give the name or the ARN of a log group, as in logs:CloudTrail/logs."
            )
        super().__init__(f"logs:{found['group']}", access, wanted)
        self.region, self._group = found["region"], found["group"]

    def query(self, questions: Sequence[Question]) -> Query:
        """The query that answers some questions."""
        bounds = []
        if self.wanted.accounts:
            account = _among("recipientAccountId", sorted(self.wanted.accounts))
            bounds.append(f"({account} or not ispresent(recipientAccountId))")
        if self.wanted.regions:
            bounds.append(_among("awsRegion", sorted(self.wanted.regions)))
        grouped: dict[str, list[str]] = defaultdict(list)
        for one in questions:
            grouped[one.attribute].append(one.value)
        found = [
            _among(_FIELDS[attribute], values) if attribute in _FIELDS else _holding(values)
            for attribute, values in grouped.items()
        ]
        where = " and ".join([*bounds, f"({' or '.join(found)})"])
        return Query(text=f"fields @message\n| filter {where}\n| limit {LIMIT}", questions=tuple(questions))

    def fits(self, query: Query) -> bool:
        """Whether the service takes a query of this size."""
        return len(query.text) <= _LONGEST

    def shown(self, query: Query) -> str:
        """The query, with what is sent beside its text."""
        start, end = map(at, _searched(query))
        return f"{query.text}\n# log group {self._group}, from {start} to {end}"

    def run(self, query: Query) -> Iterator[BytesObject]:
        """Run a query; its pages as evidence, with its id and text."""
        left = [_searched(query)]
        while left:
            span = left.pop(0)
            ran, told = self._answer(query, span)
            if told.failure and not (told.failure == "timeout" and span[0] < span[1]):
                raise self.failed(ran, told.failure)
            rows = [] if told.failure else self._rows(ran, told.answer)
            matched = int(told.answer.get("statistics", {}).get("recordsMatched", 0))
            if told.failure or len(rows) >= LIMIT:
                if span[0] < span[1]:
                    left = [*_split(span, max(2, 2 * matched // LIMIT)), *left]
                else:
                    yield from self._second(span[0])
                continue
            self.came(ran, len(rows), matched)
            if rows:
                kept = {
                    "queryId": ran, "queryString": query.text, "logGroupIdentifiers": [self._group],
                    "startTime": span[0], "endTime": span[1], "results": rows,
                }  # fmt: skip
                yield BytesObject(f"{self.source}/{ran}", _encoded(kept))

    def _answer(self, query: Query, span: Span) -> tuple[str, Progress]:
        self.before()
        ran = self.call(
            "start_query", logGroupIdentifiers=[self._group], startTime=span[0], endTime=span[1],
            queryString=query.text,
        )["queryId"]  # fmt: skip
        return ran, self.wait(ran, lambda: self._look(ran), lambda: self.call("stop_query", queryId=ran))

    def _look(self, ran: str) -> Progress:
        told = self.call("get_query_results", queryId=ran)
        state, scanned = told["status"], int(told.get("statistics", {}).get("bytesScanned", 0))
        ended = state in _ENDED
        return Progress(
            ended=ended, scanned=scanned, failure=state.lower() if ended and state != "Complete" else "", answer=told
        )  # fmt: skip

    def _rows(self, ran: str, answer: Any) -> list[Any]:
        rows = list(answer.get("results", []))
        while token := answer.get("nextToken"):
            answer = self.call("get_query_results", queryId=ran, nextToken=token)
            rows += answer.get("results", [])
        return rows

    def _second(self, second: int) -> Iterator[BytesObject]:
        """All log events of a second, whatever they tell."""
        self.spent.queries += 1
        asked = {
            "logGroupIdentifier": self._group, "startTime": second * 1000, "endTime": second * 1000 + 999
        }  # fmt: skip
        token: dict[str, str] = {}
        number = 0
        while True:
            answer = self.call("filter_log_events", **asked, **token)
            if events := answer.get("events", []):
                self.spent.rows += len(events)
                yield BytesObject(f"{self.source}/{second}/{number}", _encoded({**asked, "events": events}))
            if not answer.get("nextToken"):
                return
            token, number = {"nextToken": answer["nextToken"]}, number + 1


def quoted(value: str) -> str:
    """
    A text as a literal of the query language, which has no parameters.

    What a backslash, a quote or a line's end means within one is not documented, so that only what ids and names of
    principals consist of is quoted at all.

    Raises:
        UsageError: it has other characters.
    """
    if not VALUE.fullmatch(value):
        raise UsageError(
            f"{value!r} can't be put into a query of Logs Insights: it takes letters, digits and _+=,.@:/- alone."
        )
    return f'"{value}"'


def _among(field: str, values: Iterable[str]) -> str:
    return f"{field} in [{', '.join(map(quoted, values))}]"


def _holding(values: Iterable[str]) -> str:
    return "(" + " or ".join(f"@message like {quoted(one)}" for one in values) + ")"


def _searched(query: Query) -> Span:
    """The seconds in which a query searches, with what is delivered late."""
    return query.window[0], query.window[1] + LATE


def _split(span: Span, many: int) -> list[Span]:
    """A span of time in so many parts, or in its seconds if these are fewer."""
    start, end = span
    step = max(1, -(-(end - start + 1) // many))
    return [(one, min(one + step - 1, end)) for one in range(start, end + 1, step)]


def _encoded(kept: Any) -> bytes:
    return json.dumps(kept, separators=(",", ":")).encode()
