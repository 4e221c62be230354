"""Whose sessions those of an instance's own role are."""

from __future__ import annotations

import pytest

from evidence import HOME, START, held
from tokentrail.testing import World
from tokentrail.testing.names import Role

INSTANCE = "i-02854e4bf85aaaaaa"
IDENTITY = Role(name="aws:ec2-instance", account=HOME, id=f"{HOME}:aws:ec2-instance")
"""EC2 User Guide, 'Instance identity roles'."""


def test_a_session_name_stands_behind_the_last_colon_of_a_principal_id() -> None:
    """An instance identity role has colons in its unique id: its session is the instance's, and found by that."""
    world = World(START)
    with world.unlogged():
        identity = world.instance(IDENTITY, instance_id=INSTANCE)
    identity.calls("sts:GetCallerIdentity")
    with held(world) as case:
        (told,) = case.credentials()
        found = case.trace([INSTANCE])

        assert (told.kind, told.session_name) == ("service_role", INSTANCE)
        assert [one.id for one in found.credentials] == [identity.id]


def test_an_instance_that_an_attacker_launched_acts_by_its_identity_role_too() -> None:
    """Every instance has an identity role, whatever profile it was given: its session is the launch's offspring."""
    world = World(START)
    thief = world.user("support").assumes("Admin")
    launched = {"instancesSet": {"items": [{"instanceId": INSTANCE}]}}
    thief.calls("ec2:RunInstances", {}, response=launched, read_only=False)
    with world.unlogged():
        identity = world.instance(IDENTITY, instance_id=INSTANCE)
    identity.calls("ssm:RequestManagedInstanceRoleToken", {"fingerprint": INSTANCE})
    with held(world) as case:
        told = {one.id: one for one in case.credentials()}[identity.id]

        assert (told.parent, told.parent_link) == (thief.id, "created")


def test_a_functions_session_acts_through_the_code_that_was_the_last_before_it() -> None:
    """Code that was replaced runs no more, but for 15 minutes: later sessions are not of whoever had changed it."""
    world = World(START)
    thief, owner = world.user("support").assumes("Admin"), world.user("ci").assumes("Deploy")
    thief.updates_function("hook")
    world.wait(minutes=20)
    during = world.function("Work", "hook")
    owner.updates_function("hook")
    world.wait(minutes=10)
    just_after = world.function("Work", "hook")
    world.wait(minutes=10)
    after = world.function("Work", "hook")
    with held(world) as case:
        found = {who: {link.child for link in case.trace([who]).links} for who in (thief.id, owner.id)}

        assert found[thief.id] >= {during.id, just_after.id} and after.id not in found[thief.id]
        assert found[owner.id] >= {just_after.id, after.id} and during.id not in found[owner.id]


def test_who_made_a_function_stays_behind_it_whoever_changes_its_code() -> None:
    """A function that an attacker made is the attacker's: other code leaves its role and what starts it."""
    world = World(START)
    thief, owner = world.user("support").assumes("Admin"), world.user("ci").assumes("Deploy")
    thief.creates_function("hook", "Work")
    owner.updates_function("hook")
    world.wait(hours=1)
    after = world.function("Work", "hook")
    with held(world) as case:
        told = {one.id: one for one in case.credentials()}[after.id]

        assert (told.parent, told.parent_link) == (thief.id, "created")
        assert after.id in {one.id for one in case.trace([owner.id]).credentials}


def test_a_role_made_anew_is_only_the_last_makers() -> None:
    """A name is free again once its role is gone: sessions of a later role are not of whoever made the first."""
    world = World(START)
    thief, owner = world.user("support").assumes("Admin"), world.user("ci").assumes("Deploy")
    for maker in (thief, owner):
        maker.creates_role("Batch", {"Service": "ec2.amazonaws.com"})
        world.wait(hours=1)
    session = world.instance("Batch")
    with held(world) as case:
        told = {one.id: one for one in case.credentials()}[session.id]

        assert (told.parent, told.parent_link) == (owner.id, "created")
        assert session.id not in {one.id for one in case.trace([thief.id]).credentials}


def test_links_to_a_function_that_is_often_changed_grow_with_its_sessions() -> None:
    """Each session is tied to the code that it runs, not to each change that ever was before it."""
    world = World(START)
    owner = world.user("ci").assumes("Deploy", duration=43200)
    for _ in range(20):
        owner.updates_function("hook")
        world.wait(minutes=20)
        world.function("Work", "hook")
    with held(world) as case:
        links = [one for one in case.trace([owner.id]).links if one.link == "created"]

        assert len(links) == len({one.child for one in links}) == 20


ARN = "arn:aws:lambda:us-east-1:111122223333:function:hook"


@pytest.mark.parametrize(
    "named", [ARN, f"{ARN}:live", "hook:$LATEST", "111122223333:function:hook", "111122223333:hook"]
)
def test_a_function_is_found_however_the_call_names_it(named: str) -> None:
    """By its ARN or a part of it, with an alias or version (AWS Lambda API Reference, 'UpdateFunctionCode')."""
    world = World(START)
    thief = world.user("support").assumes("Admin")
    thief.calls("lambda:UpdateFunctionCode20150331v2", {"functionName": named}, read_only=False)
    world.wait(minutes=20)
    session = world.function("Work", "hook")
    with held(world) as case:
        assert session.id in {one.id for one in case.trace([thief.id]).credentials}


def test_a_dry_run_changes_no_function() -> None:
    """It looks whether a call would succeed (AWS Lambda API Reference, 'UpdateFunctionCode'): it is no deed."""
    world = World(START)
    thief, owner = world.user("support").assumes("Admin"), world.user("ci").assumes("Deploy")
    thief.updates_function("hook")
    world.wait(minutes=20)
    asked = {"functionName": "hook", "dryRun": True}
    owner.calls(
        "lambda:UpdateFunctionCode20150331v2", asked, response={"functionName": "hook"}, read_only=False
    )
    world.wait(minutes=20)
    session = world.function("Work", "hook")
    with held(world) as case:
        assert session.id in {one.id for one in case.trace([thief.id]).credentials}
        assert case.trace([owner.id]).created == ()


def test_code_in_another_region_replaces_nothing() -> None:
    """Of one name there may be a function in each region: what is deployed elsewhere leaves the thief's code."""
    world = World(START)
    thief, owner = world.user("support").assumes("Admin"), world.user("ci").assumes("Deploy")
    thief.updates_function("hook")
    world.wait(minutes=20)
    owner.updates_function("hook")
    world.wait(minutes=20)
    session = world.function("Work", "hook")
    records = world.records()
    for record in records:
        if (
            record["eventName"].startswith("UpdateFunction")
            and record["userIdentity"]["accessKeyId"] == owner.id
        ):
            record["awsRegion"] = "eu-west-1"
    with held(records) as case:
        assert session.id in {one.id for one in case.trace([thief.id]).credentials}
