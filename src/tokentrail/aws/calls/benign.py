"""
Benign calls: calls that let nobody in and start nothing. They read, take away, or only use what is there.

The verbs decide about calls that no row of the catalogue knows: AWS adds calls every week, and a call with a verb that
nobody has heard of is never benign. A verb is here only if it is benign in every service, except for the calls that
another table of the catalogue reviews. Benign calls with other verbs are named one by one, and so are the calls that
read, label or take away by their names, and open something (`OPENS`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

_BATCH = re.compile("(Admin|Batch)(?=[A-Z])")
"""Prefixes before the verb: a call for many things at once, or by an administrator of a Cognito user pool."""
_READS = (
    "Agentic Analyze Autocomplete Calculate Check Classify Compare Contains Count Decode Describe Detect Discover "
    "Download Estimate Evaluate Filter Forecast Geocode Get Head Infer Introspect Is List Lookup Poll Predict Preview "
    "Probe Query Read Receive Recognize Render Rerank Rescore Resolve Retrieve Scan Search Select Simulate Snap "
    "Suggest Synthesize Test Transcribe Translate Validate View"
)
"""The verbs of calls that only read. Calls that hand out credentials are known by their names."""
_REMOVES = (
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
"""The verbs of calls that report to a service, label things, or restart what runs."""
VERBS = f"{_READS} {_REMOVES} {_USES}".split()
_VERB = re.compile("[A-Z][a-z]*")
_VERBS = frozenset(VERBS)
DATA_SERVICES = frozenset({
    "ce", "dynamodb", "health", "kinesis", "monitoring", "rds-data", "redshift-data", "sqs", "support", "tagging",
    "timestream", "xray",
})  # fmt: skip
"""Services that hold data or measure. Their calls that admit somebody are all rows of the catalogue."""
_NETWORK = re.compile(
    "(?!Copy|Export|Import|Unlock)[A-Z][a-z]+(Address|DhcpOptions|Image|InternetGateway|Ipv6Addresses|NatGateway"
    "|NetworkAcl|NetworkAclEntry|NetworkInterface|PrivateIpAddresses|Route|RouteTable|SecurityGroup|Snapshot|Subnet"
    "|Volume|Vpc)(Attribute)?"
)
"""Calls of EC2 that set up networks and disks, except those that copy them to other regions, or in or out of EC2."""
DATA_CALLS = frozenset({
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
"""Calls that only create, change, label or measure data and resources, and calls that ask for a report."""
PLAIN_USE = frozenset({
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
Calls that use a resource as its owner meant it.

Sources of the calls that no API Reference has: AWS Systems Manager User Guide, 'Reference: ec2messages, ssmmessages,
and other API operations'; AWS Sign-In User Guide, 'Logging AWS Sign-In API calls'; IAM Identity Center User Guide,
'Understanding IAM Identity Center sign-in events'; AWS CloudShell User Guide, 'Logging and monitoring'.
"""
OPENS: Mapping[str, str] = {
    "apigateway": "TestInvokeMethod",
    "backup": "CancelLegalHold",
    "bedrock-agentcore bedrock-agentcore-control": "DeletePolicy",
    "cloudfront": "DisassociateDistributionWebACL",
    "codecommit": "DeletePullRequestApprovalRule",
    "controltower": "DisableControl",
    "ec2": "DeleteClientVpnEndpointAuthorizationPolicy DisableAllowedImagesSettings DisableImageBlockPublicAccess "
    "DisableSnapshotBlockPublicAccess",
    "elasticloadbalancing": "RemoveTrustStoreRevocations",
    "fms": "DeletePolicy",
    "glacier": "AbortVaultLock",
    "iam": "DeleteAccountPasswordPolicy TagRole TagUser UntagRole UntagUser",
    "lakeformation": "DeleteRLSPolicy DetachRLSPolicy",
    "lambda": "DeleteFunctionCodeSigningConfig DeleteFunctionConcurrency",
    "logs": "DeleteAccountPolicy DeleteDataProtectionPolicy",
    "network-security-manager": "DeletePolicy",
    "rolesanywhere": "DeleteAttributeMapping DeleteCrl DisableCrl",
    "route53domains": "DisableDomainTransferLock",
    "sso": "DeleteInlinePolicyFromPermissionSet DeletePermissionsBoundaryFromPermissionSet "
    "DetachCustomerManagedPolicyReferenceFromPermissionSet DetachManagedPolicyFromPermissionSet",
    "verifiedpermissions": "DeletePolicy",
    "waf": "DeleteWebACL",
    "waf-regional": "DeleteWebACL DisassociateWebACL",
    "wafv2": "DeleteWebACL DisassociateWebACL",
    "workspaces": "DisassociateIpGroups",
}
"""
By service: its calls that open something.

What a policy denied is allowed without the policy. Policies may ask for a principal's tags (IAM User Guide, 'Define
permissions based on attributes with ABAC authorization'). A certificate that is on no list of its authority is taken
(IAM Roles Anywhere User Guide, 'Revocation'). Without its limit of concurrency, a function that was stopped by one runs
again (AWS Lambda API Reference, 'DeleteFunctionConcurrency'). A domain that is not locked may move to another registrar
(Amazon Route 53 API Reference, 'DisableDomainTransferLock'). Without a policy of row-level security, all rows of a
table are read (AWS Lake Formation API Reference, 'DetachRLSPolicy'); without one of data protection, what logs hold is
no longer masked (Amazon CloudWatch Logs API Reference, 'DeleteDataProtectionPolicy').
"""


def is_benign(service: str, operation: str) -> bool:
    """Whether an operation is benign, as far as its name tells: what a row of the catalogue says comes first."""
    if service in DATA_SERVICES or operation in DATA_CALLS or operation in PLAIN_USE:
        return True
    network = service == "ec2" and _NETWORK.fullmatch(operation)
    verb = _VERB.match(without_prefix(operation))
    return bool(network or (verb and verb[0] in _VERBS))


def without_prefix(operation: str) -> str:
    """An operation without `Batch` or `Admin` before its verb."""
    return _BATCH.sub("", operation)
