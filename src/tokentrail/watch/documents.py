"""Make a `Finding` of its document, for sinks that show findings as text."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, get_args, get_type_hints

from tokentrail.detection.model import Finding
from tokentrail.present.document import Document


def finding(document: Document) -> Finding:
    """Turn a document back into the finding; fields that an older TokenTrail did not write have their defaults."""
    hints = _hints()
    values = {
        one.name: _value(document[one.name], hints[one.name])
        for one in fields(Finding)
        if one.name in document
    }
    values["time"] = datetime.fromisoformat(str(document["time"]))
    return Finding(**values)


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(Finding)


def _value(value: Any, hint: Any) -> Any:
    if not isinstance(value, list):
        return value
    [inner, *_] = get_args(hint) or (None,)
    if isinstance(inner, type) and is_dataclass(inner):
        return tuple(inner(**one) for one in value)
    return tuple(value)
