"""
How one value of a policy compares with one value of a request, operator by operator.

Source: IAM User Guide, 'IAM JSON policy elements: Condition operators'.
A value that AWS would have refused to store, such as an invalid date or network, makes the answer undecided.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Literal

from tokentrail.policy.truth import Truth
from tokentrail.policy.wildcard import Glob

Comparison = Callable[[Glob, str], Truth]
Quantifier = Literal["", "ForAllValues", "ForAnyValue"]

_ARN_PARTS = 6
_EPOCH = re.compile(r"[+-]?\d+(\.\d+)?")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?")
_YEAR_OR_MONTH = re.compile(r"\d{4}-\d{2}")


@lru_cache(maxsize=8192)
def instant(text: str) -> float | None:
    """Read a date, ISO 8601 or seconds since 1970, as seconds; `None` if it is none."""
    text = text.strip()
    if _EPOCH.fullmatch(text):
        return float(text)
    if _YEAR_OR_MONTH.fullmatch(text):
        text += "-01"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text.strip()) else None


def _same(wanted: Glob, actual: str) -> Truth:
    return Truth.of(wanted.literal == actual)


def _same_but_for_case(wanted: Glob, actual: str) -> Truth:
    return Truth.of((wanted.literal or "").casefold() == actual.casefold())


def _like(wanted: Glob, actual: str) -> Truth:
    return Truth.of(wanted.matches(actual))


def _arn(wanted: Glob, actual: str) -> Truth:
    """Compare the six parts of an ARN one by one; `ArnEquals` and `ArnLike` are the same."""
    patterns = wanted.arn
    if len(patterns) != _ARN_PARTS:
        return Truth.NO if wanted.literal is not None else Truth.UNDECIDED
    if wanted.literal is not None:
        return Truth.of(wanted.literal == actual)
    parts = actual.split(":", _ARN_PARTS - 1)
    if len(parts) != _ARN_PARTS:
        return Truth.NO
    return Truth.of(all(pattern.matches(part) for pattern, part in zip(patterns, parts, strict=True)))


def _bool(wanted: Glob, actual: str) -> Truth:
    return Truth.of((wanted.literal or "").casefold() == actual.casefold())


def _binary(wanted: Glob, actual: str) -> Truth:
    try:
        return Truth.of(
            base64.b64decode(wanted.literal or "", validate=True) == base64.b64decode(actual, validate=True)
        )
    except (binascii.Error, ValueError):
        return Truth.of(wanted.literal == actual)


@lru_cache(maxsize=4096)
def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text.strip(), strict=False)
    except ValueError:
        return None


def _address(wanted: Glob, actual: str) -> Truth:
    network = _network(wanted.literal or "")
    if network is None:
        return Truth.UNDECIDED
    try:
        address = ipaddress.ip_address(actual.strip())
    except ValueError:
        return Truth.NO
    return Truth.of(address in network)


def _ordered(read: Callable[[str], float | None], holds: Callable[[float, float], bool]) -> Comparison:
    def compare(wanted: Glob, actual: str) -> Truth:
        limit, value = read(wanted.literal or ""), read(actual)
        if limit is None or value is None:
            return Truth.UNDECIDED
        return Truth.of(holds(value, limit))

    return compare


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """A condition operator; one and its negation share `compare`, and differ in `negated`."""

    name: str
    compare: Comparison
    wildcards: bool = False
    """Whether `*` and `?` in the policy's value are wildcards."""
    negated: bool = False
    """Whether it is a negation, which holds if `compare` fails, or if the key is absent."""
    date: bool = False
    numeric: bool = False

    @property
    def exact(self) -> bool:
        """Whether it compares texts for equality, so that long lists of values need not be tried one by one."""
        return self.compare is _same

    @property
    def ignores_case(self) -> bool:
        """Whether it compares texts for equality regardless of case."""
        return self.compare is _same_but_for_case


def _pair(
    positive: str, negative: str, compare: Comparison, *, wildcards: bool = False
) -> tuple[Operator, Operator]:
    plain = Operator(name=positive, compare=compare, wildcards=wildcards)
    return plain, replace(plain, name=negative, negated=True)


def _orders(kind: str, read: Callable[[str], float | None], *, date: bool) -> tuple[Operator, ...]:
    comparisons: dict[str, Callable[[float, float], bool]] = {
        "LessThan": lambda value, limit: value < limit,
        "LessThanEquals": lambda value, limit: value <= limit,
        "GreaterThan": lambda value, limit: value > limit,
        "GreaterThanEquals": lambda value, limit: value >= limit,
    }
    same = _ordered(read, lambda value, limit: value == limit)
    return tuple(
        replace(operator, date=date, numeric=not date)
        for operator in (
            *_pair(f"{kind}Equals", f"{kind}NotEquals", same),
            *(
                Operator(name=kind + suffix, compare=_ordered(read, holds))
                for suffix, holds in comparisons.items()
            ),
        )
    )


_OPERATORS: dict[str, Operator] = {
    operator.name.casefold(): operator
    for operator in (
        *_pair("StringEquals", "StringNotEquals", _same),
        *_pair("StringEqualsIgnoreCase", "StringNotEqualsIgnoreCase", _same_but_for_case),
        *_pair("StringLike", "StringNotLike", _like, wildcards=True),
        *_pair("ArnEquals", "ArnNotEquals", _arn, wildcards=True),
        *_pair("ArnLike", "ArnNotLike", _arn, wildcards=True),
        *_pair("IpAddress", "NotIpAddress", _address),
        *_orders("Numeric", _number, date=False),
        *_orders("Date", instant, date=True),
        Operator(name="Bool", compare=_bool),
        Operator(name="BinaryEquals", compare=_binary),
        Operator(name="Null", compare=_bool),
    )
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """An operator as a policy writes it, with its set prefix and its `IfExists`."""

    operator: Operator
    quantifier: Quantifier = ""
    if_exists: bool = False


@lru_cache(maxsize=256)
def wanted(name: str) -> Wanted | None:
    """Read an operator's name; `None` if IAM has no such operator."""
    prefix, colon, rest = name.rpartition(":")
    quantifiers: dict[str, Quantifier] = {
        "": "", "forallvalues": "ForAllValues", "foranyvalue": "ForAnyValue"
    }  # fmt: skip
    quantifier = quantifiers.get(prefix.casefold())
    bare = rest.casefold().removesuffix("ifexists")
    operator = _OPERATORS.get(bare)
    if quantifier is None or operator is None or (colon and not prefix):
        return None
    return Wanted(operator=operator, quantifier=quantifier, if_exists=bare != rest.casefold())
