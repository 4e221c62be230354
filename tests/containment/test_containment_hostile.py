"""What an attacker writes into its own calls can't break a plan."""

from __future__ import annotations

import io
import shlex
from typing import Any

import pytest
from contain_cases import actions, checked

from evidence import HOME, START, call, held, user
from tokentrail.present.text.plan_text import write_plan, write_script
from tokentrail.present.text.text_writer import TextWriter
from tokentrail.testing import World
from work import some

ODD: tuple[Any, ...] = (None, [], {}, 7, "x" * 10_000, "\x1b[31m\u202e<script>", "=cmd()", "$(touch x)`id`\n")
CALLS = (
    ("CreateAccessKey", "iam"), ("CreateUser", "iam"), ("CreateRole", "iam"), ("UpdateAssumeRolePolicy", "iam"),
    ("CreateLoginProfile", "iam"), ("CreateOpenIDConnectProvider", "iam"), ("RunInstances", "ec2"),
    ("CreateFunction20150331", "lambda"), ("AssociateIamInstanceProfile", "ec2"), ("RunTask", "ecs"),
    ("CreateProject", "codebuild"), ("PutTargets", "events"), ("CreateStateMachine", "states"),
    ("AddRoleToInstanceProfile", "iam"), ("CreateTrustAnchor", "rolesanywhere"), ("TerminateInstances", "ec2"),
    ("UpdateService", "ecs"), ("UpdateProject", "codebuild"), ("StopLogging", "cloudtrail"),
    ("DeactivateMFADevice", "iam"), ("PutBucketLifecycle", "s3"), ("ScheduleKeyDeletion", "kms"),
    ("AssumeRoleForPodIdentity", "eks-auth"), ("GetComputeAccess", "gamelift"), ("CreateOAuth2Token", "signin"),
)  # fmt: skip
ASKED = (
    "userName",
    "roleName",
    "policyName",
    "policyDocument",
    "functionName",
    "role",
    "instanceId",
    "name",
    "roleArn",
    "serviceRole",
    "targets",
    "instanceProfileName",
    "instancesSet",
    "stateMachineArn",
    "tasks",
    "cluster",
    "service",
    "bucketName",
    "keyId",
    "serialNumber",
)


@pytest.mark.parametrize("odd", some(ODD, 2), ids=[repr(one)[:12] for one in ODD])
def test_odd_values_in_a_tainted_call_are_planned_around(odd: Any) -> None:
    """Lists, numbers, nulls, 10 KB and control characters where names belong: a plan, and nothing that moves a terminal."""
    records = [
        call(name, f"2026-11-23T09:00:{n:02}Z", user(), eventSource=f"{source}.amazonaws.com", readOnly=False,
             requestParameters=dict.fromkeys(ASKED, odd),
             responseElements={"accessKey": {"accessKeyId": odd}, "user": {"arn": odd}, "instancesSet": {"items": odd}, "tasks": odd,
                               "trustAnchor": {"trustAnchorArn": odd}}, awsRegion=odd if isinstance(odd, str) else "us-east-1")
        for n, (name, source) in enumerate(CALLS)
    ]  # fmt: skip
    with held(records) as case:
        plan = case.contain(["AKIAIOSFODNN7EXAMPLE"])
    text, script = io.StringIO(), io.StringIO()
    write_plan(plan, TextWriter(text))
    write_script(plan, script)
    assert "\x1b" not in text.getvalue() + script.getvalue() and "\u202e" not in text.getvalue()
    for line in text.getvalue().splitlines():  # a word is never broken, so that what is copied is whole
        assert len(line) <= 100 or len(line) - max(map(len, line.split())) <= 20


@pytest.mark.parametrize(
    ("account", "key"), [("111122223333", "AKIA;touch x"), ("1;touch x", "AKIAIOSFODNN7EXAMPLE")]
)
def test_what_is_copied_from_a_plan_for_root_runs_nothing_else(account: str, key: str) -> None:
    """A planted record may call a root user's key or account what it likes: the command that names it quotes it."""
    root = {
        "type": "Root", "accountId": account, "principalId": account, "arn": f"arn:aws:iam::{account}:root",
        "accessKeyId": key,
    }  # fmt: skip
    with held([call("ListBuckets", "2026-11-23T09:00:00Z", root, sourceIPAddress="192.0.2.77")]) as case:
        (why,) = [one.why for one in case.contain(["192.0.2.77"]).steps if one.action == "deactivate-key"]

    words = [word for command in why.split("`")[1::2] for word in shlex.split(command)]
    assert {f"--target-principal={account}", f"--access-key-id={key}"} <= set(words)


def test_what_is_copied_from_a_condition_about_a_reactivation_runs_nothing_else() -> None:
    """A planted record may bear any id: the command that names it quotes it."""
    world = World(START)
    key = world.user("ada")
    world.user("ops").deactivates(key)
    key.key().iam("UpdateAccessKey", userName="ada", accessKeyId=key.key_id, status="Active")
    key.calls("s3:ListBuckets")
    records = world.records()
    records[-2]["eventID"] = "x; touch y"
    with held(records) as case:
        conditions = case.contain([key.id]).proof.holds_if

    [said] = [one for one in conditions if "active again" in one]
    assert ["tokentrail", "contain", "x; touch y"] == shlex.split(said.split("`")[1])


def test_what_a_record_does_not_name_is_nobody_elses() -> None:
    """Without requests and answers, `CreateUser` named no user: the plan deleted whoever called, for good."""
    world = World(START)
    key = world.user("app")
    backdoor = key.creates_user("backdoor")
    key.creates_access_key(backdoor)
    key.iam("UpdateLoginProfile", userName="ada")
    key.creates_function("Worker", "job")
    key.calls("s3:ListBuckets")
    bare = [{**one, "requestParameters": None, "responseElements": None} for one in world.records()]
    with held(bare) as case:
        plan = checked(case.contain([key.id]))
    made = next(one for one in plan.steps if one.action == "deactivate-key" and not one.calls)

    assert not any(call.operation.startswith("Delete") for one in plan.steps for call in one.calls)
    assert ["deactivate-key", "deactivate-key", "isolate-instance", "revoke-user-sessions"] == actions(plan)
    assert () == plan.steps[2].calls  # no call can name the function
    assert all(
        f"made or set {what}, which the record does not name" in made.why for what in ("a user", "a key")
    )
    assert "a password" in made.why


def test_what_was_minted_and_is_not_told_is_a_condition_of_its_own() -> None:
    """That it was not minted is known to be wrong, so that it does not count among the hours without events."""
    world = World(START)
    key = world.user("app")
    key.assumes("Deploy", "unseen")
    bare = [{**one, "requestParameters": None, "responseElements": None} for one in world.records()]
    with held(bare) as case:
        plan = checked(case.contain([key.id]))

    [said] = [one for one in plan.proof.holds_if if "1 call (AssumeRole)" in one]
    assert said.startswith("nobody uses what no step may reach: ") and key.id in said
    assert (
        "nothing was minted in the 1 gap of the evidence that `trace` lists" in plan.proof.holds_if
    )  # no changes


@pytest.mark.parametrize("account", ["", HOME])
def test_a_key_of_whom_is_not_known_is_stopped_by_hand(account: str) -> None:
    """The console's event history as CSV tells neither account nor ARN: no call is made up, and the step tells how."""
    world = World(START)
    key = world.user("app")
    key.calls("s3:ListBuckets")
    cells = ("eventTime", "eventName", "eventSource", "sourceIPAddress", "eventID")
    rows = [",".join(("AWS access key", "userIdentity.accountId", *cells))]
    rows += [",".join((key.id, account, *(one[cell] for cell in cells))) for one in world.records()]
    with held("\n".join(rows).encode()) as case:
        plan = checked(case.contain([key.id]))
    [step] = plan.steps
    text = io.StringIO()
    write_plan(plan, TextWriter(text))

    assert not plan.proof.complete and () == step.calls
    assert f"aws sts get-access-key-info --access-key-id={key.id}" in step.why
    where = f"account {HOME}" if account else "in an account that is not known"
    assert f"({where}, by hand)" in text.getvalue()
    assert "unknown/" not in text.getvalue()


def test_a_name_of_ten_thousand_characters_is_cut_in_what_was_left_behind() -> None:
    """A risk names the policy and the protection, not the whole of what a forged record calls them."""
    world = World(START)
    key = world.user("support")
    asked_for = {"groupName": "g" * 10_000, "policyName": "\x1b[31mp"}
    key.calls("iam:PutGroupPolicy", asked_for, read_only=False)
    key.calls("iam:DeleteGroupPolicy", asked_for | {"groupName": "h" * 10_000}, read_only=False)
    with held(world) as case:
        risks = case.contain([key.id]).residual_risks

    assert 2 == len([one for one in risks if "ggg" in one or "hhh" in one])
    assert max(map(len, risks)) < 2_000 and not any("\x1b" in one for one in risks)
