"""
The option `--iam`: IAM snapshots, by which a plan's proof walks trust policies and permissions.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from tokentrail.errors import UsageError
from tokentrail.policy.account.snapshot import Snapshot


def with_snapshots(command: Callable[..., None]) -> Callable[..., None]:
    """Add `--iam`; the verb gets the snapshots that were read as `snapshots`."""

    @click.option(
        "--iam", "paths", multiple=True, metavar="SNAPSHOT", type=click.Path(path_type=Path, dir_okay=False),
        help="Output of `aws iam get-account-authorization-details`, one file an account: the plan's proof then walks "
        "trust policies and permissions. Repeatable.",
    )  # fmt: skip
    @functools.wraps(command)
    def wrapped(*arguments: Any, paths: tuple[Path, ...], **options: Any) -> None:
        command(*arguments, snapshots=tuple(read_snapshot(path) for path in paths), **options)

    return wrapped


def read_snapshot(path: Path) -> Snapshot:
    """
    Read an IAM snapshot.

    Raises:
        UsageError: the file can't be read, or is none.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: can't be read: {error.strerror or error}.") from error
    return Snapshot.read(content, str(path))
