"""
What the columns of a table in Athena say of CloudTrail's records, and the query that answers some questions.

Three forms are known by their columns: CloudTrail's own DDL, with or without partitions; Security Lake's, of either
source version; and a view over one of these. Sources: Amazon Athena User Guide, 'Query AWS CloudTrail logs' and 'Create
a table for CloudTrail logs in Athena using partition projection'; Amazon Security Lake User Guide, 'Security Lake
queries for AWS source version 1' and '... 2'.

Values come from evidence, which is hostile: they stand in execution parameters, each a quoted literal, and never in a
query's text.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tokentrail.errors import SourceError
from tokentrail.events.carriers import ocsf
from tokentrail.events.carriers.names import TOP
from tokentrail.sources.following import Question
from tokentrail.sources.spans import Span

_DAY_FORMATS = {"yyyy/MM/dd": "%Y/%m/%d", "yyyy-MM-dd": "%Y-%m-%d", "yyyyMMdd": "%Y%m%d"}
_CASTS = ("struct<", "row(", "array<", "array(", "map<", "map(")
_RECORD = frozenset(name.lower() for name in TOP)
_NAME = re.compile(r"[a-z0-9_]{1,255}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query with its execution parameters, and the questions that it answers."""

    text: str
    parameters: tuple[str, ...]
    questions: tuple[Question, ...]

    @property
    def shown(self) -> str:
        """The query as a person reads it, with its parameters below."""
        return f"{self.text}\n-- execution parameters: {', '.join(self.parameters)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of records: by which expressions it is searched, and by which partitions it is bounded."""

    name: str
    """Database and table, quoted."""
    select: str
    fields: Mapping[str, str]
    """By what is searched by, a condition with `{}` for a parameter; of equalities, an expression alone."""
    account: str
    region: str
    time: str
    numeric: bool = False
    """Whether `time` is milliseconds since 1970, and no text."""
    days: str | None = None
    """The partition column of days."""
    day_format: str = ""
    date_parts: bool = False
    """Whether the partitions are `year`, `month` and `day`."""
    iceberg: bool = False
    """Whether the table is partitioned by `time_dt`."""
    partitions: Mapping[str, str] = field(default_factory=dict)
    """Partition columns of `account` and `region`."""

    def query(self, questions: Sequence[Question], accounts: Iterable[str], regions: Iterable[str]) -> Query:
        """The query that answers some questions at once, as each query costs what it scans."""
        parts = _Parts(self)
        window = min(one.window[0] for one in questions), max(one.window[1] for one in questions)
        bounds = [*parts.days(window)]
        for column, values in ((self.account, sorted(accounts)), (self.region, sorted(regions))):
            if values:
                bounds.append(parts.among(column, values))
                partition = self.partitions.get("account" if column == self.account else "region")
                if partition:
                    bounds.append(parts.among(partition, values))
        grouped: dict[tuple[Span, str], list[str]] = defaultdict(list)
        for one in questions:
            grouped[one.window, one.attribute].append(one.value)
        wanted = [
            f"({parts.between(span)} AND {parts.matches(self.fields[attribute], values)})"
            for (span, attribute), values in grouped.items()
        ]
        where = "\n  AND ".join([*bounds, "(" + "\n    OR ".join(wanted) + ")"])
        text = f"SELECT {self.select}\nFROM {self.name}\nWHERE {where}"
        return Query(text=text, parameters=tuple(parts.parameters), questions=tuple(questions))


class _Parts:
    """Puts conditions together, and collects their parameters in the order in which they stand."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.parameters: list[str] = []

    def _mark(self, value: str) -> str:
        self.parameters.append(literal(value))
        return "?"

    def among(self, column: str, values: Iterable[str]) -> str:
        return f"{column} IN ({', '.join(map(self._mark, values))})"

    def matches(self, condition: str, values: Sequence[str]) -> str:
        if "{}" not in condition:
            return self.among(condition, values)
        return "(" + " OR ".join(condition.replace("{}", self._mark(one)) for one in values) + ")"

    def between(self, span: Span) -> str:
        if self._table.numeric:
            self.parameters += [str(span[0] * 1000), str(span[1] * 1000 + 999)]
            return f"{self._table.time} BETWEEN ? AND ?"
        start, end = (f"{datetime.fromtimestamp(one, UTC):%Y-%m-%dT%H:%M:%SZ}" for one in span)
        return f"{self._table.time} BETWEEN {self._mark(start)} AND {self._mark(end)}"

    def days(self, span: Span) -> Iterable[str]:
        """Bounds by partition, with a day more at the end since logs are filed by when they were delivered."""
        table = self._table
        first = datetime.fromtimestamp(span[0], UTC)
        last = datetime.fromtimestamp(span[1], UTC) + timedelta(days=1)
        if table.days:
            start, end = (self._mark(one.strftime(table.day_format)) for one in (first, last))
            yield f"{table.days} BETWEEN {start} AND {end}"
        if table.date_parts:
            self.parameters += [f"{first:%Y%m%d}", f"{last:%Y%m%d}"]
            parts = ("year", 10000), ("month", 100), ("day", 1)
            number = " + ".join(f'CAST("{name}" AS integer) * {factor}' for name, factor in parts)
            yield f"{number} BETWEEN ? AND ?"
        if table.iceberg:
            start, end = (self._mark(f"{one:%Y-%m-%d %H:%M:%S}") for one in (first, last))
            yield f'"time_dt" BETWEEN CAST({start} AS timestamp) AND CAST({end} AS timestamp)'


def literal(value: str) -> str:
    """A text as a literal of SQL, which is what Athena expects of an execution parameter that is a text."""
    return "'" + value.replace("'", "''") + "'"


def table(database: str, name: str, described: Mapping[str, Any]) -> Table:
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
