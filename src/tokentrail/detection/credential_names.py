"""How findings name credentials, principals and calls."""

from __future__ import annotations

from collections.abc import Iterable

from tokentrail import formatting
from tokentrail.formatting import enumerated
from tokentrail.lineage import rows
from tokentrail.lineage.model import KINDS
from tokentrail.lineage.rows import Row


def kind(row: Row) -> str:
    """Name a credential's kind."""
    return "temporary credential" if row["kind"] == "unknown" else KINDS[row["kind"]]


def short(arn: str | None) -> str:
    """Shorten an ARN to what people say: `user/support`, `MyBucketRole/ria`."""
    if arn is None:
        return "nobody known"
    return formatting.short(arn).removeprefix("assumed-role/")


def named(row: Row) -> str:
    """Name a credential with whom it speaks for."""
    return f"{row['id']} ({kind(row)} of {short(principal(row))})"


def principal(row: Row) -> str | None:
    """The ARN that a credential speaks for."""
    return rows.caller(row).principal


def calls(found: Iterable[Row]) -> str:
    """The names of calls in words, each once; a damaged record may have none."""
    return enumerated(sorted({row["name"] or "a call without a name" for row in found}))
