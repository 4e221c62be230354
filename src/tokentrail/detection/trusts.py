"""Whom a trust or resource policy lets in, and what gives all power, as far as a finding needs it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

_ACCOUNT = re.compile(r"^(?:arn:[\w-]+:(?:iam|sts)::)?(\d{12})(?::|$)")
ANYBODY = "*"
_NAMING = frozenset({"aws:principalaccount", "aws:principalarn"})
_ORGANISED = frozenset({
    "aws:principalorgid", "aws:principalorgpaths", "aws:sourcevpc", "aws:sourcevpce", "aws:vpceorgid",
    "aws:vpceorgpaths", "aws:vpceaccount",
})  # fmt: skip
"""
Keys that tell whose a caller is; all others (an external id, an address, a session's name) anybody can meet.

Source: IAM User Guide, 'AWS global condition context keys'.
"""


def account_in(principal: str) -> str | None:
    """The account that a principal names or lies in, in whatever partition."""
    found = _ACCOUNT.match(principal)
    return found[1] if found else None


def let_in(document: str | None) -> set[str]:
    """The accounts that a policy allows in, and `*` for anybody; services and identity providers are none."""
    try:
        read = json.loads(unquote(document) if document and document.startswith("%") else document or "{}")
    except ValueError:
        return set()
    found: set[str] = set()
    for statement in _listed(read.get("Statement") if isinstance(read, dict) else None):
        if isinstance(statement, dict) and statement.get("Effect") == "Allow":
            found |= set(_accounts(statement))
    return found


def grants_all(document: Any) -> bool:
    """Whether a policy allows everything, or everything but something; as text, or as what a pipeline made of it."""
    try:
        read = json.loads(document) if isinstance(document, str) else document
    except ValueError:
        return False
    statements = _listed(read.get("Statement") if isinstance(read, dict) else None)
    return any(_gives_all(one) for one in statements if isinstance(one, dict))


def _gives_all(statement: dict[str, Any]) -> bool:
    return statement.get("Effect") == "Allow" and (
        any(one in ("*", "*:*") for one in _listed(statement.get("Action"))) or "NotAction" in statement
    )


def _accounts(statement: dict[str, Any]) -> Iterator[str]:
    principal = statement.get("Principal")
    named = principal.get("AWS") if isinstance(principal, dict) else principal
    for one in _listed(named):
        if one == ANYBODY:
            yield from _meant(statement.get("Condition"))
        elif isinstance(one, str) and (account := _ACCOUNT.match(one)):
            yield account[1]


def _meant(condition: Any) -> set[str]:
    """Whom `*` lets in: an account that a condition names, an organisation's (none), or whoever meets the rest."""
    for operator, keys in condition.items() if isinstance(condition, dict) else ():
        if "not" in operator.lower() or not isinstance(keys, dict):
            continue
        for key, values in keys.items():
            found = [_ACCOUNT.match(one) for one in _listed(values) if isinstance(one, str)]
            if key.lower() in _ORGANISED or (key.lower() in _NAMING and all(found)):
                return {one[1] for one in found if one} if key.lower() in _NAMING else set()
    return {ANYBODY}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]
