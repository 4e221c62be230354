"""Roles whose sessions may live far longer than any is used."""

from __future__ import annotations

import math
from collections.abc import Iterator

from tokentrail.formatting import short
from tokentrail.prevention.estate import HOUR, Estate, finding
from tokentrail.prevention.model import AuditFinding
from tokentrail.prevention.rule import Check

_NAME = "sessions-too-long"
_FAR = 2
"""Times as long as the longest use, in whole hours."""


def find(estate: Estate) -> Iterator[AuditFinding]:
    """Take each role whose longest session is known, and whose use the case shows."""
    for arn in sorted({*estate.evidence.used, *(one.arn for one in estate.roles)}):
        longest = estate.longest(arn, of_services=False)  # which a role's maximum doesn't bind
        used = estate.evidence.used.get(arn)
        if longest is None or longest <= HOUR or "/aws-service-role/" in arn or "/aws-reserved/" in arn:
            continue
        hours = max(1, math.ceil((used or 0) / HOUR))
        if used is None or longest < _FAR * hours * HOUR:
            continue
        yield finding(
            _NAME, CHECK.title, "low", arn,
            why=f"Sessions of {short(arn)} may live {longest / HOUR:g} hours; the longest use in the case lasted "
            f"{used // 60} minutes.",
            attack=CHECK.attack, whence=(arn,), whither=(arn,), lives=longest,
            fix=f"Set MaxSessionDuration to {hours * HOUR} (guardrail session-length).",
        )  # fmt: skip


CHECK = Check(
    id=_NAME,
    title="A role's sessions may live far longer than they are used",
    severity="low",
    attack="A stolen session goes on for hours after the work that it was meant for is done.",
    blocked="the longest use in the case comes near the limit",
    needs="case, with `aws iam list-roles`, or sessions longer than an hour in the case",
    references=("IAM User Guide, 'Update the maximum session duration for a role'",),
    find=find,
)
