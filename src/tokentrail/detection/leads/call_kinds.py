"""
What kinds of calls and user agents leads look for.

What a call does comes from the call catalogue where it says so. The further lists hold calls and tools that public
reports of incidents name; each list names its sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from tokentrail.aws.calls.catalogue import reviewed
from tokentrail.aws.calls.names import operation_of, service_of

CallKind = Literal[
    "whoami", "mint", "data", "secret", "incident", "persistence", "destruction", "blinding", "opening", "host_entry",
    "iam_write",
]  # fmt: skip

_PERSISTENCE = frozenset({
    "access_key", "activation", "anywhere_profile", "assignment", "certificate", "cluster_access", "delegation",
    "directory_user", "function", "function_policy", "function_url", "group_membership", "identity_pool", "layer",
    "login_profile",
    "oauth_client", "outbound_federation", "permission_set", "pod_identity", "policy", "provider", "role",
    "service_credential", "ssh_key", "trust", "trust_anchor", "user",
})  # fmt: skip
"""What a call leaves behind, by the catalogue's names, that lets somebody back in or gives them more power."""
_OPENING = frozenset({"bucket_access", "grant", "replication", "resource_policy", "share"})
_HOST_ENTRY = frozenset(
    {"command", "instance_attribute", "instance_reset", "key_pair", "shell", "ssh", "ssm_session"}
)
_LISTED: dict[CallKind, dict[str, str]] = {
    "whoami": {"sts": "GetCallerIdentity"},
    "mint": {"sts": "AssumeRole AssumeRoot GetFederationToken GetSessionToken"},
    "data": {
        "s3": "GetObject SelectObjectContent",
        "dynamodb": "BatchGetItem ExecuteStatement ExportTableToPointInTime GetItem Query Scan",
        "secretsmanager": "BatchGetSecretValue GetSecretValue",
        "ssm": "GetParameter GetParameterHistory GetParameters GetParametersByPath",
        "ebs": "GetSnapshotBlock",
        "rds": "DownloadDBLogFilePortion StartExportTask",
        "rds-data": "BatchExecuteStatement ExecuteStatement",
    },
    "incident": {
        "account": "GetAlternateContact GetContactInformation",
        "bedrock": "CreateFoundationModelAgreement GetFoundationModelAvailability "
        "GetModelInvocationLoggingConfiguration GetUseCaseForModelAccess InvokeModel InvokeModelWithResponseStream "
        "Converse ConverseStream "
        "ListFoundationModelAgreementOffers PutFoundationModelEntitlement PutUseCaseForModelAccess",
        "ce": "GetCostAndUsage GetCostForecast",
        "ec2": "CreateInstanceExportTask DescribeInstanceAttribute GetConsoleOutput GetConsoleScreenshot "
        "GetLaunchTemplateData",
        "iam": "GetAccountAuthorizationDetails GetCredentialReport GenerateCredentialReport SimulatePrincipalPolicy "
        "SimulateCustomPolicy",
        "kms": "ReplicateKey ImportKeyMaterial",
        "lightsail": "DownloadDefaultKeyPair GetBucketAccessKeys",
        "organizations": "DescribeOrganization ListAccounts",
        "route53domains": "RegisterDomain TransferDomain",
        "servicequotas": "ListServiceQuotas GetServiceQuota RequestServiceQuotaIncrease",
        "ses": "GetAccount GetAccountSendingEnabled GetSendQuota ListIdentities ListEmailIdentities SendEmail "
        "PutAccountDetails UpdateAccountSendingEnabled VerifyEmailIdentity CreateEmailIdentity",
        "signin": "GetSigninToken",
        "sns": "GetSMSAttributes GetSMSSandboxAccountStatus ListOriginationNumbers",
        "sts": "GetFederationToken",
        "support": "CreateCase",
    },
    "destruction": {
        "backup": "DeleteBackupVault DeleteRecoveryPoint",
        "dynamodb": "DeleteBackup DeleteTable",
        "ec2": "DeleteSnapshot DeleteVolume DeregisterImage TerminateInstances",
        "elasticfilesystem": "DeleteFileSystem",
        "kms": "DisableKey ScheduleKeyDeletion DeleteImportedKeyMaterial",
        "rds": "DeleteDBCluster DeleteDBClusterSnapshot DeleteDBInstance DeleteDBSnapshot",
        "s3": "DeleteBucket DeleteObject DeleteObjects",
        "secretsmanager": "DeleteSecret",
    },
    "blinding": {"organizations": "LeaveOrganization", "bedrock": "DeleteModelInvocationLoggingConfiguration"},
    "opening": {
        "ec2": "AuthorizeSecurityGroupIngress ModifyImageAttribute ModifySnapshotAttribute",
        "rds": "ModifyDBClusterSnapshotAttribute ModifyDBSnapshotAttribute",
        "s3": "DeleteBucketPolicy",
    },
    "host_entry": {"ec2": "EnableSerialConsoleAccess GetPasswordData"},
    "iam_write": {},
    "secret": {
        "secretsmanager": "BatchGetSecretValue GetSecretValue",
        "ssm": "GetParameter GetParameterHistory GetParameters GetParametersByPath",
    },
}  # fmt: skip
"""
Calls by service. Those of `incident` say little where many make them; leads weigh them by how many here do.

Sources: the API References name what each reads. That intruders make these calls is reported in: AWS CIRT, 'Threat
Technique Catalog for AWS'; Datadog Security Labs, 'State of Cloud Security' and its reports on SES, SNS and Bedrock
abuse; Permiso, 'LLMjacking' and 'SES abuse'; Sysdig, 'LLMjacking' and 'SCARLETEEL'; Unit 42, 'Leaked environment
variables'; the technique pages of Stratus Red Team (Apache-2.0). Only names of AWS's own calls are taken from them.
"""
_BY_OPERATION: dict[tuple[str, str], set[CallKind]] = {}
for _kind, _services in _LISTED.items():
    for _service, _operations in _services.items():
        for _operation in _operations.split():
            _BY_OPERATION.setdefault((_service, _operation), set()).add(_kind)
_MAIL = {"email": "ses", "sesv2": "ses"}
"""Other names that CloudTrail has for a service's event source."""
_IAM_WRITES = ("Add", "Attach", "Create", "Put", "Set", "Update")


def call_kinds(source: str | None, event_name: str | None) -> Iterator[CallKind]:
    """The kinds of a call, by its `eventSource` and `eventName`."""
    service, operation = service_of(source), operation_of(event_name or "")
    service = _MAIL.get(service, service)
    kinds = set(_BY_OPERATION.get((service, operation), ()))
    facts = reviewed(service, operation)
    created = facts.creates.kind if facts and facts.creates else None
    kinds |= {"persistence"} if created in _PERSISTENCE else set()
    kinds |= {"opening"} if created in _OPENING else set()
    kinds |= {"host_entry"} if created in _HOST_ENTRY else set()
    if facts and facts.verdict in ("changes_log", "blinds"):
        kinds.add("blinding")
    elif facts and (facts.verdict in ("deletes_later", "stops_keeping") or facts.remedy):
        kinds.add("destruction")
    if service == "iam" and operation.startswith(_IAM_WRITES):
        kinds.add("iam_write")
    yield from sorted(kinds)


def words(names: Iterable[str]) -> str:
    """A pattern that finds one of some words in a user agent, not within a longer word."""
    return rf"(?i)(^|[^a-z])({'|'.join(names)})([^a-z]|$)"


ATTACK_TOOLS = words((
    "kali", "parrot", "pentoo", "pacu", "trufflehog", "cloudfox", "scout ?suite", "prowler", "stratus-red-team",
    "enumerate-iam", "weirdaal", "cloudbrute", "peirates", "cloudmapper", "aws_consoler", "cloudsplaining", "nmap",
    "sqlmap", "s3scanner", "gitleaks", "aws-recon", "steampipe", "cartography", "red-?team",
))  # fmt: skip
"""
User agents of tools that look for weaknesses, and of systems that are made for attacks.

Sources: Amazon GuardDuty User Guide, 'PenTest:IAMUser/KaliLinux', 'ParrotLinux' and 'PentooLinux'; Elastic and
SigmaHQ, rules for user agents of TruffleHog and of Kali in CloudTrail; the tools' own source code. Defenders use some
of them too, so that the rarity decides.
"""
DESKTOP = (
    r"(?i)(darwin|os/macos|mac ?os ?x|macintosh|microsoft-standard|(^|[^a-z])kali([^a-z]|$)|^mozilla/|"
    r"cyberduck|s3 ?browser)"
)
"""User agents of a person's computer, as the SDKs, `aws-cli` and browsers spell them; WSL by its kernel's name."""
WINDOWS = r"(?i)(os/windows|(^|[ /(])windows[/ ])"
"""Windows, on which also servers run, but no function of AWS Lambda (AWS Lambda Developer Guide, 'Lambda runtimes')."""
BY_HAND = r"(?i)(^aws-cli/|cyberduck|s3 ?browser|cloudberry|rclone|s3cmd|s5cmd|mountain ?duck|darwin|os/macos|windows/)"
"""User agents of what a person types or clicks."""
INFRASTRUCTURE = words(("terraform", "opentofu", "pulumi", "crossplane", "cloudformation", "ansible"))
"""Tools that always call GetCallerIdentity first (Terraform AWS Provider, 'skip_requesting_account_id')."""
NAMED_BY_A_LIBRARY = (
    r"(?i)^(botocore-session-[0-9]+|boto3-session.*|aws-go-sdk-[0-9]+|aws-sdk-js-[0-9]+|aws-sdk-java-[0-9]+|"
    r"aws-?cli-?session(-[0-9]+)?|aws-sdk-rust-.*|test(-?session)?|pacu.*|stratus.*|mysession|session[0-9]*|"
    r"attacker.*|hacker.*|pwn.*|rolesession.*)$"
)
"""Session names that a library makes up, or that examples have: people and pipelines that mind what they do set one."""
