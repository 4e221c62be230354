"""A deny that the attacker can escape by what he chooses is no deny: the proof counts only denies that hold for every choice."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest
from contain_cases import ROLE, USER, planned

from tokentrail.containment.model import Plan
from tokentrail.testing import World

START = datetime(2026, 11, 23, 9, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def judged(
    condition: Mapping[str, Mapping[str, object]], *others: Mapping[str, Mapping[str, object]]
) -> Plan:
    """The plan of deactivating a key and revoking its user's sessions, where the role that it assumes bears a deny-all."""
    world = World(START)
    key, admin = world.user("support"), world.user("admin")
    key.assumes("Deploy", "x").calls("s3:ListBuckets")
    world.wait(minutes=30)
    key.calls("s3:ListBuckets")
    statements = [
        {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": one} for one in (condition, *others)
    ]
    document = {"Version": "2012-10-17", "Statement": statements}
    admin.iam("PutRolePolicy", roleName="Deploy", policyName="Guard", policyDocument=document)
    return planned(world, key.id, what_if=[f"deactivate-key:{key.id}", f"revoke-user-sessions:{USER}support"])


def seconds(world_minutes: int) -> str:
    """So many minutes after the start of the story, in seconds since 1970."""
    return str(int((START + world_minutes * MINUTE).timestamp()))


ESCAPABLE: dict[str, Mapping[str, Mapping[str, object]]] = {
    "unless MFA is present": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
    "unless MFA is fresh": {"NumericGreaterThanIfExists": {"aws:MultiFactorAuthAge": "3600"}},
    "where MFA is absent": {"Null": {"aws:MultiFactorAuthAge": "true"}},
    "unless a source identity is one": {"StringNotEquals": {"aws:SourceIdentity": "ria"}},
    "where no source identity is set": {"Null": {"aws:SourceIdentity": "true"}},
    "unless signed in by aws login": {"Null": {"aws:SignInSessionArn": "true"}},
    "unless by a provider": {"StringNotEqualsIfExists": {"aws:FederatedProvider": "accounts.google.com"}},
    "unless from an instance": {"Null": {"ec2:SourceInstanceARN": "true"}},
    "unless the session has a tag": {"StringNotEquals": {"aws:PrincipalTag/team": "ops"}},
    "unless from an address": {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}},
    "unless through an endpoint": {"StringNotEquals": {"aws:SourceVpce": "vpce-1"}},
    "unless through an account's endpoint": {"StringNotEquals": {"aws:VpceAccount": "111122223333"}},
    "unless with a tool": {"StringNotLike": {"aws:UserAgent": "aws-cli/*"}},
    "unless in a region": {"StringNotEquals": {"aws:RequestedRegion": "eu-west-1"}},
    "unless under a name": {"StringNotLike": {"aws:userid": "*:ria"}},
    "in a window of issue, in epoch seconds": {
        "DateGreaterThan": {"aws:TokenIssueTime": seconds(-600)}, "DateLessThan": {"aws:TokenIssueTime": seconds(25)}
    },
    "in a window of issue, with an offset": {
        "DateLessThan": {"aws:TokenIssueTime": (START + 25 * MINUTE).strftime("%Y-%m-%dT%H:%M:%S+00:00")}
    },
    "on an earlier day": {"DateLessThan": {"aws:TokenIssueTime": "2026-11-23"}},
    "until tomorrow": {"DateLessThan": {"aws:CurrentTime": "2026-11-24T09:00:00Z"}},
    "in a window of the request, in epoch seconds": {
        "DateGreaterThan": {"aws:EpochTime": seconds(0)}, "DateLessThan": {"aws:EpochTime": seconds(120)}
    },
    "but at night": {"DateNotEquals": {"aws:CurrentTime": "2026-11-24T02:00:00Z"}},
    "by the text of a time": {"StringLike": {"aws:TokenIssueTime": "2026-11-23T*"}},
}  # fmt: skip


@pytest.mark.parametrize("condition", ESCAPABLE.values(), ids=ESCAPABLE)
def test_a_deny_that_the_attacker_may_escape_does_not_end_his_sessions(
    condition: Mapping[str, Mapping[str, object]],
) -> None:
    """Of steps that leave a role alone, none is completed by a deny there that holds only for some choices of his."""
    plan = judged(condition)
    assert not plan.proof.complete
    assert any("Deploy" in one.credential for one in plan.proof.survivors)


def test_a_survivor_names_the_condition_by_which_a_deny_is_escaped() -> None:
    """Whoever put the deny there reads why it does not count: the policy, and the key whose value is the attacker's choice."""
    (survivor, *_) = judged(ESCAPABLE["unless MFA is present"]).proof.survivors
    assert "inline policy Guard of role Deploy" in str(survivor.why)
    assert "aws:MultiFactorAuthPresent" in str(survivor.why)


def test_two_names_in_one_escape_two_denies() -> None:
    """One session name may fit the exceptions of two statements, which names that fit one each do not."""
    plan = judged({"StringNotLike": {"aws:userid": "*:a*"}}, {"StringNotLike": {"aws:userid": "*b"}})
    assert not plan.proof.complete


FIRM: dict[str, Mapping[str, Mapping[str, object]]] = {
    "whoever it is": {},
    "once a day is past": {"DateGreaterThan": {"aws:CurrentTime": "2026-11-01T00:00:00Z"}},
    "once a second is past": {"NumericGreaterThan": {"aws:EpochTime": "1700000000"}},
    "issued before next year, in epoch seconds": {"DateLessThan": {"aws:TokenIssueTime": "1924992000"}},
    "unless under another role's id": {"StringNotLike": {"aws:userid": "AROAAAAAAAAAAAAAAAAAA:*"}},
    "in this account": {"StringEquals": {"aws:PrincipalAccount": "111122223333"}},
    "as this role": {"ArnLike": {"aws:PrincipalArn": f"{ROLE}Deploy"}},
}  # fmt: skip


@pytest.mark.parametrize("condition", FIRM.values(), ids=FIRM)
def test_a_deny_that_no_choice_escapes_ends_the_sessions(
    condition: Mapping[str, Mapping[str, object]],
) -> None:
    """A deny that holds for every choice of the attacker counts, so that the proof is not weaker than what AWS enforces."""
    assert judged(condition).proof.complete


def guarded(condition: Mapping[str, Mapping[str, object]], *steps: str) -> Plan:
    """The plan for a stolen key whose user bears a deny-all under a condition, or the proof of some steps."""
    world = World(START)
    key, admin = world.user("support"), world.user("admin")
    key.calls("s3:ListBuckets")
    world.wait(minutes=5)
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    admin.iam("PutUserPolicy", userName="support", policyName="Guard", policyDocument=document)
    world.wait(minutes=30)
    admin.calls("s3:ListBuckets")
    return planned(world, key.id, what_if=list(steps)) if steps else planned(world, key.id)


SPARE_TOKENS: dict[str, Mapping[str, Mapping[str, object]]] = {
    "tokens with MFA": {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}},
    "all tokens": {"Null": {"aws:TokenIssueTime": "true"}},
    "tokens of the day after": {"DateLessThanIfExists": {"aws:TokenIssueTime": "2026-11-24T09:00:00Z"}},
}


@pytest.mark.parametrize("condition", SPARE_TOKENS.values(), ids=SPARE_TOKENS)
def test_a_key_that_is_denied_everything_still_mints_the_tokens_that_the_deny_spares(
    condition: Mapping[str, Mapping[str, object]],
) -> None:
    """No policy keeps a key from GetSessionToken (AWS STS API Reference), so that a deny which spares tokens needs more."""
    plan = guarded(condition)
    assert "deactivate-key" in [one.action for one in plan.steps] and plan.proof.complete

    undone = guarded(condition, f"revoke-role-sessions:{ROLE}Other")
    assert not undone.proof.complete
    assert any("mints a new user/support token" in said for said in undone.proof.counterexample)


def test_a_key_that_is_denied_everything_with_its_tokens_is_ended() -> None:
    """A deny that holds for the key and for all of its user's tokens leaves nothing to do."""
    plan = guarded({})
    assert plan.proof.complete and not plan.steps


@pytest.mark.parametrize("management", [None, "111122223333"])
def test_no_policy_of_the_organisation_ends_what_is_in_its_management_account(management: str | None) -> None:
    """A delegated administrator may attach a policy to the management account, and it binds nobody there (Organizations)."""
    world = World(START)
    key, governor = world.user("support"), world.user("governor", account="999988887777")
    key.calls("s3:ListBuckets")
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    wanted = {
        "content": json.dumps({"Version": "2012-10-17", "Statement": [statement]}), "name": "Stop",
        "type": "SERVICE_CONTROL_POLICY",
    }  # fmt: skip
    answer = {"policy": {"policySummary": {"id": "p-stop"}}}
    governor.calls("organizations:CreatePolicy", wanted, response=answer, read_only=False)
    placed = {"policyId": "p-stop", "targetId": "111122223333"}
    governor.calls("organizations:AttachPolicy", placed, read_only=False)
    world.wait(minutes=30)
    governor.calls("s3:ListBuckets")
    plan = planned(world, key.id, management_account=management)

    assert ("deactivate-key" in [one.action for one in plan.steps]) == (management is not None)


def started(*, assumed: bool) -> Plan:
    """The proof of steps that leave alone the role of the attacker's instance, which may do nothing without MFA."""
    world = World(START)
    key, admin = world.user("support"), world.user("admin")
    host = key.runs_instance("Web")
    host.calls("s3:ListBuckets")
    if assumed:
        key.assumes("Web", "x").calls("s3:ListBuckets")
    statement = {
        "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": ESCAPABLE["unless MFA is present"],
    }  # fmt: skip
    document = {"Version": "2012-10-17", "Statement": [statement]}
    admin.iam("PutRolePolicy", roleName="Web", policyName="Guard", policyDocument=document)
    world.wait(minutes=10)
    steps = [
        f"deactivate-key:{key.id}",
        f"isolate-instance:{host.session_name}",
        f"revoke-user-sessions:{USER}support",
    ]
    return planned(world, key.id, what_if=steps)


def test_a_host_gets_no_session_with_mfa() -> None:
    """MFA is a user's to give: a deny of all without it ends what a service hands to a host, unless somebody may assume the role."""
    assert started(assumed=False).proof.complete
    assert not started(assumed=True).proof.complete
