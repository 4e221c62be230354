"""
Print an investigation in each format: its findings, trace, timeline and plan, or what there is to start from.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from tokentrail.case import Case
from tokentrail.cli import output
from tokentrail.cli.options import CommonOptions
from tokentrail.detection.leads.model import Lead
from tokentrail.detection.model import Finding
from tokentrail.lineage.model import Candidate, TracedCredential
from tokentrail.present.document import Document, columns, document
from tokentrail.present.text.findings_text import to_start_from, write_findings
from tokentrail.present.text.investigation_text import Investigation, write_overview, write_screen
from tokentrail.present.text.leads_text import write_leads
from tokentrail.present.text.plan_text import write_plan
from tokentrail.present.text.text_writer import TextWriter
from tokentrail.present.text.timeline_text import write_timeline
from tokentrail.present.text.trace_text import write_trace
from tokentrail.present.words import pasted
from tokentrail.report_data import with_handed_out
from tokentrail.results import IngestSummary

_LEADS = 5
"""Leads that are told where there is nothing to trace."""


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
    why = (
        "the credential behind the most severe findings"
        if len(leading) > 1
        else "the credential behind the most severe finding"
    )
    said = f"No --subject was given: the trace starts from {subject}, {why}."
    if leading[0].root not in (None, subject):
        said += f" It descends from {leading[0].root}: if that leaked, give it as --subject."
    output.say(said)
    return (subject,)


def show_investigation(options: CommonOptions, found: Investigation, *, full: bool) -> None:
    """Print an investigation: as text on one screen, or in full."""
    if options.format == "text":
        return output.show_text(lambda writer: (write_in_full if full else write_screen)(found, writer))
    traced, plan = document(found.trace), document(found.plan)
    findings, listed = [document(one) for one in found.findings], [document(event) for event in found.events]
    leads = [document(lead) for lead in found.leads]
    return output.show_documents(
        options,
        _whole(
            found.summary, leads=leads, findings=findings, trace=traced, timeline=listed, plan=plan,
            activity=document(found.activity),
        ),
        lines=[
            *_lines("lead", leads),
            *_lines("finding", findings),
            *_lines("credential", traced["credentials"]),
            *_lines("event", listed),
            *_lines("plan", [plan]),
        ],
        table=(columns(TracedCredential), traced["credentials"]),
    )  # fmt: skip


def write_in_full(found: Investigation, writer: TextWriter) -> None:
    """Write the one screen, then all leads, findings, lineage, timeline and the plan with its proof."""
    write_screen(found, writer)
    writer.heading("Leads")
    write_leads(found.leads, writer, case=found.case)
    writer.heading("Findings")
    write_findings(found.findings, writer, case=found.case, explain=True)
    writer.heading("Lineage")
    write_trace(found.trace, writer)
    writer.heading("Timeline")
    named = " ".join(map(shlex.quote, with_handed_out(found.trace, found.trace.subject)))
    write_timeline(found.events, writer, whole=pasted(f"tokentrail timeline {named}", found.case))
    writer.heading("Containment")
    write_plan(found.plan, writer)
    writer.line()
    subjects = " ".join(f"--subject {shlex.quote(one)}" for one in found.trace.subject)
    writer.line("What would have prevented it, and at whose cost:")
    writer.command(pasted(f"tokentrail guard {subjects}", found.case), first="  ")


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

    def text(writer: TextWriter) -> None:
        write_leads(leads[:_LEADS], writer, case=options.case)
        writer.and_more(len(leads), _LEADS, f": {pasted('tokentrail leads', options.case)}", lead="and")
        writer.line()
        write_findings(findings, writer, case=options.case)
        writer.line()
        write_overview(found, writer)

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
    names = ("leads", "findings", "overview", "trace", "activity", "timeline", "plan")
    return {"ingest": document(summary), **{name: parts.get(name) for name in names}}


def _lines(section: str, items: Sequence[Document]) -> list[Document]:
    return [{"section": section, **item} for item in items]
