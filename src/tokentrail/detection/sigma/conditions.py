"""
A Sigma condition as two things: a check of the raw record, which decides, and SQL over columns, which spares reading.

The SQL comes in two forms, `over` (true for every record that may match) and `under` (true only for records that surely
match): a condition on a field without a column is TRUE in the one and FALSE in the other, and NOT changes them over.
Where both forms are the same, the columns decide, and no raw record is read.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sigma.conditions import (
    ConditionAND,
    ConditionFieldEqualsValueExpression,
    ConditionNOT,
    ConditionOR,
    ConditionValueExpression,
)
from sigma.types import (
    SigmaCasedString,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaString,
    SigmaType,
    SpecialChars,
)

from tokentrail.detection.sigma.checks import Agree, Always, Anywhere, Check, Has, Not, Several
from tokentrail.detection.sigma.columns import (
    FALSE,
    FEW_VALUES,
    TRUE,
    UNKNOWN,
    Bounds,
    Sql,
    all_there,
    combined,
    negated,
    on_columns,
)
from tokentrail.detection.sigma.fields import Field
from tokentrail.detection.sigma.values import NotSupported, parts, test_of

_DEEPEST = 50
"""Levels of a condition: engines and Python have an end, and no rule of sense comes near it."""
_MOST_VALUES = 5_000
"""Values of a rule: there is a bound to what one rule may cost."""


_OPEN = (UNKNOWN,) * len(FEW_VALUES)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, ready to run."""

    whole: Check
    """Judges a raw record."""
    rest: Check
    """What is left to ask of a raw record of which `over` is true."""
    over: Sql
    under: Sql
    alone: tuple[Bounds, ...]
    """The same bounds as far as some fields alone tell, for each of `FEW_VALUES`."""

    @property
    def exact(self) -> bool:
        """Whether the columns alone decide."""
        return self.over == self.under

    def matches(self, record: Any) -> bool:
        """Judge one raw record; for many, `whole.judge()` is made once."""
        return self.whole.judge()(record)


def condition(node: Any) -> Condition:
    """
    Make a condition of pySigma's tree.

    Raises:
        NotSupported: a part of it can't be run.
    """
    _bounded(node)
    return _condition(node)


def _bounded(node: Any) -> None:
    """Refuse what is too deep or too long to run, without going to its end."""
    values, level = 0, [node]
    for _ in range(_DEEPEST):
        below = [one for each in level for one in getattr(each, "args", ())]
        values += len(below)
        if values > _MOST_VALUES:
            raise NotSupported(f"the condition has more than {_MOST_VALUES:,} parts")
        if not below:
            return
        level = below
    raise NotSupported(f"the condition is nested more than {_DEEPEST} levels deep")


def _condition(node: Any) -> Condition:
    listed = _listed(node)
    if listed is not None:
        return _field(*listed)
    if isinstance(node, ConditionAND | ConditionOR):
        return joined([_condition(one) for one in node.args], every=isinstance(node, ConditionAND))
    if isinstance(node, ConditionNOT):
        inner = _condition(node.args[0])
        opposite = Not(inner.whole)
        alone = tuple(Bounds(negated(one.under), negated(one.over)) for one in inner.alone)
        return Condition(opposite, opposite, negated(inner.under), negated(inner.over), alone)
    if isinstance(node, ConditionFieldEqualsValueExpression):
        return _field(node.field, node.value)
    if isinstance(node, ConditionValueExpression):
        check = _keyword(node.value)
        return Condition(check, check, TRUE, FALSE, _OPEN)
    raise NotSupported("the condition is empty" if node is None else f"{type(node).__name__} can't be run")


def _listed(node: Any) -> tuple[str, SigmaExpansion] | None:
    """A field with its values, where a condition is but a list of them; so they are looked up, not tried in turn."""
    if not isinstance(node, ConditionOR):
        return None
    fields = [one for one in node.args if isinstance(one, ConditionFieldEqualsValueExpression)]
    values = [one.value for one in fields]
    if (
        len(fields) < len(node.args)
        or len({one.field for one in fields}) > 1
        or any(isinstance(one, SigmaFieldReference) for one in values)
    ):
        return None
    return fields[0].field, SigmaExpansion(list(values))


def joined(inner: Sequence[Condition], *, every: bool) -> Condition:
    """All of several conditions, or any of them."""
    if len(inner) == 1:
        return inner[0]
    checks = tuple(one.whole for one in inner)
    over = combined([one.over for one in inner], every=every)
    under = combined([one.under for one in inner], every=every)
    alone = tuple(
        Bounds(
            combined([each.over for each in of], every=every),
            combined([each.under for each in of], every=every),
        )
        for of in zip(*(one.alone for one in inner), strict=True)
    )
    if every:
        open_ones = tuple(one.rest for one in inner if not one.exact)
        rest = _all_of(open_ones)
        return Condition(Several(checks, every=True), rest, over, under, alone)
    return Condition(Several(checks, every=False), Several(checks, every=False), over, under, alone)


def _all_of(checks: tuple[Check, ...]) -> Check:
    if not checks:
        return Always()
    return checks[0] if len(checks) == 1 else Several(checks, every=True)


def _field(name: str, value: SigmaType) -> Condition:
    if isinstance(value, SigmaFieldReference):
        agree = _agree(name, value)
        there = all_there((name, value.field))
        return Condition(agree, agree, there.over, there.under, _OPEN)
    check = Has(Field.of(name), test_of(value))
    found = on_columns(name, value)
    alone = tuple(found if name in names else UNKNOWN for names in FEW_VALUES)
    return Condition(check, check, found.over, found.under, alone)


def _agree(name: str, value: SigmaFieldReference) -> Agree:
    if value.starts_with and value.ends_with:
        way = operator.contains
    elif value.starts_with:
        way = str.startswith  # type: ignore[assignment]  # any two strings
    else:
        way = str.endswith if value.ends_with else operator.eq  # type: ignore[assignment]  # any two strings
    return Agree(Field.of(name), Field.of(value.field), way)


def _keyword(value: SigmaType) -> Anywhere:
    """A value without a field: anywhere in the record."""
    if isinstance(value, SigmaString):
        many = SpecialChars.WILDCARD_MULTI
        inner = parts(value)
        wide = SigmaCasedString() if isinstance(value, SigmaCasedString) else SigmaString()
        wide.s = [many, *(one for one in inner if one is not many or len(inner) > 1), many]
        value = wide
    return Anywhere(test_of(value))
