"""
Ask a table in Athena for what a trace of some access keys needs.

Source: Amazon Athena API Reference, 'StartQueryExecution', 'GetQueryExecution', 'GetQueryResults', 'GetTableMetadata'.
That a text among the execution parameters is a quoted literal is inferred from AWS's samples. Not tested against AWS.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tokentrail.errors import SourceError, UsageError
from tokentrail.events.carriers import ocsf
from tokentrail.events.carriers.names import TOP
from tokentrail.sources.files import BytesObject
from tokentrail.sources.following import Question
from tokentrail.sources.interface import Access, Wanted
from tokentrail.sources.query_service import Asker, Progress, Query
from tokentrail.sources.query_sql import Table

_TOGETHER = 200
"""Questions in a query, at most: its text may have 262,144 bytes."""
_PAGE = 1000
_CATALOG = "AwsDataCatalog"
_SOURCE = re.compile(r"athena:([A-Za-z0-9_]{1,128})\.([A-Za-z0-9_]{1,128})", re.ASCII)
_DAY_FORMATS = {"yyyy/MM/dd": "%Y/%m/%d", "yyyy-MM-dd": "%Y-%m-%d", "yyyyMMdd": "%Y%m%d"}
_CASTS = ("struct<", "row(", "array<", "array(", "map<", "map(")
_RECORD = frozenset(name.lower() for name in TOP)
_NAME = re.compile(r"[a-z0-9_]{1,255}", re.ASCII)


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
        self._table = _table_of(self._database, name, answer["TableMetadata"])

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


def _table_of(database: str, name: str, described: Mapping[str, Any]) -> Table:
    """
    What a table's description says (Amazon Athena API Reference, 'TableMetadata').

    Raises:
        SourceError: it has not the columns of CloudTrail's records.
    """
    columns = _types(described.get("Columns"))
    keys = _types(described.get("PartitionKeys"))
    called = f'"{database}"."{name}"'
    parameters = described.get("Parameters") or {}
    everything = columns | keys
    found = {
        **_days(everything, parameters),
        "partitions": {
            part: f'"{column}"'
            for part, known in (("account", ("account", "accountid", "account_id")), ("region", ("region",)))
            for column in known
            if column in keys
        },
    }
    if {"eventname", "eventtime", "useridentity", "eventid"} <= columns.keys():
        if columns["eventtime"] not in ("string", "varchar"):
            raise SourceError(
                f"athena:{database}.{name}: eventtime is no text, as it is in CloudTrail's own tables."
            )
        return Table(name=called, **_own(columns), **found)
    if {"class_uid", "api", "metadata", "actor", "time"} <= columns.keys():
        return Table(
            name=called,
            **_ocsf(columns, everything),
            **found,
            iceberg="eventday" not in everything and "time_dt" in columns,
        )
    raise SourceError(
        f"athena:{database}.{name}: its columns are not those of CloudTrail's records (eventname, eventtime, "
        "useridentity, eventid), nor of Security Lake's (class_uid, api, metadata, actor, time). Name another table."
    )


def _types(told: Any) -> dict[str, str]:
    """Columns by name, with their types in small letters; what is named as no column of ours can be is left out."""
    rows = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
    named = ((str(one.get("Name", "")).lower(), str(one.get("Type", "")).lower()) for one in rows)
    return {name: kind for name, kind in named if _NAME.fullmatch(name)}


def _days(columns: Mapping[str, str], parameters: Mapping[str, str]) -> dict[str, Any]:
    """By which columns days are told, where that is known."""
    if {"year", "month", "day"} <= columns.keys():
        return {"date_parts": True}
    if "eventday" in columns:
        return {"days": '"eventday"', "day_format": "%Y%m%d"}
    for name in columns:
        projected = _DAY_FORMATS.get(parameters.get(f"projection.{name}.format", ""))
        if projected:
            return {"days": f'"{name}"', "day_format": projected}
    return {}


def _shown(name: str, kind: str) -> str:
    """A column of a result: as JSON where it is nested, since what Athena prints of structs is ambiguous."""
    return f'json_format(CAST("{name}" AS JSON)) AS "{name}"' if kind.startswith(_CASTS) else f'"{name}"'


def _own(columns: Mapping[str, str]) -> dict[str, Any]:
    answer = '"responseelements"'
    return {
        "select": ", ".join(_shown(name, kind) for name, kind in columns.items() if name in _RECORD),
        "account": '"recipientaccountid"',
        "region": '"awsregion"',
        "time": '"eventtime"',
        "fields": {
            "AccessKeyId": '"useridentity"."accesskeyid"',
            "PrincipalId": '"useridentity"."principalid"',
            "EventName": '"eventname"',
            "IssuedKeyId": f"strpos({answer}, {{}}) > 0",
            "SharedEventId": '"sharedeventid"' if "sharedeventid" in columns else "strpos('', {}) > 0",
        },
    }


def _ocsf(columns: Mapping[str, str], everything: Mapping[str, str]) -> dict[str, Any]:
    second = "uid_alt" in columns["actor"]
    issued = 'strpos("api"."response"."data", {}) > 0'
    places = ", ".join(
        f"element_at(\"unmapped\", 'responseElements.{path}')"
        for path in ("credentials.accessKeyId", "accessKey.accessKeyId")
    )
    unmapped = "unmapped" in columns
    return {
        "select": ", ".join(
            _shown(name, kind) for name, kind in columns.items() if name in ocsf.MEMBERS and name != "time_dt"
        ),
        "account": '"accountid"' if "accountid" in everything else '"cloud"."account"."uid"',
        "region": '"cloud"."region"',
        "time": '"time"',
        "numeric": True,
        "fields": {
            "AccessKeyId": '"actor"."user"."credential_uid"',
            "PrincipalId": f'"actor"."user"."{"uid_alt" if second else "uid"}"',
            "EventName": '"api"."operation"',
            "IssuedKeyId": issued if second else f"{{}} IN ({places})",
            "SharedEventId": "element_at(\"unmapped\", 'sharedEventID')"
            if unmapped
            else "strpos('', {}) > 0",
        },
    }
