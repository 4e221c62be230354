"""
IAM's wildcards and policy variables: which texts a pattern of a policy matches.

`*` stands for any run of characters, `?` for any one, `${aws:username}` for the value of a condition key, with a
default after a comma, and `${*}`, `${?}`, `${$}` for the characters themselves. Variables count only in documents of
version 2012-10-17; a value that replaces one is literal, even if it has wildcard characters. Matching never
backtracks exponentially, since patterns come from logs that an attacker may have written to.
Sources: IAM User Guide, 'IAM JSON policy elements: Resource', 'IAM JSON policy elements: Condition operators' and
'IAM policy elements: Variables and tags'.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

from tokentrail.policy.language.context import DATE_KEYS, Context, Presence

_VARIABLE = re.compile(r"\$\{([^{}]*)\}")
_ESCAPES = frozenset("*?$")


class Wild(enum.Enum):
    """A wildcard in a pattern, as opposed to the same character meant literally (`${*}`)."""

    ANY = "*"
    ONE = "?"


Token = str | Wild
"""One literal character, or a wildcard."""


@dataclass(frozen=True)
class Segment:
    """What stands between two `*`: literal text, with gaps where any one character fits."""

    text: str
    gaps: tuple[int, ...]

    def at(self, subject: str, start: int) -> bool:
        """Whether the segment fits at `start`."""
        if not self.gaps:
            return subject.startswith(self.text, start)
        if start < 0 or start + len(self.text) > len(subject):
            return False
        return all(
            index in self.gaps or subject[start + index] == character
            for index, character in enumerate(self.text)
        )

    def find(self, subject: str, start: int, end: int) -> int:
        """The first place from `start` where the segment fits before `end`, or -1."""
        if not self.gaps:
            return subject.find(self.text, start, end)
        last = end - len(self.text)
        return next((place for place in range(start, last + 1) if self.at(subject, place)), -1)


@dataclass(frozen=True)
class Glob:
    """A pattern, its wildcards told apart from literal characters."""

    tokens: tuple[Token, ...]

    @cached_property
    def segments(self) -> tuple[Segment, ...]:
        """The stretches between `*`s; one alone if there is no `*`."""
        parts: list[list[Token]] = [[]]
        for token in self.tokens:
            if token is Wild.ANY:
                parts.append([])
            else:
                parts[-1].append(token)
        return tuple(_segment(part) for part in parts)

    @cached_property
    def literal(self) -> str | None:
        """The one text that the pattern matches, or `None` if it has wildcards."""
        if any(isinstance(token, Wild) for token in self.tokens):
            return None
        return "".join(str(token) for token in self.tokens)

    def matches(self, subject: str) -> bool:
        """Whether the whole of `subject` fits, case and all."""
        first, *rest = self.segments
        if not rest:
            return len(subject) == len(first.text) and first.at(subject, 0)
        last = rest.pop()
        end = len(subject) - len(last.text)
        if end < len(first.text) or not first.at(subject, 0) or not last.at(subject, end):
            return False
        place = len(first.text)
        for segment in rest:
            place = segment.find(subject, place, end)
            if place < 0:
                return False
            place += len(segment.text)
        return True

    @cached_property
    def arn(self) -> tuple[Glob, ...]:
        """Its parts as those of an ARN: split at the first five colons; kept, since ARNs are compared often."""
        return self.parts(":", 6)

    def parts(self, separator: str, most: int) -> tuple[Glob, ...]:
        """Split at literal separators, into `most` parts at the most."""
        found: list[list[Token]] = [[]]
        for token in self.tokens:
            if token == separator and len(found) < most:
                found.append([])
            else:
                found[-1].append(token)
        return tuple(Glob(tuple(part)) for part in found)


def _segment(tokens: Sequence[Token]) -> Segment:
    text = "".join("?" if isinstance(token, Wild) else token for token in tokens)
    return Segment(text, tuple(index for index, token in enumerate(tokens) if token is Wild.ONE))


@lru_cache(maxsize=4096)
def glob(pattern: str) -> Glob:
    """Read a pattern, `*` and `?` being wildcards."""
    return Glob(tuple(Wild(character) if character in "*?" else character for character in pattern))


@lru_cache(maxsize=4096)
def literal(text: str) -> Glob:
    """Read a text that has no wildcards, whatever characters it holds."""
    return Glob(tuple(text))


def covers(pattern: str, other: str) -> bool:
    """
    Whether everything that `other` matches, `pattern` surely matches too.

    A sufficient test: `False` may also mean that it could not be shown.
    """
    if pattern == other:
        return True
    if "?" in pattern and ("*" in other or "?" in other):
        return False
    return glob(pattern).matches(other)


def may_overlap(pattern: str, other: str) -> bool:
    """Whether some text may match both; `False` only where it surely can't."""
    if not ("*" in pattern or "?" in pattern):
        return glob(other).matches(pattern)
    if not ("*" in other or "?" in other):
        return glob(pattern).matches(other)
    return _agree(_head(pattern), _head(other)) and _agree(_tail(pattern), _tail(other))


def _head(pattern: str) -> str:
    return pattern.replace("?", "*").split("*", 1)[0]


def _tail(pattern: str) -> str:
    return pattern.replace("?", "*").rsplit("*", 1)[-1][::-1]


def _agree(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


# ---------------------------------------------------------------- variables


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
