"""
A second policy evaluator, for denies and trust policies, written apart from the package's own.

It answers yes or no for a request all of whose condition keys are known. What it does not know it refuses with
`UnknownPolicy` rather than guess.

Sources: IAM User Guide, 'IAM JSON policy elements: Condition operators', 'Set operators for multivalued context keys',
'AWS global condition context keys', 'IAM policy elements: Variables and tags', 'AWS JSON policy elements: Principal'.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache, partial
from typing import Any, NamedTuple

Value = str | tuple[str, ...]
"""What a request carries for a condition key; a tuple for a key that has several values."""
Context = Mapping[str, Value | None]
"""The condition keys that a request carries, by lower-case name; an absent key is not in it, or `None`."""

KEYS = frozenset(
    key.lower()
    for key in (
        "aws:TokenIssueTime", "aws:CurrentTime", "aws:EpochTime", "aws:userid", "aws:username", "aws:PrincipalArn",
        "aws:PrincipalType", "aws:PrincipalAccount", "aws:SourceIdentity", "aws:SignInSessionArn", "aws:AssumedRoot",
        "aws:FederatedProvider", "aws:MultiFactorAuthPresent", "aws:MultiFactorAuthAge", "aws:SourceIp",
        "aws:VpcSourceIp", "aws:SourceVpc", "aws:SourceVpce", "aws:SourceVpcArn", "aws:VpceAccount", "aws:VpceOrgID",
        "aws:VpceOrgPaths", "aws:UserAgent", "aws:RequestedRegion", "aws:SecureTransport", "aws:ViaAWSService",
        "aws:TagKeys", "aws:Ec2InstanceSourceVpc", "aws:Ec2InstanceSourcePrivateIPv4", "ec2:SourceInstanceARN",
        "ec2:RoleDelivery", "identitystore:UserId",
        "aws:OriginIdentity/Subject", "aws:OriginIdentity/Issuer", "sts:ExternalId", "sts:RoleSessionName", "sts:SourceIdentity",
        "sts:TransitiveTagKeys", "sts:DurationSeconds",
    )
)  # fmt: skip
"""The condition keys whose presence is known for each kind of credential and request, tags aside."""
TAGS = ("aws:principaltag/", "aws:requesttag/")
"""How the keys of tags begin."""
MULTIVALUED = frozenset({"aws:tagkeys", "aws:vpceorgpaths", "sts:transitivetagkeys"})
_DATE_KEYS = frozenset({"aws:tokenissuetime", "aws:currenttime", "aws:epochtime"})

_STATEMENT = frozenset({"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"})
_TRUST = frozenset({"Sid", "Effect", "Principal", "Action", "Condition"})


class UnknownPolicy(ValueError):
    """A policy holds something whose effect this evaluator does not know."""


class ConditionTest(NamedTuple):
    """One operator on one condition key."""

    operator: str
    key: str
    """In lower case."""
    values: tuple[str, ...]


def denies(document: str, context: Context, action: str, resource: str) -> bool:
    """Tell whether a policy denies a request outright: any one matching Deny does."""
    return _first(
        (
            partial(_applies, statement, context, action, resource)
            for statement in statements(document, _STATEMENT)
            if statement["Effect"] == "Deny"
        ),
        decisive=True,
    )


def trusts(document: str, context: Context, action: str = "sts:AssumeRole") -> bool:
    """Tell whether a trust policy lets an AWS principal in: an account stands for its principals, a role for sessions."""
    effects = {
        statement["Effect"]
        for statement in statements(document, _TRUST)
        if _names(statement.get("Principal"), context)
        and any(_glob(pattern, action, fold=True) for pattern in listed(statement["Action"]))
        and _all_hold(statement, context)
    }
    return effects == {"Allow"}


def holds(test: ConditionTest, context: Context) -> bool:
    """Tell whether one condition holds for a request."""
    return _holds(test.operator, test.key, test.values, context)


@lru_cache(maxsize=4096)
def conditions_of(document: str, *, trust: bool = False) -> tuple[ConditionTest, ...]:
    """List all conditions of a policy's denies, or of all statements of a trust policy."""
    found = statements(document, _TRUST if trust else _STATEMENT)
    return tuple(test for each in found if trust or each["Effect"] == "Deny" for test in _tests(each))


@lru_cache(maxsize=4096)
def statements(document: str, allowed: frozenset[str]) -> tuple[dict[str, Any], ...]:
    """List a policy's statements, each of which may hold the allowed elements only."""
    policy = json.loads(document)
    if not isinstance(policy, dict) or not set(policy) <= {"Version", "Id", "Statement"}:
        raise UnknownPolicy(f"no policy: {document[:80]}")
    if policy.get("Version") != "2012-10-17":
        raise UnknownPolicy(f"policy version {policy.get('Version')!r}")
    for statement in listed(policy["Statement"]):
        if not set(statement) <= allowed:
            raise UnknownPolicy(f"elements {sorted(set(statement) - allowed)}")
        if statement["Effect"] not in ("Allow", "Deny"):
            raise UnknownPolicy(f"effect {statement['Effect']!r}")
    return tuple(listed(policy["Statement"]))


def listed(value: Any) -> list[Any]:
    """Give a list of what IAM lets stand alone."""
    return value if isinstance(value, list) else [value]


_EPOCH = re.compile(r"\d{5,}(\.\d+)?")
_W3C = re.compile(
    r"(?P<year>\d{4})-(?P<month>\d\d)(-(?P<day>\d\d)"
    r"(T(?P<hour>\d\d):(?P<minute>\d\d)(:(?P<second>\d\d)(\.(?P<fraction>\d{1,6}))?)?"
    r"(?P<zone>Z|[+-]\d\d:\d\d))?)?"
)


@lru_cache(maxsize=65536)
def instant(text: str) -> datetime:
    """
    Read a date of a condition: epoch seconds, or ISO 8601 as the W3C profiles it (a month, a day, a time with a zone).

    Source: IAM User Guide, 'IAM JSON policy elements: Condition operators', 'Date condition operators'. A bare year is
    refused, since it may be meant as epoch seconds.
    """
    if _EPOCH.fullmatch(text):
        return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=float(text))
    found = _W3C.fullmatch(text)
    if found is None:
        raise UnknownPolicy(f"date {text!r}")
    year, month, day, hour, minute, second = (int(found[name] or least) for name, least in _PARTS)
    fraction, zone = int((found["fraction"] or "").ljust(6, "0")), _zone(found["zone"])
    try:
        return datetime(year, month, day, hour, minute, second, fraction, zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise UnknownPolicy(f"date {text!r}") from error


_PARTS = (("year", 1), ("month", 1), ("day", 1), ("hour", 0), ("minute", 0), ("second", 0))


def _zone(text: str | None) -> timezone:
    if text is None or text == "Z":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:])
    return timezone(timedelta(hours=hours, minutes=minutes) * (-1 if text[0] == "-" else 1))


def _applies(statement: dict[str, Any], context: Context, action: str, resource: str) -> bool:
    for name in ("Action", "Resource"):
        if (name in statement) == (f"Not{name}" in statement):
            raise UnknownPolicy(f"a statement needs either {name} or Not{name}")
    return (
        _covers(statement, "Action", lambda pattern: _glob(pattern, action, fold=True))
        and _covers(statement, "Resource", lambda pattern: _matches(_filled(pattern, context), resource))
        and _all_hold(statement, context)
    )


def _covers(statement: dict[str, Any], name: str, matches: Callable[[str], bool]) -> bool:
    if name in statement:
        return any(map(matches, listed(statement[name])))
    return not any(map(matches, listed(statement[f"Not{name}"])))


def _names(principal: Any, context: Context) -> bool:
    if principal == "*":
        return True
    if not isinstance(principal, dict) or not set(principal) <= {"AWS", "Service", "Federated"}:
        raise UnknownPolicy(f"principal {principal!r}")
    account, arn = context["aws:principalaccount"], context["aws:principalarn"]
    whole = {"*", account, f"arn:aws:iam::{account}:root", arn}
    return any(name in whole for name in listed(principal.get("AWS", [])))


def _tests(statement: dict[str, Any]) -> Iterator[ConditionTest]:
    for operator, keys in statement.get("Condition", {}).items():
        for key, values in keys.items():
            texts = (
                str(value).lower() if isinstance(value, bool) else str(value) for value in listed(values)
            )
            yield ConditionTest(operator, key.lower(), tuple(texts))


def _all_hold(statement: dict[str, Any], context: Context) -> bool:
    """All operators, and all keys under each, must hold."""
    return _first((partial(holds, test, context) for test in _tests(statement)), decisive=False)


def _first(answers: Iterable[Callable[[], bool]], *, decisive: bool) -> bool:
    """Tell whether any answer is decisive; one that is not known matters only where none is."""
    unknown: UnknownPolicy | None = None
    for answer in answers:
        try:
            if answer() is decisive:
                return decisive
        except UnknownPolicy as error:
            unknown = error
    if unknown is not None:
        raise unknown
    return not decisive


@dataclass(frozen=True, slots=True)
class _Operator:
    """An operator's name taken apart."""

    name: str
    """Without the parts below: the operator of which a negated one is the negation."""
    negated: bool
    if_exists: bool
    quantifier: str
    """`ForAllValues`, `ForAnyValue` or nothing."""


@lru_cache(maxsize=1024)
def _operator(text: str) -> _Operator:
    quantifier, _, name = text.rpartition(":")
    bare = name.removesuffix("IfExists")
    plain = bare.replace("Not", "", 1)
    if quantifier not in ("", "ForAllValues", "ForAnyValue") or plain not in _COMPARISONS:
        raise UnknownPolicy(f"condition operator {text}")
    if plain != bare and plain not in _NEGATABLE:
        raise UnknownPolicy(f"condition operator {text}")
    return _Operator(plain, plain != bare, name != bare, quantifier)


def _holds(operator: str, key: str, values: tuple[str, ...], context: Context) -> bool:
    if key not in KEYS and not key.startswith(TAGS):
        raise UnknownPolicy(f"condition key {key}")
    present = context.get(key)
    if operator == "Null":
        return any((not present) == _truth(value) for value in values)
    asked = _operator(operator)
    _check_types(asked, key)
    if not present:
        return _without_key(asked)
    return _present_holds(asked, values, (present,) if isinstance(present, str) else present, context)


def _present_holds(
    asked: _Operator, values: tuple[str, ...], present: Sequence[str], context: Context
) -> bool:
    if not asked.quantifier and len(present) > 1:
        raise UnknownPolicy(f"several values without a set operator: {present}")
    results = [_any_matches(asked, values, value, context) != asked.negated for value in present]
    return any(results) if asked.quantifier == "ForAnyValue" else all(results)


def _without_key(asked: _Operator) -> bool:
    """Judge an absent key: negated operators match, `IfExists` and `ForAllValues` do, `ForAnyValue` does not."""
    if asked.if_exists and asked.quantifier == "ForAnyValue":
        raise UnknownPolicy("ForAnyValue is to fail where the key is absent, and IfExists to hold")
    if asked.if_exists or asked.quantifier == "ForAllValues":
        return True
    return asked.negated and not asked.quantifier


def _check_types(asked: _Operator, key: str) -> None:
    """Refuse to compare a date as anything but a date: AWS does not tell how it reads as text."""
    numeric = key == "aws:epochtime" and asked.name.startswith("Numeric")
    if key in _DATE_KEYS and not asked.name.startswith("Date") and not numeric:
        raise UnknownPolicy(f"{asked.name} of {key}")


def _any_matches(asked: _Operator, values: tuple[str, ...], present: str, context: Context) -> bool:
    return _first(
        (partial(_value_matches, asked, value, present, context) for value in values), decisive=True
    )


def _value_matches(asked: _Operator, value: str, present: str, context: Context) -> bool:
    """Compare one value of a policy; a variable whose key is absent matches nothing, negations of that aside."""
    if "${" in value and not asked.name.startswith(("String", "Arn")):
        raise UnknownPolicy(f"policy variable in {value}")
    pieces = _filled(value, context)
    if pieces is None and asked.negated:
        raise UnknownPolicy("the negation of a variable whose key is absent")
    return pieces is not None and _COMPARISONS[asked.name](pieces, present)


class _Piece(NamedTuple):
    """A part of a policy's value."""

    text: str
    literal: bool
    """Whether `*` and `?` in it are no wildcards, since a variable gave them."""


Pieces = tuple[_Piece, ...]
_VARIABLE = re.compile(r"\$\{([^}]*)\}")


def _filled(pattern: str, context: Context) -> Pieces | None:
    """Put in the values of a text's variables; `None` if one has neither value nor default."""
    if "${" not in pattern:
        return (_Piece(pattern, literal=False),)
    pieces = []
    for number, part in enumerate(_VARIABLE.split(pattern)):
        if number % 2 == 0:
            pieces.append(_Piece(part, literal=False))
            continue
        value = _variable(part, context)
        if value is None:
            return None
        pieces.append(_Piece(value, literal=True))
    return tuple(pieces)


def _variable(inside: str, context: Context) -> str | None:
    if inside in ("*", "?", "$"):
        return inside
    name, comma, default = inside.partition(",")
    key = name.strip().lower()
    value = context.get(key)
    if (key not in KEYS and not key.startswith(TAGS)) or (key in _DATE_KEYS and value):
        raise UnknownPolicy(f"policy variable {inside}")
    if isinstance(value, tuple):
        raise UnknownPolicy(f"policy variable of several values: {inside}")
    if value is None and comma:
        return default.strip().removeprefix("'").removesuffix("'")
    return value


def _text(pieces: Pieces) -> str:
    return "".join(piece.text for piece in pieces)


def _matches(pieces: Pieces | None, text: str) -> bool:
    return pieces is not None and _expression_of(pieces).fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _expression_of(pieces: Pieces) -> re.Pattern[str]:
    parts = (re.escape(piece.text) if piece.literal else _wildcards(piece.text) for piece in pieces)
    return re.compile("".join(parts), re.DOTALL)


def _wildcards(pattern: str) -> str:
    parts = {"*": ".*", "?": "."}
    return "".join(parts.get(letter) or re.escape(letter) for letter in pattern)


def _glob(pattern: str, text: str, *, fold: bool = False) -> bool:
    """Match `*` and `?`, nothing else; action names regardless of case."""
    return _expression(pattern, fold).fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _expression(pattern: str, fold: bool) -> re.Pattern[str]:
    return re.compile(_wildcards(pattern), re.DOTALL | (re.IGNORECASE if fold else 0))


def _arn(pieces: Pieces, given: str) -> bool:
    """Compare ARNs: each of the six parts by itself, so that no wildcard reaches over a colon."""
    marked = "".join(piece.text if not piece.literal else _escaped(piece.text) for piece in pieces)
    ours, theirs = marked.split(":", 5), given.split(":", 5)
    if len(ours) < 6 and ("*" in marked or "?" in marked):
        raise UnknownPolicy(f"no ARN: {marked}")
    return len(ours) == len(theirs) == 6 and all(map(_arn_part, ours, theirs))


_LITERALS = {"*": "\ue000", "?": "\ue001"}


def _escaped(text: str) -> str:
    """Stand private characters in for wildcards that a variable gave, until ARNs are split into parts."""
    return "".join(_LITERALS.get(letter, letter) for letter in text)


def _arn_part(pattern: str, text: str) -> bool:
    return _glob(pattern, _escaped(text) if "\ue000" in pattern or "\ue001" in pattern else text)


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise UnknownPolicy(f"truth value {text!r}")
    return text.lower() == "true"


def _number(text: str) -> float:
    if not re.fullmatch(r"-?\d+(\.\d+)?", text):
        raise UnknownPolicy(f"number {text!r}")
    return float(text)


def _in_network(wanted: str, given: str) -> bool:
    try:
        return ipaddress.ip_address(given) in ipaddress.ip_network(wanted, strict=False)
    except ValueError as error:
        raise UnknownPolicy(f"addresses {wanted!r}, {given!r}") from error


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError as error:
        raise UnknownPolicy(f"bytes {text!r}") from error


Comparison = Callable[[Pieces, str], bool]
_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": lambda given, wanted: given == wanted,
    "LessThan": lambda given, wanted: given < wanted,
    "LessThanEquals": lambda given, wanted: given <= wanted,
    "GreaterThan": lambda given, wanted: given > wanted,
    "GreaterThanEquals": lambda given, wanted: given >= wanted,
}


def _ordered(read: Callable[[str], Any], order: Callable[[Any, Any], bool]) -> Comparison:
    return lambda wanted, given: order(read(given), read(_text(wanted)))


_COMPARISONS: dict[str, Comparison] = {
    "StringEquals": lambda wanted, given: _text(wanted) == given,
    "StringEqualsIgnoreCase": lambda wanted, given: _text(wanted).lower() == given.lower(),
    "StringLike": _matches,
    "ArnEquals": _arn,
    "ArnLike": _arn,
    "Bool": lambda wanted, given: _truth(_text(wanted)) == _truth(given),
    "BinaryEquals": lambda wanted, given: _bytes(_text(wanted)) == _bytes(given),
    "IpAddress": lambda wanted, given: _in_network(_text(wanted), given),
    **{f"Date{name}": _ordered(instant, order) for name, order in _ORDERS.items()},
    **{f"Numeric{name}": _ordered(_number, order) for name, order in _ORDERS.items()},
}
"""Each operator as a comparison of a policy's value with a request's; `ArnEquals` means `ArnLike` to AWS."""
_NEGATABLE = frozenset(
    {
        "StringEquals", "StringEqualsIgnoreCase", "StringLike", "ArnEquals", "ArnLike", "IpAddress", "DateEquals",
        "NumericEquals",
    }
)  # fmt: skip
