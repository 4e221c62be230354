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

from tokentrail.events.carriers.json_paths import reader
from tokentrail.events.carriers.names import OPEN, place, resources
from tokentrail.events.carriers.table import structured, truth, with_types
from tokentrail.events.carriers.text_cache import Known
from tokentrail.events.loose import FAILURES, clean
from tokentrail.events.values import seconds

Members = dict[str, Any]
_DEEPEST = 12
_LATEST = 1 << 45
"""The first number of milliseconds that is no time; nor is 0, which writers put who know none."""
_PAIR = 2
_ACCOUNT_CHANGE = 3001
_INDEXED = re.compile(r"(.+)\[(\d{1,3})\]")
_ISSUER = ("userIdentity", "sessionContext", "sessionIssuer")
_FEDERATED = ("SAMLUser", "WebIdentityUser")  # a hostile type may be a list, which no set can be asked for
_STRUCTURED = OPEN | {"resources"}
_NOTHING = b"{}"
_IDENTITY = "userIdentity"
"""How names under `unmapped` begin that say who called."""


class Event(msgspec.Struct, gc=False):
    """What a document says, each member under the path at which it stands there; `None` for what it doesn't say."""

    class_uid: Any = None
    time: Any = None
    time_dt: Any = None
    actor: Any = None
    """JSON, since identities repeat; or a value of a table."""
    resources: Any = None
    unmapped: Any = None
    user: Any = None
    status: Any = None
    mfa: Any = None
    is_mfa: Any = None
    uid: Any = msgspec.field(default=None, name="metadata.uid")
    version: Any = msgspec.field(default=None, name="metadata.version")
    event_code: Any = msgspec.field(default=None, name="metadata.event_code")
    product: Any = msgspec.field(default=None, name="metadata.product.name")
    event_version: Any = msgspec.field(default=None, name="metadata.product.version")
    operation: Any = msgspec.field(default=None, name="api.operation")
    service: Any = msgspec.field(default=None, name="api.service.name")
    request_id: Any = msgspec.field(default=None, name="api.request.uid")
    request: Any = msgspec.field(default=None, name="api.request.data")
    answer: Any = msgspec.field(default=None, name="api.response.data")
    error: Any = msgspec.field(default=None, name="api.response.error")
    message: Any = msgspec.field(default=None, name="api.response.message")
    region: Any = msgspec.field(default=None, name="cloud.region")
    account: Any = msgspec.field(default=None, name="cloud.account.uid")
    ip: Any = msgspec.field(default=None, name="src_endpoint.ip")
    domain: Any = msgspec.field(default=None, name="src_endpoint.domain")
    hostname: Any = msgspec.field(default=None, name="src_endpoint.hostname")
    endpoint: Any = msgspec.field(default=None, name="src_endpoint.uid")
    agent: Any = msgspec.field(default=None, name="http_request.user_agent")


PATHS = tuple(one.encode_name for one in msgspec.structs.fields(Event))
_SPLIT = [tuple(path.split(".")) for path in PATHS]
MEMBERS = frozenset(path[0] for path in _SPLIT)
"""The members of a document that say something."""
ACTOR = "actor"
"""The member that stays JSON."""


_values = reader(PATHS, [ACTOR])
_decode_object = msgspec.json.Decoder(Members).decode
_check = msgspec.json.Decoder(msgspec.Raw).decode
_encode = msgspec.json.Encoder().encode


def event(raw: bytes) -> Event:
    """
    What a document says.

    Raises:
        FAILURES: it is no sound JSON object.
    """
    try:
        return Event(*_values(raw))
    except (
        msgspec.ValidationError
    ):  # something else stands where an object is expected, or `api` is a table's text
        members = _decode_object(raw)
    return from_row(members) if isinstance(members.get("api"), str) else _of(members)


def _of(members: Mapping[str, Any]) -> Event:
    return Event(*[_at(members, *path) for path in _SPLIT])


def is_document(event: Event) -> bool:
    """Whether an event was made of a CloudTrail record."""
    unnamed = event.product is None and event.event_version is not None and event.operation is not None
    return event.class_uid is not None and (event.product == "CloudTrail" or unnamed)


def is_row(names: Iterable[str]) -> bool:
    """Whether a table's columns are those of such events."""
    return {"class_uid", "api", "metadata"} <= set(names)


def from_row(cells: Mapping[str, Any]) -> Event:
    """What a row of a table says, whose cells are texts."""
    found = {name: _shown(cells[name]) for name in cells if name in MEMBERS}
    client = found.get("http_request")
    if isinstance(client, dict) and isinstance(agent := client.get("user_agent"), list):
        client["user_agent"] = f"[{', '.join(map(str, agent))}]"  # S3 puts it in brackets, and it is no list
    return _of(found)


def _shown(cell: Any) -> Any:
    return truth(_number(structured(cell) if isinstance(cell, str) else cell))


def _number(value: Any) -> Any:
    """The number that a text spells, else the value."""
    plain = isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16
    return int(value) if plain else value


def record(event: Event) -> tuple[bytes, bool]:
    """
    Put a document's record together.

    Returns:
        The record, and whether the document is of version 1.0.
    """
    old = str(event.version or "").startswith("1.0")
    made: Members = {
        "eventVersion": event.event_version,
        "eventID": event.uid,
        "eventTime": moment(event.time, event.time_dt),
        "eventSource": event.service,
        "eventName": event.operation,
        "awsRegion": event.region,
        "sourceIPAddress": event.ip or event.domain or event.hostname,
        "userAgent": event.agent,
    }
    _add_told(event, made)
    told: Members = {}
    for name, value in _entries(event.unmapped).items():
        if value is None or value == "":
            continue
        path = _paths[name]
        if path[0] == _IDENTITY:
            told[name] = value
        elif len(path) == _PAIR and isinstance(inner := made.get(path[0]), dict) and "[" not in name:
            inner.setdefault(path[1], value)  # as `_put` would, which takes longer
        else:
            _put_back(made, path, value)
    made["userIdentity"] = who(event.actor, told)
    if old:
        for path, value in _moved(event).items():
            if value:
                place(made, path, value)
    return with_types(made), old


def _add_told(event: Event, made: Members) -> None:
    """Add the members that a record has only where there is something to say."""
    if event.endpoint:
        made["vpcEndpointId"] = event.endpoint
    if event.error:
        made["errorCode"], made["errorMessage"] = event.error, event.message
    if event.request_id:
        made["requestID"] = event.request_id
    if event.event_code:
        made["eventType"] = event.event_code
    if event.request:
        made["requestParameters"] = _data(event.request)
    if event.answer:
        made["responseElements"] = _data(event.answer)
    if event.account:
        made["recipientAccountId"] = event.account
    if event.resources and isinstance(event.resources, list):
        made["resources"] = [_resource(one) for one in event.resources]


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
        unmapped = {
            one[0]: one[1]
            for one in pairs
            if isinstance(one, list) and len(one) == _PAIR and isinstance(one[0], str)
        }
    return unmapped if isinstance(unmapped, dict) else {}


def who(actor: Any, told: Members) -> msgspec.Raw:
    """The identity, from who acted, undecoded or not, and from what stands elsewhere of it."""
    packed = bytes(actor) if isinstance(actor, msgspec.Raw) else _json(actor)
    return _identities[packed, _json(told) if told else _NOTHING]


def _json(value: Any) -> bytes:
    try:
        return _encode(value)
    except (UnicodeError, TypeError):  # tables may hold what JSON can't
        return _encode(clean(value))


def _who(key: tuple[bytes, bytes]) -> msgspec.Raw:
    """The same, of JSON."""
    packed, told = key
    actor = _opened(packed) if packed else {}
    actor = actor if isinstance(actor, dict) else {}
    made: Members = {"userIdentity": _identity(actor)}
    for name, value in _opened(told).items():
        if value is not None and value != "":
            _put(made, _paths[name], value)
    identity = made["userIdentity"]
    if isinstance(identity, dict):
        _mend_principal(identity, actor)
    return msgspec.Raw(_encode(identity))


_identities: Known[msgspec.Raw] = Known(_who, lambda key: len(key[0]) + len(key[1]))


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
        _put_person(identity, identity.pop("principalId"), actor)
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
        _put_person(identity, held, actor)


def _put_person(identity: Members, user: Any, actor: Members) -> None:
    """Put a directory's user beside what the record tells otherwise of the person that the call is made for."""
    store = _at(actor, "idp", "uid")
    told = {"userId": user} | ({"identityStoreArn": store} if store else {})
    identity["onBehalfOf"] = _object(identity, "onBehalfOf") | told


def _data(text: Any) -> Any:
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


def _put_back(made: Members, path: tuple[str, ...], value: Any) -> None:
    """Put what a version has no field for back to where it came from."""
    head = path[0]
    if len(path) == 1:
        if head in _STRUCTURED:
            value = structured(value) if isinstance(value, str) else value
            value = resources(value) if head == "resources" else value
        made.setdefault(head, value)
        return
    if isinstance(made.get(head), msgspec.Raw):
        made[head] = _opened(made[head])
    _put(made, path, value)


def _put(made: Members, path: tuple[str, ...], value: Any) -> None:
    """Put a value at a path, lists by index."""
    if not any("[" in part for part in path):
        place(made, path, value)
        return
    for part in path[:-1]:
        made = _inner(made, part)
    made.setdefault(path[-1], value)


_paths: Known[tuple[str, ...]] = Known(lambda name: tuple(name.split(".", _DEEPEST)))
"""By dotted name."""


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


def _moved(event: Event) -> dict[tuple[str, ...], Any]:
    """What version 1.0 moved out of request and answer, by its place in a record; what is empty was not there."""
    name, user = str(event.operation), event.user if isinstance(event.user, dict) else {}
    called = user.get("name")
    if name.startswith("AssumeRole"):
        return {
            ("requestParameters", "roleArn"): user.get("uuid"),
            ("requestParameters", "roleSessionName"): called,
        }
    if name == "ConsoleLogin":
        factor = event.mfa if event.mfa is not None else event.is_mfa
        return {
            ("responseElements", "ConsoleLogin"): event.status,
            ("additionalEventData", "MFAUsed"): None if factor is None else "Yes" if factor else "No",
        }
    if event.class_uid != _ACCOUNT_CHANGE:
        return {}
    what = "role" if "Role" in name else "user"
    back: dict[tuple[str, ...], Any] = {("requestParameters", f"{what}Name"): called}
    if name in ("CreateUser", "CreateRole") and not event.error:
        back[("responseElements", what, f"{what}Name")] = called
        back[("responseElements", what, f"{what}Id")] = user.get("uid")
    return back


def moment(number: Any, text: Any) -> str | None:
    """A time in milliseconds, or as text, as CloudTrail spells it."""
    if type(number) is int and 0 < number < _LATEST:
        return _iso(number // 1000)
    if isinstance(number, datetime):
        number = int(number.replace(tzinfo=number.tzinfo or UTC).timestamp() * 1000)
    number = _number(number)
    if isinstance(number, int | float) and not isinstance(number, bool) and 0 < number < _LATEST:
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
