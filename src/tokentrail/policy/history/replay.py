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
from tokentrail.policy.history.ledger import Entity, EntityKind, Ledger
from tokentrail.policy.history.managed import UNSEEN
from tokentrail.policy.history.timeline import step

Handler = Callable[[Ledger, Change], None]
_NAMES: dict[EntityKind, str] = {"user": "userName", "role": "roleName", "group": "groupName"}


def enter(ledger: Ledger, change: Change) -> None:
    """Enter a change, if it is one that matters here."""
    handler = IAM_HANDLERS.get(change.event_name) if change.event_source.startswith("iam.") else None
    if handler is not None:
        handler(ledger, change)


def _named(ledger: Ledger, change: Change, kind: EntityKind) -> Entity | None:
    name = change.asked(_NAMES[kind])
    return ledger.entity(kind, change, name) if name else None


def _create(kind: EntityKind) -> Handler:
    def handle(ledger: Ledger, change: Change) -> None:
        if name := change.asked(_NAMES[kind]):
            entity = ledger.created(kind, change, name, change.answered(kind, f"{kind}Id"))
            if boundary := change.asked("permissionsBoundary"):
                entity.bound_by(boundary, change)

    return handle


def _delete(kind: EntityKind) -> Handler:
    def handle(ledger: Ledger, change: Change) -> None:
        if entity := _named(ledger, change, kind):
            entity.ends(change)

    return handle


def _rename(kind: EntityKind, parameter: str) -> Handler:
    def handle(ledger: Ledger, change: Change) -> None:
        name, new_name = change.asked(_NAMES[kind]), change.asked(parameter)
        if name and new_name:
            ledger.renamed(kind, change, name, new_name)

    return handle


def _inline(kind: EntityKind, *, put: bool) -> Handler:
    def handle(ledger: Ledger, change: Change) -> None:
        entity, policy = _named(ledger, change, kind), change.asked("policyName")
        if entity and policy:
            held = ledger.read(change.document("policyDocument")) if put else None
            entity.put_inline(policy, change, held)

    return handle


def _attached(kind: EntityKind, *, attach: bool) -> Handler:
    def handle(ledger: Ledger, change: Change) -> None:
        entity, arn = _named(ledger, change, kind), change.asked("policyArn")
        if entity and arn:
            entity.attachment(arn).steps.append(step(change, attach))

    return handle


def _bound(kind: EntityKind, *, put: bool) -> Handler:
    def handle(ledger: Ledger, change: Change) -> None:
        entity, arn = _named(ledger, change, kind), change.asked("permissionsBoundary")
        if entity and (arn or not put):
            entity.bound_by(arn if put else None, change)

    return handle


def _member(*, joins: bool) -> Handler:
    def handle(ledger: Ledger, change: Change) -> None:
        user, group = _named(ledger, change, "user"), _named(ledger, change, "group")
        if user and group:
            user.membership(group).append(step(change, joins))

    return handle


def _key_status(status: str | None) -> Handler:
    """Enter a key's status; `None` means the one that the request gives."""

    def handle(ledger: Ledger, change: Change) -> None:
        key_id = change.asked("accessKeyId")
        new = status or change.asked("status")
        if key_id is None or new is None:
            return
        key = ledger.key(change, key_id)
        name = change.asked("userName") or change.caller_user
        if name and key.owner is None:
            key.owner = ledger.entity("user", change, name)
        if not key.steps or key.steps[-1].value != "Deleted":
            key.steps.append(step(change, new))

    return handle


def _create_access_key(ledger: Ledger, change: Change) -> None:
    key_id = change.answered("accessKey", "accessKeyId")
    name = change.asked("userName") or change.answered("accessKey", "userName") or change.caller_user
    if key_id and name:
        ledger.key(change, key_id).owner = ledger.entity("user", change, name)


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
    "CreateAccessKey": _create_access_key,
    "UpdateAccessKey": _key_status(None),
    "DeleteAccessKey": _key_status("Deleted"),
    "CreateUser": _create("user"),
    "DeleteUser": _delete("user"),
    "UpdateUser": _rename("user", "newUserName"),
    "CreateRole": _create("role"),
    "AcquireRole": _create("role"),
    "DeleteRole": _delete("role"),
    "CreateGroup": _create("group"),
    "DeleteGroup": _delete("group"),
    "UpdateGroup": _rename("group", "newGroupName"),
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
