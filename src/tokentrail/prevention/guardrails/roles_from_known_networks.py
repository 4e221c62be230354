"""Sessions of the roles that the attacker used work from where they are ordinarily used only."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.prevention.documents import MOST_NETWORKS, WITHIN_VPCS, as_logged, deny, elsewhere, policy
from tokentrail.prevention.evidence import Evidence, networks_of
from tokentrail.prevention.proposal import Proposal, Words, scp
from tokentrail.prevention.rule import Maker, Nothing


def make(evidence: Evidence) -> Iterable[Proposal] | Nothing:
    """Take the networks that these roles' sessions are ordinarily used from."""
    if not evidence.roles:
        return Nothing("no role's session is among the attacker's credentials")
    wanted = set(evidence.roles)
    networks, inside = networks_of(evidence.addresses(lambda way: way.principal in wanted))
    if not networks and not inside:
        return Nothing("nobody but the attacker used these roles, so that their own networks are not known")
    if len(networks) > MOST_NETWORKS:
        return Nothing(f"these roles are used from {len(networks)} networks, too many for one policy")
    network = elsewhere(networks or ("127.0.0.1/32",), inside=inside, evidence=evidence)
    roles = {"ArnEquals": {"aws:PrincipalArn": list(evidence.roles)}}
    document = policy(deny("RolesFromKnownNetworks", "*", network.condition | roles, but=WITHIN_VPCS))
    words = Words(
        id=WORDS.id,
        title=WORDS.title,
        prevents=WORDS.prevents,
        limits=f"{WORDS.limits} {network.said}",
        stage=WORDS.stage,
    )
    made = scp(
        words, document, organisations=evidence.organisations, unbound=evidence.unbound, judged=as_logged(document)
    )  # fmt: skip
    return (made,)


WORDS = Words(
    id="roles-from-known-networks",
    title="Sessions of the abused roles work from your networks only",
    prevents="Whoever takes up one of these roles from elsewhere holds a session that is refused everything.",
    limits="Only these roles are bound, and addresses change: who works from a new one is cut off until it is added. "
    "A service that took one of them up calls from AWS's network and may be cut off. "
    "What databases, clusters and file systems in a VPC are asked for by IAM is let through.",
    stage=2,
)
GUARDRAIL = Maker(
    words=WORDS,
    kind="scp",
    references=("aws-samples, data-perimeter-policy-examples, 'network perimeter'",),
    make=make,
)
