"""The fields of a record that have a column, and conditions on them as SQL."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sigma.types import (
    SigmaBool,
    SigmaCasedString,
    SigmaCIDRExpression,
    SigmaExists,
    SigmaExpansion,
    SigmaNull,
    SigmaRegularExpression,
    SigmaString,
    SigmaType,
    SpecialChars,
)

from tokentrail.detection.sigma.values import MOST_PATTERN, parts, pattern, spelled

_ISSUER = "userIdentity.sessionContext.sessionIssuer"
COLUMNS = {
    "eventSource": "e.source", "eventName": "e.name", "errorCode": "e.error", "sourceIPAddress": "e.ip",
    "userAgent": "e.agent", "awsRegion": "e.region", "recipientAccountId": "e.account",
    "userIdentity.type": "i.type", "userIdentity.arn": "i.arn", "userIdentity.principalId": "i.principal_id",
    "userIdentity.accountId": "i.account", "userIdentity.accessKeyId": "i.key_id",
    "userIdentity.userName": "i.user_name", "userIdentity.invokedBy": "i.invoked_by",
    f"{_ISSUER}.type": "i.issuer_type", f"{_ISSUER}.principalId": "i.issuer_id", f"{_ISSUER}.arn": "i.issuer_arn",
    "userIdentity.sessionContext.sourceIdentity": "i.source_identity",
}  # fmt: skip
"""Fields whose columns hold what the record says, to the letter."""
FEW_VALUES = (("eventSource", "eventName"), ("userAgent",), ("errorCode",), ("awsRegion",))
"""Fields of which a case has few values, or few pairs of values: what no one of them meets, no record does."""
FLAGS = {
    "readOnly": "e.read_only", "managementEvent": "e.management",
    "userIdentity.sessionContext.attributes.mfaAuthenticated": "i.mfa",
}  # fmt: skip
"""Fields that are true or false; rules spell that with or without quotes."""
_FEW = 8
"""Values from which on a list is shorter than one condition for each."""


@dataclass(frozen=True, slots=True)
class Sql:
    """A condition with its parameters."""

    text: str
    parameters: tuple[Any, ...] = ()


TRUE, FALSE = Sql("TRUE"), Sql("FALSE")


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is true for all that may match, and for nothing that may not."""

    over: Sql
    under: Sql


UNKNOWN = Bounds(TRUE, FALSE)
"""What the columns can't tell."""


def combined(pieces: Sequence[Sql], *, every: bool) -> Sql:
    """All of some conditions, or any of them."""
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


def negated(inner: Sql) -> Sql:
    """The opposite of a condition, none of which is ever NULL."""
    if inner in (TRUE, FALSE):
        return FALSE if inner == TRUE else TRUE
    return Sql(f"(NOT {inner.text})", inner.parameters)


def on_columns(name: str, value: SigmaType) -> Bounds:
    """A condition on a field, as far as a column can tell."""
    if isinstance(value, SigmaExpansion):
        return _any_of(name, value.values)
    if name in FLAGS:
        return _flag(FLAGS[name], value)
    column = COLUMNS.get(name)
    if column is None:
        return UNKNOWN
    if isinstance(value, SigmaNull):
        return _same(Sql(f"(coalesce({column}, '') = '')"))
    if isinstance(value, SigmaExists):
        return _exists(column, wanted=bool(value))
    if isinstance(value, SigmaCIDRExpression):
        return Bounds(_beginning(column, value.cidr), FALSE)
    if isinstance(value, SigmaRegularExpression):
        return Bounds(Sql(f"coalesce(regexp_matches({column}, ?), FALSE)", (f"(?s){pattern(value)}",)), FALSE)
    if isinstance(value, SigmaString):
        found = _text(column, value)
        cased = isinstance(value, SigmaCasedString)
        return UNKNOWN if found is None else Bounds(found, FALSE) if cased else _same(found)
    return UNKNOWN


def all_there(names: Sequence[str]) -> Bounds:
    """That fields have values, as far as columns can tell."""
    columns = [COLUMNS[name] for name in names if name in COLUMNS]
    return Bounds(combined([_exists(one, wanted=True).over for one in columns], every=True), FALSE)


def _same(sql: Sql) -> Bounds:
    return Bounds(sql, sql)


def _any_of(name: str, values: Sequence[Any]) -> Bounds:
    """One of many values; plain ones are looked up in a list, and patterns become one expression."""
    column = COLUMNS.get(name)
    plain = [one for one in values if column and is_plain(one)]
    wild = [one for one in values if column and _is_wild(one)]
    inner: list[Bounds] = []
    if column and len(plain) > _FEW:
        told = tuple(str(one).lower() for one in plain)
        marks = ", ".join("?" for _ in plain)
        inner.append(_same(Sql(f"coalesce(lower({column}) IN ({marks}), FALSE)", told)))
        values = [one for one in values if not is_plain(one)]
    if column and len(wild) > _FEW:
        either = "|".join(spelled(one) for one in wild)
        if len(either) <= MOST_PATTERN:
            told = (f"(?s)^(?:{either})$",)
            inner.append(_same(Sql(f"coalesce(regexp_matches(lower({column}), ?), FALSE)", told)))
            values = [one for one in values if not _is_wild(one)]
    inner += [on_columns(name, one) for one in values]
    return Bounds(
        combined([one.over for one in inner], every=False),
        combined([one.under for one in inner], every=False),
    )


def _is_wild(value: Any) -> bool:
    return (
        isinstance(value, SigmaString)
        and not isinstance(value, SigmaCasedString)
        and not is_plain(value)
        and all(one.isascii() for one in parts(value) if isinstance(one, str))
    )


def is_plain(value: Any) -> bool:
    """Whether a value is a text without wildcards, to be compared without regard to case."""
    return (
        isinstance(value, SigmaString)
        and not isinstance(value, SigmaCasedString)
        and all(isinstance(one, str) and one.isascii() for one in value.s)
    )


def _flag(column: str, value: SigmaType) -> Bounds:
    told = str(value).lower()
    if isinstance(value, SigmaBool) or (is_plain(value) and told in ("true", "false")):
        return _same(Sql(f"coalesce({column} = ?, FALSE)", (told == "true",)))
    return UNKNOWN


def _exists(column: str, *, wanted: bool) -> Bounds:
    return _same(Sql(f"(coalesce({column}, '') {'<>' if wanted else '='} '')"))


def _beginning(column: str, cidr: str) -> Sql:
    """What all addresses of a network begin with, as far as whole parts of them go."""
    network = ipaddress.ip_network(cidr, strict=False)
    if network.version == 6:
        return Sql(f"coalesce({column} LIKE '%:%', FALSE)")
    whole = str(network.network_address).split(".")[: network.prefixlen // 8]
    if not whole:
        return TRUE
    return Sql(
        f"coalesce({column} LIKE ?, FALSE)", (".".join(whole) + ("." if len(whole) < 4 else "") + "%",)
    )


def _text(column: str, value: SigmaString) -> Sql | None:
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


def masked(conditions: Sequence[Sql]) -> Sql:
    """A number with a bit for each condition that holds."""
    bits = " + ".join(f"CASE WHEN {one.text} THEN {1 << at} ELSE 0 END" for at, one in enumerate(conditions))
    return Sql(f"CAST({bits} AS BIGINT)", tuple(value for one in conditions for value in one.parameters))
