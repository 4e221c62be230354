"""
Results as plain documents: the names, times and orders that others script against.

One rule for all: a frozen result becomes a dict of its fields, a time `YYYY-MM-DDTHH:MM:SSZ`, a tuple a list, and an
absent value `null`. A span of time is spelled `from` and `to`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, get_type_hints

from tokentrail.lineage.model import Gap, Trace
from tokentrail.results import HourGap, IngestSummary, Status

Document = dict[str, Any]
_SPELLED: dict[type, dict[str, str]] = {gap: {"start": "from", "end": "to"} for gap in (Gap, HourGap)}


def timestamp(moment: datetime) -> str:
    """Spell a time as every output does."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def document(result: object) -> Document:
    """Turn a frozen result into its document."""
    names = _names(type(result))
    return {spelled: _plain(getattr(result, name)) for name, spelled in names}


def trace_document(trace: Trace) -> Document:
    """Turn a trace into its document, each list in order of time, then id."""
    shown = document(trace)
    for name, order in _ORDERS.items():
        shown[name].sort(key=order)
    shown["principals"].sort()
    return shown


def status_document(status: Status) -> Document:
    """Turn a case's status into its document, its lists in a stable order."""
    shown = document(status)
    shown["coverage"].sort(key=lambda row: (row["account"] or "", row["region"] or ""))
    shown["rejected"].sort(key=lambda row: (row["object"], _number(row["ordinal"]), row["reason"]))
    return shown


def ingest_document(summary: IngestSummary) -> Document:
    """Turn the summary of an ingest into its document."""
    shown = document(summary)
    shown["rejected"].sort(key=lambda row: (row["object"], _number(row["ordinal"]), row["reason"]))
    return shown


def columns(kind: type) -> tuple[str, ...]:
    """List the columns of a result as a flat row, in order; a nested result has one for each of its fields."""
    hints = get_type_hints(kind)
    return tuple(
        column
        for name, spelled in _names(kind)
        for column in (
            [f"{spelled}_{inner}" for _, inner in _names(nested)]
            if (nested := _nested(hints[name])) is not None
            else [spelled]
        )
    )


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
    spelled = _SPELLED.get(kind, {})
    return tuple((one.name, spelled.get(one.name, one.name)) for one in fields(kind))


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, (str, int, float)):
        return value
    if isinstance(value, datetime):
        return timestamp(value)
    if isinstance(value, (tuple, list)):
        return [_plain(one) for one in value]
    return document(value)


def _nested(hint: Any) -> type | None:
    candidates = [one for one in getattr(hint, "__args__", (hint,)) if one is not type(None)]
    return candidates[0] if len(candidates) == 1 and is_dataclass(candidates[0]) else None


def _number(ordinal: int | None) -> int:
    return -1 if ordinal is None else ordinal


def _by(*names: str) -> Callable[[Document], tuple[str, ...]]:
    return lambda one: tuple(str(one[name]) if one[name] is not None else "" for name in names)


_ORDERS: dict[str, Callable[[Document], tuple[str, ...]]] = {
    "credentials": _by("issued_at", "id"),
    "links": _by("time", "parent", "child", "event_id"),
    "created": _by("time", "event_id", "what", "id"),
    "apis": _by("first", "credential", "event_source", "event_name"),
    "resources": _by("first", "credential", "arn", "event_name"),
    "secrets_read": _by("time", "event_id", "what"),
    "gaps": _by("from", "account", "region", "why"),
}
