"""A change that should have ended a credential counts for nothing once the log shows the credential at work after it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from contain_cases import actions, planned

from evidence import START
from tokentrail.containment.model import Plan
from tokentrail.testing import LongTermKey, World

Ending = Callable[[LongTermKey, LongTermKey], object]
DENY = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}
ENDINGS: dict[str, Ending] = {
    "a key that was deactivated": lambda admin, key: admin.deactivates(key),
    "a key that was deleted": lambda admin, key: admin.deletes(key),
    "a user that was deleted": lambda admin, _: admin.iam("DeleteUser", userName="support"),
    "a user that was denied everything": lambda admin, _: admin.iam(
        "PutUserPolicy", userName="support", policyName="stop", policyDocument=DENY
    ),
}


def planned_after(ending: Ending, minutes: float, call: str = "s3:ListBuckets", **how: str) -> Plan:
    """The plan for a stolen key that an administrator ended, and that made a call so much later."""
    world = World(START)
    key, admin = world.user("support"), world.user("ria-admin")
    key.calls("s3:ListBuckets")
    ending(admin, key)
    world.wait(minutes=minutes)
    key.calls(call, **how)
    world.wait(minutes=20)
    admin.calls("s3:ListBuckets")
    return planned(world, key.id)


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_what_called_with_success_after_it_was_ended_is_ended_again(ending: Ending) -> None:
    """Whoever undid the ending is not in the evidence, but the success is: the plan was complete without a step."""
    plan = planned_after(ending, 5)

    assert plan.proof.complete and actions(plan) == ["deactivate-key", "revoke-user-sessions"]
    assert any("and yet AKIA" in said and "s3:ListBuckets" in said for said in plan.residual_risks)


def test_each_change_that_the_success_contradicts_is_left_out() -> None:
    """A key that was deactivated and whose user was denied everything, and that is at work, is held back by neither."""

    def both(admin: LongTermKey, key: LongTermKey) -> None:
        ENDINGS["a key that was deactivated"](admin, key)
        ENDINGS["a user that was denied everything"](admin, key)

    plan = planned_after(both, 5)
    assert actions(plan) == ["deactivate-key", "revoke-user-sessions"]
    assert 2 == sum("and yet AKIA" in said for said in plan.residual_risks)


def test_a_role_s_session_that_works_after_its_revocation_is_revoked_again() -> None:
    """Somebody deleted AWSRevokeOlderSessions where no log shows it."""
    world = World(START)
    session, admin = world.user("support").assumes("Deploy", duration=43200), world.user("ria-admin")
    admin.revokes_sessions("Deploy")
    world.wait(minutes=5)
    session.calls("s3:ListBuckets")

    assert actions(planned(world, session.id)) == ["revoke-role-sessions"]


def test_a_colleague_at_work_shows_that_the_role_is_denied_no_more() -> None:
    """A deny-all on a role binds all of its sessions: where one works again, the attacker's does."""
    world = World(START)
    session, admin = world.user("support").assumes("Deploy", duration=43200), world.user("ria-admin")
    other = world.user("ria").assumes("Deploy", "ria", duration=43200)
    admin.iam("PutRolePolicy", roleName="Deploy", policyName="stop", policyDocument=DENY)
    world.wait(minutes=5)
    other.calls("s3:ListBuckets")
    plan = planned(world, session.id)

    assert actions(plan) == ["revoke-role-sessions"]
    assert any(f"and yet {other.id} called" in said for said in plan.residual_risks)


def test_a_success_while_the_change_takes_effect_contradicts_nothing() -> None:
    """IAM takes seconds until a change holds everywhere (IAM User Guide, 'Troubleshoot IAM')."""
    assert not planned_after(ENDINGS["a key that was deactivated"], 0.2).steps


def test_a_refusal_contradicts_nothing() -> None:
    """A call that failed shows the ending at work."""
    assert not planned_after(
        ENDINGS["a user that was denied everything"], 5, error="AccessDenied", message="explicit deny"
    ).steps


def test_what_no_policy_denies_contradicts_no_deny() -> None:
    """GetCallerIdentity succeeds whatever policies deny (AWS STS API Reference), but not with an inactive key."""
    deny, off = ENDINGS["a user that was denied everything"], ENDINGS["a key that was deactivated"]

    assert not planned_after(deny, 5, "sts:GetCallerIdentity").steps
    assert planned_after(off, 5, "sts:GetCallerIdentity").steps


@pytest.mark.parametrize("call", ["UpdateAccessKey", "ListAccessKeys"])
def test_a_call_that_may_have_lifted_the_ending_and_tells_not_what_it_did_is_a_condition(call: str) -> None:
    """A record without its request may be of the very key; a reading lifts nothing."""
    world = World(START)
    key, admin = world.user("support"), world.user("ria-admin")
    key.calls("s3:ListBuckets")
    admin.deactivates(key)
    world.wait(minutes=20)
    admin.calls(f"iam:{call}", None)
    plan = planned(world, key.id)

    said = [one for one in plan.proof.holds_if if "does not tell what it was done to" in one]
    assert not plan.steps and len(said) == (call == "UpdateAccessKey")
    assert all(key.id in one and call in one for one in said)
