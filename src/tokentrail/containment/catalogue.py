"""
The actions that a plan may have: what each ends, what it leaves, and whom else it affects, in words.

Each fact is stated here once. Whether an action's calls end a given credential is judged by `policy.effects`, by the
same rules by which the state of a credential is read from the log.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from tokentrail.containment.model import Action

_KEYS = "IAM User Guide, 'Manage access keys for IAM users'"
_API_KEYS = "Amazon Bedrock User Guide, 'Handle compromised long-term and short-term API keys'"
_REVOKE = "IAM User Guide, 'Revoking IAM role temporary security credentials'"
_DISABLE = "IAM User Guide, 'Disabling permissions for temporary security credentials'"
_SCPS = "AWS Organizations User Guide, 'Service control policies (SCPs)'"
_TRUST = "IAM User Guide, 'Update a role trust policy'"
_USERS = "IAM User Guide, 'Remove or deactivate an IAM user'"
_PORTAL = "IAM Identity Center User Guide, 'Revoke active IAM role sessions for user permission sets'"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionFacts:
    """What one action does, in words."""

    action: Action
    ends: str
    leaves: str
    hits: str
    """Whom else it affects."""
    reversible: bool
    """Whether a call undoes it: `inverses` tells which."""
    needs: tuple[str, ...]
    source: str


def _facts(
    action: Action,
    ends: str,
    leaves: str,
    hits: str,
    needs: str,
    source: str,
    *,
    reversible: bool = True,
) -> ActionFacts:
    return ActionFacts(
        action=action, ends=ends, leaves=leaves, hits=hits, reversible=reversible,
        needs=tuple(needs.split()), source=source,
    )  # fmt: skip


_ALL: Final = (
    _facts(
        "deactivate-key", "the long-term key", "every token minted with it, and the user's other keys",
        "whoever uses the key legitimately",
        "iam:UpdateAccessKey iam:ListAccessKeys", _KEYS,
    ),
    _facts(
        "deactivate-api-key", "the API key (service-specific credential)", "the user's other keys",
        "whoever uses the API key legitimately",
        "iam:UpdateServiceSpecificCredential iam:ListServiceSpecificCredentials", _API_KEYS,
    ),
    _facts(
        "delete-key", "the long-term key, for good", "every token minted with it, and the user's other keys",
        "whoever uses the key legitimately", "iam:DeleteAccessKey", _KEYS,
        reversible=False,
    ),
    _facts(
        "delete-created-key", "a long-term key that the attacker made, for good", "every token minted with it",
        "nobody", "iam:DeleteAccessKey", _KEYS, reversible=False,
    ),
    _facts(
        "revoke-user-sessions",
        "the user's session tokens, federation tokens and console sessions issued before the cutoff",
        "long-term keys, which carry no issue time; role sessions minted with the tokens",
        "everybody who works as this user with a token: they mint a new one",
        "iam:PutUserPolicy iam:GetUserPolicy", _DISABLE,
    ),
    _facts(
        "deny-user", "all credentials of the user, keys included, for as long as the policy stands",
        "role sessions minted with them", "everybody and everything that works as this user",
        "iam:PutUserPolicy iam:GetUserPolicy", _DISABLE,
    ),
    _facts(
        "revoke-role-sessions", "the role's sessions issued before the cutoff",
        "new sessions of whoever can assume the role; sessions of other roles",
        "everybody in the role: they sign in or assume it again; a workload stops until its next session",
        "iam:PutRolePolicy iam:GetRolePolicy", _REVOKE,
    ),
    _facts(
        "deny-sessions", "the sessions that are listed, and those issued while nobody could see them",
        "all other sessions of the principal; new sessions of whoever can assume the role", "none seen",
        "iam:PutRolePolicy iam:PutUserPolicy", _DISABLE,
    ),
    _facts(
        "deny-role", "all sessions of the role, later ones too, for as long as the policy stands",
        "sessions of other roles minted with them", "everybody and everything in the role",
        "iam:PutRolePolicy iam:GetRolePolicy", _DISABLE,
    ),
    _facts(
        "freeze-role", "nothing: the role's sessions mint no more", "all sessions, for all but sts and iam calls",
        "whatever in the role assumes other roles or calls IAM", "iam:PutRolePolicy", _DISABLE,
    ),
    _facts(
        "delete-user", "the user with all its credentials, for good", "role sessions minted with them",
        "everybody and everything that works as this user", "iam:DeleteUser", _USERS, reversible=False,
    ),
    _facts(
        "delete-created-user", "a user that the attacker made, with all its credentials, for good",
        "role sessions minted with them", "nobody", "iam:DeleteUser iam:DeleteAccessKey iam:DeleteLoginProfile "
        "iam:DeleteUserPolicy iam:DetachUserPolicy iam:RemoveUserFromGroup iam:DeactivateMFADevice", _USERS,
        reversible=False,
    ),
    _facts(
        "remove-login-profile", "nothing: the password opens no new console session", "console sessions that are open",
        "the user, who needs a new password", "iam:DeleteLoginProfile", _USERS,
        reversible=False,
    ),
    _facts(
        "revert-trust", "nothing: strangers whom the attacker let in can't assume the role any more",
        "sessions that are open", "nobody who was trusted before",
        "iam:UpdateAssumeRolePolicy iam:GetRole", _TRUST, reversible=False,
    ),
    _facts(
        "edit-trust", "nothing: nobody can assume the role any more", "sessions that are open",
        "everybody who assumes the role", "iam:UpdateAssumeRolePolicy", _TRUST,
    ),
    _facts(
        "attach-quarantine", "nothing: it denies a list of actions, and sts:AssumeRole is not among them",
        "all credentials of the user", "the user", "iam:AttachUserPolicy",
        "AWS Managed Policy Reference, 'AWSCompromisedKeyQuarantineV3'",
    ),
    _facts(
        "isolate-instance", "nothing: the host hands no further session to the thief", "sessions that it handed out",
        "whatever runs on the host", "", "Amazon EC2 User Guide, 'Instance metadata and user data'; "
        "AWS Lambda API Reference, 'PutFunctionConcurrency'; Amazon ECS API Reference, 'StopTask'; AWS CodeBuild API "
        "Reference, 'StopBuild'",
    ),
    _facts(
        "scp-deny", "all that the named principals do, issued before the cutoff if there is one",
        "the management account, service-linked roles, and other accounts", "everybody who acts as these principals",
        "organizations:CreatePolicy organizations:AttachPolicy", _SCPS,
    ),
    _facts(
        "revoke-sign-in-sessions", "nothing: the sign-in session refreshes its credentials no more",
        "credentials that it handed out, for up to an hour", "nobody else",
        "signin:BatchRevokeSessions", "AWS Sign-In API Reference, 'BatchRevokeSessions'", reversible=False,
    ),
    _facts(
        "disable-identity-center-user", "nothing: the portal hands out no further session", "sessions that are open",
        "the person", "", _PORTAL,
    ),
)  # fmt: skip

CATALOGUE: Final[dict[Action, ActionFacts]] = {one.action: one for one in _ALL}

OUTLIVES: Final = (
    "open SSM sessions and shells", "open database connections", "ECR, CodeArtifact and EKS tokens",
    "KMS grants", "bucket and resource policies that name strangers", "instances and functions that run",
    "presigned URLs until they expire", "secrets that were read",
)  # fmt: skip
"""What goes on under a deny, since IAM is not asked again for it (IAM User Guide, 'Disabling permissions ...')."""
