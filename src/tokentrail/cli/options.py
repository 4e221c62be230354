"""
The options that all verbs share, and how their values are read.
"""

from __future__ import annotations

import functools
import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, cast

import click
from click.shell_completion import CompletionItem

from tokentrail.aws.leaked_strings import secret_given
from tokentrail.cli.completion import credentials_beginning
from tokentrail.cli.failure import guarded
from tokentrail.cli.settings import DEFAULT_CASE as DEFAULT_CASE
from tokentrail.cli.settings import tell_settings
from tokentrail.errors import CaseError, UsageError
from tokentrail.present.document import moment, timestamp
from tokentrail.store.place import on_s3

Format = Literal[
    "text", "json", "jsonl", "csv", "dot", "mermaid", "ocsf", "asff", "md", "indicators", "stix", "navigator"
]
FORMATS = ("text", "json", "jsonl", "csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommonOptions:
    """The options that every verb takes."""

    case: Path | str
    """A folder, or the URI of a place in a bucket."""
    as_of: datetime | None
    format: Format
    strict: bool
    verbose: bool
    quiet: bool = False
    pager: bool = True


_AGO = re.compile(r"(\d{1,6})\s*(s|m|min|h|d|w)(?:\s*ago)?", re.IGNORECASE)
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_OF_DAY = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)(?::([0-5]\d))?Z?")


class TimeOfDay(datetime):
    """
    A time that was given without its day: by the clock, the last time that it was so late in UTC.

    Verbs that ask a case take it to be on the day of the evidence (`on_day_of_evidence`).
    """


class Moment(click.ParamType):
    """
    A time: ISO 8601, in UTC when no zone is given.

    By the clock: `now`; `10m`, `2h ago`, `3d`. Without a day: `10:18`, a `TimeOfDay`.
    """

    name = "TIME"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        """Read a time, to the second, as CloudTrail has it."""
        if isinstance(value, datetime):
            return value
        if (found := _by_the_clock(value)) is not None:
            return found
        try:
            return moment(value)
        except UsageError as error:
            self.fail(
                f"{error} Or by the clock: now, 10m, 2h ago; or 10:18, of the day of the evidence.",
                param,
                ctx,
            )


def _by_the_clock(text: str) -> datetime | None:
    """A time that is given relative to now; `None` where it is given otherwise."""
    now, given = datetime.now(UTC).replace(microsecond=0), text.strip()
    if given == "now":
        return now
    if ago := _AGO.fullmatch(given):
        seconds = int(ago[1]) * _SECONDS[ago[2].lower()]
        return now - timedelta(seconds=seconds) if seconds < now.timestamp() else None
    if late := _OF_DAY.fullmatch(given):
        return TimeOfDay.fromtimestamp(_last_at(late, now).timestamp(), UTC)
    return None


def _last_at(late: re.Match[str], now: datetime) -> datetime:
    """When it was so late for the last time."""
    found = now.replace(hour=int(late[1]), minute=int(late[2]), second=int(late[3] or 0))
    return found if found <= now else found - timedelta(days=1)


def on_day_of_evidence(given: TimeOfDay, first: datetime, newest: datetime) -> datetime:
    """
    The time that a time of day means of evidence: the last one in it, or of its last day where none is.

    Args:
        given: The time of day.
        first: The time of the first event.
        newest: The time of the newest event, or of the moment of the answer.
    """
    found = datetime.combine(newest.astimezone(UTC).date(), given.timetz())
    before = found - timedelta(days=1)
    return before if found > newest and before >= first else found


class CasePlace(click.Path):
    """Where a case is: a folder, or `s3://BUCKET/PREFIX`."""

    name = "DIR"

    def __init__(self) -> None:
        super().__init__(path_type=Path, file_okay=False)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read a path; a URI stays as it is, as a path would make one of its slashes."""
        try:
            return str(value) if on_s3(value) else super().convert(value, param, ctx)
        except CaseError as error:
            self.fail(str(error), param, ctx)


class Network(click.ParamType):
    """An IP address or a network in CIDR notation."""

    name = "IP|CIDR"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Check an address or network."""
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            self.fail(
                f"{value!r} is no IP address or network. Give 203.0.113.77 or 203.0.113.0/24.", param, ctx
            )
        return str(value)


class Subject(click.ParamType):
    """What a question is about; blanks around it come along when it is pasted, and no name has any."""

    name = "SUBJECT"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Take them off; a secret that is given in place of a name is refused before anybody is asked for it."""
        name = str(value).strip()
        if why := secret_given(name):
            self.fail(f"it {why}.", param, ctx)
        return name

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """Complete the id of a credential of the case."""
        return credentials_beginning(ctx, incomplete)


MOMENT, NETWORK, SUBJECT = Moment(), Network(), Subject()


def common_with(*formats: Format) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the shared options to a verb that prints in more formats than the others."""
    return functools.partial(common, formats=(*FORMATS, *formats))


def common(
    command: Callable[..., None], *, formats: Sequence[str] = FORMATS, reads: bool = False
) -> Callable[..., None]:
    """
    Add the shared options to a verb, which gets them as `CommonOptions`; guard it against errors.

    Args:
        command: The verb.
        formats: What `--format` may be.
        reads: Whether it reads evidence into the case, so that only it knows on which day a time of day is.
    """
    case = click.option(
        "--case", type=CasePlace(), envvar="TOKENTRAIL_CASE",
        default=DEFAULT_CASE, show_default="$TOKENTRAIL_CASE or ./tokentrail-case", metavar="DIR",
        help="The case folder, or s3://BUCKET/PREFIX.",
    )  # fmt: skip
    return case(without_case(command, formats=formats, reads=reads))


def named_case(options: CommonOptions) -> Path | str | None:
    """The case, where a command that is pasted must name it."""
    return None if options.case == Path(DEFAULT_CASE) else options.case


def in_its_own_form(options: CommonOptions, option: str | None) -> None:
    """
    See that no format is asked for beside an option that prints in a form of its own, where that is given.

    Raises:
        UsageError: both are.
    """
    if option and options.format != "text":
        raise UsageError(f"{option} prints in a form of its own: leave out --format {options.format}.")


def with_days(
    options: CommonOptions, given: dict[str, Any], span: tuple[datetime | None, datetime | None]
) -> tuple[CommonOptions, dict[str, Any]]:
    """
    Put times that were given without a day on the day of the evidence, and say which that is.

    Args:
        options: Hold `--as-of`.
        given: Other options by name.
        span: The times of the first and newest event; without any, the clock's day counts.
    """
    first, newest = span
    as_of, others = options.as_of, {name: one for name, one in given.items() if isinstance(one, TimeOfDay)}
    dated: dict[str, Any] = dict(others)
    if first is not None and newest is not None:
        if isinstance(as_of, TimeOfDay):
            as_of = on_day_of_evidence(as_of, first, newest)
        until = min(as_of or newest, newest)
        dated = {name: on_day_of_evidence(one, first, until) for name, one in others.items()}
    why = "the evidence's day" if newest else "the clock's day, as the case has no evidence yet"
    meant = {*dated.values(), *([as_of] if as_of and isinstance(options.as_of, TimeOfDay) else [])}
    for time in sorted(meant) if not options.quiet else ():
        click.echo(f"{time:%H:%M:%S} is {timestamp(time)}, on {why}.", err=True)
    return replace(options, as_of=as_of), given | dated


def _of_case(command: Callable[..., None]) -> Callable[..., None]:
    """Run a verb with times of day put on a day of its case's evidence."""

    def run(options: CommonOptions, **given: Any) -> None:
        if any(isinstance(one, TimeOfDay) for one in (options.as_of, *given.values())):
            options, given = with_days(options, given, _span_of(options.case))
        command(options, **given)

    return run


def _span_of(place: Path | str) -> tuple[datetime | None, datetime | None]:
    """The times of a case's first and newest event."""
    from tokentrail.case import Case  # loads what answers, which some verbs do without

    try:
        with Case.open(place) as case:
            status = case.status()
    except CaseError:
        return None, None
    return status.first, status.last


def without_case(
    command: Callable[..., None], *, formats: Sequence[str] = FORMATS, reads: bool = False
) -> Callable[..., None]:
    """Add the shared options but `--case`, for a verb that has its own; see `common`."""

    @functools.wraps(command)
    def wrapped(
        *, case: Path | str, as_of: datetime | None, format_: str, strict: bool, verbose: bool, quiet: bool,
        pager: bool, **options: Any,
    ) -> None:  # fmt: skip
        common_options = CommonOptions(
            case=case, as_of=as_of, format=cast(Format, format_), strict=strict, verbose=verbose, quiet=quiet,
            pager=pager,
        )  # fmt: skip
        tell_settings()
        guarded(command if reads else _of_case(command), common_options, **options)

    for option in (
        click.option(
            "--pager/--no-pager", default=True,
            help="Show text that is longer than the terminal through $PAGER (or less). Never when piped.",
        ),
        click.option(
            "-q", "--quiet", is_flag=True, help="No progress, summaries or notes on stderr: warnings and errors alone."
        ),
        click.option("-v", "--verbose", is_flag=True, help="Show the cause of an error too."),
        click.option(
            "--strict", is_flag=True, help="Exit with 3, after printing, if any evidence could not be read."
        ),
        click.option(
            "--format", "format_", type=click.Choice(formats, case_sensitive=False), default="text", show_default=True,
            help="How to print the result.",
        ),
        click.option(
            "--as-of", type=MOMENT, default=None, show_default="the newest event",
            help="Answer as could be answered then, from evidence up to then; `now` for the clock.",
        ),
    ):  # fmt: skip
        option(wrapped)
    return wrapped


def about(
    *, required: bool = True, subject_help: str = ""
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """
    Add the subjects, bare or each behind `--subject`, as verbs have them that take something else bare.

    Args:
        required: Whether the verb has no answer without any.
        subject_help: What `--help` says of `--subject`, if anything.
    """
    shown = "SUBJECT..." if required else "[SUBJECT]..."

    def added(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def wrapped(*, bare: tuple[str, ...], subjects: tuple[str, ...], **options: Any) -> None:
            if required and not bare + subjects:
                raise click.MissingParameter(param_type="argument", param_hint=f"'{shown}'")
            command(subjects=bare + subjects, **options)

        named = click.option(
            "--subject", "subjects", multiple=True, type=SUBJECT, hidden=not subject_help,
            help=subject_help or "A SUBJECT.",
        )  # fmt: skip
        return click.argument("bare", nargs=-1, type=SUBJECT, metavar=shown)(named(wrapped))

    return added


_RENAMED = (
    "--since is called --attacker-since here, and will mean the window of the log: write --attacker-since."
)


def narrowed_by(
    as_of: datetime | None, since: datetime | None, source_ips: Sequence[str], trusted_ips: Sequence[str]
) -> str:
    """The options that narrow an answer, as the next command needs them."""
    given = [
        *([f"--attacker-since {timestamp(since)}"] if since else []),
        *(f"--source-ip {one}" for one in source_ips),
        *(f"--trusted-ip {one}" for one in trusted_ips),
        *([f"--as-of {timestamp(as_of)}"] if as_of else []),
    ]
    return " ".join(given)


def narrowing(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that narrow what counts as the attacker's; the verb gets `since`, `source_ips`, `trusted_ips`."""

    @functools.wraps(command)
    def narrowed(*, attacker_since: datetime | None, since: datetime | None, **options: Any) -> None:
        if since is not None:
            click.echo(_RENAMED, err=True)
        command(since=attacker_since or since, **options)

    for option in (
        click.option(
            "--trusted-ip", "trusted_ips", multiple=True, type=NETWORK,
            help="Not what was minted from here. Repeatable.",
        ),
        click.option(
            "--source-ip", "source_ips", multiple=True, type=NETWORK,
            help="Only what was minted from here counts as the attacker's. Repeatable.",
        ),
        click.option(
            "--attacker-since", type=MOMENT,
            help="Only what was minted from the subject at or after this time counts as the attacker's.",
        ),
        click.option("--since", type=MOMENT, hidden=True, help="The old name of --attacker-since."),
    ):  # fmt: skip
        narrowed = option(narrowed)
    return narrowed
