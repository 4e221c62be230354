"""Whose sessions those of an instance's own role are."""

from __future__ import annotations

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
