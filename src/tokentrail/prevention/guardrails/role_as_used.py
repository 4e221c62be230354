"""A role may do what its ordinary users do with it, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tokentrail.prevention.documents import deny, named, policy
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words, identity_policy
from tokentrail.prevention.rule import GuardrailRule, NotMade

_MOST = 80
"""Actions from which on services are named as a whole."""


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """Deny each role all that nobody but the attacker did with it."""
    if not evidence.roles:
        return NotMade("no role's session is among the attacker's credentials")
    found = [one for role in evidence.roles if (one := _for(evidence, role)) is not None]
    return tuple(found) or NotMade("nobody but the attacker used these roles")


def _for(evidence: Evidence, role: str) -> Proposal | None:
    used = {action for way in evidence.ordinary(lambda way: way.principal == role) for action in way.actions}
    if not used:
        return None
    if len(used) > _MOST:
        used = {f"{action.partition(':')[0]}:*" for action in used}
    words = replace(WORDS, title=f"{named(role)} may do what it is used for")
    return identity_policy(words, policy(deny("OnlyWhatIsUsed", "*", but=sorted(used))), role)


WORDS = Words(
    id="role-as-used",
    title="An abused role may do what it is used for",
    prevents="What nobody needs of the role's permissions is of no use to a thief either.",
    limits="Data events that the trail does not record are not among what is used, and what is done once a quarter may "
    "not be in the evidence: compare with IAM Access Analyzer's last-accessed data.",
    stage=2,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="identity-policy",
    references=("IAM User Guide, 'Refine permissions in AWS using last accessed information'",),
    make=make,
)
