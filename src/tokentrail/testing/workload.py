"""
Roles that AWS services assume for what runs on them: instances, functions, tasks, pods, and services
themselves.

Shapes: AssumeRole records of the Invictus data set. For EC2 and Lambda the answer names no `assumedRoleUser`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from tokentrail.testing.names import Identity, Json, Role, role_identity
from tokentrail.testing.records import Call, role_resource
from tokentrail.testing.stage import Stage
from tokentrail.testing.sts import assumed_role_user, credentials, issue
from tokentrail.testing.truth import Entry, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """What a service delivers credentials to, again and again under one session name."""

    service: str
    role: Role
    session_name: str
    lifetime: int
    names_user: bool = True
    """Whether the answer holds `assumedRoleUser`."""
    delivery: str | None = None
    in_scope_of: Json | None = None
    shows_key: bool = True
    """Whether its calls show a key id; those of service-linked roles show none, only the service."""
    asks_duration: bool = False

    def identity(self, identity: Identity) -> Identity:
        """Add what this workload's records say of where it runs."""
        return replace(identity, delivery=self.delivery, in_scope_of=self.in_scope_of)

    @property
    def kind_from_uses(self) -> Kind:
        """The kind that its calls alone prove."""
        return "service_role" if self.delivery or self.in_scope_of else "assumed_role"


Deliver = Callable[[Stage, Workload], Entry]


def deliver(stage: Stage, workload: Workload) -> Entry:
    """Mint a session for a workload: AssumeRole by an AWS service, with a `sharedEventID` of its own."""
    role, name = workload.role, workload.session_name
    created = stage.fresh_second(role.session_id(name))
    key = stage.ids.access_key("ASIA", role.account)
    expires = created + timedelta(seconds=workload.lifetime)
    response: Json = {"credentials": credentials(stage.ids, key, expires)}
    if workload.names_user:
        response["assumedRoleUser"] = assumed_role_user(role, name)
    params: Json = {"roleArn": role.arn, "roleSessionName": name}
    if workload.asks_duration:
        params["durationSeconds"] = workload.lifetime
    call = Call(
        action="sts:AssumeRole",
        params=params,
        response=response,
        resources=role_resource(role),
        ip=workload.service,
        user_agent=workload.service,
        region=stage.region,
        shared_event_id=stage.ids.uuid(),
    )
    stage.log(call, {"type": "AWSService", "invokedBy": workload.service}, account=role.account)
    return issue(
        stage, workload.identity(role_identity(role, name, created)), kind="service_role",
        kind_from_uses=workload.kind_from_uses, key=key if workload.shows_key else None, expires=expires,
        origin="service", issued_key=key,
    )  # fmt: skip


def instance(stage: Stage, role: Role, instance_id: str | None, delivery: str) -> Workload:
    """Describe an EC2 instance: session named by the instance, credentials good for 6 h 35 min."""
    return Workload(
        service="ec2.amazonaws.com", role=role, session_name=instance_id or f"i-{'0' + stage.ids.hex(16)}",
        lifetime=23700, names_user=False, delivery=delivery,
    )  # fmt: skip


def function(stage: Stage, role: Role, name: str) -> Workload:
    """Describe a Lambda function: session named by the function, records in scope of it."""
    arn = f"arn:aws:lambda:{stage.region}:{role.account}:function:{name}"
    scope = {"issuerType": "AWS::Lambda::Function", "credentialsIssuedTo": arn}
    return Workload(
        service="lambda.amazonaws.com", role=role, session_name=name, lifetime=43200, names_user=False,
        in_scope_of=scope,
    )  # fmt: skip


def task(stage: Stage, role: Role, cluster: str) -> Workload:
    """Describe an ECS task: session named by the task."""
    task_id = stage.ids.hex(32)
    arn = f"arn:aws:ecs:{stage.region}:{role.account}:task/{cluster}/{task_id}"
    scope = {"issuerType": "AWS::ECS::Task", "credentialsIssuedTo": arn}
    return Workload(
        service="ecs-tasks.amazonaws.com", role=role, session_name=task_id, lifetime=21600, in_scope_of=scope
    )


def build(stage: Stage, role: Role) -> Workload:
    """Describe a build of CodeBuild: session named by the build."""
    return Workload(
        service="codebuild.amazonaws.com",
        role=role,
        session_name=f"AWSCodeBuild-{stage.ids.uuid()}",
        lifetime=3600,
    )


def pod(stage: Stage, role: Role, cluster: str, pod_name: str) -> Workload:
    """
    Describe a pod with EKS Pod Identity ("Learn how EKS Pod Identity grants pods access", Amazon EKS User
    Guide).
    """
    name = f"eks-{cluster}-{pod_name}-{stage.ids.uuid()}"
    return Workload(
        service="pods.eks.amazonaws.com",
        role=role,
        session_name=name[:64],
        lifetime=21600,
        asks_duration=True,
    )


def service_linked(stage: Stage, service: str, role: Role, session_name: str | None) -> Workload:
    """Describe a service at work under its service-linked role, whose sessions nobody can revoke."""
    return Workload(
        service=service,
        role=role,
        session_name=session_name or f"{role.name.removeprefix('AWSServiceRoleFor')}Session",
        lifetime=3600,
        shows_key=False,
    )
