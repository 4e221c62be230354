"""
Calls of the attacker's whose effect the log does not show: a plan names them all.

AWS has more calls that take a role or admit somebody than any list has, and more are added each week. Some hand out
credentials of another role, and the log shows neither the role nor the key.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Set
from dataclasses import dataclass, field

from tokentrail.containment.harmless import is_harmless
from tokentrail.events.vocabulary import (
    HANDED_OUT,
    IAM_CHANGES,
    ISSUING_SOURCES,
    KEYLESS_ISSUERS,
    OTHER_CHANGES,
    POLICY_CHANGES,
    SECRET_READS,
)
from tokentrail.lineage import creations, doings
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.trace import Narrowing
from tokentrail.spelling import listed

_MOST = 12
_JUDGED = {
    "iam": IAM_CHANGES,
    "organizations": POLICY_CHANGES | {"CreatePolicy", "DeletePolicy"},
    "cloudtrail": OTHER_CHANGES,
    "guardduty": OTHER_CHANGES,
}
"""By service: the calls that are judged elsewhere, by their effect on credentials or on the log."""
_ROLE_CREDENTIAL_CALLS = {
    "s3": "GetDataAccess",
    "lakeformation": "AssumeDecoratedRoleWithSAML GetTemporaryDataLocationCredentials "
    "GetTemporaryGlueFunctionCredentials GetTemporaryGluePartitionCredentials GetTemporaryGlueTableCredentials",
    "datazone": "GetEnvironmentCredentials",
    "deadline": "AssumeFleetRoleForRead AssumeFleetRoleForWorker AssumeQueueRoleForRead AssumeQueueRoleForUser "
    "AssumeQueueRoleForWorker",
    "codepipeline": "GetJobDetails GetThirdPartyJobDetails PollForJobs",
    "ssm": "GetAccessToken RequestManagedInstanceRoleToken",
    "eks-auth": "AssumeRoleForPodIdentity",
    "gamelift": "GetComputeAccess",
    **dict.fromkeys(
        ("cloudwatch", "cloudwatch-omni"), "GetSpaceCredentialsForOrganization GetSpaceDataAccess"
    ),
}
"""
By service: the calls whose answer has temporary credentials of a role that the service assumes for the caller.

Sources: each service's API Reference, the page of each call; for S3, 'GetDataAccess': "the IAM role that S3 Access
Grants assumes". RequestManagedInstanceRoleToken, by which a node of Systems Manager gets its role, is not in the
reference, but is logged (AWS Systems Manager User Guide, 'Logging AWS Systems Manager API calls with AWS CloudTrail').
AssumeRoleForPodIdentity is called by the node's agent, and by whoever else has a node's credentials and pods' tokens.
CloudWatch Omni's reference does not say under which of its two names it logs.
"""
_GIVE_ROLE_CREDENTIALS = frozenset(
    (service, name) for service, names in _ROLE_CREDENTIAL_CALLS.items() for name in names.split()
)
_REACH_TASKS = frozenset({("ecs", "DiscoverPollEndpoint")})
"""
The call by which a container instance's agent finds where it is sent the credentials of each task that runs there: so
is whoever else has the instance's credentials (Amazon ECS Developer Guide, 'Amazon ECS task IAM role': tasks on one
instance may come at each other's).
"""
_GIVE_PERSONS_TOKENS = frozenset({("sso-oauth", "CreateTokenWithIAM"), ("sso", "CreateTokenWithIAM")})
"""Calls that give an application a person's token (IAM Identity Center OIDC API Reference, 'CreateTokenWithIAM')."""
_DELETE_DATA_LATER = {
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
    (
        "logs",
        "PutRetentionPolicy",
    ): "aws logs put-retention-policy with the days of before, or delete-retention-policy",
}
"""
Calls by which AWS deletes data days later, even if the caller's credentials are ended, and how each is undone.

Sources: Amazon S3 API Reference, 'PutBucketLifecycleConfiguration', which the log calls PutBucketLifecycle (Invictus);
AWS KMS API Reference, 'ScheduleKeyDeletion' (7 to 30 days); AWS Secrets Manager API Reference, 'DeleteSecret' (7 to 30
days, or at once); Amazon ECR API Reference, 'PutLifecyclePolicy'; Amazon CloudWatch Logs API Reference,
'PutRetentionPolicy'.
"""
_STOP_KEEPING_DATA = {
    (
        "s3",
        "PutBucketVersioning",
    ): "aws s3api get-bucket-versioning, then put-bucket-versioning with Status=Enabled",
    (
        "dynamodb",
        "UpdateContinuousBackups",
    ): "aws dynamodb describe-continuous-backups, then update-continuous-backups",
    ("backup", "DeleteBackupVaultLockConfiguration"): "aws backup put-backup-vault-lock-configuration",
    ("backup", "DeleteBackupPlan"): "aws backup create-backup-plan, and its selections again",
}
"""
Calls after which deleted or overwritten data is no longer kept, and how each is checked or undone.

Sources: Amazon S3 API Reference, 'PutBucketVersioning'; Amazon DynamoDB API Reference, 'UpdateContinuousBackups'; AWS
Backup API Reference, 'DeleteBackupVaultLockConfiguration' and 'DeleteBackupPlan'. Whether one of the first two turned
it on or off, only its request shows.
"""
_BY_NAME = {name: (service, name) for service, name in (*_DELETE_DATA_LATER, *_STOP_KEEPING_DATA)}
_NARROWED = """
SELECT source, name, ip, CASE WHEN name IN {} THEN resource END AS resource, count(*) AS count, min(time) AS first
FROM acts WHERE error IS NULL AND time >= {} GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4"""
_WATCH_STOPPING_CALLS = {
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
_STOP_WATCHING = frozenset(
    (service, name) for service, names in _WATCH_STOPPING_CALLS.items() for name in names.split()
)
"""
Calls that turn off logs and detection other than CloudTrail, or make them ignore something.

Sources: the API References of AWS Config, Amazon EC2, Amazon Route 53 (Resolver), AWS WAF, Amazon CloudWatch Logs,
Amazon CloudWatch (whose calls are logged as those of `monitoring`), Amazon GuardDuty, AWS Security Hub, Amazon Macie,
Amazon Inspector, Amazon Detective and IAM Access Analyzer, the page of each call.
"""
_GIVE_TOKENS_FOR_OTHERS = frozenset({("sts", "GetWebIdentityToken")})
"""Calls that give a token for services outside AWS (AWS STS API Reference, 'GetWebIdentityToken')."""
_TOLD_OTHERWISE = frozenset({
    *_GIVE_ROLE_CREDENTIALS, *_REACH_TASKS, *_GIVE_PERSONS_TOKENS, *_STOP_WATCHING, *_DELETE_DATA_LATER,
    *_STOP_KEEPING_DATA,
})  # fmt: skip
"""Calls of which a plan has a sentence of their own."""
_SECRETS_TOLD = SECRET_READS - HANDED_OUT
"""Calls that a trace lists under `secrets_read`; a token that is made for whoever asks lets somebody in besides."""


@dataclass(slots=True)
class Use:
    """The attacker's successful calls of one name."""

    first: int
    """The time of the first one, in seconds since 1970."""
    count: int = 0
    things: dict[str, None] = field(default_factory=dict)
    """The resources, as a set in order; only for calls of `_DELETE_DATA_LATER` and `_STOP_KEEPING_DATA`."""


Calls = Mapping[tuple[str, str], Use]
"""By service and name of the call."""


def calls_of(forest: Forest, ids: Mapping[int, str], subjects: Set[str], narrowing: Narrowing) -> Calls:
    """
    The attacker's successful calls.

    Args:
        forest: The forest of the trace.
        ids: The ids of the tainted credentials, by place.
        subjects: The ids of those that may also be in their owner's hands.
        narrowing: Which calls of these are the attacker's.
    """
    own = {n for n, one in ids.items() if one in subjects} if narrowing != Narrowing() else set[int]()
    others = {n: one for n, one in ids.items() if n not in own}
    found: dict[tuple[str, str], Use] = {}
    for use in doings.apis(forest, others):
        if use.count > use.errors:
            first = int(use.first.timestamp())
            _use(found, use.event_source, use.event_name, first).count += use.count - use.errors
    for touched in doings.resources(forest, others):
        call = _BY_NAME.get(touched.event_name or "")
        if call in found and touched.arn and touched.count > touched.errors:
            found[call].things[touched.arn] = None
    since = int(narrowing.since.timestamp()) if narrowing.since else 0
    for row in forest.done_by(own, _NARROWED.format(tuple(_BY_NAME), since)) if own else ():
        if narrowing.admits(None, row["ip"]):
            one = _use(found, row["source"], row["name"], row["first"])
            one.count += row["count"]
            one.things |= dict.fromkeys(filter(None, (row["resource"] or "").split("\n")))
    return dict(sorted(found.items(), key=lambda one: (one[1].first, one[0])))


def _use(found: dict[tuple[str, str], Use], source: str | None, name: str | None, first: int) -> Use:
    use = found.setdefault(((source or "").partition(".")[0], name or ""), Use(first))
    use.first = min(use.first, first)
    return use


def given_calls(calls: Calls) -> Iterator[str]:
    """The proof's assumptions that credentials and tokens which calls handed out no longer work."""
    if found := _among(calls, _GIVE_ROLE_CREDENTIALS):
        yield (
            "nothing works any more that the attacker was given by calls that hand out credentials of another role, "
            f"as no log tells which those are: {_listed(found)}. The service's own AssumeRole in that second names "
            "the role: plan for it too (`tokentrail contain ROLE-ARN`)"
        )
    if found := _among(calls, _REACH_TASKS):
        yield (
            "nothing works any more of what the attacker may have been sent as the agent of a container instance, the "
            f"credentials of all tasks that ran there: {_listed(found)}. Plan for the roles of these tasks too "
            "(`tokentrail contain ROLE-ARN`)"
        )
    if found := _among(calls, _GIVE_PERSONS_TOKENS):
        yield (
            "no token works any more that the attacker was given of people in IAM Identity Center: "
            f"{_listed(found)}. With it sessions are opened in every account of theirs; the portal's "
            "GetRoleCredentials that bear the `identitycenter:CredentialId` of the call as their `credentialId` name "
            "account and role: plan for these too"
        )


def unknown_calls(calls: Calls) -> Iterator[str]:
    """Sentences about calls that a person must look at."""
    if found := _among(calls, [call for call in calls if _is_unknown(*call)]):
        yield (
            "of some of the attacker's calls it is not known here whether they let somebody in, or run something "
            f"with a role: look at each by hand: {_listed(found)}"
        )
    if found := _among(calls, _DELETE_DATA_LATER):
        yield (
            "what deletes data by itself in the days to come, whoever is ended until then; take it back before that: "
            f"{'; '.join(_with_remedies(found, _DELETE_DATA_LATER))}"
        )
    if found := _among(calls, _STOP_KEEPING_DATA):
        yield (
            "what keeps data that is deleted or overwritten may be off since; look at it before more is lost: "
            f"{'; '.join(_with_remedies(found, _STOP_KEEPING_DATA))}"
        )
    if found := _among(calls, _STOP_WATCHING):
        yield (
            "what tells of an attacker or watches for one, and was turned off, deleted or told to pass something over; "
            f"no step turns it on again, look at each by hand: {_listed(found)}"
        )
    if found := _among(calls, _GIVE_TOKENS_FOR_OTHERS):
        yield (
            "tokens that prove a principal of yours to others than AWS, for an hour at most, and that nothing takes "
            f"back: {_listed(found)}; tell whoever accepts them"
        )


def _among(calls: Calls, wanted: Container[tuple[str, str]]) -> Calls:
    return {call: use for call, use in calls.items() if call in wanted}


def _listed(found: Calls) -> str:
    told = [
        f"{':'.join(call)}{f' ({use.count} times)' if use.count > 1 else ''}" for call, use in found.items()
    ]
    more = (
        f", and {len(told) - _MOST:,} more that `tokentrail trace` lists under `apis`"
        if len(told) > _MOST
        else ""
    )
    return ", ".join(told[:_MOST]) + more


def _with_remedies(found: Calls, remedies: Mapping[tuple[str, str], str]) -> Iterator[str]:
    """Each call with its resources, if the log shows them, and how it is undone."""
    for call, use in found.items():
        on = f" on {listed(use.things, _MOST)}" if use.things else ""
        yield f"{':'.join(call)}{on} ({remedies[call]})"


def _is_unknown(service: str, name: str) -> bool:
    """Whether a call may let somebody in or start something, and no list says what it does."""
    call, source = (service, name), f"{service}.amazonaws.com"
    if not name or is_harmless(service, name) or call in _TOLD_OTHERWISE or name in _SECRETS_TOLD:
        return False
    issues = name in KEYLESS_ISSUERS and source in ISSUING_SOURCES
    judged = name in _JUDGED.get(service, ())
    return not issues and not judged and not creations.made(name, None, None, source)
