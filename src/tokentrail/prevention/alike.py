"""
What guardrails have in common.

They deny something in all accounts, to all but those who do it today, or from other networks, or role by role.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from tokentrail.prevention.documents import (
    MOST_NETWORKS,
    MOST_SPARED,
    WITHIN_VPCS,
    Json,
    as_logged,
    but_by,
    deny,
    distrust,
    doers,
    elsewhere,
    named,
    policy,
    spared_none,
)
from tokentrail.prevention.evidence import Evidence, Way, networks_of
from tokentrail.prevention.proposal import Proposal, Words, scp, trust_policy
from tokentrail.prevention.rule import NotMade

NO_ROLE = NotMade("the attacker took up no role by AssumeRole")
NO_INSTANCE = NotMade("no record in the evidence says that its credential is an instance's (ec2RoleDelivery)")


def everywhere(evidence: Evidence, words: Words, statement: Json) -> tuple[Proposal]:
    """An SCP of one denial, for all accounts."""
    document = policy(statement)
    return (
        scp(
            words, document, organisations=evidence.organisations, unbound=evidence.unbound, judged=as_logged(document)
        ),
    )  # fmt: skip


def but_for_doers(
    evidence: Evidence, words: Words, sid: str, actions: Sequence[str], *, do: str
) -> tuple[Proposal] | NotMade:
    """An SCP that denies some actions to all but those who ordinarily did one of them."""
    able = doers(evidence, actions)
    if len(able) > MOST_SPARED:
        return NotMade(f"{len(able)} principals {do}, too many to spare in one policy")
    denial = deny(sid, actions[0] if len(actions) == 1 else list(actions), but_by(able))
    return everywhere(evidence, replace(words, limits=words.limits + spared_none(able)), denial)


def from_networks(
    evidence: Evidence, words: Words, sid: str, wanted: Callable[[Way], bool], bound: Json, *, used: str, unseen: str
) -> tuple[Proposal] | NotMade:  # fmt: skip
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


def role_by_role(
    evidence: Evidence, propose: Callable[[Evidence, str], Proposal | None], *, otherwise: str
) -> Iterable[Proposal] | NotMade:
    """Proposals for the roles that the attacker assumed; `otherwise` is the reason if there are roles but none."""
    roles = evidence.roles_assumed()
    found = [one for role in roles if (one := propose(evidence, role)) is not None]
    return tuple(found) or (NotMade(otherwise) if roles else NO_ROLE)


def distrusted(
    roles: Iterable[str], words: Words, sid: str, condition: Json, *, title: str
) -> tuple[Proposal, ...]:
    """A denial under a condition in the trust policy of each role; in the title, `{}` stands for its name."""
    document = policy(distrust(sid, condition))
    return tuple(
        trust_policy(replace(words, title=title.format(named(role))), document, role) for role in roles
    )
