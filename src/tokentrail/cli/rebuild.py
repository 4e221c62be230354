"""
`tokentrail rebuild`: what is derived from the columns of a case, made anew.
"""

from __future__ import annotations

import click

from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.options import CommonOptions, common
from tokentrail.formatting import counted
from tokentrail.present.document import columns, document
from tokentrail.results import Rebuilt


@click.command("rebuild", epilog=example("tokentrail rebuild --case leak"))
@common
def command(options: CommonOptions) -> None:
    """
    Make all that is derived from the columns of a case anew: lineage, indexes, roll-ups.

    Evidence, columns and what a watch has told stay as they are. No answer changes by it; it is for a case
    whose derived/ somebody has damaged, or of which somebody wants to be sure.
    """
    with output.open_case(options) as case:
        with output.waiting("Rebuilding what is derived"):
            rebuilt = case.rebuild()
        whole = document(rebuilt)
        sentence = (
            f"Rebuilt from {counted(rebuilt.segments, 'segment')}: {counted(rebuilt.records, 'event')}, "
            f"{counted(rebuilt.credentials, 'credential')}; {rebuilt.seconds:.1f} s."
        )
        output.show_one(
            options, whole, lambda writer: writer.wrapped(sentence), table=(columns(Rebuilt), [whole])
        )
        output.enforce_strict(options, case)
