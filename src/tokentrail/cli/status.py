"""
`tokentrail status`: what the case holds, and what it lacks.
"""

from __future__ import annotations

import click

from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.options import CommonOptions, common
from tokentrail.present.document import columns, document
from tokentrail.present.text.status_text import write_status
from tokentrail.results import Coverage, Rejection


@click.command(
    "status",
    epilog=example("tokentrail status --rejected"),
)
@click.option("--rejected", is_flag=True, help="List each record, field and object that could not be read.")
@common
def command(options: CommonOptions, rejected: bool) -> None:
    """
    Say what the case holds: events, credentials, hours by account and region, and what is missing.

    As CSV, it is a row for each account and region; with --rejected, a row for each thing that could not be
    read.
    """
    with output.open_case(options) as case:
        with output.waiting("Looking through the case"):
            found = case.status(as_of=options.as_of)
        whole = document(found)
        kind, rows = (Rejection, "rejected") if rejected else (Coverage, "coverage")
        output.show_one(
            options, whole, lambda writer: write_status(found, writer, rejected=rejected),
            table=(columns(kind), whole[rows]),
        )  # fmt: skip
        output.enforce_strict(options, case)
