"""
A small judge of deny policies, made to differ from the package's own, for what containment plans write.

Sources: "IAM JSON policy elements: Condition operators" and "AWS global condition context keys", IAM User
Guide. What it does not know it refuses with `UnknownPolicy` rather than guess.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

Context = Mapping[str, str]
"""The condition keys that a request carries, by lower-case name; an absent key is not in it."""

KEYS = frozenset(
    key.lower()
    for key in (
        "aws:TokenIssueTime", "aws:userid", "aws:username", "aws:PrincipalArn", "aws:PrincipalType",
        "aws:PrincipalAccount", "aws:SourceIdentity", "aws:SignInSessionArn", "aws:AssumedRoot",
        "identitystore:UserId",
    )
)  # fmt: skip
"""Every condition key whose presence this judge knows for each kind of credential."""

_STATEMENT = frozenset({"Sid", "Effect", "Action", "NotAction", "Resource", "Condition"})
_TRUST = frozenset({"Sid", "Effect", "Principal", "Action", "Condition"})


class UnknownPolicy(ValueError):
    """A policy holds something whose effect this judge does not know."""


def denies(document: str, context: Context, action: str, resource: str) -> bool:
    """Tell whether a policy denies a request outright: any one matching Deny does."""
    return any(
        statement["Effect"] == "Deny" and _applies(statement, context, action, resource)
        for statement in statements(document, _STATEMENT)
    )


def trusts(document: str, context: Context, action: str = "sts:AssumeRole") -> bool:
    """
    Tell whether a role's trust policy lets an AWS principal assume the role.

    "AWS JSON policy elements: Principal": an account stands for all its principals, a role for its sessions.
    """
    found = {
        statement["Effect"]
        for statement in statements(document, _TRUST)
        if _named(statement.get("Principal"), context)
        and any(_glob(text, action, fold=True) for text in listed(statement["Action"]))
        and _conditions(statement, context)
    }
    return found == {"Allow"}


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


@lru_cache(maxsize=65536)
def instant(text: str) -> datetime:
    """Read a date of a condition: ISO 8601 in UTC, with or without fractions."""
    if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|\+00:00)", text):
        raise UnknownPolicy(f"date {text!r}")
    return datetime.fromisoformat(text).astimezone(UTC)


def _applies(statement: dict[str, Any], context: Context, action: str, resource: str) -> bool:
    if ("Action" in statement) == ("NotAction" in statement) or "Resource" not in statement:
        raise UnknownPolicy("a statement needs Resource, and one of Action and NotAction")
    if "Action" in statement:
        covered = any(_glob(text, action, fold=True) for text in listed(statement["Action"]))
    else:
        covered = not any(_glob(text, action, fold=True) for text in listed(statement["NotAction"]))
    return (
        covered
        and any(_glob(text, resource) for text in listed(statement["Resource"]))
        and _conditions(statement, context)
    )


def _named(principal: Any, context: Context) -> bool:
    if principal == "*":
        return True
    if not isinstance(principal, dict) or not set(principal) <= {"AWS", "Service", "Federated"}:
        raise UnknownPolicy(f"principal {principal!r}")
    account, arn = context["aws:principalaccount"], context["aws:principalarn"]
    whole = {"*", account, f"arn:aws:iam::{account}:root", arn}
    return any(one in whole for one in listed(principal.get("AWS", [])))


def _conditions(statement: dict[str, Any], context: Context) -> bool:
    """All operators, and all keys under each, must hold."""
    return all(
        _holds(operator, key.lower(), [str(value) for value in listed(values)], context)
        for operator, tests in statement.get("Condition", {}).items()
        for key, values in tests.items()
    )


def _holds(operator: str, key: str, values: list[str], context: Context) -> bool:
    if key not in KEYS:
        raise UnknownPolicy(f"condition key {key}")
    if any("${" in value for value in values):
        raise UnknownPolicy(f"policy variable in {values}")
    present = context.get(key)
    if operator == "Null":
        return any((present is None) == _truth(value) for value in values)
    set_of_values = operator.startswith("ForAnyValue:")
    name = operator.removeprefix("ForAnyValue:")
    if_exists, name = name.endswith("IfExists"), name.removesuffix("IfExists")
    negated, test = _operator(name)
    if present is None:  # "negated matching operators match when the key is absent"; a set of none has no any
        return if_exists or (negated and not set_of_values)
    return any(test(value, present) for value in values) != negated


Test = Callable[[str, str], bool]


def _operator(name: str) -> tuple[bool, Test]:
    negated = name in ("StringNotEquals", "StringNotLike", "ArnNotEquals", "ArnNotLike")
    plain = name.replace("Not", "", 1) if negated else name
    if plain not in _TESTS:
        raise UnknownPolicy(f"condition operator {name}")
    return negated, _TESTS[plain]


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise UnknownPolicy(f"truth value {text!r}")
    return text.lower() == "true"


def _arn(wanted: str, given: str) -> bool:
    """Compare ARNs: each of the six parts by itself, so that no wildcard reaches over a colon."""
    ours, theirs = wanted.split(":", 5), given.split(":", 5)
    return len(ours) == len(theirs) == 6 and all(map(_glob, ours, theirs))


def _glob(pattern: str, text: str, *, fold: bool = False) -> bool:
    """Match `*` and `?`, nothing else; action names regardless of case."""
    return _expression(pattern, fold).fullmatch(text) is not None


@lru_cache(maxsize=4096)
def _expression(pattern: str, fold: bool) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    text = "".join(parts.get(letter) or re.escape(letter) for letter in pattern)
    return re.compile(text, re.DOTALL | (re.IGNORECASE if fold else 0))


_TESTS: dict[str, Test] = {
    "StringEquals": lambda wanted, given: wanted == given,
    "StringLike": _glob,
    "ArnEquals": _arn,
    "ArnLike": _arn,
    "DateEquals": lambda wanted, given: instant(given) == instant(wanted),
    "DateLessThan": lambda wanted, given: instant(given) < instant(wanted),
    "DateLessThanEquals": lambda wanted, given: instant(given) <= instant(wanted),
    "DateGreaterThan": lambda wanted, given: instant(given) > instant(wanted),
    "DateGreaterThanEquals": lambda wanted, given: instant(given) >= instant(wanted),
    "Bool": lambda wanted, given: _truth(wanted) == _truth(given),
}
"""Each operator as a test of a wanted value against the request's; `ArnEquals` means `ArnLike` to AWS."""
