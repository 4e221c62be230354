"""GetFederationToken is denied, but to those who use it."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.prevention.alike import but_for_doers
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words
from tokentrail.prevention.rule import GuardrailRule, NotMade

_ACTION = "sts:GetFederationToken"


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """Spare the users who call it in the evidence."""
    return but_for_doers(evidence, WORDS, "NoFederationTokens", (_ACTION,), do="call it today")


WORDS = Words(
    id="no-federation-tokens",
    title="GetFederationToken is denied to all who do not use it today",
    prevents="A leaked key turned into a console session that outlives it by 36 hours and may call IAM.",
    limits="GetSessionToken can't be denied in the same way.",
    stage=1,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="scp",
    references=("IAM User Guide, 'Permissions for GetFederationToken'",),
    make=make,
)
