"""
Calls that write or remove a policy or permission of a resource.

A resource policy may allow a stranger, or deny one. So both its writing and its removal count as a change: what the
attacker wrote is persistence, and what the attacker removed may have been a protection.

A row is: the service (or several), the calls that write, the calls that remove, and the members in which both must
agree to be about the same policy. Members are as in `reversals`. Sources: the API Reference of each service, the page
of each call; Amazon S3 names a bucket `bucketName` in the log.
"""

from __future__ import annotations

from collections.abc import Mapping

Row = tuple[str, str, str, str]

_BY_ARN = (
    "bedrock bedrock-agentcore cloudfront cloudhsm cloudtrail codebuild comprehend dynamodb lambda lookoutequipment "
    "aws-marketplace marketplace network-firewall networkmanager osis payment-cryptography redshift "
    "redshift-serverless sms-voice vpc-lattice"
)
"""Services whose PutResourcePolicy and DeleteResourcePolicy name the resource by `resourceArn`."""

POLICIES: tuple[Row, ...] = (
    (_BY_ARN, "PutResourcePolicy", "DeleteResourcePolicy", "resourceArn"),
    ("acm-pca", "PutPolicy", "DeletePolicy", "resourceArn"),
    ("acm-pca", "CreatePermission", "DeletePermission", "certificateAuthorityArn principal sourceAccount?"),
    ("aiops", "PutInvestigationGroupPolicy", "DeleteInvestigationGroupPolicy", "identifier"),
    ("aoss", "CreateAccessPolicy UpdateAccessPolicy", "DeleteAccessPolicy", "name type"),
    ("apigateway", "PutPortalProductSharingPolicy", "DeletePortalProductSharingPolicy", "portalProductId"),
    ("apiportal", "PutProductSharingPolicy", "DeleteProductSharingPolicy", "productId"),
    ("aps", "PutResourcePolicy", "DeleteResourcePolicy", "workspaceId"),
    ("backup", "PutBackupVaultAccessPolicy", "DeleteBackupVaultAccessPolicy", "backupVaultName"),
    ("cleanrooms-ml", "PutConfiguredAudienceModelPolicy", "DeleteConfiguredAudienceModelPolicy",
     "configuredAudienceModelArn"),
    ("cloudsearch", "UpdateServiceAccessPolicies", "", "domainName"),
    ("codeartifact", "PutDomainPermissionsPolicy", "DeleteDomainPermissionsPolicy", "domain domainOwner?"),
    ("codeartifact", "PutRepositoryPermissionsPolicy", "DeleteRepositoryPermissionsPolicy",
     "repository domain domainOwner?"),
    ("codeguru-profiler", "PutPermission", "RemovePermission", "profilingGroupName actionGroup"),
    ("continuum", "PutResourcePolicy", "", "arn"),
    ("dsql", "PutClusterPolicy", "DeleteClusterPolicy", "identifier"),
    ("ec2", "CreateNetworkInterfacePermission", "DeleteNetworkInterfacePermission",
     "networkInterfacePermissionId=~networkInterfacePermission.networkInterfacePermissionId"),
    ("ec2", "ModifyVpcEndpointServicePermissions", "", "serviceId"),
    ("ec2", "ModifyImageAttribute", "ResetImageAttribute", "imageId"),
    ("ec2", "ModifySnapshotAttribute", "ResetSnapshotAttribute", "snapshotId"),
    ("ecr", "SetRepositoryPolicy", "DeleteRepositoryPolicy", "repositoryName registryId?"),
    ("ecr", "PutRegistryPolicy", "DeleteRegistryPolicy", ""),
    ("ecr-public", "SetRepositoryPolicy", "DeleteRepositoryPolicy", "repositoryName registryId?"),
    ("elasticfilesystem s3files", "PutFileSystemPolicy", "DeleteFileSystemPolicy", "fileSystemId"),
    ("elemental-inference", "PutFeedPolicy", "DeleteFeedPolicy", "id"),
    ("entityresolution", "AddPolicyStatement", "DeletePolicyStatement", "arn statementId"),
    ("entityresolution", "PutPolicy", "", "arn"),
    ("es", "CreateElasticsearchDomain UpdateElasticsearchDomainConfig CreateDomain UpdateDomainConfig", "",
     "domainName"),
    ("events", "PutPermission", "RemovePermission", "eventBusName? statementId"),
    ("events eventsv2", "PutResourcePolicy", "DeleteResourcePolicy", "resourceArn"),
    ("glacier", "SetVaultAccessPolicy", "DeleteVaultAccessPolicy", "vaultName"),
    ("glue", "PutResourcePolicy", "DeleteResourcePolicy", "resourceArn?"),
    ("imagebuilder", "PutComponentPolicy", "", "componentArn"),
    ("imagebuilder", "PutContainerRecipePolicy", "", "containerRecipeArn"),
    ("imagebuilder", "PutImagePolicy", "", "imageArn"),
    ("imagebuilder", "PutImageRecipePolicy", "", "imageRecipeArn"),
    ("kafka", "PutClusterPolicy", "DeleteClusterPolicy", "clusterArn"),
    ("kinesis", "PutResourcePolicy", "DeleteResourcePolicy", "resourceARN"),
    ("kms", "PutKeyPolicy", "", "keyId"),
    ("lambda", "AddLayerVersionPermission", "RemoveLayerVersionPermission", "layerName versionNumber statementId"),
    ("lex", "CreateResourcePolicy UpdateResourcePolicy", "DeleteResourcePolicy", "resourceArn"),
    ("lex", "CreateResourcePolicyStatement", "DeleteResourcePolicyStatement", "resourceArn statementId"),
    ("logs", "PutDeliveryDestinationPolicy", "DeleteDeliveryDestinationPolicy", "deliveryDestinationName"),
    ("logs", "PutDestinationPolicy", "", "destinationName"),
    ("logs", "PutResourcePolicy", "DeleteResourcePolicy", "policyName? resourceArn?"),
    ("mediapackagev2", "PutChannelPolicy", "DeleteChannelPolicy", "channelName channelGroupName"),
    ("mediapackagev2", "PutOriginEndpointPolicy", "DeleteOriginEndpointPolicy",
     "originEndpointName channelName channelGroupName"),
    ("mediastore", "PutContainerPolicy", "DeleteContainerPolicy", "containerName"),
    ("mediatailor", "PutChannelPolicy", "DeleteChannelPolicy", "channelName"),
    ("oam", "PutSinkPolicy", "", "sinkIdentifier"),
    ("omics", "PutS3AccessPolicy", "DeleteS3AccessPolicy", "s3AccessPointArn"),
    ("organizations", "PutResourcePolicy", "DeleteResourcePolicy", ""),
    ("rds", "ModifyDBSnapshotAttribute", "", "dBSnapshotIdentifier"),
    ("rds", "ModifyDBClusterSnapshotAttribute", "", "dBClusterSnapshotIdentifier"),
    ("redshift", "AuthorizeDataShare", "DeauthorizeDataShare", "dataShareArn consumerIdentifier"),
    ("redshift", "AuthorizeEndpointAccess", "RevokeEndpointAccess", "clusterIdentifier account"),
    ("redshift", "AuthorizeSnapshotAccess", "RevokeSnapshotAccess", "snapshotIdentifier accountWithRestoreAccess"),
    ("refactor-spaces", "PutResourcePolicy", "DeleteResourcePolicy", "identifier=resourceArn"),
    ("rekognition", "PutProjectPolicy", "DeleteProjectPolicy", "projectArn policyName"),
    ("route53resolver", "PutFirewallRuleGroupPolicy PutResolverQueryLogConfigPolicy PutResolverRulePolicy", "", "arn"),
    ("rum", "PutResourcePolicy", "DeleteResourcePolicy", "name"),
    ("s3 s3express", "PutBucketPolicy", "DeleteBucketPolicy", "bucketName"),
    ("s3", "PutAccessGrantsInstanceResourcePolicy", "DeleteAccessGrantsInstanceResourcePolicy", ""),
    ("s3", "PutAccessPointPolicy", "DeleteAccessPointPolicy", "name"),
    ("s3", "PutAccessPointPolicyForObjectLambda", "DeleteAccessPointPolicyForObjectLambda", "name"),
    ("s3tables", "PutTableBucketPolicy", "DeleteTableBucketPolicy", "tableBucketARN"),
    ("s3tables", "PutTablePolicy", "DeleteTablePolicy", "name namespace tableBucketARN"),
    ("s3vectors", "PutVectorBucketPolicy", "DeleteVectorBucketPolicy", "vectorBucketName? vectorBucketArn?"),
    ("sagemaker", "PutEndpointPolicy", "DeleteEndpointPolicy", "endpointName"),
    ("sagemaker", "PutModelPackageGroupPolicy", "DeleteModelPackageGroupPolicy", "modelPackageGroupName"),
    ("schemas", "PutResourcePolicy", "DeleteResourcePolicy", "registryName?"),
    ("secretsmanager", "PutResourcePolicy", "DeleteResourcePolicy", "secretId"),
    ("serverlessrepo", "PutApplicationPolicy", "", "applicationId"),
    ("servicecatalog", "CreatePortfolioShare UpdatePortfolioShare", "DeletePortfolioShare", "portfolioId accountId"),
    ("ses", "PutIdentityPolicy", "DeleteIdentityPolicy", "identity policyName"),
    ("ses", "CreateEmailIdentityPolicy UpdateEmailIdentityPolicy", "DeleteEmailIdentityPolicy",
     "emailIdentity policyName"),
    ("signer", "AddProfilePermission", "RemoveProfilePermission", "profileName statementId"),
    ("signin", "PutConsoleAuthorizationConfiguration", "DeleteConsoleAuthorizationConfiguration", ""),
    ("signin", "PutResourcePermissionStatement", "DeleteResourcePermissionStatement", "statementId=~statementId"),
    ("sns", "AddPermission", "RemovePermission", "topicArn label"),
    ("sns", "SetTopicAttributes", "", "topicArn"),
    ("sqs", "AddPermission", "RemovePermission", "queueUrl label"),
    ("sqs", "SetQueueAttributes", "", "queueUrl"),
    ("ssm", "ModifyDocumentPermission", "", "name"),
    ("ssm ssm-incidents", "PutResourcePolicy", "DeleteResourcePolicy", "resourceArn policyId=~policyId"),
    ("ssm-contacts", "PutContactPolicy", "", "contactArn"),
    ("ssm-sap", "PutResourcePermission", "DeleteResourcePermission", "resourceArn sourceResourceArn"),
    ("vpc-lattice", "PutAuthPolicy", "DeleteAuthPolicy", "resourceIdentifier"),
    ("waf waf-regional wafv2", "PutPermissionPolicy", "DeletePermissionPolicy", "resourceArn"),
    ("wellarchitected", "PutAgentProfilePolicy", "DeleteAgentProfilePolicy", "profileArn"),
    ("wellarchitected", "PutAgentRecommendationPolicy", "DeleteAgentRecommendationPolicy", "recommendationArn"),
    ("workspaces", "UpdateConnectionAliasPermission", "", "aliasId"),
    ("workspaces", "UpdateWorkspaceImagePermission", "", "imageId"),
    ("xray", "PutResourcePolicy", "DeleteResourcePolicy", "policyName"),
)  # fmt: skip
"""What such a call leaves is a `resource_policy`."""

FUNCTION_POLICIES: tuple[Row, ...] = (
    ("lambda", "AddPermission", "RemovePermission", "functionName qualifier? statementId"),
)
"""What such a call leaves is a `function_policy`: who may invoke a function."""

ACCESS_GRANTS: tuple[Row, ...] = (
    ("s3", "CreateAccessGrant", "DeleteAccessGrant", "accessGrantId=~accessGrantId"),
    ("s3", "PutBucketAcl", "", "bucketName"),
)
"""What such a call leaves is a `bucket_access`."""

NO_CHANGE: Mapping[str, Mapping[str, str]] = {
    "takes away what somebody was allowed: it can hold no denial": {
        "cloudwatch cloudwatch-omni": "DeleteAccessGrant DeleteAccessProfile DeleteDomainAccessGrantForOrganization",
        "datazone": "RemovePolicyGrant RevokeSubscription",
        "deadline": "DisassociateMemberFromFarm DisassociateMemberFromFleet DisassociateMemberFromJob "
        "DisassociateMemberFromQueue",
        "ec2": "CancelImageLaunchPermission",
        "iot": "DeletePolicy DeletePolicyVersion DetachPolicy DetachPrincipalPolicy",
        "kms": "RetireGrant RevokeGrant",
        "lakeformation": "BatchRevokePermissions RevokePermissions",
        "ram": "DeletePermission",
        "redshift": "RejectDataShare",
        "s3 s3-control": "DeleteAccessGrantsInstance DeleteAccessGrantsLocation DissociateAccessGrantsIdentityCenter",
        "appstream appstream2": "DeleteImagePermissions",
        "workdocs": "RemoveAllResourcePermissions RemoveResourcePermission",
        "workmail": "DeleteMailboxPermissions",
    },
    "a policy of how the service scales, keeps, caches or inspects things: it admits nobody": {
        "aoss": "DeleteLifecyclePolicy DeleteSecurityPolicy",
        "application-autoscaling": "DeleteScalingPolicy",
        "autoscaling": "DeletePolicy",
        "batch": "DeleteSchedulingPolicy",
        "bedrock": "DeleteAutomatedReasoningPolicy",
        "cloudfront": "DeleteCachePolicy DeleteContinuousDeploymentPolicy DeleteOriginRequestPolicy "
        "DeleteResponseHeadersPolicy",
        "cognito-idp": "DeleteCIMDPolicy",
        "dlm": "DeleteLifecyclePolicy",
        "ec2": "DeleteIpamPolicy DeleteNetworkingFlexCostAllocationPolicies DeleteTransitGatewayMeteringPolicy",
        "ecr": "DeleteLifecyclePolicy",
        "elasticloadbalancing": "DeleteLoadBalancerPolicy",
        "elasticmapreduce": "RemoveAutoScalingPolicy RemoveAutoTerminationPolicy RemoveManagedScalingPolicy",
        "gamelift": "DeleteScalingPolicy",
        "imagebuilder": "DeleteLifecyclePolicy",
        "ivs": "DeletePlaybackRestrictionPolicy",
        "logs": "DeleteIndexPolicy DeleteRetentionPolicy",
        "mediaconvert": "DeletePolicy",
        "mediastore": "DeleteCorsPolicy DeleteLifecyclePolicy DeleteMetricPolicy PutLifecyclePolicy",
        "network-firewall": "DeleteFirewallPolicy",
        "resiliencehub": "DeletePolicy DeleteResiliencyPolicy",
        "route53": "DeleteTrafficPolicy",
        "mail-manager ses": "DeleteTrafficPolicy",
        "storagegateway": "DeleteAutomaticTapeCreationPolicy",
        "workmail": "DeleteRetentionPolicy PutRetentionPolicy",
        "xray": "PutEncryptionConfig",
    },
    "a permission within the application, which opens nothing of the account": {
        "clouddirectory": "DetachPolicy",
        "iotsitewise": "DeleteAccessPolicy",
        "quicksight": "DeleteAccountCustomPermission DeleteApprovalPolicy DeleteCustomPermissions "
        "DeleteRoleCustomPermission DeleteUserCustomPermission",
    },
    "lets the service read the accounts of the organisation, or no more, which opens no account": {
        "health": "DisableHealthServiceAccessForOrganization EnableHealthServiceAccessForOrganization",
        "notifications": "DisableNotificationsAccessForOrganization",
    },
}  # fmt: skip
"""By reason: operations that write or remove a policy or permission, by their names, and that no plan need name."""
