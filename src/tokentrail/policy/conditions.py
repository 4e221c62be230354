"""
Whether a policy's conditions hold for a request of which some condition keys are known.

An absent key: positive operators do not match, negated ones do, `...IfExists` does, `ForAllValues:` does and
`ForAnyValue:` does not.
Source: IAM User Guide, 'IAM JSON policy elements: Condition operators' and 'Set operators for multivalued
context keys'.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from tokentrail.policy.operators import Operator, Wanted, instant, wanted
from tokentrail.policy.truth import Truth, every, some
from tokentrail.policy.variables import (
    DATE_KEYS,
    ChosenText,
    Context,
    DateRange,
    Known,
    Presence,
    Unresolved,
    resolved,
)
from tokentrail.policy.wildcard import Glob, covers, glob, may_overlap

_LATEST_SECOND = 32_503_680_000
"""The year 3000: later dates in policies are forged, and Python's dates end soon after."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One operator on one key: it holds if any of the values matches, or, if negated, if none does."""

    operator: str
    key: str
    """In lower case, since IAM ignores the case of condition keys."""
    values: tuple[str, ...]


def all_hold(conditions: Iterable[Condition], context: Context, *, variables: bool = True) -> Truth:
    """Whether every condition holds, as they all must for the statement to apply."""
    return every(holds(condition, context, variables=variables) for condition in conditions)


def holds(condition: Condition, context: Context, *, variables: bool = True) -> Truth:
    """Whether one condition holds for the request."""
    asked = wanted(condition.operator)
    known = context.get(condition.key.casefold())
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
    if condition.key in DATE_KEYS and not _orders_dates(asked.operator, condition.key):
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
    if asked.if_exists or asked.quantifier == "ForAllValues":
        return Truth.YES
    if asked.quantifier == "ForAnyValue":
        return Truth.NO
    return Truth.of(asked.operator.negated)


def _compared(
    condition: Condition, asked: Wanted, actual: tuple[str, ...], context: Context, *, variables: bool
) -> Truth:
    operator = asked.operator
    if operator.exact and not (variables and any("${" in value for value in condition.values)):
        matches = [Truth.of(value in condition.values) for value in actual]
    else:
        patterns = [
            resolved(value, context, wildcards=operator.wildcards, variables=variables)
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
    if covers(value, known.pattern):
        return Truth.YES
    possible = value not in known.excluding and may_overlap(value, known.pattern)
    return Truth.UNDECIDED if possible else Truth.NO


def _in_range(condition: Condition, asked: Wanted, known: DateRange) -> Truth:
    """Judge a condition on a date of which only bounds are known."""
    matched = some(_bounded(asked.operator.name, known, instant(value)) for value in condition.values)
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
