"""
Print an investigation in each format: its findings, trace, timeline and plan, or what there is to start from.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tokentrail.case import Case
from tokentrail.cli import output
from tokentrail.cli.options import CommonOptions, named_case
from tokentrail.containment.model import Plan
from tokentrail.detection.leads.model import Lead
from tokentrail.detection.model import Finding
from tokentrail.dossier import with_handed_out
from tokentrail.lineage.model import Candidate, TimelineEvent, Trace, TracedCredential
from tokentrail.present.document import Document, columns, document
from tokentrail.present.findings import to_start_from, write_findings
from tokentrail.present.leads import write_leads
from tokentrail.present.lineage import write_trace
from tokentrail.present.overview import write_overview
from tokentrail.present.paper import Paper
from tokentrail.present.plan import write_plan
from tokentrail.present.timeline import write_timeline
from tokentrail.present.words import listed, number, pasted, verdict
from tokentrail.results import IngestSummary


@dataclass(frozen=True, slots=True)
class Investigation:
    """What an investigation found."""

    summary: IngestSummary
    leads: Sequence[Lead]
    findings: Sequence[Finding]
    trace: Trace
    events: Iterable[TimelineEvent]
    """In order of time; can be read once, since there may be millions."""
    plan: Plan


def choose_subject(findings: Sequence[Finding], leads: Sequence[Lead]) -> tuple[str, ...]:
    """Choose the subject that most of the worst findings lead to, or else the first lead if it is strong; say so."""
    leading = to_start_from(findings)
    if not leading or (subject := leading[0].subject) is None:
        if not leads or not leads[0].strong:
            return ()
        output.say(
            f"No --subject was given: the trace starts from {leads[0].credentials[0]}, the strongest lead."
        )
        return (leads[0].credentials[0],)
    many = (
        f"to which {len(leading):,} findings lead, the worst among them"
        if len(leading) > 1
        else "as the worst finding does"
    )
    said = f"No --subject was given: the trace starts from {subject}, {many}."
    if leading[0].root not in (None, subject):
        said += f" It descends from {leading[0].root}: if that leaked, give it as --subject."
    output.say(said)
    return (subject,)


def show_investigation(options: CommonOptions, found: Investigation) -> None:
    """Print findings, the trace and the timeline of the subjects, and the plan that ends them."""
    if options.format == "text":
        return _write(options, found, Paper(sys.stdout))
    traced, plan = document(found.trace), document(found.plan)
    findings, listed = [document(one) for one in found.findings], [document(event) for event in found.events]
    leads = [document(lead) for lead in found.leads]
    return output.show_documents(
        options,
        _whole(found.summary, leads=leads, findings=findings, trace=traced, timeline=listed, plan=plan),
        lines=[
            *_lines("lead", leads),
            *_lines("finding", findings),
            *_lines("credential", traced["credentials"]),
            *_lines("event", listed),
            *_lines("plan", [plan]),
        ],
        table=(columns(TracedCredential), traced["credentials"]),
    )


def _write(options: CommonOptions, found: Investigation, paper: Paper) -> None:
    plan, tainted = found.plan, [one for one in found.trace.credentials if one.tainted]
    ends = f"{'COMPLETE' if plan.proof.complete else 'NOT COMPLETE'}: {number(len(plan.steps), 'step')}"
    subject = listed(found.trace.subject, 3)
    paper.wrapped(f"Traced from {subject}: {verdict(tainted)}. The plan below is {ends}.", style="bold")
    paper.line()
    write_leads(found.leads, paper, case=named_case(options))
    paper.line()
    write_findings(found.findings, paper, case=named_case(options))
    paper.heading("Lineage")
    write_trace(found.trace, paper)
    paper.heading("Timeline")
    named = " ".join(map(shlex.quote, with_handed_out(found.trace, found.trace.subject)))
    write_timeline(found.events, paper, whole=pasted(f"tokentrail timeline {named}", options.case))
    paper.heading("Containment")
    write_plan(found.plan, paper)
    paper.line()
    subjects = " ".join(f"--subject {shlex.quote(one)}" for one in found.trace.subject)
    paper.wrapped(
        f"What would have prevented it, and at whose cost: tokentrail guard {subjects} --case "
        f"{shlex.quote(str(options.case))}"
    )


def show_overview(
    options: CommonOptions,
    summary: IngestSummary,
    leads: Sequence[Lead],
    findings: Sequence[Finding],
    case: Case,
) -> None:
    """Print what credentials there are, and which might be the subject."""
    found = case.overview(as_of=options.as_of)
    whole, judged = document(found), [document(one) for one in findings]
    ranked = [document(lead) for lead in leads]

    def text(paper: Paper) -> None:
        write_leads(leads, paper, case=named_case(options))
        paper.line()
        write_findings(findings, paper, case=named_case(options))
        paper.line()
        write_overview(found, paper)

    output.show_one(
        options,
        _whole(summary, overview=whole, leads=ranked, findings=judged),
        text,
        lines=[
            *_lines("lead", ranked),
            *_lines("finding", judged),
            *_lines("candidate", whole["candidates"]),
        ],
        table=(columns(Candidate), whole["candidates"]),
    )
    output.say(
        "No finding or strong lead names a credential to start from: run it again with --subject ID and one of the "
        "above, or whatever else you know (an ARN, an address, an event id)."
        if found.credentials
        else "The case holds no credential to start from: read logs into it that do."
    )


def _whole(summary: IngestSummary, **parts: object) -> Document:
    """Put the parts into one document; a part that this answer does not have is null."""
    names = ("leads", "findings", "overview", "trace", "timeline", "plan")
    return {"ingest": document(summary), **{name: parts.get(name) for name in names}}


def _lines(section: str, items: Sequence[Document]) -> list[Document]:
    return [{"section": section, **item} for item in items]
