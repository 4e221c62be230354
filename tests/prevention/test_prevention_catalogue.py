"""The catalogue of guardrails and checks is complete, and documented as it is."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from guards_page import catalogue, parts

import tokentrail.prevention.checks
import tokentrail.prevention.guardrails
from tokentrail.detection.model import SEVERITIES
from tokentrail.prevention.catalogue import CHECKS, GUARDRAILS
from tokentrail.prevention.model import STAGES
from tokentrail.prevention.rule import Check, GuardrailRule


def files(package: object) -> list[str]:
    """The files of a package, as ids."""
    folder = Path(str(package.__file__)).parent  # type: ignore[attr-defined]
    return sorted(path.stem.replace("_", "-") for path in folder.glob("*.py") if path.stem != "__init__")


def test_every_check_is_in_the_catalogue() -> None:
    """The file's name is the id, and each file is listed once."""
    assert files(tokentrail.prevention.checks) == sorted(one.id for one in CHECKS)


def test_every_guardrail_is_in_the_catalogue() -> None:
    """Each guardrail of each file is listed once."""
    modules = [
        import_module(f"{tokentrail.prevention.guardrails.__name__}.{name.replace('-', '_')}")
        for name in files(tokentrail.prevention.guardrails)
    ]
    there = [one.id for each in modules for one in vars(each).values() if isinstance(one, GuardrailRule)]

    assert sorted(there) == sorted(one.id for one in GUARDRAILS)


@pytest.mark.parametrize("maker", GUARDRAILS, ids=lambda one: one.id)
def test_a_guardrail_says_all_that_a_reader_needs(maker: GuardrailRule) -> None:
    """Title, what it prevents and what not, its effort, and where it is from."""
    words = maker.words
    assert words.title and not words.title.endswith(".")
    assert len(words.prevents) > 40 and len(words.limits) > 20
    assert words.stage in STAGES
    assert maker.references


@pytest.mark.parametrize("check", CHECKS, ids=lambda one: one.id)
def test_a_check_says_all_that_a_reader_needs(check: Check) -> None:
    """Title, severity, the attack, what it looks at, what keeps it quiet, and where it is from."""
    assert check.title and not check.title.endswith(".")
    assert check.severity in SEVERITIES
    assert len(check.attack) > 40 and len(check.blocked) > 20 and check.needs
    assert check.references


def test_the_page_is_that_of_the_catalogue() -> None:
    """docs/prevention.md holds the catalogue as it is; `python tests/prevention/guards_page.py` writes it."""
    assert parts()[1] == catalogue()
