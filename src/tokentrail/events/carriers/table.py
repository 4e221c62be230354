"""
Rows of tables: Athena, CloudTrail Lake, Splunk's `| table`, and whatever else has CloudTrail's names as columns.

A row becomes a record. Structured cells hold JSON, Java's `toString()`, or nothing. Amazon Athena User Guide,
'Create a table for CloudTrail logs in Athena using partition projection'; CloudTrail User Guide, 'Supported SQL
schemas for event data stores'.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from tokentrail.events.carriers.lost import TABLE, WITHOUT_ANSWERS, WITHOUT_ERRORS, WITHOUT_SOURCE
from tokentrail.events.carriers.names import OPEN, PATHS, bare, identity, place, resources
from tokentrail.events.carriers.text_cache import Known
from tokentrail.events.carriers.tostring import is_document, parse
from tokentrail.events.loose import FAILURES, clean
from tokentrail.events.piece import Piece
from tokentrail.events.values import ACCOUNT_DIGITS

_ALIASES = {
    "eventid": "eventid", "awseventid": "eventid", "sourceip": "sourceipaddress", "eventtypename": "eventtype",
    "timegenerated": "eventtime", "time": "eventtime", "awsrequestid": "requestid", "ec2roledelivery":
    "useridentitysessioncontextec2roledelivery", "sessionmfaauthenticated":
    "useridentitysessioncontextattributesmfaauthenticated", "sessioncreationdate":
    "useridentitysessioncontextattributescreationdate",
} | {
    f"sessionissuer{name}": f"useridentitysessioncontextsessionissuer{name}"
    for name in ("type", "principalid", "arn", "accountid", "username")
} | {
    "awsaccesskey": "useridentityaccesskeyid", "username": "useridentityusername",
    "useridentityuserid": "useridentityonbehalfofuserid", "useridentitystorearn":
    "useridentityonbehalfofidentitystorearn", "src": "sourceipaddress", "srcip": "sourceipaddress", "awsaccountid":
    "recipientaccountid",
}  # fmt: skip
"""
Names that others give to CloudTrail's columns: Microsoft Sentinel's AWSCloudTrail, Splunk's `_time` and what its add-on
calls address and account (Splunk, 'Security Content', searches of CloudTrail), and the console's event history
(CloudTrail User Guide, 'Filtering CloudTrail events').
"""
_MEMBERS = {
    "accesskeyid": "useridentityaccesskeyid", "principalid": "useridentityprincipalid", "arn": "useridentityarn",
    "type": "useridentitytype", "invokedby": "useridentityinvokedby", "identityprovider":
    "useridentityidentityprovider", "creationdate": "useridentitysessioncontextattributescreationdate",
    "mfaauthenticated": "useridentitysessioncontextattributesmfaauthenticated", "sourceidentity":
    "useridentitysessioncontextsourceidentity", "federatedprovider":
    "useridentitysessioncontextwebidfederationdatafederatedprovider",
}  # fmt: skip
"""
Athena calls a column by a member's own name where a query asks for the member, as for `useridentity.arn`, and
LookupEvents names the caller's key so (AWS CloudTrail API Reference, 'Event'). Beside a column of all members such
names are something else's.
"""
_ALL_ALIASES = _ALIASES | _MEMBERS
_FITTING = {
    "arn": re.compile(
        r"arn:[\w-]+:(?:iam|sts)::(\d{12}):(?:root|(?:user|assumed-role|federated-user)/.+)", re.ASCII
    ),
    "type": re.compile(
        "Root|IAMUser|AssumedRole|Role|FederatedUser|Directory|AWSAccount|AWSService|IdentityCenterUser|Unknown"
        "|SAMLUser|WebIdentityUser"
    ),
}
"""Of names that a resource's members have too: which values are a caller's (CloudTrail User Guide, 'userIdentity')."""
_BY_ENDPOINT = ("AwsVpceEvent", "NetworkActivity")
"""Type and category of network activity events (CloudTrail User Guide, 'Logging network activity events')."""
_WHOLE = frozenset({"raw", "eventoriginal", "cloudtrailevent", "message", "eventjson", "jsonevent"})
"""Columns whose cell is a whole record as text; in a timeline of Plaso's, `message` is a sentence beside one."""
_NEEDED = frozenset({"eventname", "eventtime"})
_LACKED = {"eventSource": WITHOUT_SOURCE, "responseElements": WITHOUT_ANSWERS, "errorCode": WITHOUT_ERRORS}
"""What a table without a member is called: what loses most comes first."""
_UNIT = re.compile(r"\s*\[UTC\]\s*\Z")
_OTHER_INDEX = re.compile(r"\[\d*\]")
_EACH = "{}"
"""
What stands behind a name that Splunk found a list under: a cell has the values of its members, one a line. Of lists in
a list (`{}{}`) it has those of all, and which were together it doesn't say.
"""
_DEEPEST = 200
"""Names that a column's may consist of: who calls chooses how deeply what he asks for is nested."""
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(?:\.\d+)?\s*(?:Z|UTC|\+00:?00)?\Z")
_ELSEWHERE = re.compile(r"(\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d+)?)\s+([+-]\d\d:?\d\d)\Z")
"""
A time of another zone as Athena prints it, its offset apart. A zone's name alone leaves an hour of each autumn open.
"""
_PORTAL = re.compile(r"(\d\d?)/(\d\d?)/(\d{4}), (\d\d?):(\d\d):(\d\d)(?:\.\d+)?(?:\s(AM|PM))?\Z", re.ASCII)
"""
A time as Azure's portal writes it into CSV, in the way of whoever exports: the month first where the hour has AM or
PM, as in the United States, else the day. Microsoft, 'Azure-Sentinel', sample data of AWSCloudTrail (day first).
"""
_TRUTH = {"true": True, "false": False}
_NOTHING = ("", "null", "-")
"""What tables show where there is nothing; who calls may call itself `-`."""
_MISSING = ("None", "nan", "NaN", "NULL", "\\N", "(null)")
"""
What programs write into CSV for nothing: Python, pandas, databases, Hive. Within requests and answers it may be a
value, and who calls may call itself so.
"""
_NO_ERROR = ("success", "Success")
"""
What Splunk's add-on for AWS puts in the place of an error code that isn't there: searches there say
`errorCode=success` (Splunk, 'Security Content', detections on CloudTrail).
"""
_ACCOUNTS = frozenset({"accountId", "recipientAccountId", "vpcEndpointAccountId", "sourceAccount"})
NUMBERS = ("bytesTransferredOut", "bytesTransferredIn")
"""Members of `additionalEventData` that are numbers."""
_FLAGS = ("readOnly", "managementEvent")
_LITERALS = ("{'", "['", "[{'", '{"')
_encode = msgspec.json.Encoder().encode
_LONGEST_LITERAL = 1 << 20
"""Python takes some hundred times as much memory to read one; a record has a quarter of this at most."""


class Columns:
    """What the names of a table's columns say: where each cell belongs in a record."""

    def __init__(self, names: Sequence[str]) -> None:
        self.whole: int | None = None
        """The column that holds whole records, if there is one."""
        self._fitting: dict[int, re.Pattern[str]] = {}
        self._key: int | None = None
        """The column of a name that may be meant for the key that a call issued as well."""
        said_so = [bare(_UNIT.sub("", name)) for name in names]
        called = _ALIASES if "useridentity" in said_so else _ALL_ALIASES
        placed: list[tuple[int, bool, int, tuple[str, ...]]] = []
        found = set()
        for at, (name, said) in enumerate(zip(names, said_so, strict=True)):
            plain = called.get(said, said)
            if plain in _WHOLE and (self.whole is None or plain == "cloudtrailevent"):
                self.whole = at
            found.add(plain)
            if said in _FITTING:
                self._fitting[at] = _FITTING[said]
            if said == "accesskeyid":
                self._key = at
            if path := PATHS.get(plain) or _open_path(name):
                placed.append((len(path), plain != said, at, path))
        self._paths = [(at, path) for _, _, at, path in sorted(placed)]
        self.known = self.whole is not None or found >= _NEEDED
        members = {path[0] for _, path in self._paths}
        self._unsaid = "vpcEndpointId" in members and "readOnly" not in members
        """Whether a call looks like what an endpoint saw of one, which says neither what it read nor what was asked."""
        self.carrier = next((called for name, called in _LACKED.items() if name not in members), TABLE)
        """By the names of `lost`."""

    def record(self, cells: Sequence[Any]) -> bytes:
        """A row's cells as a record's JSON."""
        record: dict[str, Any] = {}
        for at, path in self._paths:
            if at < len(cells) and (value := _value(cells[at], path)) is not None:
                if at == self._key and str(value) in str(record.get("responseElements")):
                    continue
                if pattern := self._fitting.get(at):
                    fits = pattern.fullmatch(str(value))
                    if fits is None:
                        continue
                    if fits.lastindex:
                        place(record, ("userIdentity", "accountId"), fits[1])
                if _EACH in path:
                    _place_each(record, path, value)
                else:
                    place(record, path, value)
        if record.get("errorCode") in _NO_ERROR:
            del record["errorCode"]
        kind = record.get("eventType"), record.get("eventCategory")
        if self._unsaid and record.get("vpcEndpointId") and not any(one in _BY_ENDPOINT for one in kind):
            record.setdefault("requestParameters", {})
        return encoded(record)


def from_object(members: Mapping[str, Any], raw: bytes) -> Piece:
    """
    A row that is a JSON object, such as Splunk's `result`.

    It need not have a member of what is empty in its row; `eventSource` never is.
    """
    columns = Columns(list(members))
    carrier = WITHOUT_SOURCE if columns.carrier == WITHOUT_SOURCE else TABLE
    return Piece(columns.record(list(members.values())), None, carrier, None, raw)


def encoded(record: dict[str, Any]) -> bytes:
    """The JSON of a record whose values may have come as text, and in other spellings."""
    if record.get("resources"):
        record["resources"] = _listed(record["resources"])
    record["eventTime"] = moment(record.get("eventTime"))
    _spell_creation(record.get("userIdentity"))
    return with_types(record)


def with_types(record: dict[str, Any]) -> bytes:
    """The JSON of a record whose flags and counts may have come as text."""
    for name in _FLAGS:
        if isinstance(record.get(name), str):
            record[name] = truth(record[name])
    if isinstance(additional := record.get("additionalEventData"), dict):
        count(additional)
    try:
        return _encode(record)
    except (UnicodeError, TypeError):
        return _encode(clean(record))


def account(value: Any) -> Any:
    """
    An account's id, which tools that take it for a number write without its zeroes, or with a fraction.

    What is left of its digits (`1.23457E+11`, as a spreadsheet shows it) is no id, and names nobody.
    """
    if value is None or value in _NOTHING:
        return None
    text = str(value).removesuffix(".0")
    if text.isascii() and text.isdigit() and len(text) <= ACCOUNT_DIGITS:
        return text.zfill(ACCOUNT_DIGITS)
    return None if number(text) is not None else value


def truth(value: Any) -> Any:
    """A flag that may have come as text."""
    return _TRUTH.get(value.lower(), value) if isinstance(value, str) else value


def count(additional: dict[str, Any]) -> None:
    """Make numbers of counts that came as text."""
    for name in NUMBERS:
        if isinstance(text := additional.get(name), str):
            additional[name] = number(text)


def _spell_creation(identity: Any) -> None:
    for name in ("sessionContext", "attributes"):
        identity = identity.get(name) if isinstance(identity, dict) else None
    if isinstance(identity, dict) and "creationDate" in identity:
        identity["creationDate"] = moment(identity["creationDate"])


def moment(value: Any) -> Any:
    """A time as CloudTrail spells it, where that can be told; else as it came."""
    return _moments[value] if isinstance(value, str) else _moment(value)


def _moment(value: Any) -> Any:
    if isinstance(value, datetime):
        value = value.replace(tzinfo=value.tzinfo or UTC).astimezone(UTC).isoformat()
    if isinstance(value, str) and (found := _MOMENT.match(value)):
        return f"{found[1]}T{found[2]}Z"
    if isinstance(value, str) and (found := _PORTAL.match(value)):
        return _of_portal(found) or value
    if isinstance(value, str) and (found := _ELSEWHERE.match(value)):
        return f"{found[1]}{found[2]}"
    return value if value is None or isinstance(value, str) else str(value)


_moments: Known[Any] = Known(_moment)


def _of_portal(found: re.Match[str]) -> str | None:
    one, other, year, hour, minute, second = map(int, found.groups()[:6])
    month, day = (one, other) if found[7] else (other, one)
    if found[7]:
        hour = (hour % 12 if 1 <= hour <= 12 else 24) + (12 if found[7] == "PM" else 0)
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except ValueError:
        return None


def structured(text: str) -> Any:
    """What a cell's text shows: JSON where it is JSON, else what Python or Java's `toString()` prints."""
    if text[:1] not in ("{", "["):
        return None if text in _NOTHING else text
    try:
        return msgspec.json.decode(text)
    except FAILURES:
        return parse(text) if (found := _literal(text)) is None else found


def _literal(text: str) -> Any:
    """The dict or list that Python printed, as pandas does into CSV; `None` where a text is none."""
    if len(text) > _LONGEST_LITERAL or not text.startswith(_LITERALS):
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # of escapes that Python doesn't know
            return msgspec.json.decode(msgspec.json.encode(ast.literal_eval(text)))
    except (*FAILURES, ValueError, TypeError, SyntaxError, MemoryError, OverflowError):
        return None


def opened(members: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """
    A map of texts with JSON for what was an object or a list, as CloudTrail Lake's tables hold requests and answers.

    AWS, 'CloudTrail Lake query samples': `json_extract(element_at(requestparameters, …))`.
    """
    return None if members is None else {name: _opened(name, value) for name, value in members.items()}


def _opened(name: str, value: Any) -> Any:
    if not isinstance(value, str) or value[:1] not in ("{", "["):
        return value
    try:
        found = msgspec.json.decode(value)
    except FAILURES:
        return value
    return value if is_document(name, found) else found


def _open_path(name: str) -> tuple[str, ...] | None:
    """The path of a dotted name below one of the members whose content is a service's."""
    head, *rest = _OTHER_INDEX.sub("", name).replace(_EACH, f".{_EACH}").split(".")
    path = PATHS.get(bare(head))
    if path and path[0] not in OPEN:
        rest = [one for one in rest if one != _EACH]
    rest = [one for at, one in enumerate(rest) if one != _EACH or at == 0 or rest[at - 1] != _EACH]
    if (
        not 0 < len(rest) <= _DEEPEST
        or path is None
        or len(path) > 1
        or not (path[0] in OPEN or path[0] in ("resources", "tlsDetails"))
    ):
        return None
    return (*path, *rest)


def _value(cell: Any, path: tuple[str, ...]) -> Any:
    """A cell's value, in the shape that its place in a record has."""
    if (len(path) == 1 or path[0] not in OPEN) and cell in _MISSING and path != ("userAgent",):
        return None
    if path[-1] in _ACCOUNTS:
        return account(cell)
    if isinstance(cell, str):
        top = path[0]
        if path == ("userIdentity",):
            return identity(structured(cell))
        if path == ("resources",):
            return structured(cell)
        if len(path) == 1 and (top in OPEN or top in ("tlsDetails", "addendum", "insightDetails")):
            return structured(cell)
        return None if cell in _NOTHING and (cell != "-" or top != "userAgent") else cell
    return identity(cell) if path == ("userIdentity",) else cell


def _place_each(record: dict[str, Any], path: tuple[str, ...], value: Any) -> None:
    """Put the values of a list's members into these, the first into the first."""
    *above, name = path[: path.index(_EACH)]
    rest = path[len(above) + 2 :]
    for one in above:
        inner = record.get(one)
        if not isinstance(inner, dict):
            inner = record[one] = {}
        record = inner
    values = value.split("\n") if isinstance(value, str) else value if isinstance(value, list) else [value]
    if not rest:
        record.setdefault(name, values)
        return
    members = record.get(name)
    if not isinstance(members, list):
        members = record[name] = []
    members += [{} for _ in range(len(values) - len(members))]
    for member, one in zip(members, values, strict=False):
        if isinstance(member, dict):
            (_place_each if _EACH in rest else place)(member, rest, one)


def _listed(value: Any) -> Any:
    """Resources as a list: Splunk gives one column of ARNs for all of them."""
    if isinstance(value, dict) and isinstance(arns := value.get("ARN"), str):
        return resources(arns.split("\n"))
    return resources(value)


def number(text: str) -> float | None:
    """The number that a text spells; `None` where it spells none."""
    try:
        return float(text)
    except ValueError:
        return None
