"""
Whether something that was left behind has been undone since, and when.

A call undoes another only if it names the very same thing, in the same account, service and, outside IAM, region, and
came later. Each call that left something is judged by itself, so that a thing made again counts again. Sources: the API
References of IAM, Amazon S3, AWS Lambda and the other services, the page of each call; parameters as in CloudTrail.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tokentrail.aws.principals import told_caseless
from tokentrail.lineage.rows import object_of
from tokentrail.policy.history.changes import Change

if TYPE_CHECKING:
    from tokentrail.containment.leftovers import Deed

_TAKEN_BACK_BY = (
    ("iam", "PutUserPolicy", "DeleteUserPolicy", "userName policyName"),
    ("iam", "PutRolePolicy", "DeleteRolePolicy", "roleName policyName"),
    ("iam", "PutGroupPolicy", "DeleteGroupPolicy", "groupName policyName"),
    ("iam", "AttachUserPolicy", "DetachUserPolicy", "userName policyArn"),
    ("iam", "AttachRolePolicy", "DetachRolePolicy", "roleName policyArn"),
    ("iam", "AttachGroupPolicy", "DetachGroupPolicy", "groupName policyArn"),
    ("iam", "AddUserToGroup", "RemoveUserFromGroup", "groupName userName"),
    ("iam", "AddUserToGroup EnableMFADevice", "DeleteUser", "userName"),
    ("iam", "PutGroupPolicy AttachGroupPolicy AddUserToGroup", "DeleteGroup", "groupName"),
    ("iam", "CreatePolicy", "DeletePolicy", "policyArn=~policy.arn"),
    ("organizations", "CreatePolicy", "DeletePolicy", "policyId=~policy.policySummary.id"),
    ("iam", "CreatePolicyVersion SetDefaultPolicyVersion", "DeletePolicy", "policyArn"),
    ("iam", "CreatePolicyVersion", "DeletePolicyVersion", "policyArn versionId=~policyVersion.versionId"),
    ("iam", "SetDefaultPolicyVersion", "DeletePolicyVersion", "policyArn versionId"),
    ("iam", "CreateInstanceProfile", "DeleteInstanceProfile", "instanceProfileName"),
    ("iam", "EnableMFADevice", "DeactivateMFADevice", "userName serialNumber"),
    ("iam", "EnableMFADevice", "DeleteVirtualMFADevice", "serialNumber"),
    ("iam", "CreateVirtualMFADevice", "DeleteVirtualMFADevice", "serialNumber=~virtualMFADevice.serialNumber"),
    ("iam", "UploadSSHPublicKey", "DeleteSSHPublicKey", "sSHPublicKeyId=~sSHPublicKey.sSHPublicKeyId"),
    ("iam", "UploadSigningCertificate", "DeleteSigningCertificate", "certificateId=~certificate.certificateId"),
    ("iam", "CreateServiceSpecificCredential", "DeleteServiceSpecificCredential",
     "serviceSpecificCredentialId=~serviceSpecificCredential.serviceSpecificCredentialId"),
    ("iam", "ResetServiceSpecificCredential", "DeleteServiceSpecificCredential", "serviceSpecificCredentialId"),
    ("iam", "EnableOutboundWebIdentityFederation", "DisableOutboundWebIdentityFederation", ""),
    ("s3", "PutBucketPolicy", "DeleteBucketPolicy DeleteBucket", "bucketName"),
    ("s3", "PutBucketReplication", "DeleteBucketReplication DeleteBucket", "bucketName"),
    ("s3", "PutBucketAcl", "DeleteBucket", "bucketName"),
    ("lambda", "AddPermission20150331v2 AddPermission20150331 CreateFunctionUrlConfig UpdateFunctionUrlConfig",
     "DeleteFunction20150331", "functionName"),
    ("lambda", "CreateFunctionUrlConfig UpdateFunctionUrlConfig", "DeleteFunctionUrlConfig", "functionName qualifier"),
    ("lambda", "AddPermission20150331v2 AddPermission20150331", "RemovePermission20150331v2 RemovePermission20150331",
     "functionName qualifier statementId"),
    ("secretsmanager", "PutResourcePolicy", "DeleteResourcePolicy", "secretId"),
    ("ecr", "SetRepositoryPolicy", "DeleteRepositoryPolicy DeleteRepository", "registryId repositoryName"),
    ("kms", "CreateGrant", "RevokeGrant", "grantId=~grantId"),
    ("sns", "AddPermission", "RemovePermission", "topicArn label"),
    ("sns", "AddPermission SetTopicAttributes", "DeleteTopic", "topicArn"),
    ("sqs", "AddPermission", "RemovePermission", "queueUrl label"),
    ("sqs", "AddPermission SetQueueAttributes", "DeleteQueue", "queueUrl"),
    ("events", "PutPermission", "RemovePermission", "eventBusName statementId"),
    ("backup", "PutBackupVaultAccessPolicy", "DeleteBackupVaultAccessPolicy", "backupVaultName"),
    ("elasticfilesystem", "PutFileSystemPolicy", "DeleteFileSystemPolicy DeleteFileSystem", "fileSystemId"),
    ("logs", "PutDestinationPolicy", "DeleteDestination", "destinationName"),
    ("logs", "PutSubscriptionFilter", "DeleteSubscriptionFilter", "logGroupName filterName"),
    ("redshift", "AuthorizeSnapshotAccess", "RevokeSnapshotAccess", "snapshotIdentifier accountWithRestoreAccess"),
    ("redshift", "AuthorizeDataShare", "DeauthorizeDataShare", "dataShareArn consumerIdentifier"),
    ("rds", "ModifyDBSnapshotAttribute", "ModifyDBSnapshotAttribute",
     "dBSnapshotIdentifier attributeName valuesToRemove=valuesToAdd*"),
    ("rds", "ModifyDBSnapshotAttribute", "DeleteDBSnapshot", "dBSnapshotIdentifier"),
    ("rds", "ModifyDBClusterSnapshotAttribute", "ModifyDBClusterSnapshotAttribute",
     "dBClusterSnapshotIdentifier attributeName valuesToRemove=valuesToAdd*"),
    ("rds", "ModifyDBClusterSnapshotAttribute", "DeleteDBClusterSnapshot", "dBClusterSnapshotIdentifier"),
    ("rds", "AddRoleToDBInstance", "RemoveRoleFromDBInstance", "dBInstanceIdentifier roleArn featureName"),
    ("rds", "AddRoleToDBCluster", "RemoveRoleFromDBCluster", "dBClusterIdentifier roleArn featureName"),
    ("iot", "CreateKeysAndCertificate CreateCertificateFromCsr RegisterCertificate RegisterCertificateWithoutCA",
     "DeleteCertificate", "certificateId=~certificateId"),
    ("iot", "AttachPolicy", "DetachPolicy", "policyName target"),
    ("codebuild", "CreateWebhook", "DeleteWebhook", "projectName"),
    ("organizations", "AttachPolicy", "DetachPolicy", "policyId targetId"),
    ("organizations", "RegisterDelegatedAdministrator", "DeregisterDelegatedAdministrator",
     "accountId servicePrincipal"),
    ("organizations", "EnableAWSServiceAccess", "DisableAWSServiceAccess", "servicePrincipal"),
    ("sso", "CreatePermissionSet", "DeletePermissionSet", "permissionSetArn=~permissionSet.permissionSetArn"),
    ("sso", "PutInlinePolicyToPermissionSet AttachManagedPolicyToPermissionSet UpdatePermissionSet "
     "AttachCustomerManagedPolicyReferenceToPermissionSet ProvisionPermissionSet", "DeletePermissionSet",
     "permissionSetArn"),
    ("ec2", "ModifyInstanceAttribute", "TerminateInstances", "instancesSet.items.instanceId=instanceId"),
    ("ec2", "ModifyImageAttribute", "DeregisterImage ResetImageAttribute", "imageId"),
    ("ec2", "ModifySnapshotAttribute", "DeleteSnapshot ResetSnapshotAttribute", "snapshotId"),
    *(("ec2", call, call, f"{thing} " + " ".join(
        f"{attribute}.remove.items.{whom}={attribute}.add.items.{whom}*"
        for whom in ("userId", "group", "organizationArn", "organizationalUnitArn")
    )) for call, thing, attribute in (
        ("ModifyImageAttribute", "imageId", "launchPermission"),
        ("ModifySnapshotAttribute", "snapshotId", "createVolumePermission"),
    )),
    ("ec2", "CreateLaunchTemplate CreateLaunchTemplateVersion ModifyLaunchTemplate", "DeleteLaunchTemplate",
     "launchTemplateName"),
    ("ec2", "CreateLaunchTemplateVersion ModifyLaunchTemplate", "DeleteLaunchTemplate", "launchTemplateId"),
    ("ram", "AssociateResourceShare", "DeleteResourceShare", "resourceShareArn"),
    ("ssm", "CreateDocument UpdateDocument UpdateDocumentDefaultVersion ModifyDocumentPermission", "DeleteDocument",
     "name"),
    ("ssm", "ModifyDocumentPermission", "ModifyDocumentPermission", "name accountIdsToRemove=accountIdsToAdd*"),
    ("eks", "CreateAccessEntry UpdateAccessEntry AssociateAccessPolicy", "DeleteAccessEntry", "name principalArn"),
)  # fmt: skip
"""
A service, its calls that leave something, the calls that undo them, and the members in which both must agree.

A member is spelled `PATH-IN-UNDOING=PATH-IN-MAKING`, or once if both have the same path; after `~` the path is in the
making's response. A path that ends in `*` may have several values: all must be undone, and there must be at least one.
Not listed: RetireGrant, as its record has the grant's id in no parameter (AWS KMS Developer Guide, 'RetireGrant');
deleting a key pair, since instances started with it still admit its holder (Amazon EC2 User Guide, 'Delete your key
pair'); and deleting a permissions boundary, since without one there may be less of a limit than before.
"""
_MAY_LACK = frozenset({"qualifier", "registryId", "eventBusName", "featureName"})
"""Members that may be missing in both: then the function itself, the own registry, the default bus, or no feature."""
_VERSION_PARAMETERS = ("qualifier", "versionName", "documentVersion")
"""Parameters with which a deletion is only of a version (AWS Lambda and Systems Manager API References)."""
_FOR_GOOD = frozenset({"TerminateInstances"})
"""Calls that end a thing whose id is never used again: they undo what was done in the same second, too."""
_RESTORES = {"RestoreImageFromRecycleBin": "imageId", "RestoreSnapshotFromRecycleBin": "snapshotId"}
"""Calls that restore something deleted, and the parameter with its id (Amazon EC2 API Reference, the page of each)."""
_RENAMES = {"UpdateUser": "userName", "UpdateGroup": "groupName"}
"""Calls that rename, after which the name may be another's, and the parameter with the name (IAM API Reference)."""


def _rules() -> dict[tuple[str, str], list[tuple[frozenset[str], tuple[tuple[str, str], ...]]]]:
    found: dict[tuple[str, str], list[tuple[frozenset[str], tuple[tuple[str, str], ...]]]] = {}
    for service, made, undone, members in _TAKEN_BACK_BY:
        pairs = tuple((one.partition("=")[0], one.rpartition("=")[2]) for one in members.split())
        for name in made.split():
            found.setdefault((service, name), []).append((frozenset(undone.split()), pairs))
    return found


_RULES = _rules()
_CALLS = frozenset(name for rules in _RULES.values() for names, _ in rules for name in names)
_PATHS = {
    call: frozenset(
        path for rules in _RULES.values() for names, pairs in rules if call in names for path, _ in pairs
    )
    for call in _CALLS
}
"""By undoing call: the paths by which it may name what it undoes."""


class Undoings:
    """All calls that undo something, by whomever."""

    def __init__(self, changes: Iterable[Change], removals: Iterable[Change]) -> None:
        """
        Index the calls that may undo something.

        Args:
            changes: The calls to IAM and Organizations.
            removals: The calls to other services, with their regions if they may matter (`named`).
        """
        self._by: dict[tuple[str, str, str, str], list[Change]] = {}
        """By service, account, call, and each text by which it names something; a pipeline may make thousands."""
        self._renames: list[Change] = []
        self._restored: dict[str, datetime] = {}
        for one in (*changes, *removals):
            if one.event_name in _CALLS:
                for text in {"", *named(one)}:
                    self._by.setdefault((one.event_source, one.account, one.event_name, text), []).append(one)
            elif one.event_name in _RENAMES:
                self._renames.append(one)
            elif thing := one.asked(_RESTORES.get(one.event_name, "")):
                self._restored[thing] = max(one.time, self._restored.get(thing, one.time))

    def of(self, deed: Deed) -> datetime | None:
        """When what a deed left was undone; `None` if it was not, or if no call surely is about the same thing."""
        service = deed.source.partition(".")[0]
        anywhere = service in ("iam", "organizations")
        for names, pairs in _RULES.get((service, deed.name), ()):
            wanted = _wanted(deed, pairs)
            if wanted is None or (not anywhere and deed.region is None):
                continue
            texts = {"", *(value for _, value in wanted)}
            for one in (one for name in sorted(names) for one in self._naming(deed, name, texts)):
                if (
                    (one.time > deed.time or (one.time == deed.time and one.event_name in _FOR_GOOD))
                    and (anywhere or one.region == deed.region)
                    and all(value in _texts_at(one.request, path) for path, value in wanted)
                    and not _of_one_version(one)
                    and not self._renamed(deed, one.time)
                    and not any(self._restored.get(value, one.time) > one.time for _, value in wanted)
                ):
                    return one.time
        return None

    def _naming(self, deed: Deed, name: str, texts: Set[str]) -> Sequence[Change]:
        """The calls of one name that name the rarest of some texts."""
        return min((self._by.get((deed.source, deed.account, name, one), ()) for one in texts), key=len)

    def _renamed(self, deed: Deed, until: datetime) -> bool:
        """Whether the user or group of a deed was renamed before `until`, so that its old name means another."""
        request = object_of(deed.request)
        return any(
            one.account == deed.account
            and deed.time <= one.time <= until
            and _old_name(one, one.request) in (_old_name(one, request), None)
            and (one.asked("newUserName") or one.asked("newGroupName"))
            for one in self._renames
        )


def _old_name(renaming: Change, told: Mapping[str, Any]) -> str | None:
    """What a request tells where a renaming call names whom it renames."""
    name = told.get(member := _RENAMES[renaming.event_name])
    return told_caseless(member, name) if isinstance(name, str) and name else None


def named(change: Change) -> set[str]:
    """The texts by which an undoing call may name what it undoes."""
    return {
        value
        for path in _PATHS.get(change.event_name, ())
        for value in _texts_at(change.request, path)
        if value
    }


def names_of(deed: Deed) -> set[str]:
    """The texts by which a later call may name what a deed left."""
    rules = _RULES.get((deed.source.partition(".")[0], deed.name), ())
    return {value for _, pairs in rules for _, value in _wanted(deed, pairs) or () if value}


def _wanted(deed: Deed, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]] | None:
    """What an undoing call must name: paths and their values; `None` if the deed's record does not have them all."""
    found, several = [], [own for _, own in pairs if own.endswith("*")]
    for path, own in pairs:
        member = deed.response if own.startswith("~") else deed.request
        values = _texts_at(object_of(member), own.strip("~*"))
        if len(values) != 1 and own not in several:
            return None
        found += [(path, value) for value in sorted(values)]
    return found if not several or len(found) > len(pairs) - len(several) else None


def _texts_at(value: Any, path: str) -> set[str]:
    """The texts at a path, through lists; an empty text for a member that may be missing."""
    at = [value]
    for name in path.split("."):
        inner = [one.get(name) for one in at if isinstance(one, Mapping)]
        at = [each for one in inner for each in (one if isinstance(one, list) else [one])]
    found = {_compared(path, one) for one in at if isinstance(one, str) and one}
    return found or ({""} if path in _MAY_LACK else set())


def _compared(path: str, text: str) -> str:
    """A text as it is compared: IAM's names without case; EKS's ARNs, which are parts of a URL, decoded."""
    return unquote(text) if path == "principalArn" else told_caseless(path, text) or ""


def _of_one_version(change: Change) -> bool:
    """Whether a call deletes only a version; for a function's URL or permission, `qualifier` is a part of the name."""
    own = _PATHS[change.event_name]
    return any(change.request.get(name) for name in _VERSION_PARAMETERS if name not in own)
