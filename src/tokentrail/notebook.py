"""
How a notebook and a Python prompt show results: in a short line, a trace as its lifelines, lists as tables.

Results ask this module by their `__repr__` and `_repr_html_` (`tokentrail.results.NotebookLine`). Nothing of Jupyter is
needed: `_repr_html_` is a protocol of IPython's (IPython documentation, 'Rich display').
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import singledispatch
from itertools import islice
from typing import Any

from tokentrail.case import Case
from tokentrail.case.result_set import LazyRows, Rows
from tokentrail.containment.model import Plan
from tokentrail.detection.leads.model import Lead
from tokentrail.detection.model import Finding
from tokentrail.formatting import counted, listed
from tokentrail.lineage.model import Credential, TimelineEvent, Trace
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.flags import LifelineChart
from tokentrail.present.html.label_resolver import LabelResolver
from tokentrail.present.html.lifelines import LEFT, RIGHT, lifelines
from tokentrail.present.html.page import asset
from tokentrail.present.html.rows import actions, rows
from tokentrail.present.html.templating import render
from tokentrail.present.html.window import window
from tokentrail.present.safe import brief
from tokentrail.results import IngestSummary, Status

_MOST = 50
"""Rows of a list that a notebook shows."""
_COLOURS: dict[words.Ending, str] = {"good": "#1d6f42", "doubt": "#8a5200", "bad": "#a32411"}
Cells = Callable[[Any], Sequence[str]]
_TABLES: dict[type, tuple[Sequence[str], Cells]] = {
    Finding: (
        ("time", "severity", "title", "subject", "why"),
        lambda one: (timestamp(one.time), one.severity, one.title, one.subject or "-", one.why),
    ),
    Lead: (
        ("rank", "score", "strong", "credential", "state", "principal", "first reason"),
        lambda one: (
            str(one.rank), f"{one.score:.1f}", "strong" if one.strong else "weak", one.credential, one.state,
            words.principal(one.principal), one.reasons[0].why if one.reasons else "-",
        ),
    ),
    TimelineEvent: (
        ("time", "credential", "call", "from", "error", "resource"),
        lambda one: (
            timestamp(one.time), one.credential, words.call(one.event_source, one.event_name), one.source_ip or "-",
            one.error_code or "", listed(one.resources, 1),
        ),
    ),
}  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NotebookView:
    """What a notebook shows of a result."""

    line: str = ""
    """All that is shown, if it is a line alone."""
    headline: str = ""
    colour: str | None = None
    told: str = ""
    """What follows the headline."""
    picture: str | None = None
    """As a `data:` address."""
    heads: Sequence[str] = ()
    cells: Sequence[Sequence[str]] = ()
    caption: str = ""
    note: str = ""


@singledispatch
def line(result: object) -> str:
    """Write a result in one short line."""
    return f"<{type(result).__name__}>"


@singledispatch
def html(result: object) -> str:
    """Write a result as HTML: a trace as its lifelines, a list as a table."""
    return render("notebook.html", shown=NotebookView(line=repr(result)))


@line.register(Case)
def _case_line(case: Case) -> str:
    """A case in a line."""
    return f"<Case {case.case_id} in {case.path}>"


@line.register(Trace)
def _trace_line(trace: Trace) -> str:
    """A trace in a line."""
    tainted = [one for one in trace.credentials if one.tainted]
    return (
        f"<Trace of {listed(trace.subject, 2)} as of {timestamp(trace.as_of)}: "
        f"{counted(len(trace.credentials), 'credential')}; {words.verdict(tainted)}>"
    )


@line.register(Credential)
def _credential_line(one: Credential) -> str:
    """A credential in a line."""
    return f"<Credential {one.id}: {words.kind(one)} of {words.who(one)}, {one.state}>"


@line.register(Plan)
def _plan_line(plan: Plan) -> str:
    """A plan in a line."""
    verdict, steps = words.plan_verdict(plan)[0], counted(len(plan.steps), "step")
    return f"<Plan as of {timestamp(plan.as_of)}: {verdict}, {steps}>"


@line.register(Lead)
def _lead_line(lead: Lead) -> str:
    """A lead in a line."""
    return f"<Lead {lead.rank}: {lead.credential}, score {lead.score:.1f}, {'strong' if lead.strong else 'weak'}>"


@line.register(Finding)
def _finding_line(finding: Finding) -> str:
    """A finding in a line."""
    return (
        f"<Finding {finding.severity}: {finding.title}, {finding.subject or '-'}, {timestamp(finding.time)}>"
    )


@line.register(TimelineEvent)
def _event_line(event: TimelineEvent) -> str:
    """A call of a timeline in a line."""
    return (
        f"<{timestamp(event.time)} {words.call(event.event_source, event.event_name)} by {event.credential}>"
    )


@line.register(IngestSummary)
def _ingest_line(summary: IngestSummary) -> str:
    """An ingest in a line."""
    records = summary.records
    return f"<IngestSummary: {records.new:,} new of {records.read:,} records, {records.rejected:,} rejected>"


@line.register(Status)
def _status_line(status: Status) -> str:
    """What a case holds in a line."""
    return f"<Status: {status.records:,} records, {status.credentials:,} credentials, {len(status.warnings)} warnings>"


@line.register(Rows)
def _rows_line(found: Rows[Any]) -> str:
    """A list in a line; of a short one, each."""
    kind = getattr(found, "kind", object).__name__
    shown = ", ".join(map(repr, found)) if len(found) <= 3 else counted(len(found), kind)
    return f"<Rows: {shown or f'no {kind}'}>"


@line.register(LazyRows)
def _lazy_line(found: LazyRows[Any]) -> str:
    """A list that has not been asked for yet, in a line."""
    return f"<LazyRows of {found.kind.__name__}: go through them, or len(), to_arrow(), to_pandas()>"


@html.register(Trace)
def _trace_html(trace: Trace) -> str:
    """A trace as the picture of its lifelines, which stands apart from the notebook: nothing of it can run there."""
    names, shown = LabelResolver.of(trace), window(trace, (), left=LEFT, right=RIGHT)
    laid, done = rows(trace, (), None, shown), actions(trace, ())
    picture = LifelineChart(
        trace=trace, plan=None, rows=laid, actions=done, window=shown, names=names, linked=False
    )
    drawn = base64.b64encode(lifelines(picture, asset("lifelines.css")).encode()).decode()
    verdict = words.verdict([one for one in trace.credentials if one.tainted])
    told = f" Traced from {listed(trace.subject, 3)}, as of {timestamp(trace.as_of)}."
    picture_address = f"data:image/svg+xml;base64,{drawn}"
    view = NotebookView(headline=f"{verdict}.", told=told, picture=picture_address, caption=verdict)
    return render("notebook.html", shown=view)


@html.register(Plan)
def _plan_html(plan: Plan) -> str:
    """A plan as its verdict and a table of its steps."""
    verdict, ending = words.plan_verdict(plan)
    others = listed(plan.proof.may_be_stolen, 10)
    cells = [
        (str(step.n), words.action(step), words.where(step), listed(step.ends, 3) or words.PRECAUTION,
         listed([one.credential for one in step.collateral], 3) or "none seen")
        for step in plan.steps
    ]  # fmt: skip
    heads = ("step", "action", "where", "ends", "collateral")
    view = NotebookView(
        headline=verdict, colour=_COLOURS[ending], told=f": {brief(others)}" if ending == "doubt" else "",
        heads=heads, cells=cells, caption=f"{len(cells)} steps",
    )  # fmt: skip
    return render("notebook.html", shown=view)


@html.register(Rows)
@html.register(LazyRows)
def _rows_html(found: Iterable[Any]) -> str:
    """A list as a table of its first rows."""
    first = list(islice(iter(found), _MOST + 1))
    kind = type(first[0]) if first else getattr(found, "kind", object)
    heads, cells = _TABLES.get(kind) or _of_credentials(kind)
    shown = [tuple(brief(cell, 300) for cell in cells(one)) for one in first[:_MOST]]
    note = f"the first {_MOST}; to_pandas() has all" if len(first) > _MOST else ""
    view = NotebookView(heads=heads, cells=shown, caption=kind.__name__, note=note)
    return render("notebook.html", shown=view)


def _of_credentials(kind: type) -> tuple[Sequence[str], Cells]:
    if not issubclass(kind, Credential):
        return (kind.__name__,), lambda one: (repr(one),)
    heads = ("credential", "kind", "state", "of", "issued", "why")
    return heads, lambda one: (
        one.id, words.kind(one), one.state, words.who(one), timestamp(one.issued_at) if one.issued_at else "-",
        words.why(one),
    )  # fmt: skip
