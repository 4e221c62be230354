"""Plans in GovCloud and in China: every ARN that a plan makes up or denies is one of the partition's."""

from __future__ import annotations

import json
from typing import Any

import pytest
from contain_cases import MANAGEMENT, ROLE, USER, checked, step

from evidence import HOME, START, held
from tokentrail.containment.model import Plan
from tokentrail.present.document import document
from tokentrail.testing import World

PARTITIONS = ["aws-us-gov", "aws-cn"]


def planned_in(partition: str, world: World, subject: str, **options: Any) -> Plan:
    """A plan for a world that lies in another partition, and in which no ARN of AWS's first one is left."""
    records = json.loads(json.dumps(world.records()).replace("arn:aws:", f"arn:{partition}:"))
    with held(records) as case:
        plan = checked(case.contain([subject], **options))
    assert "arn:aws:" not in json.dumps(document(plan))
    return plan


@pytest.mark.parametrize("partition", PARTITIONS)
def test_a_policy_that_is_attached_lies_in_the_accounts_partition(partition: str) -> None:
    """Many colleagues need managed policies; what is attached is what was made, so that the proof holds."""
    world = World(START, tick=0)
    stolen = world.user("support").assumes("Deploy", "x")
    stolen.calls("s3:ListBuckets")
    robot = world.user("robot")
    for number in range(60):
        world.wait(5)
        robot.assumes("Deploy", f"robot-with-a-long-name-that-takes-room-{number}").calls("s3:ListBuckets")
    plan = planned_in(partition, world, stolen.id, strategy="surgical")
    attached = [call for call in step(plan, "deny-sessions").calls if call.operation == "AttachRolePolicy"]

    assert len(attached) > 1 and plan.proof.complete
    assert all(
        call.parameters["PolicyArn"].startswith(f"arn:{partition}:iam::{HOME}:policy/") for call in attached
    )


@pytest.mark.parametrize("partition", PARTITIONS)
def test_a_control_policy_denies_whom_it_names_there(partition: str) -> None:
    """Without access the organisation denies user, guests and role by ARNs that exist: the plan holds."""
    world = World(START)
    key = world.user("support")
    key.assumes("Deploy", "x").calls("s3:ListBuckets")
    plan = planned_in(partition, world, key.id, without_access=[HOME], management_account=MANAGEMENT)

    named = {one.replace("arn:aws:", f"arn:{partition}:") for one in (f"{USER}support", f"{ROLE}Deploy")}

    assert plan.proof.complete
    assert named == set(step(plan, "scp-deny").targets)


@pytest.mark.parametrize("partition", PARTITIONS)
def test_root_is_denied_there(partition: str) -> None:
    """A key of root's has no path to tell the partition by: the control policy names root of that partition."""
    world = World(START)
    browser = world.user("x")
    records = json.loads(json.dumps(browser.calls("s3:ListBuckets")))
    record = records[0]
    record["userIdentity"] = {
        "type": "Root", "principalId": HOME, "arn": f"arn:{partition}:iam::{HOME}:root", "accountId": HOME,
        "accessKeyId": "AKIAROOTEXAMPLE00001",
    }  # fmt: skip
    with held(records) as case:
        plan = checked(case.contain(["AKIAROOTEXAMPLE00001"], management_account=MANAGEMENT))

    assert (f"arn:{partition}:iam::{HOME}:root",) == step(plan, "scp-deny").targets
    assert plan.proof.complete


@pytest.mark.parametrize("partition", PARTITIONS)
def test_awss_own_policy_is_named_as_it_is_called_there(partition: str) -> None:
    """The quarantine policy that somebody thinks of attaching is the partition's."""
    world = World(START)
    key = world.user("support")
    key.calls("s3:ListBuckets")
    asked = f"attach-quarantine:arn:{partition}:iam::{HOME}:user/support"
    plan = planned_in(partition, world, key.id, what_if=[asked])

    assert [f"arn:{partition}:iam::aws:policy/AWSCompromisedKeyQuarantineV3"] == [
        call.parameters["PolicyArn"] for call in plan.steps[0].calls
    ]
