"""
How the parts of an investigation are put together for each format.
"""

from __future__ import annotations

from collections.abc import Sequence

from tokentrail.case import Case
from tokentrail.cli import output
from tokentrail.cli.options import Common
from tokentrail.lineage.model import TimelineEvent, Trace, TracedCredential
from tokentrail.present.document import Document, columns, document
from tokentrail.present.lineage import write_trace
from tokentrail.present.overview import Candidate, overview, write_overview
from tokentrail.present.paper import Paper
from tokentrail.present.timeline import write_timeline
from tokentrail.results import IngestSummary

NO_FINDINGS = "Findings are not part of this answer yet: detection is not built."
NO_PLAN = "A containment plan is not part of this answer yet: containment is not built."


def look_into(told: Common, summary: IngestSummary, trace: Trace, events: Sequence[TimelineEvent]) -> None:
    """Print the trace and the timeline of the subjects."""
    traced = document(trace)
    listed = [document(event) for event in events]

    def text(paper: Paper) -> None:
        write_trace(trace, paper)
        paper.heading("Timeline")
        write_timeline(events, paper)

    output.show_one(
        told,
        _whole(summary, trace=traced, timeline=listed),
        text,
        lines=[*_lines("credential", traced["credentials"]), *_lines("event", listed)],
        table=(columns(TracedCredential), traced["credentials"]),
    )
    output.say(NO_FINDINGS, NO_PLAN)


def look_around(told: Common, summary: IngestSummary, case: Case) -> None:
    """Print what credentials there are, and which might be the subject."""
    found = overview(case.credentials(as_of=told.as_of))
    whole = document(found)
    output.show_one(
        told,
        _whole(summary, overview=whole),
        lambda paper: write_overview(found, paper),
        lines=_lines("candidate", whole["candidates"]),
        table=(columns(Candidate), whole["candidates"]),
    )
    output.say(
        NO_FINDINGS,
        NO_PLAN,
        "So it can't choose a subject by itself: run it again with --subject ID and one of the above, "
        "or whatever else you know (an ARN, an address, an event id).",
    )


def _whole(summary: IngestSummary, **parts: object) -> Document:
    """Give each part its name; a part that this answer does not have is null."""
    names = ("overview", "trace", "timeline", "findings", "plan")
    return {"ingest": document(summary), **{name: parts.get(name) for name in names}}


def _lines(section: str, items: Sequence[Document]) -> list[Document]:
    return [{"section": section, **item} for item in items]
