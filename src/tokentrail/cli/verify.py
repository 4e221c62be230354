"""
`tokentrail verify`: whether a plan that was carried out has held.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial
from pathlib import Path

import click

from tokentrail.case import Case
from tokentrail.cli import aws_targets, output
from tokentrail.cli.example import example
from tokentrail.cli.options import CommonOptions, common
from tokentrail.containment import planfile
from tokentrail.containment.execution.history import history
from tokentrail.containment.execution.journal import journal_path, read
from tokentrail.containment.execution.outcome import CredentialVerdict
from tokentrail.containment.model import Plan
from tokentrail.containment.verification.verify import Evidence, verify
from tokentrail.errors import UsageError
from tokentrail.present.text.apply_output import write_verification

UNPROVEN = 1
"""The exit code of a plan that is not proven to have held."""


@click.command(
    "verify",
    epilog=example("tokentrail verify PLAN.json --case leak --profile-for 111122223333=incident-response"),
)
@aws_targets.PLAN
@aws_targets.routed
@click.option("--offline", is_flag=True, help="Look at the evidence only, and call no account.")
@click.option(
    "--ask-aws",
    is_flag=True,
    help="Ask AWS which statements refused the attacker's calls, where an error message tells an authorization id.",
)
@common
def command(
    options: CommonOptions, path: Path, route: aws_targets.AwsTargets, offline: bool, ask_aws: bool
) -> None:
    """
    Judge whether each step of a plan has held: proven, not yet proven, or refuted with the event.

    Each step is read back in its account, and the case is searched for what the attacker's credentials did since;
    ingest newer logs first.
    A success after its step took effect refutes, and so does a session minted with it then.
    A refusal by a policy of the type that the step wrote proves; silence does not. With --ask-aws, a refusal
    that AWS explains proves if a statement of the plan's refused it, and else does not.
    Exit code 1 unless all of it is proven.
    """
    if offline and ask_aws:
        raise UsageError("--ask-aws asks AWS, and --offline asks nobody: give one of them.")
    plan = planfile.load(path)
    lines = read(journal_path(path), plan=planfile.digest(plan))
    with ExitStack() as stack:
        cloud = None if offline or not lines else stack.enter_context(route.accounts(aws_targets.new_run()))
        case = stack.enter_context(aws_targets.case_of(options, plan))
        evidence = _evidence(case, plan, options) if case is not None else None
        found = verify(plan, history(lines), cloud, evidence, now=aws_targets.clock(), ask_aws=ask_aws)
        output.show_parts(options, found, write_verification, "credentials", CredentialVerdict)
        if case is not None:
            output.enforce_strict(options, case)
    if found.verdict != "proven":
        raise click.exceptions.Exit(UNPROVEN)


def _evidence(case: Case, plan: Plan, options: CommonOptions) -> Evidence:
    return Evidence(
        covered=case.status(as_of=options.as_of).coverage,
        retrace=lambda: case.retrace(plan, as_of=options.as_of, spent=True),
        timeline=lambda subjects: case.timeline(subjects, as_of=options.as_of),
        record=case.record,
        recheck=partial(case.recheck, plan, as_of=options.as_of),
        closed=lambda hosts, since: case.closed(hosts, since, as_of=options.as_of),
    )
