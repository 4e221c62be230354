"""Keys, passwords and roles that nobody has used for 90 days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from tokentrail.formatting import short
from tokentrail.prevention.estate import DAY, Estate, finding
from tokentrail.prevention.model import AuditFinding
from tokentrail.prevention.rule import Check

_NAME = "unused-credentials"
_DAYS = 90


def find(estate: Estate) -> Iterator[AuditFinding]:
    """Take what the credential report says of users, and the snapshot of roles."""
    for user in estate.reported:
        for key in user.keys:
            if key.active and _unused(estate, key.last_used, key.rotated or user.created):
                what = f"Key number {key.number} of {short(user.arn)}"
                yield _found(
                    user.arn,
                    f"key {key.number}",
                    what,
                    key.last_used,
                    "deactivate, then delete the key",
                )
        if user.password and _unused(estate, user.password_used, user.created):
            yield _found(
                user.arn,
                "password",
                f"The password of {short(user.arn)}",
                user.password_used,
                "remove the login profile",
            )
    for role in estate.roles:
        seen = role.arn in estate.evidence.used
        if (
            role.use_tracked
            and not seen
            and "/aws-reserved/" not in role.arn
            and _unused(estate, role.last_used, None)
        ):
            yield _found(
                role.arn,
                "role",
                f"{short(role.arn)}",
                role.last_used,
                "delete the role, or close its trust policy",
            )


def _unused(estate: Estate, last: datetime | None, made: datetime | None) -> bool:
    newest = max((one for one in (last, made) if one is not None), default=None)
    if newest is None:
        return True
    return (estate.as_of - newest).total_seconds() > _DAYS * DAY


def _found(arn: str, about: str, what: str, last: datetime | None, fix: str) -> AuditFinding:
    since = f"was last used on {last:%Y-%m-%d}" if last else "was never used, as far as IAM keeps track"
    return finding(
        _NAME, CHECK.title, "low" if about == "role" else "medium", arn, about=(about,),
        why=f"{what} works and {since}.", attack=CHECK.attack, whence=(arn,), whither=(arn,), lives=None,
        fix=f"{fix[0].upper()}{fix[1:]}: nobody will miss it.",
    )  # fmt: skip


CHECK = Check(
    id=_NAME,
    title=f"A credential or role has not been used for {_DAYS} days",
    severity="medium",
    attack="It lies in some old file or laptop, and nobody notices that somebody else uses it.",
    blocked="it was made or used within the time, or the case shows it in use",
    needs="credential report; for roles a snapshot",
    references=(
        "IAM User Guide, 'Generate credential reports for your AWS account'",
        "IAM API Reference, 'RoleLastUsed'",
    ),
    find=find,
)
