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
from tokentrail.detection.addresses import Addresses
from tokentrail.detection.allow_list import Allowed
from tokentrail.detection.model import SEVERITIES, Finding, Severity
from tokentrail.detection.thresholds import Thresholds
from tokentrail.errors import UsageError
from tokentrail.formatting import counted

if TYPE_CHECKING:
    from tokentrail.case.result_set import Rows
    from tokentrail.detection.leads.model import Lead
    from tokentrail.detection.sigma.reading import SigmaRules

FOUND = 1
"""The exit code of findings."""
JUDGING = "Judging the evidence"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """How to judge."""

    min_severity: Severity
    suppress: Path | None
    thresholds: Path | None
    folders: tuple[Path, ...]
    """Of Sigma rules."""
    geoip: tuple[Path, ...] = ()
    """MaxMind databases."""
    aws_ranges: Path | None = None

    def judge(
        self,
        case: Case,
        as_of: datetime | None,
        only: tuple[str, ...] = (),
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> Rows[Finding]:
        """Judge a case, and say which rules failed."""
        said: list[str] = []  # kept until the waiting line is gone, which would overwrite it
        sigma = sigma_rules(self.folders)
        with output.waiting(JUDGING):
            found = case.detect(
                as_of=as_of,
                rules=only or None,
                sigma=sigma,
                min_severity=self.min_severity,
                allowed=Allowed.read(self.suppress) if self.suppress else None,
                thresholds=Thresholds.read(self.thresholds) if self.thresholds else None,
                addresses=Addresses.read(self.geoip, self.aws_ranges),
                said=said.append,
                since=since,
                until=until,
            )
        output.say(*said)
        output.warn(*found.failed)
        return found


def leads_of(case: Case, as_of: datetime | None, limit: int, **window: datetime | None) -> Rows[Lead]:
    """Rank the leads of a case, say meanwhile that it is done, and then which signals failed."""
    with output.waiting("Ranking credentials"):
        leads = case.leads(as_of=as_of, limit=limit, **window)
    output.warn(*leads.failed)
    return leads


SIGMA = click.option(
    "--rules", "folders", multiple=True, metavar="DIR", type=click.Path(path_type=Path),
    help="A folder of Sigma rules for CloudTrail to judge by too. Repeatable.",
)  # fmt: skip


def sigma_rules(folders: Sequence[Path]) -> SigmaRules | None:
    """Read Sigma rules, and say on stderr how many can't be run."""
    if not folders:
        return None
    try:
        from tokentrail.detection.sigma.reading import read_rules  # pySigma takes its time to load
    except ModuleNotFoundError as error:
        raise UsageError(
            f"Sigma rules need pySigma, and {error.name} is not installed: pip install 'tokentrail[sigma]', "
            "or '.[sigma]' in a clone. (On Python 3.15 that compiles google-re2; on 3.11 to 3.14 it comes with "
            "tokentrail.)"
        ) from error

    found = read_rules(folders)
    if found.unusable:
        output.say(
            f"{counted(len(found.unusable), 'Sigma rule')} can't be run; `tokentrail rules --rules DIR` says why."
        )
    return found


def judging_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options of judging to a verb, which gets them as a `Judging`."""

    @functools.wraps(command)
    def wrapped(
        *, min_severity: str, suppress: Path | None, thresholds: Path | None, folders: tuple[Path, ...],
        geoip: tuple[Path, ...], aws_ranges: Path | None, **options: Any,
    ) -> None:  # fmt: skip
        judging = Judging(
            min_severity=cast(Severity, min_severity), suppress=suppress, thresholds=thresholds, folders=folders,
            geoip=geoip, aws_ranges=aws_ranges,
        )  # fmt: skip
        command(judging=judging, **options)

    file = click.Path(path_type=Path, dir_okay=False)
    for option in (
        SIGMA,
        click.option(
            "--aws-ranges", type=file, metavar="FILE",
            help="A newer ip-ranges.json of AWS's than the one built in. Nothing is fetched.",
        ),
        click.option(
            "--geoip", type=file, multiple=True, metavar="FILE",
            help="A MaxMind database (.mmdb) of countries or network owners (ASN). Repeatable.",
        ),
        click.option(
            "--thresholds", type=file, metavar="FILE",
            help="Other numbers to judge by: TOML with names of the thresholds that findings show.",
        ),
        click.option(
            "--suppress", type=file, metavar="FILE",
            help="An allow-list for known automation: TOML or JSON with rule, principal, address, until.",
        ),
        click.option(
            "--min-severity", type=click.Choice(SEVERITIES, case_sensitive=False), default="info", show_default=True,
            help="Leave out findings below this.",
        ),
    ):  # fmt: skip
        wrapped = option(wrapped)
    return wrapped
