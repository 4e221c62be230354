"""
Calls of the attacker's of which nothing in the log says what came of them: a plan names them, and hides none.

AWS has more calls that take a role or admit somebody than any list knows, and gets more each week. Some hand out
credentials of a role that the caller is not, and tell neither the role nor the key.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Set
from datetime import datetime

from tokentrail.events.vocabulary import CHANGES, ISSUING_SOURCES, KEYLESS_ISSUERS
from tokentrail.lineage import creations, doings
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.model import ApiUse, ResourceUse

_MOST = 12
_CHANGING = re.compile(
    "(Accept|Activate|Add|Admin|Allow|Approve|Assign|Associate|Attach|Authorize|Confirm|Connect|Create|Deploy|Enable"
    "|Execute|Grant|Import|Install|Invite|Join|Launch|Leave|Modify|Move|Open|Provision|Publish|Push|Put|Register"
    "|Replace|Request|Reset|Restore|Resume|Retry|Run|Send|Set|Share|Start|Submit|Update)(?![a-z])"
)
"""How the names of calls begin that set something up or start it."""
_ELSEWHERE = frozenset({"iam", "organizations", "cloudtrail", "guardduty"})
"""Services whose changes are told by what they do to credentials or to the log."""
_DATA = frozenset({
    "ce", "cloudtrail", "dynamodb", "health", "kinesis", "monitoring", "rds-data", "redshift-data", "sqs", "support",
    "tagging", "timestream", "xray",
})  # fmt: skip
"""Services that hold data, measure or count: what admits to them is known by its name (`events.handover`)."""
_NETWORK = re.compile(
    "[A-Z][a-z]+(Address|DhcpOptions|Image|InternetGateway|NatGateway|NetworkAcl|NetworkAclEntry|NetworkInterface|Route"
    "|RouteTable|SecurityGroup|Snapshot|Subnet|Volume|Vpc)(Attribute|Permission)?"
)
"""Calls of EC2 that lay networks and disks."""
_OF_DATA = frozenset({
    "CreateBucket", "CreateLogGroup", "CreateLogStream", "CreateMultipartUpload", "CreateSecret", "CreateTags",
    "Publish", "PutBucketEncryption", "PutBucketLifecycle", "PutBucketTagging", "PutBucketVersioning",
    "PutComplianceItems", "PutInventory", "PutLifecyclePolicy", "PutLogEvents", "PutObject", "PutObjectTagging",
    "PutParameter", "PutRetentionPolicy", "PutSecretValue", "RestoreObject", "SendBulkEmail", "SendEmail",
    "SendRawEmail", "StartQuery", "StartQueryExecution", "UpdateInstanceAssociationStatus",
    "UpdateInstanceInformation",
})  # fmt: skip


_GIVEN = {
    "s3": "GetDataAccess",
    "lakeformation": "AssumeDecoratedRoleWithSAML GetTemporaryDataLocationCredentials "
    "GetTemporaryGlueFunctionCredentials GetTemporaryGluePartitionCredentials GetTemporaryGlueTableCredentials",
    "datazone": "GetEnvironmentCredentials",
    "deadline": "AssumeFleetRoleForRead AssumeFleetRoleForWorker AssumeQueueRoleForRead AssumeQueueRoleForUser "
    "AssumeQueueRoleForWorker",
    "codepipeline": "GetJobDetails GetThirdPartyJobDetails PollForJobs",
    "ssm": "GetAccessToken",
    "eks-auth": "AssumeRoleForPodIdentity",
    "gamelift": "GetComputeAccess",
    **dict.fromkeys(
        ("cloudwatch", "cloudwatch-omni"), "GetSpaceCredentialsForOrganization GetSpaceDataAccess"
    ),
}
"""
By service: the calls whose answer holds temporary credentials of a role that the service takes up for the caller.

The API Reference of each, the page of each call; of S3, 'GetDataAccess': "the IAM role that S3 Access Grants assumes".
That of EKS Pod Identity is made by the node's agent, and by whoever else has a node's credentials and pods' tokens.
Which of its two names CloudWatch Omni logs under, its reference does not say.
"""
_ROLES = frozenset((service, name) for service, names in _GIVEN.items() for name in names.split())
_PERSONS = frozenset({("sso-oauth", "CreateTokenWithIAM"), ("sso", "CreateTokenWithIAM")})
"""Calls that give an application a person's token (IAM Identity Center OIDC API Reference, 'CreateTokenWithIAM')."""
_TIMED = {
    ("s3", "PutBucketLifecycle"): "aws s3api put-bucket-lifecycle-configuration with the rules of before, or "
    "delete-bucket-lifecycle",
    ("kms", "ScheduleKeyDeletion"): "aws kms cancel-key-deletion, then enable-key",
    (
        "secretsmanager",
        "DeleteSecret",
    ): "aws secretsmanager restore-secret, unless it was deleted for good at once",
    (
        "ecr",
        "PutLifecyclePolicy",
    ): "aws ecr put-lifecycle-policy with the rules of before, or delete-lifecycle-policy",
    ("logs", "PutRetentionPolicy"): "aws logs put-retention-policy with the days of before, or "
    "delete-retention-policy",
}
"""
Calls by which data goes days later, whoever is ended until then, and how each is taken back.

Sources: Amazon S3 API Reference, 'PutBucketLifecycleConfiguration', which the log calls PutBucketLifecycle (Invictus);
AWS KMS API Reference, 'ScheduleKeyDeletion' (7 to 30 days); AWS Secrets Manager API Reference, 'DeleteSecret' (7 to 30
days, or at once); Amazon ECR API Reference, 'PutLifecyclePolicy'; Amazon CloudWatch Logs API Reference,
'PutRetentionPolicy'.
"""
_WATCHES = {
    "config": "DeleteConfigRule DeleteConfigurationRecorder DeleteDeliveryChannel StopConfigurationRecorder",
    "ec2": "DeleteFlowLogs",
    "route53resolver": "DeleteResolverQueryLogConfig DisassociateResolverQueryLogConfig",
    "wafv2": "DeleteLoggingConfiguration",
    "logs": "DeleteLogGroup DeleteLogStream DeleteMetricFilter DeleteSubscriptionFilter",
    "monitoring": "DeleteAlarms DisableAlarmActions",
    "guardduty": "CreateFilter CreateIPSet DeleteMembers DeletePublishingDestination "
    "DisassociateFromAdministratorAccount DisassociateFromMasterAccount DisassociateMembers StopMonitoringMembers "
    "UpdateFilter UpdateIPSet",
    "securityhub": "BatchDisableStandards DisableSecurityHub DisassociateFromAdministratorAccount",
    "macie2": "DisableMacie",
    "inspector2": "Disable",
    "detective": "DeleteGraph",
    "access-analyzer": "DeleteAnalyzer",
}
_WATCHING = frozenset((service, name) for service, names in _WATCHES.items() for name in names.split())
"""
Calls that turn off what tells or watches besides CloudTrail, or let it pass over something.

Sources: the API References of AWS Config, Amazon EC2, Amazon Route 53 (Resolver), AWS WAF, Amazon CloudWatch Logs,
Amazon CloudWatch (whose calls are logged as those of `monitoring`), Amazon GuardDuty, AWS Security Hub, Amazon Macie,
Amazon Inspector, Amazon Detective and IAM Access Analyzer, the page of each call.
"""
_OUTSIDE = frozenset({("sts", "GetWebIdentityToken")})
"""Calls that give a token which others than AWS accept (AWS STS API Reference, 'GetWebIdentityToken')."""


def given_calls(
    forest: Forest, ids: Mapping[int, str], subjects: Set[str], since: datetime | None
) -> Iterator[str]:
    """The conditions that what such calls handed out no longer works, if there are any; as `unknown_calls`."""
    found = _counted(forest, ids, subjects, since, lambda *call: call in _ROLES)
    if found:
        yield (
            "nothing works any more that the attacker was given by calls that hand out credentials of another role, "
            f"as no log tells which those are: {_listed(found)}. The service's own AssumeRole in that second names "
            "the role: plan for it too (`tokentrail contain ROLE-ARN`)"
        )
    found = _counted(forest, ids, subjects, since, lambda *call: call in _PERSONS)
    if found:
        yield (
            "no token works any more that the attacker was given of people in IAM Identity Center: "
            f"{_listed(found)}. With it sessions are opened in every account of theirs; the portal's "
            "GetRoleCredentials that bear the `identitycenter:CredentialId` of the call as their `credentialId` name "
            "account and role: plan for these too"
        )


def unknown_calls(
    forest: Forest, ids: Mapping[int, str], subjects: Set[str], since: datetime | None
) -> Iterator[str]:
    """
    The sentences about such calls, if there are any.

    Args:
        forest: Where.
        ids: The tainted credentials, by their places.
        subjects: Those of them that may be their owner's up to `since`.
        since: When the theft began, if that is known.
    """
    found = _counted(forest, ids, subjects, since, _is_unknown)
    if found:
        yield (
            "of some of the attacker's calls it is not known here whether they let somebody in, or run something "
            f"with a role: look at each by hand, {_listed(found)}"
        )
    found = _counted(forest, ids, subjects, since, lambda *call: call in _TIMED)
    if found:
        yield (
            "what deletes data by itself in the days to come, whoever is ended until then; take it back before that: "
            f"{'; '.join(_timed(forest, ids, subjects, since, found))}"
        )
    found = _counted(forest, ids, subjects, since, lambda *call: call in _WATCHING)
    if found:
        yield (
            "what tells of an attacker or watches for one, and was turned off, deleted or told to pass something over; "
            f"no step turns it on again, look at each by hand: {_listed(found)}"
        )
    found = _counted(forest, ids, subjects, since, lambda *call: call in _OUTSIDE)
    if found:
        yield (
            "tokens that prove a principal of yours to others than AWS, for an hour at most, and that nothing takes "
            f"back: {_listed(found)}; tell whoever accepts them"
        )


def _counted(
    forest: Forest, ids: Mapping[int, str], subjects: Set[str], since: datetime | None,
    wanted: Callable[[str, str], bool],
) -> Counter[str]:  # fmt: skip
    """How often the attacker made each call that is wanted, without those that failed."""
    found: Counter[str] = Counter()
    for use in doings.apis(forest, ids):
        service, name = (use.event_source or "").partition(".")[0], use.event_name or ""
        if _done(use, subjects, since) and wanted(service, name):
            found[f"{service}:{name}"] += use.count - use.errors
    return found


def _done(use: ApiUse | ResourceUse, subjects: Set[str], since: datetime | None) -> bool:
    """Whether something was done at all, and not by a subject's owner alone."""
    return use.count > use.errors and not (
        since is not None and use.credential in subjects and use.last < since
    )


def _listed(found: Mapping[str, int]) -> str:
    told = [f"{name}{f' ({count} times)' if count > 1 else ''}" for name, count in found.items()]
    more = (
        f", and {len(told) - _MOST} more that `tokentrail trace` lists under `apis`"
        if len(told) > _MOST
        else ""
    )
    return ", ".join(told[:_MOST]) + more


def _timed(
    forest: Forest,
    ids: Mapping[int, str],
    subjects: Set[str],
    since: datetime | None,
    found: Mapping[str, int],
) -> Iterator[str]:
    """Each call, what it was made for, as far as the log tells, and how it is taken back."""
    touched: dict[str, dict[str, None]] = {}
    for use in doings.resources(forest, ids):
        if use.event_name and use.arn and _done(use, subjects, since):
            touched.setdefault(use.event_name, {})[use.arn] = None
    for call in found:
        service, _, name = call.partition(":")
        things = list(touched.get(name, ()))
        more = f" and {len(things) - _MOST} more" if len(things) > _MOST else ""
        on = f" on {', '.join(things[:_MOST])}{more}" if things else ""
        yield f"{call}{on} ({_TIMED[service, name]})"


def _is_unknown(service: str, name: str) -> bool:
    source = f"{service}.amazonaws.com"
    if (service, name) in _WATCHING:
        return False
    issues = (name in KEYLESS_ISSUERS and source in ISSUING_SOURCES) or (service, name) in _PERSONS
    told = (name in CHANGES and service in _ELSEWHERE) or bool(creations.made(name, None, None, source))
    laid = service == "ec2" and _NETWORK.fullmatch(name)
    return not (issues or told or laid or service in _DATA or name in _OF_DATA) and bool(
        _CHANGING.match(name)
    )
