"""
`tokentrail ingest`: evidence into the case.
"""

from __future__ import annotations

import click

from tokentrail.case import Case
from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.intake import Intake, intake_options
from tokentrail.cli.options import Common, common
from tokentrail.present.document import columns, document
from tokentrail.present.holdings import write_ingest
from tokentrail.results import IngestSummary


@click.command(
    "ingest",
    short_help="Read evidence into the case.",
    epilog=example("tokentrail ingest AWSLogs/ --case leak-2026-11"),
)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@intake_options
@common
def command(told: Common, sources: tuple[str, ...], intake: Intake) -> None:
    """
    Read evidence into the case: log files, folders of them, or - for standard input.

    CloudTrail's own files, JSON arrays, JSON lines, single records and the output of LookupEvents are
    understood, compressed with gzip or not.
    What the case holds already is not read twice; a record that can't be read is counted and listed.
    All of it goes in, whatever --as-of says.
    """
    with Case.open(told.case) as case, output.progress_bar("Reading evidence") as progress:
        summary = intake.into(case, sources, progress)
    shown = document(summary)
    output.show_one(
        told, shown, lambda paper: write_ingest(summary, paper), table=(columns(IngestSummary), [shown])
    )
    output.insist_on_all(told, summary)
