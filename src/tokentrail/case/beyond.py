"""
What counts as the attacker's beyond what was minted: sessions that hosts, portals and sign-ins handed out since.

Every verb asks here, and a plan counts the same (`containment.handed`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tokentrail.containment.attackers import beyond_trace
from tokentrail.containment.margin import LAG
from tokentrail.containment.role_sessions import may_open
from tokentrail.containment.source_issued import BeyondTrace, has_source
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import HandedOut, Trace
from tokentrail.lineage.trace import Narrowing
from tokentrail.results import Coverage

MOST_FOLLOWED = 100_000
"""Credentials of a trace up to which their sources are followed: for each, one more object is made."""


def follow_sources(
    forest: Forest,
    found: Trace,
    covered: Callable[[], Sequence[Coverage]],
    narrowing: Narrowing,
    *,
    whole: bool = False,
) -> BeyondTrace | None:
    """
    Follow the hosts, portals and sign-ins behind the tainted credentials of a trace; `None` if there are too many.

    Args:
        forest: The forest that the trace is of.
        found: The trace.
        covered: Returns what the evidence covers.
        narrowing: What of the subjects counts as the attacker's.
        whole: Whether the trace also lists what its credentials made; most traces then need no further look-up.
    """
    if len(found.credentials) > MOST_FOLLOWED:
        return None
    theirs = {one.id: one for one in found.credentials if one.tainted}
    made = {one.what for one in found.created if one.by in theirs}
    if whole and not any(map(has_source, theirs.values())) and not any(map(may_open, made)):
        return BeyondTrace(list(found.subject))
    return beyond_trace(forest, found, covered(), LAG, narrowing)


def roots(found: Trace, more: BeyondTrace) -> tuple[str, ...]:
    """The credentials that sources handed out, without their descendants."""
    return (*more.subjects[len(found.subject) :], *more.spent)


def handed_out(forest: Forest, more: BeyondTrace) -> tuple[HandedOut, ...]:
    """Everything that sources handed out, with its descendants and states, by time, then id."""
    why = more.why | more.spent
    found = forest.credentials(forest.named(sorted(why))) if why else []
    return tuple(
        HandedOut(credential=one.id, state=one.state, why=why[one.id])
        for one in sorted(found, key=lambda one: (one.issued_at or one.first_used or forest.as_of, one.id))
    )
