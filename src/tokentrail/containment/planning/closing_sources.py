"""
How each kind of source is closed, so that it hands out no more credentials: by calls, or by a person who is told how.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import replace

from tokentrail.aws.calls.workload_kinds import STOPPED_BY_DELETION, WORKLOADS, Workload
from tokentrail.containment.catalogue import CATALOGUE
from tokentrail.containment.incident.closing_calls import closing_call, region_of
from tokentrail.containment.incident.incident_model import EntryPoint, EntryPointKind, IncidentModel
from tokentrail.containment.incident.reversal_index import trusted
from tokentrail.containment.incident.workloads import RUN_BY
from tokentrail.containment.inverses import undoing
from tokentrail.containment.model import Action, Call, iam
from tokentrail.containment.planned_step import PlannedStep

_FOR_GOOD = frozenset({"StopTask", "StopBuild"})
"""
Calls after which a host never runs again: whoever starts one starts another host.

Sources: Amazon ECS API Reference, 'StopTask'; AWS CodeBuild API Reference, 'StopBuild'.
"""
_FOUND = frozenset({"instance", "instance_profile", "task"})
"""Kinds of hosts of the owner's that may be the attacker's source without having been changed."""


def close_source(incident: IncidentModel, source: EntryPoint) -> PlannedStep:
    """The move that closes a source."""
    if source.kind == "key":
        return _unused_key(incident, source)
    action, by_hand = _CLOSING[source.kind]
    call = closing_call(source)
    return _closing(action, incident, source, (call,) if call else (), "" if call else by_hand(source))


def centrally(account: str, command: str) -> str:
    """
    How the organisation deletes what a member account's root user has, even if nobody can sign in as that user.

    Sources: IAM User Guide, 'Perform a privileged task on an AWS Organizations member account'; AWS STS API Reference,
    'AssumeRoot'; IAM API Reference, 'DeleteLoginProfile' (without a name, in such a session).
    """
    return (
        "Where you can't, as the attacker may have changed the address of its mail or the second factor: of a member "
        "account whose root access is managed centrally, the management account or IAM's delegated administrator takes "
        f"up a session (`aws sts assume-root --target-principal={shlex.quote(account)} --task-policy-arn "
        "arn=arn:aws:iam::aws:policy/root-task/IAMDeleteRootUserCredentials`, at a regional endpoint), and in that "
        f"`aws iam {command}`. Nobody else can. "
    )


def _password(source: EntryPoint) -> str:
    """For root; another password is deleted by a call."""
    how = centrally(
        source.account, "delete-login-profile` and `aws iam deactivate-mfa-device --serial-number=…"
    )
    return f"Sign in as root, change the password and the MFA device. {how}"


def _trust(source: EntryPoint) -> str:
    named = ", ".join(sorted(trusted(source.before.get("now"))))
    now = f" Since the attacker changed it, it names {named}." if named else ""
    return (
        f"What the trust policy of {source.id} said before is not in the evidence: put it back by hand, from your "
        f"templates or AWS Config.{now} "
    )


def _portal(source: EntryPoint) -> str:
    """The steps are in AWS's order (IAM Identity Center User Guide, 'Revoke active IAM role sessions …')."""
    who = source.id if source.person in (None, source.id) else f"{source.id} ({source.person})"
    return (
        "In IAM Identity Center, which is in the organisation's management account or its delegated administrator's, "
        f"remove the assignments of {who}, shut it out at the identity provider where there is one, delete its "
        "active sessions, and only then disable the user. "
    )


def _sign_in(source: EntryPoint) -> str:
    return (
        f"List the sign-in sessions of {source.mints.name} (`aws signin list-sessions`) and revoke them: which one "
        "refreshes these credentials is not in the evidence. "
    )


def _unused_key(incident: IncidentModel, source: EntryPoint) -> PlannedStep:
    """
    End a key that was never seen in use, or have a person end a credential of a user that no call of ours does.

    A key that the attacker made is deactivated for good, or deleted if that was asked for.
    """
    key_id, user = source.before.get("id"), source.mints.name
    action: Action = "delete-created-key" if source.made and incident.delete_created else "deactivate-key"
    if not key_id or source.mints.kind != "user" or not user:
        return _closing(
            action, incident, source, (), f"{source.why}: find it, and delete it or put it back. "
        )
    named = {"UserName": user, "AccessKeyId": key_id}
    if action == "delete-created-key":
        return _closing(action, incident, source, (iam(source.account, "DeleteAccessKey", **named),), "")
    off = _closing(
        action,
        incident,
        source,
        (iam(source.account, "UpdateAccessKey", **named, Status="Inactive"),),
        "",
    )
    if source.made:
        return replace(off, made=(key_id,), undo=())
    return off


def _provider(source: EntryPoint) -> str:
    if source.what == "certificate":
        where = f" --region {region_of(source) or '…'}"
        return (
            f"Revoke the certificate {source.id} of IAM Roles Anywhere, or its holder gets the next session: put its "
            f"serial number on the list of its authority (`aws rolesanywhere import-crl{where} --enabled --name … "
            f"--crl-data … --trust-anchor-arn …`), or disable the profile (`aws rolesanywhere disable-profile{where} "
            f"--profile-id …`) or the trust anchor (`aws rolesanywhere disable-trust-anchor{where} --trust-anchor-id "
            "…`), for all who come in by it. The log of its CreateSession names both (`aws cloudtrail lookup-events"
            f"{where} --lookup-attributes AttributeKey=EventName,AttributeValue=CreateSession`). "
        )
    workload = WORKLOADS.get(source.what or "")
    if workload is not None:
        stop = _stop(workload, source)
        if not source.made:
            return _changed(workload, source, "hands out")
        return (
            f"Shut the {workload.called} {source.id} before its role is cut, or it hands out the next "
            f"session: {stop}. "
        )
    place = f" in {region}" if (region := region_of(source)) else ""
    by_hand = f"Look at {source.id}{place} and put back what it was, or delete it: {source.why}. "
    if not source.made:
        return by_hand
    if ":rolesanywhere:" not in source.id:
        return f"Find what the attacker made{place}, and delete or disable it: {source.why}. "
    what = source.id.rpartition(":")[2].partition("/")[0].replace("-", " ")
    return f"Disable the {what} {source.id} of IAM Roles Anywhere, in its region. "


def _host(source: EntryPoint) -> str:
    """
    How a person stops a host that no call of ours stops.

    Open connections outlast a change of security groups, and an Auto Scaling group replaces a stopped instance (Amazon
    EC2 User Guide, 'Amazon EC2 security group connection tracking'; Amazon EC2 Auto Scaling User Guide, 'Health checks
    for instances in an Auto Scaling group').
    """
    name, region = shlex.quote(source.id), region_of(source)
    where = (
        f" --region {region or '…'}"  # without one, the name may mean another's in the region of the caller
    )
    stopping = f"`aws ec2 stop-instances{where} --instance-ids={name}`"
    stopped = f"{stopping}; an Auto Scaling group starts another, as open as it was"
    if source.id.startswith("i-") and source.mints.is_host:
        return (
            f"Stop {source.id} ({stopped}): as long as it runs it is given more sessions of its own role, whatever "
            "instance profile it has. A security group without rules alone leaves shells open that are open. "
        )
    if source.id.startswith("i-"):
        return (
            f"Shut the thief out of {source.id} before its role is cut, or the host hands over the next session: take "
            f"its role away (`aws ec2 describe-iam-instance-profile-associations{where} --filters Name=instance-id,"
            f"Values={name}` tells what `aws ec2 disassociate-iam-instance-profile{where} --association-id …` asks "
            f"for), or stop it ({stopped}). A security group without rules alone leaves shells open that are open. "
        )
    workload = WORKLOADS.get(source.what or "")
    if workload is not None:
        stop = _stop(workload, source)
        if not source.made and source.what not in _FOUND:
            return _changed(workload, source, "is handed")
        return (
            f"Stop the {workload.called} {source.id} before its role is cut, or it is handed the next "
            f"session: {stop}. "
        )
    stop = RUN_BY.get(source.service or "", RUN_BY["*"]).format(name=name, where=where)
    by = f", to which {source.service} gave its role," if source.service else ""
    return f"Stop {source.id}{by} before its role is cut, or it is handed the next session: {stop}. "


def _changed(workload: Workload, source: EntryPoint, else_it: str) -> str:
    """Have the owner's thing put back as it was before the attacker changed it; no command that deletes it is named."""
    stop = _stop(workload, source)
    how = "" if source.what in STOPPED_BY_DELETION else f" ({stop})"
    return (
        f"Put the {workload.called} {source.id} back to what it was before the attacker changed it, or stop it{how}, "
        f"and stop what runs of it, before its role is cut, or it {else_it} the next session. "
    )


def _stop(workload: Workload, source: EntryPoint) -> str:
    """The command by which a person stops a workload, with what the evidence knows filled in."""
    return workload.stop.format(
        name=shlex.quote(source.id) if source.named else "…",
        region=region_of(source) or "…",
        cluster=shlex.quote(source.cluster) if source.cluster else "…",
    )


def _closing(
    action: Action, incident: IncidentModel, source: EntryPoint, calls: tuple[Call, ...], why: str
) -> PlannedStep:
    target = incident.arn(source.mints) if source.kind in ("password", "trust") else source.id
    portals = incident.sources if source.kind == "portal" else ()  # one and the same for all accounts
    alike = (one.name for one in portals if one.kind == "portal" and one.id == source.id)
    return PlannedStep(
        action=action, targets=(target,), principals=(source.mints,), calls=calls, undo=undoing(calls),
        closes=frozenset({source.name, *alike}),
        reversible=CATALOGUE[action].reversible and _FOR_GOOD.isdisjoint(call.operation for call in calls),
        lingers=source.lingers, why=why,
    )  # fmt: skip


_CLOSING: dict[EntryPointKind, tuple[Action, Callable[[EntryPoint], str]]] = {
    "password": ("remove-login-profile", _password),
    "trust": ("revert-trust", _trust),
    "provider": ("revert-trust", _provider),
    "portal": ("disable-identity-center-user", _portal),
    "sign_in": ("revoke-sign-in-sessions", _sign_in),
    "host": ("isolate-instance", _host),
}
