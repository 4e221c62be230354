"""
SCPs by which credentials work from the networks only from which they are ordinarily used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from tokentrail.aws.principals import in_conditions
from tokentrail.prevention.documents import (
    MOST_NETWORKS,
    WITHIN_VPCS,
    Json,
    deny,
    elsewhere,
    everywhere,
)
from tokentrail.prevention.evidence import Evidence, Way, networks_of
from tokentrail.prevention.proposal import GuardrailProposal, Words
from tokentrail.prevention.rule import GuardrailRule, NotMade


def from_networks(
    evidence: Evidence, words: Words, sid: str, wanted: Callable[[Way], bool], bound: Json, *, used: str, unseen: str
) -> tuple[GuardrailProposal] | NotMade:  # fmt: skip
    """
    An SCP that denies everything to some principals, except from networks from which they ordinarily call.

    Args:
        evidence: What is ordinary.
        words: The texts of the guardrail.
        sid: The id of the statement.
        wanted: Whether a group of calls is one of these principals.
        bound: The condition that selects the principals.
        used: What is used from too many networks, for the reason why there is no proposal.
        unseen: The reason why there is none if there are no such calls.
    """
    networks, inside = networks_of(evidence.addresses(wanted))
    if not networks and not inside:
        return NotMade(unseen)
    if len(networks) > MOST_NETWORKS:
        return NotMade(f"{used} from {len(networks)} networks, too many for one policy")
    network = elsewhere(networks or ("127.0.0.1/32",), inside=inside, evidence=evidence)
    denial = deny(sid, "*", network.condition | bound, but=WITHIN_VPCS)
    return everywhere(evidence, replace(words, limits=f"{words.limits} {network.said}"), denial)


def _keys(evidence: Evidence) -> Iterable[GuardrailProposal] | NotMade:
    """Take the networks that IAM users ordinarily call from."""
    users = {"ArnLike": {"aws:PrincipalArn": f"arn:{evidence.partition}:iam::*:user/*"}}
    return from_networks(
        evidence, _KEYS_WORDS, "UserKeysFromKnownNetworks", lambda way: way.type == "IAMUser", users,
        used="IAM users call", unseen="no IAM user calls from any network in the evidence but the attacker's",
    )  # fmt: skip


_KEYS_WORDS = Words(
    id="keys-from-known-networks",
    title="IAM users' keys and tokens work from your networks only",
    prevents="A leaked key, and every token minted with it, is refused from anywhere else: it can't take up a role, "
    "nor read anything.",
    limits="Somebody at home or on the road needs the VPN first. It does not bind the management account. "
    "Service calls on a "
    "user's behalf are let through, and what databases, clusters and file systems in a VPC are asked for by IAM.",
    stage=2,
)
KEYS = GuardrailRule(
    words=_KEYS_WORDS,
    kind="scp",
    references=(
        "aws-samples, data-perimeter-policy-examples, 'network_perimeter_iam_users_scp'",
        "IAM User Guide, 'AWS global condition context keys'",
    ),
    make=_keys,
)


def _roles(evidence: Evidence) -> Iterable[GuardrailProposal] | NotMade:
    """Take the networks that these roles' sessions are ordinarily used from."""
    if not evidence.roles:
        return NotMade("no role's session is among the attacker's credentials")
    wanted = set(evidence.roles)
    roles = {"ArnEquals": {"aws:PrincipalArn": sorted({*map(in_conditions, evidence.roles)})}}
    return from_networks(
        evidence, _ROLES_WORDS, "RolesFromKnownNetworks", lambda way: way.principal in wanted, roles,
        used="these roles are used",
        unseen="nobody but the attacker used these roles, so that their own networks are not known",
    )  # fmt: skip


_ROLES_WORDS = Words(
    id="roles-from-known-networks",
    title="Sessions of the abused roles work from your networks only",
    prevents="Whoever takes up one of these roles from elsewhere holds a session that is refused everything.",
    limits="Only these roles are bound, and addresses change: who works from a new one is cut off until it is added. "
    "A service that took one of them up calls from AWS's network and may be cut off. "
    "What databases, clusters and file systems in a VPC are asked for by IAM is let through.",
    stage=2,
)
ROLES = GuardrailRule(
    words=_ROLES_WORDS,
    kind="scp",
    references=("aws-samples, data-perimeter-policy-examples, 'network perimeter'",),
    make=_roles,
)
