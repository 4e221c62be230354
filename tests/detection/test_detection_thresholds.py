"""Thresholds of one's own: which numbers are taken, and that none of those ends a run."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from evidence import held
from tokentrail.case import Case
from tokentrail.detection.sigma.reading import SigmaRules, read_rules
from tokentrail.detection.thresholds import Thresholds, _bounds, _defaults
from tokentrail.errors import UsageError
from tokentrail.testing.story import story
from work import some

NAMES = tuple(_defaults())
_AT_ONCE = 8
"""Every so many-th threshold is set in one run: few enough that one hardly hides what another does."""


@pytest.fixture(name="case", scope="module")
def _case() -> Iterator[Case]:
    with held(story().world) as case:
        yield case


@pytest.fixture(name="sigma", scope="module")
def _sigma(tmp_path_factory: pytest.TempPathFactory) -> SigmaRules:
    """A rule that matches, as some thresholds are about such rules alone."""
    folder = tmp_path_factory.mktemp("rules")
    (folder / "read.yml").write_text(
        "title: Read\nlogsource: {product: aws, service: cloudtrail}\n"
        "detection: {s: {eventName: GetObject}, condition: s}\n"
    )
    return read_rules([folder])


def given(folder: Path, text: str) -> Thresholds:
    """Thresholds from a file."""
    (folder / "t.toml").write_text(text)
    return Thresholds.read(folder / "t.toml")


@pytest.mark.parametrize(
    ("line", "allowed"),
    [
        ("deep = 0", "a whole number from 2 to 1,000,000,000,000,000"),
        ("deep = 1", "a whole number from 2 to"),
        ("juggled = 0", "a whole number from 1 to"),
        ("many_secrets = 0", "a whole number from 1 to"),
        ("many_denied = 2.5", "a whole number from 1 to"),
        ("most_events = 0", "a whole number from 1 to 100,000"),
        ("most_credentials = 1000000", "a whole number from 1 to 100,000"),
        ("most_records = nan", "a whole number from 1 to 100,000"),
        ("bulk_bytes = inf", "a number from 0 to 1,000,000,000,000,000"),
        ("before_cut = 1e30", "a number from 0 to 1,000,000,000,000,000"),
        ("propagation = 1e19", "a number from 0 to 1,000,000,000,000,000"),
        ("propagation = 1" + "0" * 400, "a number from 0 to 1,000,000,000,000,000"),
        ("habit_days = 1e300", "a number from 0 to 10,000,000,000"),
        ("dormant = nan", "a number from 0 to 1,000,000,000,000,000"),
        ("dormant = -inf", "a number from 0 to"),
        ("new_for = -1", "a number from 0 to"),
        ("new_for = true", "a number from 0 to"),
        ("new_for = '1'", "a number from 0 to"),
    ],
)
def test_a_number_that_makes_no_sense_is_refused(line: str, allowed: str, tmp_path: Path) -> None:
    """The message has the name, the value and what is allowed; it comes when the file is read."""
    [(name, value)] = tomllib.loads(line).items()
    said = re.escape(f"t.toml: {name} = {value!r} makes no sense: it must be {allowed}")
    with pytest.raises(UsageError, match=said):
        given(tmp_path, line)


@pytest.mark.parametrize("name", NAMES)
def test_the_default_is_one_that_is_taken(name: str, tmp_path: Path) -> None:
    """What TokenTrail judges by itself may stand in a file."""
    value = Thresholds()[name]
    assert given(tmp_path, f"{name} = {value!r}")[name] == value


@pytest.mark.parametrize("first", some(range(_AT_ONCE), 3))
def test_no_number_that_is_taken_ends_a_run(
    first: int, case: Case, sigma: SigmaRules, tmp_path: Path
) -> None:
    """The least and the most that each threshold may be are judged by, some of them at a time, whatever is found."""
    some = {name: list(_bounds(name)) for name in NAMES[first::_AT_ONCE]}
    for place in range(max(map(len, some.values()))):
        lines = [f"{name} = {values[min(place, len(values) - 1)]}" for name, values in some.items()]
        case.detect(thresholds=given(tmp_path, "\n".join(lines)), sigma=sigma)
