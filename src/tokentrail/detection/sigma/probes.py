"""What a rule asks of the values of a field, as objects that pickle and become plain functions."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeAlias

import re2

from tokentrail.detection.sigma.fields import text
from tokentrail.events.sifting import WAYS, Bar
from tokentrail.events.values import seconds

_PLAIN = re.compile(r"[a-z0-9_.-]+", re.ASCII)
_FEW = 20
"""Words that are looked for one by one."""
_TELLING = 3
"""Letters from which on a word is worth looking for."""
OfAll: TypeAlias = Callable[[Sequence[Any]], bool]
"""Judges all values that a record has for a field, of which none is null."""
OfText: TypeAlias = Callable[[str], bool]
"""Judges a field that holds one text."""


def expression(pattern: str) -> Any:
    """
    Compile a regular expression.

    RE2 writes what it has against one to the process's stderr by itself, past all that makes text safe to show:
    whoever wrote the pattern would write to the terminal. It says the same in what it raises.

    Raises:
        ValueError: RE2 can't run it; the message says why.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options)
    except re2.error as error:
        [told] = error.args
        raise ValueError(told.decode("utf-8", "replace") if isinstance(told, bytes) else str(told)) from error


class Test(Protocol):
    """What a rule asks of the values of a field: yes or no. It pickles; `of_all` makes the function that answers."""

    def of_all(self) -> OfAll:
        """The function that judges all values of a field."""

    def of_text(self) -> OfText:
        """The function that judges a field with one text; its answer is the same as that of `of_all`."""

    def words_of(self) -> tuple[bytes, ...]:
        """Words in lower case, of which every value that meets the test has at least one; empty if not known."""


def spelled_once(text: str) -> tuple[bytes, ...]:
    """The longest run of letters in a text: JSON spells letters, apart from escapes, in one way only."""
    found = max(_PLAIN.findall(text.lower()), key=len, default="")
    return (found.encode(),) if len(found) >= _TELLING and found.strip("0123456789.e-") else ()


class _Single:
    """A test that at least one value must meet, as text."""

    __slots__ = ()

    def of_all(self) -> OfAll:
        """The function that judges all values: one that meets the test is enough."""
        single = self.of_text()
        return lambda values: any(single(text(one)) for one in values)

    def of_text(self) -> OfText:
        """The function that judges one value."""
        raise NotImplementedError  # each kind of probe says it

    def words_of(self) -> tuple[bytes, ...]:
        """No words, unless a test knows better."""
        return ()


@dataclass(frozen=True, slots=True)
class Either:
    """At least one of some tests."""

    tests: tuple[Test, ...]

    def of_all(self) -> OfAll:
        """The function that judges all values by each test in turn."""
        tests = [one.of_all() for one in self.tests]
        return lambda values: any(test(values) for test in tests)

    def of_text(self) -> OfText:
        """The function that judges one text by each test in turn."""
        tests = [one.of_text() for one in self.tests]
        return lambda value: any(test(value) for test in tests)

    def words_of(self) -> tuple[bytes, ...]:
        """The words of all tests; empty if any has none."""
        found = [one.words_of() for one in self.tests]
        return tuple(word for words in found for word in words) if all(found) else ()


@dataclass(frozen=True, slots=True)
class Exists:
    """That there is a value, or none; an empty text counts as none, since CloudTrail writes either."""

    wanted: bool

    def of_all(self) -> OfAll:
        """The function that judges all values: whether there is one that is not empty, as wanted."""
        return lambda values: any(one != "" for one in values) is self.wanted

    def of_text(self) -> OfText:
        """The function that judges one text: whether it is not empty, as wanted."""
        return lambda value: bool(value) is self.wanted

    def words_of(self) -> tuple[bytes, ...]:
        """No words."""
        return ()


@dataclass(frozen=True, slots=True)
class Words(_Single):
    """A text that the value equals, begins with, ends with, or contains."""

    words: str
    where: str
    """`=`, `<`, `>` or `<>`."""
    cased: bool

    def of_text(self) -> OfText:
        """The function that compares one value."""
        words = self.words
        if self.cased:
            ways: dict[str, OfText] = {
                "=": lambda value: value == words,
                "<": lambda value: value.startswith(words),
                ">": lambda value: value.endswith(words),
                "<>": lambda value: words in value,
            }
        else:
            ways = {
                "=": lambda value: value.lower() == words,
                "<": lambda value: value.lower().startswith(words),
                ">": lambda value: value.lower().endswith(words),
                "<>": lambda value: words in value.lower(),
            }
        return ways[self.where]

    def words_of(self) -> tuple[bytes, ...]:
        """The longest run of letters in the text."""
        return spelled_once(self.words)


@dataclass(frozen=True, slots=True)
class OneOf(_Single):
    """One of some texts in lower case, looked up in a set."""

    texts: frozenset[str]

    def of_text(self) -> OfText:
        """The function that looks up one value."""
        texts = self.texts
        return lambda value: value.lower() in texts

    def words_of(self) -> tuple[bytes, ...]:
        """The longest run of letters in each text, if there are few texts."""
        if len(self.texts) > _FEW:
            return ()
        return Either(tuple(Words(one, "=", cased=False) for one in sorted(self.texts))).words_of()


@dataclass(frozen=True, slots=True)
class Pattern(_Single):
    """A regular expression for RE2, which takes linear time whatever an attacker wrote."""

    pattern: str
    lower: bool = False

    def of_text(self) -> OfText:
        """The compiled expression's function."""
        search = expression(self.pattern).search
        if self.lower:
            return lambda value: search(value.lower()) is not None
        return lambda value: search(value) is not None


@dataclass(frozen=True, slots=True)
class Within(_Single):
    """An address in a network."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network

    def of_text(self) -> OfText:
        """The function that reads the value as an address."""
        return self._holds

    def _holds(self, value: str) -> bool:
        try:
            return ipaddress.ip_address(value) in self.network
        except ValueError:
            return False


@dataclass(frozen=True, slots=True)
class Compared(_Single):
    """A number that is less or greater than another."""

    way: str
    """`<`, `<=`, `>` or `>=`."""
    number: float

    def bar(self) -> Bar:
        """The bound that a number must meet."""
        return self.way, self.number

    def of_text(self) -> OfText:
        """The function that reads the value as a number."""
        way, number = WAYS[self.way], self.number

        def holds(value: str) -> bool:
            try:
                return way(float(value), number)
            except (ValueError, OverflowError):
                return False

        return holds


@dataclass(frozen=True, slots=True)
class Dated(_Single):
    """A part of a time in UTC: minute, hour, day, week, month or year."""

    part: str
    number: int

    def of_text(self) -> OfText:
        """The function that reads the value as a time."""
        return self._holds

    def _holds(self, value: str) -> bool:
        moment = seconds(value)
        if moment is None:
            return False
        when = datetime.fromtimestamp(moment, UTC)
        found = when.isocalendar().week if self.part == "week" else getattr(when, self.part)
        return bool(found == self.number)
