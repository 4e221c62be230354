"""
The pages that only a live console has: lists that can be searched and turned over, one raw record, and a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from tokentrail.detection.model import SEVERITIES
from tokentrail.lineage.model import KINDS, Credential, TimelineEvent
from tokentrail.present import words
from tokentrail.present.document import Document, timestamp
from tokentrail.present.html.console import Live, address, console_bar, hidden, narrowed, pages, trace_address
from tokentrail.present.html.dossier import Names
from tokentrail.present.html.evidence import evidence_section
from tokentrail.present.html.findings import findings_section
from tokentrail.present.html.markup import Child, Html, brief, join, tag
from tokentrail.present.html.page import footer, whole
from tokentrail.present.html.pieces import STATES, reference, section, state, table
from tokentrail.present.html.records import headline, record_text, whereabouts
from tokentrail.present.html.timeline import moment, outcome
from tokentrail.present.timeline import resource
from tokentrail.results import RawRecord, Status

_ACCOUNTS = 500
"""Accounts that can be chosen from."""


def credentials_page(
    found: Sequence[Credential], asked: dict[str, str], page: int, *, more: bool, live: Live, version: str
) -> str:
    """List credentials that meet what was asked."""
    rows = [
        (tag("a", tag("code", brief(one.id)), href=trace_address(one.id, live)), words.kind(one), state(one),
         brief(words.who(one), 120), _date(one.issued_at), _date(one.expires_at or one.expires_bound),
         f"{one.events:,}", brief(words.listed(one.source_ips, 3)))
        for one in found
    ]  # fmt: skip
    heads = [*(_sorting(head, asked, live) for head in _SORTED), "From"]
    choices = tag(
        "form",
        _search(asked.get("search", ""), "key, principal, address, name"),
        _choice("state", "State ", STATES, asked), _choice("kind", "Kind ", KINDS, asked),
        *hidden([("sort", asked["sort"])] if "sort" in asked else []),
        *_moment(live), tag("button", "List"), action="/credentials", method="get", class_="tools",
    )  # fmt: skip
    listed = (
        table(heads, rows, caption="The credentials", numbers=(6,))
        if rows
        else tag("p", "None.", class_="empty")
    )
    order = f"sorted by {asked['sort']}" if "sort" in asked else "in order of time"
    note = f"Every credential that the evidence shows, issued or used, {order}."
    part = section("credentials", "List", choices, listed, pages(live, page, more), note=note)
    return _page("Credentials in the evidence", live, version, part)


_SORTED = ("Credential", "Kind", "State", "Of", "Issued", "Ends", "Calls")
"""The columns by which credentials can be sorted."""


def _sorting(head: str, asked: Mapping[str, str], live: Live) -> Html:
    """The head of a column, leading to the list sorted by it, or back to the order of time."""
    sorting = asked.get("sort") == head.lower()
    kept = [(name, value) for name, value in live.query if name not in ("sort", "page")]
    there = address(live.path, kept if sorting else [*kept, ("sort", head.lower())], live.as_of)
    told = "in order of time again" if sorting else f"sort by {head.lower()}"
    return tag("a", head, " ▾" if sorting else None, href=there, title=told, class_="sorting")


def timeline_page(
    events: Sequence[TimelineEvent], subjects: Sequence[str], search: str, page: int, *, more: bool, live: Live,
    version: str,
) -> str:  # fmt: skip
    """List the calls of a subject and of all that descends from it, each leading to its record."""
    names = Names({}, {}, live=live)
    rows = [
        (moment(one, names), reference(one.credential, names), brief(words.call(one.event_source, one.event_name), 80),
         brief(one.source_ip or "-", 60), brief(one.error_code or outcome(one) or "", 60),
         brief(resource(one), 160), brief(one.user_agent or "-", 80))
        for one in events
    ]  # fmt: skip
    choices = tag(
        "form",
        *(tag("input", type="hidden", name="subject", value=one) for one in subjects), *_moment(live),
        _search(search, "call, address, error, resource, agent, key"),
        tag("button", "Filter"), action="/timeline", method="get", class_="tools",
    )  # fmt: skip
    heads = ("Time", "Credential", "Call", "From", "Result", "On what", "With")
    listed = table(heads, rows, caption="The calls, in order") if rows else tag("p", "None.", class_="empty")
    of = join(
        (tag("a", tag("code", brief(one, 80)), href=trace_address(one, live)) for one in subjects), ", "
    )
    also = " What narrows the attacker's does not narrow this list." if narrowed(live) else None
    lead = tag("p", "Calls of ", of, " and of all that descends from it, in order. A time leads to the raw record.",
               also, class_="note")  # fmt: skip
    return _page(
        "Timeline",
        live,
        version,
        section("timeline", "Calls", lead, choices, listed, pages(live, page, more)),
    )


def findings_page(
    findings: Sequence[Document] | None, failed: Sequence[str], live: Live, version: str, *,
    asked: Mapping[str, str], accounts: Sequence[str],
) -> str:  # fmt: skip
    """List all findings, or those of a severity or account."""
    choices = tag(
        "form",
        _choice("severity", "Severity ", {one: one for one in reversed(SEVERITIES)}, asked),
        _choice("account", "Account ", {one: brief(one, 40) for one in accounts[:_ACCOUNTS]}, asked),
        *_moment(live), tag("button", "List"), action="/findings", method="get", class_="tools",
    ) if findings is not None else None  # fmt: skip
    part = findings_section(findings, Names({}, {}, live=live), failed=failed)
    title = "What detection finds" if live.looking else "What detection found"
    return _page(title, live, version, choices, part)


def evidence_page(status: Status, live: Live, version: str) -> str:
    """Tell what was read, and what was not."""
    return _page("What the answers rest on", live, version, evidence_section(status, None))


def record_page(one: RawRecord, live: Live, version: str) -> str:
    """Show one record."""
    note = "As CloudTrail wrote it, secrets blanked."
    part = section("record", headline(one.record), whereabouts(one), record_text(one.record), note=note)
    return _page("A record", live, version, part)


def refusal_page(
    title: str, told: str, live: Live | None, version: str, onward: tuple[str, str] | None = None
) -> str:
    """Say why there is no answer, and where to go on."""
    way = tag("p", tag("a", onward[0], href=onward[1])) if onward else None
    body = join([
        console_bar(live) if live else None,
        tag("header", tag("h1", title)),
        tag("main",  tag("section", tag("p", brief(told, 2000)), way), id="content"),
        footer(version),
    ])  # fmt: skip
    return whole(f"{title} · TokenTrail", body, live=live is not None)


def _page(title: str, live: Live, version: str, *parts: Child) -> str:
    when = f"as of {timestamp(live.as_of)}" if live.as_of else "as of the newest evidence"
    body = join([
        console_bar(live),
        tag("header", tag("p", tag("b", "TokenTrail"), f"  {when}", class_="kicker"), tag("h1", title)),
        tag("main",  *parts, id="content"),
        footer(version),
    ])  # fmt: skip
    return whole(f"{title} · TokenTrail", body, live=True)


def _search(text: str, hint: str) -> Html:
    field = tag("input", type="search", name="search", value=text, autocomplete="off", spellcheck="false",
                placeholder=hint)  # fmt: skip
    return tag("label", "Search ", field)


def _choice(name: str, label: str, values: Mapping[Any, str], asked: Mapping[str, str]) -> Html:
    options = [tag("option", "any", value="")]
    options += [
        tag("option", said, value=one, selected=asked.get(name) == one) for one, said in values.items()
    ]
    return tag("label", label, tag("select", *options, name=name))


def _moment(live: Live) -> list[Html]:
    return [tag("input", type="hidden", name="as_of", value=timestamp(live.as_of))] if live.as_of else []


def _date(when: datetime | None) -> Html | str:
    return tag("time", timestamp(when)) if when else "-"
