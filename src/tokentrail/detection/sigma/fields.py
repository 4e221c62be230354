"""Look up a rule's fields in a record, and give their values as text."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from operator import attrgetter, methodcaller
from typing import Any

from tokentrail.events.carriers.names import TOP

_ABSENT = object()
_QUOTE, _ESCAPED = '"', '\\"'
_SPELLED = {name.casefold(): name for name in TOP}


@dataclass(frozen=True, slots=True)
class Field:
    """A field by its dotted path; pickles, so that other processes can look it up too."""

    names: tuple[str, ...]

    @classmethod
    def of(cls, path: str) -> Field:
        """A field by its path, such as `userIdentity.sessionContext.sessionIssuer.arn`."""
        first, *rest = path.split(".")
        return cls((_SPELLED.get(first.casefold(), first), *rest))

    @property
    def member(self) -> str:
        """The member of the record that holds it."""
        return self.names[0]

    def getter(self) -> Callable[[Any], Any]:
        """
        What looks the field up: gives its value, a list of them, or nothing.

        A record is the JSON object that AWS wrote, or an object with some of its members as attributes.
        """
        first, *names = self.names
        of_dict, of_parts = methodcaller("get", first, _ABSENT), attrgetter(first)

        def value_of(record: Any) -> Any:
            whole = record.__class__ is dict
            value = of_dict(record) if whole else of_parts(record)
            if value is _ABSENT:
                return lookup(record, self.names)
            for place, name in enumerate(names, 1):
                if value is None:
                    return None
                if value.__class__ is not dict:
                    return lookup(value, self.names[place:])
                inner = value.get(name, _ABSENT)
                if inner is _ABSENT:
                    return lookup(value, self.names[place:]) if value else None
                value = inner
            return value

        return value_of

    def teller(self) -> Callable[[Any], str]:
        """What tells its value as one text; nothing, where it is absent."""
        value_of = self.getter()

        def told(record: Any) -> str:
            value = value_of(record)
            return value if value.__class__ is str else "\n".join(text(one) for one in each(value))

        return told


def each(value: Any) -> Sequence[Any]:
    """What a field's value holds, one by one; nothing is no value."""
    if value is None:
        return ()
    return [one for one in value if one is not None] if value.__class__ is list else (value,)


def lookup(record: Any, names: Sequence[str]) -> list[Any]:
    """The values at a path, with regard to no case; through lists, those of every item."""
    found = [record]
    for name in names:
        found = [inner for one in found for inner in _members(one, name)]
    return [inner for one in found for inner in (one if isinstance(one, list) else [one])]


def _members(value: Any, name: str) -> Iterator[Any]:
    if isinstance(value, list):
        for one in value:
            yield from _members(one, name)
    elif isinstance(value, dict):
        if name in value:
            yield value[name]
        else:
            folded = name.casefold()
            yield from (item for key, item in value.items() if key.casefold() == folded)


def text(value: Any) -> str:
    """
    A value as text: a nested one as JSON, so that rules may look for what is inside it.

    A policy document is a text in CloudTrail, whose quotes JSON escapes. Rules are written for the document, such as
    Sigma's `requestParameters|contains: '"s3:GetObject"'`, so the JSON is repeated with these quotes as they were.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if value.__class__ is int:
        return str(value)
    told = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return f"{told}\n{told.replace(_ESCAPED, _QUOTE)}" if _ESCAPED in told else told
