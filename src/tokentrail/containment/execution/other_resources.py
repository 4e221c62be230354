"""
The things that a plan's other calls change: service control policies, instances, functions, tasks, builds, trust
anchors, sign-in sessions, and identity providers.

Sources: the IAM, AWS Organizations, Amazon EC2, AWS Lambda, Amazon ECS, AWS CodeBuild, IAM Roles Anywhere and AWS
Sign-In API References, the page of each operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from tokentrail.containment.execution.cloud import CallFailed, Cloud
from tokentrail.containment.execution.resource import Irreversible, Resource, State
from tokentrail.containment.model import Call

SCP = "SERVICE_CONTROL_POLICY"
_ENDED = frozenset({"DEPROVISIONING", "STOPPED", "DELETED"})
"""States of a task whose containers have ended (Amazon ECS Developer Guide, 'Amazon ECS task lifecycle')."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationPolicy(Resource):
    """A policy of an organisation, by id or by name: `document` is its text, or null."""

    compared: ClassVar = ("document",)
    policy: str
    by_id: bool
    type: str = SCP

    @property
    def name(self) -> str:
        """The policy."""
        return f"organisation's policy {self.policy}"

    def read(self, cloud: Cloud) -> State:
        """Read its text, id, name and description."""
        found = self.policy if self.by_id else self._id(cloud)
        answer = self._ask(cloud, "organizations", "DescribePolicy", PolicyId=found) if found else None
        if answer is None:
            return {"document": None}
        about = answer["Policy"]["PolicySummary"]
        return {
            "document": answer["Policy"]["Content"], "id": about["Id"], "arn": about.get("Arn"),
            "name": about["Name"], "description": about.get("Description", ""), "type": about.get("Type", SCP),
        }  # fmt: skip

    def _id(self, cloud: Cloud) -> str | None:
        listed = self._list(cloud, "organizations", "ListPolicies", "Policies", Filter=self.type)
        return next((one["Id"] for one in listed if one["Name"] == self.policy), None)

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Delete it where there was none, make it anew, or write the text that was there."""
        if original["document"] is None:
            return (self._call("organizations", "DeletePolicy", PolicyId=present["id"]),)
        if present["document"] is None:
            return (
                self._call(
                    "organizations", "CreatePolicy", Name=original["name"], Type=original["type"],
                    Description=original["description"], Content=original["document"],
                ),
            )  # fmt: skip
        return (
            self._call(
                "organizations", "UpdatePolicy", PolicyId=present["id"], Name=original["name"],
                Description=original["description"], Content=original["document"],
            ),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganizationAttachment(Resource):
    """A policy's attachment to an account, unit or root of an organisation: `attached` is whether there is one."""

    compared: ClassVar = ("attached",)
    policy_id: str
    target: str

    @property
    def name(self) -> str:
        """The attachment."""
        return f"attachment of organisation's policy {self.policy_id} to {self.target}"

    def read(self, cloud: Cloud) -> State:
        """Read whether it is attached."""
        found = self._list(cloud, "organizations", "ListTargetsForPolicy", "Targets", PolicyId=self.policy_id)
        return {"attached": any(one["TargetId"] == self.target for one in found)}

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Attach or detach it."""
        operation = "AttachPolicy" if original["attached"] else "DetachPolicy"
        return (self._call("organizations", operation, PolicyId=self.policy_id, TargetId=self.target),)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileAssociation(Resource):
    """An instance profile's association with an instance: `associated`, and with which `instance` and `profile`."""

    compared: ClassVar = ("associated",)
    association_id: str

    @property
    def name(self) -> str:
        """The association."""
        return f"instance profile association {self.association_id}"

    def read(self, cloud: Cloud) -> State:
        """Read whether it exists, and of which instance and profile."""
        found = self._list(
            cloud, "ec2", "DescribeIamInstanceProfileAssociations", "IamInstanceProfileAssociations",
            AssociationIds=[self.association_id],
        )  # fmt: skip
        live = [one for one in found if one.get("State") in ("associated", "associating")]
        if not live:
            return {"associated": False}
        profile = live[0]["IamInstanceProfile"]["Arn"]
        return {"associated": True, "instance": live[0]["InstanceId"], "profile": profile}

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Associate the same profile with the same instance; the association gets a new id."""
        return (
            self._call(
                "ec2", "AssociateIamInstanceProfile", InstanceId=original["instance"],
                IamInstanceProfile={"Arn": original["profile"]},
            ),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Instances(Resource):
    """Instances: `running` lists those that run or are starting."""

    compared: ClassVar = ("running",)
    ids: tuple[str, ...]

    @property
    def name(self) -> str:
        """The instances."""
        return f"instances {' '.join(self.ids)}"

    def read(self, cloud: Cloud) -> State:
        """Read which of them run."""
        found = self._list(cloud, "ec2", "DescribeInstances", "Reservations", InstanceIds=list(self.ids))
        instances = [one for reservation in found for one in reservation["Instances"]]
        running = [one["InstanceId"] for one in instances if one["State"]["Name"] in ("pending", "running")]
        return {"running": sorted(running)}

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Start those that ran."""
        stopped = sorted(set(original["running"]) - set(present["running"]))
        return (self._call("ec2", "StartInstances", InstanceIds=stopped),)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionConcurrency(Resource):
    """A function's reserved concurrency, how many of its calls may run at once: `reserved`, or null if none is set."""

    compared: ClassVar = ("reserved",)
    function: str

    @property
    def name(self) -> str:
        """The function."""
        return f"concurrency of function {self.function}"

    def read(self, cloud: Cloud) -> State:
        """Read what is reserved, and whether the function exists."""
        found = self._ask(cloud, "lambda", "GetFunctionConcurrency", FunctionName=self.function)
        if found is None:
            return {"exists": False, "reserved": None}
        return {"exists": True, "reserved": found.get("ReservedConcurrentExecutions")}

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Reserve what was reserved, or nothing."""
        if original["reserved"] is None:
            return (self._call("lambda", "DeleteFunctionConcurrency", FunctionName=self.function),)
        return (
            self._call(
                "lambda", "PutFunctionConcurrency", FunctionName=self.function,
                ReservedConcurrentExecutions=original["reserved"],
            ),
        )  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Run(Resource):
    """A run that ends by itself or is stopped: `running`, and `exists`, since AWS forgets runs that have ended."""

    compared: ClassVar = ("running",)
    slow: ClassVar[bool] = True
    id: str

    def gone(self, state: Mapping[str, Any]) -> str | None:
        """Say that AWS no longer has it, as it forgets runs a while after they ended."""
        return None if state["exists"] else f"{self.name} has ended, or its cluster or project is no more"

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Nothing makes it run on."""
        raise Irreversible("what was stopped never runs again; whoever needs it starts another")


@dataclass(frozen=True, slots=True, kw_only=True)
class Task(Run):
    """An ECS task. While it is being stopped it counts as running; AWS forgets it in an hour (see 'DescribeTasks')."""

    cluster: str

    @property
    def name(self) -> str:
        """The task."""
        return f"ECS task {self.cluster}/{self.id}"

    def read(self, cloud: Cloud) -> State:
        """Read whether any of its containers may run; a deleted cluster has no tasks (see 'DeleteCluster')."""
        found = self._ask(cloud, "ecs", "DescribeTasks", cluster=self.cluster, tasks=[self.id]) or {}
        for failure in found.get("failures", ()):
            if failure.get("reason") != "MISSING":
                raise CallFailed(
                    "refused", str(failure.get("reason")), f"{self.name}: {failure.get('detail')}"
                )
        tasks = found.get("tasks", ())
        return {"exists": bool(tasks), "running": any(one.get("lastStatus") not in _ENDED for one in tasks)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Build(Run):
    """A build of CodeBuild."""

    @property
    def name(self) -> str:
        """The build."""
        return f"CodeBuild build {self.id}"

    def read(self, cloud: Cloud) -> State:
        """Read whether it is in progress; one that is can't be deleted (see 'BatchDeleteBuilds')."""
        found = self._ask(cloud, "codebuild", "BatchGetBuilds", ids=[self.id]) or {}
        builds = found.get("builds", ())
        going = (one.get("buildStatus") == "IN_PROGRESS" and not one.get("buildComplete") for one in builds)
        return {"exists": bool(builds), "running": any(going)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RolesAnywhere(Resource):
    """A trust anchor or profile of IAM Roles Anywhere: `enabled`, or null if it does not exist."""

    compared: ClassVar = ("enabled",)
    kind: Literal["TrustAnchor", "Profile"]
    id: str

    @property
    def name(self) -> str:
        """The trust anchor or profile."""
        return f"Roles Anywhere {self.kind} {self.id}"

    @property
    def _named(self) -> dict[str, str]:
        return {f"{self.kind[:1].lower()}{self.kind[1:]}Id": self.id}

    def read(self, cloud: Cloud) -> State:
        """Read whether it lets anybody in."""
        found = self._ask(cloud, "rolesanywhere", f"Get{self.kind}", **self._named)
        told = found.get(f"{self.kind[:1].lower()}{self.kind[1:]}", {}) if found else {}
        return {"enabled": bool(told.get("enabled")) if found else None}

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Enable or disable it."""
        if present["enabled"] is None:
            raise Irreversible(f"{self.name} is gone, and a new one would be another")
        verb = "Enable" if original["enabled"] else "Disable"
        return (self._call("rolesanywhere", f"{verb}{self.kind}", **self._named),)


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInSessions(Resource):
    """Sign-in sessions of `aws login` and OAuth clients: `active` lists those that are active."""

    compared: ClassVar = ("active",)
    arns: tuple[str, ...]

    @property
    def name(self) -> str:
        """The sessions."""
        return f"sign-in sessions {' '.join(self.arns)}"

    def read(self, cloud: Cloud) -> State:
        """Read which of them are active."""
        found = {arn: self._ask(cloud, "signin", "GetSession", sessionArn=arn) for arn in self.arns}
        return {
            "active": sorted(arn for arn, told in found.items() if told and told.get("status") == "ACTIVE")
        }

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Nothing brings them back."""
        raise Irreversible("a revoked sign-in session can't be brought back; its owner signs in again")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider(Resource):
    """An identity provider that the attacker made: `exists`."""

    compared: ClassVar = ("exists",)
    arn: str
    kind: Literal["OpenIDConnect", "SAML"]

    @property
    def name(self) -> str:
        """The provider."""
        return f"identity provider {self.arn}"

    def read(self, cloud: Cloud) -> State:
        """Read whether it is there."""
        parameter = {f"{self.kind}ProviderArn": self.arn}
        return {"exists": self._ask(cloud, "iam", f"Get{self.kind}Provider", **parameter) is not None}

    def restoring(self, present: State, original: State) -> tuple[Call, ...]:
        """Nothing brings it back."""
        raise Irreversible("a deleted identity provider can't be brought back; make it anew if it is wanted")
