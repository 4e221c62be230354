"""
The timeline: calls in order of time, runs of like calls as one line.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokentrail.formatting import counted
from tokentrail.lineage.model import CallLine, CallLines, TimelineEvent
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.console import address
from tokentrail.present.html.label_resolver import LabelResolver
from tokentrail.present.html.view_models import Reference
from tokentrail.present.safe import brief
from tokentrail.present.text.timeline_text import on_what


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineLine:
    """A call, or a run of like calls."""

    time: Reference
    until: str
    """The end of a run, as it continues its beginning."""
    credential: Reference
    call: str
    count: int
    source_ip: str
    error: str
    outcome: str
    on_what: str
    marked: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineView:
    """What the section of the timeline shows."""

    lines: tuple[TimelineLine, ...]
    note: str = ""
    everything: str | None = None
    """The console's page of all calls."""


def timeline_view(chronicle: CallLines, names: LabelResolver, *, of_others: int = 0) -> TimelineView:
    """
    Choose what the section shows; in a console each line leads to its record.

    Args:
        of_others: How many of the calls are of descendants that do not count as the attacker's.
    """
    if not chronicle.lines:
        return TimelineView(lines=())
    live = names.live
    return TimelineView(
        lines=tuple(_line(one, names) for one in chronicle.lines), note=_note(chronicle, of_others),
        everything=address("/timeline", live.query, live.as_of) if live else None,
    )  # fmt: skip


def _note(chronicle: CallLines, of_others: int) -> str:
    shown = counted(chronicle.events - chronicle.left_events, "call")
    begun = f", {chronicle.began:,} of them the beginnings of sessions" if chronicle.began else ""
    note = (
        f"{shown}{begun}; like calls in a row are one line. Those that mint, make, change or fail are marked."
    )
    if of_others:
        note += f" {of_others:,} of all are of descendants that do not count as the attacker's."
    if chronicle.left_out:
        note += (
            f" Not on this page, which has no room for them: {counted(chronicle.left_out, 'line')} with "
            f"{counted(chronicle.left_events, 'call')}; `tokentrail timeline SUBJECT --format csv` has them all."
        )
    return note


def _line(line: CallLine, names: LabelResolver) -> TimelineLine:
    first = line.first
    run = line.count > 1
    return TimelineLine(
        time=moment(first, names),
        until=words.span(first.time, line.until).removeprefix(timestamp(first.time)) if run else "",
        credential=names.reference(first.credential),
        call=brief(words.call(first.event_source, first.event_name), 80), count=line.count,
        source_ip=brief(first.source_ip or "-", 60), error=brief(first.error_code or "", 60), outcome=outcome(first),
        on_what=brief(on_what(first, line.count), 120), marked=line.telling,
    )  # fmt: skip


def outcome(event: TimelineEvent) -> str:
    """What came of a call that went well, if that is not plain."""
    return "began the session" if event.began else ""


def moment(event: TimelineEvent, names: LabelResolver) -> Reference:
    """When a call was made; in a console it leads to the raw record, by what the case called its object."""
    shown = timestamp(event.time)
    if names.live is None or not event.object.isalnum():
        return Reference(shown)
    return Reference(shown, f"/record/{event.object}/{event.ordinal}")
