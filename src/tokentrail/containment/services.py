"""
More kinds of workloads (see `workloads`), and of what hands a role's sessions to whoever it lets in.

Sources: the API References and the `aws` commands of the services in `events.handover`. A call names the role by ARN or
by name; if it names an instance profile or nothing, the role is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Service(NamedTuple):
    """One kind; the fields are those of `workloads.Workload`, except for `needs_role`."""

    called: str
    roles: tuple[str, ...]
    stop: str
    gone_by: Mapping[str, str] = {}
    needs_role: bool = False
    """Whether it runs without a role, or with its caller's, if the call names none."""


RUNNING: Mapping[str, Service] = {
    "job_definition": Service(
        "Batch job definition", ("containerProperties.jobRoleArn",),
        "aws batch deregister-job-definition --region {region} --job-definition={name}:…, and end its jobs (`aws batch "
        "terminate-job`)", needs_role=True,
    ),
    "compute_environment": Service(
        "Batch compute environment", (),
        "aws batch update-compute-environment --region {region} --compute-environment={name} --state DISABLED, and end "
        "the jobs that run in it (`aws batch terminate-job`); its instances have the role of their instance profile",
        {"DeleteComputeEnvironment": "computeEnvironment"},
    ),
    "capacity_provider": Service(
        "ECS capacity provider", ("managedInstancesProvider.instanceLaunchTemplate.ec2InstanceProfileArn",),
        "aws ecs delete-capacity-provider --region {region} --capacity-provider={name}; its instances have the role of "
        "their instance profile", {"DeleteCapacityProvider": "capacityProvider"}, needs_role=True,
    ),
    "cluster": Service(
        "EMR cluster", ("stepExecutionRoleArn",),
        "aws emr terminate-clusters --region {region} --cluster-ids={name}; its instances have the role of their "
        "instance profile",
    ),
    "emr_run": Service(
        "run of EMR in", ("executionRoleArn", "executionEngine.executionRoleArn", "serviceRole"),
        "aws emr-serverless cancel-job-run, aws emr-containers cancel-job-run or aws emr stop-notebook-execution, "
        "--region {region}, for {name}",
    ),
    "athena_session": Service(
        "Athena session or workgroup",
        ("executionRole", "configuration.executionRole", "configurationUpdates.executionRole"),
        "aws athena terminate-session --region {region} for each session of {name}", needs_role=True,
    ),
    "node_group": Service(
        "EKS node group", ("nodeRole",),
        "aws eks delete-nodegroup --region {region} --cluster-name … --nodegroup-name={name}",
        {"DeleteNodegroup": "nodegroupName"},
    ),
    "scaling_group": Service(
        "Auto Scaling group", (),
        "aws autoscaling update-auto-scaling-group --region {region} --auto-scaling-group-name={name} --min-size 0 "
        "--max-size 0 --desired-capacity 0; its instances have the role of their instance profile",
        {"DeleteAutoScalingGroup": "autoScalingGroupName"},
    ),
    "spot_request": Service(
        "request for EC2 instances", (),
        "aws ec2 cancel-spot-instance-requests, cancel-spot-fleet-requests or delete-fleets, --region {region}, for "
        "{name}, and terminate the instances that it started",
    ),
    "pipeline": Service(
        "CodePipeline pipeline", ("pipeline.roleArn",),
        "aws codepipeline delete-pipeline --region {region} --name={name}", {"DeletePipeline": "name"},
    ),
    "data_pipeline": Service(
        "Data Pipeline pipeline", (), "aws datapipeline delete-pipeline --region {region} --pipeline-id={name}",
        {"DeletePipeline": "pipelineId"},
    ),
    "build": Service(
        "CodeBuild build", ("serviceRoleOverride", "buildBatchConfigOverride.serviceRole"),
        "aws codebuild stop-build --region {region} --id={name}", {"StopBuild": "id"}, needs_role=True,
    ),
    "studio": Service(
        "SageMaker Studio domain or profile", ("defaultUserSettings.executionRole", "userSettings.executionRole"),
        "aws sagemaker delete-app --region {region} for each app of {name}, then delete-user-profile", needs_role=True,
    ),
    "model": Service(
        "SageMaker model", ("executionRoleArn",),
        "aws sagemaker delete-endpoint --region {region} for each endpoint with the model, then delete-model "
        "--model-name={name}", {"DeleteModel": "modelName"},
    ),
    "ml_pipeline": Service(
        "SageMaker pipeline", ("roleArn",),
        "aws sagemaker delete-pipeline --region {region} --pipeline-name={name}, and stop its executions",
        {"DeletePipeline": "pipelineName"},
    ),
    "ml_job": Service(
        "SageMaker job",
        ("roleArn", "monitoringScheduleConfig.monitoringJobDefinition.roleArn",
         "autoMLComputeConfig.emrServerlessComputeConfig.executionRoleARN"),
        "aws sagemaker stop-auto-ml-job, stop-monitoring-schedule, stop-inference-experiment, stop-labeling-job or "
        "stop-pipeline-execution, --region {region}, for {name}",
    ),
    "ml_app": Service(
        "SageMaker MLflow server or partner app", ("roleArn", "executionRoleArn"),
        "aws sagemaker stop-mlflow-tracking-server or delete-partner-app, --region {region}, for {name}",
    ),
    "ml_cluster": Service(
        "SageMaker HyperPod cluster", (), "aws sagemaker delete-cluster --region {region} --cluster-name={name}",
    ),
    "stack_set": Service(
        "CloudFormation stack set", ("administrationRoleARN",),
        "aws cloudformation delete-stack-instances --region {region} --stack-set-name={name} --accounts … --regions …, "
        "once you know what they hold in which accounts, then delete-stack-set",
        {"DeleteStackSet": "stackSetName"}, needs_role=True,
    ),
    "extension": Service(
        "CloudFormation extension", ("executionRoleArn",),
        "aws cloudformation deactivate-type or deregister-type --region {region} --type … --type-name={name}",
        needs_role=True,
    ),
    "automation": Service(
        "Systems Manager automation", ("parameters.AutomationAssumeRole",),
        "aws ssm stop-automation-execution --region {region} --automation-execution-id={name}",
        {"StopAutomationExecution": "automationExecutionId"}, needs_role=True,
    ),
    "window_task": Service(
        "task of a maintenance window", ("serviceRoleArn",),
        "aws ssm deregister-task-from-maintenance-window --region {region} --window-id={name} --window-task-id …",
    ),
    "app_service": Service(
        "App Runner service", ("instanceConfiguration.instanceRoleArn",),
        "aws apprunner pause-service --region {region}, with the ARN of {name}", needs_role=True,
    ),
    "amplify_app": Service(
        "Amplify app", ("iamServiceRoleArn", "computeRoleArn"),
        "aws amplify delete-app --region {region} --app-id={name}", needs_role=True,
    ),
    "agent_runtime": Service(
        "Bedrock AgentCore runtime", ("roleArn", "executionRoleArn"),
        "aws bedrock-agentcore-control delete-agent-runtime, delete-code-interpreter, delete-browser or "
        "delete-harness, --region {region}, for {name}", needs_role=True,
    ),
    "pipe": Service(
        "EventBridge pipe", ("roleArn",), "aws pipes stop-pipe --region {region} --name={name}",
        {"DeletePipe": "name"}, needs_role=True,
    ),
    "game_fleet": Service(
        "GameLift fleet", ("instanceRoleArn", "fleetRoleArn", "roleArn"),
        "aws gamelift delete-fleet, delete-container-fleet or delete-game-server-group, --region {region}, for {name}",
        needs_role=True,
    ),
    "app_fleet": Service(
        "AppStream fleet or builder", ("iamRoleArn",),
        "aws appstream stop-fleet or stop-image-builder --region {region} --name={name}", needs_role=True,
    ),
    "airflow": Service(
        "Managed Airflow environment", ("executionRoleArn",),
        "aws mwaa delete-environment --region {region} --name={name}",
    ),
    "airflow_workflow": Service(
        "Managed Airflow workflow", ("roleArn",),
        "aws mwaa-serverless stop-workflow-run for each run, then delete-workflow, --region {region}, with the ARN of "
        "{name}",
    ),
    "genomics_run": Service(
        "HealthOmics run", ("roleArn", "defaultRunSetting.roleArn"),
        "aws omics cancel-run or cancel-run-batch, --region {region}, for {name}", {"CancelRun": "id"},
    ),
    "device_test": Service(
        "Device Farm project or run", ("executionRoleArn", "configuration.executionRoleArn"),
        "aws devicefarm stop-run --region {region}, for {name} or each run of it", needs_role=True,
    ),
    "connector": Service(
        "MSK Connect connector", ("serviceExecutionRoleArn",),
        "aws kafkaconnect delete-connector --region {region}, with the ARN of {name}",
    ),
    "response_plan": Service(
        "Incident Manager response plan", ("actions.ssmAutomation.roleArn",),
        "aws ssm-incidents delete-response-plan --region {region}, with the ARN of {name}", needs_role=True,
    ),
    "stream_application": Service(
        "Managed Flink application", ("serviceExecutionRole", "serviceExecutionRoleUpdate"),
        "aws kinesisanalyticsv2 stop-application --region {region} --application-name={name} --force",
        {"DeleteApplication": "applicationName"},
    ),
    "canary": Service(
        "CloudWatch canary", ("executionRoleArn",), "aws synthetics stop-canary --region {region} --name={name}",
        {"DeleteCanary": "name"},
    ),
    "render_farm": Service(
        "Deadline Cloud fleet or queue", ("roleArn",),
        "aws deadline update-fleet or update-queue, or delete-…, --region {region}, for {name}", needs_role=True,
    ),
    "image_pipeline": Service(
        "EC2 Image Builder pipeline", ("executionRole",),
        "aws imagebuilder cancel-image-creation and delete-image-pipeline, --region {region}, for {name}; what it "
        "builds on has the role of its instance profile",
    ),
    "web_environment": Service(
        "Elastic Beanstalk environment", ("operationsRole",),
        "aws elasticbeanstalk terminate-environment --region {region} --environment-name={name}; its instances have "
        "the role of their instance profile",
    ),
    "blueprint": Service(
        "run of a Glue blueprint", ("roleArn",),
        "look for the jobs of the blueprint {name} in {region} and delete them",
    ),
    "quantum_job": Service(
        "Braket job", ("roleArn",), "aws braket cancel-job --region {region}, with the ARN of {name}",
    ),
}  # fmt: skip
"""What runs with a role, by its name in `events.handover`."""

DOORS: Mapping[str, Service] = {
    "identity_pool": Service(
        "Cognito identity pool",
        ("roles.authenticated", "roles.unauthenticated", "roleMappings.*.rulesConfiguration.rules.roleARN"),
        "aws cognito-identity set-identity-pool-roles --region {region} --identity-pool-id={name} --roles … with the "
        "roles that it had, and update-identity-pool --no-allow-unauthenticated-identities if strangers need no role",
        {"DeleteIdentityPool": "identityPoolId"},
    ),
    "pod_identity": Service(
        "EKS Pod Identity association", ("roleArn", "targetRoleArn"),
        "aws eks delete-pod-identity-association --region {region} --cluster-name … --association-id={name}, and "
        "delete the pods of its service account", {"DeletePodIdentityAssociation": "associationId"},
    ),
    "role_alias": Service(
        "IoT role alias", ("roleArn",), "aws iot delete-role-alias --region {region} --role-alias={name}, or "
        "update-role-alias with the role that it had, and look for certificates that may use it",
        {"DeleteRoleAlias": "roleAlias"},
    ),
    "activation": Service(
        "Systems Manager activation", ("iamRole",),
        "aws ssm delete-activation --region {region} --activation-id={name}, and deregister the nodes that came in by "
        "it (`aws ssm describe-instance-information`, `aws ssm deregister-managed-instance`)",
    ),
    "node_role": Service(
        "Systems Manager role of nodes", ("iamRole", "roleArn"),
        "aws ssm update-managed-instance-role, or deregister-default-host-management-configuration, --region {region}, "
        "for {name}",
    ),
    "user_group": Service(
        "Cognito group of users", ("roleArn",),
        "aws cognito-idp update-group --region {region} --user-pool-id … --group-name={name}, with the role that it "
        "had", needs_role=True,
    ),
    "transfer_user": Service(
        "Transfer Family user", ("role",),
        "aws transfer delete-user (or delete-access) --region {region} --server-id … --user-name={name}",
        needs_role=True,
    ),
    "grants_location": Service(
        "S3 Access Grants location", ("iAMRoleArn", "iamRoleArn"),
        "aws s3control list-access-grants --region {region} for {name}, and delete-access-grant each that is not yours",
    ),
    "entitlement": Service(
        "entitlement of account access manager", ("entitlement.principalRole.roleArn",),
        "aws account-access delete-entitlement --region {region} --application-arn … --entitlement-id={name}; `aws "
        "account-access get-entitlement` tells whom of IAM Identity Center it lets in",
        {"DeleteEntitlement": "entitlementId"},
    ),
    "core_device": Service(
        "Greengrass group", ("roleArn",),
        "aws greengrass disassociate-role-from-group --region {region} --group-id={name}",
    ),
}  # fmt: skip
"""What hands a role's sessions to whoever it lets in, by its name in `events.handover`."""
