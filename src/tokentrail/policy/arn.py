"""
The principal that an ARN of IAM or STS names.

Names of users and roles are unique in an account regardless of path and case, so that account, kind and name identify a
principal; logs and policies do not always agree on its path.
Source: IAM User Guide, 'IAM identifiers' and 'IAM and AWS STS quotas' (names are not distinguished by case).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from tokentrail.policy.document import quoted

Kind = Literal["user", "role", "root"]

_ARN = re.compile(r"arn:([a-z0-9-]+):(iam|sts)::([0-9]{12}):(.+)", re.DOTALL)
_ACCOUNT = re.compile(r"[0-9]{12}")
_OF_SESSIONS = re.compile(r"\A(arn:[^:]+):sts:(:\d*):assumed-role/([^/]+)(?:/.*)?\Z", re.DOTALL)
_RESERVED = re.compile(r":role/aws-reserved/|role/AWSReservedSSO_")
_NO_PATH = re.compile(r"\A(arn:[^:]+:iam::\d*:(?:user|role))(/[^/]+)\Z")
_WILD = re.compile(r"[*?$]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """An IAM user, a role or an account's root user, without path and session."""

    account: str
    kind: Kind
    name: str
    """In lower case; empty for root."""


def identity_of(arn: str) -> Identity | None:
    """
    The user, role or root user that an ARN names; for an assumed-role session, its role.

    `None` for anything else, also for federated users, whose ARN does not show the user behind them.
    """
    found = _ARN.fullmatch(arn)
    if found is None:
        return None
    _, service, account, resource = found.groups()
    if service == "iam" and resource == "root":
        return Identity(account=account, kind="root", name="")
    parts = resource.split("/")
    if len(parts) > 1 and parts[-1]:
        if service == "iam" and parts[0] == "user":
            return Identity(account=account, kind="user", name=parts[-1].casefold())
        if service == "iam" and parts[0] == "role":
            return Identity(account=account, kind="role", name=parts[-1].casefold())
        if service == "sts" and parts[0] == "assumed-role" and parts[1]:
            return Identity(account=account, kind="role", name=parts[1].casefold())
    return None


def role_arn(arn: str) -> str:
    """The ARN of a session's role, without path, as a session's ARN has none; any other ARN unchanged."""
    return _OF_SESSIONS.sub(r"\1:iam:\2:role/\3", arn)


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


def literally(arn: str) -> str:
    """
    A pattern that fits an ARN alone: one from a record may be forged, and `role/*` would bind, or spare, everybody.

    Source: IAM User Guide, 'IAM policy elements: Variables and tags' (`${*}`, `${?}`, `${$}`).
    """
    return _WILD.sub(r"${\g<0>}", arn)


def is_account(text: str | None) -> bool:
    """Whether a text is an account's id; a forged one may be `${aws:PrincipalAccount}`, which is anybody's."""
    return text is not None and _ACCOUNT.fullmatch(text) is not None


def account_of(arn: str) -> str | None:
    """The account in an ARN of IAM or STS; `None` for what AWS itself owns."""
    found = _ARN.fullmatch(arn)
    return found[3] if found else None


def partition_of(arn: str) -> str:
    """The partition of an ARN: `aws`, `aws-cn`, `aws-us-gov`."""
    found = _ARN.fullmatch(arn)
    return found[1] if found else "aws"


def reserved(arn: str) -> bool:
    """Whether Identity Center manages a role, so that only its permission set can be edited; IAM refuses calls."""
    return _RESERVED.search(arn) is not None


def titled(arn: str) -> str:
    """Name a principal in a sentence: `user support`, `role MyBucketRole`."""
    identity = identity_of(arn)
    if identity is None:
        return quoted(arn)
    if identity.kind == "root":
        return f"the root user of account {identity.account}"
    parts = arn.split(":", 5)[5].split("/")
    return f"{identity.kind} {quoted(parts[1] if parts[0] == 'assumed-role' else parts[-1])}"
