"""
How evidence is read in: the options that `ingest` and `investigate` share.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import click

from tokentrail.case import Case
from tokentrail.results import IngestSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """How to read evidence in."""

    reference: bool
    workers: int | None
    max_expansion: int | None

    def into(
        self, case: Case, sources: Sequence[str], progress: Callable[[int, int], None] | None
    ) -> IngestSummary:
        """Read sources into a case."""
        bound = {} if self.max_expansion is None else {"bound": self.max_expansion}
        return case.ingest(
            sources, reference=self.reference, workers=self.workers, progress=progress, **bound
        )


def intake_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a verb, which gets them as an `Intake`."""

    @functools.wraps(command)
    def wrapped(*, reference: bool, workers: int | None, max_expansion: int | None, **options: Any) -> None:
        intake = Intake(reference=reference, workers=workers, max_expansion=max_expansion)
        command(intake=intake, **options)

    for option in (
        click.option(
            "--max-expansion", type=click.IntRange(min=1), metavar="BYTES", show_default="2 GiB",
            help="Reject an object that unpacks to more than this.",
        ),
        click.option(
            "--workers", type=click.IntRange(min=1), metavar="N", show_default="one for each core",
            help="Processes that read.",
        ),
        click.option(
            "--reference", is_flag=True,
            help="Leave the log files where they are, instead of keeping a copy in the case.",
        ),
    ):  # fmt: skip
        option(wrapped)
    return wrapped
