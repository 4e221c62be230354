"""
The calls that undo or evade containment, each with the resources that it acts on.

Which calls those are is said in `aws.calls`; here they are permissions. Source: Service Authorization Reference,
'Actions, resources, and condition keys for AWS Identity and Access Management', '... for AWS Organizations'.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tokentrail.aws.calls import access_grants, role_passing
from tokentrail.aws.calls.permissions import prefix_of

LAUNCHES = "launches"
"""Stands for iam:PassRole together with a call that starts something under the role passed."""
LEAVES = "LeaveOrganization"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A call, and the type of resource that its permission is about."""

    service: str
    name: str
    resources: str | None
    """Such as `user/*`, in the caller's account; `None` if there are several types."""

    @property
    def action(self) -> str:
        """As policies name it."""
        return f"{self.service}:{self.name}"

    def resource(self, partition: str, account: str) -> str | None:
        """The ARNs that it may act on, as a pattern."""
        return (
            None if self.resources is None else f"arn:{partition}:{self.service}::{account}:{self.resources}"
        )


def _of_services(table: Mapping[str, str]) -> tuple[Write, ...]:
    """The calls of a table by service."""
    return tuple(
        Write(service=service, name=name, resources=None)
        for service, names in table.items()
        for name in names.split()
    )


IAM = tuple(
    Write(service="iam", name=name, resources=resources)
    for resources, names in access_grants.EMPOWERS.items()
    for name in names.split()
)
ORGANIZATIONS = _of_services({"organizations": access_grants.FREES})
PASSING = (Write(service="iam", name="PassRole", resources="role/*"),)
_MAKES = ("Create", "Register", "Request", "Run", "Schedule")
"""How calls begin that make a workload, and need to pass a role to it. Others act on one that has a role already."""


_LIMITED = frozenset({"grants_location", "transfer_user"})
"""Kinds of doors whose sessions reach some data alone, and never IAM (Amazon S3 API Reference, 'GetDataAccess')."""


def _in_catalogue(tables: tuple[role_passing.Row, ...], *, making: bool) -> tuple[Write, ...]:
    """The calls of some tables of the catalogue, without those that make a workload, or with them."""
    found = {
        Write(service=prefix_of(service), name=name, resources=None)
        for kind, service, names, _ in tables
        if kind not in _LIMITED
        for name in names.split()
        if making or not name.startswith(_MAKES)
    }
    return tuple(sorted(found, key=lambda one: (one.service, one.name)))


LAUNCHING = (
    *_in_catalogue((*role_passing.RUNS, *role_passing.DOORS), making=True),
    *_of_services(role_passing.PASSES_BESIDES),
)
"""Calls that start something with a role that they pass."""
TAKING_OVER = (
    *_in_catalogue(role_passing.RUNS, making=False),
    *_in_catalogue(role_passing.ENTERED, making=True),
    *_of_services(role_passing.ENTERS_BESIDES),
)
"""
Calls that give access to the credentials of a workload that already runs with a role.

A layer runs before a function's own code, so that who changes a function's configuration runs code, too. Source: the
API References of the services, the page of each call.
"""
