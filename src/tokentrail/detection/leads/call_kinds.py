"""
What kinds of calls and user agents leads look for.

What a call does comes from the call catalogue where it says so. The further lists hold calls and tools that public
reports of incidents name; each list names its sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from tokentrail.aws.calls.catalogue import CallFacts, reviewed
from tokentrail.aws.calls.names import operation_of, service_of

CallKind = Literal[
    "mint", "data", "secret", "incident", "persistence", "destruction", "blinding", "opening", "host_entry",
    "iam_write",
]  # fmt: skip

_PERSISTENCE = frozenset({
    "access_key", "activation", "anywhere_profile", "assignment", "certificate", "cluster_access", "delegation",
    "directory_user", "function", "function_policy", "function_url", "group_membership", "identity_pool", "layer",
    "login_profile", "oauth_client", "outbound_federation", "permission_set", "pod_identity", "policy", "provider",
    "role", "service_credential", "ssh_key", "trust", "trust_anchor", "user",
})  # fmt: skip
"""What a call leaves behind, by the catalogue's names, that lets somebody back in or gives them more power."""
_OPENING = frozenset({"bucket_access", "grant", "replication", "resource_policy", "share"})
_HOST_ENTRY = frozenset(
    {"command", "instance_attribute", "instance_reset", "key_pair", "shell", "ssh", "ssm_session"}
)
_LISTED: dict[CallKind, dict[str, str]] = {
    "data": {
        "s3": "GetObject SelectObjectContent",
        "dynamodb": "BatchGetItem ExecuteStatement ExportTableToPointInTime GetItem Query Scan",
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
        "kms": "DisableKey DeleteImportedKeyMaterial",
        "rds": "DeleteDBCluster DeleteDBClusterSnapshot DeleteDBInstance DeleteDBSnapshot",
        "s3": "DeleteBucket DeleteObject DeleteObjects",
    },
    "blinding": {"organizations": "LeaveOrganization", "bedrock": "DeleteModelInvocationLoggingConfiguration"},
    "opening": {"ec2": "AuthorizeSecurityGroupIngress", "s3": "DeleteBucketPolicy"},
    "host_entry": {"ec2": "EnableSerialConsoleAccess GetPasswordData"},
}  # fmt: skip
"""
Calls by service, beyond what the catalogue tells. Those of `incident` say little where many make them; leads weigh
them by how many here do.

Sources: the API References name what each reads. That intruders make these calls is reported in: AWS CIRT, 'Threat
Technique Catalog for AWS'; Datadog Security Labs, 'State of Cloud Security' and its reports on SES, SNS and Bedrock
abuse; Permiso, 'LLMjacking' and 'SES abuse'; Sysdig, 'LLMjacking' and 'SCARLETEEL'; Unit 42, 'Leaked environment
variables'; the technique pages of Stratus Red Team (Apache-2.0). Only names of AWS's own calls are taken from them.
"""
_OPERATIONS = {
    kind: {(service, operation) for service, names in services.items() for operation in names.split()}
    for kind, services in _LISTED.items()
}
_MAIL = {"email": "ses", "sesv2": "ses"}
"""Other names that CloudTrail has for a service's event source."""
_SECRET_STORES = frozenset({"secretsmanager", "ssm"})
_IAM_WRITES = ("Add", "Attach", "Create", "Put", "Set", "Update")


def call_kinds(source: str | None, event_name: str | None) -> Iterator[CallKind]:
    """The kinds of a call, by its `eventSource` and `eventName`."""
    service, operation = service_of(source), operation_of(event_name or "")
    service = _MAIL.get(service, service)
    kinds = {kind for kind, operations in _OPERATIONS.items() if (service, operation) in operations}
    facts = reviewed(service, operation)
    if facts is not None:
        kinds.update(_catalogued(facts))
    if service == "iam" and operation.startswith(_IAM_WRITES):
        kinds.add("iam_write")
    yield from sorted(kinds)


def _catalogued(facts: CallFacts) -> Iterator[CallKind]:
    """The kinds of a call by what the call catalogue knows of it."""
    created = facts.creates.kind if facts.creates else None
    if created in _PERSISTENCE:
        yield "persistence"
    if created in _OPENING:
        yield "opening"
    if created in _HOST_ENTRY:
        yield "host_entry"
    if facts.verdict == "issues" and facts.service == "sts":
        yield "mint"
    if facts.verdict == "secret" and facts.service in _SECRET_STORES:
        yield from ("data", "secret")
    if facts.verdict in ("changes_log", "blinds"):
        yield "blinding"
    elif facts.verdict in ("deletes_later", "stops_keeping") or facts.remedy:
        yield "destruction"


def word_pattern(names: Iterable[str]) -> str:
    """A pattern that finds one of some words in a user agent, not within a longer word."""
    return rf"(?i)(^|[^a-z])({'|'.join(names)})([^a-z]|$)"


ATTACK_TOOLS = word_pattern((
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
INFRASTRUCTURE = word_pattern(("terraform", "opentofu", "pulumi", "crossplane", "cloudformation", "ansible"))
"""Tools that always call GetCallerIdentity first (Terraform AWS Provider, 'skip_requesting_account_id')."""
NAMED_BY_A_LIBRARY = (
    r"(?i)^(botocore-session-[0-9]+|boto3-session.*|aws-go-sdk-[0-9]+|aws-sdk-js-[0-9]+|aws-sdk-java-[0-9]+|"
    r"aws-?cli-?session(-[0-9]+)?|aws-sdk-rust-.*|test(-?session)?|pacu.*|stratus.*|mysession|session[0-9]*|"
    r"attacker.*|hacker.*|pwn.*|rolesession.*)$"
)
"""Session names that a library makes up, or that examples have: people and pipelines that mind what they do set one."""
