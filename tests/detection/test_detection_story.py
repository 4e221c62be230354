"""The story: the right findings, in the right order, and nothing about anybody else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from evidence import held
from tokentrail.case import Case
from tokentrail.detection.model import Finding
from tokentrail.present.document import document
from tokentrail.present.text.findings_text import worst_first
from tokentrail.testing.story import Story, story

EXPECTED = [
    ("two-networks", "high", "A"),
    ("session-token-back-door", "critical", "AB"),
    ("bulk-read", "high", "ACDE"),
    ("minted-before-the-cut", "high", "ABC"),
    ("outlived-key", "critical", "ABCDE"),
    ("minted-again", "critical", "ACDE"),
    ("token-mints-tokens", "high", "ABDE"),
]
"""Rule, severity, and the letters of the credentials, by time."""


@pytest.fixture(name="told", scope="module")
def _told() -> Story:
    return story()


@pytest.fixture(name="case", scope="module")
def _case(told: Story) -> Iterator[Case]:
    with held(told.world) as case:
        yield case


def letters(told: Story, found: tuple[Finding, ...]) -> list[tuple[str, str, str]]:
    """Rule, severity and letters of findings; a credential without a letter is shown as it is."""
    names = {key: letter for letter, key in told.key_ids.items()}
    return [
        (one.rule, one.severity, "".join(sorted(names.get(id, f"<{id}>") for id in one.credentials)))
        for one in found
    ]


def test_the_story_is_found_and_nothing_else(told: Story, case: Case) -> None:
    """Seven findings tell it, all of them under the leaked key; colleagues, pipelines and machines are in none."""
    found = case.detect()

    assert sorted(letters(told, found)) == sorted(EXPECTED)
    assert {one.subject for one in found} == {told.a.key_id}
    assert {one.next for one in found} == {f"tokentrail contain {told.a.key_id}"}
    assert list(found) == sorted(found, key=lambda one: (one.time, one.id))
    assert worst_first(found)[0].severity == "critical"


@pytest.mark.parametrize(
    ("moment", "rules"),
    [
        ("leaked", set()),
        ("c_minted", {"session-token-back-door"}),
        (
            "key_deactivated",
            {"session-token-back-door", "two-networks", "minted-before-the-cut", "bulk-read"},
        ),
    ],
)
def test_each_turn_has_its_findings(told: Story, case: Case, moment: str, rules: set[str]) -> None:
    """As of each turn, what could be known then is found, and no more."""
    when: datetime = getattr(told.moments, moment)

    assert {one.rule for one in case.detect(as_of=when)} == rules


def test_the_escape_is_found_within_a_second(told: Story, case: Case) -> None:
    """As soon as D is minted, the return to the revoked role and the token that mints are found."""
    found = {one.rule for one in case.detect(as_of=told.moments.d_minted + timedelta(seconds=1))}

    assert {"minted-again", "token-mints-tokens", "outlived-key"} <= found


def test_addresses_are_the_attackers_and_the_owners_alone(told: Story, case: Case) -> None:
    """A finding about what outlived a responder's step does not list the responder's address."""
    addresses = {one.rule: [each.ip for each in one.addresses] for one in case.detect()}

    assert addresses["minted-again"] == ["198.51.100.23"]
    assert set(addresses["outlived-key"]) == {"203.0.113.77", "198.51.100.23"}
    assert all(addresses.values())


def test_output_is_the_same_every_time(case: Case) -> None:
    """The same evidence gives the same bytes."""
    once, again = ([json.dumps(document(one)) for one in case.detect()] for _ in range(2))

    assert once == again


def test_a_bar_leaves_out_what_is_less(case: Case) -> None:
    """`min_severity` and `rules` narrow what is answered."""
    assert {one.severity for one in case.detect(min_severity="critical")} == {"critical"}
    assert {one.rule for one in case.detect(rules=["bulk-read"])} == {"bulk-read"}


def test_an_ordinary_day_is_quiet() -> None:
    """A day without a theft has no finding at all."""
    from datetime import UTC

    from tokentrail.testing import World
    from tokentrail.testing.company import PRODUCTION, Company

    start = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)
    world = World(start, 7, account=PRODUCTION)
    Company(world, start, start + timedelta(hours=14), 7).works()
    with held(world) as case:
        assert case.detect() == ()
