"""
Calls that give the caller a credential: a session, another role's session, a secret, a token, or a link that signs in.

Sources: the API Reference of each service, the page of each call, and those named at each table.
"""

from __future__ import annotations

from collections.abc import Mapping

ISSUING_SERVICES = frozenset({
    "sts", "signin", "sso", "sso-oauth", "rolesanywhere", "eks-auth", "cognito-identity", "iot", "s3express",
    "lakeformation",
})  # fmt: skip
"""Services whose successful answers may carry a temporary credential, whatever the call is named."""

ISSUES: Mapping[str, str] = {
    "sts": "AssumeRole AssumeRoleWithSAML AssumeRoleWithWebIdentity AssumeRoot GetSessionToken GetFederationToken "
    "GetScopedCredentials GetDelegatedAccessToken GetWebIdentityToken",
    "signin": "ConsoleLogin SwitchRole GetSigninToken CreateOAuth2Token CreateOAuth2TokenWithIAM "
    "CreateOAuth2TokenWithTokenExchange",
    "sso": "GetRoleCredentials Federate",
    "rolesanywhere": "CreateSession",
    "eks-auth": "AssumeRoleForPodIdentity",
    "cognito-identity": "GetCredentialsForIdentity",
    "s3express": "CreateSession",
    "lakeformation": "GetDataAccess",
}
"""
Calls that issue a credential, whose key id the log may not show, or a token that opens a role; of S3 Express One Zone
the log always shows the key.

AWS Sign-In User Guide, 'Logging AWS Sign-In API calls'; IAM User Guide, 'Logging IAM and AWS STS API calls with
AWS CloudTrail'; Amazon S3 User Guide, 'CloudTrail log file examples for directory buckets'; IAM Roles Anywhere User
Guide, 'The CreateSession operation'. Where the layout of an answer is not documented, the key id is taken if it is
there, and the link is left to principal and creation date if it is not; so too where CloudTrail left out an answer as
too long. GetDataAccess of Lake Formation names the session that it gives (AWS Lake Formation Developer Guide,
'Cross-account CloudTrail logging'). That of S3 is none of them: what it gives speaks for the role that S3 Access Grants
assumes, not for the caller, and its event tells neither role nor key (Amazon S3 API Reference, 'GetDataAccess'). By the
token of GetWebIdentityToken AssumeRoleWithWebIdentity opens a role in another partition of AWS (IAM User Guide,
'Federating AWS identities across AWS partitions').
"""

ROLE_CREDENTIALS: Mapping[str, str] = {
    "s3": "GetDataAccess",
    "lakeformation": "AssumeDecoratedRoleWithSAML GetTemporaryDataLocationCredentials "
    "GetTemporaryGlueFunctionCredentials GetTemporaryGluePartitionCredentials GetTemporaryGlueTableCredentials",
    "datazone": "GetEnvironmentCredentials",
    "deadline": "AssumeFleetRoleForRead AssumeFleetRoleForWorker AssumeQueueRoleForRead AssumeQueueRoleForUser "
    "AssumeQueueRoleForWorker",
    "codepipeline": "GetJobDetails GetThirdPartyJobDetails PollForJobs",
    "ssm": "GetAccessToken RequestManagedInstanceRoleToken",
    "eks-auth": "AssumeRoleForPodIdentity",
    "gamelift": "GetComputeAccess",
    "account-access account-access-runtime": "GetRoleCredentials",
    "cloudwatch cloudwatch-omni": "GetSpaceCredentialsForOrganization GetSpaceDataAccess",
}
"""
Calls whose answer has temporary credentials of a role that the service assumes for the caller.

For S3, 'GetDataAccess': "the IAM role that S3 Access Grants assumes". RequestManagedInstanceRoleToken, by which a node
of Systems Manager gets its role, is not in the reference, but is logged (AWS Systems Manager User Guide, 'Logging AWS
Systems Manager API calls with AWS CloudTrail'). AssumeRoleForPodIdentity is called by the node's agent, and by whoever
else has a node's credentials and pods' tokens. CloudWatch Omni's reference does not say under which of its two names it
logs.
"""

TASK_CREDENTIALS: Mapping[str, str] = {"ecs": "DiscoverPollEndpoint"}
"""
The call by which a container instance's agent finds where it is sent the credentials of each task that runs there: so
is whoever else has the instance's credentials (Amazon ECS Developer Guide, 'Amazon ECS task IAM role': tasks on one
instance may come at each other's).
"""

PERSON_TOKENS: Mapping[str, str] = {"sso-oauth sso": "CreateToken CreateTokenWithIAM"}
"""
Calls that give an application a person's token (IAM Identity Center OIDC API Reference).

CreateToken is logged under `sso.amazonaws.com` (IAM Identity Center User Guide, 'Understanding CloudTrail events for
IAM Identity Center').
"""

FOREIGN_TOKENS: Mapping[str, str] = {"sts": "GetWebIdentityToken"}
"""Calls that give a token for services outside AWS (AWS STS API Reference, 'GetWebIdentityToken')."""

TOKENS: Mapping[str, str] = {
    "athena": "GetSessionEndpoint CreatePresignedNotebookUrl",
    "bedrock-agentcore": "GetResourceOauth2Token GetResourcePaymentToken GetWorkloadAccessToken "
    "GetWorkloadAccessTokenForJWT GetWorkloadAccessTokenForUserId",
    "chime": "CreateAttendee BatchCreateAttendee GetAttendee ListAttendees GetBot ListBots",
    "codeartifact": "GetAuthorizationToken",
    "amplifyuibuilder": "ExchangeCodeForToken",
    "codecatalyst": "CreateAccessToken",
    "cognito-identity": "GetOpenIdToken GetOpenIdTokenForDeveloperIdentity",
    "cognito-idp": "AdminInitiateAuth AdminRespondToAuthChallenge GetClientToken GetDerivedToken "
    "GetTokensFromRefreshToken InitiateAuth RespondToAuthChallenge",
    "connect": "GetFederationToken",
    "datazone": "GetConnection GetIamPortalLoginUrl ListConnections",
    "ecr": "GetAuthorizationToken",
    "ecr-public": "GetAuthorizationToken",
    "elasticmapreduce": "GetClusterSessionCredentials GetOnClusterAppUIPresignedURL GetPersistentAppUIPresignedURL "
    "GetSessionEndpoint",
    "emr-containers": "GetManagedEndpointSessionCredentials",
    "emr-serverless": "GetSessionEndpoint",
    "evs": "GetDepotUrl",
    "gamelift": "GetComputeAuthToken GetPlayerConnectionDetails RequestUploadCredentials",
    "glue": "GetSessionEndpoint",
    "iot": "CreateProvisioningClaim",
    "IoTSecuredTunneling iot iotsecuredtunneling": "OpenTunnel RotateTunnelAccessToken",
    "ivs ivsrealtime": "CreateParticipantToken",
    "ivschat": "CreateChatToken",
    "kinesisvideo": "GetIceServerConfig",
    "license-manager": "GetAccessToken",
    "lightsail": "CreateContainerServiceRegistryLogin",
    "m2": "GetSignedBluinsightsUrl",
    "reporting-marketplace": "GetBuyerDashboard",
    "pca-connector-scep": "GetChallengePassword",
    "quicksight": "GenerateEmbedUrlForAnonymousUser GenerateEmbedUrlForRegisteredUser "
    "GenerateEmbedUrlForRegisteredUserWithIdentity GetDashboardEmbedUrl GetSessionEmbedUrl",
    "redshift": "GetClusterCredentials GetClusterCredentialsWithIAM GetIdentityCenterAuthToken",
    "redshift-serverless": "GetCredentials GetIdentityCenterAuthToken",
    "route53domains": "RetrieveDomainAuthCode",
    "signin": "CreateBearerToken",
    "sts": "GetServiceBearerToken",
    "wickr": "GetOidcInfo",
    "workmail": "AssumeImpersonationRole",
}
"""
Calls whose answer is a token, a password for a while, or a link that signs in: another one for each call.

With the code of RetrieveDomainAuthCode a domain moves to another registrar, once it is not locked.
GetServiceBearerToken is no operation of its own: IAM User Guide, 'Service bearer tokens'.
"""

SECRETS: Mapping[str, str] = {
    "acm": "ExportCertificate",  # with its private key
    "bedrock-agentcore": "GetResourceApiKey",
    "cognito-idp": "DescribeUserPoolClient",
    "ec2": "GetPasswordData DescribeInstanceAttribute",
    "gamelift": "GetInstanceAccess",
    "lambda": "GetFunction GetFunctionConfiguration",  # with its environment
    "lightsail": "DownloadDefaultKeyPair GetInstanceAccessDetails GetRelationalDatabaseMasterUserPassword",
    "secretsmanager": "BatchGetSecretValue GetSecretValue",
    "ssm": "GetParameter GetParameterHistory GetParameters GetParametersByPath",
    "wickr": "GetOpentdfConfig",
}
"""Calls whose answer may hold a lasting secret; Parameter Store only with decryption, user data only when asked."""


NO_CREDENTIAL: Mapping[str, Mapping[str, str]] = {
    "a value that somebody configured in the service, masked or of no use in AWS": {
        "amplify": "DeleteApp DeleteBranch GetApp GetBranch ListApps ListBranches",
        "apigateway": "GetAuthorizer GetAuthorizers GetIntegration GetMethod GetResource GetResources",
        "cloudhsm": "DeleteCluster DescribeClusters",
        "codebuild": "BatchGetProjects",
        "dataexchange": "GetAsset GetJob ListJobs ListRevisionAssets",
        "datasync": "DescribeLocationObjectStorage",
        "ec2": "DeleteVerifiedAccessTrustProvider DescribeClientVpnEndpoints DescribeInstanceSqlHaHistoryStates "
        "DescribeInstanceSqlHaStates DescribeVerifiedAccessTrustProviders DetachVerifiedAccessTrustProvider "
        "DisableInstanceSqlHaStandbyDetections",
        "eks": "DeleteEksAnywhereSubscription DescribeEksAnywhereSubscription ListEksAnywhereSubscriptions",
        "firehose": "DescribeDeliveryStream",
        "fsx": "DescribeBackups DescribeFileSystems DescribeSnapshots DescribeStorageVirtualMachines DescribeVolumes "
        "ReleaseFileSystemNfsV3Locks",
        "grafana": "DeleteWorkspace DescribeWorkspace DisassociateLicense ListWorkspaces",
        "invoicing": "GetProcurementPortalPreference",
        "iot": "GetTopicRuleDestination ListTopicRuleDestinations",
        "ivs": "BatchGetChannel GetChannel GetStreamSession",
        "mediapackage": "DescribeChannel ListChannels",
        "mobiletargeting": "DeleteBaiduChannel DeleteGcmChannel GetBaiduChannel GetGcmChannel",
        "quicksight": "DescribeUser ListUsers",
        "wafv2": "ListAPIKeys",
    },
    "a link to data or to a document, which the caller may read anyway": {
        "agent-registry": "BatchGetDiscoverableRegistryRecord GetRegistryRecord SearchDiscoverableRegistryRecords",
        "amplifyuibuilder": "GetCodegenJob",
        "artifact": "GetReport GetTermForReport",
        "auditmanager": "GetEvidenceFileUploadUrl",
        "bedrock": "GetDocumentContent",
        "bedrock-agentcore": "GetDataset",
        "cognito-idp": "DescribeUserImportJob ListUserImportJobs StopUserImportJob",
        "connect": "GetPromptFile",
        "discovery": "DescribeExportConfigurations DescribeExportTasks",
        "ecr": "GetDownloadUrlForLayer",
        "end-user-messaging": "GetBrandProfileAttribute",
        "gamelift": "DescribeFleetEvents GetGameSessionLogUrl",
        "greengrass": "GetComponentVersionArtifact",
        "groundstation": "GetAgentTaskResponseUrl",
        "iotdeviceadvisor": "GetSuiteRunReport",
        "kinesisvideo": "GetDASHStreamingSessionURL GetHLSStreamingSessionURL",
        "lex": "DescribeExport GetTestExecutionArtifactsUrl",
        "mturk-requester": "GetFileUploadURL",
        "notifications": "GetManagedNotificationEvent",
        "partnercentral-marketing": "GetCampaignAssetExportTask",
        "qbusiness": "GetDocumentContent",
        "quicksight": "DescribeAssetBundleExportJob",
        "security-ir": "GetCaseAttachmentDownloadUrl GetCaseAttachmentUploadUrl",
        "ses": "GetAddressListImportJob GetArchiveMessage ListAddressListImportJobs",
        "social-messaging": "ListWhatsAppFlowAssets",
        "ssm": "GetDeployablePatchSnapshotForInstance",
        "tax": "GetTaxRegistrationDocument",
        "transcribe": "GetMedicalVocabulary GetVocabulary GetVocabularyFilter",
        "wellarchitected": "GetAgentOrganizationalReportData",
    },
    "no credential: it stands for a request, a record, a file, or an address with a sign-in of its own": {
        "appconfig": "GetLatestConfiguration",
        "bedrock-agentcore": "GetPaymentInstrumentBalance",
        "codepipeline": "GetPipelineState",
        "cognito-sync": "ListRecords",
        "config": "GetComplianceDetailsByConfigRule GetComplianceDetailsByResource",
        "connect": "GetAuthenticationUrl",
        "devops-guru": "ListAnomalousLogGroups",
        "entityresolution": "GetPolicy",
        "ivs": "GetPublicKey",
        "kms": "Decapsulate DeriveSharedSecret Encapsulate GetParametersForImport",
        "lambda": "CheckpointDurableExecution",
        "mq": "DescribeBroker",
        "odb": "GetAutonomousDatabase ListAutonomousDatabaseClones ListAutonomousDatabases",
        "payment-cryptography": "GetParametersForExport GetParametersForImport TranslateKeyMaterial",
        "secretsmanager": "GetRandomPassword",
        "securityagent": "BatchGetTargetDomains",
        "servicecatalog": "DescribePortfolioShareStatus",
        "wisdom": "GetNextMessage GetRecommendations QueryAssistant",
        "xray": "StartTraceRetrieval",
    },
    "a client or code that opens nothing until a person agrees: CreateToken then gives the token": {
        "oidc sso-oauth": "RegisterClient StartDeviceAuthorization",
    },
    "only key ids: CreateBucketAccessKey alone tells the secret (Amazon Lightsail API Reference)": {
        "lightsail": "GetBucketAccessKeys",
    },
}
"""By reason: calls whose answer has a member that is called like a credential or a signed link, and is none."""
