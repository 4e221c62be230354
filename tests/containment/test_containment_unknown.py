"""Which calls of the attacker's a plan names for a person to look at, as no list knows what they do."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from contain_cases import asked, checked, planned

from evidence import START
from tokentrail.containment.incident.unreviewed_calls import Use, unknown_calls
from tokentrail.containment.proof.assumption_sentences import sentence
from tokentrail.testing import World

UNHEARD = (
    "conjure:ConjureSession", "lambda:EnlargeFunction20271231v2", "iam:UploadServerCertificate", "iam:TagRole",
    "route53:ChangeResourceRecordSets", "states:RedriveExecution", "ec2:CopySnapshot", "ec2:ImportImage",
    "bedrock-agentcore:InvokeAgentRuntime", "autoscaling:BatchPutScheduledUpdateGroupAction",
    "lambda:DeleteFunctionConcurrency20171031", "kms:Sign", "sns:Subscribe",
)  # fmt: skip
HARMLESS = (
    "newservice:GetThing", "newservice:DeleteThing", "newservice:BatchGetThing", "newservice:BatchDeleteThing",
    "cognito-idp:AdminGetUser", "cognito-idp:AdminDisableUser", "cloudfront:GetDistribution2020_05_31",
    "kms:Decrypt", "kms:GenerateDataKey", "lambda:Invoke", "lambda:Invoke20150331", "lambda:Invoke20271231v2", "bedrock:InvokeModel",
    "s3:CopyObject", "s3:UploadPart", "sns:PublishBatch", "dynamodb:BatchWriteItem", "events:PutEvents",
    "ec2:AssignPrivateIpAddresses", "ecr:CompleteLayerUpload", "iam:GenerateCredentialReport",
    "ssmmessages:OpenControlChannel", "ec2messages:AcknowledgeMessage", "signin:CheckMfa", "signin:ExitRole",
    "ssm:TagResource", "acm:ExportCertificate",
)  # fmt: skip
TOKENS = (
    "codecatalyst:CreateAccessToken", "amplifyuibuilder:ExchangeCodeForToken", "workmail:AssumeImpersonationRole",
    "quicksight:GetDashboardEmbedUrl",
    "quicksight:GetSessionEmbedUrl", "athena:GetSessionEndpoint", "iot:CreateProvisioningClaim",
    "cognito-idp:AdminInitiateAuth", "lightsail:CreateContainerServiceRegistryLogin", "evs:GetDepotUrl",
    "gamelift:GetComputeAuthToken", "redshift-serverless:GetIdentityCenterAuthToken", "ecr:GetAuthorizationToken",
    "datazone:GetIamPortalLoginUrl", "elasticmapreduce:GetOnClusterAppUIPresignedURL", "chime:GetAttendee",
)  # fmt: skip


@pytest.fixture(name="risks", scope="module")
def _risks() -> Iterator[Callable[[str], tuple[str, ...]]]:
    """What is left to look at, by the call that a stolen key made: a thief for each, in one case."""
    world = World(START)
    keys = {}
    for number, call in enumerate((*UNHEARD, *HARMLESS, *TOKENS)):
        keys[call] = world.user(f"user{number}")
        keys[call].calls(call, {}, read_only=False)
    with asked(world) as case:
        yield lambda call: checked(case.contain([keys[call].id])).residual_risks


@pytest.mark.parametrize("call", UNHEARD)
def test_a_call_that_nobody_has_heard_of_is_told(call: str, risks: Callable[[str], tuple[str, ...]]) -> None:
    """With a new verb, an old one that opens something, a verb behind `Batch`, or the version of an API behind it."""
    assert any(f"look at each by hand: {call}" in one for one in risks(call))


@pytest.mark.parametrize("call", HARMLESS)
def test_what_reads_takes_away_or_only_uses_what_is_there_is_not_told(
    call: str, risks: Callable[[str], tuple[str, ...]]
) -> None:
    """A plan is read at three in the morning: reads, deletions, data and plain use have no place among the unknown."""
    assert not any("it is not known here" in one for one in risks(call))


def test_what_deletes_data_later_or_hides_an_attacker_is_told_once() -> None:
    """Such a call has a sentence of its own with what takes it back, and is not among the unknown too."""
    world = World(START)
    key = world.user("support")
    for call in ("kms:ScheduleKeyDeletion", "guardduty:CreateFilter"):
        key.calls(call, {"keyId": "k"}, read_only=False)
    said = [
        one
        for one in planned(world, key.id).residual_risks
        if "ScheduleKeyDeletion" in one or "CreateFilter" in one
    ]

    assert 2 == len(said) and not any("it is not known here" in one for one in said)


@pytest.mark.parametrize("call", TOKENS)
def test_a_token_or_link_that_a_service_made_is_named(
    call: str, risks: Callable[[str], tuple[str, ...]]
) -> None:
    """No step takes it back, and it works on: a plan names the call, whatever its verb."""
    assert any("signed links" in one and call in one for one in risks(call))
    assert not any("it is not known here" in one for one in risks(call))


def test_credentials_of_another_role_are_a_condition() -> None:
    """Account access manager gives a session of a role that its event does not name, as Lake Formation does."""
    world = World(START)
    key = world.user("support")
    key.calls("account-access:GetRoleCredentials", {}, read_only=False)

    assert any(
        "credentials of another role" in one and "account-access:GetRoleCredentials" in one
        for one in planned(world, key.id).proof.holds_if
    )


def test_a_change_of_which_the_case_has_no_request_is_named() -> None:
    """An earlier version read the call in and did not know it for a change: a plan must not pass over it."""
    calls = {("s3vectors", "PutVectorBucketPolicy"): Use(0, 1), ("ec2", "CreateTags"): Use(0, 1)}

    [said] = map(sentence, unknown_calls(calls, set()))
    assert said.endswith("s3vectors:PutVectorBucketPolicy")
    assert [] == list(unknown_calls(calls, {("s3vectors", "PutVectorBucketPolicy")}))
