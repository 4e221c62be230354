"""Roles whose sessions can't be told apart by who is behind them."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.formatting import listed, short
from tokentrail.prevention.estate import Estate, finding
from tokentrail.prevention.model import AuditFinding
from tokentrail.prevention.rule import Check

_NAME = "no-attribution"


def find(estate: Estate) -> Iterator[AuditFinding]:
    """Take each role that several callers take up without a SourceIdentity."""
    came: dict[str, set[str]] = {}
    for one in estate.evidence.mints:
        if one.api == "AssumeRole" and one.caller_type != "AWSService" and one.caller and not one.attributed:
            came.setdefault(one.role, set()).add(one.caller)
    for role, these in sorted(came.items()):
        callers = sorted(these)
        if len(callers) < _SEVERAL:
            continue
        yield finding(
            _NAME, CHECK.title, "low", role,
            why=f"{listed(short(one) for one in callers)} take {short(role)} up without a SourceIdentity, "
            f"under names that they choose.",
            attack=CHECK.attack, whence=callers, whither=(role,), lives=estate.session_life(role),
            fix="Require sts:SourceIdentity in the trust policy (guardrail trust-source-identity).",
        )  # fmt: skip


_SEVERAL = 2
CHECK = Check(
    id=_NAME,
    title="Several take a role up, and nothing says who is behind a session",
    severity="low",
    attack="The thief's session looks like a colleague's: he takes the colleague's session name, and ending "
    "him ends the colleague.",
    blocked="every session carries a SourceIdentity, or the role has one caller",
    needs="case",
    references=("IAM User Guide, 'Monitor and control actions taken with assumed roles'",),
    find=find,
)
