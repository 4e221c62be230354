"""
`tokentrail timeline`: what a subject and its descendants did, in order.
"""

from __future__ import annotations

import sys

import click

from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.options import CommonOptions, about, common
from tokentrail.lineage.model import TimelineEvent
from tokentrail.present.timeline import write_timeline
from tokentrail.present.timesketch import write_timesketch


@click.command(
    "timeline",
    epilog=example("tokentrail timeline AKIAIOSFODNN7EXAMPLE --format csv > timeline.csv"),
)
@about()
@common
def command(options: CommonOptions, subjects: tuple[str, ...]) -> None:
    """
    List the calls of subjects and of all that descends from them, in order of time.

    SUBJECT is an access key id, a credential id or a unique prefix of one, the ARN of a user, role or
    session, a principal id, an IP address, an instance id, the user id of somebody in Identity Center's
    directory, or an event id.
    As text, four or more like calls in a row become one line; the other formats give each call its own.
    As CSV, the first columns are Timesketch's, so that it can be imported there.
    """
    with output.open_case(options) as case:
        events = output.announced("Tracing", case.timeline(subjects, as_of=options.as_of))
        if options.format == "csv":
            write_timesketch(events, sys.stdout)
        else:
            output.show_rows(options, TimelineEvent, events, write_timeline)
        output.enforce_strict(options, case)
