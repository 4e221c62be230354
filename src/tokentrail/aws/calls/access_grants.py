"""
Calls that let somebody in for longer than the caller's credentials last, or that act with a role for the caller.

Rows are as in `role_passing`. Sources: IAM API Reference and the API Reference of each service, the page of each call.
"""

from __future__ import annotations

from collections.abc import Mapping

from tokentrail.aws.calls.role_passing import Row

IAM: tuple[Row, ...] = (
    ("access_key", "iam", "CreateAccessKey", "~accessKey.accessKeyId"),
    ("access_key", "iam", "UpdateAccessKey", "accessKeyId"),
    ("user", "iam", "CreateUser", "~user.arn userName"),
    ("login_profile", "iam", "CreateLoginProfile", "userName ~loginProfile.userName"),
    ("login_profile", "iam", "UpdateLoginProfile", "userName"),
    ("login_profile", "iam", "ChangePassword", ""),
    ("role", "iam", "CreateRole", "~role.arn roleName"),
    ("role", "iam", "AcquireRole", "~role.arn"),
    ("trust", "iam", "UpdateAssumeRolePolicy", "roleName"),
    ("policy", "iam", "PutUserPolicy AttachUserPolicy", "userName"),
    ("policy", "iam", "PutRolePolicy AttachRolePolicy", "roleName"),
    ("policy", "iam", "PutGroupPolicy AttachGroupPolicy", "groupName"),
    ("policy", "iam", "CreatePolicy", "~policy.arn policyName"),
    ("policy", "iam", "CreatePolicyVersion SetDefaultPolicyVersion", "policyArn"),
    ("policy", "organizations", "CreatePolicy", "~policy.policySummary.arn name"),
    ("group_membership", "iam", "AddUserToGroup", "userName"),
    ("instance_profile", "iam", "AddRoleToInstanceProfile", "roleName"),
    ("instance_profile", "iam", "CreateInstanceProfile", "instanceProfileName"),
    ("boundary", "iam", "PutRolePermissionsBoundary", "roleName"),
    ("boundary", "iam", "PutUserPermissionsBoundary", "userName"),
    ("provider", "iam", "CreateSAMLProvider", "~sAMLProviderArn"),
    ("provider", "iam", "UpdateSAMLProvider", "sAMLProviderArn"),
    ("provider", "iam", "CreateOpenIDConnectProvider", "~openIDConnectProviderArn url"),
    ("provider", "iam", "AddClientIDToOpenIDConnectProvider UpdateOpenIDConnectProviderThumbprint",
     "openIDConnectProviderArn"),
    ("identity_propagation", "iam", "UpdateOpenIDConnectProvider", "openIDConnectProviderArn"),
    ("mfa_device", "iam", "EnableMFADevice", "serialNumber"),
    ("mfa_device", "iam", "CreateVirtualMFADevice", "~virtualMFADevice.serialNumber"),
    ("ssh_key", "iam", "UploadSSHPublicKey", "~sSHPublicKey.sSHPublicKeyId"),
    ("certificate", "iam", "UploadSigningCertificate", "~certificate.certificateId"),
    ("service_credential", "iam", "CreateServiceSpecificCredential",
     "~serviceSpecificCredential.serviceSpecificCredentialId userName"),
    ("service_credential", "iam", "ResetServiceSpecificCredential", "serviceSpecificCredentialId"),
    ("outbound_federation", "iam", "EnableOutboundWebIdentityFederation", ""),
    ("root_access", "iam", "EnableOrganizationsRootSessions EnableOrganizationsRootCredentialsManagement", ""),
    ("delegation", "iam", "AcceptDelegationRequest SendDelegationToken", "delegationRequestId"),
)  # fmt: skip
"""Calls to IAM and to AWS Organizations by which somebody can mint credentials later, or may do more."""

EMPOWERS: Mapping[str | None, str] = {
    "user/*": "CreateAccessKey UpdateAccessKey CreateLoginProfile UpdateLoginProfile CreateUser PutUserPolicy "
    "DeleteUserPolicy AttachUserPolicy DetachUserPolicy PutUserPermissionsBoundary DeleteUserPermissionsBoundary "
    "CreateServiceSpecificCredential ResetServiceSpecificCredential UploadSigningCertificate UpdateUser",
    "role/*": "CreateRole UpdateAssumeRolePolicy PutRolePolicy DeleteRolePolicy AttachRolePolicy DetachRolePolicy "
    "PutRolePermissionsBoundary DeleteRolePermissionsBoundary",
    None: "AcquireRole",
    "policy/*": "CreatePolicyVersion SetDefaultPolicyVersion",
    "group/*": "AddUserToGroup RemoveUserFromGroup PutGroupPolicy DeleteGroupPolicy AttachGroupPolicy "
    "DetachGroupPolicy",
    "oidc-provider/*": "CreateOpenIDConnectProvider AddClientIDToOpenIDConnectProvider",
    "saml-provider/*": "CreateSAMLProvider UpdateSAMLProvider",
}  # fmt: skip
"""
The calls to IAM that by themselves give somebody credentials or permissions: most people may change their own password.

By the type of resource that the permission is about; `None` if there are several types (Service Authorization
Reference, 'Actions, resources, and condition keys for AWS Identity and Access Management').
"""
FREES = (
    "DetachPolicy UpdatePolicy DeletePolicy DisablePolicyType MoveAccount RemoveAccountFromOrganization "
    "LeaveOrganization"
)
"""The calls to AWS Organizations after which an account may do more (Service Authorization Reference)."""

OTHER: tuple[Row, ...] = (
    ("trust_anchor", "rolesanywhere", "CreateTrustAnchor", "~trustAnchor.trustAnchorArn"),
    ("trust_anchor", "rolesanywhere", "UpdateTrustAnchor EnableTrustAnchor",
     "trustAnchorId ~trustAnchor.trustAnchorArn"),
    ("anywhere_profile", "rolesanywhere", "CreateProfile", "~profile.profileArn"),
    ("anywhere_profile", "rolesanywhere", "UpdateProfile EnableProfile", "profileId ~profile.profileArn"),
    ("identity_propagation", "rolesanywhere", "PutAttributeMapping", "profileId ~profile.profileArn"),
    ("private_certificate", "acm-pca", "IssueCertificate", "~certificateArn certificateAuthorityArn"),
    ("oauth_client", "signin", "CreateOAuth2PublicClient", "clientName"),
    ("permission_set", "sso", "CreatePermissionSet", "~permissionSet.permissionSetArn"),
    ("permission_set", "sso", "PutInlinePolicyToPermissionSet", "permissionSetArn"),
    ("assignment", "sso", "CreateAccountAssignment", "principalId"),
    ("group_membership", "identitystore", "CreateGroupMembership", "groupId"),
    ("group_membership", "quicksight", "CreateGroupMembership", "groupName"),
    ("grant", "kms", "CreateGrant", "~grantId"),
    ("replication", "s3", "PutBucketReplication", "bucketName"),
    ("resource_policy", "logs", "PutSubscriptionFilter", "logGroupName"),
    ("function_url", "lambda", "CreateFunctionUrlConfig UpdateFunctionUrlConfig", "functionName"),
    ("service_role", "ec2", "AssociateEnclaveCertificateIamRole", "roleArn certificateArn"),
    ("support_access", "supportauthz", "CreateSupportPermit", "~arn name"),
    ("key_pair", "ec2", "CreateKeyPair ImportKeyPair", "~keyPairId keyName"),
    ("key_pair", "lightsail", "CreateKeyPair ImportKeyPair", "keyPairName"),
    ("cluster_access", "eks", "CreateAccessEntry UpdateAccessEntry AssociateAccessPolicy UpdateClusterConfig "
     "AssociateIdentityProviderConfig CreateCluster CreateFargateProfile CreateAddon UpdateAddon CreateCapability",
     "clusterName name"),
    ("identity_pool_setting", "cognito-identity", "CreateIdentityPool UpdateIdentityPool SetPrincipalTagAttributeMap",
     "identityPoolId identityPoolName"),
    ("pool_user", "cognito-idp", "AdminCreateUser AdminSetUserPassword AdminAddUserToGroup AdminUpdateUserAttributes "
     "CreateIdentityProvider UpdateIdentityProvider CreateUserPoolClient UpdateUserPoolClient", "userPoolId"),
    ("device", "iot", "CreateKeysAndCertificate CreateCertificateFromCsr RegisterCertificate "
     "RegisterCertificateWithoutCA RegisterCACertificate AttachPolicy CreateProvisioningTemplate CreateAuthorizer "
     "CreateTopicRule ReplaceTopicRule", "~certificateId target templateName authorizerName ruleName"),
    ("transfer_key", "transfer", "ImportSshPublicKey CreateServer UpdateServer CreateConnector CreateAgreement",
     "userName serverId"),
    ("share", "ram", "CreateResourceShare AssociateResourceShare AcceptResourceShareInvitation "
     "EnableSharingWithAwsOrganization", "resourceShareArn name resourceShareInvitationArn"),
    ("policy", "organizations", "AttachPolicy", "policyId targetId"),
    ("organization", "organizations", "InviteAccountToOrganization AcceptHandshake LeaveOrganization CreateAccount "
     "RemoveAccountFromOrganization MoveAccount RegisterDelegatedAdministrator EnableAWSServiceAccess "
     "DisablePolicyType", "accountId handshakeId servicePrincipal rootId accountName target.id"),
    ("permission_set", "sso", "AttachManagedPolicyToPermissionSet AttachCustomerManagedPolicyReferenceToPermissionSet "
     "UpdatePermissionSet ProvisionPermissionSet PutPermissionsBoundaryToPermissionSet", "permissionSetArn"),
    ("sign_in_setting", "account-access", "CreateApplication", "~applicationArn"),
    ("sign_in_setting", "sso", "CreateApplication CreateTrustedTokenIssuer UpdateTrustedTokenIssuer "
     "PutApplicationGrant PutApplicationAuthenticationMethod PutApplicationAccessScope CreateApplicationAssignment "
     "AssociateDirectory UpdateDirectoryAssociation EnableExternalIdPConfigurationForDirectory "
     "CreateExternalIdPConfigurationForDirectory UpdateExternalIdPConfigurationForDirectory",
     "applicationArn trustedTokenIssuerArn directoryId name"),
    ("directory_user", "identitystore", "CreateUser UpdateUser CreateGroup", "~userId userId userName displayName"),
    ("directory_user", "sso-directory", "CreateUser UpdateUser UpdatePassword AddMemberToGroup "
     "CreateProvisioningTenant EnableUser", "~user.userId userId groupId"),
    ("bucket_access", "s3", "CreateAccessPoint DeleteBucketPublicAccessBlock "
     "PutBucketPublicAccessBlock PutAccountPublicAccessBlock DeleteAccountPublicAccessBlock "
     "PutMultiRegionAccessPointPolicy", "bucketName name"),
    ("layer", "lambda", "PublishLayerVersion", "layerName"),
    ("trigger", "lambda", "CreateEventSourceMapping UpdateEventSourceMapping", "functionName uUID"),
    ("trigger", "secretsmanager", "RotateSecret", "secretId"),
    ("database_role", "rds", "AddRoleToDBInstance AddRoleToDBCluster", "dBInstanceIdentifier dBClusterIdentifier"),
    ("database_role", "redshift", "ModifyClusterIamRoles CreateScheduledAction",
     "clusterIdentifier scheduledActionName"),
    ("service_role", "glue", "CreateCrawler UpdateCrawler CreateMLTransform UpdateMLTransform", "name transformId"),
    ("service_role", "bedrock", "CreateAgent UpdateAgent CreateFlow UpdateFlow CreateKnowledgeBase "
     "CreateModelCustomizationJob CreateModelImportJob CreateModelInvocationJob", "agentId agentName jobName name"),
    ("service_role", "bedrock-agentcore", "CreateGateway UpdateGateway CreateMemory", "name gatewayIdentifier"),
    ("service_role", "states", "TestState", "stateName"),
    ("service_role", "kinesis", "CreateChannel", "channelName"),
    ("service_role", "monitoring", "PutMetricStream PutLogAlarm", "name alarmName"),
    ("service_role", "timestream", "CreateScheduledQuery", "name"),
    ("service_role", "ssm", "UpdateServiceSetting", "settingId"),
    ("service_role", "firehose", "CreateDeliveryStream UpdateDestination", "deliveryStreamName"),
    ("service_role", "appsync", "CreateDataSource UpdateDataSource CreateApiKey", "apiId"),
    ("service_role", "apigateway", "PutIntegration UpdateIntegration", "restApiId"),
    ("service_role", "databrew", "CreateRecipeJob CreateProfileJob UpdateRecipeJob UpdateProfileJob CreateProject",
     "name"),
    ("service_role", "fis", "CreateExperimentTemplate UpdateExperimentTemplate StartExperiment",
     "experimentTemplateId id"),
    ("service_role", "codedeploy", "CreateDeploymentGroup UpdateDeploymentGroup",
     "deploymentGroupName currentDeploymentGroupName"),
    ("service_role", "datazone", "CreateDomain UpdateDomain CreateConnection AssociateEnvironmentRole", "name "
     "domainIdentifier"),
    ("service_role", "cloudcontrolapi", "CreateResource UpdateResource", "typeName"),
    ("service_role", "greengrass", "AssociateServiceRoleToAccount", "roleArn"),
    ("launch_template", "ec2", "CreateLaunchTemplate CreateLaunchTemplateVersion ModifyLaunchTemplate",
     "launchTemplateId launchTemplateName"),
    ("launch_template", "autoscaling", "CreateLaunchConfiguration UpdateAutoScalingGroup", "autoScalingGroupName "
     "launchConfigurationName"),
    ("environment", "cloud9", "CreateEnvironmentEC2", "name"),
    ("lightsail_access", "lightsail", "CreateBucketAccessKey CreateInstances GetInstanceAccessDetails", "bucketName "
     "instanceName"),
    ("webhook", "codebuild", "CreateWebhook ImportSourceCredentials", "projectName"),
    ("workspace_token", "grafana", "CreateWorkspaceApiKey CreateWorkspaceServiceAccountToken UpdatePermissions",
     "workspaceId"),
    ("ssm_document", "ssm", "CreateDocument UpdateDocument UpdateDocumentDefaultVersion", "name"),
)  # fmt: skip
"""Calls to other services that let somebody in, or that act with a role and hand no session of it to anybody."""

SETTINGS: dict[str, str] = {
    "iam": "CreateGroup DeactivateMFADevice DeleteAccessKey DeleteGroup DeleteGroupPolicy DeleteInstanceProfile "
    "DeleteLoginProfile DeleteOpenIDConnectProvider DeletePolicy DeletePolicyVersion DeleteRole "
    "DeleteRolePermissionsBoundary DeleteRolePolicy DeleteSAMLProvider DeleteSSHPublicKey "
    "DeleteServiceSpecificCredential DeleteSigningCertificate DeleteUser DeleteUserPermissionsBoundary "
    "DeleteUserPolicy DeleteVirtualMFADevice DetachGroupPolicy DetachRolePolicy DetachUserPolicy "
    "DisableOutboundWebIdentityFederation RemoveRoleFromInstanceProfile RemoveUserFromGroup UpdateGroup UpdateRole "
    "UpdateServiceSpecificCredential UpdateUser",
    "organizations": "DeletePolicy DetachPolicy UpdatePolicy",
}
"""Other calls whose whole request matters to a credential's state or offspring (IAM API Reference)."""
