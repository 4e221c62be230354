"""Recognise calls that take back a step of a plan: those that lift, or rewrite, what it did to a thing. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tokentrail.containment.history import History
from tokentrail.containment.model import Call, Plan

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_STEPS = {
    "PutRolePolicy": ("RoleName PolicyName", "DeleteRolePolicy PutRolePolicy"),
    "PutUserPolicy": ("UserName PolicyName", "DeleteUserPolicy PutUserPolicy"),
    "AttachRolePolicy": ("RoleName PolicyArn", "DetachRolePolicy"),
    "AttachUserPolicy": ("UserName PolicyArn", "DetachUserPolicy"),
    "DetachRolePolicy": ("RoleName PolicyArn", "AttachRolePolicy"),
    "DetachUserPolicy": ("UserName PolicyArn", "AttachUserPolicy"),
    "CreatePolicyVersion": ("PolicyArn", "CreatePolicyVersion SetDefaultPolicyVersion DeletePolicy"),
    "PutRolePermissionsBoundary": ("RoleName", "DeleteRolePermissionsBoundary PutRolePermissionsBoundary"),
    "PutUserPermissionsBoundary": ("UserName", "DeleteUserPermissionsBoundary PutUserPermissionsBoundary"),
    "UpdateAccessKey": ("AccessKeyId", "UpdateAccessKey"),
    "DeleteAccessKey": ("UserName", "CreateAccessKey"),
    "DeleteLoginProfile": ("UserName", "CreateLoginProfile"),
    "DeleteUser": ("UserName", "CreateUser"),
    "UpdateAssumeRolePolicy": ("RoleName", "UpdateAssumeRolePolicy"),
    "AttachPolicy": ("PolicyId TargetId", "DetachPolicy"),
}
"""
By the call of a step: the parameters that name the thing, as AWS's API spells them, and the calls that take it back.

Both are texts of names with spaces between them.
"""
_OPENED_BY = {
    "AttachRolePolicy": ("policyArn", ("CreatePolicyVersion", "SetDefaultPolicyVersion")),
    "AttachUserPolicy": ("policyArn", ("CreatePolicyVersion", "SetDefaultPolicyVersion")),
    "AttachPolicy": ("policyId", ("UpdatePolicy",)),
}
"""By the call of a step: the parameter with the attached policy, in CloudTrail's spelling, and calls that alter it."""
REWRITES = frozenset({"CreatePolicyVersion", "UpdatePolicy"})
"""The calls with which a run of ours writes a policy that was there before."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Something that a step did, and that is in force until somebody takes it back."""

    step: int
    account: str
    operation: str
    """The call that did it."""
    thing: tuple[tuple[str, str], ...]
    """What it was done to: names of parameters, as CloudTrail spells them, and their values."""
    document: Any
    """The policy that it wrote, if it wrote one."""

    @property
    def what(self) -> str:
        """What it was done to, in words."""
        return " ".join(value for _, value in self.thing)


def standing(plan: Plan, told: History) -> tuple[Standing, ...]:
    """
    What the steps of a plan do, as far as a call can take it back.

    Args:
        plan: The plan.
        told: What its journal says: among others the ids of policies that did not exist when the plan was made.
    """
    return tuple(dict.fromkeys(_all(plan, told)))


def _all(plan: Plan, told: History) -> Iterator[Standing]:
    for step in plan.steps:
        for call in step.calls:
            yield from _of(step.n, call)
    for record in told.things.values():
        for n in sorted(record.steps):
            yield from _of(n, record.call)


def _of(step: int, call: Call) -> Iterator[Standing]:
    names = _STEPS[call.operation][0].split() if call.operation in _STEPS else ()
    if names and all(isinstance(call.parameters.get(name), str) for name in names):
        yield Standing(
            step=step,
            account=call.account,
            operation=call.operation,
            thing=tuple((_logged(name), call.parameters[name]) for name in names),
            document=call.parameters.get("PolicyDocument"),
        )


def taken_back(things: Sequence[Standing], change: Mapping[str, Any]) -> Standing | None:
    """
    What a successful call takes back, if anything; of several things the last one.

    Args:
        things: What steps did.
        change: A row of `changed`.
    """
    asked = _document(change["request"])
    asked = asked if isinstance(asked, dict) else {}
    about = [
        one
        for one in things
        if change["name"] in _STEPS[one.operation][1].split()
        and _in_one_account(one, change)
        and all(str(asked.get(name, "")).casefold() == value.casefold() for name, value in one.thing)
    ]
    if change["name"] == "UpdateAccessKey":
        about = about if asked.get("status") == "Active" else []
    elif any(
        change["name"] == one.operation and _as_strong(change["document"], one.document) for one in about
    ):
        return None
    about = about or [one for one in things if _opens(one, change, asked) or _sets_free(one, change, asked)]
    return about[-1] if about else None


def _in_one_account(one: Standing, change: Mapping[str, Any]) -> bool:
    """
    Whether a call may be about the thing, by its account: SCPs are a delegated administrator's, too.

    Source: AWS Organizations User Guide, 'Delegated administrator for AWS Organizations'.
    """
    anywhere = one.operation == "AttachPolicy" or not (one.account and change["in_account"])
    return anywhere or bool(one.account == change["in_account"])


def _opens(one: Standing, change: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Whether a call alters a policy that a step attached."""
    member, calls = _OPENED_BY.get(one.operation, ("", ()))
    if change["name"] not in calls or asked.get(member) != dict(one.thing)[member]:
        return False
    if change["name"] == "CreatePolicyVersion":
        return asked.get("setAsDefault") in (True, "true")
    return change["name"] != "UpdatePolicy" or change["document"] is not None


def _sets_free(one: Standing, change: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    """Whether SCPs no longer bind an account, attached as they are: `policy.organisation` has the sources."""
    if one.operation != "AttachPolicy":
        return False
    if change["name"] == "LeaveOrganization":
        return bool(change["in_account"] == dict(one.thing)["targetId"])
    if change["name"] == "RemoveAccountFromOrganization":
        return asked.get("accountId") == dict(one.thing)["targetId"]
    return change["name"] == "DisablePolicyType" and asked.get("policyType") == "SERVICE_CONTROL_POLICY"


def _as_strong(document: Any, ours: Any) -> bool:
    """Whether a policy is the one that we wrote, with cutoffs at the same time or later."""
    if not isinstance(document, str) or not isinstance(ours, str):
        return False
    if _without_moments(document) != _without_moments(ours):
        return False
    pairs = zip(_MOMENT.findall(_canonical(document)), _MOMENT.findall(_canonical(ours)), strict=False)
    return all(theirs >= own for theirs, own in pairs)


def _without_moments(document: str) -> str:
    return _MOMENT.sub("T", _canonical(document))


def _canonical(document: str) -> str:
    return json.dumps(_document(document), sort_keys=True)


def _logged(name: str) -> str:
    """A parameter as CloudTrail spells it."""
    return name[0].lower() + name[1:]


def _document(text: Any) -> Any:
    try:
        return json.loads(text) if isinstance(text, str) else None
    except (ValueError, RecursionError):
        return None
