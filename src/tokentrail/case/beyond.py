"""What counts as the attacker's beyond a trace: one answer for every verb, and the one that a plan gives."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tokentrail.containment.given import may_open
from tokentrail.containment.handed import Handed, has_source
from tokentrail.containment.margin import LAG
from tokentrail.containment.staging import beyond_trace
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import HandedOut, Trace
from tokentrail.lineage.trace import Narrowing
from tokentrail.results import Coverage

MOST = 100_000
"""Credentials up to which their sources are followed: that makes an object of each once more."""


def beyond(
    forest: Forest,
    found: Trace,
    covered: Callable[[], Sequence[Coverage]],
    narrowing: Narrowing,
    *,
    whole: bool = False,
) -> Handed | None:
    """
    Follow the hosts, portals and sign-ins behind a trace; `None` where it is too large for that.

    Args:
        forest: Where.
        found: The trace.
        covered: Answers what the evidence covers.
        narrowing: What of its subjects counts.
        whole: Whether the trace tells what its credentials made, too: of most nothing need be looked up then.
    """
    if len(found.credentials) > MOST:
        return None
    theirs = {one.id: one for one in found.credentials if one.tainted}
    made = {one.what for one in found.created if one.by in theirs}
    if whole and not any(map(has_source, theirs.values())) and not any(map(may_open, made)):
        return Handed(list(found.subject))
    return beyond_trace(forest, found, covered(), LAG, narrowing)


def roots(found: Trace, more: Handed) -> tuple[str, ...]:
    """What was handed out itself, without what descends from that."""
    return (*more.subjects[len(found.subject) :], *more.spent)


def told(forest: Forest, more: Handed) -> tuple[HandedOut, ...]:
    """All of it, with its state, by time and id."""
    why = more.why | more.spent
    found = forest.credentials(forest.named(sorted(why))) if why else []
    return tuple(
        HandedOut(credential=one.id, state=one.state, why=why[one.id])
        for one in sorted(found, key=lambda one: (one.issued_at or one.first_used or forest.as_of, one.id))
    )
