"""Short ways to write an account's snapshot as `aws iam get-account-authorization-details` prints it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tokentrail.policy.account.reach import Reach
from tokentrail.policy.account.snapshot import Snapshot

HERE, THERE = "111122223333", "444455556666"
Json = dict[str, Any]


def doc(*statements: Mapping[str, Any]) -> Json:
    """A document of the current version."""
    return {"Version": "2012-10-17", "Statement": list(statements)}


def may(action: Any, resource: Any = "*", condition: Mapping[str, Any] | None = None, **more: Any) -> Json:
    """A statement that allows."""
    found = {"Effect": "Allow", "Action": action, "Resource": resource, **more}
    return found | ({"Condition": condition} if condition else {})


def never(action: Any, resource: Any = "*", condition: Mapping[str, Any] | None = None) -> Json:
    """A statement that denies."""
    return may(action, resource, condition, Effect="Deny")


def let(principal: Any, condition: Mapping[str, Any] | None = None, **more: Any) -> Json:
    """A statement of a trust policy; a text is an AWS principal."""
    who = principal if isinstance(principal, dict) or principal == "*" else {"AWS": principal}
    found = {"Effect": "Allow", "Principal": who, "Action": "sts:AssumeRole", **more}
    return found | ({"Condition": condition} if condition else {})


def user_arn(name: str, account: str = HERE) -> str:
    return f"arn:aws:iam::{account}:user/{name}"


def role_arn(name: str, account: str = HERE) -> str:
    return f"arn:aws:iam::{account}:role/{name}"


def root(account: str = HERE) -> str:
    return f"arn:aws:iam::{account}:root"


def _holder(arn: str, *, policies: Sequence[Any], attached: Sequence[str], boundary: str | None) -> Json:
    kind, *path, name = arn.split(":", 5)[5].split("/")
    title = kind.title()
    found: Json = {
        "Path": "/" + "".join(f"{part}/" for part in path),
        f"{title}Name": name,
        f"{title}Id": {"user": "AIDA", "role": "AROA"}[kind] + f"{name.upper():X<17}"[:17],
        "Arn": arn,
        "CreateDate": "2024-03-01T09:00:00+00:00",
        f"{title}PolicyList": [
            {"PolicyName": f"P{number}", "PolicyDocument": document}
            for number, document in enumerate(policies)
        ],
        "AttachedManagedPolicies": [
            {"PolicyName": one.rpartition("/")[2], "PolicyArn": one} for one in attached
        ],
        "Tags": [],
    }
    if boundary:
        found["PermissionsBoundary"] = {
            "PermissionsBoundaryType": "Policy", "PermissionsBoundaryArn": boundary
        }  # fmt: skip
    return found


def user(
    name: str, *policies: Any, attached: Sequence[str] = (), groups: Sequence[str] = (),
    boundary: str | None = None, account: str = HERE,
) -> Json:  # fmt: skip
    """An entry of UserDetailList; `name` may have a path before it."""
    arn = user_arn(name, account)
    return {
        **_holder(arn, policies=policies, attached=attached, boundary=boundary), "GroupList": list(groups)
    }  # fmt: skip


def role(
    name: str, trust: Any, *policies: Any, attached: Sequence[str] = (), boundary: str | None = None,
    account: str = HERE,
) -> Json:  # fmt: skip
    """An entry of RoleDetailList; `name` may have a path before it."""
    arn = role_arn(name, account)
    return {
        **_holder(arn, policies=policies, attached=attached, boundary=boundary),
        "AssumeRolePolicyDocument": trust, "InstanceProfileList": [],
        "RoleLastUsed": {"LastUsedDate": "2026-11-20T08:00:00+00:00", "Region": "eu-central-1"},
    }  # fmt: skip


def group(name: str, *policies: Any, attached: Sequence[str] = (), account: str = HERE) -> Json:
    """An entry of GroupDetailList."""
    return {
        "Path": "/", "GroupName": name, "GroupId": f"AGPA{name.upper():X<17}"[:21],
        "Arn": f"arn:aws:iam::{account}:group/{name}",
        "GroupPolicyList": [
            {"PolicyName": f"P{number}", "PolicyDocument": document}
            for number, document in enumerate(policies)
        ],
        "AttachedManagedPolicies": [
            {"PolicyName": one.rpartition("/")[2], "PolicyArn": one} for one in attached
        ],
    }  # fmt: skip


def managed(arn: str, document: Any, *, old: Any = None) -> Json:
    """An entry of Policies, its second version being the default one."""
    return {
        "PolicyName": arn.rpartition("/")[2], "PolicyId": "ANPAEXAMPLEEXAMPLE123", "Arn": arn, "Path": "/",
        "DefaultVersionId": "v2", "AttachmentCount": 1, "PermissionsBoundaryUsageCount": 0,
        "IsAttachable": True,
        "PolicyVersionList": [
            {"Document": document, "VersionId": "v2", "IsDefaultVersion": True},
            {"Document": old or doc(), "VersionId": "v1", "IsDefaultVersion": False},
        ],
    }  # fmt: skip


def page(
    *, users: Sequence[Json] = (), roles: Sequence[Json] = (), groups: Sequence[Json] = (),
    policies: Sequence[Json] = (), **more: Any,
) -> Json:  # fmt: skip
    """All of what the call prints."""
    return {
        "UserDetailList": list(users), "GroupDetailList": list(groups), "RoleDetailList": list(roles),
        "Policies": list(policies), **more,
    }  # fmt: skip


def snapshot(**parts: Any) -> Snapshot:
    """The same, read."""
    return Snapshot.read(json.dumps(page(**parts)), "details.json")


def reach(**parts: Any) -> Reach:
    """What principals of one account come to."""
    return Reach([snapshot(**parts)])
