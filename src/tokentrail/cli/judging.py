"""The options by which the evidence is judged, shared by `detect` and `investigate`."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import click

from tokentrail.case import Case
from tokentrail.cli import output
from tokentrail.detection.model import SEVERITIES, Finding, Severity
from tokentrail.detection.suppress import Allowed
from tokentrail.detection.thresholds import Thresholds
from tokentrail.present import words

if TYPE_CHECKING:
    from tokentrail.detection.sigma.reading import SigmaRules

FOUND = 1
"""The exit code of findings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """How to judge."""

    min_severity: Severity
    suppress: Path | None
    thresholds: Path | None
    folders: tuple[Path, ...]
    """Of Sigma rules."""

    def judge(self, case: Case, as_of: datetime | None, only: tuple[str, ...] = ()) -> tuple[Finding, ...]:
        """Judge a case."""
        return case.detect(
            as_of=as_of,
            rules=only or None,
            sigma=sigma_rules(self.folders),
            min_severity=self.min_severity,
            allowed=Allowed.read(self.suppress) if self.suppress else None,
            thresholds=Thresholds.read(self.thresholds) if self.thresholds else None,
        )


SIGMA = click.option(
    "--rules", "folders", multiple=True, metavar="DIR", type=click.Path(path_type=Path),
    help="A folder of Sigma rules for CloudTrail to judge by too. Repeatable.",
)  # fmt: skip


def sigma_rules(folders: Sequence[Path]) -> SigmaRules | None:
    """Read Sigma rules, and say on stderr how many can't be run."""
    if not folders:
        return None
    from tokentrail.detection.sigma.reading import read_rules  # pySigma takes its time to load

    found = read_rules(folders)
    if found.unusable:
        output.say(
            f"{words.number(len(found.unusable), 'Sigma rule')} can't be run; `tokentrail rules --rules DIR` says why."
        )
    return found


def judging_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of judging to a verb, which gets them as a `Judging`."""

    @functools.wraps(command)
    def wrapped(
        *, min_severity: str, suppress: Path | None, thresholds: Path | None, folders: tuple[Path, ...], **options: Any
    ) -> None:  # fmt: skip
        severity = cast(Severity, min_severity)
        judging = Judging(min_severity=severity, suppress=suppress, thresholds=thresholds, folders=folders)
        command(judging=judging, **options)

    file = click.Path(path_type=Path, dir_okay=False)
    for option in (
        SIGMA,
        click.option(
            "--thresholds", type=file, metavar="FILE",
            help="Other numbers to judge by: TOML with names of the thresholds that findings show.",
        ),
        click.option(
            "--suppress", type=file, metavar="FILE",
            help="An allow-list for known automation: TOML or JSON with rule, principal, address, until.",
        ),
        click.option(
            "--min-severity", type=click.Choice(SEVERITIES), default="info", show_default=True,
            help="Leave out findings below this.",
        ),
    ):  # fmt: skip
        wrapped = option(wrapped)
    return wrapped
