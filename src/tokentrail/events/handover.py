"""
Calls of many services that hand a role to what runs, put commands into what has one, or let somebody in.

Where a call's name tells enough by itself, `vocabulary` has it; here stand those that tell only with their service.
Sources: the API Reference of each service, the page of each call; the services' names are those of `eventSource`
(CloudTrail User Guide, 'AWS service topics for CloudTrail'). Members are spelled as the API's own, in lower camel case.
Amazon EKS logs a cluster as `name`, and Lambda its calls with the version of its API.
"""

from __future__ import annotations

from collections.abc import Mapping

Row = tuple[str, str, str, str]

_RUNS: tuple[Row, ...] = (
    ("job_definition", "batch", "RegisterJobDefinition", "jobDefinitionName"),
    ("compute_environment", "batch", "CreateComputeEnvironment UpdateComputeEnvironment",
     "computeEnvironmentName computeEnvironment"),
    ("capacity_provider", "ecs", "CreateCapacityProvider UpdateCapacityProvider", "name"),
    ("cluster", "elasticmapreduce", "RunJobFlow", "~jobFlowId name"),
    ("cluster", "elasticmapreduce", "AddInstanceGroups AddInstanceFleet", "jobFlowId clusterId"),
    ("emr_run", "elasticmapreduce", "StartNotebookExecution StartSession", "editorId clusterId"),
    ("emr_run", "emr-serverless", "StartJobRun StartSession", "applicationId"),
    ("emr_run", "emr-containers", "StartJobRun CreateManagedEndpoint", "virtualClusterId name"),
    ("athena_session", "athena", "StartSession CreateWorkGroup UpdateWorkGroup", "workGroup name"),
    ("node_group", "eks", "CreateNodegroup", "nodegroupName"),
    ("scaling_group", "autoscaling", "CreateAutoScalingGroup", "autoScalingGroupName"),
    ("spot_request", "ec2", "RequestSpotInstances RequestSpotFleet CreateFleet ModifyFleet ModifySpotFleetRequest",
     "~spotFleetRequestId ~fleetId spotFleetRequestId fleetId"),
    ("pipeline", "codepipeline", "CreatePipeline UpdatePipeline", "pipeline.name"),
    ("data_pipeline", "datapipeline", "CreatePipeline PutPipelineDefinition ActivatePipeline", "pipelineId name"),
    ("build", "codebuild", "StartBuild RetryBuild", "~build.id projectName"),
    ("build", "codebuild", "StartBuildBatch RetryBuildBatch", "projectName"),
    ("studio", "sagemaker", "CreateDomain UpdateDomain CreateUserProfile UpdateUserProfile", "userProfileName domainId "
     "domainName"),
    ("model", "sagemaker", "CreateModel", "modelName"),
    ("training_job", "sagemaker", "CreateHyperParameterTuningJob", "hyperParameterTuningJobName"),
    ("ml_pipeline", "sagemaker", "CreatePipeline UpdatePipeline", "pipelineName"),
    ("ml_job", "sagemaker", "CreateAutoMLJob CreateAutoMLJobV2 CreateMonitoringSchedule UpdateMonitoringSchedule "
     "CreateDataQualityJobDefinition CreateModelBiasJobDefinition CreateModelQualityJobDefinition "
     "CreateModelExplainabilityJobDefinition CreateInferenceExperiment CreateLabelingJob StartPipelineExecution",
     "autoMLJobName monitoringScheduleName jobDefinitionName name labelingJobName pipelineName"),
    ("ml_app", "sagemaker", "CreateMlflowTrackingServer CreatePartnerApp", "trackingServerName name"),
    ("ml_cluster", "sagemaker", "CreateCluster UpdateCluster", "clusterName"),
    ("stack_set", "cloudformation", "CreateStackSet UpdateStackSet CreateStackInstances UpdateStackInstances",
     "stackSetName"),
    ("stack", "cloudformation", "CreateChangeSet ExecuteChangeSet ContinueUpdateRollback RollbackStack", "stackName"),
    ("extension", "cloudformation", "RegisterType ActivateType", "typeName publicTypeArn"),
    ("automation", "ssm", "StartAutomationExecution StartChangeRequestExecution",
     "~automationExecutionId documentName"),
    ("window_task", "ssm", "RegisterTaskWithMaintenanceWindow UpdateMaintenanceWindowTask", "windowId"),
    ("app_service", "apprunner", "CreateService UpdateService", "serviceName serviceArn"),
    ("amplify_app", "amplify", "CreateApp UpdateApp CreateBranch UpdateBranch", "appId name"),
    ("task_service", "ecs", "CreateExpressGatewayService UpdateExpressGatewayService", "serviceName serviceArn"),
    ("task_definition", "ecs", "RegisterDaemonTaskDefinition", "family"),
    ("agent_runtime", "bedrock-agentcore", "CreateAgentRuntime UpdateAgentRuntime CreateCodeInterpreter CreateBrowser "
     "CreateHarness UpdateHarness", "agentRuntimeId agentRuntimeName harnessId harnessName name"),
    ("pipe", "pipes", "CreatePipe UpdatePipe", "name"),
    ("game_fleet", "gamelift", "CreateFleet CreateContainerFleet CreateGameServerGroup UpdateGameServerGroup",
     "gameServerGroupName gameServerContainerGroupDefinitionName name"),
    ("app_fleet", "appstream", "CreateFleet UpdateFleet CreateImageBuilder CreateAppBlockBuilder UpdateAppBlockBuilder",
     "name"),
    ("airflow", "airflow", "CreateEnvironment UpdateEnvironment", "name"),
    ("airflow_workflow", "airflow-serverless", "CreateWorkflow UpdateWorkflow", "workflowArn name"),
    ("genomics_run", "omics", "StartRun StartRunBatch", "~id name batchName"),
    ("device_test", "devicefarm", "CreateProject UpdateProject ScheduleRun",
     "~project.arn ~run.arn arn projectArn name"),
    ("connector", "kafkaconnect", "CreateConnector", "connectorName"),
    ("response_plan", "ssm-incidents", "CreateResponsePlan UpdateResponsePlan", "arn name"),
    ("stream_application", "kinesisanalytics", "CreateApplication UpdateApplication", "applicationName"),
    ("canary", "synthetics", "CreateCanary UpdateCanary StartCanaryDryRun", "name"),
    ("render_farm", "deadline", "CreateFleet UpdateFleet CreateQueue UpdateQueue", "queueId fleetId displayName"),
    ("image_pipeline", "imagebuilder",
     "CreateInfrastructureConfiguration UpdateInfrastructureConfiguration CreateImage "
     "CreateImagePipeline", "name infrastructureConfigurationArn imagePipelineArn"),
    ("web_environment", "elasticbeanstalk", "CreateEnvironment UpdateEnvironment", "environmentName environmentId"),
    ("blueprint", "glue", "StartBlueprintRun", "blueprintName"),
    ("quantum_job", "braket", "CreateJob", "jobName"),
)  # fmt: skip
"""What runs the caller's commands or code with a role: what it is, its service, its calls, where its id is told."""

_DOORS: tuple[Row, ...] = (
    ("identity_pool", "cognito-identity", "SetIdentityPoolRoles", "identityPoolId"),
    ("pod_identity", "eks", "CreatePodIdentityAssociation", "~association.associationId clusterName name"),
    ("pod_identity", "eks", "UpdatePodIdentityAssociation", "associationId"),
    ("role_alias", "iot", "CreateRoleAlias UpdateRoleAlias", "roleAlias"),
    ("activation", "ssm", "CreateActivation", "~activationId"),
    ("node_role", "ssm", "UpdateManagedInstanceRole", "instanceId"),
    ("node_role", "ssm", "RegisterDefaultHostManagementConfiguration", "roleArn"),
    ("user_group", "cognito-idp", "CreateGroup UpdateGroup", "groupName"),
    ("transfer_user", "transfer", "CreateUser UpdateUser CreateAccess UpdateAccess", "userName externalId"),
    ("grants_location", "s3", "CreateAccessGrantsLocation UpdateAccessGrantsLocation", "accessGrantsLocationId "
     "locationScope iAMRoleArn"),
    ("entitlement", "account-access", "CreateEntitlement", "~entitlementId"),
    ("core_device", "greengrass", "AssociateRoleToGroup", "groupId"),
)  # fmt: skip
"""What hands a role's sessions to whoever it lets in."""

_ENTERED: tuple[Row, ...] = (
    ("shell", "ecs", "ExecuteCommand", "task"),
    ("ssh", "ec2-instance-connect", "SendSSHPublicKey SendSerialConsoleSSHPublicKey", "instanceId"),
    ("command", "ssm", "CreateAssociationBatch UpdateAssociation", "associationId name"),
    ("ssm_session", "ssm", "ResumeSession", "sessionId"),
    ("job_run", "glue", "StartJobRun UpdateDevEndpoint", "jobName endpointName"),
    ("job_run", "batch", "SubmitJob", "jobDefinition"),
    ("job_run", "elasticmapreduce", "AddJobFlowSteps GetClusterSessionCredentials", "jobFlowId clusterId"),
    ("notebook_link", "sagemaker", "CreatePresignedNotebookInstanceUrl CreatePresignedDomainUrl "
     "CreatePresignedMlflowTrackingServerUrl CreateApp CreateStudioLifecycleConfig "
     "CreateNotebookInstanceLifecycleConfig", "notebookInstanceName userProfileName trackingServerName "
     "studioLifecycleConfigName notebookInstanceLifecycleConfigName"),
    ("notebook_link", "airflow", "CreateWebLoginToken CreateCliToken", "name"),
    ("deployment", "codedeploy", "CreateDeployment", "deploymentGroupName applicationName"),
    ("deployment", "greengrass", "CreateDeployment", "targetArn groupId"),
    ("deployment", "elasticbeanstalk", "CreateApplicationVersion", "applicationName"),
    ("instance_reset", "ec2", "CreateReplaceRootVolumeTask", "instanceId"),
    ("sandbox", "bedrock-agentcore", "StartCodeInterpreterSession InvokeCodeInterpreter StartBrowserSession "
     "InvokeBrowser InvokeAgentRuntimeCommand", "codeInterpreterIdentifier browserIdentifier agentRuntimeArn"),
    ("streaming_link", "appstream", "CreateStreamingURL CreateImageBuilderStreamingURL", "fleetName name"),
    ("environment_member", "cloud9", "CreateEnvironmentMembership UpdateEnvironmentMembership", "environmentId"),
)  # fmt: skip
"""How a caller gets at the credentials of what runs with a role already."""

_ADMITS: tuple[Row, ...] = (
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
    ("bucket_access", "s3", "PutBucketAcl PutAccessPointPolicy CreateAccessPoint DeleteBucketPublicAccessBlock "
     "PutBucketPublicAccessBlock PutAccountPublicAccessBlock DeleteAccountPublicAccessBlock CreateAccessGrant "
     "PutMultiRegionAccessPointPolicy", "bucketName name accessGrantsLocationId"),
    ("resource_policy", "lambda", "AddLayerVersionPermission20181031 AddPermission20150331 "
     "UpdateFunctionUrlConfig", "layerName functionName"),
    ("layer", "lambda", "PublishLayerVersion20181031", "layerName"),
    ("trigger", "lambda", "CreateEventSourceMapping20150331 UpdateEventSourceMapping20150331", "functionName uUID"),
    ("trigger", "secretsmanager", "RotateSecret", "secretId"),
    ("resource_policy", "sns", "SetTopicAttributes", "topicArn"),
    ("resource_policy", "ssm", "ModifyDocumentPermission", "name"),
    ("resource_policy", "rds", "ModifyDBSnapshotAttribute ModifyDBClusterSnapshotAttribute",
     "dBSnapshotIdentifier dBClusterSnapshotIdentifier"),
    ("resource_policy", "backup", "PutBackupVaultAccessPolicy", "backupVaultName"),
    ("resource_policy", "events", "PutPermission", "eventBusName"),
    ("resource_policy", "logs", "PutDestinationPolicy PutSubscriptionFilter", "destinationName logGroupName"),
    ("resource_policy", "es",
     "CreateElasticsearchDomain UpdateElasticsearchDomainConfig CreateDomain UpdateDomainConfig",
     "domainName"),
    ("resource_policy", "elasticfilesystem", "PutFileSystemPolicy", "fileSystemId"),
    ("resource_policy", "codeartifact", "PutDomainPermissionsPolicy PutRepositoryPermissionsPolicy", "repository "
     "domain"),
    ("resource_policy", "acm-pca", "PutPolicy CreatePermission", "resourceArn certificateAuthorityArn"),
    ("resource_policy", "serverlessrepo", "PutApplicationPolicy", "applicationId"),
    ("resource_policy", "redshift", "AuthorizeSnapshotAccess AuthorizeDataShare AuthorizeEndpointAccess",
     "snapshotIdentifier dataShareArn clusterIdentifier"),
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
"""What lets somebody in, or acts with a role for whoever set it, and hands no session of it to anybody."""

HANDOVER: Mapping[tuple[str, str], tuple[str, tuple[str, ...]]] = {
    (service, name): (what, tuple(paths.split()))
    for what, service, names, paths in (*_RUNS, *_DOORS, *_ENTERED, *_ADMITS)
    for name in names.split()
}
"""By service and call: what it leaves, and the paths of the request, or with `~` of the answer, that tell its id."""
GONE = frozenset({
    "DeletePodIdentityAssociation", "DeleteIdentityPool", "DeleteRoleAlias", "DeleteStackSet", "DeletePipe",
    "DeletePipeline", "DeleteNodegroup", "DeleteAutoScalingGroup", "DeleteModel", "DeleteApplication", "DeleteCanary",
    "DeleteComputeEnvironment", "DeleteCapacityProvider", "DeleteEntitlement",
    "CancelRun", "StopBuild", "StopAutomationExecution",
})  # fmt: skip
"""The calls by which some of these end."""
SERVICES_OF: Mapping[str, frozenset[str]] = {
    name: frozenset(service for service, other in HANDOVER if other == name) for _, name in HANDOVER
}
"""By call: the services of which it is told."""
