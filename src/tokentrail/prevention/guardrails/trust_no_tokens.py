"""A role is not taken up with a token of an IAM user."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.prevention.alike import distrusted
from tokentrail.prevention.documents import NOT_SERVICES
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words
from tokentrail.prevention.rule import GuardrailRule, NotMade


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """Deny users' tokens each of the roles that the attacker took up with one."""
    roles = sorted({one.role for one in evidence.mints if one.theirs and one.caller_kind == "session_token"})
    condition = {
        "Null": {"aws:TokenIssueTime": "false"},
        "ArnLike": {"aws:PrincipalArn": f"arn:{evidence.partition}:iam::*:user/*"},
        "BoolIfExists": dict(NOT_SERVICES),
    }
    title = "{} can't be taken up with a user's token"
    return distrusted(roles, WORDS, "NoUserTokens", condition, title=title) or NotMade(
        "the attacker took up no role with a token of GetSessionToken"
    )


WORDS = Words(
    id="trust-no-tokens",
    title="An abused role can't be taken up with a user's token",
    prevents="A token of GetSessionToken, kept for 36 hours, can't take the role up again after the key was "
    "deactivated.",
    limits="The key itself still can, and who asks for a token with MFA first, or works in the console, can't "
    "any more.",
    stage=2,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="trust-policy",
    references=(
        "IAM User Guide, 'AWS global condition context keys', aws:TokenIssueTime (keys do not carry it)",
    ),
    make=make,
)
