"""
Files that may be given beside snapshots: credential reports, the longest sessions of roles, service control policies.

They are read as the AWS CLI prints them.
Sources: IAM User Guide, 'Generate credential reports for your AWS account'; IAM API Reference, 'ListRoles';
AWS Organizations API Reference, 'DescribePolicy'.
"""

from __future__ import annotations

import base64
import binascii
import codecs
import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from tokentrail.errors import UsageError
from tokentrail.formatting import quoted
from tokentrail.policy.account.permissions import Policy
from tokentrail.policy.account.snapshot import LONGEST, Snapshot
from tokentrail.policy.language.conditions import instant
from tokentrail.policy.language.documents import parse as parse_document

_HEAD = "user,arn,user_creation_time"
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
"""The beginnings of files to which Windows PowerShell redirected a program's output."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedKey:
    """A long-term access key in a credential report, which does not have its id."""

    number: int
    active: bool
    rotated: datetime | None
    last_used: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportedUser:
    """A line of a credential report."""

    name: str
    arn: str
    created: datetime | None
    password: bool
    password_used: datetime | None
    mfa: bool
    keys: tuple[ReportedKey, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A credential report: every user of one account, root included."""

    users: tuple[ReportedUser, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLengths:
    """By ARN of a role: the longest life of its sessions, in seconds."""

    of: Mapping[str, int]


def supplement(content: bytes, name: str) -> Report | SessionLengths | None:
    """
    Read a credential report or the output of `aws iam list-roles`; `None` if it is neither.

    Raises:
        UsageError: it is a report that can't be read.
    """
    form = "utf-16" if content.startswith(_UTF_16) else "utf-8"
    text = content[:LONGEST].decode(form, "replace").removeprefix("\ufeff").lstrip()
    if text.startswith(_HEAD):
        return _report(text, name)
    if not text.startswith("{"):
        return None
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    if "ReportFormat" in value and isinstance(value.get("Content"), str):
        try:
            plain = base64.b64decode(value["Content"], validate=True).decode("utf-8", "replace")
        except (binascii.Error, ValueError) as error:
            raise UsageError(
                f"{name}: the credential report in it can't be read; its Content is not Base64."
            ) from error
        return _report(plain, name)
    roles = value.get("Roles")
    return _lengths(roles) if isinstance(roles, list) and "RoleDetailList" not in value else None


def controls(content: bytes, name: str) -> tuple[Policy, ...]:
    """
    Read SCPs: a document, a list of documents, or what `aws organizations describe-policy` prints.

    Each may have `Targets` beside it, as `aws organizations list-targets-for-policy` prints them; it then binds the
    accounts among these, or all if the organisation's root is one. Which accounts a unit (OU) has, no target tells.

    Raises:
        UsageError: it holds none.
    """
    try:
        value = json.loads(content[:LONGEST])
    except (ValueError, RecursionError) as error:
        raise UsageError(
            f"{name}: no JSON. Give a service control policy, or what `aws organizations describe-policy` prints."
        ) from error
    found = tuple(_controls(value, name))
    if not found:
        raise UsageError(f"{name}: holds no service control policy (a document with a Statement).")
    return found


def under(snapshot: Snapshot, controls: Iterable[Policy]) -> Snapshot:
    """Let SCPs that were given apart bind an account, beside those that its snapshot tells."""
    binding = [one for one in controls if one.accounts is None or snapshot.account in one.accounts]
    return replace(snapshot, controls=(*(snapshot.controls or ()), *binding)) if binding else snapshot


def _controls(value: Any, name: str) -> Iterator[Policy]:
    """The SCPs of a value, with the accounts that its `Targets` name."""
    accounts = _targets(value.get("Targets")) if isinstance(value, dict) else None
    for one in _documents(value, name):
        yield one if accounts is None else replace(one, accounts=accounts)


def _targets(targets: Any) -> frozenset[str] | None:
    """
    The accounts among the targets of an SCP; `None` if there are no targets, or the root is one.

    Source: AWS Organizations API Reference, 'PolicyTargetSummary'.
    """
    if not isinstance(targets, list):
        return None
    listed = [one for one in targets if isinstance(one, dict)]
    if any(one.get("Type") == "ROOT" for one in listed):
        return None
    return frozenset(str(one.get("TargetId")) for one in listed if one.get("Type") == "ACCOUNT")


def _documents(value: Any, name: str) -> Iterator[Policy]:
    if isinstance(value, list):
        for one in value:
            yield from _controls(one, name)
    elif isinstance(value, dict) and "Statement" in value:
        yield Policy(label=f"SCP {quoted(name)}", document=parse_document(value))
    elif isinstance(value, dict):
        inner = next(
            (value[key] for key in ("Policy", "Policies", "ServiceControlPolicies") if key in value), None
        )
        if inner is not None:
            yield from _controls(inner, name)
        for key in ("Content", "Document"):
            if key in value:
                summary = value.get("PolicySummary")
                named = value.get("Name") or (summary.get("Name") if isinstance(summary, dict) else None)
                label = quoted(named if isinstance(named, str) else name)
                yield Policy(label=f"SCP {label}", document=parse_document(value[key]))


def _report(text: str, name: str) -> Report:
    try:
        users = tuple(_user(row) for row in csv.DictReader(io.StringIO(text)))
    except (csv.Error, KeyError) as error:
        raise UsageError(f"{name}: the credential report can't be read: {error}.") from error
    return Report(users=users)


def _user(row: Mapping[str, Any]) -> ReportedUser:
    return ReportedUser(
        name=quoted(row["user"] or ""),
        arn=row["arn"] or "",
        created=_moment(row.get("user_creation_time")),
        password=row.get("password_enabled") == "true",
        password_used=_moment(row.get("password_last_used")),
        mfa=row.get("mfa_active") == "true",
        keys=tuple(
            ReportedKey(
                number=number,
                active=row.get(f"access_key_{number}_active") == "true",
                rotated=_moment(row.get(f"access_key_{number}_last_rotated")),
                last_used=_moment(row.get(f"access_key_{number}_last_used_date")),
            )
            for number in (1, 2)
        ),
    )


def _moment(text: str | None) -> datetime | None:
    seconds = instant(text or "")  # `N/A` and `no_information` are no moment
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _lengths(roles: list[Any]) -> SessionLengths:
    found = {}
    for one in roles:
        if (
            isinstance(one, dict)
            and isinstance(one.get("Arn"), str)
            and isinstance(one.get("MaxSessionDuration"), int)
        ):
            found[one["Arn"]] = one["MaxSessionDuration"]
    return SessionLengths(of=found)
