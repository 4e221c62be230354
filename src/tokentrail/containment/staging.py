"""
From a traced case to a scene: the live credentials, the edges between principals, and what mints by itself.

Everything that is seen is taken from the forest; what an IAM snapshot allows is added to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import inf
from typing import Any

from tokentrail.containment import persons
from tokentrail.containment.closing import running_on
from tokentrail.containment.edges import allowed_edges, closure, seen_edges
from tokentrail.containment.functions import taken_over
from tokentrail.containment.gone import gone, namesakes, renamed
from tokentrail.containment.handed import Handed, follow, living, ways_in
from tokentrail.containment.identified import identified
from tokentrail.containment.leftovers import Deed, left_behind
from tokentrail.containment.living import federated_in, living_of
from tokentrail.containment.logins import logins
from tokentrail.containment.neighbours import neighbours
from tokentrail.containment.origins import Seen, behind, once, passwords, providers, settled, strangers
from tokentrail.containment.principal import Principal, of_caller
from tokentrail.containment.removed import issued_where, removals
from tokentrail.containment.role_sessions import attackers_of, home_addresses, openings, sessions_of
from tokentrail.containment.scene import LONGEST, Held, Scene, assumes
from tokentrail.containment.unknown import calls_of, given_calls, unknown_calls
from tokentrail.containment.weakened import weakened
from tokentrail.containment.writers import beyond, reactivated, writers, writing
from tokentrail.lineage import rows
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Credential, Trace
from tokentrail.lineage.rows import Row
from tokentrail.lineage.trace import Narrowing, starts_of
from tokentrail.policy.reach import Reach
from tokentrail.results import Coverage

_CONTAINS = (
    "UpdateAccessKey", "DeleteAccessKey", "PutUserPolicy", "PutRolePolicy", "AttachUserPolicy", "AttachRolePolicy",
    "DeleteLoginProfile", "DeleteUser", "DeleteRole",
)  # fmt: skip
"""Calls that a responder ends credentials with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What a plan is asked for, beside its subjects."""

    case_id: str
    margin: int
    lag: int
    narrowing: Narrowing
    reach: Reach | None = None
    without_access: frozenset[str] = frozenset()
    management_account: str | None = None
    also: frozenset[Principal] = frozenset()
    """Principals on which steps are to be proved, whoever acts as them."""


def stage(forest: Forest, trace: Trace, covered: Sequence[Coverage], asked: Asked) -> Scene:
    """Take the scene of a trace."""
    unseen = _unseen(covered, asked.lag, forest.as_of)
    earliest = forest.as_of - LONGEST["user"]
    theirs = _theirs(forest, trace, unseen, asked.narrowing)
    named_people = persons.by_name(forest, theirs.held)
    theirs.held[:] = [persons.told(one, named_people) for one in theirs.held]
    more, tainted, pairs, deeds = theirs.more, theirs.tainted, theirs.pairs, theirs.deeds
    known = set(tainted)
    listed, run_out = [row for row, _ in pairs], forest.named(sorted(more.spent))
    spent = zip(run_out, forest.credentials(run_out), strict=True)
    where = issued_where(forest, [one for _, one in pairs])
    ever = [
        Seen(own, one, row["target"], where.get(one.id))
        for (row, one), own in zip(pairs, theirs.held, strict=True)
    ]
    held = [
        one.held
        for one in ever
        if not _expired(one.credential, unseen.get(one.credential.account or "", earliest))
    ]
    accounts = {seen.held.principal.account for seen in ever} | {one.account for one in deeds}
    around = list(forest.changes(accounts))
    named = {one.held.caller.session_name or "" for one in ever if one.held.kind == "service_role"}
    gone_since = removals(forest, deeds, named)
    left = left_behind(deeds, around, [one.held for one in ever], gone_since)
    starts = starts_of(forest, more.subjects)
    ids = {row["n"]: row["id"] for row in listed}
    own = {name for n, name in ids.items() if n in starts}
    shut = {(one.id, one.mints) for one in left.sources}
    standing, idle = running_on(left.sources, left.roles)
    dead = gone(around)
    left.risks += [*idle, *weakened(deeds, around, dead, left.users | left.roles)]
    sources = [
        *standing,
        *behind(ever, gone_since, forest.as_of, shut),
        *logins(forest, ever, ids, own, asked.narrowing),
        *passwords(ever, deeds, around),
        *providers(ever, around, forest.as_of),
    ]
    sources, held_there = taken_over(forest, sources, known)
    shutting = (settled(one, timedelta(seconds=asked.margin), forest.as_of) for one in sources)
    sources = [one for one in shutting if one.until is None or one.until > unseen.get(one.account, earliest)]
    still = [
        one for one in sources if one.mints in dead and one.kind == "host" and one.made and one.until is None
    ]
    left.risks += [
        f"{one.why}; its role is gone, so that it is handed no session, but it may run on" for one in still
    ]
    sources = [one for one in sources if one.mints not in dead]
    doors = [one for one in standing if one.kind == "provider" and one.made]
    shutting_out = {one.id for one in doors if one.account not in asked.without_access}
    foreign = [one for one in sources if one.assumed and one.id not in shutting_out]
    calls = calls_of(forest, ids, own, asked.narrowing)
    left.risks += unknown_calls(calls)
    left.entered += given_calls(calls)
    edges = list(seen_edges(forest))
    assuming = {one.principal for one in held if assumes(one.caller)}
    assuming |= {one.mints for one in sources} | left.users | left.roles
    concerned = assuming | {one.principal for one in held}
    if asked.reach is not None:
        edges += allowed_edges(asked.reach, assuming, edges)
    assumable = closure(assuming, edges)
    reached = assumable | concerned
    concerning = reached | asked.also
    near = [
        row
        for row in (*living_of(forest, concerning), *federated_in(forest, concerning))
        if row["id"] not in known
    ]
    judge = forest.judge_of(near)
    alive = {one.id for _, one in pairs if one.state in ("active", "unknown")}
    judged = [
        (row, one, persons.told(held_of(row, one), named_people))
        for row in near
        for one in (rows.credential(row, judge),)
    ]
    innocents = [other for _, one, other in judged if one.state in ("active", "unknown")]
    told = [*zip(listed, theirs.held, strict=True), *((row, other) for row, _, other in judged)]
    changes = tuple(forest.changes(accounts | {one.account for one in reached}))
    return Scene(
        case_id=asked.case_id,
        as_of=forest.as_of,
        subjects=trace.subject,
        narrowing=_narrowing(asked.narrowing),
        margin=asked.margin,
        lag=asked.lag,
        tainted=tuple(tainted),
        held=tuple(replace(one, made=one.key_id in left.keys) for one in held),
        acted_as=frozenset(one.principal for one in theirs.held),
        innocents=tuple(one for one in innocents if one.kind != "forwarded"),
        known=identified(told, reached, changes),
        renamed=renamed(changes),
        persons=persons.persons([one.held for one in ever], innocents, edges),
        edges=tuple(edge for edge in edges if edge.by in assumable),
        sources=tuple(once(sources)),
        let_in=tuple(dict.fromkeys((one.id, one.person or "", one.mints) for one in foreign)),
        ways_in=tuple(ways_in(forest, ever)),
        writers=tuple(sorted(writers(deeds, held, alive, reached, asked.reach).items())),
        writing=frozenset(writing(deeds, theirs.held, reached, asked.reach)),
        changes=changes,
        unseen_since=unseen,
        beyond=tuple(beyond(asked.reach, reached)),
        responders=_responders(forest, known, concerned, held),
        uncertain=frozenset(left.uncertain),
        made_users=frozenset(left.users),
        made_roles=frozenset(left.roles),
        without_access=asked.without_access,
        management_account=asked.management_account,
        reach=asked.reach,
        residual_risks=tuple(dict.fromkeys(left.risks)),
        entered=tuple(
            dict.fromkeys(
                (
                    *left.entered,
                    *reactivated(changes, held, deeds),
                    *namesakes(changes, concerned),
                    *persons.conditions(named_people),
                )
            )
        ),
        minters=_minters(forest, more.subjects, known),
        left_out=tuple(one.id for one in trace.credentials if one.may_mint and one.id not in known),
        strangers=tuple(strangers(ever, dead)),
        held_there=tuple(held_there),
        handed=more.why,
        doubts=tuple(more.doubts),
        neighbours=tuple(neighbours(forest, [*pairs, *spent], starts, asked.narrowing)),
    )


@dataclass(frozen=True, slots=True)
class _Theirs:
    """What counts as the attacker's."""

    more: Handed
    tainted: list[str]
    pairs: list[tuple[Row, Credential]]
    held: list[Held]
    """The same, as a proof sees them."""
    deeds: list[Deed]


def _theirs(forest: Forest, trace: Trace, unseen: Mapping[str, datetime], narrowing: Narrowing) -> _Theirs:
    """
    What a trace calls tainted, what its sources handed out, and what others were given of roles that it passed on.

    Again until nothing is found anew, since what was given a role may have passed on another.
    """
    told: dict[str, Credential] = {one.id: one for one in trace.credentials}
    also: dict[str, str] = {}
    spent: dict[str, str] = {}
    while True:
        more = follow(forest, trace, narrowing, unseen, also, spent)
        tainted = sorted({one.id for one in trace.credentials if one.tainted} | more.why.keys())
        listed = forest.named(tainted)
        judged = iter(forest.credentials([row for row in listed if row["id"] not in told]))
        pairs = [(row, told.get(row["id"]) or next(judged)) for row in listed]
        deeds = list(_deeds(forest, more.subjects, listed, narrowing))
        held = [held_of(row, one) for row, one in pairs]
        opened = openings(deeds, [(one, own) for (_, one), own in zip(pairs, held, strict=True)])
        near = sessions_of(forest, opened, {*tainted, *more.spent}, unseen)
        theirs = [*(one for _, one in pairs), *forest.credentials(forest.named(sorted(more.spent)))]
        found = attackers_of(opened, near, theirs, narrowing, home_addresses(forest, pairs), more.owners)
        if not found.certain and not found.spent:
            doubts = living(forest, found.doubtful, set(tainted))
            more.doubts += [one for one in doubts if one not in more.doubts]
            return _Theirs(more, tainted, pairs, held, deeds)
        also |= found.certain
        spent |= found.spent


def followed(
    forest: Forest, found: Trace, covered: Sequence[Coverage], asked: Asked, known: Iterable[str],
    spent_after: float = inf,
) -> tuple[str, ...]:  # fmt: skip
    """
    A trace's subjects, and what counts as the attacker's beyond it: handed out since, or `known` to a plan.

    Of what leaves nothing to end, what was used, or began, after a second: that tells whether a plan held.
    """
    more = _theirs(forest, found, _unseen(covered, asked.lag, forest.as_of), asked.narrowing)
    spent = forest.named(sorted(more.more.spent))
    late = (row["id"] for row in spent if (row["last"] or row["issued_at"] or 0) > spent_after)
    return (
        *more.more.subjects,
        *late,
        *(row["id"] for row in forest.named(sorted({*known}.difference(more.tainted)))),
    )


def beyond_trace(
    forest: Forest, found: Trace, covered: Sequence[Coverage], lag: int, narrowing: Narrowing
) -> Handed:
    """What a plan for a trace would count as the attacker's beyond it, for other answers to count the same."""
    return _theirs(forest, found, _unseen(covered, lag, forest.as_of), narrowing).more


def _minters(forest: Forest, subjects: Sequence[str], tainted: set[str]) -> tuple[str, ...]:
    """What stands above the subjects, is not tainted, and may still work: the nearest first."""
    starts = starts_of(forest, subjects)
    above = forest.chosen_rows(forest.ancestors(starts) - starts) if starts else ()
    found = [one for one in forest.credentials(above) if one.id not in tainted and one.may_mint]
    return tuple(one.id for one in sorted(found, key=lambda one: -one.depth))


def held_of(row: Row, one: Credential) -> Held:
    """A credential of the forest, as a proof sees it."""
    caller = rows.caller(row)
    return Held(
        id=one.id,
        caller=caller,
        key_id=one.access_key_ids[0] if one.kind == "long_term_key" and one.access_key_ids else None,
        principal=of_caller(caller),
        expires=one.expires_at or one.expires_bound,
        since=rows.moment(row["created_time"]) if row["created_what"] == "access_key" else None,
        anchor=row["created_thing"] if row["created_what"] == "trust_anchor" else None,
    )


def _unseen(covered: Sequence[Coverage], lag: int, as_of: datetime) -> dict[str, datetime]:
    """
    By account, when the log stops telling all: the lag before the newest event of the region that is most behind.

    A region in which nothing happens can't be told from one whose log is late, so the quietest decides. A trail
    without read-only events never tells of AssumeRole (IAM User Guide, 'Logging IAM and AWS STS API calls').
    """
    found: dict[str, datetime] = {}
    for one in covered:
        if one.account is not None:
            since = one.last - timedelta(seconds=lag)
            found[one.account] = min(found.get(one.account, since), since)
    telling = {one.account for one in covered if one.read_only_events}
    return {
        account: since if account in telling else min(since, as_of - LONGEST["user"])
        for account, since in found.items()
    }


def _expired(one: Credential, since: datetime) -> bool:
    """Whether it had expired by then; what was ended in another way may be revived."""
    end = one.expires_at or one.expires_bound
    return one.kind != "long_term_key" and end is not None and end <= since


def _deeds(
    forest: Forest, subjects: Sequence[str], listed: Sequence[Row], narrowing: Narrowing
) -> Iterator[Deed]:
    """The changes that tainted credentials made; of the subjects' own, those that may be the attacker's."""
    starts = starts_of(forest, subjects)
    ids = {row["n"]: row["id"] for row in listed}
    narrowed = bool(narrowing.since or narrowing.source_ips or narrowing.trusted_ips)
    found = forest.changed_by(ids)
    acted = {row["n"] for row in found}
    callers = {row["n"]: rows.caller(row) for row in listed if row["n"] in acted}
    addresses = forest.addresses([row["event_id"] for row in found if row["n"] in starts])
    regions = forest.regions([row["event_id"] for row in found if row["event_id"]])
    for row in found:
        time = rows.moment(row["time"])
        if time is None or (
            row["n"] in starts and not narrowing.admits(time, addresses.get(row["event_id"]))
        ):
            continue
        yield Deed(
            by=ids[row["n"]],
            event_id=rows.event_id(row["event_id"], row["event_id_text"]) or "",
            time=time,
            account=row["account"] or callers[row["n"]].account or "",
            source=row["source"] or "",
            name=row["name"],
            request=row["request"],
            response=row["response"],
            document=row["document"],
            user=callers[row["n"]].user_name,
            certain=narrowed or row["n"] not in starts,
            region=regions.get(row["event_id"]),
        )


def _responders(
    forest: Forest, tainted: set[str], concerned: Iterable[Principal], held: Iterable[Held]
) -> frozenset[str]:
    """Who, untainted, has taken steps against the tainted principals and keys already."""
    names = {one.name for one in concerned} | {one.key_id for one in held if one.key_id}
    return frozenset(
        row["id"]
        for row in forest.callers_of(_CONTAINS)
        if row["id"] not in tainted and not names.isdisjoint((row["request"] or "").split('"')[1:-1])
    )


def _narrowing(told: Narrowing) -> dict[str, Any]:
    return {"since": told.since, "source_ips": list(told.source_ips), "trusted_ips": list(told.trusted_ips)}
