"""
`tokentrail detect`: findings.
"""

from __future__ import annotations

import sys
from datetime import datetime
from functools import partial

import click

from tokentrail.cli import output
from tokentrail.cli.completion import rules_beginning
from tokentrail.cli.example import example
from tokentrail.cli.judging import FOUND, Judging, judging_options
from tokentrail.cli.options import MOMENT, CommonOptions, common_with, named_case
from tokentrail.detection.model import Finding
from tokentrail.present.formats.siem import write_asff, write_ocsf
from tokentrail.present.text.findings_text import write_findings


@click.command(
    "detect",
    epilog=example("tokentrail detect --min-severity medium --case leak"),
)
@click.option(
    "--rule",
    "only",
    multiple=True,
    metavar="ID",
    shell_complete=rules_beginning,
    help="Judge by this rule of the catalogue alone. Repeatable.",
)
@click.option(
    "--explain", is_flag=True, help="Print each finding's events, thresholds, and how to tell a false alarm, too.",
)  # fmt: skip
@click.option("--since", type=MOMENT, help="Only findings that became true from this time on.")
@click.option("--until", type=MOMENT, help="Only findings that became true before this time.")
@judging_options
@common_with("ocsf", "asff")
def command(
    options: CommonOptions, only: tuple[str, ...], explain: bool, since: datetime | None, until: datetime | None,
    judging: Judging,
) -> None:  # fmt: skip
    """
    Judge the evidence by the catalogue that `tokentrail rules` lists.

    One finding tells one story of one lineage, and names the command that answers it. Text shows the worst first;
    the other formats go by time. `ocsf` is an OCSF Detection Finding a line, `asff` one document for AWS Security
    Hub. The exit code is 1 if there is any finding.
    """
    with output.open_case(options) as case:
        found = judging.judge(case, options.as_of, only, since=since, until=until)
        match options.format:
            case "ocsf":
                write_ocsf(found, sys.stdout)
            case "asff":
                write_asff(found, sys.stdout, options.as_of or case.newest())
            case _:
                events = [event for one in found for event in one.events] if explain else []
                files = case.files_of(events, as_of=options.as_of) if events else {}
                text = partial(write_findings, case=named_case(options), explain=explain, files=files)
                output.show_rows(options, Finding, found, text)
        output.enforce_strict(options, case, found.failed)
    if found:
        raise click.exceptions.Exit(FOUND)
