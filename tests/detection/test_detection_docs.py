"""The catalogue is complete, and documented as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from catalogue_page import catalogue, parts

import tokentrail.detection.rules
from tokentrail.detection.catalogue import CATALOGUE
from tokentrail.detection.model import SEVERITIES, Rule
from tokentrail.detection.thresholds import Thresholds

FILES = {
    path.stem.replace("_", "-") for path in Path(str(tokentrail.detection.rules.__file__)).parent.glob("*.py")
} - {"--init--"}


def test_every_file_is_a_rule_of_the_catalogue() -> None:
    """The file's name is the rule's id, and each file is listed once."""
    assert sorted(one.id for one in CATALOGUE) == sorted(FILES)


@pytest.mark.parametrize("rule", CATALOGUE, ids=lambda rule: rule.id)
def test_a_rule_says_all_that_a_reader_needs(rule: Rule) -> None:
    """Title, severity, techniques, why, how to tell a false alarm, and where it is from."""
    assert rule.title and not rule.title.endswith(".")
    assert rule.severity in SEVERITIES
    assert rule.attack and all(re.fullmatch(r"T\d{4}(\.\d{3})?", one) for one in rule.attack)
    assert len(rule.why) > 40 and len(rule.false_alarm) > 40
    assert rule.references
    assert Thresholds().shown(rule.thresholds)[: len(rule.thresholds)] or not rule.thresholds


def test_the_page_is_that_of_the_rules() -> None:
    """docs/detection.md holds the catalogue as it is; `python tests/detection/catalogue_page.py` writes it."""
    assert parts()[1] == catalogue()
