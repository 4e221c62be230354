"""What hands a role on, opens a door or gets at a workload, by calls of many services: no plan hides any of them."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from contain_cases import ROLE, actions, as_given, asked, checked, planned, step

from evidence import START
from tokentrail.aws.calls.catalogue import every_reviewed
from tokentrail.aws.calls.workload_kinds import WORKLOADS
from tokentrail.containment.incident.attacker_action import AttackerAction
from tokentrail.containment.incident.persistence import left_behind
from tokentrail.containment.incident.persistence_kinds import ENTERED, LEFT
from tokentrail.containment.incident.reversal_index import ReversalIndex
from tokentrail.containment.proof.assumption_sentences import sentence
from tokentrail.events.change import changes
from tokentrail.events.vocabulary import CHANGES
from tokentrail.lineage import creations
from tokentrail.present.text.plan_text import write_plan
from tokentrail.present.text.text_writer import TextWriter
from tokentrail.testing import World
from tokentrail.testing.administration import trust_policy

CREATING = [one for one in every_reviewed() if one.creates]
KINDS = {one.creates.kind for one in CREATING if one.creates}
SOURCES = {
    "access_key", "user", "login_profile", "role", "trust", "provider", "trust_anchor", "anywhere_profile",
}  # fmt: skip
"""Kinds that are a source of credentials, to which a plan has steps."""
IAM_KINDS = SOURCES | {"instance_profile", "ssh_key", "certificate", "service_credential"}
JOB = f"{ROLE}Job"
POOL = "us-east-1:7f3c"


def nested(path: str, value: Any) -> dict[str, Any]:
    """An object with a value at a path, through a list where one stands."""
    for member in reversed(path.removeprefix("~").split(".")):
        value = [value] if member == "rules" else value
        value = {"any" if member == "*" else member: value}
    return dict(value)


def listed(path: str, value: Any) -> dict[str, Any]:
    """The same of an answer, in which EC2 and ECS list what they started."""
    *above, last = path.removeprefix("~").split(".")
    inner: Any = {last: value}
    for member in reversed(above):
        inner = {member: [inner] if member in ("items", "tasks") else inner}
    return dict(inner)


def kept(name: str, request: dict[str, Any], answer: dict[str, Any] | None = None) -> list[Any]:
    """A request and an answer, as far as the kernel keeps them."""
    told = changes([name], [json.dumps(request).encode()], [json.dumps(answer or {}).encode()])
    return [told[0][0], told[2][0]]


@pytest.mark.parametrize("kind", sorted(KINDS - IAM_KINDS))
def test_every_call_is_told_as_a_source_a_condition_or_a_risk(kind: str) -> None:
    """One call by the attacker leaves a sentence with the call, account and region, with or without an id of it."""
    silent = []
    for known in CREATING:
        paths = known.creates.id_paths if known.creates and known.creates.kind == kind else None
        for path in [*paths, None] if paths is not None else []:
            answer = listed(path, "thing-1") if path and path.startswith("~") else {}
            asked_for = nested(path, "thing-1") if path and not answer else {}
            request, response = kept(known.operation, asked_for, answer)
            result = AttackerAction(
                by="AKIA", event_id="e-1", time=START, account="111122223333", region="eu-west-1",
                source=f"{known.service}.amazonaws.com", name=known.operation, request=request, response=response,
            )  # fmt: skip
            found = left_behind([result], [], ReversalIndex(()))
            sources = [f"{one.why} ({one.account}, {one.region})" for one in found.sources]
            told = " ".join([*sources, *map(sentence, [*found.risks, *found.entered])])
            wanted = (known.operation, "e-1", "111122223333", "thing-1" if path else "e-1")
            if not all(one in told for one in wanted):
                silent.append((known.service, known.operation, path, told))

    assert [] == silent


def test_every_kind_is_known_by_one_way_of_telling() -> None:
    """What is left is a workload or door, something to look at, or something that was got into; nothing else is."""
    assert set() == KINDS - WORKLOADS.keys() - LEFT.keys() - ENTERED.keys() - SOURCES
    assert set() == WORKLOADS.keys() - KINDS
    assert {"build", "instance_profile"} == LEFT.keys() & ENTERED.keys() | WORKLOADS.keys() & (
        LEFT.keys() | ENTERED.keys()
    )


def test_every_call_by_which_a_workload_ends_is_kept() -> None:
    """What a plan counts as the end of something, reading in keeps."""
    ends = {name for one in WORKLOADS.values() for name in one.ended_by}

    assert ends <= CHANGES
    assert ends == {one.operation for one in every_reviewed() if one.ends}


def test_every_role_that_is_passed_is_kept_and_followed() -> None:
    """The kernel keeps each member that names a role, and what has it is then known to run with that role."""
    lost = []
    for what, workload in WORKLOADS.items():
        known = next(one for one in CREATING if one.creates and one.creates.kind == what)
        for path in workload.roles:
            value = [JOB] if path == "parameters.AutomationAssumeRole" else JOB
            [request, response] = kept(known.operation, nested(path, value), nested(path, value))
            result = AttackerAction(
                by="AKIA", event_id="e-1", time=START, account="111122223333", name=known.operation, request=request,
                source=f"{known.service}.amazonaws.com", response=response,
            )  # fmt: skip
            if {"Job"} != {one.mints.name for one in left_behind([result], [], ReversalIndex(())).sources}:
                lost.append((what, path))

    assert [] == lost


def test_a_name_that_several_services_have_is_told_by_its_service() -> None:
    """CreateService of App Runner is no ECS service, and a user of Transfer Family none of IAM's."""
    asked_for = '{"serviceName":"s","userName":"u"}'

    assert [("app_service", "s")] == creations.made(
        "CreateService", asked_for, None, "apprunner.amazonaws.com"
    )
    assert [("task_service", "s")] == creations.made("CreateService", asked_for, None, "ecs.amazonaws.com")
    assert [("transfer_user", "u")] == creations.made("CreateUser", asked_for, None, "transfer.amazonaws.com")
    assert [("user", "u")] == creations.made("CreateUser", asked_for, None, "iam.amazonaws.com")
    assert [] == creations.made("CreateService", asked_for, None, "vpc-lattice.amazonaws.com")


OPENED: dict[str, tuple[str, dict[str, Any], str, str]] = {
    "pool": ("cognito-identity:SetIdentityPoolRoles", {"identityPoolId": POOL, "roles": {"unauthenticated": JOB}},
             "revert-trust", f"set-identity-pool-roles --region us-east-1 --identity-pool-id={POOL}"),
    "alias": ("iot:CreateRoleAlias", {"roleAlias": "tv", "roleArn": JOB}, "revert-trust", "--role-alias=tv"),
    "entitlement": (
        "account-access:CreateEntitlement",
        {"entitlement": {"principalRole": {"principal": {"identityCenter": {"userId": "u"}}, "roleArn": JOB}}},
        "revert-trust", "account-access delete-entitlement --region us-east-1",
    ),
    "stacks": ("cloudformation:CreateStackSet", {"stackSetName": "all", "administrationRoleARN": JOB},
               "isolate-instance", "delete-stack-instances --region us-east-1 --stack-set-name=all"),
    "nodes": ("ssm:CreateActivation", {"iamRole": "service-role/Job"}, "revert-trust", "delete-activation --region us-"),
}  # fmt: skip


RUN: dict[str, tuple[str, dict[str, Any], dict[str, Any] | None, str]] = {
    "rollback": ("cloudformation:RollbackStack", {"stackName": "s", "roleARN": JOB}, None, "CloudFormation stack s back"),
    "genomics": ("omics:StartRun", {"workflowId": "1", "roleArn": JOB}, {"id": "77", "name": "r"}, "for 77"),
    "batch": ("omics:StartRunBatch", {"batchName": "b", "defaultRunSetting": {"roleArn": JOB, "parameters": {"x": 1}}},
              {"id": "78"}, "cancel-run-batch, --region us-east-1, for 78"),
    "devices": ("devicefarm:ScheduleRun", {"projectArn": "p", "configuration": {"executionRoleArn": JOB}},
                {"run": {"arn": "run-1"}}, "Stop the Device Farm project or run run-1 before"),
    "workflow": ("airflow-serverless:CreateWorkflow", {"name": "w", "roleArn": JOB}, None, "with the ARN of w"),
    "monitor": ("sagemaker:CreateMonitoringSchedule",
                {"monitoringScheduleName": "m", "monitoringScheduleConfig": {"monitoringJobDefinition": {"roleArn": JOB}}},
                None, "stop-monitoring-schedule"),
    "connector": ("kafkaconnect:CreateConnector", {"connectorName": "c", "serviceExecutionRoleArn": JOB}, None,
                  "delete-connector --region us-east-1, with the ARN of c"),
    "incident": ("ssm-incidents:CreateResponsePlan",
                 {"name": "r", "actions": [{"ssmAutomation": {"roleArn": JOB, "documentName": "d"}}]}, None,
                 "delete-response-plan"),
}  # fmt: skip


@pytest.mark.parametrize("kind", RUN)
def test_what_runs_code_with_a_role_is_stopped_by_a_person_and_its_role_cut(kind: str) -> None:
    """The step tells how, by the id that the call or its answer names; a role deep in the request is found, too."""
    action, params, answer, said = RUN[kind]
    world = World(START)
    key = world.user("support")
    key.calls(action, params, response=answer, read_only=False)
    plan = planned(world, key.id)

    host, cut = step(plan, "isolate-instance"), step(plan, "revoke-role-sessions")
    assert () == host.calls and said in host.why
    assert (JOB,) == cut.principals and host.n < cut.n and plan.proof.complete


def test_a_compute_environment_that_was_deleted_is_no_host_any_more() -> None:
    """By its name, which the call that deletes it gives otherwise; another's end ends nothing."""
    world = World(START)
    key = world.user("support")
    for name in ("mine", "yours"):
        key.calls("batch:CreateComputeEnvironment", {"computeEnvironmentName": name}, read_only=False)
    key.calls("batch:DeleteComputeEnvironment", {"computeEnvironment": "yours"}, read_only=False)

    assert ("mine",) == step(planned(world, key.id), "isolate-instance").targets


def test_a_run_that_was_cancelled_is_no_host_any_more() -> None:
    """By its id; a run that goes on is told (AWS HealthOmics API Reference, 'CancelRun')."""
    world = World(START)
    key = world.user("support")
    for run in ("7", "8"):
        key.calls("omics:StartRun", {"roleArn": JOB}, response={"id": run}, read_only=False)
    key.calls("omics:CancelRun", {"id": "7"}, read_only=False)

    assert ("8",) == step(planned(world, key.id), "isolate-instance").targets


def test_an_ecs_capacity_provider_runs_something_only_with_instances_of_its_own() -> None:
    """One over an Auto Scaling group that is there starts nothing new, and is named among what was left."""
    group = {"name": "mine", "autoScalingGroupProvider": {"autoScalingGroupArn": "asg"}}
    profile = "arn:aws:iam::111122223333:instance-profile/p"
    own = {
        "name": "mine",
        "managedInstancesProvider": {"instanceLaunchTemplate": {"ec2InstanceProfileArn": profile}},
    }
    for asked_for, runs in ((group, False), (own, True)):
        world = World(START)
        key = world.user("support")
        key.calls("ecs:CreateCapacityProvider", asked_for, read_only=False)
        plan = planned(world, key.id)

        assert runs == ("isolate-instance" in actions(plan))
        assert runs != any("left an ECS capacity provider behind" in one for one in plan.residual_risks)


@pytest.mark.parametrize("kind", OPENED)
def test_a_role_that_was_handed_on_is_shut_off_and_cut(kind: str) -> None:
    """A step by hand tells what to shut, with the command; all sessions of the role go after it."""
    action, params, shuts, told = OPENED[kind]
    world = World(START)
    key = world.user("support")
    key.calls(action, params, read_only=False)
    plan = planned(world, key.id)

    shut, cut = step(plan, shuts), step(plan, "revoke-role-sessions")
    assert () == shut.calls and told in shut.why and f" On {shut.targets[0]}. Ends " in shut.why
    assert (JOB,) == cut.principals and shut.n < cut.n and plan.proof.complete


def test_a_fleet_is_known_by_the_id_in_its_wrapped_answer() -> None:
    """EC2 logs CreateFleet's parameters within CreateFleetRequest, and its answer within CreateFleetResponse."""
    told = kept(
        "CreateFleet",
        {"CreateFleetRequest": {"Type": "maintain"}},
        {"CreateFleetResponse": {"fleetId": "fleet-1", "fleetInstanceSet": "", "errorSet": {}}},
    )
    odd = kept("CreateFleet", {}, {"CreateFleetResponse": {"fleetId": "fleet-1"}, "name": {"odd": 1}})

    assert [("spot_request", "fleet-1")] == creations.made("CreateFleet", *told, "ec2.amazonaws.com")
    assert [("spot_request", "fleet-1")] == creations.made("CreateFleet", *odd, "ec2.amazonaws.com")


def test_what_runs_in_many_regions_is_told_once_with_its_regions() -> None:
    """Miners start alike in all regions: one sentence with them can be read, and seventeen hide each other."""
    world = World(START)
    key = world.user("support")
    regions = ["eu-west-1", "sa-east-1", "us-east-1", "us-gov-west-1"]
    for number, region in enumerate(regions):
        key.calls(
            "ec2:RequestSpotFleet",
            {},
            region=region,
            read_only=False,
            response={"spotFleetRequestId": f"sfr-{number}"},
        )
        key.calls(
            "autoscaling:CreateAutoScalingGroup",
            {"autoScalingGroupName": "asg"},
            region=region,
            read_only=False,
        )
    why = step(planned(world, key.id), "isolate-instance").why

    assert (
        "For asg in each REGION of eu-west-1, sa-east-1, us-east-1, us-gov-west-1: Stop the Auto Scaling group asg"
        in why
    )
    assert (
        "For each NAME in its REGION, sfr-0 in eu-west-1, sfr-1 in sa-east-1, sfr-2 in us-east-1, sfr-3 in us-gov-west-1: Stop"
        in why
    )
    assert "delete-fleets, --region REGION, for NAME, and" in why
    assert [1, 1] == [why.count("before its role is cut") - 1, why.count("--min-size")]


def test_what_is_alike_in_many_accounts_is_told_once_with_the_accounts() -> None:
    """An organisation has one role and one function everywhere: the same sentence for each account hides what differs."""
    world = World(START, tick=0.5)
    key = world.user("support")
    accounts = [f"{number:012}" for number in range(1, 12)]
    for account in accounts:
        world.function(world.role("Worker", account=account), "handler").calls(
            "s3:ListBuckets", ip="203.0.113.9"
        )
        admin = key.assumes("Admin", account=account)
        for role, stranger in (("Audit", "999988887777"), (f"Of{account}", "999988886666")):
            policy = trust_policy({"AWS": stranger})
            admin.iam("UpdateAssumeRolePolicy", roleName=role, policyDocument=policy)
    plan = planned(world, key.id, "203.0.113.9")
    stopped, trust = step(plan, "isolate-instance"), step(plan, "revert-trust")

    several = f"In each account of {', '.join(accounts[:8])} and 3 more: "
    assert stopped.why.startswith(f"{several}Stop handler, ")
    assert 1 == stopped.why.count("put-function-concurrency")
    assert f"{several}What the trust policy of Audit said before" in trust.why
    named = ", ".join(f"Of{account}" for account in accounts[:8])
    assert f"For each NAME of {named} and 3 more: What the trust policy of NAME said before" in trust.why
    assert 2 == trust.why.count("put it back by hand")
    assert [22, 11] == [len(trust.principals), len(stopped.principals)]


def test_what_differs_in_ids_alone_is_told_a_few_times_and_named_of_the_others() -> None:
    """Each account's identity provider has an ARN and an event of its own; a command is told of each all the same."""
    world = World(START, tick=0.5)
    key = world.user("support")
    for number in range(1, 12):
        arn = f"arn:aws:iam::{number:012}:saml-provider/corp"
        key.assumes("Admin", account=f"{number:012}").calls(
            "iam:UpdateSAMLProvider",
            {"sAMLProviderArn": arn},
            response={"sAMLProviderArn": arn},
            read_only=False,
        )
        key.calls(
            "ecs:CreateService",
            {"cluster": f"cluster-{number}", "serviceName": f"service-{number}"},
            read_only=False,
        )
    plan = planned(world, key.id)
    trust, hosts = step(plan, "revert-trust"), step(plan, "isolate-instance")

    assert 3 == trust.why.count("put back what it was, or delete it: UpdateSAMLProvider by ")
    named = ", ".join(f"saml-provider/corp in {number:012}" for number in range(4, 12))
    assert f"Do the same for {named}. " in trust.why
    assert 11 == len(trust.targets)
    assert [1] * 11 == [hosts.why.count(f"--cluster=cluster-{number} ") for number in range(1, 12)]


def test_what_can_be_no_role_s_name_is_none() -> None:
    """A parameter's reference in an automation's role made a call that IAM refuses, and the plan's other steps stuck."""
    world = World(START)
    key = world.user("support")
    asked_for = {"documentName": "d", "parameters": {"AutomationAssumeRole": ["{{ssm:/role}}"]}}
    key.calls("ssm:StartAutomationExecution", asked_for, read_only=False)
    plan = planned(world, key.id)

    assert "stop-automation-execution" in step(plan, "isolate-instance").why
    assert "revoke-role-sessions" not in actions(plan)
    assert any("as whichever role" in one for one in plan.proof.holds_if)


def test_an_answer_that_the_log_left_out_hides_no_workload() -> None:
    """RunInstances whose answer CloudTrail omitted is told by its event; it left nothing."""
    world = World(START)
    key = world.user("support")
    [event] = key.calls("ec2:RunInstances", {"instanceType": "t3.micro"}, read_only=False)

    why = step(planned(world, key.id), "isolate-instance").why
    assert event["eventID"] in why
    assert "--instance-ids=…" in why  # no command takes what stands for the name


@pytest.mark.parametrize(
    ("call", "asked_for", "said"),
    [
        (
            "ecs:ExecuteCommand",
            {"cluster": "web", "task": "task-7", "command": "sh"},
            "a shell was opened in an ECS task",
        ),
        (
            "ec2:ModifyInstanceAttribute",
            {"instanceId": "task-7", "userData": "<sensitiveDataRemoved>"},
            "a script that it",
        ),
    ],
)
def test_what_was_got_into_is_a_condition_of_the_proof(
    call: str, asked_for: dict[str, Any], said: str
) -> None:
    """Whoever had a shell in a task, or an instance's start script, may have its role's credentials: no log tells."""
    world = World(START)
    key = world.user("support")
    key.calls(call, asked_for, read_only=False)
    plan = planned(world, key.id)

    (told,) = [
        one
        for one in plan.proof.holds_if
        if f"{call.partition(':')[2]} on task-7 (111122223333, us-east-1" in one
    ]
    assert said in told and "tokentrail contain ROLE-ARN" in told
    assert plan.proof.complete


def test_a_certificate_that_was_issued_and_not_seen_in_use_is_a_condition() -> None:
    """No log tells whether a trust anchor takes it: it may let its holder in at any time."""
    world = World(START)
    key = world.user("support")
    serial = key.issues_certificate()
    plan = planned(world, key.id)

    [told] = [one for one in plan.proof.holds_if if serial in one]
    assert f"no trust anchor of IAM Roles Anywhere takes a certificate that {key.id} had issued" in told
    assert "import-crl" in told and plan.proof.complete


@pytest.mark.parametrize("spelled", [str, str.upper, "00{}".format])
def test_who_came_in_by_a_certificate_that_the_attacker_had_issued_is_ended_and_stays_out(
    spelled: Callable[[str], str],
) -> None:
    """The session is the attacker's, wherever it is used from, and a person is told the certificate to revoke."""
    world = World(START)
    key = world.user("support")
    serial = key.issues_certificate()
    world.wait(60)
    session, other = (
        world.roles_anywhere("Admin", name, serial=one) for name, one in (("x", spelled(serial)), ("y", None))
    )
    for one in (session, other):
        one.calls("s3:ListBuckets")
    plan = planned(world, key.id, strategy="surgical")

    assert {key.id, session.id} == set(plan.tainted)
    assert any(f"certificate {spelled(serial)} of IAM Roles Anywhere" in one.why for one in plan.steps)
    assert not any("no trust anchor of IAM Roles Anywhere takes" in one for one in plan.proof.holds_if)
    assert not any("had issued" in one for one in plan.proof.holds_if)
    assert other.id not in {hit.credential for one in plan.steps for hit in one.collateral}


def test_a_command_is_told_with_the_instances_that_it_ran_on() -> None:
    """The command's id alone finds nothing: its request names where it ran, and that of a session its target."""
    for name, asked_for in (
        ("SendCommand", {"instanceIds": ["i-1", "i-2"]}),
        ("StartSession", {"target": "i-1, i-2"}),
    ):
        request, _ = kept(name, asked_for)
        result = AttackerAction(
            by="AKIA", event_id="e-1", time=START, account="1", source="ssm.amazonaws.com", name=name, request=request,
            response=None,
        )  # fmt: skip

        [said] = map(sentence, left_behind([result], [], ReversalIndex(())).entered)
        assert f"{name} on i-1, i-2 (1, event e-1)" in said


def test_access_to_a_cluster_is_told_with_whom_it_admits() -> None:
    """EKS logs the cluster as `name`, and the principal as its address has it."""
    encoded = {"name": "main", "principalArn": "arn%3Aaws%3Aiam%3A%3A999999999999%3Auser%2Feve"}
    request, _ = kept("AssociateAccessPolicy", encoded)
    result = AttackerAction(
        by="AKIA", event_id="e-1", time=START, account="1", source="eks.amazonaws.com", request=request, response=None,
        name="AssociateAccessPolicy",
    )  # fmt: skip

    [said] = map(sentence, left_behind([result], [], ReversalIndex(())).risks)
    assert "AssociateAccessPolicy on main, arn:aws:iam::999999999999:user/eve (1, event e-1)" in said


def test_calls_that_no_list_knows_are_named() -> None:
    """Whatever sets something up and is not known is a risk; reads, data, failures and what is known are not in it."""
    world = World(START)
    key = world.user("support")
    for action in (
        "glue:CreateSession",
        "omics:StartReadSetImportJob",
        "omics:StartReadSetImportJob",
        "iam:CreateUser",
        "ecs:ExecuteCommand",
    ):
        key.calls(action, {"userName": "eve", "task": "t"}, read_only=False)
    for action in ("ec2:DescribeInstances", "ec2:CreateVpc", "s3:PutObject", "ssm:UpdateInstanceInformation"):
        key.calls(action, {"bucketName": "b", "key": "k"})
    for action in ("ses:SendEmail", "ecr:PutImage"):
        key.calls(action, {"repositoryName": "shop"}, read_only=False)
    key.calls("omics:CreateWorkflow", error="AccessDenied", read_only=False)
    plan = planned(world, key.id)

    (said,) = [one for one in plan.residual_risks if "it is not known here" in one]
    assert said.endswith(
        "look at each by hand: glue:CreateSession, omics:StartReadSetImportJob (2 times), ecr:PutImage"
    )
    later = planned(world, key.id, since=START + timedelta(days=1))
    assert not any("it is not known here" in one for one in later.residual_risks)


def test_what_deletes_data_later_is_named_with_what_takes_it_back() -> None:
    """A ransom's rule empties a bucket, and a key's time runs out, days after all was ended; its owner's rule is not named."""
    world = World(START)
    key = world.user("support")
    key.calls("s3:PutBucketLifecycle", {"bucketName": "owners"}, read_only=False)
    world.wait(3600)
    key.calls("s3:PutBucketLifecycle", {"bucketName": "backups"}, read_only=False)
    key.calls("s3:PutBucketLifecycle", {"bucketName": "spared"}, read_only=False, error="AccessDenied")
    key.calls("kms:ScheduleKeyDeletion", {"keyId": "key-1", "pendingWindowInDays": 7}, read_only=False)
    key.calls("logs:PutRetentionPolicy", {"logGroupName": "trail", "retentionInDays": 1}, read_only=False)
    plan = planned(world, key.id, since=START + timedelta(seconds=1800))
    (said,) = [one for one in plan.residual_risks if "deletes data by itself" in one]

    assert "owners" not in said
    assert (
        "s3:PutBucketLifecycle on arn:aws:s3:::backups (aws s3api put-bucket-lifecycle-configuration" in said
    )
    assert "kms:ScheduleKeyDeletion on key-1 (aws kms cancel-key-deletion" in said
    assert "logs:PutRetentionPolicy (aws logs" in said and "spared" not in said


def test_what_no_longer_keeps_deleted_data_is_named() -> None:
    """Before a ransom's deletions versioning is suspended: until it is on again, every overwriting is for good."""
    world = World(START)
    key = world.user("support")
    key.calls("s3:PutBucketVersioning", {"bucketName": "backups"}, read_only=False)
    key.calls("backup:DeleteBackupPlan", {"backupPlanId": "plan-1"}, read_only=False)
    (said,) = [one for one in planned(world, key.id).residual_risks if "keeps data" in one]

    assert "s3:PutBucketVersioning on arn:aws:s3:::backups (aws s3api get-bucket-versioning" in said
    assert "backup:DeleteBackupPlan" in said


def test_what_the_attacker_took_away_is_named_unless_it_was_its_own_or_is_back() -> None:
    """A second factor, a boundary, the log: no step gives them back, and a plan that ends all leaves them off."""
    world = World(START)
    key, admin = world.user("support"), world.user("admin")
    mfa = {"userName": "ria", "serialNumber": "arn:aws:iam::111122223333:mfa/ria"}
    for user in ("ria", "joe"):
        for name in ("DeactivateMFADevice", "EnableMFADevice"):
            key.calls(f"iam:{name}", {**mfa, "userName": user}, read_only=False)
    key.iam("PutUserPolicy", userName="joe", policyName="own", policyDocument="{}")
    key.iam("DeleteUserPolicy", userName="joe", policyName="own")
    key.iam("DetachRolePolicy", roleName="Prod", policyArn="arn:aws:iam::aws:policy/AWSDenyAll")
    key.calls("cloudtrail:StopLogging", {"name": "main"}, read_only=False)
    key.calls("frauddetector:DeleteDetector", {"detectorId": "d"}, read_only=False)
    admin.calls("iam:EnableMFADevice", {**mfa, "userName": "joe", "serialNumber": "other"}, read_only=False)
    found = [
        one for one in planned(world, key.id).residual_risks if " took away " in one or "turned off" in one
    ]
    (factor, policy, log) = found

    assert "DeactivateMFADevice on ria" in factor and "joe" not in factor
    assert "a policy" in policy and "DetachRolePolicy on Prod, arn:aws:iam::aws:policy/AWSDenyAll" in policy
    assert "own" not in policy and "StopLogging on main" in log and "DeleteDetector" not in log


@pytest.mark.parametrize("narrowing", [{"source_ips": ["203.0.113.77"]}, {"trusted_ips": ["192.0.2.0/24"]}])
def test_what_the_owner_called_from_elsewhere_is_not_told_as_the_attackers(narrowing: dict[str, Any]) -> None:
    """A pipeline's key sets up and deletes all day: who names the thief's address was told to take all of it back."""
    world = World(START)
    key = world.user("ci", ip="192.0.2.10")
    calls = (
        "s3:PutBucketLifecycle",
        "ec2:DeleteFlowLogs",
        "eks-auth:AssumeRoleForPodIdentity",
        "novel:CreateThing",
    )
    for name in calls:
        key.calls(name, {"bucketName": "owners"}, read_only=False)
    key.seen_from("203.0.113.77").calls("s3:PutBucketLifecycle", {"bucketName": "robbed"}, read_only=False)
    key.seen_from("192.0.2.11").calls("s3:ListBuckets")
    plan, whole = planned(world, key.id, **narrowing), planned(world, key.id)
    told, all_told = (" ".join((*one.residual_risks, *one.proof.holds_if)) for one in (plan, whole))

    assert "arn:aws:s3:::robbed" in told and "owners" not in told and "arn:aws:s3:::owners" in all_told
    assert all(name in all_told and name not in told for name in calls[1:])


def test_what_was_replaced_or_went_with_its_owner_was_not_taken_away() -> None:
    """A pipeline's key that leaked attaches anew what it detached, and deletes users with all that they have."""
    world = World(START)
    key, admin = world.user("ci"), world.user("admin")
    held = {"roleName": "Web", "policyArn": "arn:aws:iam::111122223333:policy/App"}
    for name in ("Detach", "Attach", "Detach", "Attach"):
        key.iam(f"{name}RolePolicy", **held)
    for name in ("Detach", "Attach", "Detach"):
        key.iam(f"{name}RolePolicy", **held | {"roleName": "Shop"})
    gone = {"userName": "old"}
    key.iam("RemoveUserFromGroup", **gone, groupName="devs")
    key.iam("DeleteLoginProfile", **gone)
    admin.iam("DeleteUser", **gone)
    (said,) = [one for one in planned(world, key.id).residual_risks if " took away " in one]

    assert 1 == said.count("DetachRolePolicy on Shop") and "Web" not in said and "old" not in said


@pytest.mark.parametrize(("back", "who"), [(False, ""), (True, "admin"), (True, "attacker")])
def test_a_policy_of_the_organisation_that_was_detached_is_told_unless_it_is_back(
    back: bool, who: str
) -> None:
    """It bound every account below, and a plan that ends all else leaves them without it; so does a new text."""
    world = World(START)
    key, admin = world.user("root-ops"), world.user("admin")
    named = {"policyId": "p-1", "targetId": "ou-1"}
    key.calls("organizations:DetachPolicy", named, read_only=False)
    key.calls("iot:DetachPolicy", {"policyName": "x", "target": "y"}, read_only=False)
    key.calls("organizations:UpdatePolicy", {"policyId": "p-2", "content": "{}"}, read_only=False)
    if back:
        (admin if who == "admin" else key).calls("organizations:AttachPolicy", named, read_only=False)
    said = [one for one in planned(world, key.id).residual_risks if " took away " in one]

    assert back != any("DetachPolicy on p-1, ou-1" in one for one in said)
    assert any("UpdatePolicy on p-2" in one for one in said) and "iot" not in str(said)


@pytest.mark.parametrize("back", [False, True])
def test_a_limit_to_sessions_that_was_changed_is_told_unless_somebody_set_it_since(back: bool) -> None:
    """How long a role's sessions last; a call that sets its description alone does neither (IAM API Reference)."""
    world = World(START)
    key, admin = world.user("support"), world.user("admin")
    key.iam("UpdateRole", roleName="Deploy", maxSessionDuration=43_200)
    key.iam("UpdateRole", roleName="Ops", maxSigninSessionDuration=7_776_000)
    key.iam("UpdateRole", roleName="Short", resetMaxSigninSessionDuration=True)
    key.iam("UpdateRole", roleName="Web", description="x")
    admin.iam("UpdateRole", roleName="Deploy", description="y")
    if back:
        admin.iam("UpdateRole", roleName="Deploy", maxSessionDuration=3_600)
    (said,) = [one for one in planned(world, key.id).residual_risks if " took away a limit" in one]

    assert back != ("UpdateRole on Deploy" in said) and "Web" not in said
    assert "UpdateRole on Ops" in said and "UpdateRole on Short" in said


@pytest.mark.parametrize("back", [False, True])
def test_a_policy_that_was_attached_to_the_organisation_is_told_until_it_is_detached(back: bool) -> None:
    """It may deny responders what their steps need, in every account below (AWS Organizations User Guide, 'SCPs')."""
    world = World(START)
    key, admin = world.user("root-ops"), world.user("admin")
    named = {"policyId": "p-1", "targetId": "ou-1"}
    key.calls("organizations:AttachPolicy", named, read_only=False)
    if back:
        admin.calls("organizations:DetachPolicy", named, read_only=False)
    said = [one for one in planned(world, key.id).residual_risks if "AttachPolicy on p-1" in one]

    assert back != any("left a change to policies behind" in one for one in said)


def test_what_the_log_does_not_name_is_not_taken_for_given_back() -> None:
    """Where logs were copied without what was asked, an administrator's other policies hid what the attacker took."""
    world = World(START)
    key, admin = world.user("support"), world.user("admin")
    key.calls("iam:AttachRolePolicy", {}, read_only=False)
    key.calls("iam:DetachRolePolicy", {}, read_only=False)
    admin.calls("iam:AttachRolePolicy", {}, read_only=False)
    said = [one for one in planned(world, key.id).residual_risks if " took away a policy" in one]

    assert 1 == len(said) and "DetachRolePolicy (" in said[0]


def test_what_watches_and_was_turned_off_is_named() -> None:
    """Flow logs, Config, alarms: plans told of the trail alone, and a call that failed turned nothing off."""
    world = World(START)
    key = world.user("support")
    for name in ("ec2:DeleteFlowLogs", "config:StopConfigurationRecorder", "guardduty:CreateFilter"):
        key.calls(name, {}, read_only=False)
    key.denied("securityhub:DisableSecurityHub")
    said = [one for one in planned(world, key.id).residual_risks if "DeleteFlowLogs" in one]

    assert 1 == len(said) and "config:StopConfigurationRecorder" in said[0]
    assert "guardduty:CreateFilter" in said[0] and "securityhub" not in said[0]


def test_a_policy_of_a_user_that_a_step_deletes_is_not_said_to_stay() -> None:
    """A change to a user or role that the attacker made goes with it; one to anybody else's is named."""
    world = World(START)
    key = world.user("support")
    for user in (key.creates_user("mallory"), world.user("ria").user):
        key.iam(
            "AttachUserPolicy", userName=user.name, policyArn="arn:aws:iam::aws:policy/AdministratorAccess"
        )
    quarantine = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"
    key.iam("AttachUserPolicy", userName="support", policyArn=quarantine)
    (said,) = [one for one in planned(world, key.id).residual_risks if "a change to policies" in one]

    assert "on support" not in said  # whoever put it there: it takes power away
    assert "AttachUserPolicy on ria" in said and "mallory" not in said


def test_what_a_service_handed_out_is_a_condition() -> None:
    """Such calls tell neither key nor role of what they gave: a plan that ends all else rests on that being over."""
    world = World(START)
    key = world.user("support")
    key.calls("s3:GetDataAccess", {"target": "s3://notes/*"}, error="AccessDenied")
    before = planned(world, key.id)
    key.calls("s3:GetDataAccess", {"target": "s3://notes/*"})
    key.calls("eks-auth:AssumeRoleForPodIdentity", {"clusterName": "shop"})
    key.calls("gamelift:GetComputeAccess", {"fleetId": "fleet-1", "computeName": "i-1"})
    key.calls("cloudwatch-omni:GetSpaceDataAccess", {"spaceId": "s-1"})
    key.calls("ssm:RequestManagedInstanceRoleToken", {"fingerprint": "i-1"})
    key.calls("ecs:DiscoverPollEndpoint", {"cluster": "shop"})
    key.calls("sso-oauth:CreateTokenWithIAM", {"grantType": "urn:ietf:params:oauth:grant-type:jwt-bearer"})
    key.calls("sts:GetWebIdentityToken", {"audience": ["https://example.com"]})
    plan = planned(world, key.id)

    token, role, tasks, person = [one for one in plan.proof.holds_if if one not in before.proof.holds_if]
    (outside,) = set(plan.residual_risks) - set(before.residual_risks)
    gave = "eks-auth:AssumeRoleForPodIdentity, gamelift:GetComputeAccess, cloudwatch-omni:GetSpaceDataAccess"
    assert (
        f"s3:GetDataAccess, {gave}, ssm:RequestManagedInstanceRoleToken. The service's own AssumeRole in that second names the role"
        in role
    )
    assert "credentials of all tasks that ran there: ecs:DiscoverPollEndpoint. Plan for the roles" in tasks
    assert "sso-oauth:CreateTokenWithIAM. With it sessions are opened in every account of theirs" in person
    assert token.startswith("no role was assumed with the attacker's web identity tokens")
    assert "to others than AWS" in outside and "sts:GetWebIdentityToken" in outside
    assert plan.proof.complete


def test_sessions_of_a_role_that_was_handed_on_are_not_spared_in_silence() -> None:
    """A pod's session from the attacker's address is the attacker's; from elsewhere it is named; an older one is not."""
    world = World(START)
    key = world.user("support")
    key.calls("s3:ListBuckets", ip="203.0.113.77")
    older = world.pod_identity("Job", pod="old")
    older.calls("s3:ListBuckets")
    params = {"name": "main", "roleArn": JOB, "serviceAccount": "default"}
    key.calls("eks:CreatePodIdentityAssociation", params, read_only=False, ip="203.0.113.77",
              response={"association": {"associationId": "a-1"}})  # fmt: skip
    taken, other = world.pod_identity("Job", pod="evil"), world.pod_identity("Job", pod="web")
    taken.calls("s3:ListBuckets", ip="203.0.113.77")
    other.calls("s3:ListBuckets", ip="192.0.2.9")
    with asked(world) as case:
        plan = checked(case.contain([key.id], strategy="surgical"))

    assert {key.id, taken.id} == set(plan.tainted)
    assert any(taken.id in one.ends for one in plan.steps) and "revert-trust" in actions(plan)
    named = [one for one in plan.proof.holds_if if "is the rightful owner's, though CreatePodIdentity" in one]
    assert [True] == [one.startswith(other.id) for one in named] and plan.proof.complete


def test_of_one_name_there_is_one_in_each_region_and_service() -> None:
    """What was deleted elsewhere, or was another service's, runs on; each region's own is stopped by its own command."""
    world = World(START)
    key = world.user("support")
    for region in ("us-east-1", "eu-west-1"):
        key.calls("iot:CreateRoleAlias", {"roleAlias": "p", "roleArn": JOB}, read_only=False, region=region)
        asked_for = {"pipeline": {"name": "p", "roleArn": JOB}}
        key.calls("codepipeline:CreatePipeline", asked_for, read_only=False, region=region)
    key.calls("pipes:CreatePipe", {"name": "p", "roleArn": JOB}, read_only=False)
    key.calls("codepipeline:DeletePipeline", {"name": "p"}, read_only=False, region="us-east-1")
    key.calls("athena:DeletePipe", {"name": "p"}, read_only=False)
    with asked(world) as case:
        plan = checked(case.contain([key.id]))
        again = checked(case.contain([key.id], what_if=as_given(plan)))

    aliases, hosts = step(plan, "revert-trust"), step(plan, "isolate-instance")
    assert ("p",) == aliases.targets == hosts.targets
    assert all(f"iot delete-role-alias --region {one} " in aliases.why for one in ("us-east-1", "eu-west-1"))
    assert "codepipeline delete-pipeline --region eu-west-1 --name=p" in hosts.why
    assert "pipes stop-pipe --region us-east-1 --name=p" in hosts.why
    assert "delete-pipeline --region us-east-1" not in hosts.why
    assert plan.proof.complete and again.proof.complete


def test_a_function_of_the_same_name_elsewhere_hides_none() -> None:
    """Whoever stole from a function makes one of its name in another region, and deletes it or not: it runs on."""
    for role, deleted in ((JOB, False), (f"{ROLE}Other", True)):
        world = World(START)
        stolen = world.function("Job", "send")
        stolen.calls("s3:ListBuckets")
        asked_for = {"functionName": "send", "role": role}
        stolen.calls("lambda:CreateFunction20150331", asked_for, read_only=False, region="eu-west-1")
        if deleted:
            gone = {"functionName": "send"}
            stolen.calls("lambda:DeleteFunction20150331", gone, read_only=False, region="eu-west-1")
        plan = planned(world, stolen.id)

        own = "aws lambda put-function-concurrency --region us-east-1 --function-name=send"
        assert any(own in one.why for one in plan.steps)
        assert deleted != any(call.service == "lambda" for one in plan.steps for call in one.calls)


@pytest.mark.parametrize(
    "asked_for", [{"functionName": "send", "qualifier": "1"}, {"functionName": "send:1"}]
)
def test_a_function_of_which_a_version_was_deleted_runs_on(asked_for: dict[str, str]) -> None:
    """Deleting one of its versions leaves the attacker's function, which is stopped and whose role is cut."""
    world = World(START)
    key = world.user("support")
    made = {"functionName": "send", "role": JOB}
    key.calls("lambda:CreateFunction20150331", made, read_only=False)
    key.calls("lambda:DeleteFunction20150331", asked_for, read_only=False)
    world.wait(hours=3)
    world.user("ria").calls("s3:ListBuckets")
    plan = planned(world, key.id)

    assert ("send",) == step(plan, "isolate-instance").targets
    assert (JOB,) == step(plan, "revoke-role-sessions").principals


def test_a_step_shows_each_region_that_it_calls() -> None:
    """Functions of one name in two regions are stopped by calls to both, and a plan in words tells both."""
    world = World(START)
    key = world.user("support")
    for region in ("us-east-1", "eu-west-1"):
        asked_for = {"functionName": "send", "role": JOB}
        key.calls("lambda:CreateFunction20150331", asked_for, read_only=False, region=region)
    plan, text = planned(world, key.id), io.StringIO()
    write_plan(plan, TextWriter(text))

    assert {"us-east-1", "eu-west-1"} == {one.region for one in step(plan, "isolate-instance").calls}
    assert all(f"PutFunctionConcurrency in {one}" in text.getvalue() for one in ("us-east-1", "eu-west-1"))
