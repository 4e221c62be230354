"""
OCSF events as Security Lake writes nearly all of them, told by types: the same columns as `ocsf`.

Whatever has another shape is declined, and left to `ocsf`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import msgspec

from tokentrail.events.carriers import ocsf
from tokentrail.events.carriers.actors import IDENTITIES
from tokentrail.events.carriers.known import Known
from tokentrail.events.carriers.slim import OTHER_KIND, Members, Resource, Slim, encode, readable, wanted
from tokentrail.events.carriers.table import count, truth
from tokentrail.events.loose import Raw
from tokentrail.events.record import Additional, Record

_ABSENT = msgspec.Raw()
_NONE = msgspec.Raw(b"null")


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
    uid: str | None = None


class _Client(msgspec.Struct, frozen=True, gc=False):
    user_agent: str | None = None


class _Resource(msgspec.Struct, frozen=True, gc=False):
    uid: str | None = None


_NO_CLOUD, _NO_ENDPOINT, _NO_CLIENT = _Cloud(), _Endpoint(), _Client()


class _Event(msgspec.Struct, frozen=True, gc=False):
    """An event; what repeats from one to the next is read once for each spelling (`known`)."""

    class_uid: int
    metadata: _Metadata
    api: _Api
    time: int
    actor: msgspec.Raw = _ABSENT
    cloud: msgspec.Raw = _NONE
    src_endpoint: msgspec.Raw = _NONE
    http_request: msgspec.Raw = _NONE
    resources: msgspec.Raw = _NONE
    unmapped: msgspec.Raw = _NONE
    user: msgspec.Raw = _NONE
    status: msgspec.Raw = _NONE
    mfa: msgspec.Raw = _NONE
    is_mfa: msgspec.Raw = _NONE
    eventTime: msgspec.Raw = _ABSENT
    eventName: msgspec.Raw = _ABSENT
    CloudTrailEvent: msgspec.Raw = _ABSENT
    detail: msgspec.Raw = _ABSENT


_decode = msgspec.json.Decoder(_Event).decode
_decode_any = msgspec.json.Decoder().decode
_clouds = Known(msgspec.json.Decoder(_Cloud | None).decode)
_endpoints = Known(msgspec.json.Decoder(_Endpoint | None).decode)
_clients = Known(msgspec.json.Decoder(_Client | None).decode)
_decode_resources = msgspec.json.Decoder(list[_Resource] | None).decode
_decode_unmapped = msgspec.json.Decoder(dict[str, str | int | float | bool | None] | None).decode


def _listed(raw: bytes) -> msgspec.Raw | None:
    return listed([one.uid for one in _decode_resources(raw) or ()])


_resources = Known(_listed)


NOTHING, IDENTITY, FLAG, ADDED, REQUESTED, ANSWERED, ODD = range(7)
_FLAGS = frozenset(
    {"readOnly", "managementEvent", "recipientAccountId", "sharedEventID", "sessionCredentialFromConsole"}
    | {"vpcEndpointId", "vpcEndpointAccountId"}
)
_OPEN = {"requestParameters": REQUESTED, "responseElements": ANSWERED, "serviceEventDetails": ANSWERED}
TRUTHS = frozenset({"readOnly", "managementEvent"})
_GIVEN_BACK = ("user", "status", "mfa", "is_mfa")
_PRODUCTS = (None, "CloudTrail")
_FIELDS = frozenset(Record.__struct_fields__)
_ADDITIONAL = frozenset(Additional.__struct_fields__)


def _kind(name: str) -> int:
    if name.startswith(ocsf.OF_IDENTITY):
        return IDENTITY
    head, _, rest = name.partition(".")
    if head.partition("[")[0] not in _FIELDS:
        return NOTHING
    if name in _FLAGS:
        return FLAG
    if head == "additionalEventData" and rest:
        if rest in _ADDITIONAL:
            return ADDED
        return ODD if rest.partition(".")[0].partition("[")[0] in _ADDITIONAL else NOTHING
    return _OPEN.get(head, ODD) if rest else ODD


KINDS = Known(_kind)


class Said(msgspec.Struct, frozen=True, gc=False):
    """What stands under `unmapped`, as far as it counts for a call."""

    told: bytes = b"[]"
    """Names and values of what it says of the identity, as JSON."""
    flags: tuple[tuple[str, Any], ...] = ()
    opened: tuple[tuple[str, Any], ...] = ()
    """Members of requests, answers and the like, by dotted names."""
    parts: tuple[tuple[str, msgspec.Raw], ...] = ()
    """The same, put together."""


def said(unmapped: Iterable[tuple[str, Any]], all_of_it: int) -> Said:
    """
    Tell apart what stands under `unmapped`.

    Args:
        unmapped: Names and values.
        all_of_it: What of the call says something, as `slim.wanted` has it.

    Raises:
        FAILURES: it says something in a way that takes more thought.
    """
    told, flags, opened = [], [], []
    for name, value in unmapped:
        kind = KINDS[name]
        if kind == IDENTITY:
            told.append((name, value))
        elif kind == NOTHING or value is None or value == "":
            continue
        elif kind == FLAG:
            flags.append((name, truth(value) if name in TRUTHS else value))
        elif kind == ODD:
            raise OTHER_KIND
        elif kind == ADDED or (all_of_it if kind == REQUESTED else all_of_it & 1):
            opened.append((name, value))
    return Said(encode(told), tuple(flags), tuple(opened), tuple(parts(opened).items()))


def parts(
    opened: Iterable[tuple[str, Any]], given_back: Callable[[Members], None] | None = None
) -> dict[str, msgspec.Raw]:
    """Requests, answers and the like of their members by dotted names, and of what version 1.0 moved elsewhere."""
    made: Members = {}
    for name, value in opened:
        ocsf.put(made, name, value)
    if given_back is not None:
        given_back(made)
    if "additionalEventData" in made:
        count(made["additionalEventData"])
    return {name: msgspec.Raw(encode(value)) for name, value in made.items()}


_unmapped = Known(lambda key: said((_decode_unmapped(key[0]) or {}).items(), key[1]), lambda key: len(key[0]))


def listed(arns: Sequence[str | None]) -> msgspec.Raw | None:
    """The resources of some ARNs."""
    return msgspec.Raw(encode([Resource(one) for one in arns])) if arns else None


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
    name, source = api.operation, api.service.name
    cloud, endpoint = (
        _clouds[bytes(event.cloud)] or _NO_CLOUD,
        _endpoints[bytes(event.src_endpoint)] or _NO_ENDPOINT,
    )
    all_of_it = wanted(name, source)
    extra = _unmapped[(bytes(event.unmapped), all_of_it)]
    made = Slim(
        ocsf.moment(event.time, None),
        name,
        event.metadata.uid,
        IDENTITIES[(bytes(event.actor), extra.told)],
        source,
        cloud.region,
        endpoint.ip or endpoint.domain or endpoint.hostname,
        (_clients[bytes(event.http_request)] or _NO_CLIENT).user_agent,
        api.response.error or None,
        resources=_resources[bytes(event.resources)],
        recipientAccountId=cloud.account.uid or None,
        vpcEndpointId=endpoint.uid or None,
    )
    back = _given_back(event, made) if old and gives_back(name, event.class_uid) else None
    return finished(made, extra, all_of_it, api.request.data, api.response.data, back)


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


def gives_back(name: str, class_uid: int) -> bool:
    """Whether version 1.0 moves something of such a call into `user`."""
    return name.startswith("AssumeRole") or name == "ConsoleLogin" or class_uid == ocsf.ACCOUNT_CHANGE


def _given_back(event: _Event, made: Slim) -> Callable[[Members], None]:
    members = {one: _decode_any(getattr(event, one)) for one in _GIVEN_BACK}
    members["class_uid"] = event.class_uid
    return partial(ocsf.give_back_to, members, made.eventName, made.errorCode)


def finished(
    made: Slim,
    extra: Said,
    all_of_it: int,
    asked: str | None,
    answered: str | None,
    given_back: Callable[[Members], None] | None,
) -> bytes:
    """
    The JSON of a record to which requests, answers and what has no field are still to be added.

    Raises:
        FAILURES: two of them say the same.
    """
    for name, value in extra.flags:
        if getattr(made, name) is None:
            setattr(made, name, value)
    if asked and all_of_it:
        made.requestParameters = ocsf.data(asked)
    if answered and all_of_it & 1:
        made.responseElements = ocsf.data(answered)
    for name, part in extra.parts if given_back is None else parts(extra.opened, given_back).items():
        if getattr(made, name) is not None:
            raise OTHER_KIND
        setattr(made, name, part)
    return encode(made)
