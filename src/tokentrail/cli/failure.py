"""
How a verb ends other than well: a message for a person, and the exit code of its kind.
"""

from __future__ import annotations

import errno
import os
import sys
import traceback
from collections.abc import Callable
from typing import IO, TYPE_CHECKING, Any

import click

from tokentrail.aws.leaked_strings import secret_given
from tokentrail.errors import SubjectNotFound, TokenTrailError
from tokentrail.events.values import hide_secrets
from tokentrail.present.safe import safe

if TYPE_CHECKING:
    from tokentrail.cli.options import CommonOptions

UNEXPECTED = 70
"""The exit code of a fault in TokenTrail itself (sysexits' `EX_SOFTWARE`): 1 always means findings."""

INTERRUPTED = 130
"""The exit code of a verb that Ctrl-C stopped, as shells have it (128 and the signal's number)."""


class Failure(click.ClickException):
    """A message for stderr and an exit code; `click` shows the one and `main` exits with the other."""

    def __init__(self, lines: list[str], exit_code: int) -> None:
        super().__init__("\n".join(lines))
        self._lines = lines
        self.exit_code = exit_code

    def show(self, file: IO[Any] | None = None) -> None:
        """Print the message, line by line, made safe for a terminal; a secret that was given by mistake is blanked."""
        for line in self._lines:
            click.echo(safe(without_secrets(line)), file=file, err=file is None)


def without_secrets(message: str) -> str:
    """A message that may repeat an argument, without the secrets that somebody gave there by mistake."""
    for argument in sys.argv[1:]:
        if argument in message and secret_given(argument):
            message = message.replace(argument, "(a secret)")
    return hide_secrets(message)


def guarded(command: Callable[..., None], options: CommonOptions, **others: Any) -> None:
    """Run a verb; turn what goes wrong into a message and an exit code."""
    try:
        command(options, **others)
        sys.stdout.flush()
    except BrokenPipeError:
        _stop_writing()
        raise click.exceptions.Exit(0) from None
    except KeyboardInterrupt as error:
        raise Failure(["Stopped before it was done."], INTERRUPTED) from error
    except TokenTrailError as error:
        lacking = _not_in_case(options) if isinstance(error, SubjectNotFound) else []
        raise Failure([*_message(error, options.verbose), *lacking], error.exit_code) from error
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except OSError as error:
        lines = [f"Error: {_of_system(error)}", *_cause(error, options.verbose)]
        raise Failure(lines, TokenTrailError.exit_code) from error
    except Exception as error:
        raise Failure(_fault(error, options.verbose), UNEXPECTED) from error


def _not_in_case(options: CommonOptions) -> list[str]:
    """Why a subject may be missing although there is evidence of it: the case is empty, or an ingest has not ended."""
    from tokentrail.case import Case
    from tokentrail.case.bookkeeping import unfinished

    try:
        with Case.open(options.case, create=False) as case:
            empty = ["The case holds no event yet."] if case.newest() is None else []
            return [*empty, *unfinished(case.folder)]
    except (TokenTrailError, OSError):
        return []


def _of_system(error: OSError) -> str:
    """What the operating system refused. For a full disk also what to do, since any verb may meet one."""
    if error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return str(error)
    where = f" for {error.filename}" if error.filename else ""
    return f"there is no room left on the disk{where}. Make room, and run the same command again: a case loses nothing."


def _message(error: TokenTrailError, verbose: bool) -> list[str]:
    first, *rest = str(error).splitlines() or [type(error).__name__]
    lines = [f"Error: {first}"]
    if verbose:
        return [*lines, *rest, *_cause(error, verbose)]
    hidden = bool(rest) or error.__cause__ is not None
    return [*lines, "(-v shows the cause)"] if hidden else lines


def _cause(error: BaseException, verbose: bool) -> list[str]:
    lines = []
    cause = error.__cause__ if verbose else None
    while cause is not None:
        lines += f"caused by {type(cause).__name__}: {cause}".splitlines()
        cause = cause.__cause__
    return lines


def _fault(error: Exception, verbose: bool) -> list[str]:
    lines = [f"Error: a fault in TokenTrail itself: {type(error).__name__}: {error}".splitlines()[0]]
    if verbose:
        return lines + "".join(traceback.format_exception(error)).splitlines()
    return [*lines, "Run it again with -v and report what it prints."]


def _stop_writing() -> None:
    """Let Python close its streams without a word, though nobody reads them any more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.stdout, sys.stderr):
        try:
            os.dup2(nowhere, stream.fileno())
        except (OSError, ValueError):
            continue
    os.close(nowhere)
