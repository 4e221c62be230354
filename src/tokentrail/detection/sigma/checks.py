"""
What a rule asks of a record, as objects that other processes can be handed and that become plain functions there.

Source: Sigma specification, 'Sigma Rules' and 'Sigma Modifiers': strings are compared without regard to case,
`*` and `?` are wildcards, a list in the record meets a value if any of its items does, and null means absent or empty.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

from tokentrail.detection.sigma.fields import Field, each, text
from tokentrail.detection.sigma.probes import Test

Members: TypeAlias = frozenset[str] | None
"""The members of a record that a check looks at; `None` for the whole of it."""
Needle: TypeAlias = tuple[str, tuple[bytes, ...]]
"""A member of a record, and words of which one must stand in it."""
Judged: TypeAlias = Callable[[Any], bool]
"""Whether a record meets a check."""


class Check(Protocol):
    """Judges a record."""

    def judge(self) -> Judged:
        """What does so."""

    def members(self) -> Members:
        """What of the record it looks at."""

    def needle(self) -> Needle | None:
        """Words of which one must stand in a member, in small letters, for it to hold; `None` if none must."""


@dataclass(frozen=True, slots=True)
class Always:
    """Nothing is asked."""

    def judge(self) -> Judged:
        """It says yes."""
        return lambda record: True

    def members(self) -> Members:
        """None."""
        return frozenset()

    def needle(self) -> Needle | None:
        """None."""
        return None


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

    def needle(self) -> Needle | None:
        """Of all, that of any with one; of some, theirs together, where they look in one place."""
        found = [check.needle() for check in self.checks]
        if self.every:
            return next((one for one in found if one is not None), None)
        if not found or None in found or len({one[0] for one in found if one}) > 1:
            return None
        return found[0][0], tuple(word for one in found if one for word in one[1])  # type: ignore[index]  # none is None


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

    def needle(self) -> Needle | None:
        """None: it holds where words are missing."""
        return None


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

    def needle(self) -> Needle | None:
        """The test's."""
        words = self.test.words_of()
        return (self.field.member, words) if words else None


@dataclass(frozen=True, slots=True)
class Agree:
    """A field that is, begins or ends as another does."""

    field: Field
    other: Field
    way: Callable[[str, str], bool]

    def judge(self) -> Judged:
        """It compares each value of the one with each of the other."""
        mine, theirs = self.field.getter(), self.other.getter()

        def judged(record: Any) -> bool:
            others = [text(one).lower() for one in each(theirs(record))]
            return bool(others) and any(
                self.way(text(one).lower(), other) for one in each(mine(record)) for other in others
            )

        return judged

    def members(self) -> Members:
        """Both fields'."""
        return frozenset({self.field.member, self.other.member})

    def needle(self) -> Needle | None:
        """None."""
        return None


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

    def needle(self) -> Needle | None:
        """None."""
        return None


def members(checks: Iterable[Check]) -> Members:
    """What some checks look at."""
    found: frozenset[str] = frozenset()
    for check in checks:
        inner = check.members()
        if inner is None:
            return None
        found |= inner
    return found
