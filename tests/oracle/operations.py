"""
The API calls of a plan, and of the log, as they change the state of a simulated AWS.

After the IAM and Organizations API References. A call that AWS would refuse is refused, and one whose effect
is not known here is no less an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from oracle.iam_state import DENY_ALL, QUARANTINES, RESERVED, SERVICE_LINKED, IamState
from tokentrail.testing.names import Json


class Refused(Exception):
    """AWS would answer a call with an error."""


Operation = Callable[[IamState, str, Json, datetime], None]


def do(state: IamState, call: Mapping[str, Any], at: datetime) -> None:
    """
    Make one call, `{"account", "service", "operation", "parameters"}` with names as in the API.

    Raises:
        Refused: AWS would refuse it.
        NotImplementedError: its effect is not known here.
    """
    known = _OPERATIONS.get((call["service"], call["operation"]))
    if known is None:
        raise NotImplementedError(f"{call['service']}:{call['operation']} is not simulated")
    known(state, call["account"], dict(call["parameters"]), at)


def _entity(state: IamState, account: str, kind: str, parameters: Json, at: datetime) -> str:
    name = parameters["UserName" if kind == "user" else "RoleName"]
    arn = state.arn(account, kind, name)
    if arn is None or state.now(("gone", arn), at):
        raise Refused(f"NoSuchEntity: no {kind} {name} in {account}")
    if SERVICE_LINKED in arn or RESERVED in arn:
        raise Refused(f"UnmodifiableEntity: {arn} belongs to AWS")
    return arn


def _key(state: IamState, account: str, parameters: Json, at: datetime) -> str:
    user = _entity(state, account, "user", parameters, at)
    key = str(parameters.get("AccessKeyId") or parameters["ServiceSpecificCredentialId"])
    if state.now(("owner", key), at) != user or state.now(("key", key), at) == "Deleted":
        raise Refused(f"NoSuchEntity: {parameters['UserName']} has no key {key}")
    return key


def _update_access_key(state: IamState, account: str, parameters: Json, at: datetime) -> None:
    state.put(("key", _key(state, account, parameters, at)), parameters["Status"], at)


def _delete_access_key(state: IamState, account: str, parameters: Json, at: datetime) -> None:
    state.put(("key", _key(state, account, parameters, at)), "Deleted", at)


def _inline(kind: str, *, there: bool) -> Operation:
    def operation(state: IamState, account: str, parameters: Json, at: datetime) -> None:
        place = ("inline", _entity(state, account, kind, parameters, at), parameters["PolicyName"])
        if not there and state.now(place, at) is None:
            raise Refused(f"NoSuchEntity: no inline policy {place[2]} on {place[1]}")
        state.put(place, parameters["PolicyDocument"] if there else None, at)

    return operation


def _attachment(kind: str, *, there: bool) -> Operation:
    def operation(state: IamState, account: str, parameters: Json, at: datetime) -> None:
        policy = parameters["PolicyArn"]
        known = policy in (DENY_ALL, *QUARANTINES)
        if not known and state.now(("document", policy), at) is None:
            raise Refused(f"NoSuchEntity: no policy {policy} that is known here")
        state.put(("attached", _entity(state, account, kind, parameters, at), policy), there or None, at)

    return operation


def _create_policy(state: IamState, account: str, parameters: Json, at: datetime) -> None:
    arn = f"arn:aws:iam::{account}:policy{parameters.get('Path', '/')}{parameters['PolicyName']}"
    if state.now(("document", arn), at) is not None:
        raise Refused(f"EntityAlreadyExists: {arn}")
    state.put(("document", arn), parameters["PolicyDocument"], at)


def _create_policy_version(state: IamState, _: str, parameters: Json, at: datetime) -> None:
    if not parameters.get("SetAsDefault"):
        raise NotImplementedError("a policy version that is not the default")
    state.put(("document", parameters["PolicyArn"]), parameters["PolicyDocument"], at)


def _delete_policy(state: IamState, _: str, parameters: Json, at: datetime) -> None:
    policy = parameters["PolicyArn"]
    if any(place[2] == policy and state.now(place, at) for place in state.places("attached")):
        raise Refused(f"DeleteConflict: {policy} is attached")
    state.put(("document", policy), None, at)


def _update_trust(state: IamState, account: str, parameters: Json, at: datetime) -> None:
    role = _entity(state, account, "role", parameters, at)
    state.put(("trust", role), parameters["PolicyDocument"], at)


def _create_login_profile(state: IamState, account: str, parameters: Json, at: datetime) -> None:
    state.put(("password", _entity(state, account, "user", parameters, at)), True, at)


def _delete_login_profile(state: IamState, account: str, parameters: Json, at: datetime) -> None:
    state.put(("password", _entity(state, account, "user", parameters, at)), None, at)


def _delete_user(state: IamState, account: str, parameters: Json, at: datetime) -> None:
    """Delete a user who has nothing left: DeleteUser refuses while keys, a password or policies remain."""
    user = _entity(state, account, "user", parameters, at)
    keys = [place[1] for place in state.places("owner") if state.now(place, at) == user]
    left: list[str] = [key for key in keys if state.now(("key", key), at) != "Deleted"]
    left += [place[2] for place in state.places("inline", user) if state.now(place, at) is not None]
    left += [place[2] for place in state.places("attached", user) if state.now(place, at)]
    if state.now(("password", user), at):
        left.append("login profile")
    if left:
        raise Refused(f"DeleteConflict: {parameters['UserName']} still has {', '.join(left)}")
    state.put(("gone", user), True, at)


def _delete_role(state: IamState, account: str, parameters: Json, at: datetime) -> None:
    role = _entity(state, account, "role", parameters, at)
    left = [place for place in state.places("inline", role) if state.now(place, at) is not None]
    left += [place for place in state.places("attached", role) if state.now(place, at)]
    if left:
        raise Refused(f"DeleteConflict: {parameters['RoleName']} still has {left}")
    state.put(("gone", role), True, at)


def _put_boundary(kind: str) -> Operation:
    def operation(state: IamState, account: str, parameters: Json, at: datetime) -> None:
        policy = parameters["PermissionsBoundary"]
        if policy not in (DENY_ALL, *QUARANTINES) and state.now(("document", policy), at) is None:
            raise Refused(f"NoSuchEntity: no policy {policy} that is known here")
        state.put(("boundary", _entity(state, account, kind, parameters, at)), policy, at)

    return operation


def _delete_boundary(kind: str) -> Operation:
    def operation(state: IamState, account: str, parameters: Json, at: datetime) -> None:
        place = ("boundary", _entity(state, account, kind, parameters, at))
        if state.now(place, at) is None:
            raise Refused(f"NoSuchEntity: no permissions boundary on {place[1]}")
        state.put(place, None, at)

    return operation


def _create_scp(state: IamState, _: str, parameters: Json, at: datetime) -> None:
    if parameters["Type"] != "SERVICE_CONTROL_POLICY":
        raise NotImplementedError(f"a policy of type {parameters['Type']}")
    policy = str(parameters.get("Id", parameters["Name"]))  # the id is in the answer, which plans do not have
    state.put(("document", policy), parameters["Content"], at)
    state.put(("latest-scp",), policy, at)


def _update_scp(state: IamState, _: str, parameters: Json, at: datetime) -> None:
    """Write an SCP anew; without content it is only renamed."""
    if parameters.get("Content") is not None:
        state.put(("document", parameters["PolicyId"]), parameters["Content"], at)


def _delete_scp(state: IamState, _: str, parameters: Json, at: datetime) -> None:
    policy = parameters["PolicyId"]
    if any(place[2] == policy and state.now(place, at) for place in state.places("at-target")):
        raise Refused(f"PolicyInUseException: {policy} is attached")
    state.put(("document", policy), None, at)


def _scp_attachment(*, there: bool) -> Operation:
    def operation(state: IamState, _: str, parameters: Json, at: datetime) -> None:
        """Attach by name, or whatever stands for the id that only CreatePolicy's answer will tell."""
        policy = parameters["PolicyId"]
        if state.now(("document", policy), at) is None:
            policy = state.now(("latest-scp",), at)
        if policy is None:
            raise Refused(f"PolicyNotFoundException: {parameters['PolicyId']}")
        state.put(("at-target", parameters["TargetId"], str(policy)), there or None, at)

    return operation


def _nothing(_: IamState, account: str, parameters: Json, at: datetime) -> None:
    """Change nothing that a credential works by."""


_OPERATIONS: dict[tuple[str, str], Operation] = {
    ("iam", "UpdateAccessKey"): _update_access_key,
    ("iam", "DeleteAccessKey"): _delete_access_key,
    ("iam", "UpdateServiceSpecificCredential"): _update_access_key,
    ("iam", "DeleteServiceSpecificCredential"): _delete_access_key,
    ("iam", "PutUserPolicy"): _inline("user", there=True),
    ("iam", "PutRolePolicy"): _inline("role", there=True),
    ("iam", "DeleteUserPolicy"): _inline("user", there=False),
    ("iam", "DeleteRolePolicy"): _inline("role", there=False),
    ("iam", "AttachUserPolicy"): _attachment("user", there=True),
    ("iam", "AttachRolePolicy"): _attachment("role", there=True),
    ("iam", "DetachUserPolicy"): _attachment("user", there=False),
    ("iam", "DetachRolePolicy"): _attachment("role", there=False),
    ("iam", "CreatePolicy"): _create_policy,
    ("iam", "CreatePolicyVersion"): _create_policy_version,
    ("iam", "DeletePolicy"): _delete_policy,
    ("iam", "UpdateAssumeRolePolicy"): _update_trust,
    ("iam", "CreateLoginProfile"): _create_login_profile,
    ("iam", "UpdateLoginProfile"): _create_login_profile,
    ("iam", "DeleteLoginProfile"): _delete_login_profile,
    ("iam", "DeleteUser"): _delete_user,
    ("iam", "DeleteRole"): _delete_role,
    ("organizations", "CreatePolicy"): _create_scp,
    ("iam", "PutUserPermissionsBoundary"): _put_boundary("user"),
    ("iam", "PutRolePermissionsBoundary"): _put_boundary("role"),
    ("iam", "DeleteUserPermissionsBoundary"): _delete_boundary("user"),
    ("iam", "DeleteRolePermissionsBoundary"): _delete_boundary("role"),
    ("organizations", "UpdatePolicy"): _update_scp,
    ("organizations", "DeletePolicy"): _delete_scp,
    ("organizations", "AttachPolicy"): _scp_attachment(there=True),
    ("organizations", "DetachPolicy"): _scp_attachment(there=False),
    **{
        ("iam", name): _nothing
        for name in (
            "RemoveUserFromGroup", "DeactivateMFADevice", "DeleteVirtualMFADevice", "DeleteSSHPublicKey",
            "DeleteSigningCertificate",
        )
    },
    **{("ec2", name): _nothing for name in ("ModifyInstanceAttribute", "StopInstances", "TerminateInstances")},
    ("lambda", "PutFunctionConcurrency"): _nothing,
    ("ecs", "StopTask"): _nothing,
    ("codebuild", "StopBuild"): _nothing,
    ("rolesanywhere", "DisableTrustAnchor"): _nothing,
    ("rolesanywhere", "DisableProfile"): _nothing,
    ("signin", "BatchRevokeSessions"): _nothing,
}  # fmt: skip
