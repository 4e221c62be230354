"""
Whether a policy's conditions hold for a request of which some condition keys are known.

An absent key: positive operators do not match, negated ones do, `...IfExists` does, `ForAllValues:` does and
`ForAnyValue:` does not.
Source: IAM User Guide, 'IAM JSON policy elements: Condition operators' and 'Set operators for multivalued
context keys'.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tokentrail.policy.operators import Operator, Wanted, instant, wanted
from tokentrail.policy.truth import Truth, every, some
from tokentrail.policy.variables import Context, Known, NoLaterThan, Presence, Unresolved, resolved
from tokentrail.policy.wildcard import Glob


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
    if isinstance(known, NoLaterThan):
        return _no_later(condition, asked, known)
    return _compared(condition, asked, known, context, variables=variables)


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


def _no_later(condition: Condition, asked: Wanted, known: NoLaterThan) -> Truth:
    """Judge a condition on a date of which only the latest possible value is known."""
    if not asked.operator.date:
        return Truth.UNDECIDED
    latest = known.latest.timestamp()
    truths = [_date_bound(asked.operator.name, latest, instant(value)) for value in condition.values]
    matched = some(truths)
    return matched.opposite if asked.operator.negated else matched


def _date_bound(name: str, latest: float, limit: float | None) -> Truth:
    if limit is None:
        return Truth.UNDECIDED
    match name:
        case "DateLessThan":
            return Truth.YES if latest < limit else Truth.UNDECIDED
        case "DateLessThanEquals":
            return Truth.YES if latest <= limit else Truth.UNDECIDED
        case "DateGreaterThan":
            return Truth.NO if latest <= limit else Truth.UNDECIDED
        case _:
            return Truth.NO if latest < limit else Truth.UNDECIDED
