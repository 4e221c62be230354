"""
Things that outlive the token that made them: what was made, and by what id it will be known.

The fields that identify each are those of the API's own output, in CloudTrail's lower camel case (IAM, Lambda,
EC2, Systems Manager, IAM Roles Anywhere and other API References).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tokentrail.events.handover import HANDOVER, SERVICES_OF
from tokentrail.events.vocabulary import IAM_CHANGES
from tokentrail.lineage.rows import object_of

_REQUEST, _ANSWER = "request", "answer"

_MADE: dict[str, tuple[str, tuple[tuple[str, ...], ...]]] = {
    "CreateAccessKey": ("access_key", ((_ANSWER, "accessKey", "accessKeyId"),)),
    "CreateUser": ("user", ((_ANSWER, "user", "arn"), (_REQUEST, "userName"))),
    "ChangePassword": ("login_profile", ()),
    "CreateLoginProfile": ("login_profile", ((_REQUEST, "userName"), (_ANSWER, "loginProfile", "userName"))),
    "UpdateLoginProfile": ("login_profile", ((_REQUEST, "userName"),)),
    "CreateRole": ("role", ((_ANSWER, "role", "arn"), (_REQUEST, "roleName"))),
    "AcquireRole": ("role", ((_ANSWER, "role", "arn"),)),
    "UpdateAssumeRolePolicy": ("trust", ((_REQUEST, "roleName"),)),
    "PutUserPolicy": ("policy", ((_REQUEST, "userName"),)),
    "PutRolePolicy": ("policy", ((_REQUEST, "roleName"),)),
    "PutGroupPolicy": ("policy", ((_REQUEST, "groupName"),)),
    "AttachUserPolicy": ("policy", ((_REQUEST, "userName"),)),
    "AttachRolePolicy": ("policy", ((_REQUEST, "roleName"),)),
    "AttachGroupPolicy": ("policy", ((_REQUEST, "groupName"),)),
    "CreatePolicy": (
        "policy",
        ((_ANSWER, "policy", "arn"), (_ANSWER, "policy", "policySummary", "arn"), (_REQUEST, "policyName")),
    ),
    "CreatePolicyVersion": ("policy", ((_REQUEST, "policyArn"),)),
    "SetDefaultPolicyVersion": ("policy", ((_REQUEST, "policyArn"),)),
    "AddUserToGroup": ("group_membership", ((_REQUEST, "userName"),)),
    "AddRoleToInstanceProfile": ("instance_profile", ((_REQUEST, "roleName"),)),
    "CreateSAMLProvider": ("provider", ((_ANSWER, "sAMLProviderArn"),)),
    "UpdateSAMLProvider": ("provider", ((_REQUEST, "sAMLProviderArn"),)),
    "CreateOpenIDConnectProvider": ("provider", ((_ANSWER, "openIDConnectProviderArn"), (_REQUEST, "url"))),
    "AddClientIDToOpenIDConnectProvider": ("provider", ((_REQUEST, "openIDConnectProviderArn"),)),
    "UpdateOpenIDConnectProviderThumbprint": ("provider", ((_REQUEST, "openIDConnectProviderArn"),)),
    "EnableMFADevice": ("mfa_device", ((_REQUEST, "serialNumber"),)),
    "CreateVirtualMFADevice": ("mfa_device", ((_ANSWER, "virtualMFADevice", "serialNumber"),)),
    "UploadSSHPublicKey": ("ssh_key", ((_ANSWER, "sSHPublicKey", "sSHPublicKeyId"),)),
    "UploadSigningCertificate": ("certificate", ((_ANSWER, "certificate", "certificateId"),)),
    "CreateServiceSpecificCredential": (
        "service_credential",
        ((_ANSWER, "serviceSpecificCredential", "serviceSpecificCredentialId"), (_REQUEST, "userName")),
    ),
    "IssueCertificate": (
        "private_certificate",
        ((_ANSWER, "certificateArn"), (_REQUEST, "certificateAuthorityArn")),
    ),
    "CreateTrustAnchor": ("trust_anchor", ((_ANSWER, "trustAnchor", "trustAnchorArn"),)),
    "UpdateProfile": ("anywhere_profile", ((_REQUEST, "profileId"), (_ANSWER, "profile", "profileArn"))),
    "EnableProfile": ("anywhere_profile", ((_REQUEST, "profileId"), (_ANSWER, "profile", "profileArn"))),
    "CreateProfile": ("anywhere_profile", ((_ANSWER, "profile", "profileArn"),)),
    "UpdateFunctionCode20150331v2": ("function", ((_ANSWER, "functionArn"), (_REQUEST, "functionName"))),
    "UpdateFunctionCode20150331": ("function", ((_ANSWER, "functionArn"), (_REQUEST, "functionName"))),
    "CreateFunction20150331": ("function", ((_ANSWER, "functionArn"), (_REQUEST, "functionName"))),
    "CreateFunction20150331v2": ("function", ((_ANSWER, "functionArn"), (_REQUEST, "functionName"))),
    "UpdateFunctionConfiguration20150331v2": (
        "function",
        ((_ANSWER, "functionArn"), (_REQUEST, "functionName")),
    ),
    "AddPermission20150331v2": ("function_policy", ((_REQUEST, "functionName"),)),
    "CreateFunctionUrlConfig": ("function_url", ((_REQUEST, "functionName"),)),
    "RunInstances": ("instance", ()),
    "AssociateIamInstanceProfile": (
        "instance_profile",
        ((_REQUEST, "instanceId"), (_ANSWER, "iamInstanceProfileAssociation", "instanceId")),
    ),
    "ReplaceIamInstanceProfileAssociation": (
        "instance_profile",
        ((_ANSWER, "iamInstanceProfileAssociation", "instanceId"), (_REQUEST, "associationId")),
    ),
    "ModifyInstanceAttribute": ("instance_attribute", ((_REQUEST, "instanceId"),)),
    "SendCommand": ("command", ((_ANSWER, "command", "commandId"),)),
    "StartSession": ("ssm_session", ((_ANSWER, "sessionId"), (_REQUEST, "target"))),
    "CreateStack": ("stack", ((_ANSWER, "stackId"), (_REQUEST, "stackName"))),
    "UpdateStack": ("stack", ((_ANSWER, "stackId"), (_REQUEST, "stackName"))),
    "CreateProject": ("build_project", ((_ANSWER, "project", "arn"), (_REQUEST, "name"))),
    "UpdateProject": ("build_project", ((_ANSWER, "project", "arn"), (_REQUEST, "name"))),
    "CreateJob": ("job", ((_REQUEST, "name"), (_ANSWER, "name"))),
    "UpdateJob": ("job", ((_REQUEST, "jobName"),)),
    "RunTask": ("task", ()),
    "StartTask": ("task", ()),
    "RegisterTaskDefinition": (
        "task_definition",
        ((_ANSWER, "taskDefinition", "taskDefinitionArn"), (_REQUEST, "family")),
    ),
    "CreateService": ("task_service", ((_REQUEST, "serviceName"), (_ANSWER, "service", "serviceName"))),
    "UpdateService": ("task_service", ((_REQUEST, "service"),)),
    "CreateStateMachine": ("state_machine", ((_ANSWER, "stateMachineArn"), (_REQUEST, "name"))),
    "UpdateStateMachine": ("state_machine", ((_REQUEST, "stateMachineArn"),)),
    "CreateTrainingJob": ("training_job", ((_REQUEST, "trainingJobName"),)),
    "CreateProcessingJob": ("training_job", ((_REQUEST, "processingJobName"),)),
    "CreateDevEndpoint": ("dev_endpoint", ((_REQUEST, "endpointName"),)),
    "CreateNotebookInstance": ("notebook", ((_REQUEST, "notebookInstanceName"),)),
    "UpdateNotebookInstance": ("notebook", ((_REQUEST, "notebookInstanceName"),)),
    "UpdateSchedule": ("schedule", ((_REQUEST, "name"),)),
    "PutRule": ("rule", ((_ANSWER, "ruleArn"), (_REQUEST, "name"))),
    "PutTargets": ("rule", ((_REQUEST, "rule"),)),
    "CreateSchedule": ("schedule", ((_REQUEST, "name"),)),
    "CreatePermissionSet": ("permission_set", ((_ANSWER, "permissionSet", "permissionSetArn"),)),
    "PutInlinePolicyToPermissionSet": ("permission_set", ((_REQUEST, "permissionSetArn"),)),
    "CreateAccountAssignment": ("assignment", ((_REQUEST, "principalId"),)),
    "CreateGroupMembership": ("group_membership", ((_REQUEST, "groupId"),)),
    "CreateGrant": ("grant", ((_ANSWER, "grantId"),)),
    "PutBucketPolicy": ("resource_policy", ((_REQUEST, "bucketName"),)),
    "PutResourcePolicy": ("resource_policy", ((_REQUEST, "secretId"), (_REQUEST, "resourceArn"))),
    "PutKeyPolicy": ("resource_policy", ((_REQUEST, "keyId"),)),
    "SetRepositoryPolicy": ("resource_policy", ((_REQUEST, "repositoryName"),)),
    "PutBucketReplication": ("replication", ((_REQUEST, "bucketName"),)),
    "ModifySnapshotAttribute": ("resource_policy", ((_REQUEST, "snapshotId"),)),
    "ModifyImageAttribute": ("resource_policy", ((_REQUEST, "imageId"),)),
    "PutRepositoryPolicy": ("resource_policy", ((_REQUEST, "repositoryName"),)),
    "SetQueueAttributes": ("resource_policy", ((_REQUEST, "queueUrl"),)),
    "AddPermission": (
        "resource_policy",
        ((_REQUEST, "queueUrl"), (_REQUEST, "topicArn"), (_REQUEST, "functionName")),
    ),
    "UpdateTrustAnchor": (
        "trust_anchor",
        ((_REQUEST, "trustAnchorId"), (_ANSWER, "trustAnchor", "trustAnchorArn")),
    ),
    "EnableTrustAnchor": (
        "trust_anchor",
        ((_REQUEST, "trustAnchorId"), (_ANSWER, "trustAnchor", "trustAnchorArn")),
    ),
    "ResetServiceSpecificCredential": ("service_credential", ((_REQUEST, "serviceSpecificCredentialId"),)),
    "CreateAssociation": ("association", ((_REQUEST, "name"),)),
    "UpdateNotebookInstanceLifecycleConfig": (
        "notebook",
        ((_REQUEST, "notebookInstanceLifecycleConfigName"),),
    ),
    "EnableOutboundWebIdentityFederation": ("outbound_federation", ()),
    "AcceptDelegationRequest": ("delegation", ((_REQUEST, "delegationRequestId"),)),
    "SendDelegationToken": ("delegation", ((_REQUEST, "delegationRequestId"),)),
    "CreateOAuth2PublicClient": ("oauth_client", ((_REQUEST, "clientName"),)),
    "CreateInstanceProfile": ("instance_profile", ((_REQUEST, "instanceProfileName"),)),
    "PutRolePermissionsBoundary": ("boundary", ((_REQUEST, "roleName"),)),
    "PutUserPermissionsBoundary": ("boundary", ((_REQUEST, "userName"),)),
    "CreateKeyPair": ("key_pair", ((_ANSWER, "keyPairId"), (_REQUEST, "keyName"))),
    "ImportKeyPair": ("key_pair", ((_ANSWER, "keyPairId"), (_REQUEST, "keyName"))),
}


_OWN: dict[str, tuple[str, ...]] = {
    "CreateProfile": ("rolesanywhere",), "RunInstances": ("ec2",), "SendCommand": ("ssm",), "StartSession": ("ssm",),
    "CreateProject": ("codebuild",), "UpdateProject": ("codebuild",), "UpdateProfile": ("rolesanywhere",),
    "EnableProfile": ("rolesanywhere",), "CreateJob": ("glue",), "UpdateJob": ("glue",), "RunTask": ("ecs",),
    "StartTask": ("ecs",), "RegisterTaskDefinition": ("ecs",), "CreateService": ("ecs",), "UpdateService": ("ecs",),
    "CreateStateMachine": ("states",), "UpdateStateMachine": ("states",), "CreateTrainingJob": ("sagemaker",),
    "CreateProcessingJob": ("sagemaker",), "CreateStack": ("cloudformation",), "UpdateStack": ("cloudformation",),
    "IssueCertificate": ("acm-pca",),
}  # fmt: skip
"""Names that several services use: whose calls are meant."""


_SHARED = (
    ("add", "remove", ("launchPermission",)), ("add", "remove", ("createVolumePermission",)),
    ("valuesToAdd", "valuesToRemove", ()), ("accountIdsToAdd", "accountIdsToRemove", ()),
)  # fmt: skip
"""
How a request names with whom a thing is shared from then on, and with whom no more: the members, and where they lie.

Source: API References of Amazon EC2, Amazon RDS and AWS Systems Manager.
"""
NAMES = frozenset({*_MADE, *SERVICES_OF, "UpdateAccessKey"})
"""The calls that leave anything behind."""


def made(
    name: str, request: str | None, response: str | None, source: str | None = None
) -> list[tuple[str, str | None]]:
    """
    What a successful call left behind: kind and id of each thing; nothing for calls that leave nothing.

    A key that was made active again counts as made: it works because of this call. Names of IAM's calls occur in
    other services too (`transfer:CreateUser`), where they make nothing of the kind. A dry run leaves things as they are
    (AWS Lambda API Reference, 'UpdateFunctionCode': DryRun).
    """
    asked, answered = object_of(request), object_of(response)
    if asked.get("dryRun") is True or any(_takes_back(asked, given) for given in _SHARED):
        return []
    handed = _handover(name, source)
    if handed is not None:
        what, told = handed
        return [(what, next((text for path in told if (text := _told(path, asked, answered))), None))]
    if source is not None and source.partition(".")[0] not in _services(name, source):
        return []
    if name == "UpdateAccessKey":
        return [("access_key", _text(asked, "accessKeyId"))] if _text(asked, "status") == "Active" else []
    if name not in _MADE:
        return []
    what, paths = _MADE[name]
    if what == "instance":
        listed = answered.get("instancesSet")
        items = listed.get("items") if isinstance(listed, Mapping) else None
        return (
            [(what, _text(one, "instanceId")) for one in items] if isinstance(items, list) else [(what, None)]
        )
    if what == "task":
        tasks = answered.get("tasks")
        return [(what, _text(one, "taskArn")) for one in tasks] if isinstance(tasks, list) else [(what, None)]
    sources = {_REQUEST: asked, _ANSWER: answered}
    found = next((text for path in paths if (text := _text(sources[path[0]], *path[1:]))), None)
    return [(what, found)]


def _takes_back(asked: Mapping[str, Any], given: tuple[str, str, tuple[str, ...]]) -> bool:
    """Whether a request only ends that something is shared."""
    added, removed, inside = given
    member: Any = asked
    for name in inside:
        member = member.get(name) if isinstance(member, Mapping) else None
    return isinstance(member, Mapping) and bool(member.get(removed)) and not member.get(added)


def _handover(name: str, source: str | None) -> tuple[str, tuple[str, ...]] | None:
    """What is known of a service's own call; where the service is not told, of any that has such a call."""
    if source is None:
        services = [] if name in _MADE else sorted(SERVICES_OF.get(name, ()))
    else:
        services = [source.partition(".")[0]]
    return HANDOVER.get((services[0], name)) if services else None


def _told(path: str, asked: Mapping[str, Any], answered: Mapping[str, Any]) -> str | None:
    """A text at a path of a request, or with `~` of its answer."""
    return _text(answered if path.startswith("~") else asked, *path.removeprefix("~").split("."))


def _services(name: str, source: str) -> tuple[str, ...]:
    """The services whose call of a name is meant."""
    return ("iam", "organizations") if name in IAM_CHANGES else _OWN.get(name, (source.partition(".")[0],))


def _text(value: Any, *path: str) -> str | None:
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value if isinstance(value, str) else None
