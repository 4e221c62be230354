"""
`tokentrail watch`: findings as they come.
"""

from __future__ import annotations

import functools
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

import click

from tokentrail.case import Case
from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.intake import reaching
from tokentrail.cli.judging import Judging, judging_options
from tokentrail.cli.options import MOMENT, CommonOptions, common, named_case
from tokentrail.errors import UsageError
from tokentrail.formatting import listed
from tokentrail.present.text.findings_text import write_finding
from tokentrail.present.text.text_writer import TextWriter
from tokentrail.sources.interface import Access, Wanted
from tokentrail.watch.detection_pass import Judging as Judged
from tokentrail.watch.feeds_and_sinks import feed_of, folder_to_follow_into, sink_of
from tokentrail.watch.guard import Guard
from tokentrail.watch.interface import Notice, Sink, finding
from tokentrail.watch.local_sinks import StreamSink, as_lines
from tokentrail.watch.watch import Settings, Watch

SECRET = "TOKENTRAIL_WEBHOOK_SECRET"  # noqa: S105 - the name of a variable
_DAY = 86_400
_NOTICE = "  notice       "


@click.command(
    "watch",
    epilog=example(
        "tokentrail watch sqs:https://sqs.eu-west-1.amazonaws.com/111122223333/trail --format jsonl"
    ),
)
@click.argument("source", metavar="SOURCE")
@click.option(
    "--to",
    "sinks",
    multiple=True,
    metavar="WHERE",
    help="Send findings here too: a file (JSON lines), an https:// URL, sns:TOPIC-ARN, events:BUS or "
    "securityhub:REGION. Repeatable.",
)
@click.option(
    "--plan",
    "plans",
    multiple=True,
    metavar="PLAN.json",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep guard over this plan: tell whatever shows that it did not hold, and when it may be undone. Repeatable.",
)
@click.option(
    "--contained-at",
    type=MOMENT,
    show_default="the first start",
    help="When the plan was carried out, if not by tokentrail apply.",
)
@click.option("--only-new", is_flag=True, help="At the first start, do not tell what the case shows already.")
@click.option("--once", is_flag=True, help="Stop when all that is there has been read and judged.")
@click.option(
    "--give-up",
    type=click.IntRange(min=1),
    default=5,
    show_default=True,
    metavar="N",
    help="Delete a message that can't be read at its Nth receive, where the queue has no dead-letter queue.",
)
@click.option(
    "--look-back",
    type=click.FloatRange(min=0.01),
    metavar="DAYS",
    show_default="all of the case",
    help="How far back evidence is judged.",
)
@click.option(
    "--hot",
    type=click.IntRange(min=1000),
    default=300_000,
    show_default=True,
    metavar="RECORDS",
    help="How many records a turn judges; of a larger case, the newest.",
)
@click.option(
    "--every",
    type=click.FloatRange(min=1),
    default=60,
    show_default=True,
    metavar="SECONDS",
    help="How often to say how far behind it is.",
)
@judging_options
@reaching
@functools.partial(common, formats=("text", "jsonl"), reads=True)
def command(
    options: CommonOptions, source: str, sinks: tuple[str, ...], plans: tuple[Path, ...], contained_at: datetime | None,
    only_new: bool, once: bool, give_up: int, look_back: float | None, hot: int, every: float, judging: Judging,
    access: tuple[Access, ...], wanted: Wanted,
) -> None:  # fmt: skip
    """
    Follow a source for ever: sqs:URL, s3://BUCKET/PREFIX or a folder. What arrives goes into the case, is linked
    and judged, and each finding is told once, on standard output and wherever --to says.

    A finding that later evidence changes is told again as a revision, or withdrawn.
    A restart resumes where it stopped: no finding is lost, and none reported twice.
    On SIGTERM or SIGINT it finishes what it is at and ends with 0.
    """
    if options.as_of is not None:
        raise UsageError(
            "--as-of: a watch looks at what comes. Leave it out, or ask `tokentrail detect --as-of`."
        )
    folder = folder_to_follow_into(options.case)
    guards = _guards(plans, contained_at)
    settings = Settings(
        judging=_judged(judging), hot=hot, look_back=None if look_back is None else int(look_back * _DAY),
        only_new=only_new, once=once, beat=every,
    )  # fmt: skip
    with _stopping() as stopped_by:
        feed = feed_of(source, access, wanted, folder, give_up=give_up)
        feed.check()  # nothing is made for what can't be followed
        with Case.open(folder) as case:
            places = _places(options, sinks, access[0])
            watch = Watch(case.folder, feed, places, guards, settings, output.say)
            stopped_by.append(watch.stop)
            output.say(_watching(source, options.case, sinks, once=once))
            with _said_if_unread():
                watch.run()


def _watching(source: str, case: Path | str, sinks: Sequence[str], *, once: bool) -> str:
    """Say at once what is watched, where it goes, and how it ends: the first finding may take a while."""
    places = listed(["standard output", *sinks], 5)
    ends = (
        "It ends when all that is there has been judged."
        if once
        else "Ctrl-C ends it; the next start resumes."
    )
    return f"Watching {source}. Evidence goes into {case}, findings go to {places}. {ends}"


def _guards(plans: Sequence[Path], contained_at: datetime | None) -> list[Guard]:
    now = datetime.now(UTC).replace(microsecond=0)
    return [Guard(path, contained_at or now, assumed=contained_at is None) for path in plans]


@contextmanager
def _said_if_unread() -> Iterator[None]:
    """Whoever reads what a verb prints may stop, and so end it; a watch is to run on, and says that it does not."""
    try:
        yield
    except BrokenPipeError:
        output.say("Nobody reads the findings any more, so the watch ends; the next start resumes.")
        raise


def _judged(judging: Judging) -> Judged:
    """How to judge, as another process can be told it."""
    return Judged(
        min_severity=judging.min_severity, suppress=judging.suppress, thresholds=judging.thresholds,
        folders=judging.folders, geoip=judging.geoip, aws_ranges=judging.aws_ranges,
    )  # fmt: skip


def _places(options: CommonOptions, sinks: Sequence[str], access: Access) -> list[Sink]:
    """Where findings go: standard output, and wherever else."""
    write = as_lines if options.format == "jsonl" else functools.partial(_as_text, case=named_case(options))
    others = [sink_of(one, access, os.environ.get(SECRET)) for one in sinks]
    return [StreamSink(sys.stdout, write, alone=not others), *others]


@contextmanager
def _stopping() -> Iterator[list[Callable[[], None]]]:
    """
    Let signals do the last of what is listed, at first end the process as if all were done; a second one ends it as it
    would any other.
    """
    before: dict[signal.Signals, Any] = {}
    listed: list[Callable[[], None]] = [sys.exit]

    def stop(number: int, _: object) -> None:
        signal.signal(number, before[signal.Signals(number)])
        listed[-1]()

    for one in (signal.SIGTERM, signal.SIGINT):
        before[one] = signal.signal(one, stop)
    try:
        yield listed
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)


def _as_text(notices: Sequence[Notice], stream: TextIO, *, case: Path | str | None = None) -> None:
    writer = TextWriter(stream)
    for one in notices:
        write_finding(finding(one.document), writer, case=case)
        if one.change == "revised":
            changed = ", ".join(one.changed) or "told before, and withdrawn since"
            writer.wrapped(f"revision {one.revision}: {changed}", first=_NOTICE)
        elif one.change == "withdrawn":
            writer.wrapped("WITHDRAWN: later evidence explains it", first=_NOTICE)
