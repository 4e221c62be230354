"""Users whose tokens are used without MFA."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tokentrail.formatting import short
from tokentrail.prevention.estate import TOKEN, TOKEN_LIFE, Estate, SeenKey, finding
from tokentrail.prevention.model import AuditFinding
from tokentrail.prevention.rule import Check

_NAME = "tokens-without-mfa"


def find(estate: Estate) -> Iterator[AuditFinding]:
    """Take each user with a token in the case that was minted without MFA and used."""
    by_user: dict[str, list[SeenKey]] = defaultdict(list)
    for one in estate.keys:
        if one.kind == "session_token" and one.used and one.mfa is False and one.principal:
            by_user[one.principal].append(one)
    for arn, tokens in sorted(by_user.items()):
        holder = estate.reach.user(arn)
        if holder is not None and estate.stops(holder, TOKEN):
            continue
        yield finding(
            _NAME, CHECK.title, "high", arn,
            why=f"{len(tokens):,} token{'s' if len(tokens) > 1 else ''} of {short(arn)} without MFA "
            f"{'were' if len(tokens) > 1 else 'was'} used: {', '.join(one.id for one in tokens[:3])}.",
            attack=CHECK.attack, whence=(arn,), whither=(arn,), lives=TOKEN_LIFE,
            fix="Deny the tokens everything without MFA (guardrail tokens-need-mfa), and ask whoever uses them to pass "
            "SerialNumber and TokenCode.",
        )  # fmt: skip


CHECK = Check(
    id=_NAME,
    title="Tokens of a user are used without MFA",
    severity="high",
    attack="The key alone is enough to come by a token that works as the user, for up to 36 hours.",
    blocked="policies deny the user's tokens without MFA what a thief from outside tries",
    needs="case",
    references=("AWS STS API Reference, 'GetSessionToken'",),
    find=find,
)
