"""
The AWS operations that may be carried out, and what each makes of the thing that it acts on.

A plan that holds any other is refused: a plan file is no way to call whatever one likes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal, cast

from tokentrail.containment.iam_things import (
    AccessKey,
    AttachedPolicy,
    InlinePolicy,
    ManagedPolicy,
    Membership,
    SignIn,
    Trust,
    User,
)
from tokentrail.containment.model import Call
from tokentrail.containment.other_things import (
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
from tokentrail.containment.owner import Owner
from tokentrail.containment.thing import Change, State
from tokentrail.errors import UsageError

LAST = frozenset({"DeleteUser", "DeletePolicy"})
"""Operations that only work once the others of the step on the same thing are done."""
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_REFERENCE = re.compile(r"\$\{step\.call\[(\d+)\]((?:\.[A-Za-z][A-Za-z0-9]*)+)\}")


def change(call: Call) -> Change:
    """
    What a call does.

    Raises:
        UsageError: it is none that containment needs, or it lacks a parameter.
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
    """Whether a call is one that containment carries out."""
    return (call.service, call.operation) in _BUILDERS


def references(call: Call) -> set[int]:
    """The calls of the same step, by place, whose answers a call refers to."""
    return {
        int(found[1])
        for value in call.parameters.values()
        if isinstance(value, str) and (found := _REFERENCE.fullmatch(value))
    }


def resolved(call: Call, answers: Mapping[int, Mapping[str, Any]]) -> Call:
    """
    Put the answers of earlier calls in the place of references to them.

    A parameter that is `${step.call[0].Policy.PolicySummary.Id}`, and nothing else, is that member of what the
    first call of the step answered.

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


def _update_key(call: Call) -> Change:
    p = call.parameters
    thing = AccessKey(account=call.account, user=p["UserName"], access_key_id=p["AccessKeyId"])
    return Change(call=call, thing=thing, wanted={"status": p["Status"]})


def _delete_key(call: Call) -> Change:
    p = call.parameters
    thing = AccessKey(account=call.account, user=p["UserName"], access_key_id=p["AccessKeyId"])
    return Change(call=call, thing=thing, wanted={"status": None})


def _inline(owner: Owner, *, written: bool) -> Callable[[Call], Change]:
    def build(call: Call) -> Change:
        p = call.parameters
        thing = InlinePolicy(
            account=call.account, owner=owner, owner_name=p[f"{owner}Name"], policy=p["PolicyName"]
        )
        return Change(call=call, thing=thing, wanted={"document": p["PolicyDocument"] if written else None})

    return build


def _attached(owner: Owner, *, attached: bool) -> Callable[[Call], Change]:
    def build(call: Call) -> Change:
        p = call.parameters
        thing = AttachedPolicy(
            account=call.account, owner=owner, owner_name=p[f"{owner}Name"], policy_arn=p["PolicyArn"]
        )
        return Change(call=call, thing=thing, wanted={"attached": attached})

    return build


def _create_policy(call: Call) -> Change:
    p = call.parameters
    document = p["PolicyDocument"]
    thing = ManagedPolicy(account=call.account, policy=p["PolicyName"], path=p.get("Path", "/"))

    def sending(state: State, ours: bool) -> tuple[Call, ...]:
        there = ours or _alike(state["document"], document)
        return thing.rewriting(state, document) if there and state["document"] is not None else (call,)

    return Change(
        call=call, thing=thing, wanted={"document": document}, sending=sending,
        answer=lambda state: {"Policy": {"Arn": state["arn"]}},
    )  # fmt: skip


def _alike(there: str | None, document: str) -> bool:
    """Whether a policy of the same name differs in its moments alone, as one does that the same plan made before."""
    return there is not None and _MOMENT.sub("", there) == _MOMENT.sub("", document)


def _delete_policy(call: Call) -> Change:
    thing = ManagedPolicy(account=call.account, policy=call.parameters["PolicyArn"])
    return Change(
        call=call, thing=thing, wanted={"document": None}, sending=lambda state, _: thing.deleting(state)
    )


def _trust(call: Call) -> Change:
    thing = Trust(account=call.account, role=call.parameters["RoleName"])
    return Change(call=call, thing=thing, wanted={"document": call.parameters["PolicyDocument"]})


def _leave_group(call: Call) -> Change:
    p = call.parameters
    thing = Membership(account=call.account, user=p["UserName"], group=p["GroupName"])
    return Change(call=call, thing=thing, wanted={"member": False})


def _sign_in(what: Any, parameter: str | None) -> Callable[[Call], Change]:
    def build(call: Call) -> Change:
        p = call.parameters
        thing = SignIn(
            account=call.account, user=p["UserName"], what=what, id=p[parameter] if parameter else ""
        )
        return Change(call=call, thing=thing, wanted={"exists": False})

    return build


def _provider(kind: Literal["OpenIDConnect", "SAML"]) -> Callable[[Call], Change]:
    def build(call: Call) -> Change:
        arn = call.parameters[f"{kind}ProviderArn"]
        return Change(
            call=call, thing=Provider(account=call.account, arn=arn, kind=kind), wanted={"exists": False}
        )

    return build


def _delete_user(call: Call) -> Change:
    thing = User(account=call.account, user=call.parameters["UserName"])
    return Change(
        call=call, thing=thing, wanted={"exists": False},
        sending=lambda state, _: thing.deleting(state, call),
    )  # fmt: skip


def _create_scp(call: Call) -> Change:
    p = call.parameters
    thing = OrganizationPolicy(account=call.account, policy=p["Name"], by_id=False, type=p.get("Type", SCP))

    def sending(state: State, ours: bool) -> tuple[Call, ...]:
        if state["document"] is None or not (ours or _alike(state["document"], p["Content"])):
            return (call,)
        parameters = {"PolicyId": state["id"], "Content": p["Content"]}
        return (replace(call, operation="UpdatePolicy", parameters=parameters),)

    return Change(
        call=call, thing=thing, wanted={"document": p["Content"]}, sending=sending,
        answer=lambda state: {"Policy": {"PolicySummary": {"Id": state["id"], "Arn": state["arn"]}}},
    )  # fmt: skip


def _scp(call: Call) -> Change:
    p = call.parameters
    thing = OrganizationPolicy(account=call.account, policy=p["PolicyId"], by_id=True)
    return Change(call=call, thing=thing, wanted={"document": p.get("Content")})


def _scp_attachment(*, attached: bool) -> Callable[[Call], Change]:
    def build(call: Call) -> Change:
        p = call.parameters
        thing = OrganizationAttachment(account=call.account, policy_id=p["PolicyId"], target=p["TargetId"])
        return Change(call=call, thing=thing, wanted={"attached": attached})

    return build


def _disassociate(call: Call) -> Change:
    thing = ProfileAssociation(account=call.account, association_id=call.parameters["AssociationId"])
    return Change(call=call, thing=thing, wanted={"associated": False})


def _stop(call: Call) -> Change:
    ids = cast(Sequence[str], call.parameters["InstanceIds"])
    return Change(
        call=call, thing=Instances(account=call.account, ids=tuple(sorted(ids))), wanted={"running": []}
    )


def _reserve(call: Call) -> Change:
    p = call.parameters
    return Change(
        call=call, thing=FunctionConcurrency(account=call.account, function=p["FunctionName"]),
        wanted={"reserved": p["ReservedConcurrentExecutions"]}, settled=lambda state: not state["exists"],
    )  # fmt: skip


def _stop_task(call: Call) -> Change:
    p = call.parameters
    thing = Task(account=call.account, cluster=p["cluster"], id=p["task"])
    return Change(call=call, thing=thing, wanted={"running": False}, keeps=False)


def _stop_build(call: Call) -> Change:
    thing = Build(account=call.account, id=call.parameters["id"])
    return Change(call=call, thing=thing, wanted={"running": False}, keeps=False)


def _shut_anywhere(kind: Literal["TrustAnchor", "Profile"], parameter: str) -> Callable[[Call], Change]:
    def build(call: Call) -> Change:
        thing = RolesAnywhere(account=call.account, kind=kind, id=call.parameters[parameter])
        return Change(
            call=call, thing=thing, wanted={"enabled": False}, settled=lambda state: not state["enabled"]
        )

    return build


def _revoke_sign_in(call: Call) -> Change:
    arns = cast(Sequence[str], call.parameters["sessionArns"])
    return Change(
        call=call, thing=SignInSessions(account=call.account, arns=tuple(sorted(arns))), wanted={"active": []}
    )


_BUILDERS: dict[tuple[str, str], Callable[[Call], Change]] = {
    ("iam", "UpdateAccessKey"): _update_key,
    ("iam", "DeleteAccessKey"): _delete_key,
    ("iam", "PutUserPolicy"): _inline("User", written=True),
    ("iam", "PutRolePolicy"): _inline("Role", written=True),
    ("iam", "DeleteUserPolicy"): _inline("User", written=False),
    ("iam", "DeleteRolePolicy"): _inline("Role", written=False),
    ("iam", "AttachUserPolicy"): _attached("User", attached=True),
    ("iam", "AttachRolePolicy"): _attached("Role", attached=True),
    ("iam", "DetachUserPolicy"): _attached("User", attached=False),
    ("iam", "DetachRolePolicy"): _attached("Role", attached=False),
    ("iam", "CreatePolicy"): _create_policy,
    ("iam", "DeletePolicy"): _delete_policy,
    ("iam", "UpdateAssumeRolePolicy"): _trust,
    ("iam", "RemoveUserFromGroup"): _leave_group,
    ("iam", "DeleteLoginProfile"): _sign_in("password", None),
    ("iam", "DeactivateMFADevice"): _sign_in("MFA device", "SerialNumber"),
    ("iam", "DeleteSSHPublicKey"): _sign_in("SSH key", "SSHPublicKeyId"),
    ("iam", "DeleteSigningCertificate"): _sign_in("signing certificate", "CertificateId"),
    ("iam", "DeleteServiceSpecificCredential"): _sign_in("service credential", "ServiceSpecificCredentialId"),
    ("iam", "DeleteOpenIDConnectProvider"): _provider("OpenIDConnect"),
    ("iam", "DeleteSAMLProvider"): _provider("SAML"),
    ("iam", "DeleteUser"): _delete_user,
    ("organizations", "CreatePolicy"): _create_scp,
    ("organizations", "UpdatePolicy"): _scp,
    ("organizations", "DeletePolicy"): _scp,
    ("organizations", "AttachPolicy"): _scp_attachment(attached=True),
    ("organizations", "DetachPolicy"): _scp_attachment(attached=False),
    ("ec2", "DisassociateIamInstanceProfile"): _disassociate,
    ("ec2", "StopInstances"): _stop,
    ("lambda", "PutFunctionConcurrency"): _reserve,
    ("ecs", "StopTask"): _stop_task,
    ("codebuild", "StopBuild"): _stop_build,
    ("rolesanywhere", "DisableTrustAnchor"): _shut_anywhere("TrustAnchor", "trustAnchorId"),
    ("rolesanywhere", "DisableProfile"): _shut_anywhere("Profile", "profileId"),
    ("signin", "BatchRevokeSessions"): _revoke_sign_in,
}
