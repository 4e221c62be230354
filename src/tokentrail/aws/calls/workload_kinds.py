"""
Kinds of workloads: what runs with a role, or hands a role's sessions on, and how a person stops each kind.

Sources: the API References and the `aws` commands of AWS Lambda, Amazon EC2, Amazon ECS, AWS Glue, AWS CodeBuild,
Amazon SageMaker AI, AWS CloudFormation, AWS Step Functions, Amazon EventBridge, EventBridge Scheduler, and of the
services in `role_passing`, the page of each call; that a service or deployment replaces what is stopped: Amazon ECS
Developer Guide, 'Amazon ECS services'. A call names the role by ARN or by name. If it names an instance profile or
nothing, the role is not known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One kind of workload."""

    called: str
    """The noun for it in a sentence."""
    roles: tuple[str, ...] = ()
    """Paths in the request and the response that name its role."""
    without_role: bool = True
    """Whether it is a workload even if the call names no role; else it then runs without one, or with its caller's."""
    stop: str
    """The commands that stop it, with the placeholders `{name}`, `{region}` and, for a task, `{cluster}`."""
    ended_by: Mapping[str, str] = field(default_factory=dict)
    """By operation that ends it: the path in the request that names it."""
    shut_by: Mapping[str, str] = field(default_factory=dict)
    """By operation after which it is handed no session until it is opened again: the path, with `~` in the response."""
    door: bool = False
    """Whether it runs nothing itself, but hands the role's sessions to whoever it lets in."""


_COMMON: Mapping[str, Workload] = {
    "function": Workload(
        called="function", roles=("role",), ended_by={"DeleteFunction": "functionName"},
        stop="aws lambda put-function-concurrency --region {region} --function-name={name} "
        "--reserved-concurrent-executions 0",
    ),
    "instance": Workload(
        called="instance", ended_by={"TerminateInstances": "instancesSet.items.instanceId"},
        shut_by={
            "StopInstances": "instancesSet.items.instanceId",
            "DisassociateIamInstanceProfile": "~iamInstanceProfileAssociation.instanceId",
        },
        stop="aws ec2 stop-instances --region {region} --instance-ids={name}",
    ),
    "instance_profile": Workload(
        called="instance profile",
        ended_by={
            "DeleteInstanceProfile": "instanceProfileName", "RemoveRoleFromInstanceProfile": "instanceProfileName",
        },
        stop="aws iam remove-role-from-instance-profile --instance-profile-name={name} --role-name …",
    ),
    "task": Workload(
        called="ECS task", roles=("overrides.taskRoleArn",), ended_by={"StopTask": "task"},
        stop="aws ecs stop-task --region {region} --cluster={cluster} --task={name}",
    ),
    "task_definition": Workload(
        called="ECS task definition", roles=("taskRoleArn",), without_role=False,
        stop="aws ecs deregister-task-definition --region {region} --task-definition={name}, and stop "
        "what runs of it",
    ),
    "task_service": Workload(
        called="ECS service", roles=("taskRoleArn",), ended_by={"DeleteService": "service"},
        stop="aws ecs update-service --region {region} --cluster={cluster} --service={name} "
        "--desired-count 0",
    ),
    "job": Workload(
        called="Glue job", roles=("role", "jobUpdate.role"), ended_by={"DeleteJob": "jobName"},
        stop="aws glue delete-job --region {region} --job-name={name}, and stop its runs (`aws glue "
        "batch-stop-job-run`)",
    ),
    "dev_endpoint": Workload(
        called="Glue development endpoint", roles=("roleArn",), ended_by={"DeleteDevEndpoint": "endpointName"},
        stop="aws glue delete-dev-endpoint --region {region} --endpoint-name={name}",
    ),
    "build_project": Workload(
        called="CodeBuild project", roles=("serviceRole", "project.serviceRole"),
        ended_by={"DeleteProject": "name"},
        stop="aws codebuild delete-project --region {region} --name={name}, and stop its builds (`aws "
        "codebuild stop-build`)",
    ),
    "notebook": Workload(
        called="SageMaker notebook", roles=("roleArn",),
        ended_by={"DeleteNotebookInstance": "notebookInstanceName"},
        stop="aws sagemaker stop-notebook-instance --region {region} --notebook-instance-name={name}",
    ),
    "training_job": Workload(
        called="SageMaker job", roles=("roleArn", "trainingJobDefinition.roleArn"),
        stop="aws sagemaker stop-training-job --region {region} --training-job-name={name} (or "
        "stop-processing-job)",
    ),
    "stack": Workload(
        called="CloudFormation stack", roles=("roleARN",), without_role=False,
        ended_by={"DeleteStack": "stackName"},
        stop="aws cloudformation delete-stack --region {region} --stack-name={name}, once you know what "
        "it holds",
    ),
    "state_machine": Workload(
        called="Step Functions state machine", roles=("roleArn",),
        ended_by={"DeleteStateMachine": "stateMachineArn"},
        stop="aws stepfunctions delete-state-machine --region {region} --state-machine-arn={name}, and "
        "stop its executions",
    ),
    "rule": Workload(
        called="EventBridge rule", roles=("roleArn", "targets.roleArn"), without_role=False,
        ended_by={"DeleteRule": "name"},
        stop="aws events disable-rule --region {region} --name={name}",
    ),
    "schedule": Workload(
        called="schedule", roles=("target.roleArn",), without_role=False, ended_by={"DeleteSchedule": "name"},
        stop="aws scheduler delete-schedule --region {region} --name={name}",
    ),
}  # fmt: skip
_OF_MORE_SERVICES: Mapping[str, Workload] = {
    "job_definition": Workload(
        called="Batch job definition", roles=("containerProperties.jobRoleArn",), without_role=False,
        stop="aws batch deregister-job-definition --region {region} --job-definition={name}:…, and end "
        "its jobs (`aws batch terminate-job`)",
    ),
    "compute_environment": Workload(
        called="Batch compute environment", ended_by={"DeleteComputeEnvironment": "computeEnvironment"},
        stop="aws batch update-compute-environment --region {region} --compute-environment={name} "
        "--state DISABLED, and end the jobs that run in it (`aws batch terminate-job`); its "
        "instances have the role of their instance profile",
    ),
    "capacity_provider": Workload(
        called="ECS capacity provider",
        roles=("managedInstancesProvider.instanceLaunchTemplate.ec2InstanceProfileArn",), without_role=False,
        ended_by={"DeleteCapacityProvider": "capacityProvider"},
        stop="aws ecs delete-capacity-provider --region {region} --capacity-provider={name}; its "
        "instances have the role of their instance profile",
    ),
    "cluster": Workload(
        called="EMR cluster", roles=("stepExecutionRoleArn",),
        stop="aws emr terminate-clusters --region {region} --cluster-ids={name}; its instances have the "
        "role of their instance profile",
    ),
    "emr_run": Workload(
        called="run of EMR in", roles=("executionRoleArn", "executionEngine.executionRoleArn", "serviceRole"),
        stop="aws emr-serverless cancel-job-run, aws emr-containers cancel-job-run or aws emr "
        "stop-notebook-execution, --region {region}, for {name}",
    ),
    "athena_session": Workload(
        called="Athena session or workgroup",
        roles=("executionRole", "configuration.executionRole", "configurationUpdates.executionRole"),
        without_role=False,
        stop="aws athena terminate-session --region {region} for each session of {name}",
    ),
    "node_group": Workload(
        called="EKS node group", roles=("nodeRole",), ended_by={"DeleteNodegroup": "nodegroupName"},
        stop="aws eks delete-nodegroup --region {region} --cluster-name … --nodegroup-name={name}",
    ),
    "scaling_group": Workload(
        called="Auto Scaling group", ended_by={"DeleteAutoScalingGroup": "autoScalingGroupName"},
        stop="aws autoscaling update-auto-scaling-group --region {region} "
        "--auto-scaling-group-name={name} --min-size 0 --max-size 0 --desired-capacity 0; its "
        "instances have the role of their instance profile",
    ),
    "spot_request": Workload(
        called="request for EC2 instances",
        stop="aws ec2 cancel-spot-instance-requests, cancel-spot-fleet-requests or delete-fleets, "
        "--region {region}, for {name}, and terminate the instances that it started",
    ),
    "pipeline": Workload(
        called="CodePipeline pipeline", roles=("pipeline.roleArn",), ended_by={"DeletePipeline": "name"},
        stop="aws codepipeline delete-pipeline --region {region} --name={name}",
    ),
    "data_pipeline": Workload(
        called="Data Pipeline pipeline", ended_by={"DeletePipeline": "pipelineId"},
        stop="aws datapipeline delete-pipeline --region {region} --pipeline-id={name}",
    ),
    "build": Workload(
        called="CodeBuild build", roles=("serviceRoleOverride", "buildBatchConfigOverride.serviceRole"),
        without_role=False, ended_by={"StopBuild": "id"},
        stop="aws codebuild stop-build --region {region} --id={name}",
    ),
    "studio": Workload(
        called="SageMaker Studio domain or profile",
        roles=("defaultUserSettings.executionRole", "userSettings.executionRole"), without_role=False,
        stop="aws sagemaker delete-app --region {region} for each app of {name}, then "
        "delete-user-profile",
    ),
    "model": Workload(
        called="SageMaker model", roles=("executionRoleArn",), ended_by={"DeleteModel": "modelName"},
        stop="aws sagemaker delete-endpoint --region {region} for each endpoint with the model, then "
        "delete-model --model-name={name}",
    ),
    "ml_pipeline": Workload(
        called="SageMaker pipeline", roles=("roleArn",), ended_by={"DeletePipeline": "pipelineName"},
        stop="aws sagemaker delete-pipeline --region {region} --pipeline-name={name}, and stop its "
        "executions",
    ),
    "ml_job": Workload(
        called="SageMaker job",
        roles=("roleArn", "monitoringScheduleConfig.monitoringJobDefinition.roleArn",
               "autoMLComputeConfig.emrServerlessComputeConfig.executionRoleARN"),
        stop="aws sagemaker stop-auto-ml-job, stop-monitoring-schedule, stop-inference-experiment, "
        "stop-labeling-job or stop-pipeline-execution, --region {region}, for {name}",
    ),
    "ml_app": Workload(
        called="SageMaker MLflow server or partner app", roles=("roleArn", "executionRoleArn"),
        stop="aws sagemaker stop-mlflow-tracking-server or delete-partner-app, --region {region}, for "
        "{name}",
    ),
    "ml_cluster": Workload(
        called="SageMaker HyperPod cluster",
        stop="aws sagemaker delete-cluster --region {region} --cluster-name={name}",
    ),
    "stack_set": Workload(
        called="CloudFormation stack set", roles=("administrationRoleARN",), without_role=False,
        ended_by={"DeleteStackSet": "stackSetName"},
        stop="aws cloudformation delete-stack-instances --region {region} --stack-set-name={name} "
        "--accounts … --regions …, once you know what they hold in which accounts, then "
        "delete-stack-set",
    ),
    "extension": Workload(
        called="CloudFormation extension", roles=("executionRoleArn",), without_role=False,
        stop="aws cloudformation deactivate-type or deregister-type --region {region} --type … "
        "--type-name={name}",
    ),
    "automation": Workload(
        called="Systems Manager automation", roles=("parameters.AutomationAssumeRole",), without_role=False,
        ended_by={"StopAutomationExecution": "automationExecutionId"},
        stop="aws ssm stop-automation-execution --region {region} --automation-execution-id={name}",
    ),
    "window_task": Workload(
        called="task of a maintenance window", roles=("serviceRoleArn",),
        stop="aws ssm deregister-task-from-maintenance-window --region {region} --window-id={name} "
        "--window-task-id …",
    ),
    "app_service": Workload(
        called="App Runner service", roles=("instanceConfiguration.instanceRoleArn",), without_role=False,
        stop="aws apprunner pause-service --region {region}, with the ARN of {name}",
    ),
    "amplify_app": Workload(
        called="Amplify app", roles=("iamServiceRoleArn", "computeRoleArn"), without_role=False,
        stop="aws amplify delete-app --region {region} --app-id={name}",
    ),
    "agent_runtime": Workload(
        called="Bedrock AgentCore runtime", roles=("roleArn", "executionRoleArn"), without_role=False,
        stop="aws bedrock-agentcore-control delete-agent-runtime, delete-code-interpreter, "
        "delete-browser or delete-harness, --region {region}, for {name}",
    ),
    "pipe": Workload(
        called="EventBridge pipe", roles=("roleArn",), without_role=False, ended_by={"DeletePipe": "name"},
        stop="aws pipes stop-pipe --region {region} --name={name}",
    ),
    "game_fleet": Workload(
        called="GameLift fleet", roles=("instanceRoleArn", "fleetRoleArn", "roleArn"), without_role=False,
        stop="aws gamelift delete-fleet, delete-container-fleet or delete-game-server-group, --region "
        "{region}, for {name}",
    ),
    "app_fleet": Workload(
        called="AppStream fleet or builder", roles=("iamRoleArn",), without_role=False,
        stop="aws appstream stop-fleet or stop-image-builder --region {region} --name={name}",
    ),
    "airflow": Workload(
        called="Managed Airflow environment", roles=("executionRoleArn",),
        stop="aws mwaa delete-environment --region {region} --name={name}",
    ),
    "airflow_workflow": Workload(
        called="Managed Airflow workflow", roles=("roleArn",),
        stop="aws mwaa-serverless stop-workflow-run for each run, then delete-workflow, --region "
        "{region}, with the ARN of {name}",
    ),
    "genomics_run": Workload(
        called="HealthOmics run", roles=("roleArn", "defaultRunSetting.roleArn"), ended_by={"CancelRun": "id"},
        stop="aws omics cancel-run or cancel-run-batch, --region {region}, for {name}",
    ),
    "device_test": Workload(
        called="Device Farm project or run", roles=("executionRoleArn", "configuration.executionRoleArn"),
        without_role=False,
        stop="aws devicefarm stop-run --region {region}, for {name} or each run of it",
    ),
    "connector": Workload(
        called="MSK Connect connector", roles=("serviceExecutionRoleArn",),
        stop="aws kafkaconnect delete-connector --region {region}, with the ARN of {name}",
    ),
    "response_plan": Workload(
        called="Incident Manager response plan", roles=("actions.ssmAutomation.roleArn",), without_role=False,
        stop="aws ssm-incidents delete-response-plan --region {region}, with the ARN of {name}",
    ),
    "stream_application": Workload(
        called="Managed Flink application", roles=("serviceExecutionRole", "serviceExecutionRoleUpdate"),
        ended_by={"DeleteApplication": "applicationName"},
        stop="aws kinesisanalyticsv2 stop-application --region {region} --application-name={name} "
        "--force",
    ),
    "canary": Workload(
        called="CloudWatch canary", roles=("executionRoleArn",), ended_by={"DeleteCanary": "name"},
        stop="aws synthetics stop-canary --region {region} --name={name}",
    ),
    "render_farm": Workload(
        called="Deadline Cloud fleet or queue", roles=("roleArn",), without_role=False,
        stop="aws deadline update-fleet or update-queue, or delete-…, --region {region}, for {name}",
    ),
    "image_pipeline": Workload(
        called="EC2 Image Builder pipeline", roles=("executionRole",),
        stop="aws imagebuilder cancel-image-creation and delete-image-pipeline, --region {region}, for "
        "{name}; what it builds on has the role of its instance profile",
    ),
    "web_environment": Workload(
        called="Elastic Beanstalk environment", roles=("operationsRole",),
        stop="aws elasticbeanstalk terminate-environment --region {region} --environment-name={name}; "
        "its instances have the role of their instance profile",
    ),
    "blueprint": Workload(
        called="run of a Glue blueprint", roles=("roleArn",),
        stop="look for the jobs of the blueprint {name} in {region} and delete them",
    ),
    "quantum_job": Workload(
        called="Braket job", roles=("roleArn",),
        stop="aws braket cancel-job --region {region}, with the ARN of {name}",
    ),
    "microvm": Workload(
        called="Lambda MicroVM", roles=("executionRoleArn",), without_role=False,
        ended_by={"TerminateMicrovm": "microvmIdentifier"},
        stop="aws lambda-microvms terminate-microvm --region {region} --microvm-identifier={name}",
    ),
    "microvm_image": Workload(
        called="Lambda MicroVM image", roles=("buildRoleArn",), without_role=False,
        ended_by={"DeleteMicrovmImage": "imageIdentifier"},
        stop="aws lambda-microvms delete-microvm-image --region {region} --image-identifier={name}, and "
        "terminate the MicroVMs that run it (`aws lambda-microvms list-microvms`)",
    ),
}  # fmt: skip
_DOORS: Mapping[str, Workload] = {
    "identity_pool": Workload(
        called="Cognito identity pool",
        roles=("roles.authenticated", "roles.unauthenticated", "roleMappings.*.rulesConfiguration.rules.roleARN"),
        door=True, ended_by={"DeleteIdentityPool": "identityPoolId"},
        stop="aws cognito-identity set-identity-pool-roles --region {region} --identity-pool-id={name} "
        "--roles … with the roles that it had, and update-identity-pool "
        "--no-allow-unauthenticated-identities if strangers need no role",
    ),
    "pod_identity": Workload(
        called="EKS Pod Identity association", roles=("roleArn", "targetRoleArn"), door=True,
        ended_by={"DeletePodIdentityAssociation": "associationId"},
        stop="aws eks delete-pod-identity-association --region {region} --cluster-name … "
        "--association-id={name}, and delete the pods of its service account",
    ),
    "role_alias": Workload(
        called="IoT role alias", roles=("roleArn",), door=True, ended_by={"DeleteRoleAlias": "roleAlias"},
        stop="aws iot delete-role-alias --region {region} --role-alias={name}, or update-role-alias with"
        " the role that it had, and look for certificates that may use it",
    ),
    "activation": Workload(
        called="Systems Manager activation", roles=("iamRole",), door=True,
        stop="aws ssm delete-activation --region {region} --activation-id={name}, and deregister the "
        "nodes that came in by it (`aws ssm describe-instance-information`, `aws ssm "
        "deregister-managed-instance`)",
    ),
    "node_role": Workload(
        called="Systems Manager role of nodes", roles=("iamRole", "roleArn"), door=True,
        stop="aws ssm update-managed-instance-role, or deregister-default-host-management-configuration,"
        " --region {region}, for {name}",
    ),
    "user_group": Workload(
        called="Cognito group of users", roles=("roleArn",), without_role=False, door=True,
        stop="aws cognito-idp update-group --region {region} --user-pool-id … --group-name={name}, with "
        "the role that it had",
    ),
    "transfer_user": Workload(
        called="Transfer Family user", roles=("role",), without_role=False, door=True,
        stop="aws transfer delete-user (or delete-access) --region {region} --server-id … "
        "--user-name={name}",
    ),
    "grants_location": Workload(
        called="S3 Access Grants location", roles=("iAMRoleArn", "iamRoleArn"), door=True,
        stop="aws s3control list-access-grants --region {region} for {name}, and delete-access-grant "
        "each that is not yours",
    ),
    "entitlement": Workload(
        called="entitlement of account access manager", roles=("entitlement.principalRole.roleArn",),
        door=True, ended_by={"DeleteEntitlement": "entitlementId"},
        stop="aws account-access delete-entitlement --region {region} --application-arn … "
        "--entitlement-id={name}; `aws account-access get-entitlement` tells whom of IAM Identity "
        "Center it lets in",
    ),
    "core_device": Workload(
        called="Greengrass group", roles=("roleArn",), door=True,
        stop="aws greengrass disassociate-role-from-group --region {region} --group-id={name}",
    ),
}  # fmt: skip
WORKLOADS: Mapping[str, Workload] = {**_COMMON, **_OF_MORE_SERVICES, **_DOORS}
"""The kinds of workloads, by the kind that `role_passing` gives them."""
STOPPED_BY_DELETION = frozenset({
    "task_definition", "job", "dev_endpoint", "build_project", "stack", "state_machine", "schedule",
    "job_definition", "compute_environment", "capacity_provider", "cluster", "athena_session", "node_group",
    "spot_request", "pipeline", "data_pipeline", "studio", "model", "ml_pipeline", "ml_app", "ml_cluster",
    "stack_set", "extension", "window_task", "amplify_app", "agent_runtime", "game_fleet", "airflow",
    "airflow_workflow", "connector", "response_plan", "render_farm", "image_pipeline", "web_environment", "microvm",
    "microvm_image", "pod_identity", "role_alias", "activation", "node_role", "transfer_user", "grants_location",
    "entitlement",
})  # fmt: skip
"""The kinds whose commands delete the workload, or what it runs on, which nobody wants of a workload of the owner's."""
