"""Each kind of assumption and risk has its sentence, and sentences of many that say the same are cut."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import tokentrail.containment
from tokentrail.containment.incident.assumption import Assumption
from tokentrail.containment.proof.assumption_sentences import KINDS, sentence, sentences

PACKAGE = Path(str(tokentrail.containment.__file__)).parent


def texts(*, of_assumptions: bool) -> Iterator[str]:
    """The texts of the package's code, or only those that name the kind of an assumption."""
    for path in PACKAGE.rglob("*.py"):
        if path.name == "assumption_sentences.py":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and not of_assumptions:
                yield node.value
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "Assumption.of":
                kind = node.args[0]
                named = (kind.body, kind.orelse) if isinstance(kind, ast.IfExp) else (kind,)
                yield from (str(one.value) for one in named if isinstance(one, ast.Constant))


def test_each_kind_that_is_assumed_has_a_sentence() -> None:
    """No plan fails for want of words."""
    assert set(texts(of_assumptions=True)) <= KINDS


def test_each_sentence_is_of_a_kind_that_is_assumed() -> None:
    """No sentence is left of what nothing assumes any more."""
    assert set(texts(of_assumptions=False)) >= KINDS


def test_of_many_the_first_are_spelled_and_the_rest_named() -> None:
    """Six have a sentence of their own."""
    doubts = [Assumption.of("doubt", f"ASIA{n}", f"ASIA{n}", why="why") for n in range(8)]

    found = sentences(doubts)

    assert 7 == len(found)
    assert "the same is so of 2 more: ASIA6, ASIA7" == found[-1]
    assert "(`tokentrail contain ASIA0` does)" in found[0]


def test_different_groups_are_cut_each_by_itself() -> None:
    """Six doubts and six sessions that may be the attacker's are twelve sentences."""
    doubts = [Assumption.of("doubt", f"ASIA{n}", why="why") for n in range(6)]
    possible = [Assumption.of("possible", f"ASIA{n}", why="why") for n in range(6)]

    assert 12 == len(sentences([*doubts, *possible]))


def test_fields_are_spelled_by_what_they_are() -> None:
    """Times to the second, lists cut, and words by how many there are."""
    time = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

    assert "at 2026-01-02T03:04:05Z is not" in sentence(Assumption.of("reactivated", "A", "e", time=time))
    assert "calls of its user" in sentence(Assumption.of("api_key", keys=("A",)))
    assert "calls of their user" in sentence(Assumption.of("api_key", keys=("A", "B")))
    assert "the 1 gap of" in sentence(Assumption.of("silent_hours", gaps=1))
    assert "the 2 gaps of" in sentence(Assumption.of("silent_hours", gaps=2))
    assert "accounts 1, 2:" in sentence(Assumption.of("no_access", accounts=("1", "2")))
    calls = tuple(f"s3:Get{n}" for n in range(14))
    assert "s3:Get11, and 2 more that `tokentrail trace` lists under `apis`" in sentence(
        Assumption.of("unknown_call", calls=calls)
    )
    assert "--role-name='a b'" in sentence(Assumption.of("service_linked", "arn:x", name="a b"))


def test_text_from_a_log_is_no_template() -> None:
    """A brace in a name stays what it is."""
    assert "{0}{calls}" in sentence(Assumption.of("left_behind", "{0}{calls}", what="a role", calls=("x",)))
