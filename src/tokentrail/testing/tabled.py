"""
Records as rows of tables: Athena, CloudTrail Lake, Splunk.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from tokentrail.testing.names import Json
from tokentrail.testing.wrapped import text

_ATHENA = (
    "eventversion", "useridentity", "eventtime", "eventsource", "eventname", "awsregion", "sourceipaddress",
    "useragent", "errorcode", "errormessage", "requestparameters", "responseelements", "additionaleventdata",
    "requestid", "eventid", "readonly", "resources", "eventtype", "apiversion", "recipientaccountid",
    "serviceeventdetails", "sharedeventid", "vpcendpointid", "vpcendpointaccountid", "eventcategory", "addendum",
    "sessioncredentialfromconsole", "edgedevicedetails", "tlsdetails",
)  # fmt: skip
"""As in "Create a table for CloudTrail logs in Athena using partition projection", Amazon Athena User Guide."""
_ATHENA_IDENTITY = (
    "type",
    "principalid",
    "arn",
    "accountid",
    "invokedby",
    "accesskeyid",
    "username",
    "onbehalfof",
)
_ATHENA_PERSON = ("userid", "identitystorearn")
_ATHENA_CONTEXT = ("attributes", "sessionissuer", "ec2roledelivery", "webidfederationdata")
_JSON_COLUMNS = frozenset(
    {"requestparameters", "responseelements", "additionaleventdata", "serviceeventdetails"}
)
_MAPS = frozenset({"requestparameters", "responseelements", "additionaleventdata"})


def java(value: Any) -> str:
    """Write a value as Java's `toString()` does maps and lists."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name}={java(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(java, value)) + "]"
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def athena_csv(records: Iterable[Json]) -> bytes:
    """Give Athena's CSV of `SELECT *`: structs as text, requests and answers as JSON text, names in small letters."""
    rows = []
    for record in records:
        small = {name.lower(): value for name, value in record.items()}
        small["useridentity"] = _athena_identity(record["userIdentity"])
        rows.append([_athena_cell(name, small.get(name)) for name in _ATHENA])
    return _csv(_ATHENA, rows)


def lake_csv(records: Iterable[Json]) -> bytes:
    """
    Give CloudTrail Lake's saved results of `SELECT *`: requests and answers are maps of texts.

    "Supported SQL schemas for event data stores", AWS CloudTrail User Guide; how maps are printed is inferred.
    """
    names = (*_ATHENA, "managementevent")
    rows = []
    for record in records:
        small = {name.lower(): value for name, value in record.items()}
        rows.append([_lake_cell(name, small.get(name)) for name in names])
    return _csv(names, rows)


def splunk_table_csv(records: Iterable[Json]) -> bytes:
    """Give Splunk's CSV of `| table *`: a column for each field, by its dotted name."""
    rows = [_dotted(record) for record in records]
    names = sorted({name for row in rows for name in row})
    return _csv(names, [[row.get(name, "") for name in names] for row in rows])


def splunk_raw_csv(records: Iterable[Json]) -> bytes:
    """Give Splunk's CSV of raw events."""
    return _csv(("_time", "_raw"), [[str(one["eventTime"]), text(one)] for one in records])


def _athena_identity(identity: Json) -> Json:
    small = _small(identity)
    found = {name: small.get(name) for name in _ATHENA_IDENTITY}
    if person := small.get("onbehalfof"):
        found["onbehalfof"] = {name: person.get(name) for name in _ATHENA_PERSON}
    context = small.get("sessioncontext")
    found["sessioncontext"] = context and {name: context.get(name) for name in _ATHENA_CONTEXT}
    return found


def _small(value: Any) -> Any:
    if isinstance(value, dict):
        return {name.lower(): _small(inner) for name, inner in value.items()}
    return [_small(inner) for inner in value] if isinstance(value, list) else value


def _athena_cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in _JSON_COLUMNS:
        return text(value)
    return java(_small(value))


def _lake_cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in _MAPS:
        return java({key: text(one) if isinstance(one, dict | list) else one for key, one in value.items()})
    if name == "eventtime":
        return str(value).replace("T", " ").replace("Z", ".000")
    return text(value) if name == "serviceeventdetails" else java(_small(value))


def _dotted(value: Any, path: str = "") -> dict[str, str]:
    if isinstance(value, dict):
        return {
            name: inner
            for key, one in value.items()
            for name, inner in _dotted(one, f"{path}.{key}" if path else key).items()
        }
    if isinstance(value, list):
        found: dict[str, str] = {}
        for one in value:
            for name, inner in _dotted(one, path + "{}").items():
                found[name] = f"{found[name]}\n{inner}" if name in found else inner
        return found
    return {} if value is None else {path: str(value).lower() if isinstance(value, bool) else str(value)}


def _csv(names: Sequence[str], rows: Iterable[Sequence[str]]) -> bytes:
    out = io.StringIO()
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(rows)
    return out.getvalue().encode()
