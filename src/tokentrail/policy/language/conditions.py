"""
Whether a policy's conditions hold for a request of which some condition keys are known.

An absent key: positive operators do not match, negated ones do, `...IfExists` does, `ForAllValues:` does and
`ForAnyValue:` does not. A value that AWS would have refused to store, such as an invalid date or network, makes the
answer undecided.
Source: IAM User Guide, 'IAM JSON policy elements: Condition operators' and 'Set operators for multivalued
context keys'.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Literal

from tokentrail.policy.language.context import DATE_KEYS, ChosenText, Context, DateRange, Known, Presence
from tokentrail.policy.language.truth import Truth, every, some
from tokentrail.policy.language.wildcard import Glob, Unresolved, covers, glob, literal, may_overlap, resolved

_LATEST_SECOND = 32_503_680_000
"""The year 3000: later dates in policies are forged, and Python's dates end soon after."""


# ---------------------------------------------------------------- operators

Comparison = Callable[[Glob, str], Truth]
Quantifier = Literal["", "ForAllValues", "ForAnyValue"]

_ARN_PARTS = 6
_WILDCARDS = frozenset("*?")
"""What makes a value of a policy match more texts than the one that is spelled like it."""
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
        return Truth.UNDECIDED


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


# ---------------------------------------------------------------- conditions


@dataclass(frozen=True, kw_only=True)
class Condition:
    """One operator on one key: it holds if any of the values matches, or, if negated, if none does."""

    operator: str
    key: str
    """In lower case, since IAM ignores the case of condition keys."""
    values: tuple[str, ...]

    @cached_property
    def has_variables(self) -> bool:
        """Whether a value has a policy variable."""
        return any("${" in value for value in self.values)

    @cached_property
    def asked(self) -> Wanted | None:
        """The operator, read once, as a plan judges thousands of sessions; `None` if IAM has no such operator."""
        return wanted(self.operator)

    @cached_property
    def lowered_key(self) -> str:
        """The key in lower case, whoever wrote it."""
        return self.key.casefold()

    @cached_property
    def plain_values(self) -> tuple[Glob, ...]:
        """The values, read, where none has a policy variable."""
        wildcards = self.asked is not None and self.asked.operator.wildcards
        return tuple(glob(value) if wildcards else literal(value) for value in self.values)

    @cached_property
    def issued_between(self) -> tuple[float, float]:
        """
        The seconds since 1970 between which a token must have been issued for the condition to hold, both inclusive.

        Infinite where it is about something else, or where its dates can't be read.
        """
        asked, unbounded = self.asked, (-math.inf, math.inf)
        if self.lowered_key != "aws:tokenissuetime" or asked is None or asked.quantifier:
            return unbounded
        limits = [moment for value in self.values if (moment := instant(value)) is not None]
        if not asked.operator.date or asked.operator.negated or not 0 < len(limits) == len(self.values):
            return unbounded
        match asked.operator.name:
            case "DateLessThan" | "DateLessThanEquals":
                return -math.inf, max(limits)
            case "DateGreaterThan" | "DateGreaterThanEquals":
                return min(limits), math.inf
            case _:
                return min(limits), max(limits)


def all_hold(conditions: Iterable[Condition], context: Context, *, variables: bool = True) -> Truth:
    """Whether every condition holds, as they all must for the statement to apply."""
    result = Truth.YES
    for condition in conditions:
        truth = holds(condition, context, variables=variables)
        if truth is Truth.NO:
            return truth
        if truth is Truth.UNDECIDED:
            result = truth
    return result


def holds(condition: Condition, context: Context, *, variables: bool = True) -> Truth:
    """Whether one condition holds for the request."""
    asked = condition.asked
    known = context.get(condition.lowered_key)
    if (
        asked is None or not condition.values
    ):  # IAM stores an empty list, and does not say what a negated one means
        return Truth.UNDECIDED
    if asked.operator.name == "Null":
        return _null(condition.values, known)
    if known is None or known is Presence.PRESENT:
        return Truth.UNDECIDED
    if known is Presence.ABSENT or known == ():
        return _without_key(asked)
    if isinstance(known, ChosenText):
        return _with_choice(condition, asked, known, variables=variables)
    is_date = condition.key in DATE_KEYS or isinstance(known, DateRange)
    if is_date and not _orders_dates(asked.operator, condition.key):
        return Truth.UNDECIDED
    if isinstance(known, DateRange):
        return _in_range(condition, asked, known)
    return _compared(condition, asked, known, context, variables=variables)


def compared_seconds(condition: Condition) -> frozenset[int] | None:
    """
    The seconds since 1970 at which the answer of a condition on a time changes: each, and the second after it.

    `None` if the condition does more than compare one key with constant dates. Dates may be ISO 8601 or epoch seconds
    (IAM User Guide, 'IAM JSON policy elements: Condition operators', date condition operators).
    """
    asked = wanted(condition.operator)
    if asked is None or asked.operator.name == "Null":
        return frozenset()  # undecided, or the same at every time
    if not (asked.operator.date or asked.operator.numeric):
        return None
    moments = [instant(value) for value in condition.values]
    if any(moment is None for moment in moments):
        return None
    whole = {math.floor(one) for one in moments if one is not None and 0 <= one < _LATEST_SECOND}
    return frozenset(whole | {one + 1 for one in whole})


def change_times(conditions: Iterable[Condition], keys: frozenset[str]) -> set[datetime]:
    """The times at which the answers of conditions on some date keys may change, by all dates that can be read."""
    return {
        datetime.fromtimestamp(second, UTC)
        for condition in conditions
        if condition.key in keys
        for value in condition.values
        for second in compared_seconds(
            Condition(operator=condition.operator, key=condition.key, values=(value,))
        )
        or ()
    }


def _orders_dates(operator: Operator, key: str) -> bool:
    """Whether an operator compares a time by order; epoch seconds may be compared as numbers, too."""
    return operator.date or (key == "aws:epochtime" and operator.numeric)


def _null(values: tuple[str, ...], known: Known | None) -> Truth:
    """`Null: true` holds where the key is absent, `Null: false` where it is present."""
    wishes = {value.casefold() for value in values}
    if known is None or not wishes <= {"true", "false"}:
        return Truth.UNDECIDED
    absent = known is Presence.ABSENT or known == ()
    return Truth.of(("true" if absent else "false") in wishes)


def _without_key(asked: Wanted) -> Truth:
    """Judge an absent key; of `ForAnyValue:...IfExists` AWS says both that it holds and that it does not."""
    if asked.quantifier == "ForAnyValue":
        return Truth.UNDECIDED if asked.if_exists else Truth.NO
    return Truth.of(asked.if_exists or asked.quantifier == "ForAllValues" or asked.operator.negated)


def _compared(
    condition: Condition, asked: Wanted, actual: tuple[str, ...], context: Context, *, variables: bool
) -> Truth:
    operator = asked.operator
    if operator.exact and not (variables and condition.has_variables):
        matches = [Truth.of(value in condition.values) for value in actual]
    else:
        patterns: Iterable[Glob | Unresolved] = condition.plain_values
        if variables and condition.has_variables:
            patterns = [
                resolved(value, context, wildcards=operator.wildcards, variables=True)
                for value in condition.values
            ]
        matches = [some(_match(operator, pattern, value) for pattern in patterns) for value in actual]
    if asked.quantifier == "":
        matched = some(matches)
        return matched.opposite if operator.negated else matched
    results = [match.opposite if operator.negated else match for match in matches]
    return every(results) if asked.quantifier == "ForAllValues" else some(results)


def _match(operator: Operator, pattern: Glob | Unresolved, value: str) -> Truth:
    """Compare; a variable whose key is absent matches nothing, but AWS does not say what that means if negated."""
    if pattern is Unresolved.ABSENT and not operator.negated:
        return Truth.NO
    if isinstance(pattern, Unresolved):
        return Truth.UNDECIDED
    return operator.compare(pattern, value)


def _with_choice(condition: Condition, asked: Wanted, known: ChosenText, *, variables: bool) -> Truth:
    """Judge a condition on a text of which the caller chose a part: it holds if it does for every choice."""
    matched = some(
        Truth.UNDECIDED if variables and "${" in value else _choice_matches(asked.operator, value, known)
        for value in condition.values
    )
    return matched.opposite if asked.operator.negated else matched


def _choice_matches(operator: Operator, value: str, known: ChosenText) -> Truth:
    """Whether every choice, some or none matches one value of a policy."""
    if operator.exact:
        possible = value not in known.excluding and glob(known.pattern).matches(value)
        return Truth.UNDECIDED if possible else Truth.NO
    if operator.ignores_case:
        possible = glob(known.pattern.casefold()).matches(value.casefold())
        return Truth.UNDECIDED if possible else Truth.NO
    if not operator.wildcards:
        return Truth.UNDECIDED
    if operator.compare is _arn and value.count(":") < _ARN_PARTS - 1:
        return Truth.UNDECIDED
    if covers(value, known.pattern) if operator.compare is not _arn else _covers_arns(value, known.pattern):
        return Truth.YES
    excluded = value in known.excluding and not _WILDCARDS.intersection(value)
    possible = not excluded and may_overlap(value, known.pattern)
    return Truth.UNDECIDED if possible else Truth.NO


def _covers_arns(value: str, chosen: str) -> bool:
    """Whether an ARN matches all ARNs of a pattern, part by part; a `*` before the last part may stand for colons."""
    patterns, parts = value.split(":", _ARN_PARTS - 1), chosen.split(":", _ARN_PARTS - 1)
    if len(parts) != _ARN_PARTS or "*" in "".join(parts[:-1]):
        return False
    return all(covers(pattern, part) for pattern, part in zip(patterns, parts, strict=True))


def _in_range(condition: Condition, asked: Wanted, known: DateRange) -> Truth:
    """Judge a condition on a date of which only bounds are known."""
    read = _number if asked.operator.numeric else instant
    matched = some(_bounded(asked.operator.name, known, read(value)) for value in condition.values)
    return matched.opposite if asked.operator.negated else matched


def _bounded(name: str, known: DateRange, limit: float | None) -> Truth:
    """Compare a date within bounds with one value of a policy; the name is an operator's, such as `DateLessThan`."""
    if limit is None:
        return Truth.UNDECIDED
    low = known.earliest.timestamp() if known.earliest else -math.inf
    high = known.latest.timestamp() if known.latest else math.inf
    match name.removeprefix("Date").removeprefix("Numeric"):
        case "LessThan":
            sure, possible = high < limit, low < limit
        case "LessThanEquals":
            sure, possible = high <= limit, low <= limit
        case "GreaterThan":
            sure, possible = low > limit, high > limit
        case "GreaterThanEquals":
            sure, possible = low >= limit, high >= limit
        case _:
            sure, possible = low == high == limit, low <= limit <= high
    return Truth.YES if sure else Truth.UNDECIDED if possible else Truth.NO
