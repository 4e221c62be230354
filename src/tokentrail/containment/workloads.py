"""
Workloads, which run with a role and are handed sessions of it: how each kind is named, stopped, and known to be gone.

Sources: the API References of AWS Lambda, Amazon EC2, Amazon ECS, AWS Glue, AWS CodeBuild, Amazon SageMaker AI, AWS
CloudFormation, AWS Step Functions, Amazon EventBridge and EventBridge Scheduler, the page of each call; that a service
or deployment replaces what is stopped: Amazon ECS Developer Guide, 'Amazon ECS services'.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tokentrail.containment.services import DOORS, RUNNING, Service
from tokentrail.policy.history.changes import Change

REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}")
"""How AWS spells its regions; evidence may say anything."""
_FUNCTION = re.compile(r"(?:.*:)?function:([^:]+)(?::[^:]+)?|(?:\d{12}:)?([^:/]+)(?::[^:/]+)?")
"""A function's name, partial ARN or ARN, each with a version or alias or without one."""
_VERSION = re.compile(r"(^|function:)[^:]+:[^:]+$")
"""Such a text with a version or alias at its end (AWS Lambda API Reference, 'DeleteFunction')."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One kind of workload."""

    called: str
    """What a sentence calls it."""
    roles: tuple[str, ...] = ()
    """Paths in the request and the response that name its role."""
    without_role: bool = True
    """Whether it is a workload even if the call names no role; else it then acts without one."""
    stop: str
    """How a person stops it, with the placeholders `{name}`, `{region}` and, for a task, `{cluster}`."""
    gone_by: Mapping[str, str]
    """By call that ends it: the path in the request that names it."""
    door: bool = False
    """Whether it runs nothing itself, but hands the role's sessions to whoever it lets in."""


def _of(service: Service, *, door: bool = False) -> Workload:
    called, roles, stop, gone_by, needs_role = service
    return Workload(
        called=called, roles=roles, without_role=not needs_role, stop=stop, gone_by=gone_by, door=door
    )


_LAMBDA = Workload(
    called="function", roles=("role",),
    stop="aws lambda put-function-concurrency --region {region} --function-name={name} "
    "--reserved-concurrent-executions 0",
    gone_by={"DeleteFunction20150331": "functionName"},
)  # fmt: skip
_INSTANCE = Workload(
    called="instance", stop="aws ec2 stop-instances --region {region} --instance-ids={name}",
    gone_by={"TerminateInstances": "instancesSet.items.instanceId"},
)  # fmt: skip
WORKLOADS: Mapping[str, Workload] = {
    "function": _LAMBDA,
    "instance": _INSTANCE,
    "instance_profile": Workload(
        called="instance profile", stop="aws iam remove-role-from-instance-profile --instance-profile-name={name} "
        "--role-name …", gone_by={
            "DeleteInstanceProfile": "instanceProfileName", "RemoveRoleFromInstanceProfile": "instanceProfileName",
        },
    ),
    "task": Workload(
        called="ECS task", roles=("overrides.taskRoleArn",),
        stop="aws ecs stop-task --region {region} --cluster={cluster} --task={name}", gone_by={"StopTask": "task"},
    ),
    "task_definition": Workload(
        called="ECS task definition", roles=("taskRoleArn",), without_role=False,
        stop="aws ecs deregister-task-definition --region {region} --task-definition={name}, and stop what runs of it",
        gone_by={},
    ),
    "task_service": Workload(
        called="ECS service", roles=("taskRoleArn",), stop="aws ecs update-service --region {region} "
        "--cluster={cluster} --service={name} --desired-count 0", gone_by={"DeleteService": "service"},
    ),
    "job": Workload(
        called="Glue job", roles=("role", "jobUpdate.role"), stop="aws glue delete-job --region {region} --job-name="
        "{name}, and stop its runs (`aws glue batch-stop-job-run`)", gone_by={"DeleteJob": "jobName"},
    ),
    "dev_endpoint": Workload(
        called="Glue development endpoint", roles=("roleArn",),
        stop="aws glue delete-dev-endpoint --region {region} --endpoint-name={name}",
        gone_by={"DeleteDevEndpoint": "endpointName"},
    ),
    "build_project": Workload(
        called="CodeBuild project", roles=("serviceRole", "project.serviceRole"),
        stop="aws codebuild delete-project --region {region} --name={name}, and stop its builds (`aws codebuild "
        "stop-build`)", gone_by={"DeleteProject": "name"},
    ),
    "notebook": Workload(
        called="SageMaker notebook", roles=("roleArn",),
        stop="aws sagemaker stop-notebook-instance --region {region} --notebook-instance-name={name}",
        gone_by={"DeleteNotebookInstance": "notebookInstanceName"},
    ),
    "training_job": Workload(
        called="SageMaker job", roles=("roleArn", "trainingJobDefinition.roleArn"),
        stop="aws sagemaker stop-training-job --region {region} --training-job-name={name} (or stop-processing-job)",
        gone_by={},
    ),
    "stack": Workload(
        called="CloudFormation stack", roles=("roleARN",), without_role=False,
        stop="aws cloudformation delete-stack --region {region} --stack-name={name}, once you know what it holds",
        gone_by={"DeleteStack": "stackName"},
    ),
    "state_machine": Workload(
        called="Step Functions state machine", roles=("roleArn",),
        stop="aws stepfunctions delete-state-machine --region {region} --state-machine-arn={name}, and stop its "
        "executions", gone_by={"DeleteStateMachine": "stateMachineArn"},
    ),
    "rule": Workload(
        called="EventBridge rule", roles=("roleArn", "targets.roleArn"), without_role=False,
        stop="aws events disable-rule --region {region} --name={name}", gone_by={"DeleteRule": "name"},
    ),
    "schedule": Workload(
        called="schedule", roles=("target.roleArn",), without_role=False,
        stop="aws scheduler delete-schedule --region {region} --name={name}", gone_by={"DeleteSchedule": "name"},
    ),
    **{what: _of(service) for what, service in RUNNING.items()},
    **{what: _of(service, door=True) for what, service in DOORS.items()},
}  # fmt: skip
"""The kinds of workloads, by the names that `lineage.creations` uses."""

RUN_BY: Mapping[str, str] = {
    "lambda.amazonaws.com": "`aws lambda put-function-concurrency{where} --function-name={name} "
    "--reserved-concurrent-executions 0`",
    "ecs-tasks.amazonaws.com": "where a service runs the task, the service, which else starts another in its place "
    "(`aws ecs update-service{where} --cluster … --service … --desired-count 0`), then the task (`aws ecs stop-task"
    "{where} --cluster … --task={name}`); of AWS Batch its job (`aws batch terminate-job{where} --job-id … …`)",
    "pods.eks.amazonaws.com": "scale what runs the pod to none (`kubectl scale … --replicas=0`), as a pod that is "
    "deleted is replaced by another, or take its role away (`aws eks delete-pod-identity-association{where} "
    "--cluster-name … --association-id …`)",
    "codebuild.amazonaws.com": "stop the builds of the projects that have the role (`aws codebuild stop-build{where} "
    "--id …`), and let no webhook, pipeline or schedule start others before what they build is looked through",
    "glue.amazonaws.com": "stop the runs and sessions of the jobs that have the role (`aws glue batch-stop-job-run"
    "{where} --job-name … --job-run-ids …`, `aws glue stop-session{where} --id …`), and the triggers that start others "
    "(`aws glue stop-trigger{where} --name …`)",
    "sagemaker.amazonaws.com": "stop the notebooks, apps, jobs and endpoints that have the role (`aws sagemaker "
    "stop-notebook-instance{where} --notebook-instance-name …`, delete-app, stop-training-job, delete-endpoint)",
    "states.amazonaws.com": "stop the executions of the state machines that have the role (`aws stepfunctions "
    "stop-execution{where} --execution-arn …`), and what starts others",
    "tasks.apprunner.amazonaws.com": "pause the service (`aws apprunner pause-service{where} --service-arn …`)",
    "ssm.amazonaws.com": "take the node off Systems Manager (`aws ssm deregister-managed-instance{where} --instance-id="
    "{name}`), and delete the activation by which it comes back (`aws ssm delete-activation{where} --activation-id …`)",
    "credentials.iot.amazonaws.com": "make the device's certificate inactive (`aws iot update-certificate{where} "
    "--certificate-id … --new-status INACTIVE`)",
    "account-access.amazonaws.com": "it is no host, but somebody of IAM Identity Center who is entitled to the role: "
    "delete the entitlement (`aws account-access list-entitlements{where} --application-arn …`, `aws account-access "
    "delete-entitlement{where} --application-arn … --entitlement-id …`), or disable the person",
    "*": "look where the service lists what has the role, stop that, and what would start another in its place",
    "": "for a function `aws lambda put-function-concurrency{where} --function-name={name} "
    "--reserved-concurrent-executions 0`, for a task or pod stop the service or deployment that starts another in its "
    "place, for anything else that has the role look where its service lists it",
}  # fmt: skip
"""
By service that issued a session to a host that nobody is known to have made: how a person stops that.

`*` stands for all other services, and an empty name for an unknown one.
"""


def name_of(what: str, thing: str) -> str:
    """The name of a workload: taken from its ARN if calls accept that name, else the ARN."""
    if what == "function":
        found = _FUNCTION.fullmatch(thing)
        return (found[1] or found[2]) if found else thing
    if what in ("build", "build_project", "rule", "task") and thing.startswith("arn:"):
        return thing.rpartition("/")[2]
    return thing


def cluster_of(thing: str) -> str | None:
    """
    The ECS cluster in a task's ARN, if it is of the long form.

    Source: Amazon ECS Developer Guide, 'Amazon Resource Names (ARNs) and IDs'.
    """
    kind, *named = thing.rpartition(":")[2].split("/")
    return named[0] if kind == "task" and len(named) == 2 and ":ecs:" in thing else None


def bare(serial: str) -> str:
    """A certificate's serial number, which is spelled in either case and with any zeros before it."""
    return serial.lower().lstrip("0")


def session_of(what: str, thing: str) -> str | None:
    """
    The name of the sessions of a task, a build or a certificate's holder, after its id. `None` for other kinds.

    ECS, CodeBuild and IAM Roles Anywhere name them so. The ids are random, so that a session of that name is surely of
    the thing. If a service named them otherwise, no session would match.
    """
    if what == "task":
        return name_of(what, thing)
    if what == "private_certificate":
        return bare(thing.rpartition("/certificate/")[2]) or None
    return f"AWSCodeBuild-{thing.rpartition(':')[2]}" if what == "build" else None


def roles_of(what: str, *told: Mapping[str, Any]) -> list[str]:
    """The roles that a request and its response name for a workload, each by ARN or by name."""
    found = (one for path in WORKLOADS[what].roles for member in told for one in _at(member, path.split(".")))
    return list(dict.fromkeys(found))


def removing(change: Change) -> Iterator[str]:
    """The names of workloads that a change may end."""
    for what in WORKLOADS:
        yield from _removed(change, what)


def _removed(change: Change, what: str) -> Iterator[str]:
    """The names of workloads of a kind that a change ends; deleting a version does not end a function."""
    path = WORKLOADS[what].gone_by.get(change.event_name)
    if path is not None and not (what == "function" and change.asked("qualifier")):
        for one in _at(change.request, path.split(".")):
            if what != "function" or not _VERSION.search(one):
                yield name_of(what, one)


class Removals:
    """The calls that ended workloads, by name; indexed once for each kind that is asked about."""

    def __init__(self, changes: Iterable[Change]) -> None:
        """Take all calls that deleted, stopped or shut something."""
        self._changes = tuple(changes)
        self._by: dict[str, dict[tuple[str, str], list[Change]]] = {}

    def gone_at(
        self,
        what: str,
        name: str,
        account: str,
        since: datetime | None,
        where: tuple[str | None, str | None] = (None, None),
    ) -> datetime | None:
        """
        When somebody ended a workload after it was made; `None` if nobody did.

        Args:
            what: Its kind.
            name: Its name, or that of its sessions.
            account: Its account.
            since: When it was made, if known.
            where: Its service and region, if known: a workload of the same name in another is a different one.
        """
        if what not in self._by:
            self._by[what] = self._sorted(what)
        source, region = where
        found = (
            change.time
            for change in self._by[what].get((account, name), ())
            if (since is None or change.time >= since)
            and (not source or change.event_source == source)
            and (region is None or change.region in (None, region))
        )
        return min(found, default=None)

    def _sorted(self, what: str) -> dict[tuple[str, str], list[Change]]:
        found: dict[tuple[str, str], list[Change]] = {}
        for change in self._changes:
            for one in _removed(change, what):
                for name in {one, session_of(what, one)} - {None}:
                    found.setdefault((change.account, str(name)), []).append(change)
        return found


def _at(value: Any, path: list[str]) -> Iterator[str]:
    """The texts at a path, through lists."""
    if isinstance(value, list):
        for one in value:
            yield from _at(one, path)
    elif not path:
        if isinstance(value, str) and value:
            yield value
    elif isinstance(value, Mapping):
        for one in value.values() if path[0] == "*" else [value.get(path[0])]:
            yield from _at(one, path[1:])
