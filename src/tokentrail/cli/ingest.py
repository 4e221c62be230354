"""
`tokentrail ingest`: evidence into the case.
"""

from __future__ import annotations

import functools
from datetime import datetime
from typing import TYPE_CHECKING

import click

from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.intake import Intake, days, intake_options
from tokentrail.cli.options import SUBJECT, CommonOptions, common
from tokentrail.errors import UsageError
from tokentrail.present.document import columns, document
from tokentrail.present.text.status_text import write_ingest
from tokentrail.results import IngestSummary
from tokentrail.sources.dispatch import ASKED, ATHENA, check_exist, follows
from tokentrail.sources.interface import Queries

if TYPE_CHECKING:
    from tokentrail.spark import Cluster


@click.command(
    "ingest",
    epilog=example("tokentrail ingest s3://my-trail/AWSLogs/ --since 2026-11-20 --case leak-2026-11"),
)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--subject", "subjects", multiple=True, type=SUBJECT, metavar="KEY",
    help="Of a source that is asked, only what a trace of this access key needs. Repeatable.",
)  # fmt: skip
@click.option("--workgroup", metavar="NAME", help="Of athena:, the workgroup that queries run in.")
@click.option(
    "--output",
    "output_",
    metavar="S3-URL",
    help="Of athena:, where results go if the workgroup does not say.",
)
@click.option(
    "--max-scan", type=click.IntRange(min=1), metavar="BYTES",
    help="Of athena:, lake: and logs:, how much queries may scan; it stops there, and resumes when run again.",
)  # fmt: skip
@click.option(
    "--scan-price", type=click.FloatRange(min=0), metavar="AMOUNT",
    help="Of athena:, lake: and logs:, what scanning a terabyte costs you, for an estimate.",
)  # fmt: skip
@click.option(
    "--dry-run", is_flag=True, help="Of athena:, lake: and logs:, show the first queries, and send none."
)
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
    help="What reads the logs: this machine's processes, or Spark.",
)
@days
@intake_options
@functools.partial(common, reads=True)
def command(
    options: CommonOptions, sources: tuple[str, ...], subjects: tuple[str, ...], since: datetime | None,
    until: datetime | None, intake: Intake, engine: str, master: str | None, workgroup: str | None, output_: str | None,
    max_scan: int | None, scan_price: float | None, dry_run: bool,
) -> None:  # fmt: skip
    """
    Read evidence into the case: log files, folders of them, - for standard input, s3://BUCKET/PREFIX,
    sqs:URL for what a queue's notifications name, until it is empty, lookup-events: for what CloudTrail
    itself keeps for 90 days, or, asked for the lineage of --subject alone, athena:DATABASE.TABLE,
    lake:EVENT-DATA-STORE (CloudTrail Lake) or logs:LOG-GROUP (CloudWatch Logs).

    CloudTrail's own files and every usual carrier of its records are known by their content: LookupEvents,
    EventBridge, CloudWatch Logs, Athena, CloudTrail Lake, Elastic, Splunk and Security Lake (OCSF), plain, gzip,
    zstd, bzip2, xz, lz4, or in zip and tar archives.
    What the case holds already is not read twice, so that a run which ended too soon goes on when it is
    repeated; a record that can't be read is counted and listed.
    Days, accounts and regions choose folders and files by their names; a file is read whole.
    All of it goes in, whatever --as-of says.
    """
    queries = Queries(workgroup=workgroup, output=output_, max_scan=max_scan, price=scan_price)
    _check(sources, subjects, queries)
    intake = intake.narrowed(since, until, subjects, queries)
    if dry_run:
        _show_queries(sources, intake)
        return
    check_exist(sources)
    cluster = _cluster(engine, master, intake.workers)
    with output.open_case(options, create=True) as case, output.reading_evidence() as progress:
        summary = intake.into(case, sources, progress, cluster)
    shown = document(summary)
    output.show_one(
        options, shown, lambda writer: write_ingest(summary, writer), table=(columns(IngestSummary), [shown])
    )
    output.enforce_strict_ingest(options, summary)
    output.expect_records(sources, summary)


def _check(sources: tuple[str, ...], subjects: tuple[str, ...], queries: Queries) -> None:
    """Refuse options that say how to ask where nothing is asked."""
    if subjects and not any(map(follows, sources)):
        raise UsageError(
            "--subject chooses what lookup-events:, athena:, lake: and logs: fetch. Name one, or leave --subject out."
        )
    if queries != Queries() and not any(one.startswith(ASKED) for one in sources):
        raise UsageError("--max-scan and --scan-price are for athena:, lake: and logs:, which take queries.")
    if (queries.workgroup or queries.output) and not any(one.startswith(ATHENA) for one in sources):
        raise UsageError("--workgroup and --output are for athena:DATABASE.TABLE.")


def _show_queries(sources: tuple[str, ...], intake: Intake) -> None:
    from tokentrail.sources import dispatch

    for query in dispatch.queries(sources, intake.access[0], intake.wanted):
        click.echo(query + "\n")
    click.echo("Nothing was asked. Further queries follow what these find.", err=True)


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
