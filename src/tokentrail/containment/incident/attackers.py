"""
Which credentials count as the attacker's: those traced, those that sources issued since (`source_issued`), and the
sessions of roles that the attacker opened (`role_sessions`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf

from tokentrail.containment.incident.changed_providers import came_in
from tokentrail.containment.incident.incident_model import LONGEST, HeldCredential
from tokentrail.containment.incident.persistence import AttackerAction
from tokentrail.containment.incident.role_sessions import attackers_of, home_addresses, openings, sessions_of
from tokentrail.containment.incident.source_issued import BeyondTrace, follow, living_doubtful
from tokentrail.lineage import rows
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import Credential, Trace
from tokentrail.lineage.rows import Row
from tokentrail.lineage.trace import Narrowing, starts_of
from tokentrail.results import Coverage


@dataclass(frozen=True, slots=True)
class Attackers:
    """The credentials that count as the attacker's."""

    beyond: BeyondTrace
    """What counts beyond the trace, and why."""
    tainted: list[str]
    """The ids of all of them, without `spent` ones."""
    pairs: list[tuple[Row, Credential]]
    """Their described rows, each with the credential."""
    held: list[HeldCredential]
    """The same credentials in the form that proofs use."""
    deeds: list[AttackerAction]
    """The changes that they made."""


def attackers(
    forest: Forest, trace: Trace, unseen: Mapping[str, datetime], narrowing: Narrowing
) -> Attackers:
    """
    Find the credentials that count as the attacker's: traced as tainted, handed out by sources, or of opened roles.

    The search is repeated until it finds nothing new, since a session of an opened role may have opened another.
    """
    traced: dict[str, Credential] = {one.id: one for one in trace.credentials}
    also: dict[str, str] = {}
    spent: dict[str, str] = {}
    while True:
        beyond = follow(forest, trace, narrowing, unseen, also, spent)
        tainted = sorted({one.id for one in trace.credentials if one.tainted} | beyond.why.keys())
        listed = forest.named(tainted)
        judged = iter(forest.credentials([row for row in listed if row["id"] not in traced]))
        pairs = [(row, traced.get(row["id"]) or next(judged)) for row in listed]
        deeds = list(_deeds(forest, beyond.subjects, listed, narrowing))
        held = [held_of(row, one) for row, one in pairs]
        opened = openings(deeds, [(one, own) for (_, one), own in zip(pairs, held, strict=True)])
        near = sessions_of(forest, opened, {*tainted, *beyond.spent}, unseen)
        theirs = [*(one for _, one in pairs), *forest.credentials(forest.named(sorted(beyond.spent)))]
        came = came_in(forest, deeds, {*tainted, *beyond.spent}, unseen)
        homes = home_addresses(forest, pairs)
        found = attackers_of(opened, near, theirs, narrowing, homes, beyond.owners, came)
        if not found.certain and not found.spent:
            doubts = living_doubtful(forest, found.doubtful, set(tainted))
            beyond.doubts += [one for one in doubts if one not in beyond.doubts]
            return Attackers(beyond, tainted, pairs, held, deeds)
        also |= found.certain
        spent |= found.spent


def subjects_by_now(
    forest: Forest, trace: Trace, covered: Sequence[Coverage], lag: int, narrowing: Narrowing, known: Iterable[str],
    spent_after: float = inf,
) -> tuple[str, ...]:  # fmt: skip
    """
    The ids of credentials from which a trace reaches all that counts as the attacker's by now.

    Args:
        forest: The forest.
        trace: The trace of a plan's subjects.
        covered: What the evidence covers.
        lag: Seconds by which the log may be late.
        narrowing: What of the subjects counts.
        known: The ids of the plan's tainted credentials, which count in any case.
        spent_after: A time in seconds since 1970: spent credentials that were used, or began, after it are included,
            since they tell whether a plan held.
    """
    theirs = attackers(forest, trace, log_ends(covered, lag, forest.as_of), narrowing)
    spent = forest.named(sorted(theirs.beyond.spent))
    late = (row["id"] for row in spent if (row["last"] or row["issued_at"] or 0) > spent_after)
    return (
        *theirs.beyond.subjects,
        *late,
        *(row["id"] for row in forest.named(sorted({*known}.difference(theirs.tainted)))),
    )


def beyond_trace(
    forest: Forest, trace: Trace, covered: Sequence[Coverage], lag: int, narrowing: Narrowing
) -> BeyondTrace:
    """What a plan counts as the attacker's beyond a trace, for other answers that must count the same."""
    return attackers(forest, trace, log_ends(covered, lag, forest.as_of), narrowing).beyond


def held_of(row: Row, one: Credential) -> HeldCredential:
    """A credential of the forest in the form that proofs use."""
    caller = rows.caller(row)
    return HeldCredential(
        id=one.id,
        caller=caller,
        key_id=one.access_key_ids[0] if one.kind == "long_term_key" and one.access_key_ids else None,
        principal=caller.acts_as,
        expires=one.expires_at or one.expires_bound,
        since=rows.moment(row["created_time"]) if row["created_what"] == "access_key" else None,
        anchor=row["created_thing"] if row["created_what"] == "trust_anchor" else None,
    )


def log_ends(covered: Sequence[Coverage], lag: int, as_of: datetime) -> dict[str, datetime]:
    """
    By account, the time up to which the log is complete; after it there may be sessions that no log shows yet.

    That is the log's lag before the newest event of the region that is furthest behind, since a region without events
    can't be told from one whose log is late. A trail without read-only events never shows AssumeRole (IAM User Guide,
    'Logging IAM and AWS STS API calls'), so that there the time is as early as any unseen session can be.
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


def _deeds(
    forest: Forest, subjects: Sequence[str], listed: Sequence[Row], narrowing: Narrowing
) -> Iterator[AttackerAction]:
    """The changes that tainted credentials made; of the subjects' own, those that the narrowing admits."""
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
        yield AttackerAction(
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
