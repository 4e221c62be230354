"""What several guardrails do alike: bind all accounts, spare who does it today, keep to networks, go role by role."""

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
    """Some actions are denied to all but those who did so in the evidence."""
    able = doers(evidence, actions)
    if len(able) > MOST_SPARED:
        return NotMade(f"{len(able)} principals {do}, too many to spare in one policy")
    denial = deny(sid, actions[0] if len(actions) == 1 else list(actions), but_by(able))
    return everywhere(evidence, replace(words, limits=words.limits + spared_none(able)), denial)


def from_networks(
    evidence: Evidence, words: Words, sid: str, wanted: Callable[[Way], bool], bound: Json, *, used: str, unseen: str
) -> tuple[Proposal] | NotMade:  # fmt: skip
    """All is denied to some principals but from the networks that `wanted` ways come from ordinarily."""
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
    """A guardrail for each role that the attacker took up, where there is one to propose."""
    roles = evidence.roles_assumed()
    found = [one for role in roles if (one := propose(evidence, role)) is not None]
    return tuple(found) or (NotMade(otherwise) if roles else NO_ROLE)


def distrusted(
    roles: Iterable[str], words: Words, sid: str, condition: Json, *, title: str
) -> tuple[Proposal, ...]:
    """One denial for the trust policy of each role; in the title, `{}` is its name."""
    document = policy(distrust(sid, condition))
    return tuple(
        trust_policy(replace(words, title=title.format(named(role))), document, role) for role in roles
    )
