"""Whose calls are the attacker's where a host, a portal or a sign-in hands out the next session."""

from __future__ import annotations

import json

import pytest
from guard_cases import OFFICE, THIEF, guarded, one

from evidence import START
from tokentrail.testing import World

HOUR = 3600


@pytest.mark.parametrize("kept", [7, 90])
@pytest.mark.parametrize("owner", ["", OFFICE])
def test_what_the_robbed_host_hands_out_next_is_no_ordinary_way(kept: int, owner: str) -> None:
    """
    The thief's next session counts as the attacker's, as `contain` has it, also once it has run out.

    Counted as ordinary, its address was the one network that `roles-from-known-networks` let in, its calls were what
    the role may go on doing, and stopping them was told as a cost.
    """
    world = World(START)
    first = world.instance("Web", ip=OFFICE)
    first.calls("s3:ListBuckets")
    first.seen_from(THIEF).calls("s3:GetObject", {"bucketName": "data", "key": "x"})
    world.wait(8 * HOUR)
    after = first.rotates()
    after.calls("s3:ListBuckets")
    after.seen_from(THIEF).calls("ec2:DescribeInstances", count=3)
    world.wait(kept * HOUR)
    world.user("bystander").calls("s3:ListBuckets")
    found = guarded(world, first.id, trusted_ips=[owner] if owner else [])

    assert {first.id, after.id} == set(found.attackers)
    assert f"The calls of {after.id} count likewise" in found.assumed
    assert {4 if owner else 6} == {each.backtest.attacker_events for each in found.guardrails}
    if owner:
        allowed = [
            json.dumps(one(found, rule).policy) for rule in ("role-as-used", "roles-from-known-networks")
        ]
        assert not any(THIEF in each or "describeinstances" in each.lower() for each in allowed)
        assert OFFICE in allowed[1]


def test_a_sign_in_that_may_be_the_owners_is_said_to_count_as_ordinary() -> None:
    """No log tells whose a person's next session is that was used from nowhere where the attacker was."""
    world = World(START)
    world.identity_center("ada", "Admin").seen_from(THIEF).calls("s3:ListBuckets")
    stolen = world.identity_center("ada", "Admin", ip=THIEF)
    stolen.calls("s3:ListBuckets")
    world.wait(HOUR)
    world.identity_center("ada", "Admin", ip=OFFICE).calls("s3:ListBuckets")
    found = guarded(world, stolen.id)

    assert (stolen.id,) == found.attackers
    assert "1 more, handed out since, counts as the owner's" in found.assumed


def test_of_what_findings_name_the_hosts_next_session_is_in_two_hands_too() -> None:
    """Without a subject: its calls from where the first was used until the theft are the owner's, all others the thief's."""
    world = World(START)
    first = world.instance("Web", ip=OFFICE)
    first.calls("s3:ListBuckets")
    first.seen_from(THIEF, "aws-cli/2.15").calls("s3:GetObject", {"bucketName": "data", "key": "x"}, count=3)
    world.wait(8 * HOUR)
    after = first.rotates()
    after.calls("s3:ListBuckets", count=4)
    after.seen_from(THIEF).calls("ec2:DescribeInstances", count=5)
    found = guarded(world, only=("role-as-used", "roles-from-known-networks"))

    assert (first.id,) == found.subjects and {first.id, after.id} == set(found.attackers)
    assert {(8, 7)} == {
        (one.backtest.attacker_events, one.backtest.ordinary_events) for one in found.guardrails
    }
    assert not any(THIEF in json.dumps(one.policy) for one in found.guardrails)
