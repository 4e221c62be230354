"""
Which call reverses which: what undoes something that was left behind, and what restores a protection that was removed.

Members are parameters in which both calls must agree to be about the same thing. A member is spelled
`PATH-IN-UNDOING=PATH-IN-MAKING`, or once if both have the same path; after `~` the path is in the making's response. A
path that ends in `*` may have several values: all must be undone, and there must be at least one. A path that ends in
`?` may be missing in both: then the function itself, the own registry, the default bus, or no feature is meant.

The reversals of resource policies stand in `resource_policies`, and the ends of workloads in `workload_kinds`. Sources:
the API References of IAM, Amazon S3, AWS Lambda and the other services, the page of each call; parameters as in
CloudTrail.
"""

from __future__ import annotations

UNDONE_BY: tuple[tuple[str, str, str, str], ...] = (
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
    ("iam", "UpdateOpenIDConnectProvider", "DeleteOpenIDConnectProvider", "openIDConnectProviderArn"),
    ("rolesanywhere", "PutAttributeMapping", "DeleteProfile", "profileId"),
    ("iam", "EnableOutboundWebIdentityFederation", "DisableOutboundWebIdentityFederation", ""),
    ("iam", "EnableOrganizationsRootSessions", "DisableOrganizationsRootSessions", ""),
    ("iam", "EnableOrganizationsRootCredentialsManagement", "DisableOrganizationsRootCredentialsManagement", ""),
    ("ec2", "AssociateEnclaveCertificateIamRole", "DisassociateEnclaveCertificateIamRole", "certificateArn roleArn"),
    ("supportauthz", "CreateSupportPermit", "DeleteSupportPermit", "supportPermitIdentifier=~arn"),
    ("supportauthz", "CreateSupportPermit", "DeleteSupportPermit", "supportPermitIdentifier=name"),
    ("s3", "PutBucketPolicy", "DeleteBucket", "bucketName"),
    ("s3", "PutBucketReplication", "DeleteBucketReplication DeleteBucket", "bucketName"),
    ("s3", "PutBucketAcl", "DeleteBucket", "bucketName"),
    ("lambda", "AddPermission CreateFunctionUrlConfig UpdateFunctionUrlConfig",
     "DeleteFunction", "functionName"),
    ("lambda", "CreateFunctionUrlConfig UpdateFunctionUrlConfig", "DeleteFunctionUrlConfig", "functionName qualifier?"),
    ("kms", "CreateGrant", "RevokeGrant", "grantId=~grantId"),
    ("sns", "AddPermission SetTopicAttributes", "DeleteTopic", "topicArn"),
    ("sqs", "AddPermission SetQueueAttributes", "DeleteQueue", "queueUrl"),
    ("elasticfilesystem s3files", "PutFileSystemPolicy", "DeleteFileSystem", "fileSystemId"),
    ("logs", "PutDestinationPolicy", "DeleteDestination", "destinationName"),
    ("logs", "PutSubscriptionFilter", "DeleteSubscriptionFilter", "logGroupName filterName"),
    ("rds", "ModifyDBSnapshotAttribute", "ModifyDBSnapshotAttribute",
     "dBSnapshotIdentifier attributeName valuesToRemove=valuesToAdd*"),
    ("rds", "ModifyDBSnapshotAttribute", "DeleteDBSnapshot", "dBSnapshotIdentifier"),
    ("rds", "ModifyDBClusterSnapshotAttribute", "ModifyDBClusterSnapshotAttribute",
     "dBClusterSnapshotIdentifier attributeName valuesToRemove=valuesToAdd*"),
    ("rds", "ModifyDBClusterSnapshotAttribute", "DeleteDBClusterSnapshot", "dBClusterSnapshotIdentifier"),
    ("rds", "AddRoleToDBInstance", "RemoveRoleFromDBInstance", "dBInstanceIdentifier roleArn featureName?"),
    ("rds", "AddRoleToDBCluster", "RemoveRoleFromDBCluster", "dBClusterIdentifier roleArn featureName?"),
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
    ("ec2", "ModifyImageAttribute", "DeregisterImage", "imageId"),
    ("ec2", "ModifySnapshotAttribute", "DeleteSnapshot", "snapshotId"),
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
    ("ecr", "SetRepositoryPolicy", "DeleteRepository", "registryId? repositoryName"),
)  # fmt: skip
"""
A service (or several), its calls that leave something, the calls that undo them, and the members that must agree.

Not listed: RetireGrant, as its record has the grant's id in no parameter (AWS KMS Developer Guide, 'RetireGrant');
deleting a key pair, since instances started with it still admit its holder (Amazon EC2 User Guide, 'Delete your key
pair'); and deleting a permissions boundary, since without one there may be less of a limit than before.
"""

FOR_GOOD = frozenset({"TerminateInstances"})
"""Calls that end a thing whose id is never used again: they undo what was done in the same second, too."""

RESTORES = {
    "RestoreImageFromRecycleBin": "imageId", "RestoreSnapshotFromRecycleBin": "snapshotId",
    "EnableTrustAnchor": "trustAnchorId", "EnableProfile": "profileId",
}  # fmt: skip
"""
Calls that restore something deleted or disabled, and the parameter with its id.

Sources: Amazon EC2 API Reference and IAM Roles Anywhere API Reference, the page of each call.
"""

PUTS_RIGHT: dict[str, tuple[str, ...]] = {
    "user": ("DeleteUser",), "role": ("DeleteRole",),
    "password": ("DeleteLoginProfile", "UpdateLoginProfile", "ChangePassword", "DeleteUser"),
    "trust": ("UpdateAssumeRolePolicy", "DeleteRole"),
    "provider": ("DeleteOpenIDConnectProvider", "DeleteSAMLProvider", "UpdateSAMLProvider"),
    "anywhere": ("DisableTrustAnchor", "DeleteTrustAnchor", "DisableProfile", "DeleteProfile"),
}  # fmt: skip
"""
By kind of thing in IAM and IAM Roles Anywhere: the calls that put it right (the API References of both).

Deletions count whoever made them, other calls only if the attacker did not.
"""

PROTECTIONS: tuple[tuple[str, str, str, str, str], ...] = (
    ("iam", "DeactivateMFADevice", "a second factor", "userName serialNumber", "EnableMFADevice"),
    (
        "iam",
        "DeleteUserPermissionsBoundary",
        "a permissions boundary",
        "userName",
        "PutUserPermissionsBoundary",
    ),
    (
        "iam",
        "DeleteRolePermissionsBoundary",
        "a permissions boundary",
        "roleName",
        "PutRolePermissionsBoundary",
    ),
    ("iam", "DeleteUserPolicy", "a policy", "userName policyName", "PutUserPolicy"),
    ("iam", "DeleteRolePolicy", "a policy", "roleName policyName", "PutRolePolicy"),
    ("iam", "DeleteGroupPolicy", "a policy", "groupName policyName", "PutGroupPolicy"),
    ("iam", "DetachUserPolicy", "a policy", "userName policyArn", "AttachUserPolicy"),
    ("iam", "DetachRolePolicy", "a policy", "roleName policyArn", "AttachRolePolicy"),
    ("iam", "DetachGroupPolicy", "a policy", "groupName policyArn", "AttachGroupPolicy"),
    ("iam", "RemoveUserFromGroup", "a group membership", "userName groupName", "AddUserToGroup"),
    ("iam", "DeleteLoginProfile", "a password", "userName", "CreateLoginProfile"),
    ("iam", "UpdateRole", "a limit to how long a role's sessions last", "roleName", "UpdateRole"),
    ("organizations", "DetachPolicy", "a policy of the organisation", "policyId targetId", "AttachPolicy"),
    ("organizations", "UpdatePolicy", "what a policy of the organisation said", "policyId", "UpdatePolicy"),
)
"""
A service, its call that removes a protection, what that is, the parameters that name it, and the call that restores it.

Sources: IAM API Reference and AWS Organizations API Reference, the page of each call.
"""

ALSO_KEPT: dict[str, str] = {
    "ec2": "DisassociateIamInstanceProfile RestoreImageFromRecycleBin RestoreSnapshotFromRecycleBin StopInstances",
    "rolesanywhere": "DeleteProfile DeleteTrustAnchor DisableProfile DisableTrustAnchor",
}
"""Other calls that reverse or restore something, and that stand in no other table."""
