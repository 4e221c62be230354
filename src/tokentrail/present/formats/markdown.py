"""
An incident as Markdown, for a ticket, a chat or a pull request: verdict, lifelines as Mermaid, plan, indicators.

What an attacker chose stands in code spans alone, without backticks and line breaks, so that it is text everywhere: no
link, image, mention or HTML can come of it (CommonMark 0.31, 6.1: nothing is read within a code span).
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import replace

from tokentrail.formatting import counted, listed
from tokentrail.lineage.model import Trace
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.family import Family, Node
from tokentrail.present.formats.graph import write_mermaid
from tokentrail.present.safe import safe
from tokentrail.present.views.damage import known_secrets, volume
from tokentrail.present.views.plan import plan_view
from tokentrail.present.views.report import ReportData

_DRAWN, _LISTED = 60, 50
_LONGEST = 1_200
"""Characters of a text from evidence."""


def incident_markdown(report_data: ReportData) -> str:
    """Write an incident as Markdown."""
    return "\n".join(_lines(report_data)) + "\n"


def code(text: str) -> str:
    """Text from evidence as a code span: visible, inert, and not too long."""
    shown = safe(text).replace("`", "'")
    return f"`{shown if len(shown) <= _LONGEST else shown[:_LONGEST] + '…'}`"


def _lines(report_data: ReportData) -> Iterator[str]:
    trace = report_data.trace
    tainted = {one.id for one in trace.credentials if one.tainted}
    yield f"# {words.verdict([one for one in trace.credentials if one.tainted])}"
    yield ""
    yield f"Traced from {_codes(trace.subject)}, as of {timestamp(trace.as_of)}; case {code(report_data.case_id)}."
    yield ""
    yield from _about(report_data, tainted)
    yield ""
    yield "## Lineage"
    yield ""
    yield "```mermaid"
    yield from _drawn(trace)
    yield "```"
    yield ""
    yield from _plan(report_data)
    yield from _indicators(report_data, tainted)
    gaps = [*report_data.failed, *words.gaps(trace.gaps, _LISTED)]
    if gaps:
        yield from ("", "## Evidence gaps", "", *(f"- {code(one)}" for one in gaps[:_LISTED]))
    yield ""
    yield f"TokenTrail {code(report_data.version)}. Times are UTC. Access key ids are names, not secrets."


def _about(report_data: ReportData, tainted: set[str]) -> Iterator[str]:
    used, trace = report_data.activity, report_data.trace
    if used is not None and used.first is not None and used.last is not None:
        yield f"- **First call** {timestamp(used.first)}, {code(used.first_call or '?')}"
        calls = counted(used.calls, "call")
        yield f"- **Last call** {timestamp(used.last)}, dwell time {words.lasted(used)}, {calls}"
    size, what = volume(trace, tainted)
    yield f"- **Volume** {what if size == '?' else f'{size} {what}'}"
    yield f"- **Secrets read** {len(known_secrets(trace, tainted)):,}"
    yield f"- **Created or changed** {sum(one.by in tainted for one in trace.created):,}"


def _drawn(trace: Trace) -> Iterator[str]:
    """The lineage as Mermaid draws it, as much as its pages admit."""
    first = [item.one for item in Family(trace).walk() if isinstance(item, Node)][:_DRAWN]
    stream = io.StringIO()
    write_mermaid(replace(trace, credentials=tuple(first)), stream)
    yield from stream.getvalue().splitlines()
    if left := len(trace.credentials) - len(first):
        yield f"  more([and {left} more])"


def _plan(report_data: ReportData) -> Iterator[str]:
    if report_data.plan is None:
        return
    plan = plan_view(report_data.plan)
    others = f": {_codes(plan.unstolen)}" if plan.unstolen else ""
    yield from ("## Plan", "")
    yield f"**{plan.verdict}**{others}, as of {timestamp(plan.as_of)}. Nothing has been changed yet."
    yield ""
    for step in plan.steps:
        ends = f"ends {_codes(step.ends)}" if step.ends else step.ends_none
        hit = (
            f"; also cuts off {_codes(one.credential for one in step.collateral)}" if step.collateral else ""
        )
        yield f"{step.n}. {code(step.title)}, {code(step.where)}: {ends}{hit}"
    for lead, sentences in (
        ("How the attacker gets past it", plan.counterexample),
        ("It holds if", plan.holds_if),
    ):
        if sentences:
            yield from ("", f"{lead}:", "", *(f"- {code(one)}" for one in sentences))
    yield ""


def _indicators(report_data: ReportData, tainted: set[str]) -> Iterator[str]:
    yield "## Indicators"
    yield ""
    yield f"- **Credentials** {_codes(sorted(tainted))}"
    if report_data.activity is not None:
        yield f"- **Addresses** {_codes(one.name for one in report_data.activity.addresses) or 'none'}"
        yield f"- **User agents** {_codes(one.name for one in report_data.activity.tools) or 'none'}"


def _codes(texts: Iterable[str]) -> str:
    return listed([code(one) for one in texts], _LISTED)
