"""What was left behind and is gone again, as the log shows surely, is listed no more; all else is."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from contain_cases import USER, planned

from evidence import START
from tokentrail.aws.calls.catalogue import CallFacts, every_reviewed
from tokentrail.containment.incident import reversal_index
from tokentrail.containment.incident.attacker_action import AttackerAction
from tokentrail.containment.incident.removed_protections import removed_protections
from tokentrail.containment.incident.reversal_index import _UNDOING, ReversalIndex
from tokentrail.containment.proof.assumption_sentences import sentence
from tokentrail.events.vocabulary import CHANGES
from tokentrail.policy.history.changes import Change
from tokentrail.testing import World

_ARN = "arn:aws:iam::111122223333:policy/p"
_IDP = "arn:aws:iam::111122223333:oidc-provider/idp.example"
_SET = "arn:aws:sso:::permissionSet/ssoins-1/ps-1"
_KEY, _OWN = {"sSHPublicKeyId": "APKA1"}, {"userName": "ria", "policyName": "p"}
_DUMP = {"dBSnapshotIdentifier": "d", "attributeName": "restore"}


def _shared(how: str, *accounts: str) -> dict[str, Any]:
    items = [{"userId": one} for one in accounts]
    return {"snapshotId": "snap-1", "createVolumePermission": {how: {"items": items}}}


Call = tuple[str, dict[str, Any], dict[str, Any] | None]
PAIRS: list[tuple[Call, tuple[str, dict[str, Any]]]] = [
    (("iam:AttachRolePolicy", {"roleName": "r", "policyArn": _ARN}, None),
     ("iam:DetachRolePolicy", {"roleName": "r", "policyArn": _ARN})),
    (("iam:UpdateOpenIDConnectProvider", {"openIDConnectProviderArn": _IDP, "contextProvider": {}}, None),
     ("iam:DeleteOpenIDConnectProvider", {"openIDConnectProviderArn": _IDP})),
    (("rolesanywhere:PutAttributeMapping", {"profileId": "1-3"}, None),
     ("rolesanywhere:DeleteProfile", {"profileId": "1-3"})),
    (("iam:AddUserToGroup", {"userName": "ria", "groupName": "g"}, None),
     ("iam:RemoveUserFromGroup", {"userName": "ria", "groupName": "g"})),
    (("iam:CreatePolicy", {"policyName": "p"}, {"policy": {"arn": _ARN}}), ("iam:DeletePolicy", {"policyArn": _ARN})),
    (("iam:CreatePolicyVersion", {"policyArn": f"{_ARN}2"}, {"policyVersion": {"versionId": "v2"}}),
     ("iam:DeletePolicyVersion", {"policyArn": f"{_ARN}2", "versionId": "v2"})),
    (("iam:CreateInstanceProfile", {"instanceProfileName": "host"}, None),
     ("iam:DeleteInstanceProfile", {"instanceProfileName": "host"})),
    (("iam:EnableMFADevice", {"userName": "ria", "serialNumber": "m"}, None),
     ("iam:DeactivateMFADevice", {"userName": "ria", "serialNumber": "m"})),
    (("iam:UploadSSHPublicKey", {"userName": "ria"}, {"sSHPublicKey": _KEY}),
     ("iam:DeleteSSHPublicKey", {"userName": "ria"} | _KEY)),
    (("s3:PutBucketPolicy", {"bucketName": "b"}, None), ("s3:DeleteBucketPolicy", {"bucketName": "b"})),
    (("s3:PutBucketReplication", {"bucketName": "c"}, None), ("s3:DeleteBucket", {"bucketName": "c"})),
    (("lambda:AddPermission20150331v2", {"functionName": "f"}, None),
     ("lambda:DeleteFunction20150331", {"functionName": "f"})),
    (("lambda:CreateFunctionUrlConfig", {"functionName": "u"}, None),
     ("lambda:DeleteFunctionUrlConfig", {"functionName": "u"})),
    (("sso:CreatePermissionSet", {"name": "s"}, {"permissionSet": {"permissionSetArn": _SET}}),
     ("sso:DeletePermissionSet", {"permissionSetArn": _SET})),
    (("ec2:ModifyInstanceAttribute", {"instanceId": "i-1"}, None),
     ("ec2:TerminateInstances", {"instancesSet": {"items": [{"instanceId": "i-2"}, {"instanceId": "i-1"}]}})),
    (("eks:CreateAccessEntry", {"name": "k", "principalArn": "arn:aws:iam::111122223333:role/r"}, None),
     ("eks:DeleteAccessEntry", {"name": "k", "principalArn": "arn%3Aaws%3Aiam%3A%3A111122223333%3Arole%2Fr"})),
    (("kms:CreateGrant", {"keyId": "1-2"}, {"grantId": "f0"}), ("kms:RevokeGrant", {"keyId": "1-2", "grantId": "f0"})),
    (("lambda:AddPermission20150331", {"functionName": "g", "statementId": "s", "qualifier": "live"}, None),
     ("lambda:RemovePermission20150331v2", {"functionName": "g", "statementId": "s", "qualifier": "live"})),
    (("sqs:AddPermission", {"queueUrl": "https://q/1", "label": "l"}, None),
     ("sqs:RemovePermission", {"queueUrl": "https://q/1", "label": "l"})),
    (("events:PutPermission", {"statementId": "s", "principal": "*"}, None),
     ("events:RemovePermission", {"statementId": "s"})),
    (("ec2:ModifyImageAttribute", {"imageId": "ami-1", "launchPermission": {"add": {"items": [{"group": "all"}]}}},
      None), ("ec2:DeregisterImage", {"imageId": "ami-1"})),
    (("ec2:ModifySnapshotAttribute", _shared("add", "444455556666", "777788889999"), None),
     ("ec2:ModifySnapshotAttribute", _shared("remove", "777788889999", "444455556666"))),
    (("rds:ModifyDBSnapshotAttribute", _DUMP | {"valuesToAdd": ["all"]}, None),
     ("rds:ModifyDBSnapshotAttribute", _DUMP | {"valuesToRemove": ["all"]})),
    (("organizations:EnableAWSServiceAccess", {"servicePrincipal": "x"}, None),
     ("organizations:DisableAWSServiceAccess", {"servicePrincipal": "x"})),
    (("codeartifact:PutDomainPermissionsPolicy", {"domain": "d"}, None),
     ("codeartifact:DeleteDomainPermissionsPolicy", {"domain": "d"})),
    (("codebuild:PutResourcePolicy", {"resourceArn": "arn:report"}, None),
     ("codebuild:DeleteResourcePolicy", {"resourceArn": "arn:report"})),
    (("acm-pca:CreatePermission", {"certificateAuthorityArn": "ca", "principal": "x"}, None),
     ("acm-pca:DeletePermission", {"certificateAuthorityArn": "ca", "principal": "x"})),
    (("redshift:AuthorizeEndpointAccess", {"clusterIdentifier": "c", "account": "9"}, None),
     ("redshift:RevokeEndpointAccess", {"clusterIdentifier": "c", "account": "9"})),
    (("ses:PutIdentityPolicy", {"identity": "i", "policyName": "p"}, None),
     ("ses:DeleteIdentityPolicy", {"identity": "i", "policyName": "p"})),
    (("s3vectors:PutVectorBucketPolicy", {"vectorBucketName": "v"}, None),
     ("s3vectors:DeleteVectorBucketPolicy", {"vectorBucketName": "v"})),
    (("s3files:PutFileSystemPolicy", {"fileSystemId": "fs-1"}, None),
     ("s3files:DeleteFileSystemPolicy", {"fileSystemId": "fs-1"})),
    (("s3:PutAccessGrantsInstanceResourcePolicy", {}, None), ("s3:DeleteAccessGrantsInstanceResourcePolicy", {})),
    (("s3:CreateAccessGrant", {"accessGrantsLocationId": "default"}, {"accessGrantId": "g-1"}),
     ("s3:DeleteAccessGrant", {"accessGrantId": "g-1"})),
    (("logs:PutDeliveryDestinationPolicy", {"deliveryDestinationName": "x"}, None),
     ("logs:DeleteDeliveryDestinationPolicy", {"deliveryDestinationName": "x"})),
    (("ec2:CreateNetworkInterfacePermission", {"networkInterfaceId": "eni-1"},
      {"networkInterfacePermission": {"networkInterfacePermissionId": "eni-perm-1"}}),
     ("ec2:DeleteNetworkInterfacePermission", {"networkInterfacePermissionId": "eni-perm-1"})),
    (("lambda:AddLayerVersionPermission20181031", {"layerName": "l", "versionNumber": 3, "statementId": "s"}, None),
     ("lambda:RemoveLayerVersionPermission20181031", {"layerName": "l", "versionNumber": 3, "statementId": "s"})),
]  # fmt: skip


def left(*calls: Call, after: tuple[Call, ...] = (), **how: Any) -> str:
    """What a plan says was left, once a thief's sessions have made a few calls each, and a colleague others."""
    world = World(START)
    key, colleague = world.user("support"), world.user("ria-admin")
    few = [calls[n : n + 3] for n in range(0, len(calls), 3)]
    for who, some, given in (*((None, each, {}) for each in few), (colleague, after, how)):
        caller = who or key.assumes("Admin")
        for action, params, response in some:
            caller.calls(action, params, response=response, read_only=False, **given)
            world.wait(minutes=1)
    plan = planned(world, key.id)
    return "\n".join((*plan.residual_risks, *(one.why for one in plan.steps)))


def test_what_is_gone_again_is_not_said_to_be_left() -> None:
    """Of each kind, what made it and what took it back name the same thing, here and later: nothing goes on of it."""
    makings = [making for making, _ in PAIRS]
    before = left(*makings)
    after = left(*makings, after=tuple((*undoing, None) for _, undoing in PAIRS))

    assert [] == [name for (action, _, _), _ in PAIRS if (name := action.partition(":")[2]) not in before]
    assert [] == [name for (action, _, _), _ in PAIRS if (name := action.partition(":")[2]) in after]


def test_what_is_not_surely_gone_stays_listed() -> None:
    """What failed, came before, was of another thing, service, region or version, or of what was renamed, ends nothing."""
    put, bucket = ("iam:PutUserPolicy", _OWN, None), ("s3:PutBucketPolicy", {"bucketName": "b"}, None)
    lifted, emptied = (
        ("iam:DeleteUserPolicy", _OWN, None),
        ("s3:DeleteBucketPolicy", {"bucketName": "b"}, None),
    )
    url = ("lambda:AddPermission20150331v2", {"functionName": "f"}, None)
    version = ("lambda:DeleteFunction20150331", {"functionName": "f", "qualifier": "3"}, None)
    moved = ("iam:UpdateUser", {"userName": "ria", "newUserName": "ria2"}, None)

    assert "PutUserPolicy" in left(put, after=(lifted,), error="AccessDenied")
    assert "PutUserPolicy" in left(
        lifted, put, after=(("iam:DeleteUserPolicy", _OWN | {"policyName": "q"}, None),)
    )
    password = ("iam:DeleteLoginProfile", {"userName": _OWN["userName"]}, None)
    assert "PutUserPolicy" in left(put, after=(password,))
    assert "PutBucketPolicy" in left(bucket, after=(emptied,), region="eu-west-1")
    told = left(put, moved, url, after=(lifted, version))
    assert "PutUserPolicy" in told and "AddPermission20150331v2" in told
    group = {"groupName": "Devs", "policyName": "p"}
    renamed = ("iam:UpdateGroup", {"groupName": "Devs", "newGroupName": "Old"}, None)
    assert "PutGroupPolicy" in left(
        ("iam:PutGroupPolicy", group, None), renamed, after=(("iam:DeleteGroupPolicy", group, None),)
    )


def test_what_is_shared_with_another_still_or_again_stays_listed() -> None:
    """A share is gone where all whom it named are removed; what comes back from the Recycle Bin is shared again."""
    share = ("ec2:ModifySnapshotAttribute", _shared("add", "444455556666", "777788889999"), None)
    one = ("ec2:ModifySnapshotAttribute", _shared("remove", "444455556666"), None)
    gone = ("ec2:DeleteSnapshot", {"snapshotId": "snap-1"}, None)
    back = ("ec2:RestoreSnapshotFromRecycleBin", {"snapshotId": "snap-1"}, None)
    told = (
        left(share, after=(one,)),
        left(share, gone, after=(back,)),
        left(share, back, after=(gone,)),
        left(one),
    )

    assert [True, True, False, False] == ["ModifySnapshotAttribute" in plan for plan in told]


def test_what_takes_back_is_kept() -> None:
    """What a plan counts as a taking back, reading in keeps."""
    assert set() == _UNDOING - CHANGES


def test_of_many_takings_back_those_alone_are_looked_at_that_name_the_thing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A pipeline attaches and detaches one policy for years: a plan against its key compared each with each."""
    looked: list[str] = []
    told = reversal_index._texts_at
    monkeypatch.setattr(
        reversal_index, "_texts_at", lambda value, path: looked.append(path) or told(value, path)
    )
    named = [{"roleName": f"r{number}", "policyArn": _ARN} for number in range(200)]
    where = {"account": "111122223333", "event_id": "e"}
    gone = [
        Change(
            time=START, event_source="iam.amazonaws.com", event_name="DetachRolePolicy", request=one, **where
        )
        for one in named
    ]
    deeds = [
        AttackerAction(by="AKIA", time=START - timedelta(1), source="iam.amazonaws.com", name="AttachRolePolicy", request=json.dumps(one),
             response=None, region=None, **where)
        for one in named
    ]  # fmt: skip
    known = ReversalIndex(gone)

    assert [START] * len(deeds) == [known.undone(one) for one in deeds]
    assert len(looked) < 10 * len(deeds)


REMOVALS = [one for one in every_reviewed() if one.verdict == "removes_policy"]


@pytest.mark.parametrize("known", REMOVALS, ids=lambda one: f"{one.service}:{one.operation}")
def test_a_resource_policy_that_the_attacker_removed_is_named(known: CallFacts) -> None:
    """What a policy denied is allowed without it: lambda, logs, codeartifact and fifty others were passed over."""
    assert known.removes is not None
    asked_for = json.dumps({member: f"the-{member}" for member in known.removes.members})
    result = AttackerAction(
        by="AKIA", event_id="e-1", time=START, account="1", region="eu-west-1", name=known.operation,
        source=f"{known.service}.amazonaws.com", request=asked_for, response=None,
    )  # fmt: skip

    [said] = map(sentence, removed_protections([result], ReversalIndex(()), ()))
    assert f"AKIA took away {known.removes.what}" in said and f"{known.operation}" in said
    assert all(f"the-{member}" in said for member in known.removes.members)
    assert known.operation in CHANGES and known.access in (None, "Permissions management")


def test_a_plan_names_what_was_removed_whichever_version_of_the_api_its_name_bears() -> None:
    """RemovePermission of AWS Lambda is logged with a version behind it; the attacker's own policy needs no word."""
    own = ("codebuild:PutResourcePolicy", {"resourceArn": "arn:mine"}, None)
    said = left(
        ("lambda:RemovePermission20150331v2", {"functionName": "f", "statementId": "s"}, None),
        ("logs:DeleteResourcePolicy", {"policyName": "audit"}, None),
        own, ("codebuild:DeleteResourcePolicy", {"resourceArn": "arn:mine"}, None),
    )  # fmt: skip

    assert "took away a function's policy" in said and "RemovePermission20150331v2 on f, s" in said
    assert (
        "took away a policy or permission of a resource" in said and "DeleteResourcePolicy on audit" in said
    )
    assert "DeleteResourcePolicy on arn:mine" not in said


def test_a_function_s_permission_that_the_attacker_added_and_removed_needs_no_word() -> None:
    """Neither call names a version or alias, so that both are about the function itself."""
    named = {"functionName": "f", "statementId": "s"}
    said = left(
        ("lambda:AddPermission20150331v2", named, None), ("lambda:RemovePermission20150331v2", named, None)
    )

    assert "took away" not in said


def test_another_service_s_call_of_the_same_name_puts_nothing_right() -> None:
    """Whoever deletes the Transfer Family user `eve` has not deleted the IAM user `eve` that the attacker made."""
    world = World(START)
    key, colleague = world.user("support"), world.user("ria-admin")
    key.calls("iam:CreateUser", {"userName": "eve"}, response={"user": {"userName": "eve"}}, read_only=False)
    world.wait(minutes=1)
    colleague.calls("transfer:DeleteUser", {"userName": "eve", "serverId": "s-1"}, read_only=False)

    assert any(f"{USER}eve" in one.targets for one in planned(world, key.id).steps)
