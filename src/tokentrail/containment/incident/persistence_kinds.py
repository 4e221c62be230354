"""
What an attacker may leave that no step removes, and what of the owner's it may get into: the kinds, and how each is
called.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from tokentrail.containment.incident.workloads import bare

LEFT = {
    "ssh_key": "an SSH key", "certificate": "a signing certificate", "service_credential": "a service credential",
    "mfa_device": "an MFA device", "resource_policy": "a resource policy", "grant": "a KMS grant",
    "permission_set": "a permission set", "assignment": "an account assignment",
    "replication": "a replication rule", "key_pair": "a key pair", "policy": "a change to policies",
    "boundary": "a permissions boundary", "group_membership": "a group membership",
    "instance_profile": "an instance profile", "function_policy": "a function's policy",
    "function_url": "a function URL",
    "outbound_federation": "outbound web identity federation", "delegation": "a delegation",
    "root_access": "an organisation's right to act as root in its accounts",
    "support_access": "a permit for AWS Support",
    "oauth_client": "an OAuth client", "instance_attribute": "a change to an instance",
    "cluster_access": "a way into an EKS cluster", "identity_pool_setting": "a setting of a Cognito identity pool",
    "pool_user": "a way into a Cognito user pool", "device": "a way in for IoT devices",
    "transfer_key": "a way in through Transfer Family", "share": "a share of resources",
    "organization": "a change to the organisation", "sign_in_setting": "a way into IAM Identity Center",
    "directory_user": "a change to IAM Identity Center's users", "bucket_access": "access to S3 buckets",
    "layer": "a Lambda layer", "trigger": "a trigger of a function", "database_role": "a database's role",
    "service_role": "something that acts with a role", "launch_template": "a template for EC2 instances",
    "environment": "a Cloud9 environment", "lightsail_access": "access to Lightsail", "webhook": "a webhook of builds",
    "workspace_token": "a way into Grafana", "ssm_document": "a Systems Manager document",
    "identity_propagation": "a change to whom sessions are said to act for",
}  # fmt: skip
"""What an attacker leaves that lets somebody in or acts for the attacker, and that a plan names without removing it."""

ENTERED = {
    "command": "an SSM command ran", "ssm_session": "an SSM session was opened",
    "association": "an SSM association ran",
    "shell": "a shell was opened in an ECS task", "ssh": "an SSH key was sent", "job_run": "a job was run",
    "notebook_link": "a link to notebooks or workflows was made", "deployment": "something was deployed",
    "instance_reset": "a root volume was replaced", "sandbox": "an AgentCore session was opened",
    "streaming_link": "a link to a desktop was made", "environment_member": "a Cloud9 environment was shared",
    "microvm_token": "a token for a Lambda MicroVM was made",
    "build": "a build was started", "start_script": "an instance was given a script that it runs when it starts",
    "private_certificate": "a certificate was issued",
}  # fmt: skip
"""What was done to something of the owner's that has a role: its credentials may have been stolen that way."""

ENDING = frozenset({"key", "password", "trust"})
"""Kinds of sources that end with their user or role; hosts and providers remain when their role is denied."""


def counts_as(made: str, request: Mapping[str, Any]) -> str:
    """
    The kind that a made thing counts as, which may depend on the request.

    A changed start script may run at the instance's next start (Amazon EC2 User Guide, 'Run commands when you launch an
    EC2 instance with user data input'); the log shows that there is one.
    """
    return "start_script" if made == "instance_attribute" and "userData" in request else made


def spellings(names: Set[str]) -> Set[str]:
    """Names of sessions as they are, and as the serial numbers of certificates."""
    return (names | set(map(bare, names))) - {""}


def with_article(called: str) -> str:
    """A thing with its article: an ECS task, an S3 location, a stack."""
    return f"{'an' if called.startswith(('A', 'E', 'I', 'O', 'S3', 'i')) else 'a'} {called}"


def unnamed(call: str, event_id: str) -> str:
    """What stands for the name of something that a call made, where the log leaves the name out."""
    return f"(not named: {call}, event {event_id})"
