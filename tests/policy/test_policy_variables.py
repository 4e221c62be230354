"""Policy variables."""

from __future__ import annotations

import pytest

from tokentrail.policy.language.context import Context, Known, Presence
from tokentrail.policy.language.wildcard import Glob, Unresolved, resolved

CONTEXT: Context = {
    "aws:username": ("ria",),
    "aws:principaltag/team": Presence.ABSENT,
    "aws:tagkeys": ("a", "b"),
    "aws:ec2instancesourcevpc": Presence.PRESENT,
}


def literal(pattern: str, *, wildcards: bool = False) -> str | None:
    """Resolve a pattern that should come out as a text."""
    found = resolved(pattern, CONTEXT, wildcards=wildcards, variables=True)
    assert isinstance(found, Glob)
    return found.literal


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("home/${aws:username}/x", "home/ria/x"),
        ("${AWS:UserName}", "ria"),
        ("${aws:PrincipalTag/team, 'nobody'}", "nobody"),
        ("${aws:username, 'nobody'}", "ria"),
        ("${*}${?}${$}", "*?$"),
        ("${}", "${}"),
        ("$ {aws:username}", "$ {aws:username}"),
    ],
)
def test_variables_are_replaced(pattern: str, expected: str) -> None:
    """Keys are found without case, defaults stand in for absent keys, and escapes mean themselves."""
    assert expected == literal(pattern)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("${aws:PrincipalTag/team}", Unresolved.ABSENT),
        ("${aws:SourceIp}", Unresolved.UNKNOWN),
        ("${aws:Ec2InstanceSourceVpc}", Unresolved.UNKNOWN),
        ("${aws:TagKeys}", Unresolved.UNKNOWN),
    ],
)
def test_what_can_not_be_replaced_says_why(pattern: str, why: Unresolved) -> None:
    """An absent key without default, an unknown key, and a key with several values can't be put in."""
    assert why is resolved(pattern, CONTEXT, wildcards=True, variables=True)


def test_what_stands_beside_a_variable_keeps_its_wildcards() -> None:
    """Only what the variable stands for means itself."""
    found = resolved("home/${aws:username}/*", CONTEXT, wildcards=True, variables=True)

    assert isinstance(found, Glob)
    assert (True, False) == (found.matches("home/ria/x"), found.matches("home/ada/x"))


def test_old_documents_mean_variables_literally() -> None:
    """Before version 2012-10-17 there are no variables."""
    found = resolved("${aws:username}", CONTEXT, wildcards=False, variables=False)

    assert isinstance(found, Glob)
    assert found.literal == "${aws:username}"


def test_a_value_put_in_has_no_wildcards() -> None:
    """A star in the value of a key is a star, whoever chose that value."""
    context: dict[str, Known] = {"aws:username": ("*",)}
    found = resolved("x/${aws:username}", context, wildcards=True, variables=True)

    assert isinstance(found, Glob)
    assert found.matches("x/*")
    assert not found.matches("x/y")
