"""Sessions of the roles that the attacker used work from where they are ordinarily used only."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.aws.principals import in_conditions
from tokentrail.prevention.alike import from_networks
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words
from tokentrail.prevention.rule import GuardrailRule, NotMade


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """Take the networks that these roles' sessions are ordinarily used from."""
    if not evidence.roles:
        return NotMade("no role's session is among the attacker's credentials")
    wanted = set(evidence.roles)
    roles = {"ArnEquals": {"aws:PrincipalArn": sorted({*map(in_conditions, evidence.roles)})}}
    return from_networks(
        evidence, WORDS, "RolesFromKnownNetworks", lambda way: way.principal in wanted, roles,
        used="these roles are used",
        unseen="nobody but the attacker used these roles, so that their own networks are not known",
    )  # fmt: skip


WORDS = Words(
    id="roles-from-known-networks",
    title="Sessions of the abused roles work from your networks only",
    prevents="Whoever takes up one of these roles from elsewhere holds a session that is refused everything.",
    limits="Only these roles are bound, and addresses change: who works from a new one is cut off until it is added. "
    "A service that took one of them up calls from AWS's network and may be cut off. "
    "What databases, clusters and file systems in a VPC are asked for by IAM is let through.",
    stage=2,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="scp",
    references=("aws-samples, data-perimeter-policy-examples, 'network perimeter'",),
    make=make,
)
