"""
`tokentrail investigate`: the main job in one go.
"""

from __future__ import annotations

from datetime import datetime

import click

from tokentrail.case import Case
from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.intake import Intake, intake_options
from tokentrail.cli.investigation import look_around, look_into
from tokentrail.cli.options import Common, common, narrowing
from tokentrail.cli.output import take_in


@click.command(
    "investigate",
    short_help="The main job in one go: ingest, trace, timeline.",
    epilog=example("tokentrail investigate AWSLogs/ --subject AKIAIOSFODNN7EXAMPLE --case leak"),
)
@click.argument("logs", nargs=-1, required=True, metavar="LOGS...")
@click.option(
    "--subject", "subjects", multiple=True, metavar="SUBJECT",
    help="A key id, credential id, ARN, address, instance or event to start from. Repeatable.",
)  # fmt: skip
@narrowing
@intake_options
@common
def command(
    told: Common, logs: tuple[str, ...], subjects: tuple[str, ...], since: datetime | None,
    source_ips: tuple[str, ...], trusted_ips: tuple[str, ...], intake: Intake,
) -> None:  # fmt: skip
    """
    Read logs into a case, trace the subject, and list what it and its descendants did.

    Without --subject, it counts the credentials and names those that an investigation might start from.
    Findings and a containment plan are not part of the answer yet.
    As JSON lines, each line says in "section" what it is; as CSV, it is the table of traced credentials.
    """
    with Case.open(told.case) as case:
        summary = take_in(case, logs, intake)
        if subjects:
            trace = case.trace(
                subjects, as_of=told.as_of, since=since, source_ips=source_ips, trusted_ips=trusted_ips
            )
            look_into(told, summary, trace, list(case.timeline(subjects, as_of=told.as_of)))
        else:
            look_around(told, summary, case)
        output.insist_on_all(told, summary)
        output.insist(told, case)
