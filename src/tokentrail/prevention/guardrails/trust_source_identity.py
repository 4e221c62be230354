"""A role is taken up only by who says who is behind it."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.prevention.alike import NO_ROLE, distrusted
from tokentrail.prevention.documents import NOT_SERVICES
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words
from tokentrail.prevention.rule import GuardrailRule, NotMade


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """Deny each of the roles without a SourceIdentity."""
    condition = {
        "Null": {"sts:SourceIdentity": "true", "aws:SourceIdentity": "true"},
        "BoolIfExists": dict(NOT_SERVICES),
    }
    title = "{} is taken up with a SourceIdentity only"
    return (
        distrusted(evidence.roles_assumed(), WORDS, "NeedsSourceIdentity", condition, title=title) or NO_ROLE
    )


WORDS = Words(
    id="trust-source-identity",
    title="An abused role is taken up with a SourceIdentity only",
    prevents="Every session, through any number of hops, carries who began it, can't change it, and can be "
    "ended by it alone.",
    limits="An attacker may set one too, so pin it (StringLike sts:SourceIdentity ${aws:username}) or have the "
    "identity provider set it; callers must be allowed sts:SetSourceIdentity, and tools must send it.",
    stage=3,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="trust-policy",
    references=("IAM User Guide, 'Monitor and control actions taken with assumed roles'",),
    make=make,
)
