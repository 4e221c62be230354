"""
`tokentrail contain`: what ends all of an attacker's credentials, with its proof.
"""

from __future__ import annotations

import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import cast, get_args

import click

from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.options import CommonOptions, about, common, in_its_own_form, named_case, narrowing
from tokentrail.cli.snapshots import with_snapshots
from tokentrail.cli.subjects import GivenSubjects
from tokentrail.containment.margin import LAG, MARGIN
from tokentrail.containment.model import Plan, Step, Strategy
from tokentrail.containment.planfile import save
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.present.text.plan_text import write_plan, write_script
from tokentrail.present.words import pasted

UNPROVEN = 1
"""The exit code of an incomplete plan."""


@click.command(
    "contain",
    epilog=example(
        "tokentrail contain AKIAIOSFODNN7EXAMPLE --attacker-since 2026-11-23T09:41:00Z -o plan.json"
    ),
)
@about()
@click.option(
    "--strategy", type=click.Choice(get_args(Strategy), case_sensitive=False), default="standard", show_default=True,
    help="standard revokes older sessions (colleagues sign in again), surgical ends exactly the tainted ones and what "
    "nobody can see yet, scorched denies all on tainted principals.",
)  # fmt: skip
@click.option(
    "--what-if", "what_if", multiple=True, metavar="ACTION:TARGET",
    help="Prove these steps, in this order, instead of planning. Repeatable.",
)  # fmt: skip
@click.option("--spare", multiple=True, metavar="ID", help="A credential to leave alone. Repeatable.")
@click.option(
    "--margin", type=int, default=MARGIN, show_default=True, metavar="SECONDS",
    help="How far ahead of its sending a cutoff lies, to cover the time that IAM takes.",
)  # fmt: skip
@click.option(
    "--lag", type=int, default=LAG, show_default=True, metavar="SECONDS", help="How late the log may be.",
)  # fmt: skip
@click.option(
    "--no-access", "without_access", multiple=True, metavar="ACCOUNT",
    help="An account in which you can't change anything. Repeatable.",
)  # fmt: skip
@click.option(
    "--management-account", metavar="ACCOUNT",
    help="The organisation's management account, if you can attach service control policies there.",
)  # fmt: skip
@click.option(
    "--delete-created", is_flag=True,
    help="Delete the keys and users that the attacker made; by default they are deactivated and denied, as evidence.",
)  # fmt: skip
@click.option("--script", is_flag=True, help="Print the plan as a script of aws-cli calls.")
@click.option(
    "-o", "plan_file", type=click.Path(path_type=Path, dir_okay=False), metavar="PLAN.json",
    help="Write the plan to a file, for `tokentrail apply`.",
)  # fmt: skip
@narrowing
@common
@with_snapshots
def command(
    options: CommonOptions, subjects: tuple[str, ...], strategy: str, what_if: tuple[str, ...],
    snapshots: tuple[Snapshot, ...], spare: tuple[str, ...], margin: int, lag: int,
    without_access: tuple[str, ...], management_account: str | None, delete_created: bool, script: bool,
    plan_file: Path | None, since: datetime | None, source_ips: tuple[str, ...], trusted_ips: tuple[str, ...],
) -> None:  # fmt: skip
    """
    Plan the smallest ordered set of steps after which nothing of the attacker's works or can be minted again.

    Nothing is changed: `tokentrail apply` carries a plan out. The plan is proved against an adversary who uses every
    live tainted credential between the steps; one that does not hold is shown with the way around it, and the exit
    code is 1. SUBJECT is as in `tokentrail trace`.
    """
    in_its_own_form(options, "--script" if script else None)
    with output.open_case(options) as case:
        asked = GivenSubjects.read(subjects).asked(case, options, source_ips)
        with output.waiting("Planning"):
            plan = case.contain(
                asked.subjects, strategy=cast(Strategy, strategy), what_if=what_if, as_of=options.as_of, since=since,
                source_ips=asked.source_ips, trusted_ips=trusted_ips, margin=margin, lag=lag, spare=spare,
                snapshots=snapshots, without_access=without_access, management_account=management_account,
                delete_created=delete_created,
            )  # fmt: skip
        if plan_file is not None:
            save(plan, plan_file)
            following = pasted(f"tokentrail apply {shlex.quote(str(plan_file))}", named_case(options))
            output.say(f"Plan written to {plan_file}; `{following}` carries it out.")
        write_script(plan, sys.stdout) if script else show_plan(options, plan)
        output.enforce_strict(options, case)
    if not plan.proof.complete:
        raise click.exceptions.Exit(UNPROVEN)


def show_plan(options: CommonOptions, plan: Plan) -> None:
    """Print a plan: as JSON lines and CSV, its steps."""
    output.show_parts(options, plan, write_plan, "steps", Step)
