"""
How evidence is read in: the options that `ingest`, `investigate` and `verify-logs` share.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from tokentrail.case import Case
from tokentrail.cli.options import MOMENT
from tokentrail.results import IngestSummary
from tokentrail.sources.interface import Access, Queries, Wanted

if TYPE_CHECKING:
    from tokentrail.spark import Cluster


_UNBOUNDED = Queries()


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """How to read evidence in."""

    reference: bool
    workers: int | None
    max_expansion: int | None
    access: tuple[Access, ...]
    wanted: Wanted = field(default_factory=Wanted)

    def narrowed(
        self,
        since: datetime | None,
        until: datetime | None,
        subjects: Sequence[str],
        queries: Queries = _UNBOUNDED,
    ) -> Intake:
        """The same, narrowed to some days, and of what is asked, to what a trace of some keys needs."""
        wanted = replace(self.wanted, since=since, until=until, subjects=tuple(subjects), queries=queries)
        return replace(self, wanted=wanted)

    def into(
        self,
        case: Case,
        sources: Sequence[str],
        progress: Callable[[int, int], None] | None,
        engine: Cluster | None = None,
    ) -> IngestSummary:
        """Read sources into a case; on a cluster, if one is given."""
        bound: dict[str, Any] = {} if self.max_expansion is None else {"bound": self.max_expansion}
        return case.ingest(
            sources, reference=self.reference, workers=self.workers, progress=progress, access=self.access,
            wanted=self.wanted, engine=engine, **bound,
        )  # fmt: skip


def intake_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options to a verb, which gets them as an `Intake`."""

    @functools.wraps(command)
    def wrapped(
        *, reference: bool, workers: int | None, max_expansion: int | None, access: tuple[Access, ...], wanted: Wanted,
        **options: Any,
    ) -> None:  # fmt: skip
        intake = Intake(
            reference=reference, workers=workers, max_expansion=max_expansion, access=access, wanted=wanted
        )
        command(intake=intake, **options)

    for option in (
        click.option(
            "--max-expansion", type=click.IntRange(min=1), metavar="BYTES", show_default="448 MiB",
            help="How far one object may unpack; what lies beyond is not read, and said.",
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
    return reaching(wrapped)


def reaching(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how AWS is reached and which part is wanted; the verb gets `access` and `wanted`."""

    @functools.wraps(command)
    def wrapped(
        *, profiles: tuple[str, ...], role_arn: str | None, endpoint_url: str | None, request_payer: bool,
        accounts: tuple[str, ...], regions: tuple[str, ...], **options: Any,
    ) -> None:  # fmt: skip
        access = tuple(
            Access(profile=one, role_arn=role_arn, endpoint_url=endpoint_url, request_payer=request_payer)
            for one in profiles or (None,)
        )
        wanted = Wanted(accounts=frozenset(accounts), regions=frozenset(regions))
        command(access=access, wanted=wanted, **options)

    for option in (
        click.option(
            "--request-payer", is_flag=True, help="Agree to pay for reading from a bucket whose requester pays."
        ),
        click.option(
            "--endpoint-url", metavar="URL", help="Read from this address instead of AWS, such as a local stack's."
        ),
        click.option("--role-arn", metavar="ARN", help="Assume this role for reading from AWS."),
        click.option(
            "--profile", "profiles", multiple=True, metavar="NAME",
            help="The profile of the SDK's configuration to read with; repeatable for lookup-events:.",
        ),
        click.option(
            "--region", "regions", multiple=True, metavar="REGION",
            help="Only this region's logs, where their names tell. Repeatable.",
        ),
        click.option(
            "--account", "accounts", multiple=True, metavar="ACCOUNT",
            help="Only this account's logs, where their names tell. Repeatable.",
        ),
    ):  # fmt: skip
        option(wrapped)
    return wrapped


def days(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that choose days."""
    for option in (
        click.option("--until", type=MOMENT, help="Only logs up to this time, where their names tell."),
        click.option("--since", type=MOMENT, help="Only logs from this time on, where their names tell."),
    ):
        command = option(command)
    return command
