"""
`tokentrail timeline`: what a subject and its descendants did, in order.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

import click

from tokentrail.case.call_filter import CallFilter
from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.options import MOMENT, CommonOptions, about, common
from tokentrail.cli.subjects import GivenSubjects
from tokentrail.formatting import counted
from tokentrail.lineage.model import TimelineEvent
from tokentrail.present.text.timeline_text import write_timeline, write_timesketch
from tokentrail.present.words import span


@click.command(
    "timeline",
    epilog=example("tokentrail timeline AKIAIOSFODNN7EXAMPLE --format csv > timeline.csv"),
)
@about()
@click.option("--since", type=MOMENT, help="Only calls from this time on.")
@click.option("--until", type=MOMENT, help="Only calls before this time.")
@click.option(
    "--call", "calls", multiple=True, metavar="NAME",
    help="Only these calls, such as GetObject, s3:* or iam:Create*; * stands for any letters. Repeatable.",
)  # fmt: skip
@click.option("--errors", is_flag=True, help="Only calls that failed.")
@click.option("--limit", type=click.IntRange(min=1), help="The most calls to list.")
@common
def command(
    options: CommonOptions, subjects: tuple[str, ...], since: datetime | None, until: datetime | None,
    calls: tuple[str, ...], errors: bool, limit: int | None,
) -> None:  # fmt: skip
    """
    List the calls of subjects and of all that descends from them, in order of time.

    SUBJECT is an access key id, a credential id or a unique prefix of one, the ARN of a user, role or
    session, a principal id, an IP address, an instance id, a person as `onBehalfOf` names them (the user id in
    Identity Center's directory, or the subject: alice@corp), or an event id; or a file with an
    alert of GuardDuty, Security Hub (ASFF or OCSF) or Access Analyzer as JSON, a folder of such files, or -
    for one on standard input.
    As text, four or more like calls in a row become one line; the other formats give each call its own.
    As CSV, the first columns are Timesketch's, so that it can be imported there.
    """
    with output.open_case(options) as case:
        asked = GivenSubjects.read(subjects).asked(case, options, ())
        found = output.announced("Tracing", case.timeline(asked.subjects, as_of=options.as_of))
        chosen = _Chosen(CallFilter.of(since=since, until=until, calls=calls, errors=errors))
        events = chosen.of(found, limit)
        if options.format == "csv":
            write_timesketch(events, sys.stdout)
        else:
            output.show_rows(options, TimelineEvent, events, write_timeline)
        output.say(*chosen.left_out(limit))
        output.enforce_strict(options, case)


@dataclass(slots=True)
class _Chosen:
    """Which calls of a timeline are listed, and how many were not."""

    wanted: CallFilter
    left: int = 0
    """Calls that do not fit."""
    beyond: int = 0
    """Calls that fit, and are more than were asked for."""
    listed: int = 0
    """Calls that fit, and are listed."""
    span: tuple[datetime, datetime] | None = None
    """The times of the first and last call that does not fit."""

    def of(self, events: Iterable[TimelineEvent], limit: int | None) -> Iterator[TimelineEvent]:
        """Those that fit, up to the limit; the others are counted."""
        for event in events:
            if not self.wanted.fits(event):
                self.left += 1
                self.span = (self.span[0] if self.span else event.time, event.time)
            elif limit is not None and self.listed >= limit:
                self.beyond += 1
            else:
                self.listed += 1
                yield event

    def left_out(self, limit: int | None) -> Iterator[str]:
        """Sentences on what was not listed."""
        if self.beyond:
            yield f"The first {limit:,} calls that fit are listed; {self.beyond:,} more fit: --limit lists them."
        if self.span and not self.listed:
            yield f"No call fits: there are {counted(self.left, 'call')}, {span(*self.span)}."
        elif self.left:
            yield f"Left out: {counted(self.left, 'call')} that the options exclude."
