"""The words of findings: times, credentials, principals, lists."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail import spelling
from tokentrail.lineage import rows
from tokentrail.lineage.model import KINDS
from tokentrail.lineage.rows import Row
from tokentrail.spelling import at as at
from tokentrail.spelling import counted as counted
from tokentrail.spelling import joined as joined
from tokentrail.spelling import more

FEW = 4
"""Names that a list in words has."""


def span(seconds: float) -> str:
    """Spell a length of time."""
    for size, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 2 * size or (seconds >= size and name != "minute"):
            count = f"{seconds / size:.1f}".removesuffix(".0")
            return f"{count} {name}{'' if count == '1' else 's'}"
    return f"{seconds:.0f} second{'' if seconds == 1 else 's'}"


def kind(row: Row) -> str:
    """Name a credential's kind."""
    return "temporary credential" if row["kind"] == "unknown" else KINDS[row["kind"]]


def short(arn: str | None) -> str:
    """Shorten an ARN to what people say: `user/support`, `MyBucketRole/ria`."""
    if arn is None:
        return "nobody known"
    return spelling.short(arn).removeprefix("assumed-role/")


def named(row: Row) -> str:
    """Name a credential with whom it speaks for."""
    return f"{row['id']} ({kind(row)} of {short(principal(row))})"


def principal(row: Row) -> str | None:
    """The ARN that a credential speaks for."""
    return rows.caller(row).principal


def listed(names: Iterable[str], *, of: int | None = None) -> str:
    """A list in words, the first few of it; `of` says how many there are, where it is a part only."""
    names = list(names)
    count = len(names) if of is None else of
    if count > FEW:
        return ", ".join(names[:FEW]) + more(count - FEW)
    return joined(names)


def calls(found: Iterable[Row]) -> str:
    """The names of calls in words, each once; a damaged record may have none."""
    return listed(sorted({row["name"] or "a call without a name" for row in found}))


def size(count: float) -> str:
    """A number of bytes."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
