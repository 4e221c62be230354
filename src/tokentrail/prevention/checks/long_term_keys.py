"""Long-term keys from which 36-hour tokens can be minted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tokentrail.formatting import short
from tokentrail.prevention.estate import KEY, TOKEN, TOKEN_LIFE, Estate, finding
from tokentrail.prevention.model import AuditFinding
from tokentrail.prevention.rule import Check

_NAME = "long-term-keys"


def find(estate: Estate) -> Iterator[AuditFinding]:
    """Take each user with an active key whose tokens nothing stops."""
    active = {one.arn: sum(key.active for key in one.keys) for one in estate.reported}
    known = {one.arn for one in estate.users} | set(active)
    known |= {one.principal for one in estate.keys if one.kind == "long_term_key" and one.principal}
    seen = Counter(
        one.principal for one in estate.keys if one.kind == "long_term_key" and one.state == "active"
    )
    tokens_of = Counter(one.principal for one in estate.keys if one.kind == "session_token")
    for arn in sorted(known):
        count = active.get(arn, seen[arn])
        holder = estate.reach.user(arn)
        if not count or (holder is not None and estate.stops(holder, TOKEN) and estate.stops(holder, KEY)):
            continue
        tokens = holder is None or not estate.stops(holder, TOKEN)
        minted = tokens_of[arn]
        keys = f"{count} active key{'s' if count > 1 else ''}"
        yield finding(
            _NAME, CHECK.title, "high" if tokens else "medium", arn,
            why=f"{short(arn)} has {keys}; GetSessionToken needs no permission and can't be denied"
            + (f", and the case shows {minted:,} such token{'s' if minted > 1 else ''}." if minted else "."),
            attack=CHECK.attack if tokens else "Whoever has the key uses it until somebody deactivates it.",
            whence=(arn,), whither=(arn,), lives=TOKEN_LIFE if tokens else None,
            fix="Replace the key by a role or Identity Center; until then deny the user's tokens everything without "
            "MFA (guardrail tokens-need-mfa) and everything from elsewhere (keys-from-known-networks).",
        )  # fmt: skip


CHECK = Check(
    id=_NAME,
    title="A long-term key can mint 36-hour tokens that outlive it",
    severity="high",
    attack="Whoever has the key mints a token by one call that nobody can refuse; it lives 36 hours, is listed "
    "nowhere, and goes on after the key was deactivated or deleted.",
    blocked="policies deny the user's tokens without MFA, and the key, what a thief from outside tries",
    needs="snapshot, credential report or case",
    references=(
        "IAM User Guide, 'Permissions for GetSessionToken'",
        "AWS STS API Reference, 'GetSessionToken'",
    ),
    find=find,
)
