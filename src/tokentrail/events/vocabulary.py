"""
The calls that issue credentials, change what credentials can do, make lasting things, or read secrets.

Sources stand beside each list; field paths follow CloudTrail's lower-camel spelling of the API's own output.
"""

from __future__ import annotations

from enum import IntFlag

from tokentrail.events.handover import GONE, SERVICES_OF

ISSUING_SOURCES = frozenset({
    "sts.amazonaws.com", "signin.amazonaws.com", "sso.amazonaws.com", "sso-oauth.amazonaws.com",
    "rolesanywhere.amazonaws.com", "eks-auth.amazonaws.com", "cognito-identity.amazonaws.com",
    "iot.amazonaws.com", "s3express.amazonaws.com", "lakeformation.amazonaws.com",
})  # fmt: skip
"""Services whose successful answers may carry a temporary credential, whatever the call is named."""

KEYLESS_ISSUERS = frozenset({
    "ConsoleLogin", "SwitchRole", "GetSigninToken", "CreateOAuth2Token", "CreateOAuth2TokenWithIAM",
    "CreateOAuth2TokenWithTokenExchange", "GetRoleCredentials", "Federate", "CreateSession", "AssumeRoleForPodIdentity",
    "GetCredentialsForIdentity", "GetScopedCredentials", "GetDelegatedAccessToken",
    "AssumeRole", "AssumeRoleWithSAML", "AssumeRoleWithWebIdentity", "AssumeRoot",
    "GetSessionToken", "GetFederationToken", "GetDataAccess", "GetWebIdentityToken",
})  # fmt: skip
"""
Calls that issue a credential whose key id the log may not show, or a token that opens a role.

AWS Sign-In User Guide, 'Logging AWS Sign-In API calls'; IAM User Guide, 'Logging IAM and AWS STS API calls with
AWS CloudTrail'. Where the layout of an answer is not documented, the key id is taken if it is there and the
link is left to principal and creation date if it is not; so too where CloudTrail left out an answer as too long.
GetDataAccess of Lake Formation names the session that it gives (AWS Lake Formation Developer Guide, 'Cross-account
CloudTrail logging'). That of S3 is none of them: what it gives speaks for the role that S3 Access Grants assumes, not
for the caller, and its event tells neither role nor key (Amazon S3 API Reference, 'GetDataAccess').
GetWebIdentityToken gives a token, by which AssumeRoleWithWebIdentity opens a role in another partition of AWS (IAM User
Guide, 'Federating AWS identities across AWS partitions').
"""

KEYLESS_SOURCES = ISSUING_SOURCES - {"s3express.amazonaws.com"}
"""
Services whose calls in `KEYLESS_ISSUERS` issue, key or not.

Other services have a CreateSession that issues nothing; that of S3 Express One Zone issues, and shows the key.
"""

NAMED_WITH_SERVICE = {
    "s3express.amazonaws.com": "s3express:",
    "lakeformation.amazonaws.com": "lakeformation:",
}
"""
Issuers of which a call has the name of another's, and what tells it apart: S3 has a GetDataAccess, too.

The CreateSession of S3 Express One Zone gives the caller's own principal a key for one directory bucket, that of IAM
Roles Anywhere a certificate's holder a role (Amazon S3 User Guide, 'CloudTrail log file examples for directory
buckets'; IAM Roles Anywhere User Guide, 'The CreateSession operation').
"""

IAM_REGIONS = frozenset({
    "us-east-1", "us-gov-west-1", "cn-north-1", "eusc-de-east-1", "us-iso-east-1", "us-isob-east-1", "eu-isoe-west-1",
    "us-isof-south-1",
})  # fmt: skip
"""
Where IAM's calls are logged, one a partition of AWS.

CloudTrail User Guide, 'About global service events'; the regions are those of IAM's endpoints (the SDK's list of
partitions).
"""
IAM_CHANGES = frozenset({
    "CreateAccessKey", "UpdateAccessKey", "DeleteAccessKey",
    "CreateUser", "UpdateUser", "DeleteUser", "UpdateGroup",
    "CreateLoginProfile", "UpdateLoginProfile", "DeleteLoginProfile", "ChangePassword",
    "CreateRole", "AcquireRole", "DeleteRole", "UpdateRole", "UpdateAssumeRolePolicy",
    "PutUserPolicy", "DeleteUserPolicy", "PutRolePolicy", "DeleteRolePolicy", "PutGroupPolicy",
    "DeleteGroupPolicy", "AttachUserPolicy", "DetachUserPolicy", "AttachRolePolicy", "DetachRolePolicy",
    "AttachGroupPolicy", "DetachGroupPolicy", "CreateGroup", "DeleteGroup", "AddUserToGroup", "RemoveUserFromGroup",
    "CreatePolicy", "CreatePolicyVersion", "SetDefaultPolicyVersion", "DeletePolicyVersion", "DeletePolicy",
    "PutUserPermissionsBoundary", "DeleteUserPermissionsBoundary", "PutRolePermissionsBoundary",
    "DeleteRolePermissionsBoundary", "CreateInstanceProfile", "AddRoleToInstanceProfile",
    "RemoveRoleFromInstanceProfile", "DeleteInstanceProfile",
    "CreateSAMLProvider", "UpdateSAMLProvider", "DeleteSAMLProvider", "CreateOpenIDConnectProvider",
    "AddClientIDToOpenIDConnectProvider", "UpdateOpenIDConnectProviderThumbprint", "DeleteOpenIDConnectProvider",
    "EnableMFADevice", "DeactivateMFADevice", "CreateVirtualMFADevice",
    "UploadSSHPublicKey", "UploadSigningCertificate", "CreateServiceSpecificCredential",
    "ResetServiceSpecificCredential",
})  # fmt: skip
"""IAM calls whose whole request matters to a credential's state or offspring (IAM API Reference)."""

FROM_TEMPLATE = "AcquireRole"
"""The call that makes a role of a template: name and trust policy are in its answer alone (IAM API Reference)."""

OTHER_CHANGES = frozenset({
    "CreateTrustAnchor", "CreateProfile", "UpdateTrustAnchor", "EnableTrustAnchor", "DisableTrustAnchor",
    "DeleteTrustAnchor", "IssueCertificate",
    "CreateFunction20150331", "CreateFunction20150331v2", "UpdateFunctionCode20150331v2", "UpdateFunctionCode20150331",
    "UpdateFunctionConfiguration20150331v2", "AddPermission20150331v2", "CreateFunctionUrlConfig",
    "RunInstances", "AssociateIamInstanceProfile", "ReplaceIamInstanceProfileAssociation", "ModifyInstanceAttribute",
    "SendCommand", "StartSession", "CreateAssociation", "CreateActivation",
    "CreateStack", "UpdateStack", "CreateProject", "CreateDevEndpoint", "CreateNotebookInstance",
    "UpdateNotebookInstanceLifecycleConfig", "PutRule", "PutTargets",
    "CreateSchedule", "CreatePermissionSet", "PutInlinePolicyToPermissionSet", "CreateAccountAssignment",
    "CreateGroupMembership", "CreateGrant", "PutBucketPolicy", "PutResourcePolicy", "PutKeyPolicy",
    "SetRepositoryPolicy", "PutRepositoryPolicy",
    "SetQueueAttributes", "AddPermission", "PutBucketReplication", "ModifySnapshotAttribute", "ModifyImageAttribute",
    "CreateKeyPair", "ImportKeyPair", "EnableOutboundWebIdentityFederation", "AcceptDelegationRequest",
    "SendDelegationToken", "CreateOAuth2PublicClient", "StopLogging", "DeleteTrail", "UpdateTrail",
    "PutEventSelectors", "DeleteEventDataStore", "StopEventDataStoreIngestion", "DeleteDetector", "UpdateDetector",
    "DisableProfile", "DeleteProfile", "EnableProfile", "UpdateProfile",
    "RunTask", "StartTask", "RegisterTaskDefinition", "CreateService", "UpdateService", "CreateJob", "UpdateJob",
    "UpdateProject", "CreateStateMachine", "UpdateStateMachine", "CreateTrainingJob", "CreateProcessingJob",
    "UpdateNotebookInstance", "UpdateSchedule",
    "TerminateInstances", "DeleteFunction20150331", "DeleteProject", "DeleteStack", "DeleteDevEndpoint", "DeleteJob",
    "DeleteNotebookInstance", "DeleteRule", "DeleteSchedule", "DeleteStateMachine", "StopTask", "DeleteService",
    "DeleteSSHPublicKey", "DeleteSigningCertificate", "DeleteServiceSpecificCredential", "DeleteVirtualMFADevice",
    "DisableOutboundWebIdentityFederation", "DeleteBucketPolicy", "DeleteBucket", "DeleteBucketReplication",
    "DeleteFunctionUrlConfig", "DeleteResourcePolicy", "DeleteRepositoryPolicy", "DeletePermissionSet",
    "DeleteLaunchTemplate", "DeleteResourceShare", "DeleteDocument", "DeleteAccessEntry",
    "RevokeGrant", "RemovePermission20150331v2", "RemovePermission20150331", "RemovePermission", "DeleteTopic",
    "DeleteQueue", "DeregisterImage", "ResetImageAttribute", "DeleteSnapshot", "ResetSnapshotAttribute",
    "RestoreImageFromRecycleBin", "RestoreSnapshotFromRecycleBin", "DeleteRepository", "DeleteBackupVaultAccessPolicy",
    "DeleteFileSystemPolicy", "DeleteFileSystem", "DeleteDestination", "DeleteSubscriptionFilter",
    "RevokeSnapshotAccess", "DeauthorizeDataShare", "DeleteDBSnapshot", "DeleteDBClusterSnapshot",
    "RemoveRoleFromDBInstance", "RemoveRoleFromDBCluster", "DeleteCertificate", "DeleteWebhook",
    "DeregisterDelegatedAdministrator", "DisableAWSServiceAccess", "StopInstances", "DisassociateIamInstanceProfile",
})  # fmt: skip
"""
Calls whose result outlives the token that made them, that do away with such, or that blind the log.

Source: API References.
"""

POLICY_CHANGES = frozenset({"AttachPolicy", "DetachPolicy", "UpdatePolicy"})
"""Organizations' service control policies; CreatePolicy and DeletePolicy share their names with IAM."""

CHANGES = IAM_CHANGES | OTHER_CHANGES | POLICY_CHANGES | SERVICES_OF.keys() | GONE

HANDED_OUT = frozenset({
    "GetAuthorizationToken", "GetServiceBearerToken", "CreateBearerToken",
    "GetClusterCredentials", "GetClusterCredentialsWithIAM", "GetCredentials",  # Amazon Redshift, and its Serverless
    "GetOpenIdTokenForDeveloperIdentity",  # Amazon Cognito, for anybody of a pool
    "GetResourceOauth2Token", "GetWorkloadAccessToken", "GetWorkloadAccessTokenForJWT",
    "GetWorkloadAccessTokenForUserId",  # Amazon Bedrock AgentCore
    "GetManagedEndpointSessionCredentials",  # Amazon EMR on EKS
})  # fmt: skip
"""
Calls whose answer is a token that a service makes for whoever asks, each time another one.

Source: the API Reference of each service, the page of each call.
"""
SECRET_READS = HANDED_OUT | {
    "GetSecretValue", "BatchGetSecretValue", "GetParameter", "GetParameters", "GetParametersByPath",
    "GetParameterHistory", "GetRelationalDatabaseMasterUserPassword", "DownloadDefaultKeyPair",  # Amazon Lightsail
    "GetInstanceAccess",  # Amazon GameLift Servers
    "GetPasswordData", "GetFunction20150331v2", "GetFunctionConfiguration20150331v2",
    "GetFunction20150331", "GetFunctionConfiguration20150331", "GetFunction", "GetFunctionConfiguration",
    "DescribeInstanceAttribute", "GetLoginProfile20150331", "GetResourceApiKey",  # AgentCore
    "ExportCertificate",  # with its private key (AWS Certificate Manager API Reference)
}  # fmt: skip
"""Calls whose answer is, or may hold, a secret; Parameter Store only with decryption, user data only when asked."""

NAMED_BY_REQUEST = {
    "secretsmanager.amazonaws.com": "secretId",
    "ssm.amazonaws.com": "name",
    "lambda.amazonaws.com": "functionName",
    "dynamodb.amazonaws.com": "tableName",
    "s3.amazonaws.com": "bucketName",
    "kms.amazonaws.com": "keyId",
    "rds.amazonaws.com": "dBInstanceIdentifier",
    "ecr.amazonaws.com": "repositoryName",
    "sqs.amazonaws.com": "queueUrl",
    "sns.amazonaws.com": "topicArn",
}
"""By service: the member of the request that names the resource, for calls whose records have no `resources`."""
NAMED_BY_CALL = {"GetPasswordData": "instanceId", "DescribeInstanceAttribute": "instanceId"}
"""The same for single calls of EC2, most of whose requests need not be looked into."""


class Mark(IntFlag):
    """What to do with an event, by its name and its source: a call is looked into only if it has the marks for it."""

    NAMES_ISSUER = 1
    CHANGES = 2
    READS_SECRET = 4
    FROM_ISSUER = 8
    FROM_KEYLESS_ISSUER = 16
    NAMES_RESOURCE = 32


def name_marks(name: str | None) -> int:
    """The marks of an event's name."""
    return (
        Mark.NAMES_ISSUER * (name in KEYLESS_ISSUERS)
        | Mark.CHANGES * (name in CHANGES)
        | Mark.READS_SECRET * (name in SECRET_READS)
        | Mark.NAMES_RESOURCE * (name in NAMED_BY_CALL)
    )


def source_marks(source: str | None) -> int:
    """The marks of an event's source."""
    return (
        Mark.FROM_ISSUER * (source in ISSUING_SOURCES)
        | Mark.FROM_KEYLESS_ISSUER * (source in KEYLESS_SOURCES)
        | Mark.NAMES_RESOURCE * (source in NAMED_BY_REQUEST)
    )


def looked_into(marks: int) -> int:
    """Whether a call of such marks is looked into: 1 if it succeeded, 2 if its record lists no resource."""
    keyless = Mark.NAMES_ISSUER | Mark.FROM_KEYLESS_ISSUER
    tells = marks & (Mark.CHANGES | Mark.READS_SECRET | Mark.FROM_ISSUER) or marks & keyless == keyless
    return bool(tells) | 2 * bool(marks & Mark.NAMES_RESOURCE)


VPC_ENDPOINT = "vpce-[0-9a-f]{8,17}"
"""
How AWS names a VPC endpoint, as an expression; in `vpcEndpointId` a service's name may stand instead.

CloudTrail User Guide, 'CloudTrail record contents'; Amazon EC2 User Guide, 'Resource IDs'.
"""
