"""Attackers who hold very much: a plan for each thing of theirs is no more work than among few."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from contain_cases import asked

from evidence import START
from tokentrail.containment.model import Plan, Strategy
from tokentrail.testing import World
from work import growth

LOT = 20


@pytest.fixture(name="cases")
def _cases() -> Iterator[ExitStack]:
    with ExitStack() as opened:
        yield opened


def made_users(many: int) -> tuple[World, str]:
    """Users with a key each, which the attacker made and used."""
    world = World(START, tick=0.5)
    key = world.user("support")
    for n in range(many):
        key.creates_access_key(key.creates_user(f"made-{n}")).calls("s3:ListBuckets")
    return world, key.id


def entered_roles(many: int) -> tuple[World, str]:
    """Roles that the attacker entered, each beside a colleague."""
    world = World(START, tick=0.5)
    key, ria = world.user("support"), world.user("ria")
    for n in range(many):
        ria.assumes(f"Role{n}", "ria").calls("s3:ListBuckets")
        key.assumes(f"Role{n}", f"job-{n}").calls("s3:ListBuckets")
    return world, key.id


def users_with_keys(many: int) -> tuple[World, str]:
    """Users of others', with a token each, whom the attacker gave a key and took a token of."""
    world = World(START, tick=0.5)
    key = world.user("support")
    for n in range(many):
        owner = world.user(f"owner-{n}")
        owner.gets_session_token().calls("s3:ListBuckets")
        key.creates_access_key(owner.user).gets_session_token().calls("s3:ListBuckets")
    return world, key.id


def users_gone_since(many: int) -> tuple[World, str]:
    """Users whom the attacker made, and an administrator has deleted."""
    world, key = made_users(many)
    for n in range(many):
        world.user("admin").iam("DeleteUser", userName=f"made-{n}")
    return world, key


def instances_run(many: int) -> tuple[World, str]:
    """Instances that the attacker started, of which some are gone."""
    world = World(START, tick=0.5)
    key = world.user("support")
    for n in range(many):
        host = key.runs_instance("Work")
        host.calls("s3:ListBuckets")
        if n % 2:
            gone = {"instancesSet": {"items": [{"instanceId": host.workload.session_name}]}}
            key.calls("ec2:TerminateInstances", gone, response=gone, read_only=False)
    return world, key.id


def functions_made(many: int) -> tuple[World, str]:
    """A function of one name in each account of an organisation, which the attacker made there."""
    world = World(START, tick=0.5)
    key = world.user("support")
    for n in range(many):
        key.assumes("Admin", "x", account=f"{n + 1:012}").creates_function("miner", "Work").calls(
            "s3:ListBuckets"
        )
    return world, key.id


def test_what_runs_in_an_account_hands_out_roles_of_that_account() -> None:
    """A session's name says which function it is of among those of its own account, and of no other."""
    world, key = functions_made(2)
    with asked(world) as case:
        stopped = [one for one in case.contain([key]).steps if one.action == "isolate-instance"]

    assert [["arn:aws:iam::000000000001:role/Work", "arn:aws:iam::000000000002:role/Work"]] == [
        sorted(one.principals) for one in stopped
    ]
    assert [2] == [len(one.calls) for one in stopped]


@pytest.mark.parametrize(
    ("evidence", "strategy"),
    [
        (made_users, "standard"),
        (functions_made, "standard"),
        pytest.param(users_gone_since, "standard", marks=pytest.mark.long),
        pytest.param(instances_run, "standard", marks=pytest.mark.long),
        (entered_roles, "surgical"),
        pytest.param(users_with_keys, "surgical", marks=pytest.mark.long),
    ],
)
def test_a_plan_is_as_much_work_for_each_principal_among_many(
    evidence: Callable[[int], tuple[World, str]], strategy: Strategy, cases: ExitStack
) -> None:
    """Whom a plan is about is looked up, not looked for among all."""

    def planning(many: int) -> Callable[[], Plan]:
        world, key = evidence(many)
        case = cases.enter_context(asked(world))
        return lambda: case.contain([key], strategy=strategy)

    found = growth(planning, LOT)
    assert found < 1.015, found
