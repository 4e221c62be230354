"""A role is taken up with MFA only."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.prevention.alike import NO_ROLE, distrusted
from tokentrail.prevention.documents import NOT_SERVICES
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words
from tokentrail.prevention.rule import GuardrailRule, NotMade


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """Deny IAM users each of the roles without MFA; sessions of roles can't bring any."""
    condition = {
        "BoolIfExists": {"aws:MultiFactorAuthPresent": "false"} | NOT_SERVICES,
        "ArnLike": {"aws:PrincipalArn": f"arn:{evidence.partition}:iam::*:user/*"},
    }
    title = "Users take {} up with MFA only"
    return distrusted(evidence.roles_assumed(), WORDS, "UsersNeedMfa", condition, title=title) or NO_ROLE


WORDS = Words(
    id="trust-needs-mfa",
    title="Users take an abused role up with MFA only",
    prevents="A leaked key, or a token minted with it alone, can't take the role up.",
    limits="Only IAM users are asked for it: sessions of other roles, and people from an identity provider, are let in "
    "without, as they can't show it.",
    stage=2,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="trust-policy",
    references=("AWS STS API Reference, 'AssumeRole' (SerialNumber, TokenCode)",),
    make=make,
)
