"""GetFederationToken is denied, but to those who use it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tokentrail.prevention.documents import MOST_SPARED, but_by, deny, doers, policy, spared_none
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words, scp
from tokentrail.prevention.rule import Maker, Nothing

_ACTION = "sts:GetFederationToken"


def make(evidence: Evidence) -> Iterable[Proposal] | Nothing:
    """Spare the users who call it in the evidence."""
    able = doers(evidence, (_ACTION,))
    if len(able) > MOST_SPARED:
        return Nothing(f"{len(able)} principals call it today, too many to spare in one policy")
    document = policy(deny("NoFederationTokens", _ACTION, but_by(able)))
    words = replace(WORDS, limits=WORDS.limits + spared_none(able))
    return (scp(words, document, organisations=evidence.organisations, unbound=evidence.unbound),)


WORDS = Words(
    id="no-federation-tokens",
    title="GetFederationToken is denied to all who do not use it today",
    prevents="A leaked key turned into a console session that outlives it by 36 hours and may call IAM.",
    limits="GetSessionToken can't be denied in the same way.",
    stage=1,
)
GUARDRAIL = Maker(
    words=WORDS,
    kind="scp",
    references=("IAM User Guide, 'Permissions for GetFederationToken'",),
    make=make,
)
