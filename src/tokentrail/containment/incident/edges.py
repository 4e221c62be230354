"""
Which principals can mint sessions of which roles: those seen in the log, and those that a snapshot's policies allow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from tokentrail.aws.principals import Principal, arn_of, principal_of_arn
from tokentrail.containment.incident.incident_model import Edge
from tokentrail.lineage import rows
from tokentrail.lineage.forest import Forest
from tokentrail.policy.account.reach import Reach


def seen_edges(forest: Forest) -> Iterator[Edge]:
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


def allowed_edges(reach: Reach, concerned: Iterable[Principal], seen: Sequence[Edge]) -> Iterator[Edge]:
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


def closure(starts: Iterable[Principal], edges: Iterable[Edge]) -> set[Principal]:
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
