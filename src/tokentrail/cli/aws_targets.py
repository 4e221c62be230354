"""
How `apply`, `verify` and `undo` reach AWS accounts, and what they ask before they change one.
"""

from __future__ import annotations

import functools
import re
import secrets
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tokentrail.case import Case
from tokentrail.cli import output
from tokentrail.cli.options import CommonOptions
from tokentrail.containment import planfile
from tokentrail.containment.execution import preflight
from tokentrail.containment.execution.journal import Journal, journal_path
from tokentrail.containment.model import Plan
from tokentrail.errors import ActionRefused, CaseError, UsageError
from tokentrail.formatting import duration, listed
from tokentrail.present.document import timestamp
from tokentrail.present.text.text_writer import TextWriter

if TYPE_CHECKING:
    from tokentrail.containment.execution.aws import Accounts


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsTargets:
    """How each account is reached."""

    profiles: Mapping[str, str]
    role_arn: str | None
    endpoint_url: str | None

    def accounts(self, run: str) -> Accounts:
        """Make the way to the accounts; nothing is called yet."""
        from tokentrail.containment.execution.aws import Accounts  # loads the SDK

        return Accounts(run, profiles=self.profiles, role_arn=self.role_arn, endpoint_url=self.endpoint_url)

    def insist_on_accounts(self, plan: Plan) -> None:
        """
        See that each profile is of an account in which the plan makes calls: another's id is a typing error.

        Raises:
            UsageError: one is not.
        """
        meant = preflight.accounts(plan)
        if others := sorted(set(self.profiles).difference(meant)):
            raise UsageError(
                f"--profile-for {others[0]}={self.profiles[others[0]]}: the plan makes no call in account {others[0]}; "
                f"it makes them in {listed(meant) or 'none'}."
            )

    @contextmanager
    def opened(self, path: Path, plan: Plan) -> Iterator[tuple[Accounts, Journal]]:
        """Open the accounts and the journal of a plan, under the id of a new run."""
        run = new_run()
        with (
            Journal(journal_path(path), plan=planfile.digest(plan), run=run) as journal,
            self.accounts(run) as accounts,
        ):
            try:
                yield accounts, journal
            except KeyboardInterrupt:
                if journal.lines:
                    told = f"What was sent stands, or may: the journal {journal.path} tells which calls. Run the same "
                    TextWriter(sys.stderr).wrapped(
                        f"{told}command again to go on; `tokentrail undo` takes back what may be."
                    )
                raise


class _ProfileFor(click.ParamType):
    name = "ACCOUNT=NAME"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        account, _, profile = str(value).partition("=")
        if not re.fullmatch(r"\d{12}", account) or not profile:
            self.fail(f"{value!r} is not ACCOUNT=NAME, such as 111122223333=incident-response.", param, ctx)
        return account, profile


PLAN = click.argument("path", metavar="PLAN.json", type=click.Path(path_type=Path, dir_okay=False))
CONSENT = click.option(
    "--yes-change-my-account", "consent", is_flag=True,
    help="Change the accounts without asking for their ids to be typed back.",
)  # fmt: skip


def routed(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that say how accounts are reached; the verb gets them as `AwsTargets`."""

    @functools.wraps(command)
    def wrapped(
        *arguments: Any, profiles: tuple[tuple[str, str], ...], role_arn: str | None, endpoint_url: str | None,
        **options: Any,
    ) -> None:  # fmt: skip
        route = AwsTargets(profiles=dict(profiles), role_arn=role_arn, endpoint_url=endpoint_url)
        command(*arguments, route=route, **options)

    for option in (
        click.option(
            "--endpoint-url", metavar="URL", help="Call this address instead of AWS, such as a local stack's."
        ),
        click.option(
            "--role-arn", metavar="ARN",
            help="Assume this role in each account without a profile; {account} stands for the account's id.",
        ),
        click.option(
            "--profile-for", "profiles", multiple=True, type=_ProfileFor(),
            help="The profile of the SDK's configuration for an account. Repeatable.",
        ),
    ):  # fmt: skip
        option(wrapped)
    return wrapped


def new_run() -> str:
    """A fresh id for a run: it stands in the journal, the user agent and the session names."""
    return f"{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"


def clock() -> datetime:
    """The time now."""
    return datetime.now(UTC)


_TYPED = 20
"""Accounts that a person is asked to type the ids of; of more, the number."""


def insist_on_consent(accounts: Sequence[str], *, consent: bool) -> None:
    """
    Have a person agree to a change by typing the accounts' ids, or of very many their number.

    A terminal takes no line of four hundred ids.

    Raises:
        ActionRefused: nobody is there to ask, or what was typed is something else.
    """
    insist_on_somebody_to_ask(accounts, consent=consent)
    if consent or not accounts:
        return
    many, named = _named(accounts)
    asked = f"`{many}`" if many else "the account ids" if len(accounts) > 1 else "the account id"
    typed = click.prompt(
        f"This changes {named}. Type {asked} to go on",
        err=True, default="", show_default=False,
    )  # fmt: skip
    agreed = typed.strip() == many if many else set(re.findall(r"\d{12}", typed)) == set(accounts)
    if not agreed:
        raise ActionRefused(f"what was typed is not {named}. Nothing was sent.")


_FRESH = timedelta(hours=1)
"""How old a plan may be, and how long ago its evidence may end, without a word about it."""


def age_of(plan: Plan, case: Case | None, now: datetime) -> list[str]:
    """Sentences on how old a plan is and the evidence that it is checked against, where that is older than an hour."""
    newest = case.newest() if case else None
    told = []
    if now - plan.as_of > _FRESH:
        told.append(
            f"The plan is of {timestamp(plan.as_of)}, {duration(now - plan.as_of)} ago. "
            "What was minted since is in none of its steps."
        )
    if newest is not None and now - newest > _FRESH:
        told.append(
            f"The case's evidence ends at {timestamp(newest)}, {duration(now - newest)} ago: ingest newer logs, and "
            "this command checks the plan against them."
        )
    return told


def insist_on_somebody_to_ask(accounts: Sequence[str], *, consent: bool) -> None:
    """
    See that a person is there to agree to a change, where nobody has agreed.

    Raises:
        ActionRefused: nobody is.
    """
    if consent or not accounts or sys.stdin.isatty():
        return
    many, named = _named(accounts)
    kind = "" if many else "accounts " if len(accounts) > 1 else "account "
    raise ActionRefused(
        f"this changes {kind}{named}, and nobody is there to ask. Nothing was sent. Say --yes-change-my-account."
    )


def _named(accounts: Sequence[str]) -> tuple[str, str]:
    """The number of accounts, if it is what a person types, and how a sentence names them."""
    many = f"{len(accounts):,} accounts" if len(accounts) > _TYPED else ""
    return many, f"{many} ({listed(accounts)})" if many else ", ".join(accounts)


@contextmanager
def case_of(options: CommonOptions, plan: Plan) -> Iterator[Case | None]:
    """
    Open the case that a plan was made from; `None`, and a word about it, where there is none here.

    Raises:
        ActionRefused: another case lies there.
    """
    try:
        case = output.open_case(options)
    except CaseError:
        if isinstance(options.case, str) or options.case.exists():
            raise
        output.say(
            f"There is no case at {options.case}: evidence newer than the plan is not looked at (--case)."
        )
        yield None
        return
    with case:
        if case.case_id != plan.case_id:
            raise ActionRefused(
                f"the plan was made from case {plan.case_id}, and {options.case} is case {case.case_id}. "
                "Name the plan's case with --case."
            )
        yield case
