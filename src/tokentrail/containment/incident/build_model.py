"""
Build the model of an incident from a traced case: living credentials, the edges between principals, and sources.

What the evidence shows is taken from the forest; what IAM snapshots allow is added.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from tokentrail.aws.calls.names import service_of
from tokentrail.aws.principals import (
    PARTITIONS,
    KnownPrincipal,
    Principal,
    arn_of,
    is_account,
    partition_in,
    principal_of_arn,
)
from tokentrail.containment.incident import persons
from tokentrail.containment.incident.assumption import Assumption
from tokentrail.containment.incident.attacker_action import AttackerAction
from tokentrail.containment.incident.closing_calls import running_on
from tokentrail.containment.incident.contradicted_endings import (
    ContradictedEnding,
    contradicted_endings,
    unnamed_liftings,
    without,
)
from tokentrail.containment.incident.credential_sources import (
    TaintedCredential,
    behind,
    by_trust,
    doubtful_resets,
    entry_points,
    logins,
    nameless,
    once,
    passwords,
    providers,
    settled,
    signed_out,
    strangers,
    taken_over,
)
from tokentrail.containment.incident.incident_model import (
    LONGEST,
    Edge,
    EntryPoint,
    HeldCredential,
    IncidentModel,
    assumes,
)
from tokentrail.containment.incident.indirect_sessions import asked as asked_for
from tokentrail.containment.incident.indirect_sessions import possible_sessions, unseen_grants
from tokentrail.containment.incident.persistence import Leftovers, left_behind
from tokentrail.containment.incident.removed_protections import removed_protections
from tokentrail.containment.incident.reversal_index import ReversalIndex, issued_where, removals
from tokentrail.containment.incident.shared_ip_credentials import neighbours
from tokentrail.containment.incident.taint import ExtendedTaint, held_of
from tokentrail.containment.incident.taint_sources import ACTING_AS, accounts_of
from tokentrail.containment.incident.unreviewed_calls import calls_of, given_calls, unknown_calls
from tokentrail.containment.incident.upstream_minters import minters
from tokentrail.containment.incident.writers import beyond, reactivated, writers, writing
from tokentrail.events.values import HIDDEN
from tokentrail.lineage import rows
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Credential, State, Trace
from tokentrail.lineage.rows import Row
from tokentrail.lineage.trace import Narrowing, starts_of
from tokentrail.policy.account.reach import Reach
from tokentrail.policy.history.changes import Change
from tokentrail.policy.history.ledger import NameBindings

_CONTAINS = (
    "UpdateAccessKey", "DeleteAccessKey", "PutUserPolicy", "PutRolePolicy", "AttachUserPolicy", "AttachRolePolicy",
    "DeleteLoginProfile", "DeleteUser", "DeleteRole", "UpdateServiceSpecificCredential",
    "DeleteServiceSpecificCredential",
)  # fmt: skip
"""Calls with which responders end credentials."""
_OR_MADE_FOR = (
    "OR arn IS NULL AND created_what IN ('access_key', 'api_key') AND created_owner IN (SELECT unnest(?))"
)
"""For a key that was never used, the evidence has no ARN but that of whoever made it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanRequest:
    """What a plan is to be made for, besides its subjects."""

    case_id: str
    margin: int
    lag: int
    narrowing: Narrowing
    reach: Reach | None = None
    without_access: frozenset[str] = frozenset()
    management_account: str | None = None
    delete_created: bool = False
    """As in `IncidentModel`."""
    also: frozenset[Principal] = frozenset()
    """Principals of steps to prove, which the incident must have even if the attacker can't act as them."""


def build_model(
    forest: Forest, trace: Trace, theirs: ExtendedTaint, unseen: Mapping[str, datetime], asked: PlanRequest
) -> IncidentModel:
    """
    Make the incident of a trace.

    In this order: what the attacker's credentials left behind, the sources that hand out more, the principals within
    reach, and the other credentials of these principals.

    Args:
        forest: The forest of the trace.
        trace: The trace of the subjects.
        theirs: The credentials that count as the attacker's (`extended_taint`).
        unseen: By account, when the log stops being complete (`log_ends`).
        asked: What the plan is for.
    """
    people = persons.by_name(forest, theirs.held)
    theirs.held[:] = [persons.with_person(one, people) for one in theirs.held]
    known = set(theirs.tainted)
    contradicted = contradicted_endings(forest, _at_work(forest, theirs, known), asked.margin)
    attack = _attack(forest, theirs, unseen, contradicted)
    left, held = attack.left, attack.held
    sources = _sources(forest, attack, known, unseen, asked)
    kept = {(service_of(action.source), action.name) for action in attack.actions}
    calls = calls_of(forest, attack.ids, attack.subjects, asked.narrowing)
    left.risks += [one.risk for one in contradicted]
    left.risks += [*nameless(attack.seen), *unknown_calls(calls, kept)]
    left.entered += given_calls(calls)
    reach = _reach(forest, attack, sources.open, asked)
    others = _others(forest, reach.reached | asked.also, known, people)
    innocents = [one for _, one, state in others if state in ("active", "unknown")]
    told = [*zip(attack.rows, theirs.held, strict=True), *((row, one) for row, one, _ in others)]
    accounts = attack.accounts | {one.account for one in reach.reached}
    changes = without(forest.changes(accounts), contradicted)
    names = NameBindings(changes)
    given = asked_for(forest, attack.ids, attack.subjects, asked.narrowing)
    alive = {one.id for _, one in theirs.pairs if one.state in ("active", "unknown")}
    alive |= {one.credential for one in contradicted}
    told_apart = persons.persons([one.held for one in attack.seen], innocents, reach.edges, sources.open)
    return IncidentModel(
        case_id=asked.case_id, as_of=forest.as_of, subjects=trace.subject, narrowing=_narrowing(asked.narrowing),
        margin=asked.margin, lag=asked.lag, tainted=tuple(theirs.tainted),
        held=tuple(replace(one, made=True) if one.key_id in left.keys else one for one in held),
        acted_as=frozenset(one.principal for one in theirs.held),
        innocents=tuple(one for one in innocents if one.kind != "forwarded"),
        known=_identified(told, reach.reached, names), renamed=names.present_names(),
        persons=told_apart,
        edges=tuple(edge for edge in reach.edges if edge.by in reach.assumable), sources=tuple(once(sources.open)),
        writers=tuple(sorted(writers(theirs.actions, held, alive, reach.reached, asked.reach).items())),
        writing=frozenset(writing(theirs.actions, theirs.held, reach.reached, asked.reach)),
        changes=changes, unseen_since=unseen,
        responders=_responders(forest, known, reach.concerned, held), uncertain=frozenset(left.uncertain),
        made_users=frozenset(left.users), made_roles=frozenset(left.roles), without_access=asked.without_access,
        management_account=asked.management_account, delete_created=asked.delete_created, reach=asked.reach,
        residual_risks=tuple(dict.fromkeys(left.risks)),
        handed=theirs.why,
        assumptions=tuple(dict.fromkeys((
            *minters(forest, theirs.subjects, known),
            *(Assumption.of("left_out", one.id) for one in trace.credentials if one.may_mint and one.id not in known),
            *strangers(attack.seen, attack.reversals.deleted),
            *(Assumption.of("doubt", one, one, why=why) for one, why in theirs.doubts),
            *possible_sessions(forest, given, attack.seen, others),
            *unseen_grants(forest, given, attack.seen, attack.actions),
            *left.entered, *reactivated(changes, held, theirs.actions), *_namesakes(names, reach.concerned),
            *unnamed_liftings((one for _, one in theirs.pairs), changes, asked.margin),
            *doubtful_resets(attack.seen, theirs.actions, changes), *persons.conditions(people, told_apart),
            *signed_out(attack.seen, forest.as_of),
            *neighbours(forest, [*theirs.pairs, *_spent(forest, theirs)], attack.starts, asked.narrowing),
            *sources.assumed, *entry_points(forest, attack.seen), *beyond(asked.reach, reach.reached),
        ))),
    )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attack:
    """The attacker's credentials, what they left behind, and the evidence about both."""

    rows: list[Row]
    """Their described rows."""
    ids: dict[int, str]
    """Their ids by place."""
    starts: set[int]
    """The places of the subjects, and of what counts beyond the trace."""
    subjects: set[str]
    """The ids of those at `starts`."""
    seen: list[TaintedCredential]
    """All of them."""
    held: list[HeldCredential]
    """Those of them that had not expired when the log stops being complete."""
    accounts: set[str]
    """Their accounts, and those in which they made changes."""
    changes: list[Change]
    """All changes in these accounts."""
    reversals: ReversalIndex
    """The calls that may have reversed what they did."""
    actions: list[AttackerAction]
    left: Leftovers
    """What they left behind; `build_model` adds to its sentences."""


def _attack(
    forest: Forest,
    theirs: ExtendedTaint,
    unseen: Mapping[str, datetime],
    contradicted: Sequence[ContradictedEnding],
) -> _Attack:
    where = issued_where(forest, [one for _, one in theirs.pairs])
    seen = [
        TaintedCredential(own, one, row["target"], where.get(one.id))
        for (row, one), own in zip(theirs.pairs, theirs.held, strict=True)
    ]
    earliest = forest.as_of - LONGEST["user"]
    accounts = {one.held.principal.account for one in seen} | {one.account for one in theirs.actions}
    changes = list(without(forest.changes(accounts), contradicted))
    names = {one.held.caller.session_name or "" for one in seen if one.held.kind == "service_role"}
    own = {action.event_id for action in theirs.actions}
    reversals = ReversalIndex(changes, removals(forest, theirs.actions, names), own)
    starts = starts_of(forest, theirs.subjects)
    ids = {row["n"]: row["id"] for row, _ in theirs.pairs}
    return _Attack(
        rows=[row for row, _ in theirs.pairs], ids=ids, starts=starts,
        subjects={name for n, name in ids.items() if n in starts}, seen=seen,
        held=[
            one.held for one in seen
            if not _expired(one.credential, unseen.get(one.credential.account or "", earliest))
        ],
        accounts=accounts, changes=changes, reversals=reversals, actions=theirs.actions,
        left=left_behind(theirs.actions, [one.held for one in seen], reversals),
    )  # fmt: skip


class _Sources(NamedTuple):
    """What hands out credentials to the attacker."""

    open: list[EntryPoint]
    """Those that may still do so."""
    assumed: list[Assumption]
    """That providers let the attacker in no more, and that sessions were not carried off from functions."""


def _sources(
    forest: Forest, attack: _Attack, tainted: Set[str], unseen: Mapping[str, datetime], asked: PlanRequest
) -> _Sources:
    """Find the sources that may still hand out credentials; other risks are added to `attack.left.risks`."""
    left, actions = attack.left, attack.actions
    shut = {(one.id, one.mints) for one in left.sources}
    standing, idle = running_on(left.sources, left.roles)
    left.risks += [
        *idle,
        *removed_protections(actions, attack.reversals, left.users | left.roles),
    ]
    found = [
        *standing,
        *behind(attack.seen, attack.reversals, forest.as_of, shut),
        *logins(forest, attack.seen, attack.ids, attack.subjects, asked.narrowing),
        *passwords(attack.seen, actions, attack.changes),
        *by_trust(providers(attack.seen, attack.changes, forest.as_of), asked.reach),
    ]
    found, carried_off = taken_over(forest, found, tainted)
    settling = (settled(one, timedelta(seconds=asked.margin), forest.as_of) for one in found)
    earliest = forest.as_of - LONGEST["user"]
    found = [one for one in settling if one.until is None or one.until > unseen.get(one.account, earliest)]
    orphaned = [
        one for one in found if one.mints in attack.reversals.deleted and one.kind == "host" and one.made
    ]
    left.risks += [Assumption.of("orphaned", one.id, why=one.why) for one in orphaned if one.until is None]
    found = [one for one in found if one.mints not in attack.reversals.deleted]
    doors = [one for one in standing if one.kind == "provider" and one.made]
    shutting_out = {
        one.id for one in doors if one.account not in asked.without_access and is_account(one.account)
    }
    foreign = [one for one in found if one.assumed and one.id not in shutting_out]
    let_in = [Assumption.of("let_in", one.person or "", provider=one.id, role=one.mints) for one in foreign]
    return _Sources(found, [*carried_off, *let_in])


class _Reachable(NamedTuple):
    """The principals as which the attacker acts or may come to act."""

    edges: list[Edge]
    """Who can mint sessions of which role: seen, or allowed by snapshots."""
    concerned: set[Principal]
    """Those as which it acts, whose sessions sources hand to it, or that it made."""
    assumable: Set[Principal]
    """Those of `concerned` that can assume roles, and all roles that they can reach by `edges`."""
    reached: Set[Principal]
    """All of these."""


def _reach(forest: Forest, attack: _Attack, sources: Iterable[EntryPoint], asked: PlanRequest) -> _Reachable:
    edges = list(_seen_edges(forest))
    assuming = {one.principal for one in attack.held if assumes(one.caller)}
    assuming |= {one.mints for one in sources} | attack.left.users | attack.left.roles
    concerned = assuming | {one.principal for one in attack.held}
    if asked.reach is not None:
        edges += _allowed_edges(asked.reach, assuming, edges)
    assumable = _closure(assuming, edges)
    return _Reachable(edges, concerned, assumable, assumable | concerned)


def _others(
    forest: Forest, principals: Set[Principal], tainted: Set[str], people: Mapping[str, str]
) -> list[tuple[Row, HeldCredential, State]]:
    """The credentials of some principals that have not expired and are not tainted, with their states."""
    found = [
        row
        for row in (*_living_of(forest, principals), *_federated_in(forest, principals))
        if row["id"] not in tainted
    ]
    judge = forest.judge_of(found)
    pairs = ((row, rows.credential(row, judge)) for row in found)
    return [(row, persons.with_person(held_of(row, one), people), one.state) for row, one in pairs]


def _at_work(
    forest: Forest, theirs: ExtendedTaint, tainted: Set[str]
) -> list[tuple[Row, Credential, HeldCredential]]:
    """The attacker's credentials, and others of each principal of which any had ended: one policy denies them all."""
    found = [(row, one, own) for (row, one), own in zip(theirs.pairs, theirs.held, strict=True)]
    ended = {own.principal for _, one, own in found if one.state == "ended" and own.principal.is_named}
    near = [row for row in _living_of(forest, ended) if row["id"] not in tainted] if ended else []
    return [
        *found,
        *((row, one, held_of(row, one)) for row, one in zip(near, forest.credentials(near), strict=True)),
    ]


def _living_of(forest: Forest, reached: Iterable[Principal]) -> list[Row]:
    """The described rows of the credentials of some principals that have not expired."""
    wanted = set(reached)
    roots = {arn_of(one, partition) for one in wanted if one.is_root for partition in PARTITIONS}
    names = sorted({one.name for one in wanted if not one.is_root} | roots)
    alive = f"f.expires_at IS NULL OR f.expires_at > {int(forest.as_of.timestamp())}"
    found = forest.called_rows(
        names, f"{ACTING_AS}\n{_OR_MADE_FOR}", (names,) * 4, alive, accounts_of(wanted)
    )
    return [row for row in found if rows.caller(row).acts_as in wanted]


def _federated_in(forest: Forest, reached: Set[Principal]) -> list[Row]:
    """Federation tokens of other users, which an SCP against a user or root of the same account denies too."""
    accounts = {one.account for one in reached if one.kind in ("user", "root")}
    found = forest.rows("kind = 'federation_token' AND expires_at > ?", (int(forest.as_of.timestamp()),))
    users = [(row, rows.caller(row).acts_as) for row in found]
    return [row for row, user in users if user.account in accounts and user not in reached]


def _spent(forest: Forest, theirs: ExtendedTaint) -> Iterable[tuple[Row, Credential]]:
    listed = forest.named(sorted(theirs.spent))
    return zip(listed, forest.credentials(listed), strict=True)


def _expired(one: Credential, since: datetime) -> bool:
    """Whether a credential had expired by then; one that was ended otherwise may be revived, and does not count."""
    end = one.expires_at or one.expires_bound
    return one.kind != "long_term_key" and end is not None and end <= since


def _responders(
    forest: Forest, tainted: set[str], concerned: Iterable[Principal], held: Iterable[HeldCredential]
) -> frozenset[str]:
    """The ids of untainted credentials that have taken steps against the tainted principals and keys."""
    names = {one.name for one in concerned} | {one.key_id for one in held if one.key_id}
    return frozenset(forest.callers_of(_CONTAINS, names) - tainted)


def _namesakes(names: NameBindings, concerned: Set[Principal]) -> Iterator[Assumption]:
    """The proof's assumptions about renamed users whose old name another user got: steps name that other one."""
    for principal, present_name in sorted(names.namesakes().items()):
        if principal in concerned:
            yield Assumption.of("namesake", present_name, account=principal.account, old=principal.name)


def _narrowing(told: Narrowing) -> dict[str, Any]:
    return {"since": told.since, "source_ips": list(told.source_ips), "trusted_ips": list(told.trusted_ips)}


def _seen_edges(forest: Forest) -> Iterator[Edge]:
    """The pairs of which the log shows that the one assumed the other, each once."""
    once: dict[tuple[Principal, Principal, str], Edge] = {}
    for row in forest.mints():
        by, into = principal_of_arn(row["by_arn"]), principal_of_arn(row["into_arn"])
        if by is None or into is None:
            continue
        event, call = rows.event_id(row["event"], row["text"]), row["api"]
        edge = Edge(by=by, into=into, why=f"{call}, event {event}", seen=True, call=call)
        once.setdefault((by, into, call), edge)
    for by, into, event in _root_sessions(forest):
        edge = Edge(by=by, into=into, why=f"AssumeRoot, event {event}", seen=True)
        once.setdefault((by, into, edge.call), edge)
    yield from once.values()


def _root_sessions(forest: Forest) -> Iterator[tuple[Principal, Principal, str | None]]:
    """Who became root of which member account by AssumeRoot, with the event's id."""
    found = [
        row
        for row in forest.rows("kind = 'root_session' AND parent_n IS NOT NULL")
        if row["api"] == "AssumeRoot"
    ]
    found.sort(key=lambda row: (row["issued_time"] or 0, row["id"]))
    parents = {row["n"]: row for row in forest.chosen_rows({row["parent_n"] for row in found})}
    for row in found:
        event = rows.event_id(row["issue_event"], row["issue_text"])
        yield (
            rows.caller(parents[row["parent_n"]]).acts_as,
            rows.caller(row).acts_as,
            event,
        )


def _allowed_edges(reach: Reach, concerned: Iterable[Principal], seen: Sequence[Edge]) -> Iterator[Edge]:
    """The edges beyond the seen ones that trust policies and permissions allow, from all principals within reach."""
    done = {(edge.by, edge.into) for edge in seen if edge.direct}
    into: dict[Principal, set[Principal]] = {}
    for edge in seen:
        into.setdefault(edge.by, set()).add(edge.into)
    fresh, reached = list(concerned), set(concerned)
    while fresh:
        by = fresh.pop()
        further = set(into.get(by, ()))
        for arn, way in reach.assumable(arn_of(by)) if by.kind in ("user", "role") else ():
            role = principal_of_arn(arn)
            if role is None:
                continue
            further.add(role)
            if (by, role) not in done:
                done.add((by, role))
                yield Edge(by=by, into=role, why=way.why, seen=False)
        fresh += further - reached
        reached |= further


def _closure(starts: Iterable[Principal], edges: Iterable[Edge]) -> set[Principal]:
    """All principals that can be reached from some by edges, and these themselves."""
    into: dict[Principal, set[Principal]] = {}
    for edge in edges:
        into.setdefault(edge.by, set()).add(edge.into)
    reached, fresh = set(starts), list(starts)
    while fresh:
        further = into.get(fresh.pop(), set()) - reached
        reached |= further
        fresh += further
    return reached


def _identified(
    some: Iterable[tuple[Row, HeldCredential]], reached: Iterable[Principal], names: NameBindings
) -> dict[Principal, KnownPrincipal]:
    """What is known of the principals that are reached, and of those that some credentials act as."""
    return _renewed(dict(_known(some, reached)), names)


def _known(
    some: Iterable[tuple[Row, HeldCredential]], reached: Iterable[Principal]
) -> Iterator[tuple[Principal, KnownPrincipal]]:
    """The fullest ARN and the unique id by which each principal is known."""
    arns: dict[Principal, set[str]] = {one: set() for one in reached}
    ids: dict[Principal, tuple[int, str]] = {}
    told_paths = set[Principal]()
    for row, one in some:
        caller, principal = one.caller, one.principal
        own = caller.role if principal.kind == "role" else caller.principal
        if principal_of_arn(own) == principal and own is not None and HIDDEN not in own:
            arns.setdefault(principal, set()).add(own)
            # A role's ARN that no record tells was made of its session's.
            if principal.kind != "role" or row["issuer_type"] or row["role_arn"]:
                told_paths.add(principal)
        unique = (caller.principal_id or "").partition(":")[0]
        if unique.startswith(("AROA", "AIDA")):
            seen = (
                row["last"] or row["issued_at"] or 0,
                unique,
            )  # of one made anew, the id that was seen last
            ids[principal] = max(ids.get(principal, seen), seen)
    seen_arns = [arn for known in arns.values() for arn in known]
    partitions = {account: partition_in(seen_arns, account) for account in {one.account for one in arns}}
    for principal, known in arns.items():
        partition = partitions[principal.account]
        told = {f"arn:{partition}:{arn.split(':', 2)[2]}" for arn in known} or {arn_of(principal, partition)}
        arn = max(told, key=lambda one: (one.count("/"), one))
        unique_id = ids[principal][1] if principal in ids else None
        yield (
            principal,
            KnownPrincipal(
                principal=principal, arn=arn, unique_id=unique_id, path_told=principal in told_paths
            ),
        )


def _renewed(
    known: Mapping[Principal, KnownPrincipal], names: NameBindings
) -> dict[Principal, KnownPrincipal]:
    """The same, with unique ids from the calls that created users and roles: the last, if one was created again."""
    return {
        principal: replace(seen, unique_id=names.unique_id(principal) or seen.unique_id)
        for principal, seen in known.items()
    }
