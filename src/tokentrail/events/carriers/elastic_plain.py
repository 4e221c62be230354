"""
Documents of Elastic's AWS integration as its pipeline writes them, told by types: the same columns as `elastic`.

Only documents whose fields are nested, whose members are all known by name, and whose requests and answers are
objects; all others are declined, and left to `elastic`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from tokentrail.events.carriers.known import Known
from tokentrail.events.carriers.slim import OTHER_KIND, Resource, Slim, encode, readable, wanted
from tokentrail.events.carriers.table import count, moment, truth
from tokentrail.events.loose import Raw

_ANY = msgspec.Raw()
_Text = str | None
_Field = tuple[str, Any, Any]


def _closed(name: str, texts: str, more: Sequence[_Field] = (), ignored: str = "") -> Any:
    """A type of objects: its texts, other fields, and members that say nothing; with any other it is declined."""
    fields: list[_Field] = [(one, _Text, None) for one in texts.split()]
    unread = [
        (f"unread_{at}", msgspec.Raw, msgspec.field(default=_ANY, name=one))
        for at, one in enumerate(ignored.split())
    ]
    return msgspec.defstruct(
        name, [*fields, *more, *unread], forbid_unknown_fields=True, frozen=True, gc=False
    )


# Members: Elastic, 'AWS CloudTrail', exported fields of the AWS integration; 'ECS field reference'.
_Issuer = _closed("_Issuer", "type principal_id arn account_id")
_Context = _closed(
    "_Context",
    "creation_date",
    [("mfa_authenticated", str | bool | None, None), ("session_issuer", _Issuer | None, None)],
)
_Identity = _closed(
    "_Identity", "type arn access_key_id invoked_by", [("session_context", _Context | None, None)]
)
_Listed = _closed("_Listed", "arn", ignored="account_id type")
_OPEN = ("request_parameters", "response_elements", "additional_eventdata", "service_event_details")
_Flattened = _closed(
    "_Flattened", "", [(one, msgspec.Raw, _ANY) for one in _OPEN], "digest insight_details tls_details"
)
_CloudTrail = _closed(
    "_CloudTrail",
    "error_code recipient_account_id shared_event_id vpc_endpoint_account_id vpc_endpoint_id",
    [
        ("read_only", bool | str | None, None),
        ("management_event", bool | str | None, None),
        ("session_credential_from_console", bool | str | None, None),
        ("user_identity", msgspec.Raw, _ANY),
        ("resources", list[_Listed] | None, None),  # type: ignore[valid-type]  # `_Listed` is a type at run time
        ("flattened", _Flattened, _Flattened()),
        *((one, msgspec.Raw, _ANY) for one in _OPEN),
    ],
    "api_version console_login digest error_message event_category event_type event_version insight_details request_id "
    "tls_details",
)
_Aws = _closed("_Aws", "", [("cloudtrail", _CloudTrail, msgspec.NODEFAULT)], "s3 cloudwatch")
_Account = _closed("_Account", "id", ignored="name")
_Cloud = _closed(
    "_Cloud",
    "region",
    [("account", _Account, _Account())],
    "availability_zone instance machine provider project service",
)
_Event = _closed(
    "_Event",
    "action provider id",
    [("original", None, None)],
    "agent_id_status category code created dataset duration end hash ingested kind module outcome reason reference "
    "risk_score risk_score_norm sequence severity start timezone type url",
)
_Origin = _closed(
    "_Origin", "address ip", ignored="as bytes domain geo mac nat packets port registered_domain user"
)
_User = _closed(
    "_User", "id name", ignored="changes domain effective email entity full_name group hash risk roles target"
)
_Agent = _closed("_Agent", "original", ignored="device name os version")
_Source = _closed(
    "_Source",
    "",
    [
        ("time", str, msgspec.field(name="@timestamp")),
        ("aws", _Aws, msgspec.NODEFAULT),
        ("event", _Event, msgspec.NODEFAULT),
        ("message", None, None),
        ("cloud", msgspec.Raw, msgspec.Raw(b"{}")),
        ("source", msgspec.Raw, msgspec.Raw(b"{}")),
        ("user", msgspec.Raw, msgspec.Raw(b"{}")),
        ("user_agent", msgspec.Raw, msgspec.Raw(b"{}")),
    ],
    "@version agent data_stream ecs elastic_agent entity error file group host input labels log organization process "
    "related service tags target threat tls",
)
_Hit = _closed(
    "_Hit",
    "",
    [("source", _Source, msgspec.field(name="_source"))],
    "_index _id _type _score _version _ignored sort fields",
)
_decode = msgspec.json.Decoder(_Hit).decode
_clouds, _origins, _users, _agents = (
    Known(msgspec.json.Decoder(kind).decode) for kind in (_Cloud, _Origin, _User, _Agent)
)
_decode_identity = msgspec.json.Decoder(_Identity).decode
_decode_open = msgspec.json.Decoder(dict[str, Any]).decode


def record(item: Raw) -> bytes:
    """
    The record of a document.

    Raises:
        FAILURES: it is another kind of object, or told in another way.
    """
    document = _decode(readable(item)).source
    event, trail = document.event, document.aws.cloudtrail
    if event.action is None:
        raise OTHER_KIND
    cloud, user, origin = (
        _clouds[bytes(document.cloud)],
        _users[bytes(document.user)],
        _origins[bytes(document.source)],
    )
    all_of_it = wanted(event.action, event.provider)
    open_ = [_opened(trail, one) for one in _OPEN]
    asked, answer, additional, details = open_
    made = Slim(
        moment(document.time),
        event.action,
        event.id,
        _who[bytes(trail.user_identity), user.id, cloud.account.id, user.name],
        event.provider,
        cloud.region,
        origin.address or origin.ip,
        _agents[bytes(document.user_agent)].original,
        trail.error_code,
        asked if all_of_it else None,
        answer if all_of_it & 1 else None,
        _counted(additional),
        details if all_of_it & 1 else None,
        truth(trail.read_only),
        truth(trail.management_event),
        [Resource(one.arn) for one in trail.resources] if trail.resources else None,
        trail.recipient_account_id,
        trail.shared_event_id,
        trail.session_credential_from_console,
        trail.vpc_endpoint_id,
        trail.vpc_endpoint_account_id,
    )
    return encode(made)


def _opened(trail: Any, name: str) -> msgspec.Raw | None:
    """A request or an answer as the document has it as an object; declined where it has it as text."""
    found: msgspec.Raw = getattr(trail.flattened, name)
    if bytes(found)[:1] == b"{":
        return found
    if found is not _ANY or getattr(trail, name) is not _ANY:
        raise OTHER_KIND
    return None


class _Counts(msgspec.Struct, frozen=True, gc=False):
    bytesTransferredOut: msgspec.Raw = _ANY
    bytesTransferredIn: msgspec.Raw = _ANY


_decode_counts = msgspec.json.Decoder(_Counts).decode


def _counted(additional: msgspec.Raw | None) -> msgspec.Raw | dict[str, Any] | None:
    """The same with numbers in place of counts that came as text."""
    if additional is None:
        return None
    counts = _decode_counts(additional)
    if b'"' not in (bytes(counts.bytesTransferredOut)[:1], bytes(counts.bytesTransferredIn)[:1]):
        return additional
    members = _decode_open(additional)
    count(members)
    return members


_Who = tuple[bytes, str | None, str | None, str | None]


def _identity(key: _Who) -> msgspec.Raw:
    """The identity, from what stands in four places of a document."""
    packed, principal, account, name = key
    found = _decode_identity(packed) if packed else _Identity()
    context = found.session_context or _Context()
    issuer = context.session_issuer or _Issuer()
    session: dict[str, Any] = {}
    attributes = _said(creationDate=moment(context.creation_date), mfaAuthenticated=context.mfa_authenticated)
    behind = _said(
        type=issuer.type, principalId=issuer.principal_id, arn=issuer.arn, accountId=issuer.account_id
    )
    if attributes:
        session["attributes"] = attributes
    if behind:
        session["sessionIssuer"] = behind
    made = _said(
        type=found.type,
        principalId=principal,
        arn=found.arn,
        accountId=account,
        accessKeyId=found.access_key_id,
        invokedBy=found.invoked_by,
        sessionContext=session or None,
    )
    if made and name is not None:
        (behind or made)["userName"] = name
    return msgspec.Raw(encode(made or None))


_who: Known[msgspec.Raw] = Known(_identity, lambda key: len(key[0]) + sum(len(one or "") for one in key[1:]))


def _said(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
