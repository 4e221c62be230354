"""Keys and tokens of IAM users work from the organisation's own networks only."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.prevention.documents import MOST_NETWORKS, WITHIN_VPCS, as_logged, deny, elsewhere, policy
from tokentrail.prevention.evidence import Evidence, networks_of
from tokentrail.prevention.proposal import Proposal, Words, scp
from tokentrail.prevention.rule import Maker, Nothing


def make(evidence: Evidence) -> Iterable[Proposal] | Nothing:
    """Take the networks that IAM users ordinarily call from."""
    ways = list(evidence.addresses(lambda way: way.type == "IAMUser"))
    networks, inside = networks_of(ways)
    if not networks and not inside:
        return Nothing("no IAM user calls from any network in the evidence but the attacker's")
    if len(networks) > MOST_NETWORKS:
        return Nothing(f"IAM users call from {len(networks)} networks, too many for one policy")
    network = elsewhere(networks or ("127.0.0.1/32",), inside=inside, evidence=evidence)
    users = {"ArnLike": {"aws:PrincipalArn": f"arn:{evidence.partition}:iam::*:user/*"}}
    document = policy(deny("UserKeysFromKnownNetworks", "*", network.condition | users, but=WITHIN_VPCS))
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
    id="keys-from-known-networks",
    title="IAM users' keys and tokens work from your networks only",
    prevents="A leaked key, and every token minted with it, is refused from anywhere else: it can't take up a "
    "role, nor "
    "read anything.",
    limits="Somebody at home or on the road needs the VPN first. It does not bind the management account. "
    "Service calls on a "
    "user's behalf are let through, and what databases, clusters and file systems in a VPC are asked for by IAM.",
    stage=2,
)
GUARDRAIL = Maker(
    words=WORDS,
    kind="scp",
    references=(
        "aws-samples, data-perimeter-policy-examples, 'network_perimeter_iam_users_scp'",
        "IAM User Guide, 'AWS global condition context keys'",
    ),
    make=make,
)
