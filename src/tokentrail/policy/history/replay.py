"""
Enter changes into the ledger: which call changes what.

Calls that only stop new sign-ins or sessions, such as DeleteLoginProfile, UpdateAssumeRolePolicy and
RemoveRoleFromInstanceProfile, end no living credential, and are ignored.

Request and response fields: IAM API Reference, under the name of each action. Sources of what they do: IAM User Guide,
'Manage access keys for IAM users', 'Remove or deactivate an IAM user', 'Delete roles or instance profiles', 'IAM user
groups', 'IAM identifiers', 'Permissions boundaries for IAM entities', 'Versioning IAM policies', 'Update a role trust
policy', 'Manage passwords for IAM users'.
"""

from __future__ import annotations

from collections.abc import Callable

from tokentrail.policy.history.changes import Change
from tokentrail.policy.history.ledger import NAME_CALLS, EntityKind, Ledger
from tokentrail.policy.history.managed import UNSEEN
from tokentrail.policy.history.timeline import step

Handler = Callable[[Ledger, Change], None]
_API_KEY = "serviceSpecificCredentialId"


def enter(ledger: Ledger, change: Change) -> None:
    """Enter a change, if it is one that matters here."""
    handler = IAM_HANDLERS.get(change.event_name) if change.event_source.startswith("iam.") else None
    if handler is not None:
        handler(ledger, change)


def _name(ledger: Ledger, change: Change) -> None:
    ledger.names.enter(change)


def _create(ledger: Ledger, change: Change) -> None:
    entity, boundary = ledger.names.enter(change), change.asked("permissionsBoundary")
    if entity and boundary:
        entity.bound_by(boundary, change)


def _inline(kind: EntityKind, *, put: bool) -> Handler:
    def handle(ledger: Ledger, change: Change) -> None:
        entity, policy = ledger.names.named(kind, change), change.asked("policyName")
        if entity and policy:
            held = ledger.read(change.document("policyDocument")) if put else None
            entity.put_inline(policy, change, held)

    return handle


def _attached(kind: EntityKind, *, attach: bool) -> Handler:
    def handle(ledger: Ledger, change: Change) -> None:
        entity, arn = ledger.names.named(kind, change), change.asked("policyArn")
        if entity and arn:
            entity.attachment(arn).steps.append(step(change, attach))

    return handle


def _bound(kind: EntityKind, *, put: bool) -> Handler:
    def handle(ledger: Ledger, change: Change) -> None:
        entity, arn = ledger.names.named(kind, change), change.asked("permissionsBoundary")
        if entity and (arn or not put):
            entity.bound_by(arn if put else None, change)

    return handle


def _member(*, joins: bool) -> Handler:
    def handle(ledger: Ledger, change: Change) -> None:
        user, group = ledger.names.named("user", change), ledger.names.named("group", change)
        if user and group:
            user.membership(group).append(step(change, joins))

    return handle


def _key_status(status: str | None, member: str = "accessKeyId") -> Handler:
    """Enter the status of a key that a member names; `None` means the one that the request gives."""

    def handle(ledger: Ledger, change: Change) -> None:
        key_id = change.asked(member)
        new = status or change.asked("status")
        if key_id is None or new is None:
            return
        key = ledger.key(change, key_id)
        name = change.asked("userName") or change.caller_user
        if name and key.owner is None:
            key.owner = ledger.names.entity("user", change, name)
        if not key.steps or key.steps[-1].value != "Deleted":
            key.steps.append(step(change, new))

    return handle


def _create_access_key(ledger: Ledger, change: Change) -> None:
    key_id = change.answered("accessKey", "accessKeyId")
    name = change.asked("userName") or change.answered("accessKey", "userName") or change.caller_user
    if key_id and name:
        ledger.key(change, key_id).owner = ledger.names.entity("user", change, name)


def _create_api_key(ledger: Ledger, change: Change) -> None:
    key_id = change.answered("serviceSpecificCredential", _API_KEY)
    name = (
        change.asked("userName")
        or change.answered("serviceSpecificCredential", "userName")
        or change.caller_user
    )
    if key_id and name:
        ledger.key(change, key_id).owner = ledger.names.entity("user", change, name)


def _create_policy(ledger: Ledger, change: Change) -> None:
    name, path = change.asked("policyName"), change.asked("path") or "/"
    arn = change.answered("policy", "arn") or f"arn:aws:iam::{change.account}:policy{path}{name}"
    document = ledger.read(change.document("policyDocument"))
    policy = ledger.policy(arn)
    policy.versions = {change.answered("policy", "defaultVersionId") or "v1": document}
    policy.steps.append(step(change, document))


def _create_policy_version(ledger: Ledger, change: Change) -> None:
    arn, version = change.asked("policyArn"), change.answered("policyVersion", "versionId")
    if arn is None:
        return
    policy, document = ledger.policy(arn), ledger.read(change.document("policyDocument"))
    if version:
        policy.versions[version] = document
    if change.flag("setAsDefault"):
        policy.steps.append(step(change, document))


def _set_default_policy_version(ledger: Ledger, change: Change) -> None:
    arn, version = change.asked("policyArn"), change.asked("versionId")
    if arn and version:
        policy = ledger.policy(arn)
        policy.steps.append(step(change, policy.versions.get(version, UNSEEN)))


def _delete_policy_version(ledger: Ledger, change: Change) -> None:
    arn, version = change.asked("policyArn"), change.asked("versionId")
    if arn and version:
        ledger.policy(arn).versions.pop(version, None)


def _delete_policy(ledger: Ledger, change: Change) -> None:
    if arn := change.asked("policyArn"):
        policy = ledger.policy(arn)
        policy.versions.clear()
        policy.steps.append(step(change, None))


IAM_HANDLERS: dict[str, Handler] = {
    **dict.fromkeys(sorted(NAME_CALLS), _name),
    "CreateUser": _create,
    "CreateRole": _create,
    "AcquireRole": _create,
    "CreateAccessKey": _create_access_key,
    "UpdateAccessKey": _key_status(None),
    "DeleteAccessKey": _key_status("Deleted"),
    "CreateServiceSpecificCredential": _create_api_key,
    "UpdateServiceSpecificCredential": _key_status(None, _API_KEY),
    "DeleteServiceSpecificCredential": _key_status("Deleted", _API_KEY),
    "AddUserToGroup": _member(joins=True),
    "RemoveUserFromGroup": _member(joins=False),
    "PutUserPolicy": _inline("user", put=True),
    "DeleteUserPolicy": _inline("user", put=False),
    "PutGroupPolicy": _inline("group", put=True),
    "DeleteGroupPolicy": _inline("group", put=False),
    "PutRolePolicy": _inline("role", put=True),
    "DeleteRolePolicy": _inline("role", put=False),
    "AttachUserPolicy": _attached("user", attach=True),
    "DetachUserPolicy": _attached("user", attach=False),
    "AttachGroupPolicy": _attached("group", attach=True),
    "DetachGroupPolicy": _attached("group", attach=False),
    "AttachRolePolicy": _attached("role", attach=True),
    "DetachRolePolicy": _attached("role", attach=False),
    "PutUserPermissionsBoundary": _bound("user", put=True),
    "DeleteUserPermissionsBoundary": _bound("user", put=False),
    "PutRolePermissionsBoundary": _bound("role", put=True),
    "DeleteRolePermissionsBoundary": _bound("role", put=False),
    "CreatePolicy": _create_policy,
    "CreatePolicyVersion": _create_policy_version,
    "SetDefaultPolicyVersion": _set_default_policy_version,
    "DeletePolicyVersion": _delete_policy_version,
    "DeletePolicy": _delete_policy,
}
"""By event name."""
