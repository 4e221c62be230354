"""
Which credentials AWS delivers to what runs there (instances, functions, tasks, pods), and which of their calls tell
where the credential is.
"""

from __future__ import annotations

INSTANCE = "^i-[0-9a-fA-F]{8,17}$"
"""How a session of an instance is named (FACTS: Amazon EC2 User Guide, 'IAM roles for Amazon EC2')."""
RUNTIME = r"exec-env/AWS_(Lambda|ECS)_"
"""
What SDKs add to their user agent in a function or task: `AWS_EXECUTION_ENV` (AWS Lambda Developer Guide, 'Defined
runtime environment variables'; Amazon ECS Developer Guide, 'Task environment variables').
"""
WORKLOADS = f"""
    SELECT n, kind, person, host, platform FROM (
      SELECT *, CASE
          WHEN ec2_delivery IS NOT NULL OR service LIKE 'ec2.%' OR named_by_instance THEN 'ec2'
          WHEN service LIKE 'lambda.%' OR in_scope_of LIKE 'arn:%:lambda:%' THEN 'lambda'
          WHEN service LIKE 'ecs-tasks.%' OR in_scope_of LIKE 'arn:%:ecs:%' THEN 'ecs'
          WHEN service LIKE 'pods.eks.%' OR (in_pod AND contains(provider, 'oidc.eks.')) THEN 'eks'
          WHEN in_pod THEN 'cluster'
          WHEN service LIKE 'credentials.iot.%' OR host LIKE 'mi-%' THEN 'device'
          ELSE 'service' END AS platform
      FROM (
        SELECT n, kind, person, ec2_delivery, in_scope_of, coalesce(caller_service, '') AS service,
               coalesce(federated_provider, '') AS provider,
               coalesce(session_name, split_part(principal_id, ':', -1), '') AS host,
               regexp_matches(host, '{INSTANCE}') AS named_by_instance,
               coalesce(subject, '') LIKE 'system:serviceaccount:%' AS in_pod
        FROM credential_details WHERE coalesce(issuer_arn, role_arn, '') NOT LIKE '%:role/aws-service-role/%')
    ) WHERE kind = 'service_role' OR (kind = 'assumed_role' AND named_by_instance)
       OR (kind = 'assumed_role_web_identity' AND in_pod)"""
"""
Credentials of workloads, with the `host` that their session is named for, and the `platform` that it runs on.

An `assumed_role` is an instance's whose delivery the evidence does not show. A pod's web identity is of EKS, or of a
`cluster` that may run anywhere. A `device` is outside AWS by design: what IoT Core or Systems Manager's hybrid
activations (`mi-`) hand credentials to (AWS Systems Manager User Guide, 'Create a hybrid activation'). Whatever else a
service hands credentials to is a `service`: builds, notebooks, jobs.
"""
_SDK = "(?i)(aws-?cli|aws-?sdk|boto|exec-env|stratus)"
SIGNED_THERE = f"""
    (coalesce(c.name, '') NOT IN ('GetObject', 'HeadObject', 'PutObject', 'UploadPart', 'GetCallerIdentity')
     OR regexp_matches(coalesce(c.agent, 'boto'), '{_SDK}'))"""
"""
The condition for a call `c` that was sent where its credential is.

Not so are calls that somebody else sends, presigned: links to objects, which browsers open (Amazon S3 User Guide,
'Download and upload objects with presigned URLs'), and GetCallerIdentity, by which EKS and Vault tell who logs in
(Amazon EKS User Guide, 'Cluster authentication'; Vault, 'AWS auth method'). These have no SDK's user agent.
"""
