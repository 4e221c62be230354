"""
Policy variables: `${aws:username}`, with defaults, and the escapes `${*}`, `${?}` and `${$}`.

They are replaced only in documents of version 2012-10-17; older documents mean them literally.
A value that replaces a variable is literal, even if it has wildcard characters.
Source: IAM User Guide, 'IAM policy elements: Variables and tags'.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from tokentrail.policy.wildcard import Glob, Token, glob, literal

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_ESCAPES = frozenset("*?$")


class Presence(enum.Enum):
    """What is known of a condition key whose value is not known."""

    ABSENT = "absent"
    """The request surely does not have it."""
    PRESENT = "present"
    """The request surely has it; the log does not show the value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRange:
    """A date key that the request has, and of whose value only bounds are known, both inclusive."""

    earliest: datetime | None = None
    latest: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenText:
    """A text that the caller chose: any that a pattern matches, except some."""

    pattern: str
    """With `*` for the part that is free."""
    excluding: frozenset[str] = frozenset()


DATE_KEYS = frozenset({"aws:tokenissuetime", "aws:currenttime", "aws:epochtime"})
"""Keys whose values are times. AWS does not document how their values read as text."""
Known = tuple[str, ...] | Presence | DateRange | ChosenText
Context = Mapping[str, Known]
"""What is known of a request's condition keys, by key in lower case. A key that is not there is unknown."""


class Unresolved(enum.Enum):
    """Why a policy variable could not be replaced."""

    ABSENT = "the request has no such key"
    UNKNOWN = "the log does not tell the key's value"


def resolved(pattern: str, context: Context, *, wildcards: bool, variables: bool) -> Glob | Unresolved:
    """Replace the variables of a policy value and read its wildcards, if it may have any."""
    if not variables or "${" not in pattern:
        return glob(pattern) if wildcards else literal(pattern)
    tokens: list[Token] = []
    place = 0
    for found in _VARIABLE.finditer(pattern):
        tokens += _plain(pattern[place : found.start()], wildcards)
        value = _value(found[1], found[0], context)
        if isinstance(value, Unresolved):
            return value
        tokens += value
        place = found.end()
    return Glob((*tokens, *_plain(pattern[place:], wildcards)))


def _plain(text: str, wildcards: bool) -> tuple[Token, ...]:
    return (glob(text) if wildcards else literal(text)).tokens


def _value(inside: str, whole: str, context: Context) -> str | Unresolved:
    if inside in _ESCAPES:
        return inside
    key, comma, default = inside.partition(",")
    name = key.strip().casefold()
    if not name:
        return whole
    if name in DATE_KEYS and context.get(name) is not Presence.ABSENT:
        return Unresolved.UNKNOWN
    match context.get(name):
        case (str() as value,):
            return value
        case Presence.ABSENT:
            return default.strip().removeprefix("'").removesuffix("'") if comma else Unresolved.ABSENT
        case _:
            return Unresolved.UNKNOWN
