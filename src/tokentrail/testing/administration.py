"""
What IAM, EC2 and Lambda write for the calls that make, change or end what credentials live on.

Request and answer shapes from the Invictus and Stratus Red Team data sets; those that neither holds
(AddUserToGroup, CreatePolicyVersion and the group policies) follow CloudTrail's spelling of the IAM API
Reference.
"""

from __future__ import annotations

import json
from datetime import datetime
from urllib.parse import quote

from tokentrail.testing.federation import Person
from tokentrail.testing.ids import Ids
from tokentrail.testing.names import Json, Role, User
from tokentrail.testing.records import create_date
from tokentrail.testing.stage import Stage

REQUIRED: dict[str, tuple[str, ...]] = {
    "UpdateAccessKey": ("userName", "accessKeyId", "status"),
    "DeleteAccessKey": ("userName", "accessKeyId"),
    "UpdateServiceSpecificCredential": ("serviceSpecificCredentialId", "status"),
    "ResetServiceSpecificCredential": ("serviceSpecificCredentialId",),
    "DeleteServiceSpecificCredential": ("serviceSpecificCredentialId",),
    "DeleteUser": ("userName",),
    "CreateLoginProfile": ("userName",),
    "UpdateLoginProfile": ("userName",),
    "DeleteLoginProfile": ("userName",),
    "DeleteRole": ("roleName",),
    "UpdateAssumeRolePolicy": ("roleName", "policyDocument"),
    "PutUserPolicy": ("userName", "policyName", "policyDocument"),
    "DeleteUserPolicy": ("userName", "policyName"),
    "PutRolePolicy": ("roleName", "policyName", "policyDocument"),
    "DeleteRolePolicy": ("roleName", "policyName"),
    "PutGroupPolicy": ("groupName", "policyName", "policyDocument"),
    "DeleteGroupPolicy": ("groupName", "policyName"),
    "AttachUserPolicy": ("userName", "policyArn"),
    "DetachUserPolicy": ("userName", "policyArn"),
    "AttachRolePolicy": ("roleName", "policyArn"),
    "DetachRolePolicy": ("roleName", "policyArn"),
    "AttachGroupPolicy": ("groupName", "policyArn"),
    "DetachGroupPolicy": ("groupName", "policyArn"),
    "AddUserToGroup": ("groupName", "userName"),
    "RemoveUserFromGroup": ("groupName", "userName"),
    "CreatePolicy": ("policyName", "policyDocument"),
    "DeletePolicy": ("policyArn",),
    "CreatePolicyVersion": ("policyArn", "policyDocument"),
    "SetDefaultPolicyVersion": ("policyArn", "versionId"),
    "DeletePolicyVersion": ("policyArn", "versionId"),
}
"""The IAM calls that `Credential.iam` writes, and the parameters that each must have."""

MAKERS = {
    "CreateAccessKey": "creates_access_key",
    "CreateServiceSpecificCredential": "creates_api_key",
    "CreateUser": "creates_user",
    "CreateRole": "creates_role",
    "AcquireRole": "acquires_role",
    "RunInstances": "runs_instance",
    "CreateFunction20150331": "creates_function",
    "RunTask": "runs_task",
    "StartBuild": "starts_build",
    "UpdateFunctionCode20150331v2": "updates_function",
}
"""Calls that have a method of their own, since they return something that can act."""


def request(name: str, params: Json) -> Json:
    """
    Check and complete an IAM call's parameters; policy documents given as objects become text, as logged.
    """
    if name in MAKERS:
        raise ValueError(f"{name} makes something that can act: use {MAKERS[name]}() instead of iam().")
    missing = [wanted for wanted in REQUIRED.get(name, ()) if wanted not in params]
    if missing:
        raise ValueError(f"{name} needs {', '.join(missing)}, spelled as in CloudTrail's requestParameters.")
    written = {key: json.dumps(value) if isinstance(value, dict) else value for key, value in params.items()}
    if name == "CreateLoginProfile":
        written.setdefault("passwordResetRequired", False)
    return written


def response(stage: Stage, name: str, params: Json, account: str) -> Json | None:
    """Answer as IAM does: with what was made, else with nothing."""
    moment = create_date(stage.now)
    if name == "CreateLoginProfile":
        profile = {"userName": params["userName"], "createDate": moment}
        return {"loginProfile": profile | {"passwordResetRequired": params["passwordResetRequired"]}}
    if name == "CreatePolicy":
        return {"policy": _policy(stage.ids, params, account, moment)}
    if name == "CreatePolicyVersion":
        default = bool(params.get("setAsDefault", False))
        return {"policyVersion": {"versionId": "v2", "isDefaultVersion": default, "createDate": moment}}
    return None


def _policy(ids: Ids, params: Json, account: str, moment: str) -> Json:
    path = str(params.get("path", "/"))
    return {
        "policyName": params["policyName"],
        "policyId": ids.principal("ANPA", account),
        "arn": f"arn:aws:iam::{account}:policy{path}{params['policyName']}",
        "path": path,
        "defaultVersionId": "v1",
        "attachmentCount": 0,
        "permissionsBoundaryUsageCount": 0,
        "isAttachable": True,
        "createDate": moment,
        "updateDate": moment,
    }


def access_key_answer(user: User, key_id: str, moment: datetime) -> Json:
    """Answer CreateAccessKey; the secret is never logged."""
    key = {
        "userName": user.name,
        "accessKeyId": key_id,
        "status": "Active",
        "createDate": create_date(moment),
    }
    return {"accessKey": key}


def user_answer(user: User, moment: datetime) -> Json:
    """Answer CreateUser."""
    made = {"path": user.path, "userName": user.name, "userId": user.id, "arn": user.arn}
    return {"user": made | {"createDate": create_date(moment)}}


def role_answer(role: Role, trust: str, moment: datetime) -> Json:
    """Answer CreateRole; the trust policy comes back URL-encoded."""
    made = {"path": role.path, "roleName": role.name, "roleId": role.id, "arn": role.arn}
    return {
        "role": made | {"createDate": create_date(moment), "assumeRolePolicyDocument": quote(trust, safe="")}
    }


def trust_policy(principal: Json) -> str:
    """Write a trust policy for one principal, such as `{"Service": "ec2.amazonaws.com"}`."""
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def revoke_older_sessions(cutoff: datetime) -> str:
    """
    Write the inline policy that the IAM console puts on a role to revoke its sessions.

    "Revoke IAM role temporary security credentials", IAM User Guide: a deny of everything to tokens issued
    before the cutoff. The console uses arrays and milliseconds.
    """
    condition = {"DateLessThan": {"aws:TokenIssueTime": f"{cutoff:%Y-%m-%dT%H:%M:%S}.000Z"}}
    statement = {"Effect": "Deny", "Action": ["*"], "Resource": ["*"], "Condition": condition}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def run_instances(stage: Stage, account: str, role: Role | None, instance_id: str) -> tuple[Json, Json]:
    """Write request and answer of RunInstances for one instance."""
    image, kind = "ami-0" + stage.ids.hex(16), "t3.micro"
    params: Json = {
        "instancesSet": {"items": [{"imageId": image, "minCount": 1, "maxCount": 1}]},
        "instanceType": kind,
        "monitoring": {"enabled": False},
    }
    item: Json = {
        "instanceId": instance_id,
        "imageId": image,
        "instanceState": {"code": 0, "name": "pending"},
        "instanceType": kind,
        "launchTime": int(stage.now.timestamp() * 1000),
        "placement": {"availabilityZone": f"{stage.region}a", "tenancy": "default"},
        "subnetId": "subnet-0" + stage.ids.hex(16),
        "vpcId": "vpc-0" + stage.ids.hex(16),
        "privateIpAddress": "10.0.1.10",
    }
    if role is not None:
        profile = f"arn:aws:iam::{account}:instance-profile/{role.name}"
        params["iamInstanceProfile"] = {"name": role.name}
        item["iamInstanceProfile"] = {"arn": profile, "id": stage.ids.principal("AIPA", account)}
    answer = {
        "requestId": stage.ids.uuid(),
        "reservationId": "r-0" + stage.ids.hex(16),
        "ownerId": account,
        "groupSet": {},
        "instancesSet": {"items": [item]},
    }
    return params, answer


def run_task(stage: Stage, account: str, role: Role, cluster: str, task_id: str) -> tuple[Json, Json]:
    """Write request and answer of RunTask for one task, which each of its containers names again."""
    ecs = f"arn:aws:ecs:{stage.region}:{account}"
    task, family = f"{ecs}:task/{cluster}/{task_id}", f"{ecs}:task-definition/{role.name}:1"
    params: Json = {
        "cluster": cluster, "count": 1, "taskDefinition": f"{role.name}:1", "launchType": "FARGATE",
        "overrides": {"taskRoleArn": role.arn},
    }  # fmt: skip
    container = f"{ecs}:container/{cluster}/{task_id}/{stage.ids.uuid()}"
    made: Json = {
        "taskArn": task, "clusterArn": f"{ecs}:cluster/{cluster}", "taskDefinitionArn": family,
        "overrides": {"taskRoleArn": role.arn}, "lastStatus": "PROVISIONING", "desiredStatus": "RUNNING",
        "containers": [{"containerArn": container, "taskArn": task, "name": "main", "lastStatus": "PENDING"}],
    }  # fmt: skip
    return params, {"tasks": [made], "failures": []}


def start_build(stage: Stage, account: str, role: Role, project: str, session_name: str) -> tuple[Json, Json]:
    """Write request and answer of StartBuild."""
    made = f"{project}:{session_name.partition('-')[2]}"
    build: Json = {
        "id": made, "arn": f"arn:aws:codebuild:{stage.region}:{account}:build/{made}", "projectName": project,
        "currentPhase": "QUEUED", "buildStatus": "IN_PROGRESS", "serviceRole": role.arn,
    }  # fmt: skip
    return {"projectName": project}, {"build": build}


def create_function(stage: Stage, account: str, name: str, role: Role) -> tuple[Json, Json]:
    """Write request and answer of CreateFunction20150331."""
    common: Json = {
        "functionName": name,
        "runtime": "python3.13",
        "role": role.arn,
        "handler": "app.handler",
        "description": "",
        "timeout": 3,
        "memorySize": 128,
        "environment": {},
        "packageType": "Zip",
    }
    code = {"s3Bucket": f"artifacts-{account}", "s3Key": f"{name}.zip"}
    return {**common, "code": code, "publish": False}, {**common, **_function_state(stage, account, name)}


def create_directory_user(person: Person) -> tuple[Json, Json]:
    """Write request and answer of Identity Store's CreateUser, whose log hides what people are called."""
    hidden = dict.fromkeys(("userName", "displayName"), "HIDDEN_DUE_TO_SECURITY_REASONS")
    directory = {"identityStoreId": person.store.rpartition("/")[2]}
    return {**directory, **hidden}, {**directory, "userId": person.user_id}


def update_function(stage: Stage, account: str, name: str) -> tuple[Json, Json]:
    """Write request and answer of UpdateFunctionCode20150331v2."""
    params: Json = {
        "fullyQualifiedArn": {
            "arnPrefix": {"partition": "aws", "region": stage.region, "account": account},
            "relativeId": {"functionName": name},
            "functionQualifier": {},
        },
        "functionName": name,
        "publish": False,
        "dryRun": False,
    }
    return params, {"functionName": name, **_function_state(stage, account, name)}


def _function_state(stage: Stage, account: str, name: str) -> Json:
    return {
        "functionArn": f"arn:aws:lambda:{stage.region}:{account}:function:{name}",
        "codeSize": 1876,
        "codeSha256": stage.ids.blob(43) + "=",
        "lastModified": f"{stage.now:%Y-%m-%dT%H:%M:%S}.000+0000",
        "version": "$LATEST",
        "revisionId": stage.ids.uuid(),
        "state": "Pending",
        "architectures": ["x86_64"],
    }
