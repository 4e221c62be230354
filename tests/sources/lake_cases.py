"""A stand-in for CloudTrail Lake over HTTP: it runs the very SQL that it is sent, translated from Trino's to DuckDB's."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot
from asked_cases import ROW, Asked
from athena_cases import own
from cloud_cases import Answer, Refusal
from sqlglot import exp

from tokentrail.testing.names import Json
from tokentrail.testing.wrapped import text

STORE = "0b7a41f8-6c0f-4c11-9d5e-2f6a52a9d001"


@dataclass
class Lake(Asked):
    """An event data store: columns in small letters, `eventtime` as a timestamp, and `eventjson`."""

    lose: int = field(default=0, kw_only=True)
    """Rows of each result that are promised and do not come."""
    source = f"lake:{STORE}"
    target = "com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101."

    def __post_init__(self) -> None:
        table = own(self.records)
        moments = [datetime.fromisoformat(one["eventTime"]).replace(tzinfo=None) for one in self.records]
        table = table.set_column(
            table.column_names.index("eventtime"), "eventtime", pa.array(moments, pa.timestamp("s"))
        ).append_column("eventjson", pa.array([text(one) for one in self.records]))
        self._engine = duckdb.connect()
        self._engine.register("arriving", table)
        self._engine.execute("CREATE TABLE store AS SELECT * FROM arriving")
        self._results: dict[str, tuple[list[str], list[Any], int]] = {}
        super().__post_init__()

    def start_query(self, asked: Json) -> Answer | Refusal:
        """Run a query, if it is one SELECT that names this store alone."""
        statement = asked["QueryStatement"]
        self.texts.append(statement)
        if len(statement) > 10_000 or statement.count(STORE) != 1 or set(asked) != {"QueryStatement"}:
            return Refusal(400, "InvalidQueryStatementException", "length, or the store")
        [query] = sqlglot.parse(statement.replace(STORE, "store"), read="trino")
        if not isinstance(query, exp.Select) or query.args["from_"].this.name != "store":
            return Refusal(400, "InvalidQueryStatementException", "no SELECT")
        found = self._engine.cursor().execute(query.sql(dialect="duckdb"))
        names = [one[0] for one in found.description]
        rows = found.fetchall()
        ran = f"{len(self.texts):08}-0000-4000-8000-000000000000"
        self._results[ran] = names, rows, self._scanned(query)
        self.rows += len(rows)
        return Answer({"QueryId": ran})

    def _scanned(self, query: exp.Expression) -> int:
        """What a query reads: the records between its first and its last time."""
        times = sorted(
            bound.this
            for one in query.find_all(exp.Between)
            if one.this.name == "eventtime"
            for bound in (one.args["low"], one.args["high"])
        )
        told = f"eventtime BETWEEN '{times[0]}' AND '{times[-1]}'"
        return ROW * self._engine.execute(f"SELECT count(*) FROM store WHERE {told}").fetchall()[0][0]

    def describe_query(self, asked: Json) -> Answer:
        """A query's state."""
        state = "RUNNING" if asked["QueryId"] in self.slow else "FINISHED"
        scanned = self._results[asked["QueryId"]][2]
        return Answer({"QueryStatus": state, "QueryStatistics": {"BytesScanned": scanned}})

    def cancel_query(self, asked: Json) -> Answer:
        """End a query."""
        self.stopped.append(asked["QueryId"])
        return Answer({"QueryId": asked["QueryId"], "QueryStatus": "CANCELLED"})

    def get_query_results(self, asked: Json) -> Answer:
        """A page: of each row its columns, each an object of its own."""
        names, rows, _ = self._results[asked["QueryId"]]
        came = rows[: len(rows) - self.lose] if self.lose else rows
        start, size = int(asked.get("NextToken", "page0")[4:]), min(self.page, asked["MaxQueryResults"])
        told: Json = {
            "QueryStatus": "FINISHED",
            "QueryResultRows": [
                [{name: cell} for name, cell in zip(names, row, strict=True)]
                for row in came[start : start + size]
            ],
            "QueryStatistics": {"TotalResultsCount": len(rows)},
        }
        if start + size < len(came):
            told["NextToken"] = f"page{start + size}"
        return Answer(told)
