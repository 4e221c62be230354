"""
The options `--iam` and `--scp`: IAM snapshots and SCPs, by which a plan's proof walks trust policies and permissions.

`guard` takes the same. Credential reports and `aws iam list-roles` are read too; of these, a plan says that it has no
use for them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from tokentrail.cli import output
from tokentrail.errors import UsageError
from tokentrail.policy.account.permissions import Policy
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.policy.account.supplements import Report, SessionLengths, controls, supplement, under


class IamFiles(NamedTuple):
    """What files given by `--iam` hold."""

    snapshots: tuple[Snapshot, ...]
    reports: tuple[Report, ...]
    lengths: dict[str, int]
    """The longest life of a role's sessions in seconds, by its ARN."""
    others: tuple[Path, ...]
    """The files that hold no snapshot."""


def read_iam_files(paths: Sequence[Path]) -> IamFiles:
    """
    Read snapshots, credential reports and lists of roles.

    Raises:
        UsageError: a file can't be read, or is none of these.
    """
    snapshots, reports, lengths, others = list[Snapshot](), list[Report](), dict[str, int](), list[Path]()
    for path in paths:
        content = read(path)
        match supplement(content, str(path)):
            case Report() as report:
                reports.append(report)
                others.append(path)
            case SessionLengths() as longest:
                lengths.update(longest.of)
                others.append(path)
            case None:
                snapshots.append(Snapshot.read(content, str(path)))
    return IamFiles(tuple(snapshots), tuple(reports), lengths, tuple(others))


def read_controls(paths: Sequence[Path]) -> tuple[Policy, ...]:
    """
    Read SCPs.

    Raises:
        UsageError: a file can't be read, or holds none.
    """
    return tuple(one for path in paths for one in controls(read(path), path.name))


def read(path: Path) -> bytes:
    """
    The content of a file that the user named.

    Raises:
        UsageError: it can't be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror or error}.") from error


def with_snapshots(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--iam` and `--scp`; the verb gets the snapshots that were read, under the SCPs, as `snapshots`."""

    @click.option(
        "--iam", "paths", multiple=True, metavar="SNAPSHOT", type=click.Path(path_type=Path, dir_okay=False),
        help="Output of `aws iam get-account-authorization-details`, one file an account: the plan's proof then walks "
        "trust policies and permissions. Repeatable.",
    )  # fmt: skip
    @click.option(
        "--scp", "scps", multiple=True, metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
        help="A service control policy in force, or output of `aws organizations describe-policy`, for the accounts "
        "that --iam names. Repeatable.",
    )  # fmt: skip
    @functools.wraps(command)
    def wrapped(*arguments: Any, paths: tuple[Path, ...], scps: tuple[Path, ...], **options: Any) -> None:
        found, binding = read_iam_files(paths), read_controls(scps)
        for path in found.others:
            output.warn(f"{path}: no IAM snapshot. `guard` audits it; a plan has no use for it.")
        if binding and not found.snapshots:
            output.warn("--scp: of no use without a snapshot (--iam) of an account that the policy binds.")
        command(*arguments, snapshots=tuple(under(one, binding) for one in found.snapshots), **options)

    return wrapped
