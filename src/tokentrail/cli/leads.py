"""
`tokentrail leads`: which credentials to look at first.
"""

from __future__ import annotations

from datetime import datetime
from functools import partial

import click

from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.judging import leads_of
from tokentrail.cli.options import MOMENT, CommonOptions, common, named_case
from tokentrail.detection.leads.model import Lead
from tokentrail.present.text.leads_text import write_leads


@click.command(
    "leads",
    short_help="Where to start: credentials ranked by how much speaks for theft, with reasons.",
    epilog=example("tokentrail leads --limit 5 --case leak"),
)
@click.option(
    "--limit", type=click.IntRange(min=1), default=10, show_default=True, help="The most leads to list."
)
@click.option("--since", type=MOMENT, help="Only what happened from this time on.")
@click.option("--until", type=MOMENT, help="Only what happened before this time.")
@common
def command(options: CommonOptions, limit: int, since: datetime | None, until: datetime | None) -> None:
    """
    Rank credentials by how much speaks for theft, for when nothing is known but that something is wrong.

    A lead is a long-term key, or the sessions of one principal, with all that they minted. Each reason says how many
    others here do the same: what everybody does counts nothing. Leads are not findings: a weak one, with a score below
    3, is what differs most from the rest, and may well be harmless.
    """
    with output.open_case(options) as case:
        leads = leads_of(case, options.as_of, limit, since=since, until=until)
        output.show_rows(options, Lead, leads, partial(write_leads, case=named_case(options)))
        output.enforce_strict(options, case, leads.failed)
