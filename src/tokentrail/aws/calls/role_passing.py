"""
Calls that pass a role to what runs, that run commands in what has a role, or that hand a role's sessions on.

A row is: the kind of what the call leaves, the service, its operations, and where the id of what is left stands. Paths
are in the request, or with `~` in the response, spelled as CloudTrail spells the API's members: in lower camel case.
Sources: the API Reference of each service, the page of each call; a service is spelled as in `eventSource` (CloudTrail
User Guide, 'AWS service topics for CloudTrail'). Amazon EKS logs a cluster as `name`.
"""

from __future__ import annotations

from collections.abc import Mapping

Row = tuple[str, str, str, str]

RUNS: tuple[Row, ...] = (
    ("function", "lambda", "CreateFunction UpdateFunctionCode UpdateFunctionConfiguration",
     "~functionArn functionName"),
    ("instance", "ec2", "RunInstances", "~instancesSet.items.instanceId"),
    ("task", "ecs", "RunTask StartTask", "~tasks.taskArn"),
    ("task_definition", "ecs", "RegisterTaskDefinition", "~taskDefinition.taskDefinitionArn family"),
    ("task_service", "ecs", "CreateService", "serviceName ~service.serviceName"),
    ("task_service", "ecs", "UpdateService", "service"),
    ("job", "glue", "CreateJob", "name ~name"),
    ("job", "glue", "UpdateJob", "jobName"),
    ("dev_endpoint", "glue", "CreateDevEndpoint", "endpointName"),
    ("build_project", "codebuild", "CreateProject UpdateProject", "~project.arn name"),
    ("notebook", "sagemaker", "CreateNotebookInstance UpdateNotebookInstance", "notebookInstanceName"),
    ("notebook", "sagemaker", "UpdateNotebookInstanceLifecycleConfig", "notebookInstanceLifecycleConfigName"),
    ("training_job", "sagemaker", "CreateTrainingJob", "trainingJobName"),
    ("training_job", "sagemaker", "CreateProcessingJob", "processingJobName"),
    ("stack", "cloudformation", "CreateStack UpdateStack", "~stackId stackName"),
    ("state_machine", "states", "CreateStateMachine", "~stateMachineArn name"),
    ("state_machine", "states", "UpdateStateMachine", "stateMachineArn"),
    ("rule", "events", "PutRule", "~ruleArn name"),
    ("rule", "events", "PutTargets", "rule"),
    ("schedule", "scheduler", "CreateSchedule UpdateSchedule", "name"),
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
    ("microvm", "lambda", "RunMicrovm", "~microvmId imageIdentifier"),
    ("microvm_image", "lambda", "CreateMicrovmImage UpdateMicrovmImage", "~imageArn imageIdentifier name"),
)  # fmt: skip
"""Calls that run the caller's commands or code with a role."""

DOORS: tuple[Row, ...] = (
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
"""Calls that have a service hand a role's sessions to whoever it lets in."""

ENTERED: tuple[Row, ...] = (
    ("command", "ssm", "SendCommand", "~command.commandId"),
    ("ssm_session", "ssm", "StartSession", "~sessionId target"),
    ("association", "ssm", "CreateAssociation", "name"),
    ("instance_attribute", "ec2", "ModifyInstanceAttribute", "instanceId"),
    ("instance_profile", "ec2", "AssociateIamInstanceProfile",
     "instanceId ~iamInstanceProfileAssociation.instanceId"),
    ("instance_profile", "ec2", "ReplaceIamInstanceProfileAssociation",
     "~iamInstanceProfileAssociation.instanceId associationId"),
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
    ("microvm_token", "lambda", "CreateMicrovmAuthToken CreateMicrovmShellAuthToken", "microvmIdentifier"),
    ("environment_member", "cloud9", "CreateEnvironmentMembership UpdateEnvironmentMembership", "environmentId"),
)  # fmt: skip
"""Calls by which a caller gets at the credentials of what runs with a role already."""

PASSES_BESIDES: Mapping[str, str] = {
    "ec2": "AssociateIamInstanceProfile ReplaceIamInstanceProfileAssociation",
    "autoscaling": "CreateLaunchConfiguration",
    "iot": "CreateTopicRule",
    "rolesanywhere": "CreateProfile UpdateProfile",
}
"""Calls of other tables, by service, that need a role to be passed, and start or let in what is handed its sessions."""
ENTERS_BESIDES: Mapping[str, str] = {"cloudshell": "CreateSession"}
"""Calls of no table, by service, that give access to the credentials of what runs already."""
