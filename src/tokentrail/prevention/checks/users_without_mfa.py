"""Users who sign in, or call, with a password or key alone, as they have no MFA device."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.formatting import short
from tokentrail.policy.account.supplements import ReportedUser
from tokentrail.prevention.estate import KEY, TOKEN, Estate, finding
from tokentrail.prevention.model import AuditFinding
from tokentrail.prevention.rule import Check

_NAME = "users-without-mfa"
_ROOT = "<root_account>"
"""How a credential report names the root user (IAM User Guide, 'Generate credential reports for your AWS account')."""


def find(estate: Estate) -> Iterator[AuditFinding]:
    """Take each user of the credential reports who has a password or an active key, and no MFA device."""
    for user in estate.reported:
        keys = sum(key.active for key in user.keys)
        root = user.name == _ROOT
        if user.mfa or not (keys or user.password or root) or _stopped(estate, user, keys=keys):
            continue
        has = ["a password"] if user.password or root else []
        has += [f"{keys} active key{'s' if keys > 1 else ''}"] if keys else []
        yield finding(
            _NAME, CHECK.title, "high" if root or user.password else "medium", user.arn,
            why=f"{short(user.arn)} has {' and '.join(has)}, and no MFA device.",
            attack=CHECK.attack, whence=(user.arn,), whither=(user.arn,), lives=None,
            fix="Register an MFA device for the user; then deny what is done without MFA (guardrail user-needs-mfa). "
            "Where nobody needs the password or the key, delete it.",
        )  # fmt: skip


def _stopped(estate: Estate, user: ReportedUser, *, keys: int) -> bool:
    """Whether policies deny the user's keys and tokens without MFA; a password signs in whatever they say."""
    holder = estate.reach.user(user.arn)
    denied = holder is not None and estate.stops(holder, KEY) and estate.stops(holder, TOKEN)
    return denied and keys > 0 and not user.password


CHECK = Check(
    id=_NAME,
    title="A user has no MFA device",
    severity="high",
    attack="Whoever has the password signs in to the console, and whoever has the key calls: nothing else is asked "
    "for. A thief who may call iam:EnableMFADevice registers a device of his own, and then passes for MFA.",
    blocked="the user has neither a password nor an active key, or policies deny the key without MFA what a thief "
    "from outside tries",
    needs="credential report",
    references=(
        "IAM User Guide, 'Generate credential reports for your AWS account' (`mfa_active`, `password_enabled`)",
        "IAM User Guide, 'AWS Multi-factor authentication in IAM'",
    ),
    find=find,
)
