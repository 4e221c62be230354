"""
Ask an event data store of CloudTrail Lake for what a trace of some access keys needs.

Sources: AWS CloudTrail API Reference, 'StartQuery', 'DescribeQuery', 'GetQueryResults', 'CancelQuery'; AWS CloudTrail
User Guide, 'CloudTrail Lake SQL constraints': Trino's SQL, with the store's id for a table, and times as quoted texts.
That the column `eventjson` has the record as it came is inferred from public code that reads it. Untested against AWS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence

from tokentrail.errors import UsageError
from tokentrail.sources.files import BytesObject
from tokentrail.sources.following import Question
from tokentrail.sources.interface import Access, Wanted
from tokentrail.sources.query_service import Asker, Progress, Query
from tokentrail.sources.query_sql import Table

_LONGEST = 10_000
"""Characters of a query (CloudTrail API Reference, 'StartQuery')."""
_PAGE = 1000
_SOURCE = re.compile(
    r"lake:(arn:aws[a-z-]*:cloudtrail:(?P<region>[a-z0-9-]+):\d{12}:eventdatastore/)?"
    r"(?P<id>[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})",
    re.ASCII,
)
_FIELDS = {
    "AccessKeyId": "useridentity.accesskeyid",
    "PrincipalId": "useridentity.principalid",
    "EventName": "eventname",
    "IssuedKeyId": "strpos(eventjson, {}) > 0",
    "SharedEventId": "sharedeventid",
}
"""Answers are a map of texts there, in which a key may stand at any depth: the record's own text is searched."""


class Lake(Asker):
    """Asks an event data store."""

    note = "lake"
    service = "cloudtrail"

    def __init__(self, source: str, access: Access, wanted: Wanted) -> None:
        """
        Name the store.

        Raises:
            UsageError: the source names none.
        """
        found = _SOURCE.fullmatch(source)
        if found is None:
            raise UsageError(
                f"{source}: give the id or the ARN of an event data store, as in "
                "lake:EXAMPLE1-0000-4000-8000-EXAMPLE00000 (`aws cloudtrail list-event-data-stores`)."
            )
        super().__init__(source, access, wanted)
        self.region = found["region"]
        self._store = source.removeprefix("lake:")
        self._table = Table(
            name=found["id"], select="eventjson", fields=_FIELDS, account="recipientaccountid", region="awsregion",
            time="eventtime", time_format="%Y-%m-%d %H:%M:%S", inline=True,
        )  # fmt: skip

    def query(self, questions: Sequence[Question]) -> Query:
        """The query that answers some questions."""
        return self._table.query(questions, self.wanted.accounts, self.wanted.regions)

    def fits(self, query: Query) -> bool:
        """Whether the service takes a query of this size."""
        return len(query.text) <= _LONGEST

    def run(self, query: Query) -> Iterator[BytesObject]:
        """Run a query; its pages as evidence, with its id and text."""
        self.before()
        ran = self.call("start_query", QueryStatement=query.text)["QueryId"]
        told = self.wait(
            ran,
            lambda: self._look(ran),
            lambda: self.call("cancel_query", EventDataStore=self._store, QueryId=ran),
        )
        if told.failure:
            raise self.failed(ran, told.failure)
        token: dict[str, str] = {}
        number, came, promised = 0, 0, 0
        while True:
            answer = self.call("get_query_results", QueryId=ran, MaxQueryResults=_PAGE, **token)
            rows = answer.get("QueryResultRows", [])
            came += len(rows)
            promised = max(promised, answer.get("QueryStatistics", {}).get("TotalResultsCount", 0))
            if rows:
                kept = {"QueryId": ran, "QueryStatement": query.text, "QueryResultRows": rows}
                content = json.dumps(kept, separators=(",", ":")).encode()
                yield BytesObject(f"{self.source}/{ran}/{number}", content)
            if not answer.get("NextToken"):
                break
            token, number = {"NextToken": answer["NextToken"]}, number + 1
        self.came(ran, came, promised)

    def _look(self, ran: str) -> Progress:
        told = self.call("describe_query", QueryId=ran)
        state, scanned = told["QueryStatus"], told.get("QueryStatistics", {}).get("BytesScanned", 0)
        ended = state in ("FINISHED", "FAILED", "CANCELLED", "TIMED_OUT")
        why = told.get("ErrorMessage") or state.lower()
        return Progress(ended=ended, scanned=scanned, failure=why if ended and state != "FINISHED" else "")
