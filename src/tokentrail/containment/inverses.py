"""
What undoes the calls of a step: the one table for the planner, which plans it, and for the guard, which looks for it.

Sources: the API References of IAM, AWS Organizations, Amazon EC2 and AWS Lambda, the page of each call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from tokentrail.containment.model import Call


@dataclass(frozen=True, slots=True)
class Inverse:
    """What undoes a call."""

    names: tuple[str, ...]
    """The parameters that name the resource, as AWS's API spells them."""
    operation: str | None = None
    """The call with which a plan undoes it; `None` if no call does, or only one that nobody knows beforehand."""
    undone_by: tuple[str, ...] = ()
    """The calls of anybody that undo it, as far as the guard of a plan looks for them."""
    keeps: tuple[str, ...] = ()
    """The parameters that the undoing call shares with it."""
    sets: Mapping[str, str] = field(default_factory=dict)
    """The other parameters of the undoing call."""


def _inverse(
    names: str, operation: str | None = None, undone_by: str = "", keeps: str = "", **sets: str
) -> Inverse:
    """A row; lists of names are texts with spaces between them."""
    shared = tuple((keeps or names).split())
    return Inverse(tuple(names.split()), operation, tuple(undone_by.split()), shared, sets)


INVERSES: Final[Mapping[str, Inverse]] = {
    "PutRolePolicy": _inverse("RoleName PolicyName", "DeleteRolePolicy", "DeleteRolePolicy PutRolePolicy"),
    "PutUserPolicy": _inverse("UserName PolicyName", "DeleteUserPolicy", "DeleteUserPolicy PutUserPolicy"),
    "AttachRolePolicy": _inverse("RoleName PolicyArn", "DetachRolePolicy", "DetachRolePolicy"),
    "AttachUserPolicy": _inverse("UserName PolicyArn", "DetachUserPolicy", "DetachUserPolicy"),
    "DetachRolePolicy": _inverse("RoleName PolicyArn", "AttachRolePolicy", "AttachRolePolicy"),
    "DetachUserPolicy": _inverse("UserName PolicyArn", "AttachUserPolicy", "AttachUserPolicy"),
    "UpdateAccessKey": _inverse(
        "AccessKeyId", "UpdateAccessKey", "UpdateAccessKey", "UserName AccessKeyId", Status="Active"
    ),
    "UpdateServiceSpecificCredential": _inverse(
        "ServiceSpecificCredentialId", "UpdateServiceSpecificCredential", "UpdateServiceSpecificCredential",
        "UserName ServiceSpecificCredentialId", Status="Active",
    ),
    "DeleteAccessKey": _inverse("UserName", undone_by="CreateAccessKey"),
    "DeleteLoginProfile": _inverse("UserName", undone_by="CreateLoginProfile"),
    "DeleteUser": _inverse("UserName", undone_by="CreateUser"),
    "UpdateAssumeRolePolicy": _inverse("RoleName", undone_by="UpdateAssumeRolePolicy"),
    "AttachPolicy": _inverse("PolicyId TargetId", "DetachPolicy", "DetachPolicy"),
    "StopInstances": _inverse("InstanceIds", "StartInstances"),
    "PutFunctionConcurrency": _inverse("FunctionName", "DeleteFunctionConcurrency"),
}  # fmt: skip
"""By the call of a step."""
_CREATES = "CreatePolicy"
_POLICY = ("PolicyArn", "PolicyId")
"""The parameter that names a policy, in the call that attaches it and in the one that deletes it."""


def undoing(calls: Iterable[Call]) -> tuple[Call, ...]:
    """
    The calls that undo some calls, in their order; a policy that was made is deleted once it is detached everywhere.

    Of a policy that calls create, the calls that attach it come next.
    """
    return tuple(_undoing(calls))


def _undoing(calls: Iterable[Call]) -> Iterator[Call]:
    created, deleting = False, None
    for call in calls:
        attaches = call.operation.startswith("Attach")
        if deleting and not attaches:
            yield deleting
            deleting = None
        if attaches and created:
            named = {name: call.parameters[name] for name in _POLICY if name in call.parameters}
            deleting = replace(call, operation="DeletePolicy", parameters=named)
        created = call.operation == _CREATES or (attaches and created)
        row = INVERSES.get(call.operation)
        if row is not None and row.operation is not None:
            kept = {name: value for name, value in call.parameters.items() if name in row.keeps}
            yield replace(call, operation=row.operation, parameters={**kept, **row.sets})
    if deleting:
        yield deleting
