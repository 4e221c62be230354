"""
Documents of Elastic's AWS integration, in the Elastic Common Schema.

The record itself stands in `event.original` where the integration was told to keep it. Else the record is put
together from the fields that the integration's pipeline made of it; requests and answers from
`aws.cloudtrail.flattened`, else from text in the form of Java's `toString()`. Names of the fields: Elastic,
'AWS CloudTrail', exported fields of the AWS integration. Wazuh 5 keeps what came in under `event.original`, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeAlias

import msgspec

from tokentrail.events.carriers.json_paths import NOTHING, reader
from tokentrail.events.carriers.names import place
from tokentrail.events.carriers.names import resources as listed
from tokentrail.events.carriers.table import moment, structured, with_types
from tokentrail.events.carriers.text_cache import Known
from tokentrail.events.carriers.tostring import parse
from tokentrail.events.loose import FAILURES, decoded

Members = dict[str, Any]
Said = dict[str, Any]
"""What a document says, by path; `None` or nothing for what it doesn't say."""
_TRAIL = "aws.cloudtrail."
_CALLER = _TRAIL + "user_identity"
_CONTEXT = _CALLER + ".session_context."
_ISSUER = _CONTEXT + "session_issuer."
_FLATTENED = _TRAIL + "flattened."
_RESOURCES = _TRAIL + "resources"
_RECORD = {
    "event.id": "eventID",
    "event.provider": "eventSource",
    "event.action": "eventName",
    "cloud.region": "awsRegion",
    "user_agent.original": "userAgent",
    _TRAIL + "event_version": "eventVersion",
    _TRAIL + "event_type": "eventType",
    _TRAIL + "event_category": "eventCategory",
    _TRAIL + "error_code": "errorCode",
    _TRAIL + "error_message": "errorMessage",
    _TRAIL + "request_id": "requestID",
    _TRAIL + "api_version": "apiVersion",
    _TRAIL + "read_only": "readOnly",
    _TRAIL + "management_event": "managementEvent",
    _TRAIL + "recipient_account_id": "recipientAccountId",
    _TRAIL + "shared_event_id": "sharedEventID",
    _TRAIL + "vpc_endpoint_id": "vpcEndpointId",
    _TRAIL + "vpc_endpoint_account_id": "vpcEndpointAccountId",
    _TRAIL + "session_credential_from_console": "sessionCredentialFromConsole",
}
"""Where the members of a record stand in a document; below, those of its `userIdentity` and of what is in that."""
_IDENTITY = {
    _CALLER + ".type": "type",
    "user.id": "principalId",
    _CALLER + ".arn": "arn",
    "cloud.account.id": "accountId",
    _CALLER + ".access_key_id": "accessKeyId",
    _CALLER + ".invoked_by": "invokedBy",
}
_ATTRIBUTES = {_CONTEXT + "creation_date": "creationDate", _CONTEXT + "mfa_authenticated": "mfaAuthenticated"}
_SESSION_ISSUER = {
    _ISSUER + "type": "type",
    _ISSUER + "principal_id": "principalId",
    _ISSUER + "arn": "arn",
    _ISSUER + "account_id": "accountId",
}
_OPEN = {
    "request_parameters": "requestParameters",
    "response_elements": "responseElements",
    "additional_eventdata": "additionalEventData",
    "service_event_details": "serviceEventDetails",
}
_OPENED = {member: (_FLATTENED + name, _TRAIL + name) for name, member in _OPEN.items()}
"""Of requests, answers and the like where they stand as objects, and where they are text."""
ORIGINAL = "event.original"
_NAME, _MESSAGE = "user.name", "message"
_PATHS = (
    "@timestamp", _MESSAGE, ORIGINAL, "source.address", "source.ip", _NAME, _RESOURCES,
    *_RECORD, *_IDENTITY, *_ATTRIBUTES, *_SESSION_ISSUER, *(path for paths in _OPENED.values() for path in paths),
)  # fmt: skip
_WITHIN = frozenset({_RESOURCES, *(_FLATTENED + name for name in _OPEN)})
"""Where objects stand of which nobody knows the members."""
_UNDECODED = {_CALLER, _RESOURCES, *(path for paths in _OPENED.values() for path in paths)} - {
    _FLATTENED + "additional_eventdata",
    _TRAIL + "additional_eventdata",
}
"""What stays JSON, or is decoded where it is needed; additional data have counts, which may stand there as text."""
_USUAL = (_CALLER, *(path for path in _PATHS if not path.startswith(_CALLER)))
"""The paths of documents as the integration lays them out: callers, who repeat, stay JSON."""
_OWN = tuple(path for path in _PATHS if path.startswith(_TRAIL))
"""Fields of the integration's own."""
_Fields: TypeAlias = "dict[str, _Fields | str]"


def _tree() -> _Fields:
    """The paths, nested as documents mostly are."""
    top: Members = {}
    for path in _PATHS:
        place(top, tuple(path.split(".")), path)
    return top


_FIELDS = _tree()
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
_values = reader(_USUAL, _UNDECODED, _PASSED)
_encode = msgspec.json.Encoder().encode
_decode_object = msgspec.json.Decoder(Members).decode
_decode_any = msgspec.json.Decoder().decode
_DEEPEST = 12
_QUEUED = re.compile(r"\d:[^{}]+:(?=\{)")
"""What Wazuh sets before a message: the digit of a queue and where the message came from, a colon after each."""


def read(raw: bytes) -> Said:
    """
    What a document says.

    Raises:
        FAILURES: it is no sound JSON object.
    """
    return usual(raw) or said(_decode_object(raw))


def usual(raw: bytes) -> Said | None:
    """What a document says whose fields are laid out as the integration does it; `None` of any other."""
    try:
        values = _values(raw)
    except FAILURES:  # such as dotted names, or objects in lists, as Kibana's `fields`
        return None
    return None if list in map(type, values) else dict(zip(_USUAL, values, strict=True))


def said(members: Mapping[str, Any]) -> Said:
    """What a document says, whose fields may be nested, dotted, or lists of one value (Kibana's `fields`)."""
    found: Said = {}
    _say(members, _FIELDS, found)
    return found


def _say(members: Mapping[str, Any], fields: _Fields, found: Said) -> None:
    for name, value in members.items():
        if (field := fields.get(name)) is None:
            if "." in name:
                _say_dotted(name, value, fields, found)
            continue
        value = _only(value)
        if isinstance(field, str):
            if value is not None:
                found.setdefault(field, value)
        elif isinstance(value, dict):
            _say(value, field, found)


def _say_dotted(name: str, value: Any, fields: _Fields, found: Said) -> None:
    """Say a field of a dotted name, which may go on within an object of which nobody knows the members."""
    head, *parts = name.split(".", _DEEPEST)
    field = fields.get(head)
    while isinstance(field, dict) and parts:
        field = field.get(parts.pop(0))
    if field is not None and not parts:
        _say({head: value}, {head: field}, found)
    elif isinstance(field, str) and field in _WITHIN:
        place(found, (field, *parts), _only(value))


def _only(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def is_document(document: Said) -> bool:
    """Whether what is said is a document of the integration."""
    if document.get("event.action") is None:
        return False
    return document.get("event.provider") is not None or any(
        document.get(path) not in (None, NOTHING) for path in _OWN
    )


def original(document: Said) -> str | None:
    """The record as CloudTrail wrote it, where the document kept it."""
    for name in (ORIGINAL, _MESSAGE):
        text = document.get(name)
        if not isinstance(text, str):
            continue
        if text.lstrip()[:1] == "{":
            return text
        if name == ORIGINAL and (sent := unqueued(text)) is not text:
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


def record(document: Said) -> tuple[bytes, bool]:
    """
    Put a document's record together.

    Returns:
        The record, and whether its request or answer had to be read from text.
    """
    made = _members(document, _RECORD)
    made["eventTime"] = moment(document.get("@timestamp"))
    made["sourceIPAddress"] = document.get("source.address") or document.get("source.ip")
    if identity := _identity(document):
        made["userIdentity"] = identity
    from_text = False
    for member, paths in _OPENED.items():
        value, as_text = _open(document, paths)
        from_text |= as_text
        if value is not None:
            made[member] = value
    resources = document.get(_RESOURCES)
    if resources is not None and resources is not NOTHING:
        made["resources"] = _resources(resources)
    return with_types(made), from_text


def _members(document: Said, places: Mapping[str, str]) -> Members:
    return {name: value for path, name in places.items() if (value := document.get(path)) is not None}


def _identity(document: Said) -> Members | msgspec.Raw:
    caller = document.get(_CALLER)
    if caller is None or caller is NOTHING:
        return _put_together(document)
    return _callers[bytes(caller), _encode([document.get(path) for path in _BESIDE])]


_BESIDE = ("user.id", "cloud.account.id", _NAME)
"""What else of a document says who called."""


def _caller(key: tuple[bytes, bytes]) -> Members | msgspec.Raw:
    """The identity of a caller, from what stands in four places of a document."""
    beside = zip(_BESIDE, _decode_any(key[1]), strict=True)
    made = _put_together(said({_CALLER: _decode_any(key[0]), **dict(beside)}))
    return msgspec.Raw(_encode(made)) if made else made


_callers: Known[Members | msgspec.Raw] = Known(_caller, lambda key: len(key[0]) + len(key[1]))


def _put_together(document: Said) -> Members:
    made, attributes = _members(document, _IDENTITY), _members(document, _ATTRIBUTES)
    issuer = _members(document, _SESSION_ISSUER)
    if "creationDate" in attributes:
        attributes["creationDate"] = moment(attributes["creationDate"])
    name = document.get(_NAME)
    if isinstance(name, str) and (made or issuer):  # the pipeline writes the role's name over the user's
        (issuer or made)["userName"] = name
    context = {"attributes": attributes, "sessionIssuer": issuer}
    if told := {name: one for name, one in context.items() if one}:
        made["sessionContext"] = told
    return made


def _open(document: Said, paths: tuple[str, ...]) -> tuple[Any, bool]:
    """A request or an answer: as an object where the document has it so, else from text."""
    found = None
    for path in paths:
        found = document.get(path)
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
