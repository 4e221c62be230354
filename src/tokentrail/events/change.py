"""What changes to principals, policies and lasting things say: asked, documented, made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from tokentrail.events.loose import Each, Raw, text
from tokentrail.events.values import hide_secrets
from tokentrail.events.vocabulary import IAM_CHANGES

_DOCUMENTS = ("policyDocument", "assumeRolePolicyDocument", "content")
_NESTED = ("iamInstanceProfile", "roleArns", "targets")
_LONGEST = 2048


class _Thing(msgspec.Struct, gc=False, omit_defaults=True):
    """The ids of one thing that an answer describes: a key, user, role, policy, provider, profile..."""

    accessKeyId: str | None = None  # noqa: N815 - CloudTrail's spelling, here and below
    userName: str | None = None  # noqa: N815
    userId: str | None = None  # noqa: N815
    arn: str | None = None
    roleName: str | None = None  # noqa: N815
    roleId: str | None = None  # noqa: N815
    versionId: str | None = None  # noqa: N815
    isDefaultVersion: bool | None = None  # noqa: N815
    defaultVersionId: str | None = None  # noqa: N815
    trustAnchorArn: str | None = None  # noqa: N815
    profileArn: str | None = None  # noqa: N815
    commandId: str | None = None  # noqa: N815
    id: str | None = None
    status: str | None = None
    serviceSpecificCredentialId: str | None = None  # noqa: N815
    serviceUserName: str | None = None  # noqa: N815
    certificateId: str | None = None  # noqa: N815
    sSHPublicKeyId: str | None = None  # noqa: N815
    serialNumber: str | None = None  # noqa: N815
    permissionSetArn: str | None = None  # noqa: N815


class _Instance(msgspec.Struct, gc=False, omit_defaults=True):
    instanceId: str | None = None  # noqa: N815


class _Instances(msgspec.Struct, gc=False, omit_defaults=True):
    items: list[_Instance] = []


class _Made(msgspec.Struct, gc=False, omit_defaults=True):
    """What an answer says was made, at the paths of each API's own output."""

    accessKey: _Thing | None = None  # noqa: N815
    user: _Thing | None = None
    loginProfile: _Thing | None = None  # noqa: N815
    role: _Thing | str | None = None
    policy: _Thing | str | None = None
    policyVersion: _Thing | None = None  # noqa: N815
    trustAnchor: _Thing | None = None  # noqa: N815
    profile: _Thing | None = None
    project: _Thing | None = None
    command: _Thing | None = None
    permissionSet: _Thing | None = None  # noqa: N815
    serviceSpecificCredential: _Thing | None = None  # noqa: N815
    certificate: _Thing | None = None
    sSHPublicKey: _Thing | None = None  # noqa: N815
    virtualMFADevice: _Thing | None = None  # noqa: N815
    instancesSet: _Instances | None = None  # noqa: N815
    functionArn: str | None = None  # noqa: N815
    functionName: str | None = None  # noqa: N815
    stackId: str | None = None  # noqa: N815
    sessionId: str | None = None  # noqa: N815
    activationId: str | None = None  # noqa: N815
    grantId: str | None = None  # noqa: N815
    sAMLProviderArn: str | None = None  # noqa: N815
    openIDConnectProviderArn: str | None = None  # noqa: N815
    keyPairId: str | None = None  # noqa: N815
    ruleArn: str | None = None  # noqa: N815


def _whatever(value: dict[str, Any]) -> dict[str, Any]:
    """Of an answer of odd types: the ids that can be found in it."""
    return {key: _ids(item) or item for key, item in value.items() if isinstance(item, str) or _ids(item)}


def _ids(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: found for key in _Thing.__struct_fields__ if (found := text(value, key)) is not None}


def _same(value: dict[str, Any]) -> dict[str, Any]:
    return value


_requests: Each[dict[str, Any]] = Each(dict[str, Any], _same)
_answers: Each[Any] = Each(_Made, _whatever)
_encode_lines = msgspec.json.Encoder().encode_lines

Texts = list[str | None]


def changes(
    names: Sequence[str | None], requests: Sequence[Raw], answers: Sequence[Raw]
) -> tuple[Texts, Texts, Texts]:
    """Requests, policy documents and answers of changes, as JSON text without secrets and without bulk."""
    asked, documents = [], []
    hidden: dict[str | None, str | None] = {None: None}
    for name, request in zip(names, _requests(requests), strict=True):
        document, rest = _apart(name, request or {})
        if document not in hidden:
            hidden[document] = hide_secrets(document or "")
        documents.append(hidden[document])
        asked.append(rest)
    return _json(asked), documents, _json(answer or {} for answer in _answers(answers))


def _apart(name: str | None, request: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """Part the policy document from the rest of a request, and leave bulk out of requests outside IAM."""
    document = None
    found = [key for key in _DOCUMENTS if key in request]
    if found:
        document = next((request[key] for key in found if isinstance(request[key], str)), None)
    if name in IAM_CHANGES or "content" in found:
        return document, {
            key: item for key, item in request.items() if key not in found
        } if found else request
    kept = {
        key: item
        for key, item in request.items()
        if isinstance(item, str | int) and len(str(item)) <= _LONGEST and key not in found
    }
    for key in _NESTED:
        if isinstance(request.get(key), dict | list):
            kept[key] = request[key]
    return document, kept


def _json(values: Iterable[Any]) -> Texts:
    """Each value as JSON text, all of them written and searched for secrets at once: JSON holds no line feed."""
    lines = hide_secrets(_encode_lines(list(values)).decode()).split("\n")
    return [line if len(line) > len("{}") else None for line in lines[:-1]]
