"""
IAM's wildcards: `*` for any run of characters, `?` for any one.

Matching never backtracks exponentially, since patterns come from logs that an attacker may have written to.
Source: IAM User Guide, 'IAM JSON policy elements: Resource' and 'IAM JSON policy elements: Condition
operators'.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache


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
