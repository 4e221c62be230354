"""
The option `--iam`: IAM snapshots, by which a plan's proof walks trust policies and permissions.

`guard` reads credential reports and `aws iam list-roles` by it too; of these, a plan says that it has no use for them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import click

from tokentrail.cli import output
from tokentrail.errors import UsageError
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.policy.account.supplements import Report, SessionLengths, supplement


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
    """Add `--iam`; the verb gets the snapshots that were read as `snapshots`."""

    @click.option(
        "--iam", "paths", multiple=True, metavar="SNAPSHOT", type=click.Path(path_type=Path, dir_okay=False),
        help="Output of `aws iam get-account-authorization-details`, one file an account: the plan's proof then walks "
        "trust policies and permissions. Repeatable.",
    )  # fmt: skip
    @functools.wraps(command)
    def wrapped(*arguments: Any, paths: tuple[Path, ...], **options: Any) -> None:
        found = read_iam_files(paths)
        for path in found.others:
            output.warn(f"{path}: no IAM snapshot. `guard` audits it; a plan has no use for it.")
        command(*arguments, snapshots=found.snapshots, **options)

    return wrapped
