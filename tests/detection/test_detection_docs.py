"""The catalogue is complete, and documented as it is."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import tokentrail.detection.rules
from tokentrail.detection.catalogue import CATALOGUE
from tokentrail.detection.model import SEVERITIES, Rule
from tokentrail.detection.thresholds import Thresholds

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))
from rules_page import catalogue, parts  # noqa: E402

SOURCES = {
    path.stem.replace("_", "-"): path.read_text()
    for path in Path(str(tokentrail.detection.rules.__file__)).parent.glob("*.py")
    if path.stem != "__init__"
}
DAYS = re.compile(r"\b86_400 \* (?:context\.thresholds|bars)\[\"\w+_days\"\]")
"""Days that have a name, in seconds."""
READ = re.compile(r"(?:thresholds|bars)(?:\.whole\(|\[)\"(\w+)\"")
UNIVERSAL = {"most_events"}
"""Thresholds of what any finding lists, whatever its rule."""


def judging(source: str) -> str:
    """The part of a rule's file that judges, which comes before the one that describes it."""
    return source.partition("\nRULE = ")[0]


def spans(source: str) -> list[str]:
    """Lengths of time that have no name: whole minutes in seconds, and what SQL and Python have for them."""
    bare = DAYS.sub("", judging(source))
    numbers = re.findall(r"(?<![\w.])\d[\d_]*(?!\w|\.\d)", bare)
    return [one for one in numbers if int(one) and not int(one) % 60] + re.findall(
        r"\bINTERVAL\b|\btimedelta\b", bare, re.IGNORECASE
    )


def test_every_file_is_a_rule_of_the_catalogue() -> None:
    """The file's name is the rule's id, and each file is listed once."""
    assert sorted(one.id for one in CATALOGUE) == sorted(SOURCES)


@pytest.mark.parametrize("rule", CATALOGUE, ids=lambda rule: rule.id)
def test_a_rule_says_all_that_a_reader_needs(rule: Rule) -> None:
    """Title, severity, techniques, why, how to tell a false alarm, and where it is from."""
    assert rule.title and not rule.title.endswith(".")
    assert rule.severity in SEVERITIES
    assert rule.attack and all(re.fullmatch(r"T\d{4}(\.\d{3})?", one) for one in rule.attack)
    assert len(rule.why) > 40 and len(rule.false_alarm) > 40
    assert rule.references
    assert Thresholds().shown(rule.thresholds)[: len(rule.thresholds)] or not rule.thresholds


@pytest.mark.parametrize("rule", SOURCES)
def test_a_rule_judges_by_no_number_of_seconds_without_a_name(rule: str) -> None:
    """A length of time stands in thresholds.toml, where its user can change it, and nowhere in a rule."""
    assert spans(SOURCES[rule]) == []


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ('"WHERE d.first >= k.time - 86400"', ["86400"]),
        ("late = time + 3_600", ["3_600"]),
        ("late = time + 5 * 60", ["60"]),
        ('"WHERE k.expires_at > c.done_at + 300"', ["300"]),
        ('"WHERE k.time > c.time + INTERVAL 1 HOUR"', ["INTERVAL"]),
        ("late = time + timedelta(hours=1)", ["timedelta"]),
        ('since = first + 86_400 * context.thresholds["new_for"]', ["86_400"]),
        ('since = first + int(86_400 * context.thresholds["habit_days"])', []),
        ("later = turns[place + 1]", []),
        ('x\nRULE = Rule(why="3600 seconds")', []),
    ],
)
def test_a_number_of_seconds_is_seen(line: str, found: list[str]) -> None:
    """In SQL and in Python, however it is spelled; days that have a name may be made seconds."""
    assert spans(line) == found


@pytest.mark.parametrize("rule", CATALOGUE, ids=lambda rule: rule.id)
def test_a_rule_lists_the_thresholds_that_it_reads(rule: Rule) -> None:
    """What its file asks for is among the thresholds that the page has for it."""
    assert set(READ.findall(judging(SOURCES[rule.id]))) - UNIVERSAL <= set(rule.thresholds)


def test_the_page_is_that_of_the_rules() -> None:
    """docs/rules.md holds the catalogue as it is; `just rules-page` writes it."""
    assert parts()[1] == catalogue()


def test_the_guide_is_short() -> None:
    """What a responder reads about detection takes a few minutes; the catalogue and notes for writers stand apart."""
    assert len((ROOT / "docs" / "detection.md").read_text().split()) <= 1_500
