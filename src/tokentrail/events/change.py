"""
Read calls that change principals and policies, or make lasting things, into the columns of `changes`.

These are the request, the policy document in it, and the ids in the answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec

from tokentrail.events.loose import Each, Raw, decoded, text
from tokentrail.events.values import hide_secrets
from tokentrail.events.vocabulary import FROM_TEMPLATE, IAM_CHANGES, POLICY_CHANGES

_DOCUMENTS = ("policyDocument", "assumeRolePolicyDocument", "content")
_NESTED = (
    "iamInstanceProfile", "roleArns", "targets", "instancesSet", "instanceIds", "roleMappings", "launchPermission",
    "createVolumePermission", "valuesToAdd", "valuesToRemove", "accountIdsToAdd", "accountIdsToRemove",
)  # fmt: skip
_PARTS = {
    "overrides": ("taskRoleArn", "executionRoleArn"),
    "target": ("arn", "roleArn", "id"),
    "jobUpdate": ("role",),
    "roles": ("authenticated", "unauthenticated"),
    "pipeline": ("name", "roleArn"),
    "containerProperties": ("jobRoleArn",),
    "instanceConfiguration": ("instanceRoleArn",),
    "defaultUserSettings": ("executionRole",),
    "userSettings": ("executionRole",),
    "trainingJobDefinition": ("roleArn",),
    "buildBatchConfigOverride": ("serviceRole",),
    "configuration": ("executionRole", "executionRoleArn"),
    "configurationUpdates": ("executionRole",),
    "executionEngine": ("executionRoleArn",),
    "parameters": ("AutomationAssumeRole",),
    "monitoringScheduleConfig": ("monitoringJobDefinition.roleArn",),
    "autoMLComputeConfig": ("emrServerlessComputeConfig.executionRoleARN",),
    "managedInstancesProvider": ("instanceLaunchTemplate.ec2InstanceProfileArn",),
    "defaultRunSetting": ("roleArn",),
    "actions": ("ssmAutomation.roleArn",),
    "entitlement": ("principalRole.roleArn",),
}
"""By parameter that may be large: the paths that are kept of it, or of each in its list: a role or what is called."""
_LONGEST = 2048
"""Characters of a text that is kept of a request outside IAM, at most."""


class _Summary(msgspec.Struct, gc=False, omit_defaults=True):
    """
    What an answer of Organizations tells of a policy, inside `policy`.

    Source: AWS Organizations API Reference, 'Policy' and 'PolicySummary'.
    """

    id: str | None = None
    arn: str | None = None
    name: str | None = None
    type: str | None = None


class _Thing(msgspec.Struct, gc=False, omit_defaults=True):
    """The ids of one thing that an answer describes: a key, user, role, policy, provider, profile..."""

    accessKeyId: str | None = None
    userName: str | None = None
    userId: str | None = None
    arn: str | None = None
    roleName: str | None = None
    roleId: str | None = None
    groupId: str | None = None
    versionId: str | None = None
    isDefaultVersion: bool | None = None
    defaultVersionId: str | None = None
    trustAnchorArn: str | None = None
    profileArn: str | None = None
    commandId: str | None = None
    id: str | None = None
    status: str | None = None
    serviceSpecificCredentialId: str | None = None
    serviceUserName: str | None = None
    certificateId: str | None = None
    sSHPublicKeyId: str | None = None
    serialNumber: str | None = None
    permissionSetArn: str | None = None
    serviceRole: str | None = None
    serviceName: str | None = None
    taskArn: str | None = None
    taskDefinitionArn: str | None = None
    associationId: str | None = None
    networkInterfacePermissionId: str | None = None
    policySummary: _Summary | None = None


class _Instance(msgspec.Struct, gc=False, omit_defaults=True):
    instanceId: str | None = None


class _Instances(msgspec.Struct, gc=False, omit_defaults=True):
    items: list[_Instance] = []


class _Association(msgspec.Struct, gc=False, omit_defaults=True):
    """Which instance an instance profile was handed to."""

    associationId: str | None = None
    instanceId: str | None = None


class _Wrapped(msgspec.Struct, gc=False, omit_defaults=True):
    iamInstanceProfileAssociation: _Association | None = None


class _Fleet(msgspec.Struct, gc=False, omit_defaults=True):
    """What EC2 wraps the answer of CreateFleet in: of an instant fleet it also tells the instances."""

    fleetId: str | None = None


class _Made(msgspec.Struct, gc=False, omit_defaults=True):
    """What an answer says was made, at the paths of each API's own output."""

    accessKey: _Thing | None = None
    user: _Thing | None = None
    loginProfile: _Thing | None = None
    role: _Thing | str | None = None
    group: _Thing | str | None = None
    policy: _Thing | str | None = None
    policyVersion: _Thing | None = None
    trustAnchor: _Thing | None = None
    profile: _Thing | None = None
    project: _Thing | None = None
    run: _Thing | None = None
    build: _Thing | None = None
    association: _Thing | str | None = None
    command: _Thing | None = None
    permissionSet: _Thing | None = None
    serviceSpecificCredential: _Thing | None = None
    certificate: _Thing | None = None
    sSHPublicKey: _Thing | None = None
    virtualMFADevice: _Thing | None = None
    instancesSet: _Instances | None = None
    iamInstanceProfileAssociation: _Association | None = None
    AssociateIamInstanceProfileResponse: _Wrapped | None = None
    DisassociateIamInstanceProfileResponse: _Wrapped | None = None
    ReplaceIamInstanceProfileAssociationResponse: _Wrapped | None = None
    CreateFleetResponse: _Fleet | None = None
    fleetId: str | None = None
    tasks: list[_Thing] | None = (
        None  # that there are none is told, too: ECS answers so where it could place none
    )
    taskDefinition: _Thing | str | None = None
    service: _Thing | str | None = None
    stateMachineArn: str | None = None
    userId: str | None = None
    functionArn: str | None = None
    functionName: str | None = None
    stackId: str | None = None
    sessionId: str | None = None
    activationId: str | None = None
    automationExecutionId: str | None = None
    jobFlowId: str | None = None
    spotFleetRequestId: str | None = None
    certificateId: str | None = None
    certificateArn: str | None = None
    entitlementId: str | None = None
    applicationArn: str | None = None
    grantId: str | None = None
    accessGrantId: str | None = None
    policyId: str | None = None
    statementId: str | None = None
    networkInterfacePermission: _Thing | None = None
    sAMLProviderArn: str | None = None
    openIDConnectProviderArn: str | None = None
    keyPairId: str | None = None
    ruleArn: str | None = None
    microvmId: str | None = None
    imageArn: str | None = None
    arn: str | None = None
    id: str | None = None
    name: str | None = None


_WRAPPED = (
    "AssociateIamInstanceProfileResponse", "DisassociateIamInstanceProfileResponse",
    "ReplaceIamInstanceProfileAssociationResponse", "CreateFleetResponse",
)  # fmt: skip


def _whatever(value: dict[str, Any]) -> dict[str, Any]:
    """The ids in an answer that does not have the types of `_Made`, at the paths at which that has them."""
    for key in _WRAPPED:
        value = {**value, **inner} if isinstance(inner := value.get(key), dict) else value
    found = {key: item if isinstance(item, str) else _inside(key, item) for key, item in value.items()}
    return {key: item for key, item in found.items() if item or isinstance(item, str)}


def _inside(key: str, value: Any) -> Any:
    if key == "tasks":
        return _each(value, _Thing)
    if not isinstance(value, dict):
        return None
    if key == "iamInstanceProfileAssociation":
        return _ids(value, _Association)
    if key == "instancesSet":
        items = _each(value.get("items"), _Instance)
        return {"items": items} if items else None
    summary = _ids(value.get("policySummary"), _Summary)
    return _ids(value, _Thing) | ({"policySummary": summary} if summary else {})


def _each(value: Any, kind: type[msgspec.Struct]) -> list[dict[str, str]]:
    return [found for item in value if (found := _ids(item, kind))] if isinstance(value, list) else []


def _ids(value: Any, kind: type[msgspec.Struct]) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {key: found for key in kind.__struct_fields__ if (found := text(value, key)) is not None}


def _same(value: dict[str, Any]) -> dict[str, Any]:
    return value


_requests: Each[dict[str, Any]] = Each(dict[str, Any], _same)
_answers: Each[Any] = Each(_Made, _whatever)
_encode_lines = msgspec.json.Encoder().encode_lines

Texts = list[str | None]


def changes(
    names: Sequence[str | None], requests: Sequence[Raw], answers: Sequence[Raw]
) -> tuple[Texts, Texts, Texts]:
    """
    The columns of some changes, as JSON texts without secrets and without bulk.

    Args:
        names: The name of each call.
        requests: Its request.
        answers: Its answer.

    Returns:
        Requests, policy documents and answers.
    """
    asked, documents = [], []
    hidden: dict[str | None, str | None] = {None: None}
    for name, request, answer in zip(names, _requests(requests), answers, strict=True):
        document, rest = _apart(name, _unwrapped(name, request or {}))
        if name == FROM_TEMPLATE:
            document = _trust_in(answer)
        if document not in hidden:
            hidden[document] = hide_secrets(document or "")
        documents.append(hidden[document])
        asked.append(rest)
    return _json(asked), documents, _json(_answered(answer) for answer in _answers(answers))


def _trust_in(answer: Raw) -> str | None:
    """
    The trust policy in an answer that describes a role, of which the request names only the template.

    IAM answers with its policies percent-encoded (IAM API Reference, 'AcquireRole' and 'Role'); what writes such JSON
    out again may have decoded them.
    """
    role = decoded(answer).get("role")
    found = role.get("assumeRolePolicyDocument") if isinstance(role, dict) else None
    if isinstance(found, dict):
        return msgspec.json.encode(found).decode()
    return unquote(found) if isinstance(found, str) else None


def _unwrapped(name: str | None, request: dict[str, Any]) -> dict[str, Any]:
    """
    A request without the member, named after the call, in which EC2 wraps some, and with its usual spelling.

    Source: EC2 User Guide, 'Log Amazon EC2 API calls using AWS CloudTrail'; seen of AssociateIamInstanceProfile and,
    in issue 2813 of kubernetes-sigs/karpenter, of CreateFleet.
    """
    inner = request.get(f"{name}Request")
    if not isinstance(inner, dict):
        return request
    parts = {key: _spelled(item) if isinstance(item, dict) else item for key, item in _spelled(inner).items()}
    return {**request, **parts}


def _spelled(value: dict[str, Any]) -> dict[str, Any]:
    return {key[:1].lower() + key[1:]: item for key, item in value.items()}


def _answered(answer: Any) -> Any:
    """An answer without the member in which EC2 wraps some."""
    if not isinstance(answer, _Made):
        return answer or {}
    wrapped = next(filter(None, (getattr(answer, name) for name in _WRAPPED)), None)
    if wrapped is None:
        return answer
    return _Made(**{name: getattr(wrapped, name) for name in wrapped.__struct_fields__})


def _apart(name: str | None, request: dict[str, Any]) -> tuple[str | None, dict[str, Any]]:
    """
    Part a request into its policy document and the rest; of requests outside IAM, bulk is left out.

    In calls that make no policy, `content` is something else: a Systems Manager document, for one, is a program. AWS
    logs a policy document as text, but pipelines that decode JSON in texts make it an object.
    """
    document: str | None = None
    policies = name in IAM_CHANGES or name in POLICY_CHANGES
    whole = name in IAM_CHANGES or (policies and "content" in request)
    for key in _DOCUMENTS:
        found = request.pop(key, None)
        if document is None and isinstance(found, str | dict) and (policies or key != "content"):
            document = found if isinstance(found, str) else msgspec.json.encode(found).decode()
    if whole:
        return document, request
    kept: dict[str, Any] = {
        key: item
        for key, item in request.items()
        if (isinstance(item, str) and len(item) <= _LONGEST) or isinstance(item, int)
    }
    for key in _NESTED:
        if isinstance(request.get(key), dict | list):
            kept[key] = request[key]
    for key, paths in _PARTS.items():
        if key in request and (some := _picked(request[key], paths)):
            kept[key] = some
    return document, kept


def _picked(value: Any, paths: Iterable[str]) -> Any:
    """The texts at some paths, of which no two begin alike, of an object or of each object in a list."""
    if isinstance(value, list):
        return [some for one in value if isinstance(one, dict) and (some := _picked(one, paths))]
    found: dict[str, Any] = {}
    for name, _, rest in (path.partition(".") for path in paths if isinstance(value, dict)):
        inner = value.get(name)
        if rest and (some := _picked(inner, [rest])):
            found[name] = some
        elif not rest and _is_text(inner):
            found[name] = inner
    return found


def _is_text(value: Any) -> bool:
    """Whether a value is a text or a list of texts, as parameters of Systems Manager automations are."""
    return all(isinstance(one, str) for one in value) if isinstance(value, list) else isinstance(value, str)


def _json(values: Iterable[Any]) -> Texts:
    """Each value as JSON text. All are searched for secrets as lines of one text, since JSON has no line feeds."""
    lines = hide_secrets(_encode_lines(list(values)).decode()).split("\n")
    return [line if len(line) > len("{}") else None for line in lines[:-1]]
