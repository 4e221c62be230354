"""
What counts as the attacker's beyond what was minted: sessions that hosts, portals and sign-ins handed out since.

Every verb asks here, and a plan counts the same (`containment.incident.taint`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tokentrail.containment.incident.source_kinds import has_source, may_open
from tokentrail.containment.margin import LAG
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import HandedOut, Trace
from tokentrail.lineage.trace import Narrowing
from tokentrail.results import Coverage

if TYPE_CHECKING:
    from tokentrail.containment.incident.taint import ExtendedTaint

MOST_FOLLOWED = 100_000
"""Credentials of a trace up to which their sources are followed: for each, one more object is made."""


def follow_sources(
    forest: Forest,
    found: Trace,
    covered: Callable[[], Sequence[Coverage]],
    narrowing: Narrowing,
) -> ExtendedTaint | None:
    """
    Follow the hosts, portals and sign-ins behind the tainted credentials of a trace; `None` if there are too many.

    Args:
        forest: The forest that the trace is of.
        found: The trace.
        covered: Returns what the evidence covers.
        narrowing: What of the subjects counts as the attacker's.
    """
    if len(found.credentials) > MOST_FOLLOWED:
        return None
    from tokentrail.containment.incident.taint import extended_taint, log_ends  # load half of what plans

    return extended_taint(forest, found, log_ends(covered(), LAG, forest.as_of), narrowing)


def leads_to_a_source(found: Trace) -> bool:
    """Whether the tainted credentials of a trace, and what it lists as made by them, may lead to any source."""
    theirs = {one.id: one for one in found.credentials if one.tainted}
    made = {one.what for one in found.created if one.by in theirs}
    return any(map(has_source, theirs.values())) or any(map(may_open, made))


def roots(found: Trace, more: ExtendedTaint) -> tuple[str, ...]:
    """The credentials that sources handed out, without their descendants."""
    return (*more.subjects[len(found.subject) :], *more.spent)


def handed_out(forest: Forest, more: ExtendedTaint) -> tuple[HandedOut, ...]:
    """Everything that sources handed out, with its descendants and states, by time, then id."""
    why = {**more.why, **more.spent}
    found = forest.credentials(forest.named(sorted(why))) if why else []
    return tuple(
        HandedOut(credential=one.id, state=one.state, why=why[one.id])
        for one in sorted(found, key=lambda one: (one.issued_at or one.first_used or forest.as_of, one.id))
    )
