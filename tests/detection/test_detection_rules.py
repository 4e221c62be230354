"""Each rule finds what it is for, and leaves alone what is near it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from detection_cases import FIRES, HABITS, SPARES, Act, world

from evidence import START, held
from tokentrail.detection.catalogue import CATALOGUE
from tokentrail.detection.model import Finding


def found(act: Act, rule: str) -> tuple[Finding, ...]:
    """What a rule finds in what happens."""
    place = world()
    act(place)
    with held(place) as case:
        return case.detect(rules=[rule])


def cases(table: dict[str, list[Act]]) -> list[pytest.param]:
    """Every case by the name of its rule and its own."""
    return [
        pytest.param(rule, act, id=f"{rule}-{act.__name__}") for rule, acts in table.items() for act in acts
    ]


@pytest.mark.parametrize(("rule", "act"), cases(FIRES))
def test_a_rule_finds_what_it_is_for(rule: str, act: Act) -> None:
    """It tells one story, names whom to start from, the evidence, and the command that answers it."""
    (one,) = found(act, rule)

    assert one.rule == rule
    assert one.subject in one.credentials
    assert one.next == f"tokentrail contain {one.subject}"
    assert one.events and one.count >= 1
    assert one.principals and one.accounts
    assert one.why.endswith(".")


@pytest.mark.parametrize(("rule", "act"), cases(SPARES))
def test_a_rule_leaves_near_things_alone(rule: str, act: Act) -> None:
    """What is ordinary is no finding."""
    assert found(act, rule) == ()


@pytest.mark.parametrize(("rule", "act"), cases(HABITS))
def test_a_habit_grows_from_the_case(rule: str, act: Act) -> None:
    """What was done on earlier days is a habit: it is found on its first day alone."""
    (one,) = found(act, rule)

    assert one.time < START + timedelta(days=1)


@pytest.mark.parametrize("rule", [one.id for one in CATALOGUE])
def test_every_rule_has_both_kinds_of_cases(rule: str) -> None:
    """No rule is without a case that fires and one that must not."""
    assert FIRES[rule] and SPARES[rule]


@pytest.mark.parametrize(
    "endpoint", ["<script>x</script>", "\x1b[31m\u202e", "vpce-" + "a" * 10_000, "", None]
)
def test_an_endpoint_that_is_none_is_not_repeated(endpoint: str | None) -> None:
    """What stands in a record's `vpcEndpointId` is told only if it is the name of one; the finding stands."""
    place = world()
    place.user("ada").calls("s3:ListBuckets", vpc_endpoint=endpoint, endpoint_account="666677778888")
    with held(place) as case:
        (one,) = case.detect(rules=["strange-endpoint"])

    assert "through a VPC endpoint of account 666677778888" in one.why
    assert not endpoint or endpoint not in one.why


@pytest.mark.parametrize(
    "owner", [["666677778888"], {"id": 1}, True, "6" * 10_000, "666677778888\n", "=1+1", ""]
)
def test_an_owner_that_is_no_account_is_none(owner: object) -> None:
    """A damaged `vpcEndpointAccountId` accuses nobody, and costs no record."""
    place = world()
    place.user("ada").calls("s3:ListBuckets", vpc_endpoint="vpce-0a1b2c3d", endpoint_account="666677778888")
    records = [one | {"vpcEndpointAccountId": owner} for one in place.records()]
    with held(records) as case:
        assert case.detect(rules=["strange-endpoint"]) == ()
        assert len(records) == sum(one.events for one in case.credentials())
