"""
The builder's records look like real ones: nothing that real ones never have, all that they always have.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tokentrail.testing import World

Json = dict[str, Any]

NEVER_MIND = (
    "tlsDetails",
    "tags",
    "description",
    "permissionsBoundary",
    "vpcEndpointId",
    "packedPolicySize",
    "policy",
)
"""What depends on the request or the network rather than on the kind of record."""


def skeleton(value: Any, path: str = "") -> set[str]:
    """List the paths of all keys within a record."""
    if isinstance(value, list):
        return set().union(*(skeleton(item, f"{path}[]") for item in value)) if value else set()
    if not isinstance(value, dict):
        return set()
    paths: set[str] = set()
    for key, inner in value.items():
        if key not in NEVER_MIND:
            paths |= {f"{path}.{key}"} | skeleton(inner, f"{path}.{key}")
    return paths


def everything(like: list[set[str]]) -> set[str]:
    """Join what any of the real records has."""
    return set[str]().union(*like)


def _assumes(world: World) -> None:
    world.user("ada").assumes("Deploy", "work", duration=900)


def _chains(world: World) -> None:
    with world.unlogged():
        session = world.user("ada").assumes("Deploy")
    session.calls("ec2:DescribeInstances", {"filterSet": {}, "instancesSet": {}})


def _federates(world: World) -> None:
    world.user("ada").gets_federation_token("guest", policy="{}").calls("sts:GetCallerIdentity")


def _administers(world: World) -> None:
    ada = world.user("ada")
    mallory = ada.creates_user("mallory")
    key = ada.creates_access_key(mallory)
    ada.iam("CreateLoginProfile", userName="mallory")
    ada.iam("UpdateLoginProfile", userName="mallory")
    ada.iam("DeleteLoginProfile", userName="mallory")
    ada.iam("AttachUserPolicy", userName="mallory", policyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    ada.iam("DetachUserPolicy", userName="mallory", policyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    role = ada.creates_role("Backdoor", {"AWS": "arn:aws:iam::444455556666:root"})
    ada.iam("AttachRolePolicy", roleName=role.name, policyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    ada.iam("DetachRolePolicy", roleName=role.name, policyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    ada.iam("UpdateAssumeRolePolicy", roleName=role.name, policyDocument={"Version": "2012-10-17"})
    ada.iam(
        "PutRolePolicy", roleName=role.name, policyName="inline", policyDocument={"Version": "2012-10-17"}
    )
    ada.iam("DeleteRolePolicy", roleName=role.name, policyName="inline")
    ada.iam("DeleteRole", roleName=role.name)
    ada.deletes(key)
    ada.iam("DeleteUser", userName="mallory")


def _signs_in(world: World) -> None:
    world.console_sign_in(world.user("ada"))


ALWAYS: dict[str, Callable[[World], None]] = {
    "AssumeRole": _assumes,
    "ConsoleLogin": _signs_in,
    "GetFederationToken": _federates,
    **dict.fromkeys(
        (
            "CreateUser",
            "CreateAccessKey",
            "CreateLoginProfile",
            "UpdateLoginProfile",
            "DeleteLoginProfile",
            "AttachUserPolicy",
            "DetachUserPolicy",
            "CreateRole",
            "AttachRolePolicy",
            "DetachRolePolicy",
            "UpdateAssumeRolePolicy",
            "PutRolePolicy",
            "DeleteRolePolicy",
            "DeleteRole",
            "DeleteAccessKey",
            "DeleteUser",
        ),
        _administers,
    ),
}


@pytest.mark.parametrize("name", sorted(ALWAYS))
def test_a_record_has_what_real_ones_always_have_and_nothing_they_never_have(
    world: World, real: list[Json], name: str
) -> None:
    """A record written for a user's call has the real record's keys, at every depth."""
    ALWAYS[name](world)
    (built,) = [record for record in world.records() if record["eventName"] == name]
    like = [
        skeleton(record)
        for record in real
        if record["eventName"] == name
        and record["userIdentity"].get("type") == "IAMUser"
        and not record.get("errorCode")
    ]

    assert like
    assert set[str].intersection(*like) - skeleton(built) == set()
    assert skeleton(built) - everything(like) == set()


@pytest.mark.parametrize(
    ("service", "start"),
    [
        ("ec2.amazonaws.com", lambda world: world.instance("Web")),
        ("lambda.amazonaws.com", lambda world: world.function("Resize", "resize")),
        (
            "rolesanywhere.amazonaws.com",
            lambda world: world.service("rolesanywhere.amazonaws.com", "AWSServiceRoleForRA"),
        ),
    ],
)
def test_a_role_taken_up_by_a_service_looks_like_a_real_one(
    world: World, real: list[Json], service: str, start: Callable[[World], object]
) -> None:
    """AssumeRole by a service has the real keys: an AWSService identity, a shared event id, and for EC2 and
    Lambda no
    assumedRoleUser."""
    start(world)
    (built,) = world.records()
    like = [
        skeleton(record)
        for record in real
        if record["eventName"] == "AssumeRole" and record["userIdentity"].get("invokedBy") == service
    ]

    assert like
    assert skeleton(built) in like


def test_a_role_sessions_identity_has_the_real_keys(world: World, real: list[Json]) -> None:
    """
    A role session's identity has what real ones have; only newer event versions leave an empty element out.
    """
    _chains(world)
    (built,) = world.records()
    like = [
        skeleton(record["userIdentity"])
        for record in real
        if record["userIdentity"].get("type") == "AssumedRole" and "accessKeyId" in record["userIdentity"]
    ]

    assert skeleton(built["userIdentity"]) in [
        paths - {".sessionContext.webIdFederationData"} for paths in like
    ]


def test_a_call_forwarded_for_a_user_looks_like_a_real_one(world: World, real: list[Json]) -> None:
    """A forwarded call shows IAMUser with a temporary key, a session context and `invokedBy`."""
    world.user("ada").via("secretsmanager.amazonaws.com").calls(
        "kms:Decrypt", {"encryptionContext": {}, "encryptionAlgorithm": "SYMMETRIC_DEFAULT"}
    )
    (built,) = world.records()
    like = [
        skeleton(record["userIdentity"])
        for record in real
        if record["userIdentity"].get("invokedBy") and record["userIdentity"].get("type") == "IAMUser"
    ]
    empty = {".sessionContext.sessionIssuer", ".sessionContext.webIdFederationData"}

    assert skeleton(built["userIdentity"]) in [paths - empty for paths in like]
    assert built["sourceIPAddress"] == built["userAgent"] == "secretsmanager.amazonaws.com"
    assert "tlsDetails" not in built


def test_a_service_linked_roles_calls_show_no_key(world: World, real: list[Json]) -> None:
    """A service acting in its own role shows `invokedBy` and no access key id, as Inspector does."""
    world.service("inspector2.amazonaws.com", "AWSServiceRoleForAmazonInspector2").calls(
        "ec2:DescribeInstances"
    )
    built = world.records()[-1]["userIdentity"]
    like = [
        skeleton(record["userIdentity"]) - {".sessionContext.webIdFederationData"}
        for record in real
        if record["userIdentity"].get("invokedBy") == "inspector2.amazonaws.com"
    ]

    assert skeleton(built) in like


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("RunInstances", lambda world: world.user("ada").runs_instance("Web")),
        ("CreateFunction20150331", lambda world: world.user("ada").creates_function("fn", "Resize")),
        ("UpdateFunctionCode20150331v2", lambda world: world.user("ada").updates_function("fn")),
    ],
)
def test_a_machine_is_made_in_the_real_shape(
    world: World, real: list[Json], name: str, make: Callable[[World], object]
) -> None:
    """RunInstances and the Lambda calls hold a part of what real ones hold, and nothing else."""
    make(world)
    (built,) = [record for record in world.records() if record["eventName"] == name]
    like = [
        skeleton(record) for record in real if record["eventName"] == name and not record.get("errorCode")
    ]

    assert skeleton(built) - everything(like) == set()


def test_a_refused_assume_role_looks_like_a_real_one(world: World, real: list[Json]) -> None:
    """A refused AssumeRole has null parameters; its message alone names the role."""
    (built,) = world.user("ada").denied("sts:AssumeRole", world.role("Deploy"))
    like = [
        record
        for record in real
        if record["eventName"] == "AssumeRole" and record.get("errorCode") == "AccessDenied"
    ]

    assert skeleton(built) in [skeleton(record) for record in like]
    assert {record["requestParameters"] is None for record in like} == {built["requestParameters"] is None}
    assert "is not authorized to perform: sts:AssumeRole on resource: arn:aws:iam::" in built["errorMessage"]


def test_s3_adds_what_it_adds(world: World, real: list[Json]) -> None:
    """An S3 record has S3's additional data, host and resources."""
    world.user("ada").calls("s3:GetBucketAcl", {"bucketName": "b", "acl": ""}, bytes_out=552)
    (built,) = world.records()
    like = [
        skeleton(record) for record in real if record["eventName"] == "GetBucketAcl" and "resources" in record
    ]
    user = {".userIdentity.userName", ".userIdentity.accessKeyId"}

    assert skeleton(built) - user - everything(like) == set()
    assert skeleton(built["additionalEventData"]) in [
        skeleton(record["additionalEventData"]) for record in real if record["eventName"] == "GetBucketAcl"
    ]
