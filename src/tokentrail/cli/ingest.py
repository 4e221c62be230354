"""
`tokentrail ingest`: evidence into the case.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.intake import Intake, days, intake_options
from tokentrail.cli.options import CommonOptions, common
from tokentrail.errors import UsageError
from tokentrail.present.document import columns, document
from tokentrail.present.holdings import write_ingest
from tokentrail.results import IngestSummary
from tokentrail.sources.dispatch import LOOKUP, check_exist

if TYPE_CHECKING:
    from tokentrail.spark import Cluster


@click.command(
    "ingest",
    epilog=example("tokentrail ingest s3://my-trail/AWSLogs/ --since 2026-11-20 --case leak-2026-11"),
)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--subject", "subjects", multiple=True, metavar="KEY",
    help="Of lookup-events:, only what a trace of this access key needs. Repeatable.",
)  # fmt: skip
@click.option(
    "--master",
    metavar="URL",
    help="Of --engine spark: the cluster, such as local[8], yarn or spark://HOST:7077.",
)
@click.option(
    "--engine",
    type=click.Choice(["local", "spark"], case_sensitive=False),
    default="local",
    show_default=True,
    help="What reads and links: this machine's processes, or Spark.",
)
@days
@intake_options
@common
def command(
    options: CommonOptions, sources: tuple[str, ...], subjects: tuple[str, ...], since: datetime | None,
    until: datetime | None, intake: Intake, engine: str, master: str | None,
) -> None:  # fmt: skip
    """
    Read evidence into the case: log files, folders of them, - for standard input, s3://BUCKET/PREFIX,
    sqs:URL for what a queue's notifications name, until it is empty, or lookup-events: for what CloudTrail
    itself keeps for 90 days.

    CloudTrail's own files and every usual carrier of its records are known by their content: LookupEvents,
    EventBridge, CloudWatch Logs, Athena, CloudTrail Lake, Elastic, Splunk and Security Lake (OCSF), plain, gzip,
    zstd, bzip2, xz, lz4, or in zip and tar archives.
    What the case holds already is not read twice, so that a run which ended too soon goes on when it is
    repeated; a record that can't be read is counted and listed.
    Days, accounts and regions choose folders and files by their names; a file is read whole.
    All of it goes in, whatever --as-of says.
    """
    if subjects and not any(one.startswith(LOOKUP) for one in sources):
        raise UsageError("--subject chooses what lookup-events: fetches. Name it, or leave --subject out.")
    check_exist(sources)
    cluster = _cluster(engine, master, intake.workers)
    with (
        output.open_case(options, create=True) as case,
        output.progress_bar("Reading evidence", output.LINKING) as progress,
    ):
        summary = intake.narrowed(since, until, subjects).into(case, sources, progress, cluster)
    shown = document(summary)
    output.show_one(
        options, shown, lambda paper: write_ingest(summary, paper), table=(columns(IngestSummary), [shown])
    )
    output.enforce_strict_ingest(options, summary)
    output.expect_records(sources, summary)


def _cluster(engine: str, master: str | None, workers: int | None) -> Cluster | None:
    if engine == "local":
        if master is not None:
            raise UsageError("--master names a Spark cluster. Add --engine spark, or leave --master out.")
        return None
    if workers is not None:
        raise UsageError(
            "--workers counts processes of this machine. Leave it out: how many of Spark's read, --master says "
            "(local[8]), or its settings."
        )
    from tokentrail.spark import Cluster

    return Cluster.start(master)
