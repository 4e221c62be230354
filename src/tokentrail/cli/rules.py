"""
`tokentrail rules`: the catalogue.
"""

from __future__ import annotations

from pathlib import Path

import click

from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.judging import SIGMA, sigma_rules
from tokentrail.cli.options import CommonOptions, common
from tokentrail.detection.catalogue import CATALOGUE
from tokentrail.present.text.findings_text import CatalogueEntry, entry, unusable, write_catalogue


@click.command(
    "rules",
    epilog=example("tokentrail rules --format jsonl"),
)
@SIGMA
@common
def command(options: CommonOptions, folders: tuple[Path, ...]) -> None:
    """
    List what `tokentrail detect` judges by: why it matters, how to tell a false alarm, where it is from.

    With --rules, the Sigma rules of those folders too, and at the end those that can't be run, with the reason.
    """
    listed = [entry(one) for one in CATALOGUE]
    found = sigma_rules(folders)
    if found is not None:
        listed += [entry(rule, source=file) for rule, file in found.usable]
        listed += [unusable(one.title, one.file, one.problem) for one in found.unusable]
    output.show_rows(options, CatalogueEntry, listed, write_catalogue)
