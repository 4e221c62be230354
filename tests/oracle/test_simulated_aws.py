"""
The simulated AWS: what a world becomes in it, when its changes bite, and what it refuses.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from oracle.operations import Refused
from oracle.plan_cases import before, call, policy, put_role, put_user, step
from oracle.simulated_aws import SimulatedAws
from oracle.taint import tainted_ids
from strategies import Incident, incidents
from tokentrail.testing import World
from tokentrail.testing.story import story

AWAY = "444455556666"
SECOND = timedelta(seconds=1)


def test_the_story_as_it_stands() -> None:
    """A is inactive, C revoked; B, D, E, Ria's two sessions and the responder's work."""
    leak = story(ordinary_day=False)
    aws = SimulatedAws.of(leak.world)
    alive = {one.id for one in aws.alive()}

    assert {leak.b.id, leak.d.id, leak.e.id, leak.ria.id, leak.ria_after.id, leak.responder.id} == alive
    assert {leak.role.arn} == aws.edges[leak.a.arn]
    assert {"ria", "support", "support-eu"} == aws.names[leak.role.arn]


def test_the_story_as_it_stood() -> None:
    """At ten o'clock A and C work, and D is not born."""
    leak = story(ordinary_day=False)
    aws = SimulatedAws.of(leak.world, at=leak.moments.key_deactivated - SECOND)
    alive = {one.id for one in aws.alive()}

    assert {leak.a.id, leak.b.id, leak.c.id, leak.ria_before.id} <= alive
    assert leak.d.id not in aws.credentials


def test_a_change_bites_late_for_a_deny_and_at_once_for_its_lifting(world: World) -> None:
    """While a change is on its way, a request may meet the old state or the new: the adversary's choice."""
    session = world.user("ada").assumes("Deploy")
    aws = SimulatedAws.of(world)
    one, sent, role = aws.credentials[session.id], aws.at, world.role("Deploy")
    aws.do(put_role(role, {}), sent)
    lifted = sent + 100 * SECOND
    aws.do(call(role.account, "DeleteRolePolicy", RoleName="Deploy", PolicyName="TokenTrail-contain"), lifted)

    assert aws.works(one, sent + 9 * SECOND)
    assert not aws.works(one, sent + 10 * SECOND)
    assert not aws.works(one, lifted - SECOND)
    assert aws.works(one, lifted)


def test_a_key_made_inactive_works_until_that_bites(world: World) -> None:
    """Deactivation too takes its seconds; a key deleted is gone for good."""
    key = world.user("ada")
    key.calls("s3:ListBuckets")
    aws = SimulatedAws.of(world, propagation=4)
    one, sent = aws.credentials[key.id], aws.at
    aws.do(call(key.account, "UpdateAccessKey", UserName="ada", AccessKeyId=key.id, Status="Inactive"), sent)
    aws.do(call(key.account, "DeleteAccessKey", UserName="ada", AccessKeyId=key.id), sent + 60 * SECOND)

    assert aws.works(one, sent + 3 * SECOND)
    assert not aws.works(one, sent + 4 * SECOND)
    with pytest.raises(Refused, match="no key"):
        aws.do(call(key.account, "DeleteAccessKey", UserName="ada", AccessKeyId=key.id), sent + 61 * SECOND)


def test_a_federated_user_is_under_its_users_policies(world: World) -> None:
    """A deny on the user ends the federation token; one for another user id does not."""
    token = world.user("ada").gets_federation_token("guest")
    token.calls("s3:ListBuckets")
    aws = SimulatedAws.of(world)
    one, user = aws.credentials[token.id], world.user("ada").user
    only_tokens = {"Condition": {"StringEquals": {"aws:userid": user.id}}}
    aws.do(put_user(user, only_tokens), aws.at)
    later = aws.at + 60 * SECOND
    assert aws.works(one, later)

    aws.do(put_user(user, before(later)), later)
    assert not aws.works(one, later + 60 * SECOND)


def test_service_control_policies_reach_accounts_but_the_management_account(world: World) -> None:
    """Attached to an account or the root, they bind every principal there, roles of AWS included."""
    session = world.identity_center("ria@example.com", "Support", directory_account=AWAY)
    session.calls("s3:ListBuckets")
    create = call(
        AWAY, "CreatePolicy", service="organizations", Name="TokenTrail-x", Type="SERVICE_CONTROL_POLICY",
        Content=policy({"Condition": {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/aws-reserved/*"}}}),
    )  # fmt: skip
    attach = call(
        AWAY, "AttachPolicy", service="organizations", PolicyId="(its id)", TargetId=session.account
    )
    for management, works in ((None, False), (session.account, True)):
        aws = SimulatedAws.of(world, management=management)
        aws.do(create, aws.at)
        aws.do(attach, aws.at)
        assert works == aws.works(aws.credentials[session.id], aws.at + 60 * SECOND)


def test_customer_managed_policies_deny_where_they_are_attached(world: World) -> None:
    """CreatePolicy alone does nothing; attached, it does; a second version counts from when it bites."""
    session = world.user("ada").assumes("Deploy")
    aws = SimulatedAws.of(world)
    one, account = aws.credentials[session.id], session.account
    arn = f"arn:aws:iam::{account}:policy/TokenTrail-x"
    aws.do(call(account, "CreatePolicy", PolicyName="TokenTrail-x", PolicyDocument=policy({})), aws.at)
    assert aws.works(one, aws.at + 60 * SECOND)

    aws.do(call(account, "AttachRolePolicy", RoleName="Deploy", PolicyArn=arn), aws.at + 60 * SECOND)
    assert not aws.works(one, aws.at + 120 * SECOND)
    with pytest.raises(Refused, match="attached"):
        aws.do(call(account, "DeletePolicy", PolicyArn=arn), aws.at + 120 * SECOND)


def test_a_user_is_deleted_when_nothing_is_left_of_hers(world: World) -> None:
    """DeleteUser refuses while a key, password or policy remains; her tokens end with her."""
    key = world.user("ada")
    token = key.gets_session_token()
    aws = SimulatedAws.of(world)
    gone = call(key.account, "DeleteUser", UserName="ada")
    with pytest.raises(Refused, match=key.id):
        aws.do(gone, aws.at)
    aws.do(call(key.account, "DeleteAccessKey", UserName="ada", AccessKeyId=key.id), aws.at)
    aws.do(gone, aws.at + SECOND)

    assert not aws.works(aws.credentials[token.id], aws.at + 11 * SECOND)


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("PutUserPolicy", {"UserName": "nobody", "PolicyName": "x", "PolicyDocument": "{}"}),
        ("DeleteUserPolicy", {"UserName": "ada", "PolicyName": "x"}),
        ("AttachUserPolicy", {"UserName": "ada", "PolicyArn": "arn:aws:iam::111122223333:policy/none"}),
        ("PutRolePolicy", {"RoleName": "AWSServiceRoleForBackup", "PolicyName": "x", "PolicyDocument": "{}"}),
        ("UpdateAccessKey", {"UserName": "ada", "AccessKeyId": "AKIAOTHER", "Status": "Inactive"}),
    ],
)
def test_what_aws_would_refuse(world: World, operation: str, parameters: dict[str, Any]) -> None:
    """Nobody of that name, nothing to delete, nothing to attach, a role of AWS's own, another's key."""
    world.user("ada").calls("s3:ListBuckets")
    world.service("backup.amazonaws.com", "AWSServiceRoleForBackup").calls("ec2:DescribeVolumes")
    aws = SimulatedAws.of(world)

    with pytest.raises(Refused):
        aws.do(call("111122223333", operation, **parameters), aws.at)


def test_a_call_or_step_that_is_not_simulated_is_an_error(world: World) -> None:
    """No guess about effects."""
    world.user("ada").calls("s3:ListBuckets")
    aws = SimulatedAws.of(world)

    with pytest.raises(NotImplementedError, match="PutGroupPolicy"):
        aws.do(call("111122223333", "PutGroupPolicy"), aws.at)
    with pytest.raises(NotImplementedError, match="deny-role"):
        aws.perform(step("deny-role", principals=["x"]), aws.at)


def test_a_copy_is_played_on_alone(world: World) -> None:
    """What happens in a copy does not happen in the original."""
    session = world.user("ada").assumes("Deploy")
    aws = SimulatedAws.of(world)
    other = aws.copy()
    other.do(put_role(world.role("Deploy"), {}), aws.at)

    assert aws.works(aws.credentials[session.id], aws.at + 60 * SECOND)
    assert not other.works(other.credentials[session.id], aws.at + 60 * SECOND)


def test_what_is_stolen_follows_mints_and_what_was_made(world: World) -> None:
    """Sessions, created keys and users, passwords set, hosts started: all the thief's; nothing of Grace's."""
    key, grace = world.user("ada"), world.user("grace")
    session = key.assumes("Admin")
    helper = session.creates_access_key(session.creates_user("helper"))
    token = helper.gets_session_token()
    hers = world.console_sign_in(grace)
    hers.calls("s3:ListBuckets")
    session.iam("UpdateLoginProfile", userName="grace")
    theirs = world.console_sign_in(grace)
    theirs.calls("s3:ListBuckets")
    hosts = session.runs_instance("Web"), session.runs_task("Web"), session.starts_build("site", "Web")
    spared = world.instance("Web"), world.task("Web")
    grace.calls("s3:ListBuckets")
    found = tainted_ids(SimulatedAws.of(world), [key.id])

    assert {key.id, session.id, helper.id, token.id, theirs.id, *(one.id for one in hosts)} == found
    assert not {hers.id, grace.id, *(one.id for one in spared)} & found


@given(incidents())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_stolen_in_any_incident(incident: Incident) -> None:
    """The judge's own tracing finds what the incident's maker knows."""
    aws = SimulatedAws.of(incident.world)

    assert incident.at == aws.at
    assert incident.tainted == tainted_ids(aws, [incident.subject])
    assert incident.innocents == set(aws.credentials) - incident.tainted
