"""
The condition keys of a principal's future requests, with whichever of its credentials, and which conditions they meet.

An attacker can choose the credential, the session's name and the time. Keys that depend on these are unknown, and what
they decide counts as possible.
Source: IAM User Guide, 'AWS global condition context keys'.
"""

from __future__ import annotations

from functools import lru_cache

from tokentrail.policy.arn import Identity, identity_of
from tokentrail.policy.conditions import Condition, all_hold, holds
from tokentrail.policy.context import Caller, context_of
from tokentrail.policy.document import Statement, quoted
from tokentrail.policy.truth import Truth
from tokentrail.policy.variables import Context

_OF_A_ROLES_SESSION = frozenset(
    {
        "aws:sourceidentity", "aws:signinsessionarn", "aws:federatedprovider", "ec2:sourceinstancearn",
        "ec2:roledelivery", "aws:ec2instancesourcevpc", "aws:ec2instancesourceprivateipv4",
    }
)  # fmt: skip
"""Keys that one session of a role has and another does not."""
_OF_A_ROOT_SESSION = frozenset({"aws:assumedroot", "aws:userid"})
_OF_THE_NAME = frozenset({"aws:principalarn", "aws:principaltype", "aws:userid", "aws:username"})
"""Keys for which a federated user's requests have other values than the IAM user's."""
_SPELLED = {
    key.casefold(): key
    for key in (
        "aws:CurrentTime", "aws:MultiFactorAuthAge", "aws:MultiFactorAuthPresent", "aws:PrincipalAccount",
        "aws:PrincipalArn", "aws:PrincipalOrgID", "aws:PrincipalOrgPaths", "aws:PrincipalType",
        "aws:RequestedRegion", "aws:SecureTransport", "aws:SourceAccount", "aws:SourceArn",
        "aws:SourceIdentity", "aws:SourceIp", "aws:SourceVpc", "aws:SourceVpce", "aws:TokenIssueTime",
        "aws:UserAgent", "aws:ViaAWSService", "aws:VpcSourceIp", "iam:PassedToService",
        "iam:PermissionsBoundary", "iam:PolicyARN", "sts:DurationSeconds", "sts:ExternalId",
        "sts:RoleSessionName", "sts:SourceIdentity", "sts:TransitiveTagKeys",
    )
}  # fmt: skip
"""By key in lower case, in which documents are parsed: AWS's spelling of keys that trust policies use."""


def context_for(arn: str, *, unique_id: str | None = None, known: bool = True) -> Context:
    """
    The condition keys that all requests of a user, role or root user have.

    Args:
        arn: The ARN of the user, role or root user.
        unique_id: A user's `AIDA...`, if known; not used for a role, since the session's name is open.
        known: Whether the ARN is from IAM; one from a log may lack its path.
    """
    identity = identity_of(arn)
    if identity is None:
        return {}
    context = context_of(_caller(arn, identity, unique_id))
    dropped = _dropped(identity)
    if not known and arn.count("/") == 1:
        dropped |= {"aws:principalarn"}
    return {key: value for key, value in context.items() if key not in dropped}


def _caller(arn: str, identity: Identity, unique_id: str | None) -> Caller:
    if identity.kind == "role":
        return Caller(kind="unknown", account=identity.account, role=arn)
    name = arn.rpartition("/")[2] if identity.kind == "user" else None
    return Caller(
        kind="unknown", account=identity.account, principal=arn, principal_id=unique_id, user_name=name
    )


def _dropped(identity: Identity) -> frozenset[str]:
    match identity.kind:
        case "role":
            return _OF_A_ROLES_SESSION
        case "root":
            return _OF_A_ROOT_SESSION
        case "user":
            return frozenset()


def federated(context: Context) -> Context:
    """
    The part of a user's context that holds for its federated users, too.

    Their permissions are the user's, restricted by a session policy; their names are their own.
    Source: IAM User Guide, 'Permissions for GetFederationToken'.
    """
    return {key: value for key, value in context.items() if key not in _OF_THE_NAME}


_Asked = tuple[tuple[Condition, ...], bool]
"""Conditions, and whether variables count in them."""


class Request:
    """A principal's requests, and which conditions hold for them; equal conditions are judged once."""

    def __init__(self, context: Context) -> None:
        """Begin with what is known of the requests."""
        self.context = context
        self._judged: dict[_Asked, Truth] = {}
        self._open: dict[_Asked, tuple[str, ...]] = {}

    def meets(self, statement: Statement, *, variables: bool) -> Truth:
        """Whether a statement's conditions hold."""
        if not statement.conditions:
            return Truth.YES
        asked = (statement.conditions, variables)
        truth = self._judged.get(asked)
        if truth is None:
            truth = all_hold(statement.conditions, self.context, variables=variables)
            self._judged[asked] = truth
        return truth

    def open_keys(self, statement: Statement, *, variables: bool) -> tuple[str, ...]:
        """The condition keys on which an undecided statement depends, as they are unknown or the attacker's choice."""
        asked = (statement.conditions, variables)
        keys = self._open.get(asked)
        if keys is None:
            found = {
                condition.key
                for condition in statement.conditions
                if holds(condition, self.context, variables=variables) is Truth.UNDECIDED
            }
            keys = self._open[asked] = tuple(sorted(_SPELLED.get(key, key) for key in found))
        return keys


@lru_cache(maxsize=1024)
def listed(keys: tuple[str, ...]) -> str:
    """Name condition keys in a sentence: each once, not too many."""
    return quoted(" and ".join(dict.fromkeys(keys)))
