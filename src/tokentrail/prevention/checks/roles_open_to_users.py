"""Roles that users take up without MFA, address, ExternalId or SourceIdentity."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tokentrail.formatting import listed, short
from tokentrail.policy.account.holders import User
from tokentrail.prevention.estate import KEY, Estate, finding
from tokentrail.prevention.model import AuditFinding
from tokentrail.prevention.rule import Check

_NAME = "roles-open-to-users"


def find(estate: Estate) -> Iterator[AuditFinding]:
    """Take each role that some user may take up whatever the request carries."""
    open_to: dict[str, list[User]] = defaultdict(list)
    for user in estate.users:
        ways = [role for role, certain in estate.assumable[user.arn] if certain]
        if ways and not estate.stops(user, KEY):
            for role in ways:
                open_to[role].append(user)
    for role, users in sorted(open_to.items()):
        yield finding(
            _NAME, CHECK.title, "medium", role,
            why=f"{listed(short(one.arn) for one in users)} may take {short(role)} up; neither its trust policy nor "
            "theirs asks for MFA, an address, an ExternalId or a SourceIdentity.",
            attack=CHECK.attack, whence=(one.arn for one in users), whither=(role,), lives=estate.session_life(role),
            fix="Add to the trust policy what only its owner can show: aws:MultiFactorAuthPresent, aws:SourceIp, "
            "sts:SourceIdentity (guardrails trust-needs-mfa, trust-known-networks).",
        )  # fmt: skip


CHECK = Check(
    id=_NAME,
    title="Users take a role up with nothing but a key",
    severity="medium",
    attack="A leaked key becomes the role's session, from anywhere and under any name; deactivating the key "
    "does not end it.",
    blocked="any policy asks for something that the request may lack, or denies the key what a thief from "
    "outside tries",
    needs="snapshot",
    references=("IAM User Guide, 'IAM roles trust policies'", "AWS STS API Reference, 'AssumeRole'"),
    find=find,
)
