"""
Documents of Elastic's AWS integration, in the Elastic Common Schema.

The record itself stands in `event.original` where the integration was told to keep it. Else the record is put
together from the fields that the integration's pipeline made of it; requests and answers from
`aws.cloudtrail.flattened`, else from text in the form of Java's `toString()`. Names of the fields: Elastic,
'AWS CloudTrail', exported fields of the AWS integration. Wazuh 5 keeps what came in under `event.original`, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, TypeAlias

import msgspec

from tokentrail.events.carriers.names import place
from tokentrail.events.carriers.names import resources as listed
from tokentrail.events.carriers.paths import NOTHING, reader
from tokentrail.events.carriers.table import moment, structured, with_types
from tokentrail.events.carriers.tostring import parse
from tokentrail.events.loose import FAILURES, decoded

Members = dict[str, Any]


class Told(NamedTuple):
    """What a document says, told apart by what it belongs to; a field that says nothing is in none of them."""

    record: Members
    identity: Members
    attributes: Members
    issuer: Members
    objects: Members
    """Requests, answers and the like as the document has them as objects, and resources."""
    texts: Members
    """The same as text, or as an older document has them as objects."""
    rest: Members
    """What counts for several members, by its own name."""


_RECORD, _IDENTITY, _ATTRIBUTES, _ISSUER, _OBJECTS, _TEXTS, _REST = range(7)
_TRAIL = "aws.cloudtrail."
_WHO = _TRAIL + "user_identity."
_CONTEXT = _WHO + "session_context."
_OPEN = {
    "request_parameters": "requestParameters",
    "response_elements": "responseElements",
    "additional_eventdata": "additionalEventData",
    "service_event_details": "serviceEventDetails",
}
_ASKED = ("requestParameters", "responseElements", "serviceEventDetails", "resources")
"""Those that stay JSON, or are decoded where they are needed."""
_PLACES: dict[str, tuple[int, str]] = {
    "@timestamp": (_REST, "time"),
    "message": (_REST, "message"),
    "event.original": (_REST, "original"),
    "source.address": (_REST, "address"),
    "source.ip": (_REST, "ip"),
    "user.name": (_REST, "name"),
    "event.id": (_RECORD, "eventID"),
    "event.provider": (_RECORD, "eventSource"),
    "event.action": (_RECORD, "eventName"),
    "cloud.region": (_RECORD, "awsRegion"),
    "user_agent.original": (_RECORD, "userAgent"),
    _TRAIL + "event_version": (_RECORD, "eventVersion"),
    _TRAIL + "event_type": (_RECORD, "eventType"),
    _TRAIL + "event_category": (_RECORD, "eventCategory"),
    _TRAIL + "error_code": (_RECORD, "errorCode"),
    _TRAIL + "error_message": (_RECORD, "errorMessage"),
    _TRAIL + "request_id": (_RECORD, "requestID"),
    _TRAIL + "api_version": (_RECORD, "apiVersion"),
    _TRAIL + "read_only": (_RECORD, "readOnly"),
    _TRAIL + "management_event": (_RECORD, "managementEvent"),
    _TRAIL + "recipient_account_id": (_RECORD, "recipientAccountId"),
    _TRAIL + "shared_event_id": (_RECORD, "sharedEventID"),
    _TRAIL + "vpc_endpoint_id": (_RECORD, "vpcEndpointId"),
    _TRAIL + "vpc_endpoint_account_id": (_RECORD, "vpcEndpointAccountId"),
    _TRAIL + "session_credential_from_console": (_RECORD, "sessionCredentialFromConsole"),
    _TRAIL + "resources": (_OBJECTS, "resources"),
    _WHO + "type": (_IDENTITY, "type"),
    "user.id": (_IDENTITY, "principalId"),
    _WHO + "arn": (_IDENTITY, "arn"),
    "cloud.account.id": (_IDENTITY, "accountId"),
    _WHO + "access_key_id": (_IDENTITY, "accessKeyId"),
    _WHO + "invoked_by": (_IDENTITY, "invokedBy"),
    _CONTEXT + "creation_date": (_ATTRIBUTES, "creationDate"),
    _CONTEXT + "mfa_authenticated": (_ATTRIBUTES, "mfaAuthenticated"),
    _CONTEXT + "session_issuer.type": (_ISSUER, "type"),
    _CONTEXT + "session_issuer.principal_id": (_ISSUER, "principalId"),
    _CONTEXT + "session_issuer.arn": (_ISSUER, "arn"),
    _CONTEXT + "session_issuer.account_id": (_ISSUER, "accountId"),
    **{f"{_TRAIL}flattened.{name}": (_OBJECTS, member) for name, member in _OPEN.items()},
    **{_TRAIL + name: (_TEXTS, member) for name, member in _OPEN.items()},
}
"""By its path in a document: to what a field belongs, and the name that it has there."""
_OWN = frozenset(
    name for path, (part, name) in _PLACES.items() if part == _RECORD and path.startswith(_TRAIL)
)
"""Members of a record that stand in a field of the integration's own."""
_Fields: TypeAlias = "dict[str, _Fields | tuple[int, str]]"


def _tree() -> _Fields:
    """The same places, nested as documents mostly are."""
    top: Members = {}
    for path, where in _PLACES.items():
        place(top, tuple(path.split(".")), where)
    return top


_FIELDS = _tree()
_ORDERED = sorted(_PLACES, key=lambda path: _PLACES[path][0])
_NAMES = [
    [name for of, name in map(_PLACES.__getitem__, _ORDERED) if of == part]
    for part in range(len(Told._fields))
]
_UNDECODED = [path for path, (part, name) in _PLACES.items() if part in (_OBJECTS, _TEXTS) and name in _ASKED]
_UNREAD = (
    "@version agent data_stream ecs elastic_agent entity error file group host input labels log organization process "
    "related service tags target threat tls aws.s3 aws.cloudwatch cloud.availability_zone cloud.instance cloud.machine "
    "cloud.provider cloud.project cloud.service"
)
_PASSED = [
    *_UNREAD.split(),
    *(_TRAIL + name for name in ("console_login", "digest", "insight_details", "tls_details")),
    *(f"{_TRAIL}flattened.{name}" for name in ("digest", "insight_details", "tls_details")),
]
"""
What else the integration's documents have where a field may stand: Elastic, 'AWS CloudTrail', exported fields of the
AWS integration; 'ECS field reference'.
"""
_values = reader(_ORDERED, _UNDECODED, _PASSED)
_decode_object = msgspec.json.Decoder(Members).decode
_decode_any = msgspec.json.Decoder().decode
_DEEPEST = 12
ORIGINAL = "event.original"
_QUEUED = re.compile(r"\d:[^{}]+:(?=\{)")
"""What Wazuh sets before a message: the digit of a queue and where the message came from, a colon after each."""


def read(raw: bytes) -> Told:
    """
    What a document says.

    Raises:
        FAILURES: it is no sound JSON object.
    """
    found = usual(raw)
    return told(_decode_object(raw)) if found is None else found


def usual(raw: bytes) -> Told | None:
    """What a document says whose fields are laid out as the integration does it; `None` of any other."""
    try:
        values = _values(raw)
    except FAILURES:  # such as dotted names, or objects in lists, as Kibana's `fields`
        return None
    if list in map(type, values):
        return None
    rest = iter(values)
    written = [_said(zip(names, rest, strict=False)) for names in _NAMES[:_OBJECTS]]
    return Told(*written, *[dict(zip(names, rest, strict=False)) for names in _NAMES[_OBJECTS:]])


def _said(members: Iterable[tuple[str, Any]]) -> Members:
    return {name: value for name, value in members if value is not None}


def told(members: Mapping[str, Any]) -> Told:
    """What a document says, whose fields may be nested, dotted, or lists of one value (Kibana's `fields`)."""
    found = Told({}, {}, {}, {}, {}, {}, {})
    _tell(members, _FIELDS, found)
    return found


def _tell(members: Mapping[str, Any], fields: _Fields, found: Told) -> None:
    for name, value in members.items():
        if (field := fields.get(name)) is None:
            if "." in name:
                _tell_dotted(name, value, fields, found)
            continue
        value = _only(value)
        if isinstance(field, tuple):
            if value is not None:
                found[field[0]].setdefault(field[1], value)
        elif isinstance(value, dict):
            _tell(value, field, found)


def _tell_dotted(name: str, value: Any, fields: _Fields, found: Told) -> None:
    """Tell a field of a dotted name, which may go on within an object of which nobody knows the members."""
    head, *parts = name.split(".", _DEEPEST)
    field = fields.get(head)
    while isinstance(field, dict) and parts:
        field = field.get(parts.pop(0))
    if isinstance(field, dict) or (field is not None and not parts):
        _tell({head: value}, {head: field}, found)
    elif field is not None and field[0] == _OBJECTS:
        place(found[_OBJECTS], (field[1], *parts), _only(value))


def _only(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def is_document(document: Told) -> bool:
    """Whether what is told is a document of the integration."""
    own = "eventSource" in document.record or document.attributes or document.issuer
    return "eventName" in document.record and bool(own or not _OWN.isdisjoint(document.record))


def original(document: Told) -> str | None:
    """The record as CloudTrail wrote it, where the document kept it."""
    for name in ("original", "message"):
        text = document.rest.get(name)
        if not isinstance(text, str):
            continue
        if text.lstrip()[:1] == "{":
            return text
        if name == "original" and (sent := unqueued(text)) is not text:
            return sent
    return None


def unqueued(original: str) -> str:
    """
    An `event.original` of Wazuh's without what its queue set before the object; any other as it is.

    Source: Wazuh documentation, 'Standard Wazuh message format', of events between its own parts; its module for AWS
    sends `1:Wazuh-AWS:` and the object (`send_msg`). What follows must be sound: other logs have colons, too.
    """
    head = _QUEUED.match(original)
    if head is None:
        return original
    sent = original[head.end() :]
    return sent if decoded(sent.encode("utf-8", "replace")) else original


def record(document: Told) -> tuple[bytes, bool]:
    """
    Put a document's record together.

    Returns:
        The record, and whether its request or answer had to be read from text.
    """
    made, rest = document.record, document.rest
    made["eventTime"] = moment(rest.get("time"))
    made["sourceIPAddress"] = rest.get("address") or rest.get("ip")
    if identity := _identity(document):
        made["userIdentity"] = identity
    from_text = False
    for member in _OPEN.values():
        value, as_text = _open(document, member)
        from_text |= as_text
        if value is not None:
            made[member] = value
    resources = document.objects.get("resources")
    if resources is not None and resources is not NOTHING:
        made["resources"] = _resources(resources)
    return with_types(made), from_text


def _identity(document: Told) -> Members:
    made, attributes, issuer = document.identity, document.attributes, document.issuer
    if "creationDate" in attributes:
        attributes["creationDate"] = moment(attributes["creationDate"])
    name = document.rest.get("name")
    if isinstance(name, str) and (
        made or issuer
    ):  # the pipeline writes a role's name over the user's, if there is one
        (issuer or made)["userName"] = name
    context = {"attributes": attributes, "sessionIssuer": issuer}
    if said := {name: one for name, one in context.items() if one}:
        made["sessionContext"] = said
    return made


def _open(document: Told, member: str) -> tuple[Any, bool]:
    """A request or an answer: as an object where the document has it so, else from text."""
    found = None
    for part in (document.objects, document.texts):
        found = part.get(member)
        if isinstance(found, msgspec.Raw):
            if bytes(found)[:1] == b"{":
                return found, False
            found = None if found is NOTHING else _only(_decode_any(found))
        if isinstance(found, dict):
            return found, False
    if not isinstance(found, str):
        return None, False
    parsed = parse(found)
    return (parsed if isinstance(parsed, dict) else None), True


def _resources(found: Any) -> Any:
    found = _only(_decode_any(found)) if isinstance(found, msgspec.Raw) else found
    if isinstance(found, dict) and isinstance(arns := found.get("arn"), list):
        return listed(arns)  # as Kibana's fields have them, each member of all of them by itself
    return listed(structured(found) if isinstance(found, str) else found)
