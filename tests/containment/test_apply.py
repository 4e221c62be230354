"""Carrying a plan out, against moto over HTTP."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from carry_cases import (
    AS_OF,
    AWAY,
    BEFORE,
    CUTOFF,
    HOME,
    REVOKE,
    Stand,
    call,
    denial,
    issue_time,
    plan_of,
    step,
    with_steps,
)

from evidence import held
from tokentrail.containment.execution import preflight
from tokentrail.containment.execution.cloud import CallingIdentity
from tokentrail.containment.execution.operations import change
from tokentrail.containment.execution.recheck import Recheck, Uncovered
from tokentrail.containment.model import Collateral, Plan
from tokentrail.errors import ActionRefused, UsageError
from tokentrail.testing import World


def outcomes(applied: Any) -> list[str]:
    return [one.outcome for one in applied.steps]


def test_the_story_is_carried_out(stand: Stand) -> None:
    """The key is inactive, and both policies are there with a cutoff at the clock plus the margin."""
    plan = stand.story()
    sent = stand.clock.now

    applied = stand.apply(plan)

    assert applied.complete, applied.stopped
    assert outcomes(applied) == ["done", "done", "done"]
    assert stand.key_status() == "Inactive"
    assert issue_time(stand.user_policy()) == issue_time(stand.role_policy()) == sent + timedelta(seconds=60)


def test_a_cutoff_is_never_earlier_than_the_plan_s(stand: Stand) -> None:
    """A plan for later keeps its moment."""
    plan = stand.story()
    stand.clock.now = AS_OF - timedelta(minutes=5)

    stand.apply(plan)

    assert issue_time(stand.user_policy()) == CUTOFF


def test_a_cutoff_waits_for_the_bite_of_the_steps_before(stand: Stand) -> None:
    """A step before, which bites late, may let sessions be minted until then, so the cutoff lies after it."""
    plan = stand.story()
    slow = replace(plan.steps[0], bites_within=300)
    now = stand.clock.now

    stand.apply(replace(plan, steps=(slow, *plan.steps[1:])))

    assert issue_time(stand.user_policy()) == now + timedelta(seconds=300)


def test_applying_again_sends_nothing(stand: Stand) -> None:
    """What is done is read back, and not sent again."""
    plan = stand.story()
    stand.apply(plan)
    sent = list(stand.wire.writes)

    again = stand.apply(plan)

    assert again.complete
    assert outcomes(again) == ["already", "already", "already"]
    assert stand.wire.writes == sent == ["UpdateAccessKey", "PutUserPolicy", "PutRolePolicy"]


def test_what_stands_already_is_not_sent(stand: Stand) -> None:
    """A key that somebody has deactivated is written down as done already."""
    plan = stand.story()
    stand.iam.update_access_key(UserName="support", AccessKeyId=stand.key, Status="Inactive")

    applied = stand.apply(plan)

    assert outcomes(applied) == ["already", "done", "done"]
    assert [one["kind"] for one in stand.lines() if one.get("n") == 1] == ["already", "step"]


def test_the_journal_tells_what_was_there_what_was_sent_and_what_came_of_it(stand: Stand) -> None:
    """A line before each call with the previous state, exactly as written, and one after it with the request's id."""
    stand.apply(stand.story())

    before = [one for one in stand.lines() if one["kind"] == "before"]
    after = [one for one in stand.lines() if one["kind"] == "after"]
    assert [one["before"] for one in before] == [
        {"status": "Active"},
        {"document": None},
        {"document": BEFORE},
    ]
    assert all(one["request_id"] and one["outcome"] == "done" for one in after)
    assert issue_time(json.loads(before[1]["call"]["parameters"]["PolicyDocument"])) == issue_time(
        stand.user_policy()
    )


def test_calls_carry_the_run_in_their_user_agent(stand: Stand) -> None:
    """Our own lines in the log are known as ours."""
    stand.apply(stand.story())

    assert all("tokentrail/" in one and "run/run-1" in one for one in stand.wire.agents)


def test_a_failure_stops_before_the_next_step_and_a_second_run_goes_on(stand: Stand) -> None:
    """AccessDenied in the middle: nothing later is sent, and once it is put right, the rest is."""
    plan = stand.story()
    stand.wire.before = lambda action: (403, "AccessDenied") if action == "PutUserPolicy" else None

    stopped = stand.apply(plan)
    halted = list(stand.wire.writes)
    stand.wire.before = lambda action: None
    resumed = stand.apply(plan)

    assert outcomes(stopped) == ["done", "failed", "not-reached"]
    assert "AccessDenied" in (stopped.stopped or "")
    assert halted == ["UpdateAccessKey", "PutUserPolicy"]
    assert resumed.complete
    assert outcomes(resumed) == ["already", "done", "done"]


@pytest.mark.parametrize(
    ("answer", "times"), [((400, "Throttling"), 5), ((409, "ConcurrentModification"), 1)]
)
def test_throttling_is_waited_out(
    stand: Stand, answer: tuple[int, str], times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A throttled call is sent again, and one that met another change of the same thing, which the SDK gives up on."""
    monkeypatch.setattr(
        "botocore.endpoint.time", SimpleNamespace(sleep=lambda _: None)
    )  # the SDK's own pauses
    plan = stand.story()
    left = [answer] * times
    pauses: list[float] = []
    stand.wire.before = lambda action: left.pop() if action == "PutUserPolicy" and left else None

    with stand.cloud(sleep=pauses.append) as cloud:
        assert stand.apply(plan, cloud=cloud).complete
    assert pauses == [1.0]


PAGE = "<!DOCTYPE html>\n<html><head><meta charset=utf-8><title>503</title><body><hr>Service Unavailable"


@pytest.mark.parametrize("action", ["GetCallerIdentity", "ListAccessKeys", "GetUserPolicy", "PutUserPolicy"])
def test_a_page_in_place_of_an_answer_is_tried_again(stand: Stand, action: str) -> None:
    """What a load balancer says is a fault like any other 5xx: the call is sent anew, whatever it is."""
    plan = stand.story()
    pages, pauses = [(503, PAGE)] * 3, list[float]()
    stand.wire.before = lambda asked: pages.pop() if asked == action and pages else None

    with stand.cloud(sleep=pauses.append) as cloud:
        assert stand.apply(plan, cloud=cloud).complete
    assert pauses == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("action", ["GetUserPolicy", "PutUserPolicy"])
def test_pages_without_end_stop_a_run_in_words_and_it_goes_on_later(stand: Stand, action: str) -> None:
    """Nothing of TokenTrail's is at fault, so that it says what is; the same command goes on with the step."""
    plan = stand.story()
    stand.wire.before = lambda asked: (503, PAGE) if asked == action else None

    with stand.cloud(sleep=lambda seconds: None) as cloud:
        stopped = stand.apply(plan, cloud=cloud)
    stand.wire.before = lambda asked: None
    resumed = stand.apply(plan)

    assert outcomes(stopped) == ["done", "failed", "not-reached"]
    assert "the page of a proxy or a load balancer" in (stopped.stopped or "")
    assert PAGE[:9] not in (stopped.stopped or "")
    assert resumed.complete, resumed.stopped


def test_a_page_in_place_of_the_caller_is_a_refusal(stand: Stand) -> None:
    """Who calls is asked for first: where that has no answer, nothing is sent."""
    plan = stand.story()
    stand.wire.before = lambda asked: (502, PAGE)

    with (
        stand.cloud(sleep=lambda seconds: None) as cloud,
        pytest.raises(ActionRefused, match="AWS can't be reached: what came back is no answer of AWS's"),
    ):
        stand.apply(plan, cloud=cloud)
    assert stand.wire.actions == ["GetCallerIdentity"] * 4


def test_what_few_users_have_may_be_hidden_by_a_page(stand: Stand) -> None:
    """A read that may fail may fail so too: the user is deleted all the same."""
    stand.iam.create_user(UserName="backdoor")
    stand.wire.before = lambda action: (503, PAGE) if action == "ListServiceSpecificCredentials" else None
    plan = plan_of(step(1, "delete-created-user", call("DeleteUser", UserName="backdoor"), reversible=False))

    with stand.cloud(sleep=lambda seconds: None) as cloud:
        assert stand.apply(plan, cloud=cloud).complete


def test_an_answer_that_got_lost_is_looked_up(stand: Stand) -> None:
    """A call that took effect, though its answer says otherwise, is done."""
    plan = stand.story()
    stand.wire.after = lambda action: (409, "ConcurrentModification") if action == "PutRolePolicy" else None

    applied = stand.apply(plan)

    assert applied.complete
    assert [one["found"] for one in stand.lines() if one["kind"] == "after"] == [False, False, True]


def test_calls_that_take_too_long_are_sent_again_with_a_later_cutoff(stand: Stand) -> None:
    """If a step's calls took so long that IAM might not follow before the cutoff, the step is sent again."""
    plan = stand.story()
    first = stand.clock.now
    waits = [55]

    def slow(action: str) -> None:
        if action == "PutUserPolicy" and waits:
            stand.clock.now += timedelta(seconds=waits.pop())

    stand.wire.before = slow  # type: ignore[assignment]
    applied = stand.apply(plan)

    assert applied.complete
    assert stand.wire.writes.count("PutUserPolicy") == 2
    assert issue_time(stand.user_policy()) > first + timedelta(seconds=55 + 60)


def test_calls_that_never_arrive_in_time_are_a_failure(stand: Stand) -> None:
    """A step whose calls take longer each time is given up, with words."""
    plan = stand.story()
    spent = [0]

    def slower(action: str) -> None:
        if action == "PutUserPolicy":
            spent[0] = max(60, spent[0] * 4)
            stand.clock.now += timedelta(seconds=spent[0])

    stand.wire.before = slower  # type: ignore[assignment]
    applied = stand.apply(plan)

    assert outcomes(applied) == ["done", "failed", "not-reached"]
    assert "no cutoff is still ahead" in (applied.stopped or "")


def test_what_is_undone_meanwhile_is_done_again(stand: Stand) -> None:
    """An attacker who deletes our policy before the last bite finds it back, and later steps with a new cutoff."""
    plan = stand.story()
    undone: list[float] = []

    def sleep(seconds: float) -> None:
        if not undone:
            stand.iam.delete_user_policy(UserName="support", PolicyName=REVOKE)
        undone.append(seconds)
        stand.clock.sleep(seconds)

    applied = stand.apply(plan, sleep=sleep)

    assert applied.complete
    assert len(applied.repeated) == 1
    assert issue_time(stand.user_policy()) == issue_time(stand.role_policy())
    assert stand.wire.writes.count("PutRolePolicy") == 2


def test_what_is_undone_meanwhile_and_can_not_be_done_again_is_told(stand: Stand) -> None:
    """An attacker who undoes a step may have taken our permissions as well: AWS's refusal is the reason."""
    plan = stand.story()

    def sleep(seconds: float) -> None:
        stand.iam.delete_user_policy(UserName="support", PolicyName=REVOKE)
        stand.wire.before = lambda action: (403, "AccessDenied") if action == "PutUserPolicy" else None
        stand.clock.sleep(seconds)

    applied = stand.apply(plan, sleep=sleep)

    assert not applied.complete
    assert "undone by somebody meanwhile" in (applied.stopped or "")
    assert "AccessDenied" in (applied.stopped or "")


def test_what_is_undone_again_and_again_ends_in_words(stand: Stand) -> None:
    """One who may write IAM wins against IAM: the run says so instead of going on for ever."""
    plan = stand.story()

    def sleep(seconds: float) -> None:
        stand.iam.update_access_key(UserName="support", AccessKeyId=stand.key, Status="Active")
        stand.clock.sleep(seconds + 1)

    stand.clock.sleep(1)
    applied = stand.apply(plan, sleep=sleep)

    assert not applied.complete
    assert "again and again" in (applied.stopped or "")


def test_a_step_that_aws_refuses_for_good_can_be_done_by_hand(stand: Stand) -> None:
    """A trust policy may name a role that is gone by now, which IAM takes no more: the steps after it must not wait."""
    plan = stand.story()
    refused = call("UpdateAssumeRolePolicy", RoleName="MyBucketRole", PolicyDocument=denial())
    trust = step(1, "revert-trust", refused, reversible=False)
    plan = replace(plan, steps=(trust, *(replace(one, n=one.n + 1) for one in plan.steps)))
    stand.wire.before = lambda action: (
        (400, "MalformedPolicyDocument") if action == refused.operation else None
    )

    stopped = stand.apply(plan)
    stand.confirmed = {1}
    applied = stand.apply(plan)

    assert "--done 1" in (stopped.stopped or "")
    assert applied.complete, applied.stopped
    assert outcomes(applied) == ["by-person", "done", "done", "done"]


def test_a_step_for_a_person_is_waited_for(stand: Stand) -> None:
    """A step without calls is not passed until it is said to be done."""
    plan = stand.story()
    person = step(1, "disable-identity-center-user", why="Disable the user in Identity Center.")
    with_person = replace(plan, steps=(person, *(replace(one, n=one.n + 1) for one in plan.steps)))

    waiting = stand.apply(with_person)
    nothing = list(stand.wire.writes)
    stand.confirmed = {1}
    done = stand.apply(with_person)

    assert outcomes(waiting) == ["failed", "not-reached", "not-reached", "not-reached"]
    assert "--done 1" in (waiting.stopped or "")
    assert nothing == []
    assert done.complete
    assert outcomes(done)[0] == "by-person"


def test_a_user_is_deleted_with_all_that_it_has(stand: Stand) -> None:
    """Keys, password, groups and policies go first, each written down."""
    stand.iam.create_user(UserName="backdoor")
    stand.iam.create_access_key(UserName="backdoor")
    stand.iam.create_login_profile(UserName="backdoor", Password="a-Password-1")
    stand.iam.create_group(GroupName="admins")
    stand.iam.add_user_to_group(UserName="backdoor", GroupName="admins")
    stand.iam.put_user_policy(UserName="backdoor", PolicyName="p", PolicyDocument=BEFORE)
    stand.wire.before = lambda action: (400, "X") if action == "ListServiceSpecificCredentials" else None
    plan = plan_of(step(1, "delete-created-user", call("DeleteUser", UserName="backdoor"), reversible=False))

    applied = stand.apply(plan)

    assert applied.complete, applied.stopped
    assert stand.iam.list_users()["Users"] == []
    assert [one.call.operation for one in applied.steps[0].deeds] == [
        "DeleteLoginProfile", "DeleteAccessKey", "RemoveUserFromGroup", "DeleteUserPolicy", "DeleteUser",
    ]  # fmt: skip
    assert "a-Password-1" not in json.dumps(stand.lines())
    assert stand.apply(plan).complete


def test_what_the_attacker_made_is_removed_for_good(stand: Stand) -> None:
    """An identity provider is deleted and a trust reverted; neither is taken back, whatever is asked."""
    stand.story()
    arn = stand.iam.create_open_id_connect_provider(
        Url="https://evil.example.com", ThumbprintList=["a" * 40]
    )["OpenIDConnectProviderArn"]
    nobody = {"Effect": "Deny", "Action": "sts:AssumeRole", "Principal": {"AWS": f"arn:aws:iam::{HOME}:root"}}
    trust = json.dumps({"Version": "2012-10-17", "Statement": [nobody]})
    plan = plan_of(
        step(
            1,
            "revert-trust",
            call("DeleteOpenIDConnectProvider", OpenIDConnectProviderArn=arn),
            reversible=False,
        ),
        step(
            2,
            "revert-trust",
            call("UpdateAssumeRolePolicy", RoleName="MyBucketRole", PolicyDocument=trust),
            reversible=False,
        ),
    )

    applied = stand.apply(plan)
    stand.clock.now += timedelta(days=2)
    undone = stand.undo(plan, reactivate=True)

    assert applied.complete, applied.stopped
    assert stand.iam.list_open_id_connect_providers()["OpenIDConnectProviderList"] == []
    assert stand.iam.get_role(RoleName="MyBucketRole")["Role"]["AssumeRolePolicyDocument"]["Statement"] == [
        nobody
    ]
    assert [one.outcome for one in undone.things] == ["kept", "irreversible"]


def test_a_plan_is_refused_whose_policies_an_account_of_the_organisation_can_not_have(
    stand: Stand, moto_url: str
) -> None:
    """An account can have ten, AWS's own among them: nothing is sent, and once there is room the plan is carried out."""
    organizations = boto3.client("organizations", endpoint_url=moto_url)
    organizations.create_organization(FeatureSet="ALL")
    root = organizations.list_roots()["Roots"][0]["Id"]
    organizations.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
    made = organizations.create_account(AccountName="away", Email="away@example.com")
    account = made["CreateAccountStatus"]["AccountId"]
    guards = [
        organizations.create_policy(
            Name=f"guard-{n}", Description="d", Type="SERVICE_CONTROL_POLICY", Content=denial()
        )["Policy"]["PolicySummary"]["Id"]
        for n in range(9)
    ]
    for guard in guards:
        organizations.attach_policy(PolicyId=guard, TargetId=account)
    name = {
        "Name": "TokenTrail-ours",
        "Description": "d",
        "Type": "SERVICE_CONTROL_POLICY",
        "Content": denial(),
    }
    reference = "${step.call[0].Policy.PolicySummary.Id}"
    attach = call("AttachPolicy", "organizations", PolicyId=reference, TargetId=account)
    plan = plan_of(step(1, "scp-deny", call("CreatePolicy", "organizations", **name), attach, cutoff=CUTOFF))

    with pytest.raises(ActionRefused, match=f"account {account} has 10 service control policies"):
        stand.apply(plan)
    there = organizations.list_policies(Filter="SERVICE_CONTROL_POLICY")["Policies"]
    organizations.detach_policy(PolicyId=guards[0], TargetId=account)
    applied, again = stand.apply(plan), stand.apply(plan)
    organizations.close()

    assert name["Name"] not in {one["Name"] for one in there}
    assert applied.complete and again.complete, applied.stopped


def test_policies_of_the_organisation_are_made_and_attached(stand: Stand, moto_url: str) -> None:
    """Calls may refer to the answer of an earlier one of their step; a second run finds all in place."""
    organizations = boto3.client("organizations", endpoint_url=moto_url)
    organizations.create_organization(FeatureSet="ALL")
    root = organizations.list_roots()["Roots"][0]["Id"]
    organizations.enable_policy_type(RootId=root, PolicyType="SERVICE_CONTROL_POLICY")
    accounts = [
        organizations.create_account(AccountName=name, Email=f"{name}@example.com")["CreateAccountStatus"][
            "AccountId"
        ]
        for name in ("away", "beyond")
    ]
    wanted = {"TokenTrail-first": accounts, "TokenTrail-second": accounts[1:]}
    made: list[Any] = []
    for name, targets in wanted.items():
        reference = f"${{step.call[{len(made)}].Policy.PolicySummary.Id}}"
        made += [
            call("CreatePolicy", "organizations", Name=name, Description="d", Type="SERVICE_CONTROL_POLICY", Content=denial()),
            *(call("AttachPolicy", "organizations", PolicyId=reference, TargetId=one) for one in targets),
        ]  # fmt: skip
    plan = plan_of(step(1, "scp-deny", *made, cutoff=CUTOFF))

    applied = stand.apply(plan)
    attached = {
        one: {
            policy["Name"]
            for policy in organizations.list_policies_for_target(TargetId=one, Filter="SERVICE_CONTROL_POLICY")["Policies"]
        }
        for one in accounts
    }  # fmt: skip
    again = stand.apply(plan)
    stand.clock.now += timedelta(days=2)
    undone = stand.undo(plan)
    left = organizations.list_policies(Filter="SERVICE_CONTROL_POLICY")["Policies"]
    organizations.close()

    assert applied.complete, applied.stopped
    assert {name: [one for one in accounts if name in attached[one]] for name in wanted} == wanted
    assert again.complete
    assert outcomes(again) == ["already"]
    assert undone.complete
    assert [one["Name"] for one in left] == ["FullAWSAccess"]


@pytest.mark.parametrize("arn", ["${step.call[0].Policy.Arn}", f"arn:aws:iam::{HOME}:policy/TokenTrail-deny"])
def test_a_managed_policy_is_made_and_attached_and_taken_back(stand: Stand, arn: str) -> None:
    """Past the limit of inline policies, the denial is a managed policy; a later cutoff is a new version of it."""
    stand.story()
    before = stand.details()
    plan = plan_of(
        step(
            1, "deny-sessions", call("CreatePolicy", PolicyName="TokenTrail-deny", PolicyDocument=denial()),
            call("AttachRolePolicy", RoleName="MyBucketRole", PolicyArn=arn), cutoff=CUTOFF,
        )
    )  # fmt: skip
    waits = [55]
    stand.wire.before = lambda action: (  # type: ignore[assignment, return-value]
        setattr(stand.clock, "now", stand.clock.now + timedelta(seconds=waits.pop()))
        if action == "AttachRolePolicy" and waits
        else None
    )

    applied = stand.apply(plan)
    stand.clock.now += timedelta(days=2)
    undone = stand.undo(plan)

    assert applied.complete, applied.stopped
    assert stand.wire.writes[:3] == ["CreatePolicy", "AttachRolePolicy", "CreatePolicyVersion"]
    assert undone.complete, undone.things
    assert stand.details() == before


def test_roles_are_assumed_in_other_accounts(stand: Stand, moto_url: str) -> None:
    """With a role pattern, each account is changed through its own session."""
    stand.iam.create_role(
        RoleName="IncidentResponse",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}),
    )
    sts = boto3.client("sts", endpoint_url=moto_url)
    found = sts.assume_role(RoleArn=f"arn:aws:iam::{AWAY}:role/IncidentResponse", RoleSessionName="setup")[
        "Credentials"
    ]
    away = boto3.client(
        "iam", endpoint_url=moto_url, aws_access_key_id=found["AccessKeyId"],
        aws_secret_access_key=found["SecretAccessKey"], aws_session_token=found["SessionToken"],
    )  # fmt: skip
    for iam in (stand.iam, away):
        iam.create_role(
            RoleName="Deploy", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []})
        )
    calls = [
        call("PutRolePolicy", account=account, RoleName="Deploy", PolicyName=REVOKE, PolicyDocument=denial())
        for account in (HOME, AWAY)
    ]
    plan = plan_of(step(1, "revoke-role-sessions", *calls, account=None, cutoff=CUTOFF))

    with stand.cloud(role_arn="arn:aws:iam::{account}:role/IncidentResponse") as cloud:
        applied = stand.apply(plan, cloud=cloud)
        caller = cloud.caller(AWAY)

    cutoffs = [
        issue_time(iam.get_role_policy(RoleName="Deploy", PolicyName=REVOKE)["PolicyDocument"])
        for iam in (stand.iam, away)
    ]
    away.close()
    sts.close()
    assert applied.complete, applied.stopped
    assert cutoffs[0] == cutoffs[1]
    assert caller.arn == f"arn:aws:sts::{AWAY}:assumed-role/IncidentResponse/TokenTrail-run-1"
    assert "AKIARESPONDER0000001" in caller.access_key_ids


def test_another_account_is_refused(stand: Stand) -> None:
    """Credentials of an account that the plan does not name change nothing."""
    plan = plan_of(
        step(
            1,
            "delete-key",
            call("DeleteAccessKey", account=AWAY, UserName="u", AccessKeyId="AKIAIOSFODNN7EXAMPLE"),
        )
    )

    with pytest.raises(ActionRefused, match=f"of account {HOME}"):
        stand.apply(plan)
    assert stand.wire.writes == []


def refused(stand: Stand, plan: Plan, match: str, **options: Any) -> None:
    with pytest.raises(ActionRefused, match=match):
        stand.apply(plan, **options)
    assert stand.wire.writes == []


def test_a_tainted_identity_is_refused(stand: Stand) -> None:
    """The attacker's own key does not carry out the plan against it."""
    plan = replace(stand.story(), tainted=("AKIARESPONDER0000001",))

    refused(stand, plan, "counts as the attacker's")


def test_an_identity_that_a_step_cuts_is_refused(stand: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    """The responder's own session is never cut by surprise, and only knowingly."""
    plan = stand.story()
    own = stand.iam.create_access_key(UserName="support")["AccessKey"]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", own["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", own["SecretAccessKey"])

    refused(stand, plan, "--yes-cut-my-own-session")
    assert stand.apply(plan, own_session_may_be_cut=True).complete


@pytest.mark.parametrize(
    ("conditions", "cut"),
    [
        ({"StringEquals": {"aws:userid": "AROARESPONDERRESPONDE:eve"}}, False),
        ({"StringEquals": {"aws:userid": ["AROARESPONDERRESPONDE:eve", "AROARESPONDERRESPONDE:ria"]}}, True),
        ({"DateLessThan": {"aws:TokenIssueTime": "2026-11-23T10:00:00Z"}}, True),
        ({"StringEquals": {"aws:OriginIdentity/Subject": "alice@corp"}}, True),
        ({}, True),
    ],
)
def test_a_step_on_our_own_role_is_judged_by_its_document(
    conditions: dict[str, dict[str, Any]], *, cut: bool
) -> None:
    """A deny of another session of the role leaves ours; whose session ours is, AWS does not tell."""
    role = f"arn:aws:iam::{HOME}:role/Deploy"
    text = json.dumps(
        {"Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": conditions}]}
    )
    one = replace(
        step(1, "deny-sessions", call("PutRolePolicy", RoleName="Deploy", PolicyName="x", PolicyDocument=text), principals=(role,)),
        targets=("AROARESPONDERRESPONDE:eve",), collateral=(),
    )  # fmt: skip
    arn = f"arn:aws:sts::{HOME}:assumed-role/Deploy/ria"
    caller = CallingIdentity(
        account=HOME, arn=arn, user_id="AROARESPONDERRESPONDE:ria", access_key_ids=("ASIAOURS",)
    )

    assert preflight._cuts(one, caller) is cut
    assert preflight._cuts(replace(one, calls=(call("DeleteRole", RoleName="Deploy"),)), caller)


def test_a_session_named_as_collateral_is_refused(stand: Stand) -> None:
    """A step that says it cuts the caller's own key off is not carried out by it."""
    plan = stand.story()
    hit = replace(plan.steps[1], collateral=(Collateral(credential="AKIARESPONDER0000001", principal=None),))

    refused(stand, replace(plan, steps=(plan.steps[0], hit)), "would cut off")


@pytest.mark.parametrize("seconds", [-60, 60])
def test_a_clock_that_is_off_is_refused(stand: Stand, seconds: int) -> None:
    """A cutoff by a clock that is behind AWS's would lie in the past."""
    plan = stand.story()
    with stand.cloud() as cloud:
        caller = cloud.caller
        assert abs(caller(HOME).clock_ahead) < 5
        cloud.caller = lambda account: replace(caller(account), clock_ahead=seconds)  # type: ignore[method-assign]
        refused(stand, plan, "Set the clock", cloud=cloud)


def test_a_tainted_session_is_known_by_its_principal_id(stand: Stand) -> None:
    """A console session's id holds no key, and its name may hold an @."""
    with stand.cloud() as cloud:
        own = replace(cloud.caller(HOME), user_id="AROAEXAMPLE:ria@example.com")
        cloud.caller = lambda account: own  # type: ignore[method-assign]
        plan = replace(stand.story(), tainted=("AROAEXAMPLE:ria@example.com@2026-11-23T10:00:00Z",))
        refused(stand, plan, "counts as the attacker's", cloud=cloud)


def test_newer_evidence_of_what_no_step_ends_is_a_reason_to_plan_again(stand: Stand) -> None:
    """It is named with its principal, with why, and with the command that plans the same again."""
    plan = stand.story()
    new = Uncovered(
        name="ASIANEWSESSION000001", principal=f"arn:aws:iam::{HOME}:role/Deploy", why="no step acts there"
    )

    def found(*uncovered: Uncovered) -> Any:
        return lambda done, now: Recheck(uncovered=uncovered, ended_by={}, risks=("a grant was left",))

    refused(
        stand,
        plan,
        r"ASIANEWSESSION000001 \(role/Deploy\): no step acts there. Plan again",
        recheck=found(new),
    )
    narrow = {"since": AS_OF, "source_ips": ("203.0.113.0/24",), "trusted_ips": ()}
    other = replace(plan, strategy="surgical", narrowing=narrow, lag=60)
    again = "--strategy surgical --attacker-since 2026-11-23T10:14:00Z --source-ip 203.0.113.0/24 --lag 60 -o NEW-PLAN.json`"
    refused(stand, other, again, recheck=found(new))
    removing = replace(plan, steps=(replace(plan.steps[0], action="delete-created-key"), *plan.steps[1:]))
    refused(stand, removing, "contain .* --delete-created -o NEW-PLAN.json`", recheck=found(new))
    applied = stand.apply(plan, recheck=found())
    assert applied.complete and applied.notes == ("a grant was left",)


def test_evidence_is_looked_at_with_the_steps_that_were_sent(stand: Stand) -> None:
    """A run that goes on tells the proof which steps were sent, and with which cutoffs, and what the time is."""
    plan = stand.story()
    stand.wire.before = lambda action: (403, "AccessDenied") if action == "PutRolePolicy" else None
    stand.apply(plan)
    stand.wire.before = lambda action: None
    seen: list[Any] = []

    def recheck(done: Any, now: datetime) -> Recheck:
        seen.append(({n: record.cutoff for n, record in done.items()}, now))
        return Recheck(uncovered=(), ended_by={}, risks=())

    assert stand.apply(plan, recheck=recheck).complete
    now = seen[0][1]
    assert seen == [({1: None, 2: now + timedelta(seconds=60)}, now)]


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (call("CreateUser", UserName="x"), "no call that TokenTrail carries out"),
        (call("PutUserPolicy", UserName="x", PolicyName="p"), "PolicyDocument"),
        (
            call("AttachUserPolicy", UserName="x", PolicyArn="${step.call[5].Policy.Arn}"),
            "does not come before",
        ),
    ],
)
def test_calls_that_make_no_sense_are_refused_before_any_is_sent(stand: Stand, bad: Any, match: str) -> None:
    """A plan is no way to call whatever one likes."""
    plan = stand.story()

    with pytest.raises(UsageError, match=match):
        stand.apply(replace(plan, steps=(*plan.steps, step(4, "delete-user", bad))))
    assert stand.wire.writes == []


def test_a_margin_below_the_lag_of_iam_is_refused(stand: Stand) -> None:
    """A cutoff that is over before IAM follows ends nothing."""
    refused(stand, replace(stand.story(), margin=5), "--margin 60")


def test_without_credentials_it_says_which_account_and_what_to_do(
    stand: Stand, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No credentials is a refusal with a remedy, not a traceback."""
    plan = stand.story()
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")

    refused(stand, plan, f"--profile-for {HOME}=NAME")


class Killed(BaseException):
    """The process ended here."""


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("place", range(3))
def test_a_run_that_dies_at_any_call_is_taken_up(stand: Stand, when: str, place: int) -> None:
    """Killed before or after any call took effect, the next run ends where the first would have."""
    plan = stand.story()
    before = stand.details()
    with stand.cloud() as cloud:
        send, sent = cloud.send, [0]

        def dying(meant: Any) -> Any:
            if meant.operation not in ("UpdateAccessKey", "PutUserPolicy", "PutRolePolicy"):
                return send(meant)
            sent[0] += 1
            if sent[0] == place + 1:
                if when == "after":
                    send(meant)
                raise Killed
            return send(meant)

        cloud.send = dying  # type: ignore[method-assign]
        with pytest.raises(Killed):
            stand.apply(plan, cloud=cloud)

    resumed = stand.apply(plan)
    stand.clock.now += timedelta(days=3)
    undone = stand.undo(plan, reactivate=True)

    assert resumed.complete, resumed.stopped
    assert undone.complete, undone.things
    assert stand.details() == before


def test_times_are_kept_to_the_microsecond(stand: Stand) -> None:
    """What was sent when decides what an event proves."""
    stand.clock.now = datetime.fromisoformat("2026-11-23T10:20:00.250000+00:00")
    applied = stand.apply(stand.story())

    assert applied.steps[1].cutoff == datetime.fromisoformat("2026-11-23T10:21:01+00:00")


def test_the_same_plan_in_another_file_is_carried_out_too(stand: Stand) -> None:
    """Its policy is there with an earlier cutoff: it gets a new version, and undo puts back the one before."""
    arn = f"arn:aws:iam::{HOME}:policy/TokenTrail-deny"
    stand.story()
    plan = plan_of(
        step(
            1, "deny-sessions", call("CreatePolicy", PolicyName="TokenTrail-deny", PolicyDocument=denial()),
            call("AttachRolePolicy", RoleName="MyBucketRole", PolicyArn=arn), cutoff=CUTOFF,
        )
    )  # fmt: skip
    other = replace(stand, folder=stand.folder / "other")
    other.folder.mkdir()

    applied = stand.apply(plan)
    first = stand.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    stand.clock.now += timedelta(minutes=5)
    again = other.apply(plan)
    second = stand.iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    stand.clock.now += timedelta(days=2)
    undone = other.undo(plan)

    assert applied.complete and again.complete, again.stopped
    assert (first, second) == ("v1", "v2")
    assert undone.complete, undone.things
    assert issue_time(
        stand.iam.get_policy_version(PolicyArn=arn, VersionId="v3")["PolicyVersion"]["Document"]
    ) == (AS_OF + timedelta(minutes=6))


def test_a_policy_of_that_name_that_says_something_else_is_left_alone(stand: Stand) -> None:
    """It is somebody's, and stops the run."""
    stand.iam.create_policy(PolicyName="TokenTrail-deny", PolicyDocument=BEFORE)
    made = call("CreatePolicy", PolicyName="TokenTrail-deny", PolicyDocument=denial())

    applied = stand.apply(plan_of(step(1, "deny-sessions", made, cutoff=CUTOFF)))

    assert "EntityAlreadyExists" in (applied.stopped or "")
    assert stand.wire.writes == ["CreatePolicy"]


def test_a_plan_made_anew_is_carried_out_beside_the_one_before(stand: Stand) -> None:
    """Both are made with managed policies for the same role; each undo takes its own away and leaves the other's."""
    world = World(AS_OF - timedelta(minutes=10), account=HOME)
    key, robot = world.user("support"), world.user("robot")
    key.assumes("MyBucketRole", "x").calls("s3:ListBuckets")
    for number in range(60):
        robot.assumes("MyBucketRole", f"build-{number:05}")
    robot.calls("s3:ListBuckets")
    stand.story()
    with held(world) as case:
        plans = [case.contain([key.id], strategy="surgical", margin=margin) for margin in (60, 90)]
    steps = [with_steps(plan, replace(plan.steps[-1], n=1)) for plan in plans]
    stands = [replace(stand, folder=stand.folder / name) for name in ("first", "second")]
    for one in stands:
        one.folder.mkdir()

    applied = [one.apply(plan) for one, plan in zip(stands, steps, strict=True)]
    again = stands[0].apply(steps[0])
    both = stand.iam.list_attached_role_policies(RoleName="MyBucketRole")["AttachedPolicies"]
    stand.clock.now += timedelta(days=2)
    undone = stands[1].undo(steps[1])
    left = stand.iam.list_attached_role_policies(RoleName="MyBucketRole")["AttachedPolicies"]

    assert [one.stopped for one in (*applied, again)] == [None, None, None]
    assert undone.complete, undone.things
    names = [call.parameters["PolicyName"] for call in steps[0].steps[0].calls[::2]]
    assert len(both) == 6
    assert sorted(one["PolicyName"] for one in left) == sorted(names)


def test_what_a_colleague_deleted_meanwhile_needs_no_denial(stand: Stand) -> None:
    """A user that is gone stops nothing: the steps on it are done, in words, and the role's is carried out."""
    plan = stand.story()
    stand.iam.delete_access_key(UserName="support", AccessKeyId=stand.key)
    stand.iam.delete_user(UserName="support")

    applied = stand.apply(plan)

    assert applied.complete, applied.stopped
    assert outcomes(applied) == ["already", "already", "done"]
    assert stand.wire.writes == ["PutRolePolicy"]
    assert [one.why for done in applied.steps for one in done.deeds] == [
        f"there is no access key {stand.key} of user support any more, and what is gone needs no denial",
        "there is no user support any more, and what is gone needs no denial; if it was renamed (UpdateUser), it lives "
        "on: then ingest newer logs and plan again",
        None,
    ]


OWNER = (
    "<GetAccessKeyLastUsedResponse><GetAccessKeyLastUsedResult><UserName>{name}</UserName>"
    "</GetAccessKeyLastUsedResult></GetAccessKeyLastUsedResponse>"
)
"""How IAM names the user that owns a key (moto gives the old name of one that was renamed)."""


def test_a_user_that_was_renamed_is_not_gone(stand: Stand) -> None:
    """Its key works on under the new name, which IAM tells: nothing is taken for done, and a new plan asked for."""
    plan = stand.story()
    stand.iam.update_user(UserName="support", NewUserName="renamed")
    page = (200, OWNER.format(name="renamed"))
    stand.wire.before = lambda action: page if action == "GetAccessKeyLastUsed" else None

    applied = stand.apply(plan)

    assert outcomes(applied) == ["failed", "not-reached", "not-reached"]
    assert stand.wire.writes == []
    assert "its user support is called renamed by now: ingest newer logs and plan again" in (
        applied.stopped or ""
    )


@pytest.mark.parametrize(
    "answer", [(403, "AccessDenied"), (404, "NoSuchEntity"), (200, OWNER.format(name="support"))]
)
def test_a_key_that_nobody_else_is_told_to_have_is_gone(stand: Stand, answer: tuple[int, str]) -> None:
    """Whether IAM does not know it, does not tell, or still names the user that was deleted."""
    plan = stand.story()
    stand.iam.delete_access_key(UserName="support", AccessKeyId=stand.key)
    stand.wire.before = lambda action: answer if action == "GetAccessKeyLastUsed" else None

    applied = stand.apply(plan)

    assert applied.complete, applied.stopped
    assert outcomes(applied) == ["already", "done", "done"]


def test_a_user_that_goes_while_its_denial_is_sent_needs_none(stand: Stand) -> None:
    """Between the look and the call is time enough to delete a user; the run goes on, and says why."""
    plan = stand.story()

    def delete(action: str) -> None:
        if action == "PutUserPolicy":
            stand.iam.delete_access_key(UserName="support", AccessKeyId=stand.key)
            stand.iam.delete_user(UserName="support")

    stand.wire.before = delete  # type: ignore[assignment]
    applied = stand.apply(plan)

    assert applied.complete, applied.stopped
    assert outcomes(applied) == ["done", "done", "done"]
    assert "no user support any more" in (applied.steps[1].deeds[0].why or "")


def test_roles_that_are_gone_need_no_managed_policy_and_no_trust(stand: Stand) -> None:
    """An attachment and a trust of a role that was deleted count as done."""
    arn = f"arn:aws:iam::{HOME}:policy/TokenTrail-deny"
    plan = plan_of(
        step(
            1, "deny-sessions", call("CreatePolicy", PolicyName="TokenTrail-deny", PolicyDocument=denial()),
            call("AttachRolePolicy", RoleName="Gone", PolicyArn=arn), cutoff=CUTOFF,
        ),
        step(2, "revert-trust", call("UpdateAssumeRolePolicy", RoleName="Gone", PolicyDocument=BEFORE)),
    )  # fmt: skip

    applied = stand.apply(plan)

    assert applied.complete, applied.stopped
    assert stand.wire.writes == ["CreatePolicy"]


def test_a_trust_that_iam_spells_in_its_own_way_stands(stand: Stand) -> None:
    """IAM tells principals in an order of its own, an account as its root, and one of a list alone."""

    def trust(*principals: str, action: Any = "sts:AssumeRole") -> str:
        allow = {"Effect": "Allow", "Action": action, "Principal": {"AWS": [*principals]}}
        return json.dumps({"Version": "2012-10-17", "Statement": [allow]})

    stand.story()
    user, root = f"arn:aws:iam::{HOME}:user/support", f"arn:aws:iam::{AWAY}:root"
    told = {"RoleName": "MyBucketRole", "PolicyDocument": trust(user, root)}

    def spell(action: str) -> None:
        if action == "UpdateAssumeRolePolicy":
            stand.iam.update_assume_role_policy(**told)

    stand.wire.after = spell
    wanted = call("UpdateAssumeRolePolicy", RoleName="MyBucketRole", PolicyDocument=trust(AWAY, user, action=["sts:AssumeRole"]))  # fmt: skip
    applied = stand.apply(plan_of(step(1, "revert-trust", wanted)))

    assert applied.complete, applied.stopped
    assert stand.wire.writes == ["UpdateAssumeRolePolicy"]
    assert change(wanted).stands({"document": told["PolicyDocument"]})
    assert not change(wanted).stands({"document": trust(user, root, HOME)})
    assert not change(wanted).stands({"document": trust(user, root, action=["sts:AssumeRole", "sts:TagSession"])})  # fmt: skip


def test_an_owner_that_may_not_be_looked_at_is_taken_to_be_there(stand: Stand) -> None:
    """Where GetUser is denied, a policy that is missing is written."""
    plan = stand.story()
    stand.wire.before = lambda action: (403, "AccessDenied") if action == "GetUser" else None

    applied = stand.apply(plan)

    assert applied.complete, applied.stopped
    assert outcomes(applied) == ["done", "done", "done"]


def test_a_policy_of_a_user_that_is_gone_is_not_put_back(stand: Stand) -> None:
    """What was on a user that somebody deleted since can't be taken back, which is said."""
    plan = stand.story()
    stand.iam.put_user_policy(UserName="support", PolicyName=REVOKE, PolicyDocument=BEFORE)
    stand.apply(plan)
    stand.iam.delete_user_policy(UserName="support", PolicyName=REVOKE)
    stand.iam.delete_access_key(UserName="support", AccessKeyId=stand.key)
    stand.iam.delete_user(UserName="support")
    stand.clock.now += timedelta(days=2)

    undone = stand.undo(plan)

    told = {one.thing: one for one in undone.things}[f"inline policy {REVOKE} of user support"]
    assert told.outcome == "irreversible"
    assert told.why.startswith("there is no user support any more")


def test_a_password_of_a_user_that_is_not_there_is_told(stand: Stand) -> None:
    """IAM says of a renamed user what it says of one without a password: the step says that it may be called otherwise."""
    stand.iam.create_user(UserName="backdoor")
    stand.iam.create_login_profile(UserName="backdoor", Password="a-Password-1")
    stand.iam.update_user(UserName="backdoor", NewUserName="other")
    plan = plan_of(
        step(1, "remove-login-profile", call("DeleteLoginProfile", UserName="backdoor"), reversible=False)
    )

    (result,) = stand.apply(plan).steps[0].deeds

    assert result.outcome == "already" and "if it was renamed (UpdateUser), it lives on" in str(result.why)
