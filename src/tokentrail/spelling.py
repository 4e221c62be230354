"""
How sentences spell numbers, lists, times and ARNs, the same in every room.

It imports the standard library only, and never knows what the words are about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime

_ID = re.compile(r"(?=\S*\d)\S{4,}|\b[A-Z]{16,}\b\S*")
"""A word that is an id, a time, an account or an address, as far as its look tells."""


_LONGEST_QUOTE = 200


def quoted(text: str) -> str:
    """Text from a log made fit for a sentence: one line, no control characters, not too long."""
    plain = text
    if not text.isprintable():
        plain = "".join(character if character.isprintable() else "?" for character in text)
    return plain if len(plain) <= _LONGEST_QUOTE else plain[: _LONGEST_QUOTE - 3] + "..."


def counted(count: int, singular: str, plural: str | None = None) -> str:
    """Count something: `1 event`, `1,204 events`."""
    return f"{count:,} {singular if count == 1 else plural or singular + 's'}"


def more(count: int) -> str:
    """What ends a list that is cut, where it is: ` and 3 more`."""
    return f" and {count:,} more" if count > 0 else ""


def listed(items: Iterable[str], most: int = 4) -> str:
    """List some, and say how many more there are."""
    every = list(items)
    return ", ".join(every[:most]) + more(len(every) - most)


def joined(items: Iterable[str], last: str = "and") -> str:
    """List all, with `and` before the last."""
    *most, end = list(items) or [""]
    return f"{', '.join(most)} {last} {end}" if most else end


def short(arn: str) -> str:
    """The part of an ARN that people say: `role/MyBucketRole`; other ids, in which colons may stand, as they are."""
    return arn.split(":", 5)[-1] if arn.startswith("arn:") else arn


def without_ids(text: str) -> str:
    """What several sentences have in common that say the same of different things at different times."""
    return _ID.sub("", text)


def instant(moment: datetime) -> str:
    """Spell a time to the second, in UTC."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def at(seconds: float) -> str:
    """Spell a time that is told in seconds since 1970."""
    return instant(datetime.fromtimestamp(seconds, UTC))
