"""
The AWS operations that may be carried out: which thing each changes, and in which state it leaves that.

A plan with any other operation is refused, so that a plan file can't be used to make arbitrary calls.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from tokentrail.containment.execution.iam_resources import (
    AccessKey,
    ApiKey,
    AttachedPolicy,
    InlinePolicy,
    ManagedPolicy,
    Membership,
    Owner,
    SignIn,
    Trust,
    User,
)
from tokentrail.containment.execution.other_resources import (
    SCP,
    Build,
    FunctionConcurrency,
    Instances,
    OrganizationAttachment,
    OrganizationPolicy,
    ProfileAssociation,
    Provider,
    RolesAnywhere,
    SignInSessions,
    Task,
)
from tokentrail.containment.execution.resource import Resource, ResourceChange, State
from tokentrail.containment.model import Call
from tokentrail.errors import UsageError

LAST = frozenset({"DeleteUser", "DeletePolicy"})
"""Operations that AWS refuses until the step's other calls on the same thing are done."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_REFERENCE = re.compile(r"\$\{step\.call\[(\d+)\]((?:\.[A-Za-z][A-Za-z0-9]*)+)\}")


def change(call: Call) -> ResourceChange:
    """
    The change that a call makes.

    Raises:
        UsageError: containment makes no such call, or the call lacks a parameter.
    """
    build = _BUILDERS.get((call.service, call.operation))
    if build is None:
        raise UsageError(
            f"{call.service}:{call.operation} in account {call.account} is no call that TokenTrail carries out. "
            "Do it by hand, or make the plan anew with `tokentrail contain`."
        )
    try:
        found = build(call)
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(
            f"{call.service}:{call.operation} in account {call.account} lacks or misspells the parameter {error}. "
            "Make the plan anew with `tokentrail contain`."
        ) from error
    return replace(found, thing=replace(found.thing, region=call.region)) if call.region else found


def known(call: Call) -> bool:
    """Whether containment makes such calls."""
    return (call.service, call.operation) in _BUILDERS


def references(call: Call) -> set[int]:
    """The places, from 0, of those calls of the step to whose answers a call refers."""
    return {
        int(found[1])
        for value in call.parameters.values()
        if isinstance(value, str) and (found := _REFERENCE.fullmatch(value))
    }


def resolved(call: Call, answers: Mapping[int, Mapping[str, Any]]) -> Call:
    """
    Replace a call's references to the answers of earlier calls by what they refer to.

    A parameter whose whole value is `${step.call[0].Policy.PolicySummary.Id}` stands for that member of the answer to
    the step's first call.

    Raises:
        UsageError: the answer has no such member.
    """
    return replace(
        call, parameters={name: _filled(value, answers) for name, value in call.parameters.items()}
    )


def _filled(value: Any, answers: Mapping[int, Mapping[str, Any]]) -> Any:
    found = _REFERENCE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return value
    part: Any = answers.get(int(found[1]), {})
    for name in found[2].lstrip(".").split("."):
        part = part.get(name) if isinstance(part, Mapping) else None
    if not isinstance(part, str):
        raise UsageError(
            f"{value}: that call answered nothing of the kind. Look at the journal for its answer."
        )
    return part


def _of(
    kind: Callable[..., Resource], wanted: State | Callable[[Mapping[str, Any]], State], *,
    settled: Callable[[State], bool] | None = None, keeps: bool = True, **named: str,
) -> Callable[[Call], ResourceChange]:  # fmt: skip
    """
    A builder of changes that leave a kind of thing in a wanted state.

    Args:
        kind: Makes the thing.
        wanted: The state, or a function that takes it from the call's parameters.
        settled: See `ThingChange`.
        keeps: See `ThingChange`.
        named: For each member of the thing, the parameter that has it.
    """

    def build(call: Call) -> ResourceChange:
        p = call.parameters
        members = {name: p[parameter] for name, parameter in named.items()}
        thing = kind(account=call.account, **members)
        return ResourceChange(
            call=call, thing=thing, wanted=wanted(p) if callable(wanted) else wanted, settled=settled, keeps=keeps
        )  # fmt: skip

    return build


def _some(kind: Callable[..., Resource], /, **members: Any) -> Callable[..., Resource]:
    """A kind of thing with some members given."""
    return partial(kind, **members)


def _inline(
    owner: Owner, wanted: State | Callable[[Mapping[str, Any]], State]
) -> Callable[[Call], ResourceChange]:
    return _of(_some(InlinePolicy, owner=owner), wanted, owner_name=f"{owner}Name", policy="PolicyName")


def _attached(owner: Owner, *, attached: bool) -> Callable[[Call], ResourceChange]:
    thing = _some(AttachedPolicy, owner=owner)
    return _of(thing, {"attached": attached}, owner_name=f"{owner}Name", policy_arn="PolicyArn")


def _create_policy(call: Call) -> ResourceChange:
    p = call.parameters
    document = p["PolicyDocument"]
    thing = ManagedPolicy(account=call.account, policy=p["PolicyName"], path=p.get("Path", "/"))

    def sending(state: State, ours: bool) -> tuple[Call, ...]:
        there = ours or _alike(state["document"], document)
        return thing.rewriting(state, document) if there and state["document"] is not None else (call,)

    return ResourceChange(
        call=call, thing=thing, wanted={"document": document}, sending=sending,
        answer=lambda state: {"Policy": {"Arn": state["arn"]}},
    )  # fmt: skip


def _alike(there: str | None, document: str) -> bool:
    """Whether a policy of the same name differs only in its times, so that an earlier run of the plan made it."""
    return there is not None and _MOMENT.sub("", there) == _MOMENT.sub("", document)


def _delete_policy(call: Call) -> ResourceChange:
    thing = ManagedPolicy(account=call.account, policy=call.parameters["PolicyArn"])
    return ResourceChange(
        call=call, thing=thing, wanted={"document": None}, sending=lambda state, _: thing.deleting(state)
    )


def _delete_user(call: Call) -> ResourceChange:
    thing = User(account=call.account, user=call.parameters["UserName"])
    return ResourceChange(
        call=call, thing=thing, wanted={"exists": False},
        sending=lambda state, _: thing.deleting(state, call),
    )  # fmt: skip


def _create_scp(call: Call) -> ResourceChange:
    p = call.parameters
    thing = OrganizationPolicy(account=call.account, policy=p["Name"], by_id=False, type=p.get("Type", SCP))

    def sending(state: State, ours: bool) -> tuple[Call, ...]:
        if state["document"] is None or not (ours or _alike(state["document"], p["Content"])):
            return (call,)
        parameters = {"PolicyId": state["id"], "Content": p["Content"]}
        return (replace(call, operation="UpdatePolicy", parameters=parameters),)

    return ResourceChange(
        call=call, thing=thing, wanted={"document": p["Content"]}, sending=sending,
        answer=lambda state: {"Policy": {"PolicySummary": {"Id": state["id"], "Arn": state["arn"]}}},
    )  # fmt: skip


def _instances(account: str, ids: Iterable[str]) -> Instances:
    return Instances(account=account, ids=tuple(sorted(ids)))


def _sessions(account: str, arns: Iterable[str]) -> SignInSessions:
    return SignInSessions(account=account, arns=tuple(sorted(arns)))


def _written(parameters: Mapping[str, Any]) -> State:
    return {"document": parameters["PolicyDocument"]}


_NONE: State = {"document": None}
_NO_MORE: State = {"exists": False}
_BY_ID = _some(OrganizationPolicy, by_id=True)
_BUILDERS: dict[tuple[str, str], Callable[[Call], ResourceChange]] = {
    ("iam", "UpdateAccessKey"): _of(
        AccessKey, lambda p: {"status": p["Status"]}, user="UserName", access_key_id="AccessKeyId"
    ),
    ("iam", "DeleteAccessKey"): _of(AccessKey, {"status": None}, user="UserName", access_key_id="AccessKeyId"),
    ("iam", "UpdateServiceSpecificCredential"): _of(
        ApiKey, lambda p: {"status": p["Status"]}, user="UserName", credential_id="ServiceSpecificCredentialId"
    ),
    ("iam", "PutUserPolicy"): _inline("User", _written),
    ("iam", "PutRolePolicy"): _inline("Role", _written),
    ("iam", "DeleteUserPolicy"): _inline("User", _NONE),
    ("iam", "DeleteRolePolicy"): _inline("Role", _NONE),
    ("iam", "AttachUserPolicy"): _attached("User", attached=True),
    ("iam", "AttachRolePolicy"): _attached("Role", attached=True),
    ("iam", "DetachUserPolicy"): _attached("User", attached=False),
    ("iam", "DetachRolePolicy"): _attached("Role", attached=False),
    ("iam", "CreatePolicy"): _create_policy,
    ("iam", "DeletePolicy"): _delete_policy,
    ("iam", "UpdateAssumeRolePolicy"): _of(Trust, _written, role="RoleName"),
    ("iam", "RemoveUserFromGroup"): _of(Membership, {"member": False}, user="UserName", group="GroupName"),
    ("iam", "DeleteLoginProfile"): _of(_some(SignIn, what="password"), _NO_MORE, user="UserName"),
    **{
        ("iam", operation): _of(_some(SignIn, what=what), _NO_MORE, user="UserName", id=parameter)
        for operation, what, parameter in (
            ("DeactivateMFADevice", "MFA device", "SerialNumber"),
            ("DeleteSSHPublicKey", "SSH key", "SSHPublicKeyId"),
            ("DeleteSigningCertificate", "signing certificate", "CertificateId"),
            ("DeleteServiceSpecificCredential", "service credential", "ServiceSpecificCredentialId"),
        )
    },
    **{
        ("iam", f"Delete{kind}Provider"): _of(_some(Provider, kind=kind), _NO_MORE, arn=f"{kind}ProviderArn")
        for kind in ("OpenIDConnect", "SAML")
    },
    ("iam", "DeleteUser"): _delete_user,
    ("organizations", "CreatePolicy"): _create_scp,
    ("organizations", "UpdatePolicy"): _of(_BY_ID, lambda p: {"document": p.get("Content")}, policy="PolicyId"),
    ("organizations", "DeletePolicy"): _of(_BY_ID, _NONE, policy="PolicyId"),
    **{
        ("organizations", operation): _of(
            OrganizationAttachment, {"attached": attached}, policy_id="PolicyId", target="TargetId"
        )
        for operation, attached in (("AttachPolicy", True), ("DetachPolicy", False))
    },
    ("ec2", "DisassociateIamInstanceProfile"): _of(
        ProfileAssociation, {"associated": False}, association_id="AssociationId"
    ),
    ("ec2", "StopInstances"): _of(_instances, {"running": []}, ids="InstanceIds"),
    ("lambda", "PutFunctionConcurrency"): _of(
        FunctionConcurrency, lambda p: {"reserved": p["ReservedConcurrentExecutions"]},
        settled=lambda state: not state["exists"], function="FunctionName",
    ),
    ("ecs", "StopTask"): _of(Task, {"running": False}, keeps=False, cluster="cluster", id="task"),
    ("codebuild", "StopBuild"): _of(Build, {"running": False}, keeps=False, id="id"),
    **{
        ("rolesanywhere", f"Disable{kind}"): _of(
            _some(RolesAnywhere, kind=kind), {"enabled": False}, settled=lambda state: not state["enabled"],
            id=parameter,
        )
        for kind, parameter in (("TrustAnchor", "trustAnchorId"), ("Profile", "profileId"))
    },
    ("signin", "BatchRevokeSessions"): _of(_sessions, {"active": []}, arns="sessionArns"),
}  # fmt: skip
