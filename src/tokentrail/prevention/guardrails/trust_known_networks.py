"""A role is taken up from the networks that it is ordinarily taken up from only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tokentrail.prevention.alike import role_by_role
from tokentrail.prevention.documents import MOST_NETWORKS, NOT_SERVICES, distrust, elsewhere, named, policy
from tokentrail.prevention.evidence import Evidence, Mint, Way, networks_of
from tokentrail.prevention.proposal import Proposal, Words, trust_policy
from tokentrail.prevention.rule import GuardrailRule, NotMade


def make(evidence: Evidence) -> Iterable[Proposal] | NotMade:
    """Take the networks that each role is taken up from."""
    return role_by_role(
        evidence, _for, otherwise="nobody else takes these roles up, or from too many networks"
    )


def _for(evidence: Evidence, role: str) -> Proposal | None:
    networks, inside = networks_of(
        _way(one) for one in evidence.callers(role) if one.caller_type != "AWSService"
    )
    if not (networks or inside) or len(networks) > MOST_NETWORKS:
        return None
    network = elsewhere(networks or ("127.0.0.1/32",), inside=inside, evidence=evidence)
    condition = network.condition | {"BoolIfExists": network.condition["BoolIfExists"] | NOT_SERVICES}
    title = f"{named(role)} is taken up from your networks only"
    words = replace(WORDS, title=title, limits=f"{WORDS.limits} {network.said}")
    return trust_policy(words, policy(distrust("FromKnownNetworks", condition)), role)


def _way(mint: Mint) -> Way:
    return Way(
        theirs=False, kind=mint.caller_kind, type=mint.caller_type, account=mint.caller_account, principal=mint.caller,
        forwarded=False, actions=(), ec2=None, ip=mint.ip,
    )  # fmt: skip


WORDS = Words(
    id="trust-known-networks",
    title="A role that was abused is taken up from your networks only",
    prevents="From elsewhere, no session of the role is minted, whoever's key it is.",
    limits="It is tested when the role is taken up, not when the session is used: a session stolen later works "
    "anywhere.",
    stage=2,
)
GUARDRAIL = GuardrailRule(
    words=WORDS,
    kind="trust-policy",
    references=("IAM User Guide, 'AWS global condition context keys', aws:SourceIp",),
    make=make,
)
