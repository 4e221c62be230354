"""
The page: one file that stands alone, and asks nobody for anything.

Its Content-Security-Policy allows one style sheet and one script, both ours, by their hashes; nothing from evidence is
in either, so that even a hole in the escaping could run nothing.
"""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from markupsafe import Markup

from tokentrail.lineage.model import CallLines
from tokentrail.present import words
from tokentrail.present.html.call_lines import ROOM, read, tick
from tokentrail.present.html.console import Live, console_bar, plan_ways
from tokentrail.present.html.evidence import EvidenceView, evidence_view
from tokentrail.present.html.findings import findings_view
from tokentrail.present.html.flags import LifelineChart
from tokentrail.present.html.label_resolver import LabelResolver
from tokentrail.present.html.lifelines import LEFT, RIGHT, lifelines
from tokentrail.present.html.records import shown_record
from tokentrail.present.html.rows import actions, rows
from tokentrail.present.html.steps import lifelines_view, rules
from tokentrail.present.html.summary import summary_view
from tokentrail.present.html.taken import taken_view
from tokentrail.present.html.templating import render
from tokentrail.present.html.timeline import timeline_view
from tokentrail.present.html.tree import lineage_view
from tokentrail.present.html.window import window
from tokentrail.present.text.plan_text import script_of
from tokentrail.present.views.damage import total_calls
from tokentrail.present.views.plan import plan_view
from tokentrail.present.views.report import ReportData

_OURS, _NOBODY = "'self'", "'none'"
_SECTIONS = (
    ("lifelines", "Lifelines"), ("plan", "Plan"), ("lineage", "Lineage"), ("timeline", "Timeline"), ("taken", "Taken"),
    ("findings", "Findings"), ("evidence", "Evidence"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportLayout:
    """Report data, gone through and laid out."""

    report_data: ReportData
    names: LabelResolver
    picture: LifelineChart
    chronicle: CallLines


def report_page(report_data: ReportData) -> str:
    """Build the page of report data."""
    return sheet_page(laid_out(report_data))


def sheet_page(layout: ReportLayout) -> str:
    """Build the page of a layout; with what a live console adds, if it is shown in one."""
    report_data, names, live, plan = (
        layout.report_data,
        layout.names,
        layout.names.live,
        layout.report_data.plan,
    )
    tainted = [one for one in report_data.trace.credentials if one.tainted]
    lineage = lineage_view(
        report_data.trace, report_data.bystanders, names
    )  # first: all else leads to what is on the page
    return page(
        "report.html", words.verdict(tainted), report_data.version, live, more_style=rules(plan),
        fetches=names.here is not None, places=_SECTIONS, names=names, summary=summary_view(report_data, names),
        lifelines=lifelines_view(layout.picture), lineage=lineage, plan=plan_view(plan) if plan else None,
        ways=plan_ways(plan, live) if plan and live else None, commands=script_of(plan) if plan else "",
        timeline=timeline_view(layout.chronicle, names, of_others=_of_others(layout)),
        taken=taken_view(report_data.trace, names), evidence=_evidence(report_data, names),
        findings=findings_view(report_data.findings, names, report_data.elsewhere, failed=report_data.failed),
    )  # fmt: skip


def _evidence(report_data: ReportData, names: LabelResolver) -> EvidenceView:
    records = (shown_record(one, names.records.get(one.event_id)) for one in report_data.records)
    return evidence_view(report_data.status, report_data.trace, report_data.notes, records)


def _of_others(layout: ReportLayout) -> int:
    """How many of the calls told are not the attacker's, but of a subject's descendants that do not count as his."""
    trace = layout.report_data.trace
    theirs = total_calls(trace, {one.id for one in trace.credentials if one.tainted})
    made = layout.chronicle.events - layout.chronicle.began
    return 0 if all(one.tainted for one in trace.credentials) else max(0, made - theirs)


def lifelines_file(report_data: ReportData) -> str:
    """Draw the lifelines as a file of their own."""
    picture = laid_out(report_data, linked=False).picture
    drawn = lifelines(picture, asset("lifelines.css"))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{drawn}\n'


def laid_out(
    report_data: ReportData, live: Live | None = None, *, linked: bool = True, room: int = ROOM
) -> ReportLayout:
    """Lay out the picture, and choose the calls that are told."""
    trace = report_data.trace
    names = LabelResolver.of(trace, report_data.bystanders, report_data.records, live)
    shown = window(trace, report_data.bystanders, left=LEFT, right=RIGHT)
    laid = rows(trace, report_data.bystanders, report_data.plan, shown)
    done = actions(trace, report_data.bystanders)
    chronicle = read(report_data.calls, room)
    tick(report_data.calls, laid, shown)
    picture = LifelineChart(
        trace=trace, plan=report_data.plan, rows=laid, actions=done, window=shown, names=names, linked=linked
    )
    return ReportLayout(report_data=report_data, names=names, picture=picture, chronicle=chronicle)


def page(
    template: str, title: str, version: str, live: Live | None, *, more_style: str = "", fetches: bool = False,
    **view: Any,
) -> str:  # fmt: skip
    """
    Render a page from its template.

    Args:
        template: A template that extends `page.html`.
        title: What the page is called.
        version: Of the program that writes it.
        live: The console that it is shown in; its forms may ask the console itself.
        more_style: Style rules of this page alone.
        fetches: Whether the page's script asks the console for folds that the page has no room for.
        view: What the template shows.
    """
    style = asset("page.css") + asset("lifelines.css") + more_style
    script = asset("page.js")
    fetching = "; connect-src 'self'" if live and fetches else ""
    policy = (
        f"default-src 'none'; style-src '{_digest(style)}'; script-src '{_digest(script)}'; img-src data: blob:; "
        f"base-uri 'none'; form-action {_OURS if live else _NOBODY}{fetching}"
    )
    frame = {
        "title": title, "version": version, "live": live, "console": console_bar(live) if live else None,
        "policy": _ours(policy), "style": _ours(style), "script": _ours(script),
    }  # fmt: skip
    return f"{render(template, **frame, **view)}\n"


@cache
def asset(name: str) -> str:
    """Read one of the files that lie beside this one."""
    return (resources.files("tokentrail.present.html") / name).read_text("utf-8")


def _ours(text: str) -> Markup:
    """A policy, style sheet or script, in which nothing is escaped."""
    return Markup(text)  # noqa: S704  # no evidence is in it


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
