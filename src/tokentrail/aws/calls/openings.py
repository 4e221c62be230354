"""
Calls that read, label or take away by their names, and open something.

The catalogue also has these with other facts: removals of resource policies (`resource_policies`), and reads that give
a token or a secret (`credential_delivery`).
"""

from __future__ import annotations

from collections.abc import Mapping

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
