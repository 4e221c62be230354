"""
Workloads, which run with a role and are handed sessions of it: their names, sessions and roles, and when each ended.

The kinds of workloads stand in `aws.calls.workload_kinds`. Sources: the API References of AWS Lambda, Amazon ECS, AWS
CodeBuild and IAM Roles Anywhere, the page of each call.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tokentrail.aws.calls.names import operation_of
from tokentrail.aws.calls.workload_kinds import WORKLOADS
from tokentrail.policy.history.changes import Change

REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-\d{1,2}")
"""How AWS spells its regions; evidence may say anything."""
_FUNCTION = re.compile(r"(?:.*:)?function:([^:]+)(?::[^:]+)?|(?:\d{12}:)?([^:/]+)(?::[^:/]+)?")
"""A function's name, partial ARN or ARN, each with a version or alias or without one."""
_VERSION = re.compile(r"(^|function:)[^:]+:[^:]+$")
"""Such a text with a version or alias at its end (AWS Lambda API Reference, 'DeleteFunction')."""


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
    found = (
        one for path in WORKLOADS[what].roles for member in told for one in texts_at(member, path.split("."))
    )
    return list(dict.fromkeys(found))


_ENDS: Mapping[str, Sequence[tuple[str, str]]] = {
    operation: [(kind, one.ended_by[operation]) for kind, one in WORKLOADS.items() if operation in one.ended_by]
    for workload in WORKLOADS.values() for operation in workload.ended_by
}  # fmt: skip
"""By operation: the kinds of workloads that it ends, each with the path that names the workload."""


def ended_by(change: Change) -> Iterator[tuple[str, str]]:
    """The workloads that a change may end, by kind and name; deleting a version does not end a function."""
    for kind, path in _ENDS.get(operation_of(change.event_name), ()):
        if not (kind == "function" and change.asked("qualifier")):
            for thing in texts_at(change.request, path.split(".")):
                if kind != "function" or not _VERSION.search(thing):
                    yield kind, name_of(kind, thing)


def texts_at(value: Any, path: list[str]) -> Iterator[str]:
    """The texts at a path of a request or response, through lists."""
    if isinstance(value, list):
        for one in value:
            yield from texts_at(one, path)
    elif not path:
        if isinstance(value, str) and value:
            yield value
    elif isinstance(value, Mapping):
        for one in value.values() if path[0] == "*" else [value.get(path[0])]:
            yield from texts_at(one, path[1:])
