"""Which calls of the attacker's a plan names for a person to look at, as no list knows what they do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

import pytest
from botocore.model import Shape, StructureShape
from botocore.session import get_session
from contain_cases import planned

from evidence import START
from tokentrail.containment import harmless, unknown
from tokentrail.events.handover import HANDOVER
from tokentrail.events.vocabulary import ISSUING_SOURCES, KEYLESS_ISSUERS
from tokentrail.lineage import creations
from tokentrail.policy.actions import unversioned
from tokentrail.testing import World

ROLE = re.compile(r"(?i).*role(_?arns?|s|_?names?)?")
READS = re.compile("(Batch)?(Check|Describe|Discover|Get|List|Search|Simulate|Validate)(?![a-z])")
TAKES_AWAY = re.compile(
    "(Batch)?(Cancel|Delete|Deregister|Detach|Disable|Disassociate|Remove|Revoke|Stop|Terminate|Untag)(?![a-z])"
)
NO_ROLE_GIVEN = {
    (
        "dynamodb",
        "UpdateGlobalTableSettings",
    ): "the role of Application Auto Scaling, which only scales the table",
    (
        "dynamodb",
        "UpdateTableReplicaAutoScaling",
    ): "the role of Application Auto Scaling, which only scales the table",
    ("sagemaker", "RenderUiTemplate"): "it shows a page to its caller, with the role's access to S3",
    ("securityhub", "BatchImportFindings"): "the role is what a finding is about",
    ("timestream", "UpdateAccountSettings"): "the role by which it tells a topic of what its queries cost",
}
"""Calls with a role in their request that a plan does not name, and why."""
OUTSIDE_APIS = {
    "Authenticate", "CreateControlChannel", "CredentialChallenge", "CredentialVerification", "ExitRole", "FailMessage",
    "GitPull", "OpenControlChannel", "RenewRole", "SendHeartBeat", "SendReply", "UpdateInstanceAssociationStatus",
    "UpdateInstanceInformation", "UserAuthentication",
}  # fmt: skip
"""Calls of the console, of agents and of git, which are logged and are in no API Reference."""
OUTSIDE_ROWS = {"sso", "sso-directory", "s3"}
"""Services some of whose calls are logged under names that their APIs don't have."""


def told(service: str, name: str) -> bool:
    """Whether a plan tells of a call by the attacker: by one of its lists, or as one that none knows."""
    source = f"{service}.amazonaws.com"
    issues = name in KEYLESS_ISSUERS and source in ISSUING_SOURCES
    judged = name in unknown._JUDGED.get(service, ())
    listed = (service, name) in unknown._TOLD_OTHERWISE or bool(creations.made(name, None, None, source))
    return issues or judged or listed or unknown._is_unknown(service, name)


@cache
def operations() -> dict[tuple[str, str], bool]:
    """
    By service, under each name that CloudTrail may log it by, and operation: whether its request takes a role.

    Source: botocore's models of all of AWS.
    """
    found: dict[tuple[str, str], bool] = {}
    session = get_session()
    for service in session.get_available_services():
        model = session.get_service_model(service)
        prefix = str(model.metadata["endpointPrefix"]).rpartition(".")[2]
        for own in {prefix, str(model.metadata.get("signingName", prefix))}:
            for name in model.operation_names:
                asked = model.operation_model(name).input_shape
                takes = asked is not None and any(takes_role(asked, ()))
                found[own, name] = found.get((own, name), False) or takes
    return found


def takes_role(shape: Shape, above: tuple[str, ...]) -> Iterator[bool]:
    """The members that name a role, however deep; what may be one of few words is somebody's part in a talk."""
    if shape.name in above:
        return
    within = (*above, shape.name)
    if isinstance(shape, StructureShape):
        for name, member in shape.members.items():
            if ROLE.fullmatch(name) and member.type_name in ("string", "list") and not words(member):
                yield True
            yield from takes_role(member, within)
    elif shape.type_name in ("list", "map"):
        yield from takes_role(shape.member if shape.type_name == "list" else shape.value, within)


def words(shape: Shape) -> bool:
    """Whether a text, or each of a list, is one of few words."""
    return bool(getattr(shape.member if shape.type_name == "list" else shape, "enum", ()))


def test_every_operation_that_takes_a_role_is_told() -> None:
    """Of all of AWS's: known by a list or named as unknown, under each name that its service may be logged by."""
    taking = {call for call, takes in operations().items() if takes}
    silent = {
        call
        for call in taking
        if not told(*call) and not READS.match(call[1]) and not TAKES_AWAY.match(call[1])
    }

    assert len(taking) > 900, "the models were not read"
    assert NO_ROLE_GIVEN.keys() == silent


def test_no_plain_read_or_deletion_is_told() -> None:
    """Of all of AWS's some thousands: none is named as unknown but those that open something by it."""
    plain = [call for call in operations() if READS.match(call[1]) or TAKES_AWAY.match(call[1])]
    named = {call for call in plain if unknown._is_unknown(*call)}

    assert len(plain) > 8_000
    assert named <= harmless._NOT_HARMLESS


def test_what_opens_something_by_taking_away_is_told() -> None:
    """Whatever else is known of a call of that name, as of another service's."""
    assert set() == {call for call in harmless._NOT_HARMLESS if not told(*call)}


def test_each_word_of_what_is_harmless_is_aws_s() -> None:
    """A verb or name that no service has would be a mistake in writing, and hide what AWS calls so one day."""
    names = {name for _, name in operations()}
    verbs = {found[0] for one in names if (found := re.match("[A-Z][a-z]*", harmless._MANY.sub("", one)))}
    written = f"{harmless._READS} {harmless._TAKES_AWAY} {harmless._USES}".split()

    assert set() == set(written) - verbs
    assert (harmless._ABOUT_DATA | harmless._PLAIN_USE) - names == OUTSIDE_APIS
    # Directory buckets log under a name of their own (Amazon S3 User Guide, 'CloudTrail for S3 Express One Zone').
    assert {("s3express", "DeleteBucketPolicy")} == harmless._NOT_HARMLESS - operations().keys()


def test_each_call_that_hands_something_over_is_an_operation_of_its_service() -> None:
    """Its name, without the version that Lambda puts behind it, is in botocore's model of the service that logs it."""
    strange = [
        (service, name)
        for service, name in HANDOVER
        if service not in OUTSIDE_ROWS and (service, unversioned(name)) not in operations()
    ]

    assert [] == strange


@pytest.mark.parametrize(
    "call",
    [
        "conjure:ConjureSession", "lambda:EnlargeFunction20271231v2", "iam:UploadServerCertificate", "iam:TagRole",
        "route53:ChangeResourceRecordSets", "states:RedriveExecution", "ec2:CopySnapshot", "ec2:ImportImage",
        "bedrock-agentcore:InvokeAgentRuntime", "autoscaling:BatchPutScheduledUpdateGroupAction",
        "lambda:DeleteFunctionConcurrency20171031", "cognito-idp:AdminInitiateAuth", "kms:Sign", "sns:Subscribe",
    ],
)  # fmt: skip
def test_a_call_that_nobody_has_heard_of_is_told(call: str) -> None:
    """With a new verb, an old one that opens something, a verb behind `Batch`, or the version of an API behind it."""
    world = World(START)
    key = world.user("support")
    key.calls(call, {}, read_only=False)

    assert any(f"look at each by hand: {call}" in one for one in planned(world, key.id).residual_risks)


@pytest.mark.parametrize(
    "call",
    [
        "newservice:GetThing", "newservice:DeleteThing", "newservice:BatchGetThing", "newservice:BatchDeleteThing",
        "cognito-idp:AdminGetUser", "cognito-idp:AdminDisableUser", "cloudfront:GetDistribution2020_05_31",
        "kms:Decrypt", "kms:GenerateDataKey", "lambda:Invoke", "lambda:Invoke20150331", "lambda:Invoke20271231v2", "bedrock:InvokeModel",
        "s3:CopyObject", "s3:UploadPart", "sns:PublishBatch", "dynamodb:BatchWriteItem", "events:PutEvents",
        "ec2:AssignPrivateIpAddresses", "ecr:CompleteLayerUpload", "iam:GenerateCredentialReport",
        "ssmmessages:OpenControlChannel", "ec2messages:AcknowledgeMessage", "signin:CheckMfa", "signin:ExitRole",
        "ssm:TagResource", "acm:ExportCertificate",
    ],
)  # fmt: skip
def test_what_reads_takes_away_or_only_uses_what_is_there_is_not_told(call: str) -> None:
    """A plan is read at three in the morning: reads, deletions, data and plain use have no place among the unknown."""
    world = World(START)
    key = world.user("support")
    key.calls(call, {}, read_only=False)

    assert not any("it is not known here" in one for one in planned(world, key.id).residual_risks)


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
