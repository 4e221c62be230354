"""
The timeline's section: a table of calls, runs of like calls as one line, with a filter.
"""

from __future__ import annotations

from tokentrail.lineage.model import CallLine, CallLines, TimelineEvent
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.console import address
from tokentrail.present.html.dossier import Names
from tokentrail.present.html.markup import Html, join, tag
from tokentrail.present.html.pieces import reference, section
from tokentrail.present.safe import brief
from tokentrail.present.timeline import on_what

_HEADS = ("Time", "Credential", "Call", "From", "Result", "On what")


def timeline_section(chronicle: CallLines, names: Names, *, of_others: int = 0) -> Html:
    """
    Build the section; in a console each line leads to its record, and the section to the page of all calls.

    Args:
        of_others: How many of the calls are of descendants that do not count as the attacker's.
    """
    if not chronicle.lines:
        none = tag("p", "No call of these credentials is in the evidence.", class_="empty")
        return section("timeline", "Timeline", none)
    shown = words.number(chronicle.events - chronicle.left_events, "call")
    begun = f", {chronicle.began:,} of them the beginnings of sessions" if chronicle.began else ""
    note = (
        f"{shown}{begun}; like calls in a row are one line. Those that mint, make, change or fail are marked."
    )
    if of_others:
        note += f" {of_others:,} of all are of descendants that do not count as the attacker's."
    if chronicle.left_out:
        note += (
            f" Not on this page, which has no room for them: {words.number(chronicle.left_out, 'line')} with "
            f"{words.number(chronicle.left_events, 'call')}; `tokentrail timeline SUBJECT --format csv` has them all."
        )
    live = names.live
    everything = tag("p", tag("a", "All calls, one by one, with their raw records",
                     href=address("/timeline", live.query, live.as_of))) if live else None  # fmt: skip
    head = tag("tr", *(tag("th", one, scope="col") for one in _HEADS))
    return section(
        "timeline", "Timeline",
        tag(
            "div",
            tag("label", "Filter ", tag("input", type="search", id="sift", autocomplete="off", spellcheck="false",
                                        placeholder="credential, call, address, resource")),
            tag("label", tag("input", type="checkbox", id="marked"), " marked calls only"),
            tag("output", id="sifted", for_="sift marked"),
            class_="tools js", hidden=True,
        ),
        everything,
        tag("p", "Printed are the marked calls; the page has the others too.", class_="note printed"),
        tag("div", tag("table", tag("caption", "Calls in order of time"), tag("thead", head),
                       tag("tbody", *(_line(one, names) for one in chronicle.lines), id="calls")),
            class_="wide tall", tabindex=0, role="region", aria_label="Calls in order of time"),
        note=note,
    )  # fmt: skip


def _line(line: CallLine, names: Names) -> Html:
    first, time = line.first, moment(line.first, names)
    if line.count > 1:
        until = words.span(first.time, line.until).removeprefix(timestamp(first.time))
        time = join([time, tag("span", until, class_="soft")])
    times = tag("b", f" ×{line.count:,}") if line.count > 1 else None
    result = (
        tag("span", brief(first.error_code, 60), class_="refused") if first.error_code else outcome(first)
    )
    return tag(
        "tr",
        tag("td", time),
        tag("td", reference(first.credential, names)),
        tag("td", brief(words.call(first.event_source, first.event_name), 80), times),
        tag("td", brief(first.source_ip or "-", 60)),
        tag("td", result),
        tag("td", brief(on_what(first, line.count), 120), class_="on"),
        class_="marked" if line.telling else None,
    )  # fmt: skip


def outcome(event: TimelineEvent) -> str | None:
    """What came of a call that went well, if that is not plain."""
    return "began the session" if event.began else None


def moment(event: TimelineEvent, names: Names) -> Html:
    """When a call was made; in a console it leads to the raw record, by what the case called its object."""
    shown = tag("time", timestamp(event.time))
    if names.live is None or not event.object.isalnum():
        return shown
    return tag(
        "a", shown, href=f"/record/{event.object}/{event.ordinal}", class_="event", title="the raw record"
    )
