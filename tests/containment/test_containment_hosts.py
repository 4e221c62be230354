"""Plans for what an instance is given besides its instance profile's credential."""

from __future__ import annotations

import io

from contain_cases import actions, planned, refuted

from evidence import HOME, START
from tokentrail.present.text.plan_text import write_plan
from tokentrail.present.text.text_writer import TextWriter
from tokentrail.testing import World
from tokentrail.testing.names import Role

INSTANCE = "i-02854e4bf85aaaaaa"
IDENTITY = Role(name="aws:ec2-instance", account=HOME, id=f"{HOME}:aws:ec2-instance")
"""EC2 User Guide, 'Instance identity roles'."""


def test_no_policy_is_put_on_an_instance_identity_role() -> None:
    """Nobody can edit it, and no policy binds it: its host is isolated, and the proof says what lives on."""
    world = World(START)
    with world.unlogged():
        identity = world.instance(IDENTITY, instance_id=INSTANCE)
    identity.calls("sts:GetCallerIdentity")
    plan = planned(world, identity.id)

    assert actions(plan) == ["isolate-instance"]
    assert plan.steps[0].targets == (INSTANCE,)
    refuted(plan, identity.id)
    assert any("instance identity role" in one for one in plan.residual_risks)
    assert plan.steps[0].why.startswith(f"Stop {INSTANCE} (`aws ec2 stop-instances")
    assert "disassociate" not in plan.steps[0].why  # it is given this role without a profile


def test_what_a_plan_that_fails_rests_on_is_told_as_well() -> None:
    """Who reads that something survives must know what else to look for: what was handed out tells no other line."""
    world = World(START)
    identity = world.instance(IDENTITY, instance_id=INSTANCE)
    identity.calls("ssm:RequestManagedInstanceRoleToken", {"fingerprint": INSTANCE})
    plan = planned(world, identity.id)
    text = io.StringIO()
    write_plan(plan, TextWriter(text))
    said = " ".join(text.getvalue().split())

    refuted(plan, identity.id)
    assert (
        said.index("survives")
        < said.index("Apart from these, nothing works after the last step")
        < said.index("RequestManaged")
    )
