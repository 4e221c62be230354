"""Leads, each a document as `leads` prints it: what to look at when nobody knows where to start."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from tokentrail.formatting import counted
from tokentrail.lineage.model import State
from tokentrail.present import words
from tokentrail.present.document import Document
from tokentrail.present.html.label_resolver import LabelResolver
from tokentrail.present.html.view_models import Excerpt, Reference, excerpt
from tokentrail.present.safe import brief, safe

_MOST = 5
_REASONS = 4
_EVENTS = 2
_ID = 8
_STATES = get_args(State)
_STRONG = (
    "Credentials ranked by how much speaks for theft. Strong ones come first; a weak one is only what differs most "
    "from the rest of this evidence, and may well be harmless."
)
_NONE_STRONG = (
    "None is strong: these only differ most from the rest of this evidence, and may well be harmless."
)


@dataclass(frozen=True, slots=True)
class LeadReason:
    """What speaks for theft, with the first of its events."""

    why: str
    events: tuple[Reference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownLead:
    """A lead, and the way to its trace."""

    strong: bool
    subject: Reference
    who: str
    reasons: Excerpt[LeadReason]
    score: float
    state: str
    next: str
    """The command that looks at it, where there is no console."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadsView:
    """What the section of the leads shows."""

    told: str
    """How many there are, how strong, and what that means."""
    leads: tuple[ShownLead, ...]
    others: int
    """How many more there are."""


def any_strong(leads: Sequence[Document] | None) -> bool:
    """Whether a lead is strong, so that it comes before all else."""
    return any(one.get("strong") for one in leads or ())


def subject_of(lead: Document) -> str:
    """The credential of a lead to trace: the first of those that show its signals."""
    return str(next(iter(lead.get("credentials") or ()), lead.get("credential") or ""))


def leads_view(leads: Sequence[Document], names: LabelResolver) -> LeadsView:
    """Choose what the section shows: the first leads, each with its reasons."""
    shown = [one for one in leads if one.get("reasons")][:_MOST] or list(leads[:1])
    strong = sum(bool(one.get("strong")) for one in leads)
    return LeadsView(
        told=f"{counted(len(leads), 'lead')}: {strong:,} strong, {len(leads) - strong:,} weak. "
        + (_STRONG if strong else _NONE_STRONG),
        leads=tuple(_lead(one, names) for one in shown),
        others=len(leads) - len(shown),
    )


def _lead(one: Document, names: LabelResolver) -> ShownLead:
    subject, state = subject_of(one), str(one.get("state") or "")
    return ShownLead(
        strong=bool(one.get("strong")),
        subject=names.traced(subject, 120),
        who=brief(f"  {one.get('account') or '-'} {words.principal(one.get('principal'))}", 160),
        reasons=excerpt(list(one.get("reasons") or ()), _REASONS, lambda each: _reason(each, names)),
        score=float(one.get("score") or 0), state=state if state in _STATES else "of unknown state",
        next=f"{one.get('next')}",
    )  # fmt: skip


def _reason(one: Document, names: LabelResolver) -> LeadReason:
    ids = [str(each) for each in one.get("events") or ()][:_EVENTS]
    why = str(one.get("why") or "")
    return LeadReason(brief(why[:1].upper() + why[1:], 400), tuple(_short_event(each, names) for each in ids))


def _short_event(event_id: str, names: LabelResolver) -> Reference:
    """The beginning of an event's id, leading to its raw record: whole ids would bury the reason."""
    return Reference(safe(event_id[:_ID]), names.record(event_id))
