"""Look up a rule's fields in a record, and give their values as text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tokentrail.events.carriers.names import TOP

_QUOTE, _ESCAPED = '"', '\\"'
_SPELLED = {name.casefold(): name for name in TOP}


@dataclass(frozen=True, slots=True)
class Field:
    """A field by its dotted path."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, path: str) -> Field:
        """A field by its path, such as `userIdentity.sessionContext.sessionIssuer.arn`."""
        first, *rest = path.split(".")
        return cls((_SPELLED.get(first.casefold(), first), *rest))

    def texts(self, record: Any) -> list[str]:
        """Its values in a record as texts; without any where it is absent or null."""
        value = record
        for place, name in enumerate(self.names):
            if value is None:
                return []
            if value.__class__ is not dict or name not in value:
                return [text(one) for one in lookup(value, self.names[place:]) if one is not None]
            value = value[name]
        if value.__class__ is list:
            return [text(one) for one in value if one is not None]
        return [] if value is None else [text(value)]


WHOLE = Field(())
"""The whole record."""


def lookup(record: Any, names: Sequence[str]) -> list[Any]:
    """The values at a path, with regard to no case; through lists, those of every item."""
    found = [record]
    for name in names:
        found = [inner for one in found for inner in _members(one, name)]
    return [inner for one in found for inner in (one if isinstance(one, list) else [one])]


def _members(value: Any, name: str) -> Iterator[Any]:
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, list):
            waiting += reversed(one)
        elif isinstance(one, dict):
            if name in one:
                yield one[name]
            else:
                folded = name.casefold()
                yield from (item for key, item in one.items() if key.casefold() == folded)


def text(value: Any) -> str:
    """
    A value as text: a nested one as JSON, so that rules may look for what is inside it.

    A policy document is a text in CloudTrail, whose quotes JSON escapes. Rules are written for the document, such as
    Sigma's `requestParameters|contains: '"s3:GetObject"'`, so the JSON is repeated with these quotes as they were.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "replace").decode()
    if isinstance(value, bool):
        return "true" if value else "false"
    if value.__class__ is int:
        return str(value)
    try:
        told = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    except RecursionError:  # as deep as what read it could just go
        told = "\n".join(_words(value))
    told = told.encode("utf-8", "replace").decode()
    return f"{told}\n{told.replace(_ESCAPED, _QUOTE)}" if _ESCAPED in told else told


def _words(value: Any) -> Iterator[str]:
    """The names and values in a value, however deep it is."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [part for item in reversed(one.items()) for part in reversed(item)]
        elif isinstance(one, list):
            waiting += reversed(one)
        else:
            yield str(one)
