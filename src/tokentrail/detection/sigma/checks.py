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
    """What a record must hold: `events.sifting` looks for it."""

    member: str
    words: tuple[bytes, ...]
    """In small letters; one of them must stand in the member."""
    bar: Bar | None = None
    """Where given, as the name of a number on that side of it."""
    other: str | None = None
    """Where given, the word is the name of texts in this member, of which one must stand in the first."""


class Check(Protocol):
    """Judges a record."""

    def judge(self) -> Judged:
        """What does so."""

    def members(self) -> Members:
        """What of the record it looks at."""

    def needles(self) -> tuple[Needle, ...]:
        """What a record must hold for it to hold."""


@dataclass(frozen=True, slots=True)
class Always:
    """Nothing is asked."""

    def judge(self) -> Judged:
        """It says yes."""
        return lambda record: True

    def members(self) -> Members:
        """None."""
        return frozenset()

    def needles(self) -> tuple[Needle, ...]:
        """None."""
        return ()


@dataclass(frozen=True, slots=True)
class Several:
    """Every one of some checks, or at least one of them."""

    checks: tuple[Check, ...]
    every: bool

    def judge(self) -> Judged:
        """It goes through them until one decides."""
        judges = [check.judge() for check in self.checks]
        deciding = not self.every

        def judged(record: Any) -> bool:
            for one in judges:
                if one(record) is deciding:
                    return deciding
            return not deciding

        return judged

    def members(self) -> Members:
        """Those of any."""
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
    """The opposite of a check."""

    check: Check

    def judge(self) -> Judged:
        """It turns the answer over."""
        inner = self.check.judge()
        return lambda record: not inner(record)

    def members(self) -> Members:
        """Its own."""
        return self.check.members()

    def needles(self) -> tuple[Needle, ...]:
        """None: it holds where words are missing."""
        return ()


@dataclass(frozen=True, slots=True)
class Has:
    """A field whose values meet a test."""

    field: Field
    test: Test

    def judge(self) -> Judged:
        """It looks the field up, and mostly finds one text or nothing."""
        value_of, test, single = self.field.getter(), self.test.of_all(), self.test.of_text()
        of_nothing = test(())

        def judged(record: Any) -> bool:
            value = value_of(record)
            if value.__class__ is str:
                return single(value)
            return of_nothing if value is None else test(each(value))

        return judged

    def members(self) -> Members:
        """The field's."""
        return frozenset({self.field.member})

    def needles(self) -> tuple[Needle, ...]:
        """The test's words; else, of a test that nothing can't meet, the field's name, with the number it asks for."""
        words = self.test.words_of()
        if words:
            return (Needle(self.field.member, words),)
        if self.test.of_all()(()):
            return ()
        bar = self.test.bar() if isinstance(self.test, Compared) else None
        return named(self.field, bar)


@dataclass(frozen=True, slots=True)
class Agree:
    """A field that is, begins or ends as another does; an empty text is none, as CloudTrail writes either."""

    field: Field
    other: Field
    way: Callable[[str, str], bool]

    def judge(self) -> Judged:
        """It compares each value of the one with each of the other."""
        mine, theirs = self.field.getter(), self.other.getter()

        def judged(record: Any) -> bool:
            others = _told(theirs(record))
            return bool(others) and any(
                self.way(one, other) for one in _told(mine(record)) for other in others
            )

        return judged

    def members(self) -> Members:
        """Both fields'."""
        return frozenset({self.field.member, self.other.member})

    def needles(self) -> tuple[Needle, ...]:
        """Both fields' names, and in the one field's member what the other field says."""
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
        """It looks through the record as text."""
        single = self.test.of_text()
        return lambda record: single(text(record))

    def members(self) -> Members:
        """The whole record."""
        return None

    def needles(self) -> tuple[Needle, ...]:
        """None."""
        return ()


def _told(value: Any) -> list[str]:
    """The texts of a field's values, in small letters, but for empty ones."""
    return [told.lower() for one in each(value) if (told := text(one))]


def members(checks: Iterable[Check]) -> Members:
    """What some checks look at."""
    found: frozenset[str] = frozenset()
    for check in checks:
        inner = check.members()
        if inner is None:
            return None
        found |= inner
    return found


def named(field: Field, bar: Bar | None = None) -> tuple[Needle, ...]:
    """What a record must hold to have a field below a member: its name; with a bar, as that of such a number."""
    words = spelled_once(field.names[-1]) if len(field.names) > 1 else ()
    return (Needle(field.member, words, bar if _whole(field) else None),) if words else ()


def _whole(field: Field) -> bool:
    """Whether a field's name is a word as a whole."""
    return spelled_once(field.names[-1]) == (field.names[-1].lower().encode(),)
