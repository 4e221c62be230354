"""
Ask a table in Athena for what a trace of some access keys needs, so that the logs stay where they are.

Source: Amazon Athena API Reference, 'StartQueryExecution', 'GetQueryExecution', 'GetQueryResults', 'GetTableMetadata'.
That a text among the execution parameters is a quoted literal is inferred from AWS's samples. Not tested against AWS.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tokentrail.errors import SourceError, UsageError
from tokentrail.sources import aws
from tokentrail.sources.athena_table import Query, Table, table
from tokentrail.sources.files import BytesObject
from tokentrail.sources.following import QUERIES, Following, Question
from tokentrail.sources.interface import Access, Batch, Failed, Notes, Skipped, Wanted
from tokentrail.sources.query_progress import QueryProgress
from tokentrail.sources.spans import Span
from tokentrail.sources.words import refused
from tokentrail.spelling import at, counted, joined

LATE = 24 * 3600
"""Seconds after which a record is taken to lie in the table; newer ones are asked for again by the next run."""
_TOGETHER = 200
"""Questions in a query, at most: its text may have 262,144 bytes."""
_PAGE = 1000
_NOTE = "athena"
_CATALOG = "AwsDataCatalog"
_SOURCE = re.compile(r"athena:([A-Za-z0-9_]{1,128})\.([A-Za-z0-9_]{1,128})", re.ASCII)
_TERABYTE = 10**12


@dataclass(slots=True)
class _Spent:
    """What the queries of a run have scanned and returned."""

    queries: int = 0
    scanned: int = 0
    rows: int = 0


class _ScanLimit(Exception):
    """The queries have scanned what they may."""


class _Asker:
    """Sends queries, waits for them within the scan that is allowed, and reads their results."""

    def __init__(self, source: str, access: Access, wanted: Wanted) -> None:
        found = _SOURCE.fullmatch(source)
        if found is None:
            raise UsageError(f"{source}: give database and table, as in athena:DATABASE.TABLE.")
        self.source, self.wanted = source, wanted
        self.database, self.name = found[1].lower(), found[2].lower()
        self._access = access
        self.spent = _Spent()

    def table(self) -> Table:
        """The table, as its description in the catalog has it."""
        options = {"WorkGroup": self.wanted.queries.workgroup} if self.wanted.queries.workgroup else {}
        answer = self._call(
            "get_table_metadata",
            CatalogName=_CATALOG,
            DatabaseName=self.database,
            TableName=self.name,
            **options,
        )
        return table(self.database, self.name, answer["TableMetadata"])

    def run(self, query: Query) -> Iterator[BytesObject]:
        """Run a query; its pages as evidence, with its id, text and parameters."""
        limit = self.wanted.queries.max_scan
        if limit is not None and self.spent.scanned >= limit:
            raise _ScanLimit
        ran = self._call("start_query_execution", **self._request(query))["QueryExecutionId"]
        self.spent.queries += 1
        self._wait(ran)
        token: dict[str, str] = {}
        number = 0
        while True:
            answer = self._call("get_query_results", QueryExecutionId=ran, MaxResults=_PAGE, **token)
            result = answer["ResultSet"]
            rows = len(result["Rows"]) - (
                number == 0
            )  # the first row of the first page is the columns' names
            self.spent.rows += max(0, rows)
            if rows > 0:
                kept = {
                    "QueryExecutionId": ran, "Query": query.text, "ExecutionParameters": query.parameters,
                    "ResultSet": {
                        "Rows": result["Rows"],
                        "ResultSetMetadata": {
                            "ColumnInfo": [
                                {"Name": one["Name"], "Type": one["Type"]}
                                for one in result["ResultSetMetadata"]["ColumnInfo"]
                            ]
                        },
                    },
                }  # fmt: skip
                content = json.dumps(kept, separators=(",", ":")).encode()
                yield BytesObject(f"{self.source}/{ran}/{number}", content)
            if not answer.get("NextToken"):
                return
            token, number = {"NextToken": answer["NextToken"]}, number + 1

    def _request(self, query: Query) -> dict[str, Any]:
        queries = self.wanted.queries
        return {
            "QueryString": query.text,
            "ExecutionParameters": list(query.parameters),
            "QueryExecutionContext": {"Database": self.database, "Catalog": _CATALOG},
            **({"WorkGroup": queries.workgroup} if queries.workgroup else {}),
            **({"ResultConfiguration": {"OutputLocation": queries.output}} if queries.output else {}),
        }

    def _wait(self, ran: str) -> None:
        """Wait for a query, and stop it when it scans more than is allowed."""
        limit, pause = self.wanted.queries.max_scan, 0.05
        while True:
            told = self._call("get_query_execution", QueryExecutionId=ran)["QueryExecution"]
            status, scanned = told["Status"], told.get("Statistics", {}).get("DataScannedInBytes", 0)
            if status["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
                self.spent.scanned += scanned
                if status["State"] == "SUCCEEDED":
                    return
                why = status.get("StateChangeReason") or status["State"].lower()
                raise SourceError(
                    f"{self.source}: query {ran} did not succeed ({why}). The next run goes on from here."
                )
            if limit is not None and self.spent.scanned + scanned > limit:
                self.spent.scanned += scanned
                self._call("stop_query_execution", QueryExecutionId=ran)
                raise _ScanLimit
            time.sleep(pause)
            pause = min(pause * 2, 2.0)

    def _call(self, operation: str, **asked: Any) -> Any:
        try:
            return aws.ask(self._access, "athena", operation, **asked)
        except Failed as failed:
            raise SourceError(refused(failed, "asked", self.source)) from failed


def batches(
    source: str, access: Access, wanted: Wanted, notes: Notes, clock: Callable[[], float] = time.time
) -> Iterator[Batch]:
    """
    Ask by lineage, in batches that go into the case one after the other.

    Args:
        source: `athena:DATABASE.TABLE`.
        access: How AWS is reached.
        wanted: The keys to follow, and the bounds: times, accounts, regions, bytes scanned.
        notes: The notes of the case, in which what was answered is stored.
        clock: Returns the time now, in seconds since 1970.

    Raises:
        SourceError: the table can't be asked, or a query failed; the next run continues.
        UsageError: there is no subject, or no time from which on it is followed.
    """
    now = int(clock())
    asker, window = _Asker(source, access, wanted), _window(source, wanted, now)
    answered = QueryProgress.of(notes, _NOTE)
    place = "/".join([source.lower(), ",".join(sorted(wanted.accounts)), ",".join(sorted(wanted.regions))])
    state = f"{place} {' '.join(sorted(set(wanted.subjects)))}"
    following = Following(wanted.subjects, window, answered.followed.get(state), QUERIES)
    known, stopped = asker.table(), False
    while not stopped and (questions := following.questions()):
        for query in _queries(known, _left(questions, answered, place), wanted):
            try:
                pages = list(asker.run(query))
            except _ScanLimit:
                stopped = True
                break
            following.learn(one.data for one in pages)

            def keep(query: Query = query) -> None:
                for one in query.questions:
                    answered.add(_name(place, one), [(one.window[0], min(one.window[1], now - LATE))])
                answered.followed[state] = following.state()
                answered.keep(notes)

            yield Batch(pages, kept=keep)
    skipped = [Skipped(source, _limit_reached(wanted))] if stopped else []
    yield Batch([], skipped, said=[*_said(source, asker.spent, window, following, wanted)])


def shown(source: str, access: Access, wanted: Wanted, clock: Callable[[], float] = time.time) -> list[str]:
    """The queries that a run would begin with; those that follow depend on their answers. None is sent."""
    asker, window = _Asker(source, access, wanted), _window(source, wanted, int(clock()))
    following = Following(wanted.subjects, window, None, QUERIES)
    return [query.shown for query in _queries(asker.table(), following.questions(), wanted)]


def _window(source: str, wanted: Wanted, now: int) -> Span:
    if not wanted.subjects:
        raise UsageError(
            f"{source}: give --subject KEY, whose lineage is fetched. To read all, read the logs' bucket."
        )
    if wanted.since is None:
        raise UsageError(
            f"{source}: give --since: what is scanned is paid for. 36 hours before the first suspect call do."
        )
    return int(wanted.since.timestamp()), min(now, int(wanted.until.timestamp()) if wanted.until else now)


def _left(questions: Sequence[Question], answered: QueryProgress, place: str) -> list[Question]:
    """What of some questions was not answered by an earlier run."""
    return [
        Question(one.attribute, one.value, span)
        for one in questions
        for span in answered.remaining(_name(place, one), one.window)
    ]


def _name(place: str, question: Question) -> str:
    return f"{place}/{question.attribute}={question.value}"


def _queries(known: Table, questions: Sequence[Question], wanted: Wanted) -> Iterator[Query]:
    for start in range(0, len(questions), _TOGETHER):
        yield known.query(questions[start : start + _TOGETHER], wanted.accounts, wanted.regions)


def _limit_reached(wanted: Wanted) -> str:
    return (
        f"--max-scan {wanted.queries.max_scan} was reached before all was asked, so that parts of the lineage may be "
        "missing. Run it again with a higher one: it goes on from here"
    )


def _said(source: str, spent: _Spent, window: Span, following: Following, wanted: Wanted) -> Iterator[str]:
    start, end = map(at, window)
    yield f"{source} was asked from {start} to {end}, for what follows from {joined(following.subjects)}."
    price, scanned = wanted.queries.price, f"{spent.scanned:,} bytes"
    cost = "" if price is None else f", about {spent.scanned / _TERABYTE * price:.4f} at {price:g} a terabyte"
    queries = counted(spent.queries, "query", "queries")
    yield f"{queries} scanned {scanned}{cost}, and returned {counted(spent.rows, 'row')}."
    yield from following.said()
