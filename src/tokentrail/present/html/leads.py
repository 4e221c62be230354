"""Leads, each a document as `leads` prints it: what to look at when nobody knows where to start."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from tokentrail.lineage.model import State
from tokentrail.present import words
from tokentrail.present.document import Document
from tokentrail.present.html.console import trace_address
from tokentrail.present.html.dossier import Names
from tokentrail.present.html.markup import Html, join, prose, tag
from tokentrail.present.html.pieces import section
from tokentrail.present.safe import brief, safe
from tokentrail.spelling import more

_MOST = 5
_REASONS = 4
_EVENTS = 2
_ID = 8
_STATES = get_args(State)


def any_strong(leads: Sequence[Document] | None) -> bool:
    """Whether a lead is strong, so that it comes before all else."""
    return any(one.get("strong") for one in leads or ())


def subject_of(lead: Document) -> str:
    """The credential of a lead to trace: the first of those that show its signals."""
    return str(next(iter(lead.get("credentials") or ()), lead.get("credential") or ""))


def leads_section(leads: Sequence[Document], names: Names) -> Html:
    """Build the section: the first leads, each with its reasons and the way to its trace."""
    told = (
        "Credentials ranked by how much speaks for theft. Strong ones come first; a weak one is only what differs most "
        "from the rest of this evidence, and may well be harmless."
        if any_strong(leads)
        else "None is strong: these only differ most from the rest of this evidence, and may well be harmless."
    )
    shown = [one for one in leads if one.get("reasons")][:_MOST] or list(leads[:1])
    left = len(leads) > len(shown)
    return section(
        "leads",
        "Leads",
        tag("ol", *(_lead(one, names) for one in shown), class_="findings"),
        tag("p", prose("`tokentrail leads` lists the others, too."), class_="note") if left else None,
        note=told,
    )


def _lead(one: Document, names: Names) -> Html:
    strong = bool(one.get("strong"))
    subject = subject_of(one)
    shown = tag("code", brief(subject, 120))
    reasons = list(one.get("reasons") or ())
    state = str(one.get("state") or "")
    who = f"  {one.get('account') or '-'} {words.principal(one.get('principal'))}"
    left = more(len(reasons) - _REASONS)
    return tag(
        "li",
        tag("h3", tag("span", "strong" if strong else "weak", class_=f"severity {'high' if strong else 'low'}"), " ",
            tag("a", shown, href=trace_address(subject, names.live)) if names.live else shown,
            tag("span", brief(who, 160), class_="soft")),
        tag("ul", *(_reason(each, names) for each in reasons[:_REASONS]),
            tag("li", left.strip(), class_="soft") if left else None) if reasons
        else tag("p", "No sign of theft.", class_="empty"),
        tag("p", f"Score {float(one.get('score') or 0):.1f}, ", state if state in _STATES else "of unknown state",
            join([". Next: ", tag("a", "trace it", href=trace_address(subject, names.live))]) if names.live
            else prose(f". Next: `{one.get('next')}`"), ".", class_="soft"),
    )  # fmt: skip


def _reason(one: Document, names: Names) -> Html:
    """A reason, with the first of its events."""
    ids = [str(each) for each in one.get("events") or ()][:_EVENTS]
    why = str(one.get("why") or "")
    rests = join([" (event ", join((_event(each, names) for each in ids), ", "), ")"]) if ids else None
    return tag(
        "li", brief(why[:1].upper() + why[1:], 400), tag("span", rests, class_="soft") if rests else None
    )


def _event(event_id: str, names: Names) -> Html:
    """The beginning of an event's id, leading to its raw record: whole ids would bury the reason."""
    shown, place = tag("code", safe(event_id[:_ID])), names.record(event_id)
    return shown if place is None else tag("a", shown, href=place, class_="event", title="the raw record")
