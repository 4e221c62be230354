"""
A Sigma condition as two things: a test of the raw record, which decides, and SQL over columns, which spares reading it.

The SQL comes in two forms, `over` (true for every record that may match) and `under` (true only for records that surely
match): a condition on a field without a column is TRUE in the one and FALSE in the other, and NOT changes them over.
Where both forms are the same, the columns decide, and no raw record is read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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
    SigmaBool,
    SigmaCasedString,
    SigmaExpansion,
    SigmaFieldReference,
    SigmaNull,
    SigmaString,
    SigmaType,
    SpecialChars,
)

from tokentrail.detection.sigma.values import NotSupported, lookup, parts, test_of, text

COLUMNS = {
    "eventSource": "e.source", "eventName": "e.name", "errorCode": "e.error", "sourceIPAddress": "e.ip",
    "userAgent": "e.agent", "awsRegion": "e.region", "userIdentity.type": "i.type", "userIdentity.arn": "i.arn",
    "userIdentity.accessKeyId": "i.key_id", "userIdentity.invokedBy": "i.invoked_by",
}  # fmt: skip
"""Fields whose columns hold what the record says, to the letter."""
FLAGS = {"readOnly": "e.read_only", "managementEvent": "e.management"}


@dataclass(frozen=True, slots=True)
class Sql:
    """A condition with its parameters."""

    text: str
    parameters: tuple[Any, ...] = ()


TRUE, FALSE = Sql("TRUE"), Sql("FALSE")


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition, ready to run."""

    matches: Callable[[Any], bool]
    """Judges a raw record."""
    over: Sql
    under: Sql

    @property
    def exact(self) -> bool:
        """Whether the columns alone decide."""
        return self.over == self.under


def condition(node: Any) -> Condition:
    """
    Make a condition of pySigma's tree.

    Raises:
        NotSupported: a part of it can't be run.
    """
    if isinstance(node, ConditionAND | ConditionOR):
        return _joined([condition(one) for one in node.args], every=isinstance(node, ConditionAND))
    if isinstance(node, ConditionNOT):
        inner = condition(node.args[0])
        return Condition(
            lambda record: not inner.matches(record), _negated(inner.under), _negated(inner.over)
        )
    if isinstance(node, ConditionFieldEqualsValueExpression):
        return _field(node.field, node.value)
    if isinstance(node, ConditionValueExpression):
        return _keyword(node.value)
    raise NotSupported("the condition is empty" if node is None else f"{type(node).__name__} can't be run")


def either(conditions: Sequence[Condition]) -> Condition:
    """Any of several conditions."""
    return conditions[0] if len(conditions) == 1 else _joined(conditions, every=False)


def _joined(inner: Sequence[Condition], *, every: bool) -> Condition:
    tests = [one.matches for one in inner]
    whole = all if every else any
    return Condition(
        lambda record: whole(test(record) for test in tests),
        _combined([one.over for one in inner], every=every),
        _combined([one.under for one in inner], every=every),
    )


def _combined(pieces: Sequence[Sql], *, every: bool) -> Sql:
    neutral, decisive = (TRUE, FALSE) if every else (FALSE, TRUE)
    if decisive in pieces:
        return decisive
    kept = [one for one in pieces if one != neutral]
    if not kept:
        return neutral
    word = " AND " if every else " OR "
    return Sql(
        f"({word.join(one.text for one in kept)})", tuple(value for one in kept for value in one.parameters)
    )


def _negated(inner: Sql) -> Sql:
    if inner in (TRUE, FALSE):
        return FALSE if inner == TRUE else TRUE
    return Sql(f"(NOT {inner.text})", inner.parameters)


def _field(name: str, value: SigmaType) -> Condition:
    if isinstance(value, SigmaFieldReference):
        return _same_as(name, value)
    test = test_of(value)
    found = _columns(name, value)
    return Condition(lambda record: test(lookup(record, name)), found or TRUE, found or FALSE)


def _same_as(name: str, value: SigmaFieldReference) -> Condition:
    if value.starts_with or value.ends_with:
        raise NotSupported("a reference to a field can be compared as a whole only")
    other = value.field

    def same(record: Any) -> bool:
        mine = {text(one).lower() for one in lookup(record, name) if one is not None}
        return any(text(one).lower() in mine for one in lookup(record, other) if one is not None)

    return Condition(same, TRUE, FALSE)


def _keyword(value: SigmaType) -> Condition:
    """A value without a field: anywhere in the record."""
    if isinstance(value, SigmaString):
        many = SpecialChars.WILDCARD_MULTI
        inner = parts(value)
        wide = SigmaCasedString() if isinstance(value, SigmaCasedString) else SigmaString()
        wide.s = [many, *(one for one in inner if one is not many or len(inner) > 1), many]
        value = wide
    test = test_of(value)
    return Condition(lambda record: test([text(record)]), TRUE, FALSE)


def _columns(name: str, value: SigmaType) -> Sql | None:
    """The same as a condition on a column, if there is one that can tell."""
    if isinstance(value, SigmaBool) and name in FLAGS:
        return Sql(f"coalesce({FLAGS[name]} = ?, FALSE)", (bool(value),))
    column = COLUMNS.get(name)
    if column is None:
        return None
    if isinstance(value, SigmaExpansion):
        inner = [_columns(name, one) for one in value.values]
        return None if None in inner else _combined([one for one in inner if one], every=False)
    if isinstance(value, SigmaNull):
        return Sql(f"(coalesce({column}, '') = '')")
    if isinstance(value, SigmaString) and not isinstance(value, SigmaCasedString):
        return _text_column(column, value)
    return None


def _text_column(column: str, value: SigmaString) -> Sql | None:
    inner = parts(value)
    if not all(one.isascii() for one in inner if isinstance(one, str)):
        return None  # engines and Python may differ in what is a capital
    if all(isinstance(one, str) for one in inner):
        return Sql(f"coalesce(lower({column}) = ?, FALSE)", ("".join(map(str, inner)).lower(),))
    spelled = {SpecialChars.WILDCARD_MULTI: "%", SpecialChars.WILDCARD_SINGLE: "_"}
    pattern = "".join(
        one.lower().replace("!", "!!").replace("%", "!%").replace("_", "!_")
        if isinstance(one, str)
        else spelled[one]
        for one in inner
    )
    return Sql(f"coalesce(lower({column}) LIKE ? ESCAPE '!', FALSE)", (pattern,))
