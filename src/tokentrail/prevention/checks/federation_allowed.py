"""Users who may call GetFederationToken."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.formatting import short
from tokentrail.prevention.estate import KEY, TOKEN_LIFE, Estate, finding
from tokentrail.prevention.model import AuditFinding
from tokentrail.prevention.rule import Check

_NAME = "federation-allowed"


def find(estate: Estate) -> Iterator[AuditFinding]:
    """Take each user whose policies allow it."""
    active = {one.arn for one in estate.reported if any(key.active for key in one.keys)}
    told = {one.arn for one in estate.reported}
    for user in estate.users:
        keyless = user.arn in told and user.arn not in active
        if keyless or not estate.reach.may_federate(user.arn) or estate.stops(user, KEY):
            continue
        yield finding(
            _NAME, CHECK.title, "high", user.arn,
            why=f"The policies of {short(user.arn)} allow sts:GetFederationToken, or may.",
            attack=CHECK.attack, whence=(user.arn,), whither=(user.arn,), lives=TOKEN_LIFE,
            fix="Deny sts:GetFederationToken (guardrail no-federation-tokens): few programs use it.",
        )  # fmt: skip


CHECK = Check(
    id=_NAME,
    title="A user may call GetFederationToken",
    severity="high",
    attack="A leaked key becomes a federated console session under a name of the thief's choice: it outlives the key "
    "by 36 hours, and in the console it may call IAM, which the token itself may not.",
    blocked="policies do not allow it, or deny it; the credential report shows no active key",
    needs="snapshot",
    references=(
        "IAM User Guide, 'Permissions for GetFederationToken'",
        "CrowdStrike, 'How Adversaries Can Persist with AWS User Federation'",
    ),
    find=find,
)
