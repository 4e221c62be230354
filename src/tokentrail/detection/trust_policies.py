"""Whom a trust or resource policy lets in, and what gives all power, as far as a finding needs it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from tokentrail.policy.language.conditions import Condition
from tokentrail.policy.language.documents import EVERY, Document, Statement, names_action, parse
from tokentrail.policy.language.truth import Truth

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


def let_in(text: str | None) -> set[str]:
    """The accounts that a policy allows in, and `*` for anybody; services and identity providers are none."""
    return {account for statement in _allowing(text) for account in _accounts(statement)}


def grants_all(policy: object) -> bool:
    """Whether a policy allows everything, or everything but something; as text, or as what a pipeline made of it."""
    return any(
        statement.actions.inverted or names_action(statement.actions, EVERY) is Truth.YES
        for statement in _allowing(policy)
    )


def _allowing(policy: object) -> Iterator[Statement]:
    document = parse(policy)
    statements = document.statements if isinstance(document, Document) else ()
    return (statement for statement in statements if statement.effect == "Allow")


def _accounts(statement: Statement) -> Iterator[str]:
    for text in statement.principals.aws if statement.principals else ():
        if text == ANYBODY:
            yield from _meant(statement.conditions)
        elif account := account_in(text):
            yield account


def _meant(conditions: Iterable[Condition]) -> set[str]:
    """Whom `*` lets in: an account that a condition names, an organisation's (none), or whoever meets the rest."""
    for condition in conditions:
        if "not" in condition.operator.casefold():
            continue
        found = [account_in(value) for value in condition.values]
        if condition.key in _ORGANISED:
            return set()
        if condition.key in _NAMING and all(found):
            return {account for account in found if account}
    return {ANYBODY}
