"""
The calls that undo or evade containment, each with the resources that it acts on.

Source: Service Authorization Reference, 'Actions, resources, and condition keys for AWS Identity and Access
Management', '... for AWS Organizations', '... for AWS Lambda', '... for Amazon EC2'.
"""

from __future__ import annotations

from dataclasses import dataclass

LAUNCHES = "launches"
"""Stands for iam:PassRole together with a call that starts something under the role passed."""
LEAVES = "LeaveOrganization"


@dataclass(frozen=True, slots=True, kw_only=True)
class Write:
    """A call, and the type of resource that its permission is about."""

    service: str
    name: str
    resources: str | None
    """Such as `user/*`, in the caller's account; `None` if there are several types."""

    @property
    def action(self) -> str:
        """As policies name it."""
        return f"{self.service}:{self.name}"

    def resource(self, partition: str, account: str) -> str | None:
        """The ARNs that it may act on, as a pattern."""
        return (
            None if self.resources is None else f"arn:{partition}:{self.service}::{account}:{self.resources}"
        )


def _iam(resources: str, names: str) -> tuple[Write, ...]:
    return tuple(Write(service="iam", name=name, resources=resources) for name in names.split())


def _any(service: str, names: str) -> tuple[Write, ...]:
    return tuple(Write(service=service, name=name, resources=None) for name in names.split())


IAM = (
    *_iam(
        "user/*",
        "CreateAccessKey UpdateAccessKey CreateLoginProfile UpdateLoginProfile CreateUser PutUserPolicy "
        "DeleteUserPolicy AttachUserPolicy DetachUserPolicy PutUserPermissionsBoundary DeleteUserPermissionsBoundary "
        "CreateServiceSpecificCredential ResetServiceSpecificCredential UploadSigningCertificate UpdateUser",
    ),
    *_iam(
        "role/*",
        "CreateRole UpdateAssumeRolePolicy PutRolePolicy DeleteRolePolicy AttachRolePolicy DetachRolePolicy"
        " PutRolePermissionsBoundary DeleteRolePermissionsBoundary",
    ),
    *_any("iam", "AcquireRole"),
    *_iam("policy/*", "CreatePolicyVersion SetDefaultPolicyVersion"),
    *_iam(
        "group/*",
        "AddUserToGroup RemoveUserFromGroup PutGroupPolicy DeleteGroupPolicy AttachGroupPolicy DetachGroupPolicy",
    ),
    *_iam("oidc-provider/*", "CreateOpenIDConnectProvider AddClientIDToOpenIDConnectProvider"),
    *_iam("saml-provider/*", "CreateSAMLProvider UpdateSAMLProvider"),
)
ORGANIZATIONS = _any(
    "organizations",
    "DetachPolicy UpdatePolicy DeletePolicy DisablePolicyType MoveAccount RemoveAccountFromOrganization"
    " LeaveOrganization",
)
PASSING = _iam("role/*", "PassRole")
LAUNCHING = (
    *_any("lambda", "CreateFunction UpdateFunctionConfiguration"),
    *_any("ec2", "RunInstances AssociateIamInstanceProfile ReplaceIamInstanceProfileAssociation"),
    *_any("ec2", "RequestSpotInstances RequestSpotFleet CreateFleet"),
    *_any("autoscaling", "CreateAutoScalingGroup CreateLaunchConfiguration"),
    *_any("ecs", "RunTask RegisterTaskDefinition CreateService"),
    *_any("batch", "RegisterJobDefinition"),
    *_any("cloudformation", "CreateStack UpdateStack CreateChangeSet CreateStackSet"),
    *_any("codebuild", "CreateProject UpdateProject StartBuild"),
    *_any("codepipeline", "CreatePipeline"),
    *_any("glue", "CreateDevEndpoint CreateJob UpdateJob"),
    *_any("sagemaker", "CreateNotebookInstance CreateTrainingJob CreateProcessingJob CreateDomain"),
    *_any("elasticmapreduce", "RunJobFlow"),
    *_any("datapipeline", "CreatePipeline PutPipelineDefinition"),
    *_any("states", "CreateStateMachine UpdateStateMachine"),
    *_any("ssm", "StartAutomationExecution CreateAssociation CreateActivation"),
    *_any("apprunner", "CreateService"),
    *_any("eks", "CreatePodIdentityAssociation CreateNodegroup"),
    *_any("scheduler", "CreateSchedule"),
    *_any("events", "PutTargets"),
    *_any("iot", "CreateRoleAlias CreateTopicRule"),
    *_any("rolesanywhere", "CreateProfile UpdateProfile"),
    *_any("cognito-identity", "SetIdentityPoolRoles"),
    *_any("bedrock-agentcore", "CreateCodeInterpreter CreateAgentRuntime"),
)
"""Calls that start something with a role that they pass."""
TAKING_OVER = (
    *_any(
        "lambda", "UpdateFunctionCode UpdateFunctionConfiguration"
    ),  # a layer runs before the function's own code
    *_any("ssm", "SendCommand StartSession CreateAssociation UpdateAssociation"),
    *_any("elasticmapreduce", "AddJobFlowSteps"),
    *_any("batch", "SubmitJob"),
    *_any("ec2-instance-connect", "SendSSHPublicKey SendSerialConsoleSSHPublicKey"),
    *_any("ec2", "ModifyInstanceAttribute"),
    *_any("ecs", "ExecuteCommand"),
    *_any("codebuild", "StartBuild UpdateProject"),
    *_any("cloudformation", "UpdateStack"),
    *_any("glue", "UpdateDevEndpoint UpdateJob"),
    *_any("sagemaker", "CreatePresignedNotebookInstanceUrl CreatePresignedDomainUrl"),
    *_any("cloudshell", "CreateSession"),
)
"""
Calls that give access to the credentials of a workload that already runs with a role.

Source: the API References of the services, the page of each call.
"""
