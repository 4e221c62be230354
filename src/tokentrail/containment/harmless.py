"""
Calls that let nobody in and start nothing: they read, take away, or only use what is there.

All others may, whatever AWS calls them: it adds verbs, so that a call with one that nobody has heard of is no harmless
one. Sorted by the names of all operations in botocore's models, verb by verb; a verb is here only if what it names is
harmless in every service, but for `_NOT_HARMLESS`; of other verbs the harmless calls are named one by one.
"""

from __future__ import annotations

import re

from tokentrail.policy.actions import unversioned

_MANY = re.compile("(Admin|Batch)(?=[A-Z])")
"""What stands before the verb: a call for many things at once, or by an administrator of a Cognito user pool."""
_READS = (
    "Agentic Analyze Autocomplete Calculate Check Classify Compare Contains Count Decode Describe Detect Discover "
    "Download Estimate Evaluate Filter Forecast Geocode Get Head Infer Introspect Is List Lookup Poll Predict Preview "
    "Probe Query Read Receive Recognize Render Rerank Rescore Resolve Retrieve Scan Search Select Simulate Snap "
    "Suggest Synthesize Test Transcribe Translate Validate View"
)
"""The verbs of calls that only tell something; those that tell credentials are known by their names."""
_TAKES_AWAY = (
    "Abort Cancel Clear Close Deactivate Deauthorize Decline Decrease Delete Deny Deprecate Deprovision Deregister "
    "Detach Disable Disallow Disassociate Discard Disconnect Dismiss Dispose Dissociate Drain End Evict Expire Flush "
    "Forget Invalidate Lock Logout Pause Purge Redact Reject Release Remove Retire Revoke Shrink Shutdown Stop Suspend "
    "Terminate Unassign Undeploy Unlink Unmonitor Unpeer Unregister Unshare Unsubscribe Untag Withdraw"
)
"""The verbs of calls that take away, stop or close something."""
_USES = (
    "Acknowledge Chat Checkpoint Converse Failover Meter Notify Post Reboot Record Report Restart Switchover Tag "
    "Transact Write"
)
"""The verbs of calls that say something to a service, label things, or have what runs go on as it was."""
_VERBS = re.compile(f"({'|'.join(f'{_READS} {_TAKES_AWAY} {_USES}'.split())})(?![a-z])")
_DATA_SERVICES = frozenset({
    "ce", "dynamodb", "health", "kinesis", "monitoring", "rds-data", "redshift-data", "sqs", "support", "tagging",
    "timestream", "xray",
})  # fmt: skip
"""Services that hold data or measure: their calls that admit somebody are all known by name (`events.handover`)."""
_NETWORK = re.compile(
    "(?!Copy|Export|Import|Unlock)[A-Z][a-z]+(Address|DhcpOptions|Image|InternetGateway|Ipv6Addresses|NatGateway"
    "|NetworkAcl|NetworkAclEntry|NetworkInterface|PrivateIpAddresses|Route|RouteTable|SecurityGroup|Snapshot|Subnet"
    "|Volume|Vpc)(Attribute|Permission)?"
)
"""Calls of EC2 that set up networks and disks, but those that take these to other regions, or in or out of EC2."""
_ABOUT_DATA = frozenset({
    "AddTags", "AddTagsToCertificate", "AddTagsToResource", "AddTagsToStream", "BatchImportFindings",
    "ChangeTagsForResource", "CompleteLayerUpload", "CompleteMultipartUpload", "CopyObject", "CreateBucket",
    "CreateInvalidation", "CreateLogGroup", "CreateLogStream", "CreateMultipartUpload", "CreateSecret", "CreateTags",
    "GenerateCredentialReport", "GenerateOrganizationsAccessReport", "GenerateQuery",
    "GenerateServiceLastAccessedDetails", "GitPull", "InitiateLayerUpload", "InitiateMultipartUpload",
    "MonitorInstances", "Publish", "PublishBatch", "PutBucketEncryption", "PutBucketLifecycle", "PutBucketTagging",
    "PutBucketVersioning", "PutComplianceItems", "PutEvents", "PutInventory", "PutLifecyclePolicy", "PutLogEvents",
    "PutObject", "PutObjectTagging", "PutParameter", "PutRecord", "PutRecordBatch", "PutRecords",
    "PutRetentionPolicy", "PutSecretValue", "RenameObject", "RestoreObject", "SendBulkEmail", "SendEmail",
    "SendRawEmail", "StartQuery", "StartQueryExecution", "UpdateInstanceAssociationStatus",
    "UpdateInstanceInformation", "UploadArchive", "UploadLayerPart", "UploadMultipartPart", "UploadPart",
    "UploadPartCopy",
})  # fmt: skip
"""Calls that set up, change, label or measure data and things only, and reports that somebody asks for."""
_PLAIN_USE = frozenset({
    # of keys, but for a signature, which others may take for its owner's
    "Decapsulate", "Decrypt", "DeriveSharedSecret", "Encapsulate", "Encrypt", "GenerateDataKey", "GenerateDataKeyPair",
    "GenerateDataKeyPairWithoutPlaintext", "GenerateDataKeyWithoutPlaintext", "GenerateMac", "GenerateRandom",
    "ReEncrypt", "Verify", "VerifyMac",
    # of functions and models
    "ApplyGuardrail", "Invoke", "InvokeAsync", "InvokeEndpoint", "InvokeEndpointAsync",
    "InvokeEndpointWithResponseStream", "InvokeGuardrailChecks", "InvokeModel", "InvokeModelWithBidirectionalStream",
    "InvokeModelWithResponseStream", "InvokeWithResponseStream",
    # by agents on instances, and by what runs of a stack, a state machine, a cluster or an Auto Scaling group
    "CompleteLifecycleAction", "CreateControlChannel", "FailMessage", "OpenControlChannel", "SendReply",
    "SendTaskFailure", "SendTaskHeartbeat", "SendTaskSuccess", "SignalResource", "SubmitAttachmentStateChanges",
    "SubmitContainerStateChange", "SubmitTaskStateChange",
    # by the console and at sign-in
    "Authenticate", "CredentialChallenge", "CredentialVerification", "ExitRole", "RenewRole", "SendHeartBeat",
    "UserAuthentication",
    # that turns the log on
    "StartLogging",
})  # fmt: skip
"""
Calls that use what is there, as its owner meant it.

Sources of those that no API Reference has: AWS Systems Manager User Guide, 'Reference: ec2messages, ssmmessages, and
other API operations'; AWS Sign-In User Guide, 'Logging AWS Sign-In API calls'; IAM Identity Center User Guide,
'Understanding IAM Identity Center sign-in events'; AWS CloudShell User Guide, 'Logging and monitoring'.
"""
_OPENING_CALLS = {
    "apigateway": "TestInvokeMethod",
    "backup": "CancelLegalHold DeleteBackupVaultAccessPolicy",
    "bedrock-agentcore": "GetResourcePaymentToken",
    "cloudfront": "DisassociateDistributionWebACL",
    "codecommit": "DeletePullRequestApprovalRule",
    "connect": "GetFederationToken",
    "cognito-identity": "GetOpenIdToken",
    "cognito-idp": "GetTokensFromRefreshToken",
    "controltower": "DisableControl",
    "datazone": "GetConnection",
    "dynamodb": "DeleteResourcePolicy",
    "ec2": "DisableAllowedImagesSettings DisableImageBlockPublicAccess DisableSnapshotBlockPublicAccess",
    "ecr": "DeleteRegistryPolicy DeleteRepositoryPolicy",
    "elasticfilesystem": "DeleteFileSystemPolicy",
    "elasticloadbalancing": "RemoveTrustStoreRevocations",
    "elasticmapreduce": "GetClusterSessionCredentials GetPersistentAppUIPresignedURL GetSessionEndpoint",
    "emr-serverless": "GetSessionEndpoint",
    "glacier": "AbortVaultLock DeleteVaultAccessPolicy",
    "glue": "DeleteResourcePolicy GetSessionEndpoint",
    "iam": "DeleteAccountPasswordPolicy TagRole TagUser UntagRole UntagUser",
    "kinesis": "DeleteResourcePolicy",
    "lambda": "DeleteFunctionCodeSigningConfig DeleteFunctionConcurrency",
    "license-manager": "GetAccessToken",
    "lightsail": "GetInstanceAccessDetails",
    "organizations": "DeleteResourcePolicy",
    "pca-connector-scep": "GetChallengePassword",
    "redshift": "GetIdentityCenterAuthToken",
    "rolesanywhere": "DeleteAttributeMapping DeleteCrl DisableCrl",
    "route53domains": "DisableDomainTransferLock RetrieveDomainAuthCode",
    "s3": "DeleteAccessPointPolicy DeleteAccessPointPolicyForObjectLambda DeleteBucketPolicy",
    "s3express": "DeleteBucketPolicy",
    "s3tables": "DeleteTableBucketPolicy DeleteTablePolicy",
    "secretsmanager": "DeleteResourcePolicy",
    "signin": "DeleteConsoleAuthorizationConfiguration DeleteResourcePermissionStatement",
    "sso": "DeleteInlinePolicyFromPermissionSet DeletePermissionsBoundaryFromPermissionSet "
    "DetachCustomerManagedPolicyReferenceFromPermissionSet DetachManagedPolicyFromPermissionSet",
    "verifiedpermissions": "DeletePolicy",
    "vpc-lattice": "DeleteAuthPolicy DeleteResourcePolicy",
    "waf-regional": "DeleteWebACL DisassociateWebACL",
    "wafv2": "DeleteWebACL DisassociateWebACL",
    "workspaces": "DisassociateIpGroups",
}
_NOT_HARMLESS = frozenset(
    (service, name) for service, names in _OPENING_CALLS.items() for name in names.split()
)
"""
Calls that read, label or take away by their names, and open something.

What a policy denied is allowed without it. Policies may ask for a principal's tags (IAM User Guide, 'Define permissions
based on attributes with ABAC authorization'). A certificate that is on no list of its authority is taken (IAM Roles
Anywhere User Guide, 'Revocation'). Without its limit of concurrency, a function that was stopped by one runs again (AWS
Lambda API Reference, 'DeleteFunctionConcurrency'). With the code that RetrieveDomainAuthCode tells, a domain moves to
another registrar, once it is not locked (Amazon Route 53 API Reference, the page of each call). The Gets tell tokens,
passwords, keys or links with which others go in (each service's API Reference).
"""


def is_harmless(service: str, name: str) -> bool:
    """
    Whether a call lets nobody in and starts nothing, as far as its name tells.

    Args:
        service: The first part of `eventSource`.
        name: `eventName`.
    """
    call = unversioned(name)
    if (service, call) in _NOT_HARMLESS:
        return False
    if service in _DATA_SERVICES or call in _ABOUT_DATA or call in _PLAIN_USE:
        return True
    network = service == "ec2" and _NETWORK.fullmatch(call)
    return bool(network or _VERBS.match(_MANY.sub("", call)))
