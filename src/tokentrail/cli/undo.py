"""
`tokentrail undo`: take back what a plan's `apply` did.
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from tokentrail.cli import aws_targets, output
from tokentrail.cli.example import example
from tokentrail.cli.options import CommonOptions, common
from tokentrail.containment import planfile
from tokentrail.containment.execution.journal import journal_path
from tokentrail.containment.execution.outcome import Restored, Undone
from tokentrail.containment.execution.undo import Undo
from tokentrail.errors import ActionRefused
from tokentrail.present.text.apply_output import write_by_hand, write_intended, write_undone
from tokentrail.present.text.text_writer import TextWriter


@click.command(
    "undo",
    epilog=example("tokentrail undo PLAN.json --case leak --profile-for 111122223333=incident-response"),
)
@aws_targets.PLAN
@aws_targets.routed
@click.option("--dry-run", is_flag=True, help="Show what would be taken back, and send nothing.")
@click.option(
    "--step", "only", multiple=True, type=click.IntRange(min=1), metavar="N",
    help="Take back step N alone, and leave the others as they are. Repeatable.",
)  # fmt: skip
@click.option(
    "--yes-reactivate-leaked-key", "reactivate", is_flag=True,
    help="Also lift what keeps a leaked long-term key from working.",
)  # fmt: skip
@aws_targets.CONSENT
@common
def command(
    options: CommonOptions,
    path: Path,
    route: aws_targets.AwsTargets,
    dry_run: bool,
    only: tuple[int, ...],
    reactivate: bool,
    consent: bool,
) -> None:
    """
    Put back what was there before `apply`, as its journal saved it, the newest change first.

    A change stays where somebody else has changed the same thing since, and while lifting it could revive a
    credential of the attacker's: then it says from when it is safe.
    """
    plan = planfile.load(path)
    if not journal_path(path).exists():
        raise ActionRefused(f"{path}: there is no journal beside it, so nothing that `apply` did is known.")
    with route.opened(path, plan) as (cloud, journal):
        undo = Undo(
            plan, cloud, journal, clock=aws_targets.clock, reactivate_leaked_key=reactivate, only=only
        )
        decisions = undo.look()
        shown = (
            decisions if dry_run else [one for one in decisions if one.calls]
        )  # the rest is told in the end
        intended = [(one.record.key, one.outcome, one.why, one.calls) for one in shown]
        write_intended(intended, TextWriter(sys.stdout if dry_run else sys.stderr))
        if dry_run:
            write_by_hand(undo.by_hand(), TextWriter(sys.stdout))
            return
        changing = sorted({call.account for one in decisions for call in one.calls})
        aws_targets.insist_on_consent(changing, consent=consent)
        undone = undo.go(decisions)
    _show(options, undone)


def _show(options: CommonOptions, undone: Undone) -> None:
    output.show_parts(options, undone, write_undone, "things", Restored)
    stayed = [one for one in undone.things if one.outcome in ("refused", "failed")]
    if stayed:
        more = f" ({len(stayed) - 1:,} more stay too)" if len(stayed) > 1 else ""
        raise ActionRefused(f"{stayed[0].thing} in account {stayed[0].account} stays: {stayed[0].why}{more}.")
