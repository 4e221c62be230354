"""
The principals that credentials act as (users, roles, root users), and the ARNs that name them.

A name is unique in its account whatever its path and case, and not every ARN in a trail carries the path, so that
account, kind and name tell principals apart, and ARNs alone do not.
Source: IAM User Guide, 'IAM identifiers' and 'IAM and AWS STS quotas' (names are not distinguished by case).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Literal

from tokentrail.formatting import quoted, short

PrincipalKind = Literal["user", "role", "root", "unknown"]
PARTITIONS = ("aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc")
"""AWS's partitions (AWS General Reference, 'Amazon Resource Names')."""
IAM_REGIONS = frozenset({
    "us-east-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1",
    "us-isof-south-1",
})  # fmt: skip
"""
Where IAM's calls are logged, one a partition of AWS.

CloudTrail User Guide, 'About global service events'; the regions are those of IAM's endpoints (the SDK's list of
partitions).
"""
_ARN = re.compile(r"arn:([^:]+):(iam|sts)::(\d*):(.+)", re.DOTALL)
_ACCOUNT = re.compile(r"[0-9]{12}")
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_OF_SESSIONS = re.compile(r"\A(arn:[^:]+):sts:(:\d*):assumed-role/([^/]+)(?:/.*)?\Z", re.DOTALL)
_RESERVED = re.compile(r":role/aws-reserved/|role/AWSReservedSSO_")
_RESERVED_NAME = "AWSReservedSSO_"
_MARK = re.compile(rf"/{_RESERVED_NAME}.+_([0-9a-f]+)$")
"""The end of a role's name that differs between accounts (IAM Identity Center User Guide, 'Permission sets')."""
_NO_PATH = re.compile(r"\A(arn:[^:]+:iam::\d*:(?:user|role))(/[^/]+)\Z")
_WILD = re.compile(r"[*?$]")
_NAMES = frozenset({"userName", "newUserName", "roleName", "groupName"})
_ACCOUNT_PART = 4
"""The place of the account among an ARN's parts, from 0."""
_SERVICE_LINKED = "/aws-service-role/"
_REMEMBERED = 1000
"""How long an ARN is at most whose principal is remembered: longer ones are forged, and would fill the memory."""


# ---------------------------------------------------------------- principals


@dataclass(frozen=True, slots=True, eq=False)
class Principal:
    """
    A user, a role or an account's root: to whom IAM attaches policies, or who owns the account.

    Two are the same whose names differ in case alone, as a request may spell a name otherwise than an ARN does.
    """

    account: str
    kind: PrincipalKind
    name: str
    """As IAM spells it, without path; `root` for a root user."""
    _own_name: str = field(init=False, repr=False)
    """The name as IAM tells it apart; what is unknown is called by an ARN."""

    def __post_init__(self) -> None:
        own_name = self.name if self.kind == "unknown" else caseless(self.name)
        object.__setattr__(self, "_own_name", own_name)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Principal)
            and self.account == other.account
            and self.kind == other.kind
            and self._own_name == other._own_name
        )

    def __hash__(self) -> int:
        return hash((self.account, self.kind, self._own_name))

    def __lt__(self, other: Principal) -> bool:
        return (self.account, self.kind, self.name) < (other.account, other.kind, other.name)

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


def principal_of_arn(arn: str | None) -> Principal | None:
    """
    The principal of an ARN: a user's, a role's or root's own, or that of a role's session.

    `None` for anything else, also for a federated user's, which does not show the user behind it.
    """
    if arn is None:
        return None
    return _principal_of_arn(arn) if len(arn) <= _REMEMBERED else _principal_of_arn.__wrapped__(arn)


@lru_cache(maxsize=4096)  # a case names few principals, each many times
def _principal_of_arn(arn: str) -> Principal | None:
    found = _ARN.fullmatch(arn)
    if found is None:
        return None
    service, account, resource = found[2], found[3], found[4]
    kind, _, rest = resource.partition("/")
    if resource == "root":
        return Principal(account, "root", "root")
    if service == "sts":
        name = rest.split("/")[0] if kind == "assumed-role" else ""
        return Principal(account, "role", name) if name else None
    name = rest.rpartition("/")[2]
    if kind == "role" and name:
        return Principal(account, "role", name)
    if kind == "user" and name:
        return Principal(account, "user", name)
    return None


def arn_of(principal: Principal, partition: str = "aws") -> str:
    """An ARN of a principal, without path."""
    if principal.kind == "root":
        return f"arn:{partition}:iam::{principal.account}:root"
    return f"arn:{partition}:iam::{principal.account}:{principal.kind}/{principal.name}".rstrip("/")


def role_named(text: str, account: str) -> Principal | None:
    """
    The role that a request names by its ARN or by its name, which its path may precede.

    `None` if it can't be a role's name, such as a reference to a parameter. Sources: AWS Systems Manager API Reference,
    'CreateActivation' (the path); IAM User Guide, 'IAM and AWS STS quotas' (names).
    """
    if text.startswith("arn:"):
        return principal_of_arn(text)
    found = _ROLE_NAME.fullmatch(text.rpartition("/")[2])
    return Principal(account, "role", found[0]) if found else None


def permission_set(role: Principal) -> str:
    """The permission set of a role of Identity Center, taken from the middle of the role's name."""
    return role.name.removeprefix(_RESERVED_NAME).rpartition("_")[0] or role.name


# ---------------------------------------------------------------- names


def caseless(name: str) -> str:
    """A name of IAM's without case, as it tells names apart."""
    return name.casefold()


def told_caseless(member: str, value: str | None) -> str | None:
    """What a request tells in a member, to compare: names of users, roles and groups without case."""
    return caseless(value) if value is not None and member in _NAMES else value


def titled(arn: str) -> str:
    """Name a principal in a sentence: `user support`, `role MyBucketRole`."""
    principal = principal_of_arn(arn)
    if principal is None:
        return quoted(arn)
    if principal.is_root:
        return f"the root user of account {principal.account}"
    return f"{principal.kind} {quoted(principal.name)}"


def short_apart(arns: Sequence[str]) -> list[str]:
    """ARNs in short form, with their accounts if these differ, since roles of several accounts often share a name."""
    accounts = {
        arn.split(":")[_ACCOUNT_PART]
        for arn in arns
        if arn.startswith("arn:") and arn.count(":") > _ACCOUNT_PART
    } - {""}
    if len(accounts) < 2:
        return [short(arn) for arn in arns]
    return [
        f"{short(arn)} in {arn.split(':')[_ACCOUNT_PART]}" if arn.startswith("arn:") else arn for arn in arns
    ]


# ---------------------------------------------------------------- ARNs


def is_account(text: str | None) -> bool:
    """Whether a text is an account's id; a forged one may be `${aws:PrincipalAccount}`, which is anybody's."""
    return text is not None and _ACCOUNT.fullmatch(text) is not None


def account_of(arn: str) -> str | None:
    """The account in an ARN of IAM or STS; `None` for what AWS itself owns."""
    found = _ARN.fullmatch(arn)
    return found[3] if found and is_account(found[3]) else None


def partition_of(arn: str) -> str:
    """The partition of an ARN: `aws`, `aws-cn`, `aws-us-gov`."""
    found = _ARN.fullmatch(arn)
    return found[1] if found else "aws"


def partition_in(arns: Iterable[str], account: str) -> str:
    """
    The partition of an account, by known ARNs: of the account itself, or else of any other.

    An organisation lies in one partition (AWS General Reference, 'Amazon Resource Names'). ARNs that are made up, where
    the evidence has none, are in `aws`, so that any other partition takes precedence.
    """
    own, others = set[str](), set[str]()
    for arn in arns:
        parts = arn.split(":")
        if len(parts) > _ACCOUNT_PART and parts[1]:
            (own if parts[_ACCOUNT_PART] == account else others).add(parts[1])
    found = sorted((own or others) - {"aws"})
    return found[0] if found else "aws"


def reserved(arn: str) -> bool:
    """Whether Identity Center manages a role, so that only its permission set can be edited; IAM refuses calls."""
    return _RESERVED.search(arn) is not None


def role_arn(arn: str) -> str:
    """The ARN of a session's role, without path, as a session's ARN has none; any other ARN unchanged."""
    return _OF_SESSIONS.sub(r"\1:iam:\2:role/\3", arn)


# ---------------------------------------------------------------- patterns for ARNs in conditions


def literally(arn: str) -> str:
    """
    A pattern that fits an ARN alone: one from a record may be forged, and `role/*` would bind, or spare, everybody.

    Source: IAM User Guide, 'IAM policy elements: Variables and tags' (`${*}`, `${?}`, `${$}`).
    """
    return _WILD.sub(r"${\g<0>}", arn)


def under_any_path(arn: str) -> str:
    """
    A pattern for the ARN of a user or role whose path is not known, that matches its name under any path.

    `aws:PrincipalArn` includes the path, so that a condition without it would match nobody; and a name is unique in its
    account whatever its path. Sources: IAM User Guide, 'AWS global condition context keys' and 'IAM identifiers'.
    """
    return _NO_PATH.sub(r"\1*\2", literally(arn))


def in_conditions(arn: str) -> str:
    """A pattern for the `aws:PrincipalArn` of an ARN's principal; for a session, its role's under any path."""
    return under_any_path(role_arn(arn)) if _OF_SESSIONS.match(arn) else literally(arn)


def in_any_account(arn: str) -> str:
    """A pattern for an ARN in any account, where the role of the same permission set ends in another mark."""
    *before, _, resource = arn.split(":", 5)
    mark = _MARK.search(resource)
    resource = resource[: mark.start(1)] + "?" * len(mark[1]) if mark else resource
    return ":".join([*before, "*", resource])
