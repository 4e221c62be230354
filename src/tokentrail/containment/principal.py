"""
The principals that credentials act as, told apart by account, kind and name.

A name is unique in its account whatever its path and case, and not every ARN in a trail carries the path (IAM User
Guide, 'IAM identifiers', 'IAM and AWS STS quotas'), so that ARNs alone do not tell whether two are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from tokentrail.policy.arn import literally, reserved, under_any_path
from tokentrail.policy.context import Caller, principal_of
from tokentrail.spelling import short

PrincipalKind = Literal["user", "role", "root", "unknown"]
_ARN = re.compile(r"arn:([^:]+):(?:iam|sts)::(\d*):(.+)", re.DOTALL)
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
PARTITIONS = ("aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc")
"""AWS's partitions (AWS General Reference, 'Amazon Resource Names')."""
_NAMES = frozenset({"userName", "newUserName", "roleName", "groupName"})
_ACCOUNT = 4
"""The place of the account among an ARN's parts, from 0."""
_SERVICE_LINKED = "/aws-service-role/"
_RESERVED_NAME = "AWSReservedSSO_"
_MARK = re.compile(rf"/{_RESERVED_NAME}.+_([0-9a-f]+)$")
"""The end of a role's name that differs between accounts (IAM Identity Center User Guide, 'Permission sets')."""


@dataclass(frozen=True, slots=True, eq=False)
class Principal:
    """
    A user, a role or an account's root: to whom IAM attaches policies, or who owns the account.

    Two are the same whose names differ in case alone, as a request may spell a name otherwise than an ARN does.
    """

    account: str
    kind: PrincipalKind
    name: str
    """As IAM spells it, without path."""

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Principal)
            and self.account == other.account
            and self.kind == other.kind
            and (self.name == other.name or self._own_name == other._own_name)
        )

    def __hash__(self) -> int:
        return hash((self.account, self.kind, self._own_name))

    def __lt__(self, other: Principal) -> bool:
        return (self.account, self.kind, self.name) < (other.account, other.kind, other.name)

    @property
    def _own_name(self) -> str:
        """The name as IAM tells it apart; what is unknown is called by an ARN."""
        return self.name if self.kind == "unknown" else caseless(self.name)

    @property
    def is_root(self) -> bool:
        """Whether it is an account's root user, whom IAM policies don't bind."""
        return self.kind == "root"

    @property
    def is_host(self) -> bool:
        """
        Whether it is an instance identity role such as `aws:ec2-instance`, which no identity or resource policy binds.

        Its name could not be a role's in IAM. Sources: Amazon EC2 User Guide, 'Instance identity roles'; IAM User
        Guide, 'IAM and AWS STS quotas' (names).
        """
        return self.kind == "role" and _ROLE_NAME.fullmatch(self.name) is None

    @property
    def is_named(self) -> bool:
        """Whether IAM calls can name it: a user or role whose account and name are known."""
        return self.kind in ("user", "role") and bool(self.account and self.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPrincipal:
    """A principal, and what the evidence shows of it."""

    principal: Principal
    arn: str
    unique_id: str | None = None
    """`AROA…` or `AIDA…`, if the evidence shows it."""
    path_told: bool = True
    """Whether the evidence shows which path its ARN has, if any."""

    @property
    def pattern(self) -> str:
        """A pattern that `aws:PrincipalArn` of its credentials matches; Identity Center's roles always have a path."""
        return literally(self.arn) if self.path_told and not self.reserved else under_any_path(self.arn)

    @property
    def service_linked(self) -> bool:
        """Whether AWS alone may change it (IAM User Guide, 'Using service-linked roles')."""
        return _SERVICE_LINKED in self.arn or self.principal.is_host

    @property
    def reserved(self) -> bool:
        """Whether Identity Center manages it, so that IAM calls can't edit it (IAM User Guide, 'Revoke sessions')."""
        return reserved(self.arn)


def caseless(name: str) -> str:
    """A name of IAM's without case, as it tells names apart."""
    return name.casefold()


def told_caseless(member: str, value: str | None) -> str | None:
    """What a request tells in a member, to compare: names of users, roles and groups without case."""
    return caseless(value) if value is not None and member in _NAMES else value


def of_arn(arn: str | None) -> Principal | None:
    """
    The principal of an ARN: a user's, a role's or root's own, or that of a role's session.

    `None` for a federated user's, which does not show the user behind it.
    """
    found = _ARN.fullmatch(arn or "")
    if found is None:
        return None
    account, resource = found[2], found[3]
    kind, _, rest = resource.partition("/")
    if resource == "root":
        return Principal(account, "root", "root")
    if kind == "assumed-role" and rest:
        return Principal(account, "role", rest.split("/")[0])
    if kind == "role" and rest:
        return Principal(account, "role", rest.rpartition("/")[2])
    if kind == "user" and rest:
        return Principal(account, "user", rest.rpartition("/")[2])
    return None


def role_told(told: str, account: str) -> Principal | None:
    """
    The role that a request names by its ARN or by its name, which its path may precede.

    `None` if it can't be a role's name, such as a reference to a parameter. Sources: AWS Systems Manager API Reference,
    'CreateActivation' (the path); IAM User Guide, 'IAM and AWS STS quotas' (names).
    """
    if told.startswith("arn:"):
        return of_arn(told)
    found = _ROLE_NAME.fullmatch(told.rpartition("/")[2])
    return Principal(account, "role", found[0]) if found else None


def of_caller(caller: Caller) -> Principal:
    """
    The principal whose policies bind a credential; for a federated user, the user behind it.

    No policies bind root's federated users, which count as root's credentials (AWS STS API Reference,
    'GetFederationToken'; the record's `sessionIssuer`).
    """
    sort = principal_of(caller)
    account = caller.account or ""
    if sort == "root":
        return Principal(account, "root", "root")
    if sort == "role":
        found = of_arn(caller.role) or of_arn(caller.principal)
        if found is not None:
            return found
    if sort in ("user", "federated_user"):
        found = of_arn(caller.principal) if sort == "user" else None
        if found is not None and found.kind == "user":
            return found
        if caller.user_name:
            return Principal(account, "user", caller.user_name)
    behind = of_arn(caller.behind) if sort == "federated_user" else None
    if behind is not None and behind.is_root:
        return behind
    return Principal(account, "unknown", caller.principal or "")


def arn_of(principal: Principal, partition: str = "aws") -> str:
    """An ARN of a principal, without path."""
    if principal.kind == "root":
        return f"arn:{partition}:iam::{principal.account}:root"
    return f"arn:{partition}:iam::{principal.account}:{principal.kind}/{principal.name}".rstrip("/")


def permission_set(role: Principal) -> str:
    """The permission set of a role of Identity Center, taken from the middle of the role's name."""
    return role.name.removeprefix(_RESERVED_NAME).rpartition("_")[0] or role.name


def in_any_account(arn: str) -> str:
    """A pattern for an ARN in any account, where the role of the same permission set ends in another mark."""
    *before, _, resource = arn.split(":", 5)
    mark = _MARK.search(resource)
    resource = resource[: mark.start(1)] + "?" * len(mark[1]) if mark else resource
    return ":".join([*before, "*", resource])


def partition_in(arns: Iterable[str], account: str) -> str:
    """
    The partition of an account, by known ARNs: of the account itself, or else of any other.

    An organisation lies in one partition (AWS General Reference, 'Amazon Resource Names'). ARNs that are made up, where
    the evidence has none, are in `aws`, so that any other partition takes precedence.
    """
    own, others = set[str](), set[str]()
    for arn in arns:
        parts = arn.split(":")
        if len(parts) > _ACCOUNT and parts[1]:
            (own if parts[_ACCOUNT] == account else others).add(parts[1])
    found = sorted((own or others) - {"aws"})
    return found[0] if found else "aws"


def short_apart(arns: Sequence[str]) -> list[str]:
    """ARNs in short form, with their accounts if these differ, since roles of several accounts often share a name."""
    accounts = {arn.split(":")[4] for arn in arns if arn.startswith("arn:") and arn.count(":") > 4} - {""}
    if len(accounts) < 2:
        return [short(one) for one in arns]
    return [f"{short(one)} in {one.split(':')[4]}" if one.startswith("arn:") else one for one in arns]
