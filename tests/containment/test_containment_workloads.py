"""What the attacker made to run with a role, or lets in by certificate: found, named, stopped, and told when gone."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from botocore import xform_name
from botocore.session import get_session
from contain_cases import ROLE, actions, asked, checked, planned, step

from evidence import START
from tokentrail.aws.calls.workload_kinds import WORKLOADS
from tokentrail.containment.incident.workloads import RUN_BY, name_of
from tokentrail.containment.model import Call, Plan
from tokentrail.testing import Credential, LongTermKey, World, administration, workload
from tokentrail.testing.credential import WorkloadSession
from work import some

JOB = f"{ROLE}Job"
HERE = "us-east-1"
ANYWHERE = "arn:aws:rolesanywhere:us-east-1:111122223333"


def thief() -> tuple[World, LongTermKey, Credential]:
    """A leaked key, and a session of an administrator's role that it took."""
    world = World(START)
    key = world.user("support")
    session = key.assumes("Admin", "x")
    session.calls("s3:ListBuckets")
    return world, key, session


def plan_after(*calls: tuple[str, dict[str, Any], dict[str, Any] | None]) -> Plan:
    """A plan, after the thief has made some calls."""
    world, key, session = thief()
    for action, params, response in calls:
        session.calls(action, params, response=response, read_only=False)
    return planned(world, key.id)


MADE: dict[str, tuple[str, dict[str, Any], dict[str, Any] | None, str]] = {
    "task": ("ecs:RunTask", {"overrides": {"taskRoleArn": JOB}}, {"tasks": [{"taskArn": "task-1"}]}, "ecs stop-task"),
    "definition": ("ecs:RegisterTaskDefinition", {"family": "miner", "taskRoleArn": JOB}, None, "deregister-task"),
    "glue": ("glue:CreateJob", {"name": "etl", "role": "Job"}, {"name": "etl"}, "glue delete-job"),
    "endpoint": ("glue:CreateDevEndpoint", {"endpointName": "dev", "roleArn": JOB}, None, "delete-dev-endpoint"),
    "build": ("codebuild:CreateProject", {"name": "b", "serviceRole": JOB}, None, "codebuild delete-project"),
    "notebook": ("sagemaker:CreateNotebookInstance", {"notebookInstanceName": "n", "roleArn": JOB}, None, "stop-note"),
    "stack": ("cloudformation:CreateStack", {"stackName": "s", "roleARN": JOB}, None, "delete-stack"),
    "machine": ("states:CreateStateMachine", {"name": "m", "roleArn": JOB}, None, "delete-state-machine"),
    "rule": ("events:PutTargets", {"rule": "r", "targets": [{"id": "1", "roleArn": JOB}]}, None, "events disable-rule"),
    "schedule": ("scheduler:CreateSchedule", {"name": "s", "target": {"roleArn": JOB}}, None, "delete-schedule"),
    "service": (
        "ecs:CreateService", {"cluster": "mine", "serviceName": "s", "taskRoleArn": JOB}, None,
        "--cluster=mine --service=s --desired-count 0",
    ),
    "microvm": (
        "lambda:RunMicrovm", {"imageIdentifier": "image", "executionRoleArn": JOB}, {"microvmId": "vm-1"},
        "lambda-microvms terminate-microvm",
    ),
    "microvm_image": (
        "lambda:CreateMicrovmImage", {"name": "image", "buildRoleArn": JOB}, None, "delete-microvm-image",
    ),
    "profile": ("iam:AddRoleToInstanceProfile", {"instanceProfileName": "p", "roleName": "Job"}, None, "remove-role"),
}  # fmt: skip


@pytest.mark.parametrize("kind", some(MADE, 2))
def test_what_was_made_to_run_with_a_role_is_stopped_by_hand_and_its_role_cut(kind: str) -> None:
    """A step tells how to stop it, with the command; all sessions of its role go after it, though none was seen."""
    action, params, response, told = MADE[kind]
    plan = plan_after((action, params, response))

    host = step(plan, "isolate-instance")
    assert () == host.calls and told in host.why
    assert JOB in step(plan, "revoke-role-sessions").principals
    assert host.n < step(plan, "revoke-role-sessions").n and plan.proof.complete


@pytest.mark.parametrize("kind", ["stack", "rule", "schedule"])
def test_what_runs_with_nobody_s_role_is_a_risk_and_no_host(kind: str) -> None:
    """A stack or rule without a role of its own is told of, and no step pretends to stop sessions of it."""
    action, _, _, _ = MADE[kind]
    plan = plan_after((action, {"stackName": "s", "name": "s", "rule": "r"}, None))

    assert "isolate-instance" not in actions(plan)
    assert any("left a" in one and action.partition(":")[2] in one for one in plan.residual_risks)


def test_the_attacker_s_own_instance_and_function_are_stopped_by_calls() -> None:
    """In the region that the log names; the undoing is there, and never safe by itself."""
    world, key, session = thief()
    session.runs_instance("WebServer").calls("s3:ListBuckets")
    session.creates_function("send", "Send").calls("s3:ListBuckets")
    plan = planned(world, key.id)

    host = step(plan, "isolate-instance")
    told = [(call.service, call.operation, call.region) for call in host.calls]
    assert sorted([("ec2", "StopInstances", HERE), ("lambda", "PutFunctionConcurrency", HERE)]) == sorted(
        told
    )
    assert {"StartInstances", "DeleteFunctionConcurrency"} == {call.operation for call in host.undo}
    assert {HERE} == {call.region for call in host.undo}
    assert host.safe_to_undo_after is None and plan.proof.complete


def test_sessions_of_the_attacker_s_task_and_build_are_told_from_others_of_their_role() -> None:
    """They bear the ids that the log's answers name, and so does what stops them; another task is not the attacker's."""
    world, key, session = thief()
    task, build = session.runs_task("WebServer"), session.starts_build("site", "WebServer")
    other = world.task("WebServer")
    for one in (task, build, other):
        one.calls("s3:ListBuckets")
    plan = planned(world, key.id)

    assert {task.id, build.id} < set(plan.tainted) and other.id not in plan.tainted
    project = f"site:{build.session_name.partition('-')[2]}"
    assert set(step(plan, "isolate-instance").targets) == {task.session_name, project}
    assert plan.proof.complete and not any("where a build was started" in one for one in plan.proof.holds_if)


def test_a_task_that_found_no_place_leaves_no_host() -> None:
    """ECS answers so without an error, and names what failed: nothing runs, and nobody has to stop it."""
    answer = {
        "tasks": [],
        "failures": [{"arn": "arn:aws:ecs:container-instance/c", "reason": "RESOURCE:MEMORY"}],
    }

    assert "isolate-instance" not in actions(
        plan_after(("ecs:RunTask", {"overrides": {"taskRoleArn": JOB}}, answer))
    )


@pytest.mark.parametrize("build", [False, True])
def test_a_task_or_build_of_the_attacker_s_that_was_stopped_is_no_host_any_more(build: bool) -> None:
    """Nobody starts another in the place of one that was started by hand, whose own session tells it by its id."""
    world, key, session = thief()
    if build:
        name = session.starts_build("site", "WebServer").session_name
        stopped: dict[str, Any] = {"id": f"site:{name.partition('-')[2]}"}
    else:
        name = session.runs_task("WebServer").session_name
        stopped = {"cluster": "main", "task": f"arn:aws:ecs:{HERE}:{session.account}:task/main/{name}"}
    session.calls("codebuild:StopBuild" if build else "ecs:StopTask", stopped, read_only=False)
    still = "isolate-instance" in actions(planned(world, key.id))
    world.wait(130)
    world.user("bystander").calls("s3:ListBuckets")

    assert still != build, "a task has two minutes to end"
    assert "isolate-instance" not in actions(planned(world, key.id))


def test_the_attacker_s_task_and_build_are_stopped_by_calls_in_a_step_of_their_own() -> None:
    """Nothing takes these back, and what can be undone of the other hosts stays so; a step that is given says the same."""
    world, key, session = thief()
    task, build = session.runs_task("WebServer"), session.starts_build("site", "WebServer")
    for one in (task, build, session.runs_instance("WebServer")):
        one.calls("s3:ListBuckets")
    id_ = f"site:{build.session_name.partition('-')[2]}"
    with asked(world) as case:
        plan = checked(case.contain([key.id]))
        given = [
            case.contain([key.id], what_if=[f"isolate-instance:{one}"]) for one in (task.session_name, id_)
        ]

    first, last = (one for one in plan.steps if one.action == "isolate-instance")
    assert ["StopInstances"] == [call.operation for call in first.calls] and first.reversible and first.undo
    stops = [Call(account=session.account, service="ecs", operation="StopTask", region=HERE,
                  parameters={"cluster": "main", "task": task.session_name}),
             Call(account=session.account, service="codebuild", operation="StopBuild", region=HERE,
                  parameters={"id": id_})]  # fmt: skip
    assert stops == list(last.calls) and () == last.undo and not last.reversible
    assert [[one] for one in stops] == [list(one.steps[0].calls) for one in given]
    assert plan.proof.complete and (50, 130) == (first.bites_within, last.bites_within)
    assert any("ended 130 seconds later" in one for one in plan.proof.holds_if)


def test_a_task_is_one_host_wherever_its_session_was_logged() -> None:
    """Its id is random: the session that is called so is its own, though another region's log tells of it."""
    world, key, session = thief()
    task = workload.task(world, world.role("WebServer"), "main")
    params, answer = administration.run_task(world, session.account, task.role, "main", task.session_name)
    there = json.loads(json.dumps(answer).replace(HERE, "eu-west-1"))
    session.calls("ecs:RunTask", params, response=there, read_only=False, region="eu-west-1")
    WorkloadSession.deliver(world, task).calls("s3:ListBuckets")

    assert ["eu-west-1"] == [call.region for call in step(planned(world, key.id), "isolate-instance").calls]


def test_a_build_that_was_tried_anew_is_stopped_by_its_own_id() -> None:
    """RetryBuild starts another, with an id of its own in the answer, whoever started the first; run out or not."""
    world, key, session = thief()
    build = workload.build(world, world.role("WebServer"))
    id_ = f"site:{build.session_name.partition('-')[2]}"
    answer = {"build": {"id": id_, "arn": f"arn:aws:codebuild:{HERE}:{session.account}:build/{id_}"}}
    session.calls("codebuild:RetryBuild", {"id": "site:0"}, response=answer, read_only=False)
    began = WorkloadSession.deliver(world, build)
    began.calls("s3:ListBuckets")
    world.wait(4 * 3600)
    world.user("bystander").calls("s3:ListBuckets")
    plan = planned(world, key.id)

    assert began.id in plan.tainted
    assert [{"id": id_}] == [call.parameters for call in step(plan, "isolate-instance").calls]


def test_a_colleague_s_function_with_the_attacker_s_code_is_left_to_a_person() -> None:
    """Its work goes on until somebody decides; the step says how it is stopped."""
    world, key, session = thief()
    world.function("Send", "send").calls("s3:ListBuckets")
    session.updates_function("send")
    plan = planned(world, key.id)

    host = step(plan, "isolate-instance")
    assert () == host.calls and ("send",) == host.targets
    assert "put-function-concurrency --region us-east-1 --function-name=send" in host.why


@pytest.mark.parametrize("action", ["codebuild:CreateProject", "codebuild:UpdateProject"])
def test_what_the_attacker_only_changed_is_put_back_and_not_deleted(action: str) -> None:
    """A project of the owner's that runs the attacker's commands is the owner's still."""
    plan = plan_after((action, {"name": "site", "serviceRole": JOB}, None))
    told = step(plan, "isolate-instance").why

    assert ("Put the CodeBuild project site back to what it was" in told) == action.endswith("UpdateProject")
    assert ("delete-project" in told) == action.endswith("CreateProject")


def test_what_is_gone_is_no_host_any_more() -> None:
    """An instance that was terminated, and one whose role was deleted, hand out nothing: no step."""
    world, key, session = thief()
    first, second = session.runs_instance("WebServer"), session.runs_instance("Worker")
    session.calls("ec2:TerminateInstances", {"instancesSet": {"items": [{"instanceId": first.session_name}]}},
                  read_only=False)  # fmt: skip
    session.iam("DeleteRole", roleName="Worker")
    plan = planned(world, key.id)

    assert "isolate-instance" not in actions(plan)
    assert any(second.session_name in one and "its role is gone" in one for one in plan.residual_risks)


def test_a_trust_anchor_and_a_profile_are_shut_by_calls_and_its_roles_cut() -> None:
    """Both in their region; whoever holds a certificate of the attacker's has no session left."""
    anchor, profile = f"{ANYWHERE}:trust-anchor/1-2", f"{ANYWHERE}:profile/3-4"
    plan = plan_after(
        ("rolesanywhere:CreateTrustAnchor", {"name": "t"}, {"trustAnchor": {"trustAnchorArn": anchor}}),
        (
            "rolesanywhere:CreateProfile",
            {"name": "p", "roleArns": [JOB]},
            {"profile": {"profileArn": profile}},
        ),
    )

    shut = step(plan, "revert-trust")
    assert {("DisableTrustAnchor", "1-2"), ("DisableProfile", "3-4")} == {
        (call.operation, *call.parameters.values()) for call in shut.calls
    }
    assert {HERE} == {call.region for call in shut.calls} and not shut.reversible
    assert JOB in step(plan, "revoke-role-sessions").principals and plan.proof.complete


def test_what_the_attacker_opened_and_started_with_a_role_of_its_own_making_is_shut_too() -> None:
    """By calls where there are any; what a person must stop is named, and the proof waits for nobody to do it."""
    world, key, session = thief()
    role = session.creates_role(
        "sync", {"Federated": (provider := "arn:aws:iam::111122223333:oidc-provider/idp.example")}
    )
    answer = {"openIDConnectProviderArn": provider}
    session.calls("iam:CreateOpenIDConnectProvider", {"url": "idp.example"}, response=answer, read_only=False)
    session.calls("sagemaker:CreateNotebookInstance", {"notebookInstanceName": "n", "roleArn": role.arn})
    session.creates_function("send", role).calls("s3:ListBuckets")
    session.runs_task(role).calls("s3:ListBuckets")
    world.oidc(role, "x", provider="idp.example").calls("s3:ListBuckets")
    plan = planned(world, key.id)

    assert {"DeleteOpenIDConnectProvider", "PutFunctionConcurrency", "StopTask"} <= {
        call.operation for one in plan.steps for call in one.calls
    }
    assert role.arn in step(plan, "deny-role").principals and plan.proof.complete
    assert any("SageMaker notebook n (111122223333, us-east-1)" in one for one in plan.residual_risks)
    assert not any("by hand" in one or "lets the attacker in no more" in one for one in plan.proof.holds_if)


def test_who_came_in_by_the_attackers_trust_anchor_is_ended_and_stays_out() -> None:
    """By one call that shuts the anchor, and no hand that revokes a certificate; another authority's are spared."""
    world = World(START)
    leaked = world.user("leaked")
    anchor = f"{ANYWHERE}:trust-anchor/1-2"
    answer = {"trustAnchor": {"trustAnchorArn": anchor}}
    leaked.calls("rolesanywhere:CreateTrustAnchor", {"name": "t"}, response=answer, read_only=False)
    world.wait(60)
    session, other = (
        world.roles_anywhere("Admin", name, anchor=one) for name, one in (("ours", anchor), ("host", None))
    )
    for one in (session, other):
        one.calls("s3:ListBuckets")
    plan = planned(world, leaked.id, strategy="surgical")

    assert {leaked.id, session.id} == set(plan.tainted) and plan.proof.complete
    assert [("DisableTrustAnchor", {"trustAnchorId": "1-2"})] == [
        (call.operation, call.parameters) for call in step(plan, "revert-trust").calls
    ]
    assert ["revert-trust"] == [one for one in actions(plan) if one == "revert-trust"]
    assert other.id not in {hit.credential for one in plan.steps for hit in one.collateral}


@pytest.mark.parametrize(("ip", "theirs"), [("203.0.113.77", True), ("192.0.2.44", False)])
def test_who_came_in_by_the_attackers_profile_is_the_attackers(ip: str, theirs: bool) -> None:
    """A certificate's session of a role in it, used from the thief's address, and all below it; another's is named."""
    world = World(START)
    leaked = world.user("leaked").seen_from("203.0.113.77")
    answer = {"profile": {"profileArn": f"{ANYWHERE}:profile/3-4"}}
    asked_for = {"name": "p", "roleArns": ["arn:aws:iam::111122223333:role/Admin"]}
    leaked.calls("rolesanywhere:CreateProfile", asked_for, response=answer, read_only=False)
    session = world.roles_anywhere("Admin", "host", ip=ip)
    session.calls("s3:ListBuckets")
    minted = session.assumes("Ops", "x")
    world.wait(1800)
    world.user("bystander").calls("s3:ListBuckets")
    plan = planned(world, leaked.id, strategy="surgical")

    assert plan.proof.complete and ({session.id, minted.id} <= set(plan.tainted)) == theirs
    assert any(f"{session.id} is the rightful owner's" in one for one in plan.proof.holds_if) != theirs


@pytest.mark.parametrize("call", ["CreateAccessKey", "UploadSSHPublicKey"])
def test_each_key_whose_record_lacks_its_id_is_for_a_person_to_find(call: str) -> None:
    """Of two keys without an id the plan named one call, so that a person found one key and left the other."""
    params = {"userName": "eve"} if call == "CreateAccessKey" else {}
    found = [one for one in plan_after(*[(f"iam:{call}", params, None)] * 2).steps if "find it" in one.why]

    assert [2] == [len(one.targets) for one in found]
    assert 2 == found[0].why.count(f"{call} by")


IDP = "arn:aws:iam::111122223333:"


@pytest.mark.parametrize(
    ("call", "request_", "shut"),
    [
        ("iam:CreateOpenIDConnectProvider", {"url": "https://idp.example"},
         {"OpenIDConnectProviderArn": f"{IDP}oidc-provider/idp.example"}),
        ("iam:CreateSAMLProvider", {"name": "idp"}, {"SAMLProviderArn": f"{IDP}saml-provider/idp"}),
        ("iam:CreateSAMLProvider", None, None),
        ("rolesanywhere:CreateTrustAnchor", {"name": "t"}, None),
    ],
)  # fmt: skip
def test_a_provider_whose_record_lacks_the_answer_is_deleted_by_its_arn_or_by_a_person(
    call: str, request_: dict[str, str] | None, shut: dict[str, str] | None
) -> None:
    """Its ARN follows from the request (IAM User Guide, 'IAM identifiers'): a URL was taken for a trust anchor's number."""
    closing = step(plan_after((call, request_, None)), "revert-trust")

    assert [shut] * (shut is not None) == [one.parameters for one in closing.calls]
    assert shut or ("Find what the attacker made" in closing.why and call.partition(":")[2] in closing.why)


@pytest.mark.parametrize("since", ["disabled", "enabled again", "let somebody in"])
def test_a_trust_anchor_that_was_disabled_and_lets_in_again_is_shut_again(since: str) -> None:
    """Whoever enables it undoes what was put right, and a session by it shows so where no record of that is there."""
    world = World(START)
    leaked, colleague = world.user("leaked"), world.user("ria-admin")
    anchor = f"{ANYWHERE}:trust-anchor/1-2"
    answer = {"trustAnchor": {"trustAnchorArn": anchor}}
    leaked.calls("rolesanywhere:CreateTrustAnchor", {"name": "t"}, response=answer, read_only=False)
    world.wait(minutes=2)
    colleague.calls("rolesanywhere:DisableTrustAnchor", {"trustAnchorId": "1-2"}, read_only=False)
    world.wait(minutes=10)
    if since == "enabled again":
        colleague.calls("rolesanywhere:EnableTrustAnchor", {"trustAnchorId": "1-2"}, read_only=False)
    if since == "let somebody in":
        world.roles_anywhere("Admin", "host", anchor=anchor).calls("s3:ListBuckets")
    world.wait(hours=12)
    colleague.calls("s3:ListBuckets")

    assert ("revert-trust" in actions(planned(world, leaked.id))) == (since != "disabled")


def test_a_trust_anchor_that_was_changed_is_put_back_where_it_is() -> None:
    """The request names it by a number: the step tells the call that changed it, and the region."""
    world = World(START)
    leaked = world.user("leaked")
    leaked.calls(
        "rolesanywhere:UpdateTrustAnchor", {"trustAnchorId": "1-2"}, read_only=False, region="eu-west-1"
    )
    why = step(planned(world, leaked.id), "revert-trust").why

    assert "Look at 1-2 in eu-west-1 and put back what it was, or delete it: UpdateTrustAnchor by " in why


def test_a_trust_anchor_that_was_disabled_since_needs_no_step() -> None:
    """Whoever disabled it: it lets nobody in."""
    anchor = f"{ANYWHERE}:trust-anchor/1-2"
    plan = plan_after(
        ("rolesanywhere:CreateTrustAnchor", {"name": "t"}, {"trustAnchor": {"trustAnchorArn": anchor}}),
        ("rolesanywhere:DisableTrustAnchor", {"trustAnchorId": "1-2"}, None),
    )

    assert "revert-trust" not in actions(plan)


def test_several_alike_are_told_once() -> None:
    """Twelve builds are one sentence with their names, and not twelve."""
    plan = plan_after(
        *(("codebuild:CreateProject", {"name": f"b{n}", "serviceRole": JOB}, None) for n in range(12))
    )

    host = step(plan, "isolate-instance")
    assert 12 == len(host.targets)
    assert 1 == host.why.count("codebuild delete-project") and "and 4 more" in host.why


@pytest.mark.parametrize(
    ("thing", "name"),
    [
        ("send", "send"), ("arn:aws:lambda:us-east-1:111122223333:function:send", "send"),
        ("arn:aws:lambda:us-east-1:111122223333:function:send:1", "send"), ("send:live", "send"),
        ("111122223333:function:send:$LATEST", "send"), ("a/b c", "a/b c"),
    ],
)  # fmt: skip
def test_a_function_goes_by_its_name(thing: str, name: str) -> None:
    """Whatever version or alias the call named, in whichever of Lambda's spellings."""
    assert name == name_of("function", thing)


def test_the_key_of_a_user_that_nobody_saw_acting_is_found_by_the_user() -> None:
    """A user's ARN names the keys that were made for it, used or not."""
    world, _, session = thief()
    helper = session.creates_user("helper")
    made = session.creates_access_key(helper)
    with asked(world) as case:
        plan = checked(case.contain([helper.arn]))

    assert (made.id,) == plan.tainted


def test_what_stops_a_workload_is_a_command_of_aws() -> None:
    """Each command that a step names for what a service runs exists, with its options, as the AWS CLI spells them."""
    session, unknown = get_session(), []
    for service, text in RUN_BY.items():
        for name, verb, rest in re.findall(r"`aws ([a-z]+) ([a-z-]+)([^`]*)`", text):
            model = session.get_service_model(name)
            known = {xform_name(one, "-"): one for one in model.operation_names}
            options = {xform_name(one, "-") for one in model.operation_model(known[verb]).input_shape.members}
            if not set(re.findall(r"--([a-z-]+)", rest)) <= options:
                unknown.append((service, verb))

    assert [] == unknown


def test_each_command_that_stops_a_workload_or_shuts_a_door_is_one_of_aws() -> None:
    """Each that a sentence spells out with its service; `emr terminate-clusters` is the AWS CLI's own."""
    session, unknown = get_session(), []
    for what, kind in WORKLOADS.items():
        for name, verb in re.findall(r"aws ([a-z0-9-]+) ([a-z-]+)", kind.stop):
            known = session.get_service_model(name).operation_names
            if verb not in {xform_name(one, "-") for one in known}:
                unknown.append((what, name, verb))

    assert [("cluster", "emr", "terminate-clusters")] == unknown


def test_a_step_bites_when_the_slowest_of_what_it_stops_has_ended() -> None:
    """An instance and a task are shut in one step; a task that was stopped may be handed sessions a while longer."""
    world = World(START)
    robbed = [world.instance("Web"), world.task("Work")]
    for one in robbed:
        one.seen_from("203.0.113.77").calls("s3:ListBuckets")
    host, task, both = (
        step(planned(world, *(one.id for one in some)), "isolate-instance").bites_within
        for some in ([robbed[0]], [robbed[1]], robbed)
    )

    assert host < task == both
