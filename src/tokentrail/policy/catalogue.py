"""
What each IAM and Organizations call ends, from when, and what it leaves, in words.

These are the facts that `effects` works by. Documentation is made from this table, and the containment
catalogue refers to it. A test holds it against the handlers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

IAM: Final = "iam.amazonaws.com"
ORGANIZATIONS: Final = "organizations.amazonaws.com"

_KEYS = "IAM User Guide, 'Manage access keys for IAM users'"
_REVOKE = "IAM User Guide, 'Revoking IAM role temporary security credentials'"
_DISABLE = "IAM User Guide, 'Disabling permissions for temporary security credentials'"
_LOGIC = "IAM User Guide, 'Policy evaluation logic'"
_BOUNDARY = "IAM User Guide, 'Permissions boundaries for IAM entities'"
_VERSIONS = "IAM User Guide, 'Versioning IAM policies'"
_IDS = "IAM User Guide, 'IAM identifiers'"
_USERS = "IAM User Guide, 'Remove or deactivate an IAM user'"
_ROLES = "IAM User Guide, 'Delete roles or instance profiles'"
_GROUPS = "IAM User Guide, 'IAM user groups'"
_SCPS = "AWS Organizations User Guide, 'Service control policies (SCPs)'"
_TRUST = "IAM User Guide, 'Update a role trust policy'"
_PASSWORDS = "IAM User Guide, 'Manage passwords for IAM users'"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventEffect:
    """What one call does to credentials."""

    event_source: str
    event_name: str
    ends: str
    since: str
    """From when, and until what."""
    leaves: str
    source: str


def _iam(event_name: str, ends: str, since: str, leaves: str, source: str) -> EventEffect:
    return EventEffect(
        event_source=IAM, event_name=event_name, ends=ends, since=since, leaves=leaves, source=source
    )


def _organizations(event_name: str, ends: str, since: str, leaves: str) -> EventEffect:
    return EventEffect(
        event_source=ORGANIZATIONS, event_name=event_name, ends=ends, since=since, leaves=leaves, source=_SCPS
    )


_NOTHING = "ends nothing"
_USER_CREDENTIALS = (
    "the user's long-term keys, session tokens, federation tokens and console sessions "
    "that the document denies everything"
)
_ROLE_SESSIONS = "the role's sessions that the document denies everything"
_NOT_ROLE_SESSIONS = (
    "role sessions minted with the user's credentials; a TokenIssueTime cutoff leaves long-term keys"
)
_NOT_LATER = "sessions that the document's conditions spare, such as those issued after its cutoff"

EFFECTS: Final[tuple[EventEffect, ...]] = (
    _iam("CreateAccessKey", _NOTHING, "from then on", "gives the user one more long-term key", _KEYS),
    _iam(
        "UpdateAccessKey",
        "the one long-term key, with status Inactive",
        "from the call until the status is Active again",
        "every token minted with the key, and every other key of the user",
        _KEYS,
    ),
    _iam(
        "DeleteAccessKey",
        "the one long-term key",
        "from the call, for good",
        "every token minted with the key, and every other key of the user",
        _KEYS,
    ),
    _iam("CreateUser", _NOTHING, "from then on", "whoever had the name before was another user", _IDS),
    _iam(
        "DeleteUser",
        "all credentials of the user: keys, session tokens, federation tokens, console sessions",
        "from the call, for good; a new user of the same name is another one",
        "role sessions minted with the user's credentials",
        _USERS,
    ),
    _iam("UpdateUser", _NOTHING, "from then on", "the user keeps its policies under the new name", _IDS),
    _iam("CreateRole", _NOTHING, "from then on", "whatever had the name before was another role", _IDS),
    _iam(
        "DeleteRole",
        "all sessions of the role issued up to the call",
        "from the call, for good; a new role of the same name is another one",
        "sessions of other roles minted with them",
        _ROLES,
    ),
    _iam("CreateGroup", _NOTHING, "from then on", "whatever had the name before was another group", _GROUPS),
    _iam("DeleteGroup", _NOTHING, "from then on", "lifts the denials of the group's policies", _GROUPS),
    _iam("UpdateGroup", _NOTHING, "from then on", "the group keeps its policies under the new name", _GROUPS),
    _iam(
        "AddUserToGroup",
        "the user's credentials, if a policy of the group denies them everything",
        "from the call until the user leaves the group",
        _NOT_ROLE_SESSIONS,
        _GROUPS,
    ),
    _iam(
        "RemoveUserFromGroup", _NOTHING, "from then on", "lifts the denials of the group's policies", _GROUPS
    ),
    *(
        _iam(name, _USER_CREDENTIALS, "from the call until the policy goes", _NOT_ROLE_SESSIONS, _DISABLE)
        for name in ("PutUserPolicy", "AttachUserPolicy", "PutGroupPolicy", "AttachGroupPolicy")
    ),
    *(
        _iam(name, _ROLE_SESSIONS, "from the call until the policy goes", _NOT_LATER, _REVOKE)
        for name in ("PutRolePolicy", "AttachRolePolicy")
    ),
    *(
        _iam(name, _NOTHING, "from then on", "lifts the denials of that policy", _LOGIC)
        for name in (
            "DeleteUserPolicy",
            "DetachUserPolicy",
            "DeleteGroupPolicy",
            "DetachGroupPolicy",
            "DeleteRolePolicy",
            "DetachRolePolicy",
        )
    ),
    _iam(
        "PutUserPermissionsBoundary",
        _USER_CREDENTIALS,
        "from the call until the boundary goes or is another",
        _NOT_ROLE_SESSIONS,
        _BOUNDARY,
    ),
    _iam(
        "PutRolePermissionsBoundary",
        _ROLE_SESSIONS,
        "from the call until the boundary goes or is another",
        "what a resource policy grants the session itself, where the boundary only fails to allow it",
        _BOUNDARY,
    ),
    *(
        _iam(name, _NOTHING, "from then on", "lifts the denials of the boundary", _BOUNDARY)
        for name in ("DeleteUserPermissionsBoundary", "DeleteRolePermissionsBoundary")
    ),
    _iam("CreatePolicy", _NOTHING, "from then on", "it denies nothing until it is attached", _VERSIONS),
    _iam(
        "CreatePolicyVersion",
        "what the new version denies everything, wherever the policy is attached, if it is set as default",
        "from the call until another version is the default",
        "what the new version spares, and all if it is not set as default",
        _VERSIONS,
    ),
    _iam(
        "SetDefaultPolicyVersion",
        "what that version denies everything, wherever the policy is attached",
        "from the call until another version is the default",
        "what that version spares",
        _VERSIONS,
    ),
    _iam("DeletePolicyVersion", _NOTHING, "from then on", "only versions not in force can go", _VERSIONS),
    _iam("DeletePolicy", _NOTHING, "from then on", "only policies attached nowhere can go", _VERSIONS),
    _organizations("CreatePolicy", _NOTHING, "from then on", "it denies nothing until it is attached"),
    _organizations(
        "UpdatePolicy",
        "what the new content denies everything, wherever the policy is attached",
        "from the call until it is changed or detached",
        "the management account and service-linked roles",
    ),
    _organizations("DeletePolicy", _NOTHING, "from then on", "only policies attached nowhere can go"),
    _organizations(
        "AttachPolicy",
        "every principal of the account, root included, that the document denies everything",
        "from the call until it is detached",
        "the management account and service-linked roles; the accounts of a root or unit are not in the log",
    ),
    _organizations("DetachPolicy", _NOTHING, "from then on", "lifts the denials of that policy there"),
    _organizations(
        "MoveAccount",
        "every principal of the account that a document attached to where it is moved denies everything",
        "from the call until it is moved elsewhere",
        "what hangs above that place, which is not in the log",
    ),
    *(
        _organizations(name, _NOTHING, "from then on", "lifts the denials of all policies on that account")
        for name in ("RemoveAccountFromOrganization", "LeaveOrganization")
    ),
    _organizations(
        "DisablePolicyType",
        _NOTHING,
        "from then on, even if they are switched on again",
        "lifts the denials of all service control policies, if it is these that it switches off",
    ),
)

WITHOUT_EFFECT: Final[tuple[EventEffect, ...]] = (
    _iam(
        "DeleteLoginProfile",
        _NOTHING,
        "from then on",
        "stops new console sign-ins with the password; sessions that are open go on",
        _PASSWORDS,
    ),
    _iam("UpdateLoginProfile", _NOTHING, "from then on", "sessions opened with the old password", _PASSWORDS),
    _iam(
        "UpdateAssumeRolePolicy",
        _NOTHING,
        "from then on",
        "stops new assumptions that the trust policy no longer allows; sessions that are open go on",
        _TRUST,
    ),
    _iam(
        "RemoveRoleFromInstanceProfile",
        _NOTHING,
        "from then on",
        "stops new deliveries to the instance; credentials delivered before go on to their expiry",
        _ROLES,
    ),
)
"""Calls that are often taken for an ending, and are none."""
