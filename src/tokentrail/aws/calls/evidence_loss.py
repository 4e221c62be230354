"""Calls that blind logs or detection, that delete data later, or that stop keeping data."""

from __future__ import annotations

from collections.abc import Mapping

LOG: Mapping[str, str] = {
    "cloudtrail": "DeleteEventDataStore DeleteTrail PutEventSelectors StopEventDataStoreIngestion StopLogging "
    "UpdateTrail",
    "guardduty": "DeleteDetector UpdateDetector",
}
"""Calls that turn off CloudTrail or GuardDuty, or may reduce what they record (API References of both)."""

WATCH: Mapping[str, str] = {
    "config": "DeleteConfigRule DeleteConfigurationRecorder DeleteDeliveryChannel StopConfigurationRecorder",
    "ec2": "DeleteFlowLogs",
    "route53resolver": "DeleteResolverQueryLogConfig DisassociateResolverQueryLogConfig",
    "wafv2": "DeleteLoggingConfiguration",
    "logs": "DeleteLogGroup DeleteLogStream DeleteMetricFilter DeleteSubscriptionFilter",
    "monitoring": "DeleteAlarms DisableAlarmActions",
    "guardduty": "CreateFilter CreateIPSet DeleteMembers DeletePublishingDestination "
    "DisassociateFromAdministratorAccount DisassociateFromMasterAccount DisassociateMembers StopMonitoringMembers "
    "UpdateFilter UpdateIPSet",
    "securityhub": "BatchDisableStandards DeleteConfigurationPolicy DisableSecurityHub "
    "DisassociateFromAdministratorAccount",
    "macie2": "DisableMacie",
    "inspector2": "Disable",
    "detective": "DeleteGraph",
    "access-analyzer": "DeleteAnalyzer",
    "bedrock": "DeleteModelInvocationLoggingConfiguration",
}
"""
Calls that turn off logs and detection other than CloudTrail, or make them ignore something.

Sources: the API References of AWS Config, Amazon EC2, Amazon Route 53 (Resolver), AWS WAF, Amazon CloudWatch Logs,
Amazon CloudWatch (whose calls are logged as those of `monitoring`), Amazon GuardDuty, AWS Security Hub, Amazon Macie,
Amazon Inspector, Amazon Detective, IAM Access Analyzer and Amazon Bedrock, the page of each call.
"""

DELETES_LATER: Mapping[tuple[str, str], str] = {
    ("s3", "PutBucketLifecycle"): "aws s3api put-bucket-lifecycle-configuration with the rules of before, or "
    "delete-bucket-lifecycle",
    ("kms", "ScheduleKeyDeletion"): "aws kms cancel-key-deletion, then enable-key",
    ("secretsmanager", "DeleteSecret"): "aws secretsmanager restore-secret, unless it was deleted for good at once",
    ("ecr", "PutLifecyclePolicy"): "aws ecr put-lifecycle-policy with the rules of before, or delete-lifecycle-policy",
    ("logs", "PutRetentionPolicy"): "aws logs put-retention-policy with the days of before, or "
    "delete-retention-policy",
}  # fmt: skip
"""
Calls by which AWS deletes data days later, even if the caller's credentials are ended, and how each is undone.

Sources: Amazon S3 API Reference, 'PutBucketLifecycleConfiguration', which the log calls PutBucketLifecycle (Invictus);
AWS KMS API Reference, 'ScheduleKeyDeletion' (7 to 30 days); AWS Secrets Manager API Reference, 'DeleteSecret' (7 to 30
days, or at once); Amazon ECR API Reference, 'PutLifecyclePolicy'; Amazon CloudWatch Logs API Reference,
'PutRetentionPolicy'.
"""

STOPS_KEEPING: Mapping[tuple[str, str], str] = {
    ("s3", "PutBucketVersioning"): "aws s3api get-bucket-versioning, then put-bucket-versioning with Status=Enabled",
    ("dynamodb", "UpdateContinuousBackups"): "aws dynamodb describe-continuous-backups, then "
    "update-continuous-backups",
    ("backup", "DeleteBackupVaultLockConfiguration"): "aws backup put-backup-vault-lock-configuration",
    ("backup", "DeleteBackupPlan"): "aws backup create-backup-plan, and its selections again",
}  # fmt: skip
"""
Calls after which deleted or overwritten data is no longer kept, and how each is checked or undone.

Sources: Amazon S3 API Reference, 'PutBucketVersioning'; Amazon DynamoDB API Reference, 'UpdateContinuousBackups'; AWS
Backup API Reference, 'DeleteBackupVaultLockConfiguration' and 'DeleteBackupPlan'. Whether one of the first two turned
it on or off, only its request shows.
"""
