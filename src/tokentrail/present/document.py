"""
Results as plain documents: the names and times that others script against, in the results' own order.

One rule for all: a frozen result becomes a dict of its fields, a time `YYYY-MM-DDTHH:MM:SSZ`, a tuple a list,
and an absent value `null`; a span of time, and an attack's way, is spelled `from` and `to`. A mapping keeps its own
names, such as the parameters of an AWS call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, get_type_hints

from tokentrail.errors import UsageError
from tokentrail.lineage.model import UNLISTED, Gap
from tokentrail.results import HourGap, LogPeriod

Document = dict[str, Any]
_SPANS = frozenset([Gap, HourGap, LogPeriod])
_OF_SPANS = {"start": "from", "end": "to"}
_OF_ALL = {"whence": "from", "whither": "to"}
"""Names that no field can have, as `from` is a word of Python's."""

_SECONDS = len("2026-11-23T10:02:00")
_AS_THEY_ARE = frozenset([type(None), str, int, float, bool])
"""Types of most values, of which no more need be asked."""


def timestamp(moment: datetime) -> str:
    """Spell a time as every output does."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    return moment.isoformat(timespec="seconds")[:_SECONDS] + "Z"


def moment(text: str) -> datetime:
    """
    Read a time, to the second, as CloudTrail has it: ISO 8601, in UTC where no zone is given.

    Raises:
        UsageError: it is none.
    """
    try:
        found = datetime.fromisoformat(text)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        told = f"{text!r} is no time. Give it as 2026-11-23T10:02:00Z, with an offset, or as a date (UTC)."
        raise UsageError(told) from error
    return found.replace(microsecond=0)


def document(result: object) -> Document:
    """Turn a frozen result into its document."""
    return {name: value if type(value) in _AS_THEY_ARE else plain(value) for name, value in members(result)}


def members(result: object) -> Iterator[tuple[str, Any]]:
    """What a frozen result consists of, by the names in its document."""
    kind: type = type(result)
    return ((spelled, getattr(result, name)) for name, spelled in _names(kind))


def columns(kind: type) -> tuple[str, ...]:
    """List the columns of a result as a flat row, in order; a nested result has one for each field."""
    hints = get_type_hints(kind)
    found: list[str] = []
    for name, spelled in _names(kind):
        nested = _nested(hints[name])
        found += [f"{spelled}_{inner}" for _, inner in _names(nested)] if nested else [spelled]
    return tuple(found)


def row(shown: Document) -> Document:
    """Flatten a document to one value for each of its columns."""
    flat: Document = {}
    for name, value in shown.items():
        flat.update(
            {f"{name}_{inner}": deep for inner, deep in value.items()}
            if isinstance(value, dict)
            else {name: value}
        )
    return flat


@cache
def _names(kind: type) -> tuple[tuple[str, str], ...]:
    if not is_dataclass(kind):
        raise TypeError(f"{kind.__name__} is no result")
    spelled = _OF_ALL | _OF_SPANS if kind in _SPANS else _OF_ALL
    listed = (one.name for one in fields(kind) if one.metadata != UNLISTED)
    return tuple((name, spelled.get(name, name)) for name in listed)


def plain(value: Any) -> Any:
    """Turn what a result consists of into what stands in its document."""
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, (tuple, list)):
        return [plain(one) for one in value]
    if isinstance(value, Mapping):
        return {str(name): plain(one) for name, one in value.items()}
    return document(value)


def _nested(hint: Any) -> type | None:
    candidates = [one for one in getattr(hint, "__args__", (hint,)) if one is not type(None)]
    found = candidates[0] if len(candidates) == 1 else None
    return found if isinstance(found, type) and is_dataclass(found) else None
