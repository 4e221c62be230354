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
from tokentrail.present.damage import total_calls
from tokentrail.present.html.chronicle import ROOM, read, tick
from tokentrail.present.html.console import Live, console_bar, plan_ways
from tokentrail.present.html.dossier import Dossier, Names
from tokentrail.present.html.evidence import EvidenceView, evidence_view
from tokentrail.present.html.findings import findings_view
from tokentrail.present.html.flags import Picture
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
from tokentrail.present.plan import script_of
from tokentrail.present.views.plan import plan_view

_OURS, _NOBODY = "'self'", "'none'"
_SECTIONS = (
    ("lifelines", "Lifelines"), ("plan", "Plan"), ("lineage", "Lineage"), ("timeline", "Timeline"), ("taken", "Taken"),
    ("findings", "Findings"), ("evidence", "Evidence"),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """A dossier, gone through and laid out."""

    dossier: Dossier
    names: Names
    picture: Picture
    chronicle: CallLines


def report_page(dossier: Dossier) -> str:
    """Build the page of a dossier."""
    return sheet_page(laid_out(dossier))


def sheet_page(sheet: Sheet) -> str:
    """Build the page of a sheet; with what a live console adds, if it is shown in one."""
    dossier, names, live, plan = sheet.dossier, sheet.names, sheet.names.live, sheet.dossier.plan
    tainted = [one for one in dossier.trace.credentials if one.tainted]
    lineage = lineage_view(
        dossier.trace, dossier.bystanders, names
    )  # first: all else leads to what is on the page
    return page(
        "report.html", words.verdict(tainted), dossier.version, live, more_style=rules(plan),
        fetches=names.here is not None, places=_SECTIONS, names=names, summary=summary_view(dossier, names),
        lifelines=lifelines_view(sheet.picture), lineage=lineage, plan=plan_view(plan) if plan else None,
        ways=plan_ways(plan, live) if plan and live else None, commands=script_of(plan) if plan else "",
        timeline=timeline_view(sheet.chronicle, names, of_others=_of_others(sheet)),
        taken=taken_view(dossier.trace, names), evidence=_evidence(dossier, names),
        findings=findings_view(dossier.findings, names, dossier.elsewhere, failed=dossier.failed),
    )  # fmt: skip


def _evidence(dossier: Dossier, names: Names) -> EvidenceView:
    records = (shown_record(one, names.records.get(one.event_id)) for one in dossier.records)
    return evidence_view(dossier.status, dossier.trace, dossier.notes, records)


def _of_others(sheet: Sheet) -> int:
    """How many of the calls told are not the attacker's, but of a subject's descendants that do not count as his."""
    trace = sheet.dossier.trace
    theirs = total_calls(trace, {one.id for one in trace.credentials if one.tainted})
    made = sheet.chronicle.events - sheet.chronicle.began
    return 0 if all(one.tainted for one in trace.credentials) else max(0, made - theirs)


def lifelines_file(dossier: Dossier) -> str:
    """Draw the lifelines as a file of their own."""
    picture = laid_out(dossier, linked=False).picture
    drawn = lifelines(picture, asset("lifelines.css"))
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{drawn}\n'


def laid_out(dossier: Dossier, live: Live | None = None, *, linked: bool = True, room: int = ROOM) -> Sheet:
    """Lay out the picture, and choose the calls that are told."""
    trace = dossier.trace
    names = Names.of(trace, dossier.bystanders, dossier.records, live)
    shown = window(trace, dossier.bystanders, left=LEFT, right=RIGHT)
    laid = rows(trace, dossier.bystanders, dossier.plan, shown)
    done = actions(trace, dossier.bystanders)
    chronicle = read(dossier.calls, room)
    tick(dossier.calls, laid, shown)
    picture = Picture(
        trace=trace, plan=dossier.plan, rows=laid, actions=done, window=shown, names=names, linked=linked
    )
    return Sheet(dossier=dossier, names=names, picture=picture, chronicle=chronicle)


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
