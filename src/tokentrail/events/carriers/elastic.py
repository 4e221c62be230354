"""
Documents of Elastic's AWS integration, in the Elastic Common Schema.

The record itself stands in `event.original` where the integration was told to keep it. Else the record is put
together from the fields that the integration's pipeline made of it; requests and answers from
`aws.cloudtrail.flattened`, else from text in the form of Java's `toString()`. Names of the fields: Elastic,
'AWS CloudTrail', exported fields of the AWS integration. Wazuh 5 keeps what came in under `event.original`, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from tokentrail.events.carriers.names import place
from tokentrail.events.carriers.names import resources as listed
from tokentrail.events.carriers.table import encoded, moment, structured
from tokentrail.events.carriers.tostring import parse
from tokentrail.events.loose import decoded

_CLOUDTRAIL = "aws.cloudtrail."
_PLACES = {
    "event.id": ("eventID",),
    "event.provider": ("eventSource",),
    "event.action": ("eventName",),
    "cloud.region": ("awsRegion",),
    "user_agent.original": ("userAgent",),
    "user.id": ("userIdentity", "principalId"),
    "cloud.account.id": ("userIdentity", "accountId"),
    _CLOUDTRAIL + "event_version": ("eventVersion",),
    _CLOUDTRAIL + "event_type": ("eventType",),
    _CLOUDTRAIL + "event_category": ("eventCategory",),
    _CLOUDTRAIL + "error_code": ("errorCode",),
    _CLOUDTRAIL + "error_message": ("errorMessage",),
    _CLOUDTRAIL + "request_id": ("requestID",),
    _CLOUDTRAIL + "api_version": ("apiVersion",),
    _CLOUDTRAIL + "read_only": ("readOnly",),
    _CLOUDTRAIL + "management_event": ("managementEvent",),
    _CLOUDTRAIL + "recipient_account_id": ("recipientAccountId",),
    _CLOUDTRAIL + "shared_event_id": ("sharedEventID",),
    _CLOUDTRAIL + "vpc_endpoint_id": ("vpcEndpointId",),
    _CLOUDTRAIL + "vpc_endpoint_account_id": ("vpcEndpointAccountId",),
    _CLOUDTRAIL + "session_credential_from_console": ("sessionCredentialFromConsole",),
    _CLOUDTRAIL + "user_identity.type": ("userIdentity", "type"),
    _CLOUDTRAIL + "user_identity.arn": ("userIdentity", "arn"),
    _CLOUDTRAIL + "user_identity.access_key_id": ("userIdentity", "accessKeyId"),
    _CLOUDTRAIL + "user_identity.invoked_by": ("userIdentity", "invokedBy"),
}
_CONTEXT = _CLOUDTRAIL + "user_identity.session_context."
_ISSUER = _CONTEXT + "session_issuer."
_SESSION = ("userIdentity", "sessionContext")
_CONTEXT_PLACES = {
    _CONTEXT + "creation_date": (*_SESSION, "attributes", "creationDate"),
    _CONTEXT + "mfa_authenticated": (*_SESSION, "attributes", "mfaAuthenticated"),
    _ISSUER + "type": (*_SESSION, "sessionIssuer", "type"),
    _ISSUER + "principal_id": (*_SESSION, "sessionIssuer", "principalId"),
    _ISSUER + "arn": (*_SESSION, "sessionIssuer", "arn"),
    _ISSUER + "account_id": (*_SESSION, "sessionIssuer", "accountId"),
}
_OPEN = {
    "request_parameters": "requestParameters",
    "response_elements": "responseElements",
    "additional_eventdata": "additionalEventData",
    "service_event_details": "serviceEventDetails",
}
_DEEPEST = 12
ORIGINAL = "event.original"
_MESSAGE = "message"
_QUEUED = re.compile(r"\d:[^{}]+:(?=\{)")
"""What Wazuh sets before a message: the digit of a queue and where the message came from, a colon after each."""


_UNKNOWN: Any = object()


class Document:
    """A document whose fields may be nested, dotted, or lists of one value as Kibana's `fields` gives them."""

    def __init__(self, members: dict[str, Any]) -> None:
        self._members = members
        self._around: dict[str, Any] = {"": members}
        self._dotted = any("." in name for name in members)

    def get(self, path: str) -> Any:
        """The value of a field, however it is laid out."""
        head, _, name = path.rpartition(".")
        around = self._around.get(head, _UNKNOWN)
        if around is _UNKNOWN:
            around = self._around[head] = _get(self._members, head)
        found = around.get(name) if isinstance(around, dict) else None
        if found is None and (self._dotted or not isinstance(around, dict)):
            found = _get(self._members, path)
        return found[0] if isinstance(found, list) and len(found) == 1 else found


def _get(members: Any, path: str) -> Any:
    """Look a dotted path up: as it is, or with any of its heads as an object of its own."""
    if not isinstance(members, dict):
        return None
    if path in members:
        return members[path]
    at = path.find(".")
    while at > 0:
        head = members.get(path[:at])
        if isinstance(head, list) and len(head) == 1:
            head = head[0]
        if isinstance(head, dict) and (found := _get(head, path[at + 1 :])) is not None:
            return found
        at = path.find(".", at + 1)
    return None


def is_document(members: dict[str, Any]) -> bool:
    """Whether an object is a document of the integration."""
    document = Document(members)
    return document.get("event.action") is not None and (
        document.get("event.provider") is not None or document.get("aws.cloudtrail") is not None
    )


def original(members: dict[str, Any]) -> str | None:
    """The record as CloudTrail wrote it, where the document kept it."""
    document = Document(members)
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


def record(members: dict[str, Any]) -> tuple[bytes, bool]:
    """
    Put a document's record together.

    Returns:
        The record, and whether its request or answer had to be read from text.
    """
    document = Document(members)
    made: dict[str, Any] = {}
    _fill(document, made, _PLACES)
    if document.get(_CONTEXT[:-1]) is not None or document.get(_CONTEXT + "creation_date") is not None:
        _fill(document, made, _CONTEXT_PLACES)
    made["eventTime"] = moment(document.get("@timestamp"))
    made["sourceIPAddress"] = document.get("source.address") or document.get("source.ip")
    from_text = False
    for name, member in _OPEN.items():
        value, as_text = _open(document, name)
        from_text |= as_text
        if value is not None:
            made[member] = value
    if isinstance(made.get("additionalEventData"), dict):
        made["additionalEventData"] = dict(made["additionalEventData"])
    found = document.get(_CLOUDTRAIL + "resources")
    if found is None:  # as Kibana's fields have them, each member of all of them by itself
        found = document.get(_CLOUDTRAIL + "resources.arn")
    if found is not None:
        made["resources"] = listed(structured(found) if isinstance(found, str) else found)
    _name(document, made)
    return encoded(made), from_text


def _fill(document: Document, made: dict[str, Any], places: Mapping[str, tuple[str, ...]]) -> None:
    for path, where in places.items():
        if (value := document.get(path)) is not None:
            place(made, where, value)


def _open(document: Document, name: str) -> tuple[Any, bool]:
    """A request or an answer: as an object where the document has it so, else from text."""
    flattened = document.get(f"{_CLOUDTRAIL}flattened.{name}")
    if isinstance(flattened, dict):
        return flattened, False
    text = document.get(_CLOUDTRAIL + name)
    if isinstance(text, dict):
        return text, False
    if isinstance(text, str):
        found = parse(text)
        return (found if isinstance(found, dict) else None), True
    dotted: dict[str, Any] = {}
    for path, value in _below(document, f"{_CLOUDTRAIL}flattened.{name}."):
        place(dotted, path, value)
    return (dotted or None), False


def _below(document: Document, prefix: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Members of a flattened object that a table of fields gives one by one, by their paths."""
    for key, value in document._members.items():
        if key.startswith(prefix):
            path = tuple(key.removeprefix(prefix).split(".", _DEEPEST))
            yield path, value[0] if isinstance(value, list) and len(value) == 1 else value


def _name(document: Document, made: dict[str, Any]) -> None:
    """Give the user's name back to a user; the pipeline writes the role's name over it, where there is a role."""
    name, identity = document.get("user.name"), made.get("userIdentity")
    if not isinstance(identity, dict) or not isinstance(name, str):
        return
    context = identity.get("sessionContext")
    issuer = context.get("sessionIssuer") if isinstance(context, dict) else None
    (issuer if isinstance(issuer, dict) and issuer else identity).setdefault("userName", name)
