"""
How text shows numbers, sizes, times, lists and ARNs, the same in every room.

It imports the standard library only, and never knows what the text is about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

_ID = re.compile(r"(?=\S*\d)\S{4,}|\b[A-Z]{16,}\b\S*")
"""A word that is an id, a time, an account or an address, as far as its look tells."""
_LONGEST_QUOTE = 200
FEW = 4
"""Names that a list in a sentence has."""


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


def enumerated(items: Iterable[str], *, of: int | None = None) -> str:
    """List all of a few, with `and` before the last; of more, the first. `of` says how many there are, if more."""
    names = list(items)
    count = len(names) if of is None else of
    return listed(names[:FEW]) + more(count - FEW) if count > FEW else joined(names)


def joined(items: Iterable[str], last: str = "and") -> str:
    """List all, with `and` before the last."""
    *most, end = list(items) or [""]
    return f"{', '.join(most)} {last} {end}" if most else end


def verb(count: int, singular: str, plural: str) -> str:
    """Make a verb agree."""
    return singular if count == 1 else plural


def size(count: float) -> str:
    """Spell bytes as people do: `2.1 GB`."""
    amount, units = float(count), ["bytes", "kB", "MB", "GB", "TB", "PB"]
    while amount >= 1000 and len(units) > 1:
        amount, units = amount / 1000, units[1:]
    return f"{count:,.0f} bytes" if units[0] == "bytes" else f"{amount:.1f} {units[0]}"


def duration(time: timedelta) -> str:
    """Spell a length of time in little room: `40 s`, `34 min`, `2 h 36 min`, `3 d 4 h`."""
    seconds = int(time.total_seconds())
    days, hours, minutes = seconds // 86_400, seconds // 3_600 % 24, seconds // 60 % 60
    if seconds < 60:
        return f"{seconds} s"
    parts = (f"{days} d" if days else "", f"{hours} h" if hours else "", f"{minutes} min" if not days else "")
    return " ".join(filter(None, parts))


def lasting(seconds: float) -> str:
    """Spell a length of time in a sentence: `40 seconds`, `1.5 hours`."""
    for length, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * length or (seconds >= length and name != "minute"):
            count = f"{seconds / length:.1f}".removesuffix(".0")
            return f"{count} {name}{'' if count == '1' else 's'}"
    return f"{seconds:.0f} second{'' if seconds == 1 else 's'}"


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
