"""
`tokentrail demo`: the story of a leaked key, on built-in evidence.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import click

from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.options import CasePlace, CommonOptions, without_case
from tokentrail.cli.tale import tell, write_tale
from tokentrail.errors import UsageError
from tokentrail.lineage.model import TracedCredential
from tokentrail.present.document import columns, document
from tokentrail.store.place import on_s3


@click.command(
    "demo",
    epilog=example("tokentrail demo --case tokentrail-demo"),
)
@click.option(
    "--case", type=CasePlace(), metavar="DIR",
    default=lambda: Path(tempfile.mkdtemp(prefix="tokentrail-demo-")),
    show_default="a fresh folder for temporary files", help="A new or empty folder for the demo's case.",
)  # fmt: skip
@without_case
def command(options: CommonOptions) -> None:
    """
    Walk through the leak of a key on built-in evidence: what each of the responder's steps ended, and what
    not.

    No account, network or file of yours is touched.
    --as-of ends the walk early; the case stays behind, so that you can look further with the other verbs.
    """
    if on_s3(options.case):
        raise UsageError(f"{options.case}: the demo touches no network. Give a folder with --case.")
    with output.open_case(options, create=True) as case:
        tale = tell(case, until=options.as_of)
        last = document(tale.walk.chapters[-1].trace)
        chapters = [document(chapter) for chapter in tale.walk.chapters]
        output.show_one(
            options, {"case": str(options.case), "credentials": tale.key_ids, "chapters": chapters},
            lambda paper: write_tale(tale, Path(options.case), paper),
            lines=chapters, table=(columns(TracedCredential), last["credentials"]),
        )  # fmt: skip
        output.enforce_strict(options, case)
