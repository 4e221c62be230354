"""
OCSF events as Security Lake writes nearly all of them, told by types: the same columns as `ocsf`.

Whatever has another shape is declined, and left to `ocsf`.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from tokentrail.events.carriers import ocsf
from tokentrail.events.carriers.slim import OTHER_KIND, Members, Resource, Slim, encode, readable, wanted
from tokentrail.events.carriers.table import count, truth
from tokentrail.events.loose import Raw
from tokentrail.events.record import Additional, Record

_ABSENT = msgspec.Raw()
_Said: TypeAlias = "str | int | float | bool | None"


class _Named(msgspec.Struct, frozen=True, gc=False):
    name: str | None = None


class _Account(msgspec.Struct, frozen=True, gc=False):
    uid: str | None = None


class _Request(msgspec.Struct, frozen=True, gc=False):
    data: str | None = None


class _Response(msgspec.Struct, frozen=True, gc=False):
    data: str | None = None
    error: str | None = None


_NO_REQUEST, _NO_RESPONSE, _NO_ACCOUNT = _Request(), _Response(), _Account()


class _Api(msgspec.Struct, frozen=True, gc=False):
    operation: str
    service: _Named
    request: _Request = _NO_REQUEST
    response: _Response = _NO_RESPONSE


class _Metadata(msgspec.Struct, frozen=True, gc=False):
    uid: str
    version: str
    product: _Named


class _Cloud(msgspec.Struct, frozen=True, gc=False):
    region: str | None = None
    account: _Account = _NO_ACCOUNT


class _Endpoint(msgspec.Struct, frozen=True, gc=False):
    ip: str | None = None
    domain: str | None = None
    hostname: str | None = None


class _Client(msgspec.Struct, frozen=True, gc=False):
    user_agent: str | None = None


class _Resource(msgspec.Struct, frozen=True, gc=False):
    uid: str | None = None


class _Event(msgspec.Struct, frozen=True, gc=False):
    class_uid: int
    metadata: _Metadata
    api: _Api
    time: int
    actor: msgspec.Raw = _ABSENT
    cloud: _Cloud = _Cloud()
    src_endpoint: _Endpoint = _Endpoint()
    http_request: _Client = _Client()
    resources: list[_Resource] | None = None
    unmapped: dict[str, _Said] | None = None
    user: Any = None
    status: Any = None
    mfa: Any = None
    is_mfa: Any = None
    eventTime: msgspec.Raw = _ABSENT
    eventName: msgspec.Raw = _ABSENT
    CloudTrailEvent: msgspec.Raw = _ABSENT
    detail: msgspec.Raw = _ABSENT


_decode = msgspec.json.Decoder(_Event).decode

_NOTHING, _IDENTITY, _FLAG, _ADDED, _REQUESTED, _ANSWERED, _ODD = range(7)
_FLAGS = frozenset(
    {"readOnly", "managementEvent", "recipientAccountId", "sharedEventID", "sessionCredentialFromConsole"}
)
_OPEN = {"requestParameters": _REQUESTED, "responseElements": _ANSWERED, "serviceEventDetails": _ANSWERED}
_TRUTHS = frozenset({"readOnly", "managementEvent"})
_GIVEN_BACK = ("user", "status", "mfa", "is_mfa", "class_uid")
_PRODUCTS = (None, "CloudTrail")
_FIELDS = frozenset(Record.__struct_fields__)
_ADDITIONAL = frozenset(Additional.__struct_fields__)


class _Kinds(dict[str, int]):
    """What a name under `unmapped` is for; there are few of them, and each is looked at once."""

    def __missing__(self, name: str) -> int:
        kind = _kind(name)
        if len(self) < 1 << 14:
            self[name] = kind
        return kind


def _kind(name: str) -> int:
    if name.startswith(ocsf.OF_IDENTITY):
        return _IDENTITY
    head, _, rest = name.partition(".")
    if head.partition("[")[0] not in _FIELDS:
        return _NOTHING
    if name in _FLAGS:
        return _FLAG
    if head == "additionalEventData" and rest:
        if rest in _ADDITIONAL:
            return _ADDED
        return _ODD if rest.partition(".")[0].partition("[")[0] in _ADDITIONAL else _NOTHING
    return _OPEN.get(head, _ODD) if rest else _ODD


_kinds = _Kinds()


def old_record(item: Raw) -> bytes:
    """
    The record of an event of version 1.0.

    Raises:
        FAILURES: it is another kind of object, or told in another way.
    """
    return _record(item, old=True)


def new_record(item: Raw) -> bytes:
    """The same of later versions."""
    return _record(item, old=False)


def _record(item: Raw, *, old: bool) -> bytes:
    event = _decode(readable(item))
    api = event.api
    if _is_other(event, old=old):
        raise OTHER_KIND
    name, source, endpoint, error = api.operation, api.service.name, event.src_endpoint, api.response.error
    made = Slim(
        ocsf.moment(event.time, None),
        name,
        event.metadata.uid,
        _ABSENT,
        source,
        event.cloud.region,
        endpoint.ip or endpoint.domain or endpoint.hostname,
        event.http_request.user_agent,
        error or None,
    )
    if event.cloud.account.uid:
        made.recipientAccountId = event.cloud.account.uid
    if event.resources:
        made.resources = [Resource(one.uid) for one in event.resources]
    all_of_it = wanted(name, source)
    if all_of_it and api.request.data:
        made.requestParameters = ocsf.data(api.request.data)
    if all_of_it & 1 and api.response.data:
        made.responseElements = ocsf.data(api.response.data)
    opened: Members = {}
    told = _unmapped(event.unmapped, made, opened, all_of_it) if event.unmapped else ()
    made.userIdentity = ocsf.who(event.actor, told)
    if old and (
        name.startswith("AssumeRole") or name == "ConsoleLogin" or event.class_uid == ocsf.ACCOUNT_CHANGE
    ):
        opened |= {"eventName": name, "errorCode": error}
        ocsf.give_back({one: getattr(event, one) for one in _GIVEN_BACK}, opened)
        del opened["eventName"], opened["errorCode"]
    if opened:
        _open(opened, made)
    return encode(made)


def _is_other(event: _Event, *, old: bool) -> bool:
    return (
        event.metadata.version.startswith("1.0") is not old
        or event.metadata.product.name not in _PRODUCTS
        or not 0 < event.time < 1 << 45
        or event.eventTime is not _ABSENT
        or event.eventName is not _ABSENT
        or event.CloudTrailEvent is not _ABSENT
        or event.detail is not _ABSENT
    )


def _unmapped(
    unmapped: dict[str, _Said], made: Slim, opened: Members, all_of_it: int
) -> tuple[tuple[str, Any], ...]:
    """Put what a version has no field for back to where it came from; what it says of the identity is handed back."""
    told = []
    for name, value in unmapped.items():
        kind = _kinds[name]
        if kind == _IDENTITY:
            told.append((name, value))
        elif kind == _NOTHING or value is None or value == "":
            continue
        elif kind == _FLAG:
            if getattr(made, name) is None:
                setattr(made, name, truth(value) if name in _TRUTHS else value)
        elif kind == _ODD:
            raise OTHER_KIND
        elif kind == _ADDED or (all_of_it if kind == _REQUESTED else all_of_it & 1):
            ocsf.put(opened, name, value)
    return tuple(told)


def _open(opened: Members, made: Slim) -> None:
    for name, value in opened.items():
        if getattr(made, name) is not None:
            raise OTHER_KIND
        if name == "additionalEventData":
            count(value)
        setattr(made, name, value)
