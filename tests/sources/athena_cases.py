"""A stand-in for Athena over HTTP: it runs the very SQL that it is sent, translated from Athena's dialect to DuckDB's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot
from asked_cases import ROW, Asked
from cloud_cases import Answer, Refusal
from sqlglot import exp

from tokentrail.testing.mapped import ocsf_documents
from tokentrail.testing.names import Json
from tokentrail.testing.wrapped import text

SOURCE = "athena:trails.events"
_TEXTS = (
    "eventversion", "eventtime", "eventsource", "eventname", "awsregion", "sourceipaddress", "useragent", "errorcode",
    "errormessage", "requestparameters", "responseelements", "additionaleventdata", "requestid", "eventid", "readonly",
    "eventtype", "apiversion", "recipientaccountid", "serviceeventdetails", "sharedeventid", "vpcendpointid",
    "eventcategory", "sessioncredentialfromconsole",
)  # fmt: skip


def _struct(**members: Any) -> pa.DataType:
    return pa.struct([pa.field(name, kind) for name, kind in members.items()])


def _strings(*names: str) -> dict[str, pa.DataType]:
    return dict.fromkeys(names, pa.string())


_IDENTITY = _struct(
    **_strings("type", "principalid", "arn", "accountid", "invokedby", "accesskeyid", "username"),
    onbehalfof=_struct(**_strings("userid", "identitystorearn")),
    sessioncontext=_struct(
        attributes=_struct(**_strings("mfaauthenticated", "creationdate")),
        sessionissuer=_struct(**_strings("type", "principalid", "arn", "accountid", "username")),
        ec2roledelivery=pa.string(),
        webidfederationdata=_struct(
            federatedprovider=pa.string(), attributes=pa.map_(pa.string(), pa.string())
        ),
    ),
)
_RESOURCES = pa.list_(_struct(**_strings("arn", "accountid", "type")))
"""Amazon Athena User Guide, 'Create a table for CloudTrail logs in Athena using partition projection'."""


def _small(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.lower(): _small(inner) for name, inner in value.items()}
    return [_small(inner) for inner in value] if isinstance(value, list) else value


def _fitting(value: Any, kind: pa.DataType) -> Any:
    """What a table in Athena makes of a value: texts, and only the members that the table has."""
    if value is None or (pa.types.is_struct(kind) and not isinstance(value, dict)):
        return None
    if pa.types.is_struct(kind):
        return {one.name: _fitting(value.get(one.name), one.type) for one in kind}
    if pa.types.is_list(kind):
        return [_fitting(one, kind.value_type) for one in value]
    if pa.types.is_map(kind):
        return [(name, str(one)) for name, one in value.items()]
    return value if isinstance(value, str) else text(value)


def own(records: Iterable[Json]) -> pa.Table:
    """The records as CloudTrail's DDL has them."""
    kinds = {**_strings(*_TEXTS), "useridentity": _IDENTITY, "resources": _RESOURCES}
    rows = [{name.lower(): value for name, value in one.items()} for one in records]
    for row in rows:
        row["useridentity"], row["resources"] = _small(row["useridentity"]), _small(row.get("resources"))
    return pa.table(
        {
            name: pa.array([_fitting(row.get(name), kind) for row in rows], kind)
            for name, kind in kinds.items()
        }
    )


def lake(records: Iterable[Json], version: Any) -> pa.Table:
    """The records as Security Lake's tables have them, whose columns are all there whatever records say."""
    known = list(records)
    whole = {**known[0], "requestParameters": {"a": "b"}, "responseElements": {"a": "b"}}
    rows = ocsf_documents([*known, whole], version=version)
    unmapped = [[(name, str(one)) for name, one in row.pop("unmapped", {}).items()] for row in rows]
    for row in rows:
        row.pop("time_dt", None)
    names = sorted({name for one in rows for name in one})
    found = pa.table({name: pa.array([one.get(name) for one in rows]) for name in names})
    found = found.append_column("unmapped", pa.array(unmapped, pa.map_(pa.string(), pa.string())))
    return found.slice(0, len(known))


def _hive(kind: pa.DataType) -> str:
    if pa.types.is_struct(kind):
        return f"struct<{','.join(f'{one.name}:{_hive(one.type)}' for one in kind)}>"
    if pa.types.is_list(kind):
        return f"array<{_hive(kind.value_type)}>"
    if pa.types.is_map(kind):
        return "map<string,string>"
    return "bigint" if pa.types.is_integer(kind) else "timestamp" if pa.types.is_timestamp(kind) else "string"


@dataclass
class Athena(Asked):
    """A table of records."""

    form: str = "projected"
    """`plain`, `projected`, `dated` (year, month, day), `view`, `lake-1` or `lake-2`."""
    requests: list[Json] = field(default_factory=list)
    """The queries that were started."""
    source = SOURCE
    target = "AmazonAthena."

    def __post_init__(self) -> None:
        moments = [datetime.fromisoformat(one["eventTime"]) for one in self.records]
        accounts = pa.array([one["recipientAccountId"] for one in self.records])
        regions = pa.array([one["awsRegion"] for one in self.records])
        self.keys: dict[str, str] = {}
        self.parameters: dict[str, str] = {}

        def days(pattern: str) -> pa.Array:
            return pa.array([one.strftime(pattern) for one in moments])

        if self.form.startswith("lake"):
            first = self.form == "lake-1"
            table = lake(self.records, "1.0.0-rc.2" if first else "1.5.0")
            parts = {"accountid": accounts, "region": regions}
            if first:
                parts["eventday"] = days("%Y%m%d")
            else:
                table = table.append_column(
                    "time_dt", pa.array([one.replace(tzinfo=None) for one in moments])
                )
        else:
            table, parts = own(self.records), {}
            if self.form in ("projected", "view"):
                parts = {"timestamp": days("%Y/%m/%d")}
                self.parameters = {"projection.timestamp.format": "yyyy/MM/dd"}
            if self.form == "dated":
                parts = {
                    "account": accounts, "region": regions,
                    "year": days("%Y"), "month": days("%m"), "day": days("%d"),
                }  # fmt: skip
        for name, column in parts.items():
            table = table.append_column(name, column)
        self.keys = dict.fromkeys(parts, "string")
        self._types = {one.name: _hive(one.type) for one in table.schema}
        self._engine = duckdb.connect()
        self._engine.execute("CREATE SCHEMA trails")
        self._engine.register("arriving", table)
        self._engine.execute("CREATE TABLE trails.events AS SELECT * FROM arriving")
        self._results: dict[str, tuple[list[str], list[tuple[Any, ...]], int]] = {}
        super().__post_init__()

    def get_table_metadata(self, asked: Json) -> Answer:
        assert ("AwsDataCatalog", "trails", "events") == tuple(
            asked[name] for name in ("CatalogName", "DatabaseName", "TableName")
        )
        keys = {} if self.form == "view" else self.keys
        columns = [{"Name": name, "Type": kind} for name, kind in self._types.items() if name not in keys]
        told = {"Name": "events", "Columns": columns, "Parameters": {}}
        if self.form != "view":
            told["PartitionKeys"] = [{"Name": name, "Type": kind} for name, kind in keys.items()]
            told["Parameters"] = self.parameters
        return Answer({"TableMetadata": told})

    def start_query_execution(self, asked: Json) -> Answer | Refusal:
        self.requests.append(asked)
        query = sqlglot.parse_one(asked["QueryString"], read="athena")
        given = [sqlglot.parse_one(one, read="athena") for one in asked["ExecutionParameters"]]
        marks = list(query.find_all(exp.Placeholder, bfs=False))
        if len(marks) != len(given) or not all(isinstance(one, exp.Literal) for one in given):
            return Refusal(400, "InvalidRequestException", "parameters")
        for mark, one in zip(marks, given, strict=True):
            mark.replace(one)
        ran = f"{len(self.requests):08}-query"
        cursor = self._engine.cursor()
        found = cursor.execute(query.sql(dialect="duckdb"))
        names = [one[0] for one in found.description]
        rows = found.fetchall()
        self.rows += len(rows)
        self._results[ran] = names, rows, self._scanned(query)
        return Answer({"QueryExecutionId": ran})

    def _scanned(self, query: exp.Expression) -> int:
        """What a query reads: the rows of the partitions that its conditions leave."""
        parts = {*self.keys, "time_dt"}
        where = query.args["where"].this
        pruning = [
            one for one in where.flatten() if {column.name for column in one.find_all(exp.Column)} <= parts
        ]
        told = " AND ".join(one.sql(dialect="duckdb") for one in pruning) or "true"
        return ROW * self._engine.execute(f"SELECT count(*) FROM trails.events WHERE {told}").fetchall()[0][0]

    def get_query_execution(self, asked: Json) -> Answer:
        scanned = self._results[asked["QueryExecutionId"]][2]
        state = "RUNNING" if asked["QueryExecutionId"] in self.slow else "SUCCEEDED"
        return Answer(
            {
                "QueryExecution": {
                    "QueryExecutionId": asked["QueryExecutionId"],
                    "Status": {"State": state},
                    "Statistics": {"DataScannedInBytes": scanned},
                }
            }
        )

    def stop_query_execution(self, asked: Json) -> Answer:
        self.stopped.append(asked["QueryExecutionId"])
        return Answer({})

    def get_query_results(self, asked: Json) -> Answer:
        names, rows, _ = self._results[asked["QueryExecutionId"]]
        start = int(asked.get("NextToken", 0))
        size = min(self.page, asked["MaxResults"])
        every = [tuple(names), *rows]
        cells = [
            {"Data": [{} if one is None else {"VarCharValue": str(one)} for one in row]}
            for row in every[start : start + size]
        ]
        columns = [{"Name": name, "Type": "varchar"} for name in names]
        told: Json = {"ResultSet": {"Rows": cells, "ResultSetMetadata": {"ColumnInfo": columns}}}
        if start + size < len(every):
            told["NextToken"] = str(start + size)
        return Answer(told)

    @property
    def parameters_sent(self) -> set[str]:
        return {one for request in self.requests for one in request["ExecutionParameters"]}
