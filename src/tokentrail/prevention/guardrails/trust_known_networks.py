"""A role is taken up from the networks that it is ordinarily taken up from only."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail.prevention.documents import MOST_NETWORKS, NOT_SERVICES, distrust, elsewhere, named, policy
from tokentrail.prevention.evidence import Evidence, Mint, Way, networks_of
from tokentrail.prevention.proposal import Proposal, Words, trust_policy
from tokentrail.prevention.rule import Maker, Nothing


def make(evidence: Evidence) -> Iterable[Proposal] | Nothing:
    """Take the networks that each role is taken up from."""
    roles = evidence.taken()
    if not roles:
        return Nothing("the attacker took up no role by AssumeRole")
    found = [one for role in roles if (one := _for(evidence, role)) is not None]
    return tuple(found) or Nothing("nobody else takes these roles up, or from too many networks")


def _for(evidence: Evidence, role: str) -> Proposal | None:
    networks, inside = networks_of(
        _way(one) for one in evidence.callers(role) if one.caller_type != "AWSService"
    )
    if not (networks or inside) or len(networks) > MOST_NETWORKS:
        return None
    network = elsewhere(networks or ("127.0.0.1/32",), inside=inside, evidence=evidence)
    condition = network.condition | {"BoolIfExists": network.condition["BoolIfExists"] | NOT_SERVICES}
    words = Words(
        id=WORDS.id, title=f"{named(role)} is taken up from your networks only", prevents=WORDS.prevents,
        limits=f"{WORDS.limits} {network.said}", stage=WORDS.stage,
    )  # fmt: skip
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
GUARDRAIL = Maker(
    words=WORDS,
    kind="trust-policy",
    references=("IAM User Guide, 'AWS global condition context keys', aws:SourceIp",),
    make=make,
)
