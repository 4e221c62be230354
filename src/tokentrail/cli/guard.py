"""
`tokentrail guard`: what would have stopped it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tokentrail.cli import output
from tokentrail.cli.example import example
from tokentrail.cli.judging import FOUND
from tokentrail.cli.options import CommonOptions, about, common, in_its_own_form, narrowing
from tokentrail.cli.snapshots import read, read_controls, read_iam_files
from tokentrail.cli.subjects import GivenSubjects
from tokentrail.errors import UsageError
from tokentrail.formatting import counted
from tokentrail.present.document import document
from tokentrail.present.formats.guardrail_files import cloudformation, files, terraform
from tokentrail.present.text.guard_text import COLUMNS, guard_lines, guard_rows, write_guard
from tokentrail.prevention.guard import Given
from tokentrail.store.path_safety import check_path, write_file

if TYPE_CHECKING:
    from tokentrail.prevention.model import Guard

_FIRST = 5
"""Guardrails that are listed where no subject was given."""
_FILE = click.Path(path_type=Path, dir_okay=False)


@click.command(
    "guard",
    epilog=example("tokentrail guard --subject AKIAIOSFODNN7EXAMPLE --iam details.json --case leak"),
)
@about(
    required=False,
    subject_help="Whose tainted credentials are the attacker's; without any, those that findings name. Repeatable.",
)
@click.option(
    "--iam", "snapshots", multiple=True, metavar="FILE", type=_FILE,
    help="Output of `aws iam get-account-authorization-details`, one file an account; also a credential report, or "
    "output of `aws iam list-roles`. Repeatable.",
)  # fmt: skip
@click.option(
    "--scp", "scps", multiple=True, metavar="FILE", type=_FILE,
    help="A service control policy in force, or output of `aws organizations describe-policy`. Repeatable.",
)  # fmt: skip
@click.option(
    "--policy", "policies", multiple=True, metavar="FILE", type=_FILE,
    help="A policy of your own to test over the history: an SCP, or an object with kind, target and policy. "
    "Repeatable.",
)  # fmt: skip
@click.option(
    "--history", is_flag=True, help="List every call that each guardrail would have stopped or broken."
)
@click.option("--only", multiple=True, metavar="ID", help="Test this guardrail alone. Repeatable.")
@click.option(
    "--as", "form", type=click.Choice(["terraform", "cloudformation"]), help="Print the guardrails as code instead.",
)  # fmt: skip
@click.option(
    "-o", "folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False),
    help="Write each guardrail as JSON, and all as Terraform and CloudFormation, into a folder.",
)  # fmt: skip
@narrowing
@common
def command(
    options: CommonOptions, subjects: tuple[str, ...], snapshots: tuple[Path, ...], scps: tuple[Path, ...],
    policies: tuple[Path, ...], history: bool, only: tuple[str, ...], form: str | None, folder: Path | None,
    since: datetime | None, source_ips: tuple[str, ...], trusted_ips: tuple[str, ...],
) -> None:  # fmt: skip
    """
    Audit the IAM of snapshots, and test guardrail policies over the whole history of the case.

    Guardrails are made from the case's own evidence: its addresses, roles and automation. Each is tested on every
    call: which of the attacker's it would have refused, from when on the story would have ended, which ordinary calls
    it would have broken, and which it can't be judged on because the log lacks a condition key. Nothing is changed
    anywhere.
    The exit code is 1 if the audit finds anything.
    """
    in_its_own_form(options, form and f"--as {form}")
    with output.open_case(options) as case:
        asked = GivenSubjects.read(subjects).asked(case, options, source_ips)
        given = replace(_given(snapshots, scps, policies), only=only, whole=history)
        with output.waiting("Testing guardrails"):
            found = case.guard(
                asked.subjects,
                as_of=options.as_of,
                since=since,
                source_ips=asked.source_ips,
                trusted_ips=trusted_ips,
                given=given,
            )
        if folder is not None:
            _write(found, folder)
        _show(options, found, form, whole=history, most=None if asked.subjects or history else _FIRST)
        output.warn(*found.failed)
        output.enforce_strict(options, case, found.failed)
    if found.findings:
        raise click.exceptions.Exit(FOUND)


def _write(found: Guard, folder: Path) -> None:
    """Write the guardrails, and say what else lies there, as policies of an earlier run do."""
    written = files(found.guardrails)
    check_path(folder, UsageError)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"{folder}: can't be written: {error.strerror or error}.") from error
    for name, text in written.items():
        write_file(folder / name, text.encode())
    count = len(written)
    others = sum(1 for _ in folder.iterdir()) - count
    beside = f" {counted(others, 'other file')} there, which this answer has no part in." if others else ""
    output.say(f"{counted(count, 'file')} written to {folder}.{beside}")


def _show(options: CommonOptions, found: Guard, form: str | None, *, whole: bool, most: int | None) -> None:
    if form is not None:
        sys.stdout.write((terraform if form == "terraform" else cloudformation)(found.guardrails))
        return
    output.show_one(
        options, document(found), lambda writer: write_guard(found, writer, whole=whole, most=most),
        lines=guard_lines(found), table=(COLUMNS, guard_rows(found.guardrails)),
    )  # fmt: skip


def _given(files: Sequence[Path], scps: Sequence[Path], policies: Sequence[Path]) -> Given:
    """Read what lies beside the case."""
    found = read_iam_files(files)
    return Given(
        snapshots=found.snapshots,
        reports=found.reports,
        lengths=found.lengths,
        controls=read_controls(scps),
        policies=tuple((path.name, read(path)) for path in policies),
    )
