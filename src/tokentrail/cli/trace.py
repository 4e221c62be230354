"""
`tokentrail trace`: what a subject descends from, what descends from it, and what all of them did.
"""

from __future__ import annotations

import sys
from datetime import datetime
from functools import partial

import click

from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.options import CommonOptions, about, common_with, narrowing
from tokentrail.cli.subjects import GivenSubjects
from tokentrail.lineage.model import Trace, TracedCredential
from tokentrail.present import words
from tokentrail.present.formats.graph import write_dot, write_mermaid
from tokentrail.present.text.trace_text import write_trace


@click.command(
    "trace",
    epilog=example(
        "tokentrail trace AKIAIOSFODNN7EXAMPLE --attacker-since 2026-11-23T09:41Z --source-ip 192.0.2.9"
    ),
)
@about()
@click.option(
    "--up", is_flag=True, help="Only what the subject descends from (with --down: both, as by default)."
)
@click.option("--down", is_flag=True, help="Only what descends from the subject.")
@narrowing
@common_with("dot", "mermaid")
def command(
    options: CommonOptions, subjects: tuple[str, ...], up: bool, down: bool, since: datetime | None,
    source_ips: tuple[str, ...], trusted_ips: tuple[str, ...],
) -> None:  # fmt: skip
    """
    Trace subjects: what they descend from, what descends from them, what all of it did, made and learned.

    SUBJECT is an access key id, a credential id or a unique prefix of one, the ARN of a user, role or
    session, a principal id, an IP address, an instance id, a person as `onBehalfOf` names them (the user id in
    Identity Center's directory, or the subject: alice@corp), or an event id; or a file with an
    alert of GuardDuty, Security Hub (ASFF or OCSF) or Access Analyzer as JSON, a folder of such files, or -
    for one on standard input.
    What counts as the attacker's is marked "! tainted": the subject and all that descends from it, unless
    --attacker-since, --source-ip or --trusted-ip narrow it.
    As dot (Graphviz) or mermaid, it is the lineage as a graph.
    """
    with output.open_case(options) as case:
        asked = GivenSubjects.read(subjects).asked(case, options, source_ips)
        with output.waiting("Tracing"):
            found = case.trace(
                asked.subjects, as_of=options.as_of, up=up or not down, down=down or not up, since=since,
                source_ips=asked.source_ips, trusted_ips=trusted_ips,
            )  # fmt: skip
        _show(options, found, down=down or not up)
        output.enforce_strict(options, case)


def _show(options: CommonOptions, found: Trace, *, down: bool) -> None:
    """Print a trace; where the format has no place for what was handed out since, that is said beside it."""
    if options.format not in ("text", "json"):
        for sentence in words.handed(found):
            output.say(sentence)
    if options.format in ("dot", "mermaid"):
        write = write_dot if options.format == "dot" else write_mermaid
        return write(found, sys.stdout)
    output.show_parts(options, found, partial(write_trace, down=down), "credentials", TracedCredential)
    return None
