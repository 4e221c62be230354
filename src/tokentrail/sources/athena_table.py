"""
What the columns of a table in Athena say of CloudTrail's records.

Three forms are known by their columns: CloudTrail's own DDL, with or without partitions; Security Lake's, of either
source version; and a view over one of these. Sources: Amazon Athena User Guide, 'Query AWS CloudTrail logs' and 'Create
a table for CloudTrail logs in Athena using partition projection'; Amazon Security Lake User Guide, 'Security Lake
queries for AWS source version 1' and '... 2'.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tokentrail.errors import SourceError
from tokentrail.events.carriers import ocsf
from tokentrail.events.carriers.names import TOP
from tokentrail.sources.query_sql import Table

_DAY_FORMATS = {"yyyy/MM/dd": "%Y/%m/%d", "yyyy-MM-dd": "%Y-%m-%d", "yyyyMMdd": "%Y%m%d"}
_CASTS = ("struct<", "row(", "array<", "array(", "map<", "map(")
_RECORD = frozenset(name.lower() for name in TOP)
_NAME = re.compile(r"[a-z0-9_]{1,255}", re.ASCII)


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
