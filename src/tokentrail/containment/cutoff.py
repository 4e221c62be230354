"""
The cutoff in policy documents, which `apply` moves: those values of `aws:TokenIssueTime` that equal the plan's cutoff.

All other dates stay, such as those of the one-second windows that spare an innocent session.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from tokentrail import formatting
from tokentrail.containment.model import Call

DOCUMENTS = ("PolicyDocument", "Content")
"""The parameters that hold a policy document: IAM's, and Organizations'."""
_KEY = "aws:tokenissuetime"


def names_moment(call: Call, moment: datetime) -> bool:
    """Whether a policy document of a call has a time as a value of `aws:TokenIssueTime`."""
    return any(
        instant(value) == moment
        for name in DOCUMENTS
        for value in _issue_times(_document(call.parameters.get(name)))
    )


def moved(call: Call, old: datetime, new: datetime) -> Call:
    """Replace a cutoff in a call's documents by another; a call that does not have it is returned unchanged."""
    if old == new or not names_moment(call, old):
        return call
    parameters = dict(call.parameters)
    for name in DOCUMENTS:
        document = _document(parameters.get(name))
        if any(instant(value) == old for value in _issue_times(document)):
            _rewrite(document, lambda value: formatting.instant(new) if instant(value) == old else value)
            parameters[name] = json.dumps(document, separators=(",", ":"))
    return replace(call, parameters=parameters)


def whole_second(moment: datetime) -> datetime:
    """The first whole second at or after a time, since cutoffs are whole seconds."""
    return datetime.fromtimestamp(math.ceil(moment.timestamp()), UTC)


def _document(text: Any) -> Any:
    if not isinstance(text, str):
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _conditions(document: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Each `aws:TokenIssueTime` of the conditions: the operator's mapping, and the key as the document spells it."""
    statements = document.get("Statement", []) if isinstance(document, dict) else []
    for statement in statements if isinstance(statements, list) else [statements]:
        condition = statement.get("Condition") if isinstance(statement, dict) else None
        for keys in condition.values() if isinstance(condition, Mapping) else ():
            if isinstance(keys, dict):
                yield from ((keys, key) for key in keys if key.lower() == _KEY)


def _issue_times(document: Any) -> Iterator[Any]:
    for keys, key in _conditions(document):
        yield from keys[key] if isinstance(keys[key], list) else [keys[key]]


def _rewrite(document: Any, change: Callable[[Any], Any]) -> None:
    for keys, key in _conditions(document):
        value = keys[key]
        keys[key] = [change(one) for one in value] if isinstance(value, list) else change(value)


def instant(value: Any) -> datetime | None:
    """The time that a value of a policy document spells, UTC without a zone; `None` if it spells none."""
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
