"""A call of another account that names its caller's principal alone: whose it was is told only if nobody else's can be."""

from __future__ import annotations

import pytest

from evidence import AWAY, HOME, START, answers, born
from tokentrail.testing import World

_OPEN = ("assumed_role", None, None, "not_in_evidence")


@pytest.fixture(name="world")
def _world() -> World:
    return World(START)


def test_a_session_that_nobody_was_seen_using_may_have_called(world: World) -> None:
    """GetSessionToken was recorded and its token never seen: the key is not the only one that can have called."""
    key = world.user("ada")
    key.calls("s3:ListBuckets")
    key.gets_session_token()
    made = key.assumes("Deploy", account=AWAY, sides="role")

    assert _OPEN == born(answers(world)[made.id])


def test_a_role_session_that_nobody_was_seen_using_may_have_called(world: World) -> None:
    """Two sessions of a role bear one name, and one of them was only issued."""
    caller = world.user("ada").assumes("Audit", "job")
    caller.calls("s3:ListBuckets")
    world.user("grace").assumes("Audit", "job")
    made = caller.assumes("Deploy", account=AWAY, sides="role")

    assert _OPEN == born(answers(world)[made.id])


def test_the_only_one_may_be_one_that_nobody_was_seen_using(world: World) -> None:
    """A session that was only issued is the parent, where no other speaks for the caller."""
    caller = world.user("ada").assumes("Audit", "job")
    made = caller.assumes("Deploy", account=AWAY, sides="role")

    assert ("assumed_role", caller.id, "inferred", None) == born(answers(world)[made.id])


def test_what_a_service_was_given_and_nobody_was_seen_using_may_have_called(world: World) -> None:
    """EC2's call does not say whom it made: the session's name is the instance's."""
    first = world.instance("Work")
    first.calls("s3:ListBuckets")
    world.wait(minutes=30)
    first.rotates()
    made = first.assumes("Deploy", account=AWAY, sides="role")

    assert _OPEN == born(answers(world)[made.id])


@pytest.mark.parametrize(("owner", "parent"), [("ada", False), ("grace", True)])
def test_a_key_that_was_made_and_never_seen_may_have_called(world: World, owner: str, parent: bool) -> None:
    """If it is the caller's own: another user's says nothing."""
    caller = world.user("ada")
    caller.calls("s3:ListBuckets")
    world.user("grace").creates_access_key(world.user(owner))
    made = caller.assumes("Deploy", account=AWAY, sides="role")
    found = born(answers(world)[made.id])

    assert found == (("assumed_role", caller.id, "inferred", None) if parent else _OPEN)


def test_a_key_of_nobody_in_particular_is_no_parent(world: World) -> None:
    """Of a caller whom nothing else shows, the one key that was made and never seen may be anybody's."""
    admin = world.user("root-of-all")
    admin.creates_access_key(world.user("grace"))
    made = world.user("ada").assumes("Deploy", account=AWAY, sides="role")

    assert _OPEN == born(answers(world)[made.id])


def test_a_services_session_of_the_same_name_is_no_parent(world: World) -> None:
    """It may be another role's: the call that delivered it bears the session's name alone."""
    with world.unlogged():
        caller = world.instance("Other")
    made = caller.assumes("Deploy", account=AWAY, sides="role")
    delivered = world.instance("Work")
    records = [
        {**one, "requestParameters": {**one["requestParameters"], "roleSessionName": caller.session_name}}
        if one["userIdentity"]["type"] == "AWSService" else one
        for one in world.records()
    ]  # fmt: skip

    assert delivered.id in answers(records)
    assert _OPEN == born(answers(records)[made.id])


def test_a_key_that_was_first_seen_afterwards_may_have_called(world: World) -> None:
    """A long-term key is older than its first use."""
    caller = world.user("ada")
    caller.calls("s3:ListBuckets")
    made = caller.assumes("Deploy", account=AWAY, sides="role")
    world.wait(minutes=5)
    caller.key().calls("s3:ListBuckets")

    assert _OPEN == born(answers(world)[made.id])


def test_a_key_that_was_made_afterwards_can_not_have_called(world: World) -> None:
    """CreateAccessKey came later."""
    caller = world.user("ada")
    caller.calls("s3:ListBuckets")
    made = caller.assumes("Deploy", account=AWAY, sides="role")
    world.wait(minutes=5)
    caller.creates_access_key().calls("s3:ListBuckets")

    assert ("assumed_role", caller.id, "inferred", None) == born(answers(world)[made.id])


@pytest.mark.parametrize("ended", ["inactive", "deleted"])
@pytest.mark.parametrize(("seconds", "parent"), [(5, True), (120, False)])
def test_a_key_that_was_over_can_not_have_called(
    world: World, ended: str, seconds: int, parent: bool
) -> None:
    """From a minute on: before, the change may not have been everywhere."""
    caller, admin = world.user("ada"), world.user("root-of-all")
    caller.calls("s3:ListBuckets")
    (admin.deactivates if ended == "inactive" else admin.deletes)(caller)
    world.wait(minutes=seconds / 60)
    made = caller.assumes("Deploy", account=AWAY, sides="role")
    found = born(answers(world)[made.id])

    assert found == (("assumed_role", caller.id, "inferred", None) if parent else _OPEN)


def test_of_two_keys_the_one_that_was_not_over_called(world: World) -> None:
    """Deactivated and made active again counts as active."""
    caller, admin = world.user("ada"), world.user("root-of-all")
    other = caller.key()
    caller.calls("s3:ListBuckets")
    other.calls("s3:ListBuckets")
    admin.deactivates(caller)
    admin.deactivates(other)
    world.wait(minutes=5)
    admin.iam("UpdateAccessKey", userName="ada", accessKeyId=other.key_id, status="Active")
    made = other.assumes("Deploy", account=AWAY, sides="role")

    assert ("assumed_role", other.id, "inferred", None) == born(answers(world)[made.id])


def test_a_services_calls_in_somebodys_name_mint_nothing(world: World) -> None:
    """Calls that were forwarded under a key of their own are no candidate beside the caller's key."""
    caller = world.user("ada")
    caller.calls("s3:ListBuckets")
    caller.via("cloudformation.amazonaws.com", fresh_key=True).calls("ec2:DescribeVpcs")
    made = caller.assumes("Deploy", account=AWAY, sides="role")

    assert ("assumed_role", caller.id, "inferred", None) == born(answers(world)[made.id])
    assert HOME == answers(world)[caller.id].account
