"""Keys and tokens of IAM users work from the organisation's own networks only."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.prevention.alike import from_networks
from tokentrail.prevention.evidence import Evidence
from tokentrail.prevention.proposal import Proposal, Words
from tokentrail.prevention.rule import GuardrailRule, NotMade


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """Take the networks that IAM users ordinarily call from."""
    users = {"ArnLike": {"aws:PrincipalArn": f"arn:{evidence.partition}:iam::*:user/*"}}
    return from_networks(
        evidence, WORDS, "UserKeysFromKnownNetworks", lambda way: way.type == "IAMUser", users, used="IAM users call",
        unseen="no IAM user calls from any network in the evidence but the attacker's",
    )  # fmt: skip


WORDS = Words(
    id="keys-from-known-networks",
    title="IAM users' keys and tokens work from your networks only",
    prevents="A leaked key, and every token minted with it, is refused from anywhere else: it can't take up a role, "
    "nor read anything.",
    limits="Somebody at home or on the road needs the VPN first. It does not bind the management account. "
    "Service calls on a "
    "user's behalf are let through, and what databases, clusters and file systems in a VPC are asked for by IAM.",
    stage=2,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="scp",
    references=(
        "aws-samples, data-perimeter-policy-examples, 'network_perimeter_iam_users_scp'",
        "IAM User Guide, 'AWS global condition context keys'",
    ),
    make=make,
)
