"""
`tokentrail apply`: carry a plan out.
"""

from __future__ import annotations

import sys
import time
from datetime import datetime
from functools import partial
from pathlib import Path

import click

from tokentrail.cli import aws_targets, output
from tokentrail.cli.example import example
from tokentrail.cli.options import CommonOptions, common
from tokentrail.containment import planfile
from tokentrail.containment.execution import preflight
from tokentrail.containment.execution.apply import Means, apply
from tokentrail.containment.execution.outcome import Applied, StepDone
from tokentrail.containment.model import Step
from tokentrail.errors import ActionRefused
from tokentrail.present.document import timestamp
from tokentrail.present.text.apply_output import write_applied, write_call_result, write_calls
from tokentrail.present.text.text_writer import TextWriter


@click.command(
    "apply",
    epilog=example("tokentrail apply PLAN.json --case leak --profile-for 111122223333=incident-response"),
)
@aws_targets.PLAN
@aws_targets.routed
@click.option("--dry-run", is_flag=True, help="Show every call, and send nothing.")
@click.option(
    "--done", "done", multiple=True, type=click.IntRange(min=1), metavar="N",
    help="Step N has been done by a person: one that is for a person, or that AWS refuses. Repeatable.",
)  # fmt: skip
@click.option(
    "--yes-cut-my-own-session", "cut", is_flag=True,
    help="Go on although a step cuts off the identity that carries it out.",
)  # fmt: skip
@aws_targets.CONSENT
@common
def command(
    options: CommonOptions,
    path: Path,
    route: aws_targets.AwsTargets,
    dry_run: bool,
    done: tuple[int, ...],
    cut: bool,
    consent: bool,
) -> None:
    """
    Carry out the steps of a plan, in order, in the accounts that it names.

    Every call is shown first, and case, account, identity and the plan's age are checked before anybody is asked.
    What was there, what is sent and what is answered goes into a journal beside the plan, so that a run that was
    broken off goes on where it stopped when it is run again, and `undo` can take all of it back.
    Just before a step is sent, its cutoff moves to the clock plus the plan's margin.
    After the last step took effect, everything is read back, and what somebody undid meanwhile is done again.
    """
    plan = planfile.load(path)
    if dry_run:
        output.show_parts(options, plan, write_calls, "steps", Step)
        return
    route.insist_on_accounts(plan)
    with aws_targets.case_of(options, plan) as case, route.opened(path, plan) as (cloud, journal):
        write_calls(plan, TextWriter(sys.stderr))
        aws_targets.insist_on_somebody_to_ask(preflight.accounts(plan), consent=consent)
        preflight.insist_on_calls(plan, cloud)
        preflight.insist_on_callers(plan, cloud, may_be_cut=cut)
        output.warn(*aws_targets.age_of(plan, case, aws_targets.clock()))
        aws_targets.insist_on_consent(preflight.accounts(plan), consent=consent)
        recheck = partial(case.recheck, plan, as_of=options.as_of) if case else None
        applied = apply(plan, cloud, journal, _means(done), recheck=recheck, own_session_may_be_cut=cut)
    _show(options, applied)


def _show(options: CommonOptions, applied: Applied) -> None:
    output.show_parts(options, applied, write_applied, "steps", StepDone)
    if applied.stopped:
        raise ActionRefused(f"{applied.stopped}. The journal {applied.journal} tells what was done.")


def _means(done: tuple[int, ...]) -> Means:
    writer = TextWriter(sys.stderr)

    def confirm(step: Step, why: str) -> bool:
        if step.n in done:
            return True
        writer.wrapped(why, first=f"Step {step.n} ({step.action}) is for a person: ")
        return sys.stdin.isatty() and click.confirm("Has it been done?", err=True)

    def waiting(until: datetime) -> None:
        writer.wrapped(
            f"Waiting until {timestamp(until)}, when the last step has taken effect, to read all of it back."
        )

    return Means(
        clock=aws_targets.clock, sleep=time.sleep, confirm=confirm, done=frozenset(done),
        tell=lambda result: write_call_result(result, writer), waiting=waiting,
    )  # fmt: skip
