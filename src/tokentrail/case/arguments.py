"""Read the arguments of questions to a case: moments, names, words, and what counts as the attacker's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, get_args, overload

from tokentrail.errors import UsageError

if TYPE_CHECKING:
    from tokentrail.lineage.trace import Narrowing


@overload
def utc(moment: datetime) -> datetime: ...
@overload
def utc(moment: datetime | None) -> datetime | None: ...
def utc(moment: datetime | None) -> datetime | None:
    """A time in UTC. One without a zone is taken as UTC, as on the command line, not as this machine's local time."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def names(given: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    """Names as a tuple of texts. A single text is one name, not a sequence of letters."""
    return (str(given),) if isinstance(given, str | Path) else tuple(map(str, given))


def check_word(word: str | None, words: object, what: str) -> None:
    """
    Check that a word is one that a `Literal` lists; with another one, an answer would be empty or wrong.

    Raises:
        UsageError: it is not.
    """
    if word is not None and word not in get_args(words):
        raise UsageError(f"{what} {word!r}: give one of {', '.join(get_args(words))}.")


def narrowing_of(since: datetime | None, source_ips: Sequence[str], trusted_ips: Sequence[str]) -> Narrowing:
    """
    What counts as the attacker's, from the arguments that say so.

    Raises:
        UsageError: an address can't be read.
    """
    from tokentrail.lineage.trace import Narrowing, networks  # loads all that traces

    return Narrowing(utc(since), networks(names(source_ips)), networks(names(trusted_ips)))
