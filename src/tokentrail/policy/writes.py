"""
The calls that undo or evade containment, each with the resources that it acts on.

Which calls pass a role or reach into a workload is said in `aws.calls`. Of the calls to IAM and AWS Organizations,
here are those that by themselves give somebody credentials or permissions: most people may change their own password.
Source: Service Authorization Reference, 'Actions, resources, and condition keys for AWS Identity and Access
Management', '... for AWS Organizations', '... for AWS Lambda', '... for Amazon EC2'.
"""

from __future__ import annotations

from dataclasses import dataclass

from tokentrail.aws.calls import role_passing
from tokentrail.policy.actions import prefix_of

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


def _iam(resources: str, names: str) -> tuple[Write, ...]:
    return tuple(Write(service="iam", name=name, resources=resources) for name in names.split())


def _any(service: str, names: str) -> tuple[Write, ...]:
    return tuple(Write(service=service, name=name, resources=None) for name in names.split())


IAM = (
    *_iam(
        "user/*",
        "CreateAccessKey UpdateAccessKey CreateLoginProfile UpdateLoginProfile CreateUser PutUserPolicy "
        "DeleteUserPolicy AttachUserPolicy DetachUserPolicy PutUserPermissionsBoundary DeleteUserPermissionsBoundary "
        "CreateServiceSpecificCredential ResetServiceSpecificCredential UploadSigningCertificate UpdateUser",
    ),
    *_iam(
        "role/*",
        "CreateRole UpdateAssumeRolePolicy PutRolePolicy DeleteRolePolicy AttachRolePolicy DetachRolePolicy"
        " PutRolePermissionsBoundary DeleteRolePermissionsBoundary",
    ),
    *_any("iam", "AcquireRole"),
    *_iam("policy/*", "CreatePolicyVersion SetDefaultPolicyVersion"),
    *_iam(
        "group/*",
        "AddUserToGroup RemoveUserFromGroup PutGroupPolicy DeleteGroupPolicy AttachGroupPolicy DetachGroupPolicy",
    ),
    *_iam("oidc-provider/*", "CreateOpenIDConnectProvider AddClientIDToOpenIDConnectProvider"),
    *_iam("saml-provider/*", "CreateSAMLProvider UpdateSAMLProvider"),
)
ORGANIZATIONS = _any(
    "organizations",
    "DetachPolicy UpdatePolicy DeletePolicy DisablePolicyType MoveAccount RemoveAccountFromOrganization"
    " LeaveOrganization",
)
PASSING = _iam("role/*", "PassRole")
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
    *_any("ec2", "AssociateIamInstanceProfile ReplaceIamInstanceProfileAssociation"),
    *_any("autoscaling", "CreateLaunchConfiguration"),
    *_any("iot", "CreateTopicRule"),
    *_any("rolesanywhere", "CreateProfile UpdateProfile"),
)
"""Calls that start something with a role that they pass."""
TAKING_OVER = (
    *_in_catalogue(role_passing.RUNS, making=False),
    *_in_catalogue(role_passing.ENTERED, making=True),
    *_any("cloudshell", "CreateSession"),
)
"""
Calls that give access to the credentials of a workload that already runs with a role.

A layer runs before a function's own code, so that who changes a function's configuration runs code, too. Source: the
API References of the services, the page of each call.
"""
