"""
What a rule asks of a record, as objects that other processes can be handed and that become plain functions there.

Source: Sigma specification, 'Sigma Rules' and 'Sigma Modifiers': strings are compared without regard to case,
`*` and `?` are wildcards, a list in the record meets a value if any of its items does, and null means absent or empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

from tokentrail.detection.sigma.fields import Field, each, text
from tokentrail.detection.sigma.probes import Compared, Test, spelled_once
from tokentrail.events.sifting import Bar

Members: TypeAlias = frozenset[str] | None
"""The members of a record that a check looks at; `None` for the whole of it."""
Judged: TypeAlias = Callable[[Any], bool]
"""Whether a record meets a check."""


class Needle(NamedTuple):
    """Words of which a record must contain one; `events.sifting` searches records for them before they are parsed."""

    member: str
    words: tuple[bytes, ...]
    """In lower case; the member must contain at least one of them."""
    bar: Bar | None = None
    """If given, the word must be the name of a number that meets this bound."""
    other: str | None = None
    """If given, the word is the name of texts in this other member, one of which `member` must contain."""


class Check(Protocol):
    """What a rule asks of a record: yes or no. It pickles; `judge` makes the function that answers."""

    def judge(self) -> Judged:
        """The function that judges a record."""

    def members(self) -> Members:
        """The members of a record that it looks at; `None` for the whole record."""

    def needles(self) -> tuple[Needle, ...]:
        """What every record that meets the check contains, all of it; empty if nothing is known."""


@dataclass(frozen=True, slots=True)
class Always:
    """A check that every record meets."""

    def judge(self) -> Judged:
        """The function that judges a record: always true."""
        return lambda record: True

    def members(self) -> Members:
        """No member."""
        return frozenset()

    def needles(self) -> tuple[Needle, ...]:
        """No texts, since every record meets it."""
        return ()


@dataclass(frozen=True, slots=True)
class Several:
    """All of some checks, or at least one of them."""

    checks: tuple[Check, ...]
    every: bool

    def judge(self) -> Judged:
        """The function that judges a record; it stops at the first check that decides."""
        judges = [check.judge() for check in self.checks]
        deciding = not self.every

        def judged(record: Any) -> bool:
            for one in judges:
                if one(record) is deciding:
                    return deciding
            return not deciding

        return judged

    def members(self) -> Members:
        """The members that any of the checks looks at."""
        return members(self.checks)

    def needles(self) -> tuple[Needle, ...]:
        """Of all, those of each; of some, the first of each together, where they look in one place."""
        found = [check.needles() for check in self.checks]
        if self.every:
            return tuple(dict.fromkeys(one for needles in found for one in needles))
        if not found or not all(found) or len({needles[0].member for needles in found}) > 1:
            return ()
        return (Needle(found[0][0].member, tuple(word for needles in found for word in needles[0].words)),)


@dataclass(frozen=True, slots=True)
class Not:
    """The negation of a check."""

    check: Check

    def judge(self) -> Judged:
        """The function that judges a record."""
        inner = self.check.judge()
        return lambda record: not inner(record)

    def members(self) -> Members:
        """The members that the negated check looks at."""
        return self.check.members()

    def needles(self) -> tuple[Needle, ...]:
        """No texts, since a record may meet it by lacking something."""
        return ()


@dataclass(frozen=True, slots=True)
class Has:
    """A field with values that meet a test."""

    field: Field
    test: Test

    def judge(self) -> Judged:
        """The function that judges a record; mostly a field has one text or nothing, which is judged directly."""
        value_of, test, single = self.field.getter(), self.test.of_all(), self.test.of_text()
        of_nothing = test(())

        def judged(record: Any) -> bool:
            value = value_of(record)
            if value.__class__ is str:
                return single(value)
            return of_nothing if value is None else test(each(value))

        return judged

    def members(self) -> Members:
        """The field's member."""
        return frozenset({self.field.member})

    def needles(self) -> tuple[Needle, ...]:
        """The test's words; if it has none, and needs a value, the field's name, with the number it asks for."""
        words = self.test.words_of()
        if words:
            return (Needle(self.field.member, words),)
        if self.test.of_all()(()):
            return ()
        bar = self.test.bar() if isinstance(self.test, Compared) else None
        return named(self.field, bar)


@dataclass(frozen=True, slots=True)
class Agree:
    """A field whose text equals another field's, or begins or ends with it; an empty text counts as absent."""

    field: Field
    other: Field
    way: Callable[[str, str], bool]

    def judge(self) -> Judged:
        """The function that judges a record; it compares all values of one field with all of the other."""
        mine, theirs = self.field.getter(), self.other.getter()

        def judged(record: Any) -> bool:
            others = _told(theirs(record))
            return bool(others) and any(
                self.way(one, other) for one in _told(mine(record)) for other in others
            )

        return judged

    def members(self) -> Members:
        """The members of both fields."""
        return frozenset({self.field.member, self.other.member})

    def needles(self) -> tuple[Needle, ...]:
        """The names of both fields, and in the one field's member the text of the other."""
        words = [one.words for one in named(self.other)]
        apart = self.field.member != self.other.member
        echo = [
            Needle(self.field.member, one, other=self.other.member)
            for one in words
            if apart and _whole(self.other)
        ]
        return (*named(self.field), *named(self.other), *echo)


@dataclass(frozen=True, slots=True)
class Anywhere:
    """A text anywhere in the record."""

    test: Test

    def judge(self) -> Judged:
        """The function that judges a record; it searches the record's text."""
        single = self.test.of_text()
        return lambda record: single(text(record))

    def members(self) -> Members:
        """`None`: the whole record."""
        return None

    def needles(self) -> tuple[Needle, ...]:
        """No texts."""
        return ()


def _told(value: Any) -> list[str]:
    """The texts of a field's values in lower case, without empty ones."""
    return [told.lower() for one in each(value) if (told := text(one))]


def members(checks: Iterable[Check]) -> Members:
    """The members of a record that some checks look at; `None` for the whole record."""
    found: frozenset[str] = frozenset()
    for check in checks:
        inner = check.members()
        if inner is None:
            return None
        found |= inner
    return found


def named(field: Field, bar: Bar | None = None) -> tuple[Needle, ...]:
    """Texts that a record with a field below a member must contain: its name; with a bar, before such a number."""
    words = spelled_once(field.names[-1]) if len(field.names) > 1 else ()
    return (Needle(field.member, words, bar if _whole(field) else None),) if words else ()


def _whole(field: Field) -> bool:
    """Whether a field's name is a word as a whole."""
    return spelled_once(field.names[-1]) == (field.names[-1].lower().encode(),)
