"""What a question to a case means: moments, names, and what counts as the attacker's."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args, overload

from tokentrail.errors import UsageError
from tokentrail.lineage.trace import Narrowing, networks


@overload
def utc(moment: datetime) -> datetime: ...
@overload
def utc(moment: datetime | None) -> datetime | None: ...
def utc(moment: datetime | None) -> datetime | None:
    """A time in UTC; one without a zone is UTC, as on the command line: Python takes it for the machine's own."""
    if moment is None:
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def listed(given: str | Path | Sequence[str | Path]) -> tuple[str, ...]:
    """Several names as texts; a lone text is one name, though to Python it is as many as it has letters."""
    return (str(given),) if isinstance(given, str | Path) else tuple(map(str, given))


def known(word: str | None, words: object, what: str) -> None:
    """
    Refuse a word that is none of those that a `Literal` lists: with it, an answer would be empty, or another's.

    Raises:
        UsageError: it is none of them.
    """
    if word is not None and word not in get_args(words):
        raise UsageError(f"{what} {word!r}: give one of {', '.join(get_args(words))}.")


def narrowed(since: datetime | None, source_ips: Sequence[str], trusted_ips: Sequence[str]) -> Narrowing:
    """
    What counts as the attacker's.

    Raises:
        UsageError: an address can't be read.
    """
    return Narrowing(utc(since), networks(listed(source_ips)), networks(listed(trusted_ips)))
