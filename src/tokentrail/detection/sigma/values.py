"""Turn pySigma's values into tests that we can run."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

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
    SigmaTimestampPart,
    SigmaType,
    SpecialChars,
)

from tokentrail.detection.sigma.probes import (
    Compared,
    Dated,
    Either,
    Exists,
    OneOf,
    Pattern,
    Test,
    Within,
    Words,
    expression,
)

MOST_PATTERN = 5_000
"""Characters of a pattern: RE2 takes memory as patterns grow."""
_MOST_TESTS = 500
"""Patterns of one field, which are tried one by one."""
_SHAPES = {"": "=", "s": "=", "s*": "<", "*s": ">", "*s*": "<>"}
_WAYS: dict[Any, str] = {
    CompareOperators.LT: "<", CompareOperators.LTE: "<=", CompareOperators.GT: ">", CompareOperators.GTE: ">=",
}  # fmt: skip


class NotSupported(Exception):
    """A rule asks for something that can't be run here; the message says what."""


def test_of(value: SigmaType) -> Test:
    """
    Turn a value of a rule into a test.

    Raises:
        NotSupported: it is of a kind that can't be run.
    """
    if isinstance(value, SigmaExpansion):
        return _either(value.values)
    if isinstance(value, SigmaNull):
        return Exists(wanted=False)
    if isinstance(value, SigmaExists):
        return Exists(bool(value))
    if isinstance(value, SigmaString):
        return _string(value)
    if isinstance(value, SigmaBool):
        return Words("true" if bool(value) else "false", "=", cased=False)
    if isinstance(value, SigmaCIDRExpression):
        return Within(ipaddress.ip_network(value.cidr, strict=False))
    if isinstance(value, SigmaRegularExpression):
        return _compiled(pattern(value))
    return _number(value)


def _either(values: Sequence[Any]) -> Test:
    tests = [test_of(one) for one in values]
    words = [one for one in tests if isinstance(one, Words) and one.where == "=" and not one.cased]
    others = [one for one in tests if one not in words]
    if len(others) > _MOST_TESTS:
        raise NotSupported(f"a field has more than {_MOST_TESTS:,} values with wildcards, each to be tried")
    if len(words) > 1:
        others.append(OneOf(frozenset(one.words for one in words)))
    else:
        others += words
    return others[0] if len(others) == 1 else Either(tuple(others))


def _number(value: SigmaType) -> Test:
    if isinstance(value, SigmaTimestampPart):
        return Dated(value.timestamp_part.name.lower(), int(value.number))
    if isinstance(value, SigmaNumber):
        return Words(str(value), "=", cased=True)
    if isinstance(value, SigmaCompareExpression) and type(value.number) is SigmaNumber:
        if value.op in _WAYS:
            return Compared(_WAYS[value.op], float(value.number.number))
        raise NotSupported(f"the comparison {value.op.name} can't be run")
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


def _string(value: SigmaString) -> Test:
    cased = isinstance(value, SigmaCasedString)
    pieces = [one if cased or not isinstance(one, str) else one.lower() for one in parts(value)]
    shape = "".join(
        "s" if isinstance(one, str) else "*" if one is SpecialChars.WILDCARD_MULTI else "?" for one in pieces
    )
    if shape in _SHAPES:
        plain = "".join(one for one in pieces if isinstance(one, str))
        return Words(plain, _SHAPES[shape], cased=cased)
    return _compiled(f"(?s)^{spelled(value)}$", lower=not cased)


def spelled(value: SigmaString) -> str:
    """A string with wildcards as a regular expression; in small letters, unless case matters."""
    cased = isinstance(value, SigmaCasedString)
    wild = {SpecialChars.WILDCARD_MULTI: ".*", SpecialChars.WILDCARD_SINGLE: "."}
    return "".join(
        _escaped(one if cased else one.lower()) if isinstance(one, str) else wild[one] for one in parts(value)
    )


def _escaped(one: str) -> str:
    return "".join(c if c.isalnum() or c == "_" or not c.isascii() else f"\\{c}" for c in one)


def pattern(value: SigmaRegularExpression) -> str:
    """A regular expression with its flags."""
    letters = "".join(sorted(value.sigma_to_re_flag[flag] for flag in value.flags))
    return (f"(?{letters})" if letters else "") + str(value.regexp)


def _compiled(spelled: str, *, lower: bool = False) -> Pattern:
    if len(spelled) > MOST_PATTERN:
        raise NotSupported(f"a regular expression or pattern is longer than {MOST_PATTERN:,} characters")
    try:
        expression(spelled)
    except ValueError as error:
        raise NotSupported(f"the regular expression {spelled!r} can't be run: {error}") from error
    return Pattern(spelled, lower)
