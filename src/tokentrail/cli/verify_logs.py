"""
`tokentrail verify-logs`: whether the logs are whole, by CloudTrail's own digests.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import click

from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.intake import days, reaching
from tokentrail.cli.options import CommonOptions, common
from tokentrail.present.text.log_proof_text import write_verification
from tokentrail.results import LogPeriod
from tokentrail.sources.interface import Access, Wanted

NOT_WHOLE = 1


@click.command(
    "verify-logs",
    epilog=example("tokentrail verify-logs s3://my-trail/AWSLogs/ --since 2026-11-20 --case leak-2026-11"),
)
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option(
    "--public-keys", "keys", multiple=True, type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
    help="What `aws cloudtrail list-public-keys` prints, instead of asking AWS. Repeatable.",
)  # fmt: skip
@days
@reaching
@common
def command(
    options: CommonOptions, sources: tuple[str, ...], keys: tuple[Path, ...], since: datetime | None,
    until: datetime | None, access: tuple[Access, ...], wanted: Wanted,
) -> None:  # fmt: skip
    """
    Verify log files by the digests that CloudTrail writes each hour: which hours are complete, altered, missing.

    SOURCE is a folder or s3://BUCKET/PREFIX that holds the digests (CloudTrail-Digest/).
    Of log files, those that the case holds are verified as it holds them; the others, where they lie.
    Signatures are checked where the digests lie in S3, which keeps them; elsewhere the chain of hashes is.
    The case remembers what was proven, and status and trace say so.
    The exit code is 1 if anything was altered or is missing, or if no digest knows a log file of the case.
    """
    with output.open_case(options, create=True) as case, output.progress_bar("Verifying digests") as progress:
        asked = replace(wanted, since=since, until=until)
        found = case.verify_logs(sources, access=access[0], wanted=asked, public_keys=keys, progress=progress)
    output.show_parts(options, found, write_verification, "periods", LogPeriod)
    if found.unlisted or any(one.verdict != "complete" for one in found.periods):
        raise click.exceptions.Exit(NOT_WHOLE)
