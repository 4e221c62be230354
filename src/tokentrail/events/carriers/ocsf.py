"""
Amazon Security Lake's CloudTrail records in the Open Cybersecurity Schema Framework, 1.0.0-rc.2, 1.1 and 1.5.

Source: OCSF, 'examples', mappings of AWS CloudTrail (API Activity, Account Change, Authentication), and Amazon
Security Lake User Guide, 'OCSF source identification'. What a version has no field for stands under `unmapped`,
by its dotted name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from msgspec.structs import asdict

from tokentrail.events.carriers.names import OPEN, place
from tokentrail.events.carriers.table import encoded, structured, truth
from tokentrail.events.loose import FAILURES, clean
from tokentrail.events.values import seconds

_DEEPEST = 12
_PAIR = 2
ACCOUNT_CHANGE = 3001
_INDEXED = re.compile(r"(.+)\[(\d{1,3})\]")
_ISSUER = ("userIdentity", "sessionContext", "sessionIssuer")
_FEDERATED = ("SAMLUser", "WebIdentityUser")  # a hostile type may be a list, which no set can be asked for
OF_IDENTITY = "userIdentity."
"""How names under `unmapped` begin that say who called."""


class _Top(msgspec.Struct, gc=False):
    """The members of a document that say something."""

    class_uid: Any = None
    metadata: Any = None
    api: Any = None
    actor: msgspec.Raw = msgspec.Raw()
    time: Any = None
    time_dt: Any = None
    cloud: Any = None
    src_endpoint: Any = None
    http_request: Any = None
    resources: Any = None
    unmapped: Any = None
    user: Any = None
    status: Any = None
    mfa: Any = None
    is_mfa: Any = None


MEMBERS = frozenset(_Top.__struct_fields__)
"""The same, by name."""
_decode_top = msgspec.json.Decoder(_Top).decode
_check = msgspec.json.Decoder(msgspec.Raw).decode

Members = dict[str, Any]


def is_document(members: Members) -> bool:
    """Whether an object is an OCSF event that was made of a CloudTrail record."""
    product = _at(members, "metadata", "product")
    return (
        members.get("class_uid") is not None
        and isinstance(members.get("api"), dict)
        and isinstance(product, dict)
        and (product.get("name") in (None, "CloudTrail"))
    )


def is_row(names: Iterable[str]) -> bool:
    """Whether a table's columns are those of such events."""
    return {"class_uid", "api", "metadata"} <= set(names)


def from_row(cells: Mapping[str, Any]) -> tuple[bytes, bool] | None:
    """The same as `record` of a row of a table, whose cells are texts; `None` if another log's record made it."""
    shown = {name: structured(cell) if isinstance(cell, str) else cell for name, cell in cells.items()}
    members = {name: truth(_number(value)) for name, value in shown.items()}
    client = members.get("http_request")
    if isinstance(client, dict) and isinstance(agent := client.get("user_agent"), list):
        client["user_agent"] = f"[{', '.join(map(str, agent))}]"  # S3 puts it in brackets, and it is no list
    return record(members) if is_document(members) else None


def _number(value: Any) -> Any:
    """The number that a text spells, else the value."""
    plain = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16
    return int(value) if plain else value


def record(members: Members) -> tuple[bytes, bool]:
    """
    Put a document's record together.

    Returns:
        The record, and whether the document is of version 1.0.
    """
    old = str(_at(members, "metadata", "version") or "").startswith("1.0")
    api, made = _object(members, "api"), {}
    made["eventVersion"] = _at(members, "metadata", "product", "version")
    made["eventID"] = _at(members, "metadata", "uid")
    made["eventTime"] = moment(members.get("time"), members.get("time_dt"))
    made["eventSource"] = _at(api, "service", "name")
    made["eventName"] = api.get("operation")
    made["awsRegion"] = _at(members, "cloud", "region")
    endpoint = _object(members, "src_endpoint")
    made["sourceIPAddress"] = endpoint.get("ip") or endpoint.get("domain") or endpoint.get("hostname")
    if through := endpoint.get("uid"):
        made["vpcEndpointId"] = through
    made["userAgent"] = _at(members, "http_request", "user_agent")
    answer = _object(api, "response")
    if error := answer.get("error"):
        made["errorCode"], made["errorMessage"] = error, answer.get("message")
    if request := _at(api, "request", "uid"):
        made["requestID"] = request
    if kind := _at(members, "metadata", "event_code"):
        made["eventType"] = kind
    for member, text in (
        ("requestParameters", _at(api, "request", "data")),
        ("responseElements", answer.get("data")),
    ):
        if text:
            made[member] = data(text)
    if account := _at(members, "cloud", "account", "uid"):
        made["recipientAccountId"] = account
    if resources := members.get("resources"):
        made["resources"] = [_resource(one) for one in resources] if isinstance(resources, list) else []
    unmapped = _entries(members.get("unmapped"))
    told = tuple((name, value) for name, value in unmapped.items() if name.startswith(OF_IDENTITY))
    made["userIdentity"] = who(members.get("actor"), told)
    _unmapped(unmapped, made)
    if old:
        give_back(members, made)
    return encoded(made), old


def _entries(unmapped: Any) -> Members:
    """
    What a version has no field for, by dotted name.

    It is a map in Parquet. Tools that know none in JSON write text, or pairs: pandas lists of two, others objects with
    `key` and `value`.
    """
    if isinstance(unmapped, str):
        unmapped = structured(unmapped)
    if isinstance(unmapped, list):
        pairs = [list(one.values()) if isinstance(one, dict) else one for one in unmapped]
        unmapped = {one[0]: one[1] for one in pairs if isinstance(one, list) and len(one) == _PAIR}
    return (
        {name: one for name, one in unmapped.items() if isinstance(name, str)}
        if isinstance(unmapped, dict)
        else {}
    )


def decode(raw: bytes) -> Members:
    """An object's members, without those that say nothing; who acted stays JSON, since identities repeat."""
    return asdict(_decode_top(raw))


def who(actor: Any, told: tuple[tuple[str, Any], ...]) -> msgspec.Raw:
    """The identity, from who acted, undecoded or not, and from what stands elsewhere of it."""
    packed = isinstance(actor, bytes | msgspec.Raw)
    actor = _opened(actor) if packed and bytes(actor) else actor
    actor = actor if isinstance(actor, dict) else {}
    made: Members = {"userIdentity": _identity(actor)}
    for name, value in told:
        if value is not None and value != "":
            put(made, name, value)
    identity = made["userIdentity"]
    if isinstance(identity, dict):
        _mend_principal(identity, actor)
    try:
        return msgspec.Raw(msgspec.json.encode(identity))
    except (UnicodeError, TypeError):
        return msgspec.Raw(msgspec.json.encode(clean(identity)))


def _identity(actor: Members) -> Members:
    user, session = _object(actor, "user"), _object(actor, "session")
    first, second, kind = user.get("uid"), user.get("uuid"), user.get("type")
    no_arn = isinstance(first, str) and (kind in _FEDERATED or not first.startswith("arn:"))
    arn, principal = (second, first) if second is not None or no_arn else (first, user.get("uid_alt"))
    found = {
        "type": kind,
        "principalId": principal,
        "arn": arn,
        "accountId": user.get("account_uid") or _at(user, "account", "uid"),
        "userName": user.get("name"),
        "invokedBy": actor.get("invoked_by"),
    }
    key = user.get("credential_uid")
    found["credentialId" if kind == "IdentityCenterUser" else "accessKeyId"] = key
    found = {name: value for name, value in found.items() if value not in (None, "")}
    context: Members = {}
    created = moment(session.get("created_time"), session.get("created_time_dt"))
    factor = session.get("mfa", session.get("is_mfa"))
    if created is not None or factor is not None:
        context["attributes"] = {"creationDate": created}
        if factor is not None:
            context["attributes"]["mfaAuthenticated"] = str(factor).lower()
    if issuer := session.get("issuer"):
        context["sessionIssuer"] = {"arn": issuer}
    if provider := _at(actor, "idp", "name"):
        if kind in _FEDERATED:
            found["identityProvider"] = provider
        else:
            context["webIdFederationData"] = {"federatedProvider": provider}
    if context:
        found["sessionContext"] = context
    return found


def _mend_principal(identity: Members, actor: Members) -> None:
    """Work out a role session's principal id where the field holds the person that the call is made for."""
    kind = identity.get("type")
    if kind == "IdentityCenterUser" and identity.get("principalId"):
        identity["onBehalfOf"] = _person(identity.pop("principalId"), actor)
    if kind != "AssumedRole":
        return
    issuer = _at(identity, *_ISSUER[1:], "principalId")
    held, arn = identity.get("principalId"), identity.get("arn")
    if (
        not isinstance(issuer, str)
        or not isinstance(arn, str)
        or (isinstance(held, str) and held.startswith(issuer))
    ):
        return
    identity["principalId"] = f"{issuer}:{arn.rpartition('/')[2]}"
    if held:
        identity["onBehalfOf"] = _person(held, actor)


def _person(user: Any, actor: Members) -> Members:
    store = _at(actor, "idp", "uid")
    return {"userId": user} | ({"identityStoreArn": store} if store else {})


def data(text: Any) -> Any:
    """A request or an answer: JSON as it is, once it is sure to be one value and nothing more."""
    if not isinstance(text, str):
        return text
    try:
        return _check(text)
    except FAILURES:
        return structured(text)


def _resource(one: Any) -> Members:
    if not isinstance(one, dict):
        return {}
    owner = one.get("account_uid") or _at(one, "owner", "account", "uid")
    found = {"ARN": one.get("uid"), "accountId": owner, "type": one.get("type")}
    return {name: value for name, value in found.items() if value is not None}


def _unmapped(unmapped: Members, made: Members) -> None:
    """Put what a version has no field for back to where it came from."""
    for name, value in unmapped.items():
        if value is None or value == "" or name.startswith(OF_IDENTITY):
            continue
        if name in OPEN or name == "resources":
            made.setdefault(name, structured(value) if isinstance(value, str) else value)
            continue
        if isinstance(made.get(head := name.partition(".")[0]), msgspec.Raw):
            made[head] = _opened(made[head])
        put(made, name, value)


def put(made: Members, name: str, value: Any) -> None:
    """Put a value at a dotted name, lists by index."""
    path = _path(name)
    if "[" not in name:
        if len(path) == 2 and isinstance(inner := made.get(path[0]), dict):
            inner.setdefault(path[1], value)  # as `place` would, which takes longer
        else:
            place(made, path, value)
        return
    for part in path[:-1]:
        made = _inner(made, part)
    made.setdefault(path[-1], value)


@lru_cache(maxsize=1 << 12)
def _path(name: str) -> tuple[str, ...]:
    return tuple(name.split(".", _DEEPEST))


def _inner(made: Members, part: str) -> Members:
    """The object at a name, or at an index of the list at a name."""
    indexed = _INDEXED.fullmatch(part)
    if indexed is None:
        found = made.get(part)
        if not isinstance(found, dict):
            found = made[part] = {}
        return found
    items = made.get(indexed[1])
    if not isinstance(items, list):
        items = made[indexed[1]] = []
    at = int(indexed[2])
    items += [{} for _ in range(at + 1 - len(items))]
    if not isinstance(items[at], dict):
        items[at] = {}
    inner: Members = items[at]
    return inner


def _opened(raw: Any) -> Any:
    try:
        return msgspec.json.decode(raw)
    except FAILURES:
        return {}


def give_back_to(members: Members, name: str | None, error: str | None, made: Members) -> None:
    """The same as `give_back`, for a record of which the request, the answer and the like alone are there."""
    made |= {"eventName": name, "errorCode": error}
    give_back(members, made)
    del made["eventName"], made["errorCode"]


def give_back(members: Members, made: Members) -> None:
    """Version 1.0 moves a call's target out of request and answer, into `user`."""
    for path, value in moved(members, made.get("eventName"), made.get("errorCode")).items():
        if value:
            place(made, path, value)


def moved(members: Members, name: Any, error: Any) -> dict[tuple[str, ...], Any]:
    """What version 1.0 moved elsewhere, by its place in a record; what is empty was not there."""
    name, user = str(name), _object(members, "user")
    called = user.get("name")
    if name.startswith("AssumeRole"):
        return {
            ("requestParameters", "roleArn"): user.get("uuid"),
            ("requestParameters", "roleSessionName"): called,
        }
    if name == "ConsoleLogin":
        factor = members["mfa"] if members.get("mfa") is not None else members.get("is_mfa")
        return {
            ("responseElements", "ConsoleLogin"): members.get("status"),
            ("additionalEventData", "MFAUsed"): None if factor is None else "Yes" if factor else "No",
        }
    if members.get("class_uid") != ACCOUNT_CHANGE:
        return {}
    what = "role" if "Role" in name else "user"
    back: dict[tuple[str, ...], Any] = {("requestParameters", f"{what}Name"): called}
    if name in ("CreateUser", "CreateRole") and not error:
        back[("responseElements", what, f"{what}Name")] = called
        back[("responseElements", what, f"{what}Id")] = user.get("uid")
    return back


def moment(number: Any, text: Any) -> str | None:
    """A time in milliseconds, or as text, as CloudTrail spells it."""
    if isinstance(number, datetime):
        number = int(number.replace(tzinfo=number.tzinfo or UTC).timestamp() * 1000)
    number = _number(number)
    if isinstance(number, int | float) and not isinstance(number, bool) and 0 < number < 1 << 45:
        return _iso(int(number // 1000))
    when = seconds(
        text.isoformat() if isinstance(text, datetime) else text if isinstance(text, str) else None
    )
    return None if when is None else _iso(when)


def _iso(second: int) -> str | None:
    days, second = divmod(second, 86_400)
    day = _day(days)
    return None if day is None else f"{day}T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"


@lru_cache(maxsize=1 << 12)
def _day(days: int) -> str | None:
    try:
        return datetime.fromtimestamp(days * 86_400, UTC).strftime("%Y-%m-%d")
    except (ValueError, OverflowError, OSError):
        return None


def _object(members: Members, name: str) -> Members:
    found = members.get(name)
    return found if isinstance(found, dict) else {}


def _at(members: Any, *path: str) -> Any:
    for name in path:
        members = members.get(name) if isinstance(members, dict) else None
    return members
