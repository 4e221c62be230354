"""
What kinds of calls and user agents rules and leads look for.

What a call does comes from the call catalogue where it says so. The further lists hold calls and tools that public
reports of incidents name; each list names its sources.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Literal

from tokentrail.aws.calls.catalogue import CallFacts, every_reviewed, reviewed
from tokentrail.aws.calls.names import operation_of, service_of

CallKind = Literal[
    "mint", "data", "secret", "secret_batch", "incident", "persistence", "destruction", "blinding", "guard", "opening",
    "host_entry", "code", "model", "model_access", "retention", "iam_write",
]  # fmt: skip

_PERSISTENCE = frozenset({
    "access_key", "activation", "anywhere_profile", "assignment", "certificate", "cluster_access", "delegation",
    "directory_user", "function", "function_policy", "function_url", "group_membership", "identity_pool", "layer",
    "login_profile", "oauth_client", "outbound_federation", "permission_set", "pod_identity", "policy", "provider",
    "role", "root_access", "service_credential", "ssh_key", "trust", "trust_anchor", "user",
})  # fmt: skip
"""What a call leaves behind, by the catalogue's names, that lets somebody back in or gives them more power."""
_OPENING = frozenset({"bucket_access", "grant", "replication", "resource_policy", "share"})
_HOST_ENTRY = frozenset(
    {
        "command",
        "instance_attribute",
        "instance_reset",
        "key_pair",
        "microvm_token",
        "shell",
        "ssh",
        "ssm_session",
    }
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
    "secret_batch": {"secretsmanager": "BatchGetSecretValue"},
    "model": {"bedrock": "Converse ConverseStream InvokeModel InvokeModelWithResponseStream"},
    "model_access": {
        "bedrock": "CreateFoundationModelAgreement PutFoundationModelEntitlement PutUseCaseForModelAccess"
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
    "blinding": {"organizations": "LeaveOrganization"},
    "guard": {"organizations": "LeaveOrganization"},
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
_MADE: dict[CallKind, frozenset[str]] = {
    "persistence": _PERSISTENCE, "opening": _OPENING, "host_entry": _HOST_ENTRY,
}  # fmt: skip
_CODE = frozenset({"function", "layer"})
_NO_GUARD = frozenset({"logs", "monitoring", "wafv2"})
"""Services whose logs and alarms come and go with the applications that they are of."""
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
    yield from (kind for kind, made in _MADE.items() if created in made)
    if created in _CODE and facts.operation.startswith("Update"):
        yield "code"
    if facts.verdict == "issues" and facts.service == "sts":
        yield "mint"
    if facts.verdict == "secret" and facts.service in _SECRET_STORES:
        yield from ("data", "secret")
    if facts.verdict == "blinds" and facts.service not in _NO_GUARD:
        yield "guard"
    if facts.verdict in ("changes_log", "blinds"):
        yield "blinding"
    elif facts.verdict in ("deletes_later", "stops_keeping") or facts.remedy:
        yield "destruction"
        if facts.service == "s3":
            yield "retention"


@cache
def calls_of(kind: CallKind) -> tuple[tuple[str, str], ...]:
    """The calls of a kind, each by its service and operation, in order."""
    known = {(facts.service, facts.operation) for facts in every_reviewed()} | _OPERATIONS.get(kind, set())
    return tuple(sorted(call for call in known if kind in call_kinds(*call)))


def word_pattern(names: Iterable[str]) -> str:
    """A pattern that finds one of some words in a user agent, not within a longer word."""
    return rf"(?i)(^|[^a-z])({'|'.join(names)})([^a-z]|$)"


INTRUDERS_TOOLS = (
    "kali", "parrot", "pentoo", "pacu", "trufflehog", "cloudfox", "enumerate-iam", "weirdaal", "cloudbrute", "peirates",
    "aws_consoler", "nmap", "sqlmap", "s3scanner",
)  # fmt: skip
"""
User agents of systems that are made for attacks, and of tools that look for a way in or try out keys.

Sources: Amazon GuardDuty User Guide, 'PenTest:IAMUser/KaliLinux', 'ParrotLinux' and 'PentooLinux'; Elastic and
SigmaHQ, rules for user agents of TruffleHog and of Kali in CloudTrail; the tools' own source code.
"""
AUDITORS_TOOLS = (
    "scout ?suite", "prowler", "stratus-red-team", "cloudmapper", "cloudsplaining", "gitleaks", "aws-recon",
    "steampipe", "cartography", "red-?team",
)  # fmt: skip
"""User agents of tools by which owners, too, look for weaknesses of their accounts or try out their alarms, by the
tools' own source code."""
ATTACK_TOOLS = word_pattern((*INTRUDERS_TOOLS, *AUDITORS_TOOLS))
"""All of these; defenders use some of them too, so that leads let the rarity decide."""
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
