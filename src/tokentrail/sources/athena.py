"""
Ask a table in Athena for what a trace of some access keys needs.

Source: Amazon Athena API Reference, 'StartQueryExecution', 'GetQueryExecution', 'GetQueryResults', 'GetTableMetadata'.
That a text among the execution parameters is a quoted literal is inferred from AWS's samples. Not tested against AWS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any

from tokentrail.errors import UsageError
from tokentrail.sources.athena_table import table
from tokentrail.sources.files import BytesObject
from tokentrail.sources.following import Question
from tokentrail.sources.interface import Access, Wanted
from tokentrail.sources.query_service import Asker, Progress, Query

_TOGETHER = 200
"""Questions in a query, at most: its text may have 262,144 bytes."""
_PAGE = 1000
_CATALOG = "AwsDataCatalog"
_SOURCE = re.compile(r"athena:([A-Za-z0-9_]{1,128})\.([A-Za-z0-9_]{1,128})", re.ASCII)


class Athena(Asker):
    """Asks a table."""

    note = "athena"
    service = "athena"

    def __init__(self, source: str, access: Access, wanted: Wanted) -> None:
        """
        Look at the table's description in the catalog.

        Raises:
            SourceError: there is none, or it is no table of CloudTrail's records.
            UsageError: the source names no table.
        """
        found = _SOURCE.fullmatch(source)
        if found is None:
            raise UsageError(f"{source}: give database and table, as in athena:DATABASE.TABLE.")
        super().__init__(source.lower(), access, wanted)
        self._database, name = found[1].lower(), found[2].lower()
        group = {"WorkGroup": wanted.queries.workgroup} if wanted.queries.workgroup else {}
        answer = self.call(
            "get_table_metadata", CatalogName=_CATALOG, DatabaseName=self._database, TableName=name, **group
        )
        self._table = table(self._database, name, answer["TableMetadata"])

    def query(self, questions: Sequence[Question]) -> Query:
        """The query that answers some questions."""
        return self._table.query(questions, self.wanted.accounts, self.wanted.regions)

    def fits(self, query: Query) -> bool:
        """Whether the service takes a query of this size."""
        return len(query.questions) <= _TOGETHER

    def shown(self, query: Query) -> str:
        """The query, with what is sent beside its text."""
        return f"{query.text}\n-- execution parameters: {', '.join(query.parameters)}"

    def run(self, query: Query) -> Iterator[BytesObject]:
        """Run a query; its pages as evidence, with its id and text."""
        self.before()
        ran = self.call("start_query_execution", **self._request(query))["QueryExecutionId"]
        told = self.wait(
            ran, lambda: self._look(ran), lambda: self.call("stop_query_execution", QueryExecutionId=ran)
        )
        if told.failure:
            raise self.failed(ran, told.failure)
        token: dict[str, str] = {}
        number = 0
        while True:
            answer = self.call("get_query_results", QueryExecutionId=ran, MaxResults=_PAGE, **token)
            result = answer["ResultSet"]
            rows = len(result["Rows"]) - (number == 0)  # the first page's first row is the columns' names
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
            "QueryExecutionContext": {"Database": self._database, "Catalog": _CATALOG},
            **({"WorkGroup": queries.workgroup} if queries.workgroup else {}),
            **({"ResultConfiguration": {"OutputLocation": queries.output}} if queries.output else {}),
        }

    def _look(self, ran: str) -> Progress:
        told = self.call("get_query_execution", QueryExecutionId=ran)["QueryExecution"]
        status, scanned = told["Status"], told.get("Statistics", {}).get("DataScannedInBytes", 0)
        ended = status["State"] in ("SUCCEEDED", "FAILED", "CANCELLED")
        why = status.get("StateChangeReason") or status["State"].lower()
        return Progress(
            ended=ended, scanned=scanned, failure=why if ended and status["State"] != "SUCCEEDED" else ""
        )
