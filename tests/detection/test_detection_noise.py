"""An ordinary week of a company that moves about, hops and automates is quiet."""

from __future__ import annotations

import random
from collections import Counter
from datetime import timedelta

import pytest
from rule_cases import ELSEWHERE, TOOL

from evidence import held
from noisy_company import START, NoisyCompany
from tokentrail.testing import World
from tokentrail.testing.company import PRODUCTION, Company


def test_a_noisy_week_has_one_low_finding() -> None:
    """7,000 events of runners, laptops, gateways, chains, exports and audits: the rotated key is told, at low severity."""
    with held(NoisyCompany().works()) as case:
        found = case.detect()

    assert [(one.rule, one.severity) for one in found] == [("outlived-key", "low")]
    assert "rotated" in found[0].why


@pytest.mark.long
@pytest.mark.parametrize("seed", random.Random(7).sample(range(1000), 8))
def test_other_noisy_weeks_are_as_quiet(seed: int) -> None:
    """Whatever addresses and moments chance gives, nothing above low severity is found."""
    with held(NoisyCompany(seed).works()) as case:
        found = case.detect()

    assert Counter((one.rule, one.severity) for one in found) == {("outlived-key", "low"): 1}


@pytest.mark.long
@pytest.mark.parametrize("seed", [7, 2026])
def test_five_ordinary_days_have_no_finding_and_no_strong_lead(seed: int) -> None:
    """31,000 events of the builder's company, with nobody in it who does wrong: nothing is found."""
    world = World(START, seed, account=PRODUCTION)
    for day in range(5):
        midnight = START + timedelta(days=day)
        Company(world, midnight, midnight + timedelta(days=1), seed + day).works()
    with held(world) as case:
        assert case.detect() == ()
        assert not [lead for lead in case.leads() if lead.strong]


def test_a_theft_in_a_noisy_week_stands_out() -> None:
    """The same week with a stolen key in it: the thief's findings come on top, and no others with them."""
    company = NoisyCompany(days=4)
    world = company.works()
    thief = world.user("ada").seen_from(ELSEWHERE, TOOL)
    thief.gets_session_token(duration=129600).assumes("Developer", "ada").calls("s3:ListBuckets")
    with held(world) as case:
        found = case.detect(min_severity="medium")

    assert {one.rule for one in found} >= {"session-token-back-door", "token-mints-tokens"}
    assert {one.subject for one in found} == {thief.key_id}
