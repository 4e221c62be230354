"""
Whether a value of a record meets a value of a Sigma rule.

Source: Sigma specification, 'Sigma Rules' and 'Sigma Modifiers': strings are compared without regard to case,
`*` and `?` are wildcards, a list in the record meets a value if any of its items does, and null means absent or empty.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Iterator
from typing import Any

from sigma.policy import default_policy
from sigma.types import (
    CompareOperators,
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaCompareExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaNull,
    SigmaNumber,
    SigmaRegularExpression,
    SigmaString,
    SigmaType,
    SpecialChars,
)

Test = Callable[[list[Any]], bool]
"""Judges all values that a record has for a field; none, if it does not have it."""


class NotSupported(Exception):
    """A rule asks for something that can't be run here; the message says what."""


def lookup(record: Any, path: str) -> list[Any]:
    """
    The values of a field, by its dotted path; through lists, those of every item.

    Args:
        record: A CloudTrail record as JSON, nested as AWS writes it.
        path: Such as `userIdentity.sessionContext.sessionIssuer.arn`.
    """
    found = [record]
    for name in path.split("."):
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
            yield from (item for key, item in value.items() if key.casefold() == name.casefold())


def text(value: Any) -> str:
    """A value as text: a nested one as JSON, so that rules may look for what is inside it."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def test_of(value: SigmaType) -> Test:
    """
    Turn a value of a rule into a test.

    Raises:
        NotSupported: it is of a kind that can't be run.
    """
    if isinstance(value, SigmaExpansion):
        tests = [test_of(one) for one in value.values]
        return lambda found: any(one(found) for one in tests)
    if isinstance(value, SigmaNull):
        return lambda found: all(one in (None, "") for one in found)
    if isinstance(value, SigmaExists):
        wanted = bool(value)
        return lambda found: any(one is not None for one in found) is wanted
    single = _single(value)
    return lambda found: any(one is not None and single(one) for one in found)


def _single(value: SigmaType) -> Callable[[Any], bool]:
    """A test of one value."""
    if isinstance(value, SigmaString):
        match = _string(value)
        return lambda one: match(text(one))
    if isinstance(value, SigmaBool):
        wanted = "true" if bool(value) else "false"
        return lambda one: text(one).casefold() == wanted
    if isinstance(value, SigmaCompareExpression):
        return _compare(value)
    if isinstance(value, SigmaNumber) and type(value) is SigmaNumber:
        number = str(value)
        return lambda one: text(one) == number
    if isinstance(value, SigmaRegularExpression):
        return _regular(value)
    if isinstance(value, SigmaCIDRExpression):
        return _network(value)
    raise NotSupported(f"values of the kind {type(value).__name__} can't be run")


def parts(value: SigmaString) -> list[str | SpecialChars]:
    """
    The pieces of a string: texts and wildcards.

    Raises:
        NotSupported: a placeholder was left open.
    """
    found: list[str | SpecialChars] = []
    for one in value.s:
        if not isinstance(one, str | SpecialChars):
            raise NotSupported("a placeholder (%name%) has no value")
        found.append(one)
    return found


def _string(value: SigmaString) -> Callable[[str], bool]:
    cased = isinstance(value, SigmaCasedString)
    pieces = [one if cased or not isinstance(one, str) else one.lower() for one in parts(value)]
    plain = "".join(one for one in pieces if isinstance(one, str))
    shape = "".join(
        "s" if isinstance(one, str) else "*" if one is SpecialChars.WILDCARD_MULTI else "?" for one in pieces
    )

    def fold(one: str) -> str:
        return one if cased else one.lower()

    quick: dict[str, Callable[[str], bool]] = {
        "": lambda one: one == "",
        "s": lambda one: fold(one) == plain,
        "s*": lambda one: fold(one).startswith(plain),
        "*s": lambda one: fold(one).endswith(plain),
        "*s*": lambda one: plain in fold(one),
    }
    if shape in quick:
        return quick[shape]
    engine = default_policy.regex_engine
    spelled = {SpecialChars.WILDCARD_MULTI: ".*", SpecialChars.WILDCARD_SINGLE: "."}
    pattern = "".join(_escaped(one) if isinstance(one, str) else spelled[one] for one in pieces)
    compiled: Any = engine.compile(f"(?s)^{pattern}$", 0)
    return lambda one: compiled.search(fold(one)) is not None


def _escaped(one: str) -> str:
    return "".join(c if c.isalnum() or c == "_" or not c.isascii() else f"\\{c}" for c in one)


def _regular(value: SigmaRegularExpression) -> Callable[[Any], bool]:
    engine = (
        default_policy.regex_engine
    )  # RE2: no pattern takes more than linear time on what attackers write
    letters = "".join(sorted(value.sigma_to_re_flag[flag] for flag in value.flags))
    try:
        compiled: Any = engine.compile((f"(?{letters})" if letters else "") + str(value.regexp), 0)
    except engine.error as error:
        raise NotSupported(f"the regular expression {str(value.regexp)!r} can't be run: {error}") from error
    return lambda one: compiled.search(text(one)) is not None


def _network(value: SigmaCIDRExpression) -> Callable[[Any], bool]:
    network = ipaddress.ip_network(value.cidr, strict=False)

    def within(one: Any) -> bool:
        try:
            return ipaddress.ip_address(text(one)) in network
        except ValueError:
            return False

    return within


def _compare(value: SigmaCompareExpression) -> Callable[[Any], bool]:
    bar = float(value.number.number)
    ways: dict[Any, Callable[[float], bool]] = {
        CompareOperators.LT: lambda one: one < bar,
        CompareOperators.LTE: lambda one: one <= bar,
        CompareOperators.GT: lambda one: one > bar,
        CompareOperators.GTE: lambda one: one >= bar,
    }
    if value.op not in ways:
        raise NotSupported(f"the comparison {value.op.name} can't be run")
    way = ways[value.op]

    def holds(one: Any) -> bool:
        try:
            return way(float(text(one)))
        except ValueError:
            return False

    return holds
