"""Each guardrail: what it is made from, what it stops, and where there is no ground for it."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, cast

import pytest
from guard_cases import OFFICE, THIEF, guarded, one, robbed, stolen

from evidence import AWAY, HOME, START, call, held
from tokentrail.policy.account.permissions import Policy
from tokentrail.policy.language.documents import Document
from tokentrail.present.formats.guardrail_files import cloudformation, terraform
from tokentrail.prevention.backtest import ranked
from tokentrail.prevention.evidence import Evidence, Mint, Way
from tokentrail.prevention.guard import Given
from tokentrail.prevention.guardrails import (
    exempt_principals,
    session_length,
    trust_conditions,
)
from tokentrail.prevention.model import Guard, Guardrail, Stage
from tokentrail.prevention.proposal import GuardrailProposal
from tokentrail.prevention.rule import GuardrailRule, NotMade
from tokentrail.testing import World

READER = f"arn:aws:iam::{HOME}:role/Reader"


@pytest.fixture(name="answer", scope="module")
def _answer() -> Guard:
    """Of the theft, by the thief's address."""
    world, key = robbed()
    return guarded(world, key.id, source_ips=[THIEF])


def statement(found: Guardrail) -> dict[str, Any]:
    """The only statement of its policy."""
    assert found.policy is not None
    [only] = found.policy["Statement"]
    return dict(only)


def made(world: World, rule: str, *subjects: str, **options: Any) -> list[Guardrail]:
    """The guardrails of a rule for a world."""
    return [item for item in guarded(world, *subjects, **options).guardrails if item.rule == rule]


def test_keys_work_from_the_networks_of_ordinary_calls(answer: Guard) -> None:
    """The office's address, not the thief's; everything of the thief's is stopped, nothing ordinary."""
    found = one(answer, "keys-from-known-networks")

    assert [f"{OFFICE}/32"] == statement(found)["Condition"]["NotIpAddressIfExists"]["aws:SourceIp"]
    assert 0 == found.backtest.ordinary_blocked and found.backtest.story_ends_at is not None


def test_eight_addresses_of_a_range_make_it_a_network() -> None:
    """Else each stands for itself; private ones ask for the VPC endpoint, which the records name."""
    world = World(START)
    many = world.user("many", ip="198.51.100.1")
    for number in range(8):
        many.seen_from(f"198.51.100.{number + 1}").calls("s3:ListBuckets")
    world.user("few", ip="192.0.2.7").calls("s3:ListBuckets")
    [found] = made(world, "keys-from-known-networks")
    assert ["192.0.2.7/32", "198.51.100.0/24"] == statement(found)["Condition"]["NotIpAddressIfExists"][
        "aws:SourceIp"
    ]

    records = world.records()
    records.append(
        records[-1] | {"eventID": "00000000-0000-4000-8000-000000000001", "sourceIPAddress": "10.0.0.9",
                       "vpcEndpointId": "vpce-0a1b2c3d4e5f60718"}
    )  # fmt: skip
    with held(records) as case:
        inside = one(case.guard(), "keys-from-known-networks")
    assert ["vpce-0a1b2c3d4e5f60718"] == statement(inside)["Condition"]["StringNotEqualsIfExists"][
        "aws:SourceVpce"
    ]
    assert (0, 0) == (inside.backtest.undecided, inside.backtest.ordinary_blocked)


def test_too_many_endpoints_for_one_policy_are_said_to_be() -> None:
    """Then any VPC is let through, and how many the records name is told."""
    world = World(START)
    ada = world.user("ada", ip="10.0.0.9")
    for number in range(61):
        ada.calls("s3:ListBuckets", vpc_endpoint=f"vpce-{number:08x}")
    [found] = made(world, "keys-from-known-networks")

    assert {"aws:SourceVpc": "true"} == statement(found)["Condition"]["Null"]
    assert "61 VPC endpoints, too many for one policy" in found.limits


def test_tokens_without_mfa_are_worth_nothing_and_keys_go_on(answer: Guard) -> None:
    """What B would mint is never made; what A takes up directly is."""
    found = one(answer, "tokens-need-mfa").backtest

    assert (1, 5, 0) == (found.attacker_refused, found.attacker_blocked, found.ordinary_blocked)


def test_the_user_without_mfa_does_nothing_and_pays_for_it() -> None:
    """All of the thief's calls are refused, and the owner's with the same key too; what services forward is let through."""
    world, key = robbed()
    key.via("s3.amazonaws.com").calls("kms:Decrypt")
    [found] = made(world, "user-needs-mfa", key.id, source_ips=[THIEF])

    assert key.user.arn == found.target
    assert (3, 0) == (found.backtest.ordinary_blocked, found.backtest.ordinary_undecided)
    assert {"iam:GetMFADevice", "iam:ListVirtualMFADevices"} <= {
        *statement(found)["NotAction"]
    }  # the console's page


def test_a_role_lets_in_its_ordinary_callers(answer: Guard) -> None:
    """Ria is named, the thief's user is not; both assumptions are refused and all that they would have made."""
    found = one(answer, "trust-named-callers")

    assert [f"arn:aws:iam::{HOME}:user/ria"] == statement(found)["Condition"]["ArnNotEquals"][
        "aws:PrincipalArn"
    ]
    assert READER == found.target
    assert (2, 11, 0) == (
        found.backtest.attacker_refused,
        found.backtest.attacker_blocked,
        found.backtest.ordinary_blocked,
    )


def test_a_role_that_sessions_alone_tell_of_is_spared_under_any_path() -> None:
    """
    Without `sessionIssuer`, as exports have it, a session's ARN is no caller to `aws:PrincipalArn`, which is its role's.

    Source: IAM User Guide, 'AWS global condition context keys'.
    """
    world = World(START)
    admin, key = world.user("ria").assumes("Admin", "ria"), world.user("support")
    for name in ("first", "second"):
        admin.creates_access_key(world.user(name))
    world.wait(60)
    key.creates_access_key(world.user("victim"))
    records = world.records()
    for record in records:
        record["userIdentity"].get("sessionContext", {}).pop("sessionIssuer", None)
    with held(records) as case:
        found = one(case.guard([key.id]), "no-new-keys")

    spared = statement(found)["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    assert [f"arn:aws:iam::{HOME}:role*/Admin"] == spared
    assert (1, 0, 0) == (
        found.backtest.attacker_refused,
        found.backtest.ordinary_blocked,
        found.backtest.ordinary_undecided,
    )


def test_what_ends_the_story_and_costs_nobody_comes_first(answer: Guard) -> None:
    """Then what ends it earlier; of those that cost somebody the least effort; then what stops some of it, and the rest."""
    late = START + timedelta(hours=2)
    told: list[tuple[str, datetime | None, int, int, int, Stage]] = [
        ("ends it early", START, 0, 0, 9, 3), ("ends it late", late, 0, 0, 9, 1), ("costs little effort", late, 4, 0, 9, 1),
        ("may cost", START, 0, 1, 9, 2), ("costs much effort", START, 1, 0, 9, 3), ("stops much", None, 0, 0, 8, 3),
        ("stops some", None, 0, 0, 1, 1), ("stops nothing", None, 0, 0, 0, 1),
    ]  # fmt: skip
    [base, *_] = answer.guardrails
    made = [
        replace(base, id=name, stage=stage, backtest=replace(
            base.backtest, story_ends_at=ends, ordinary_blocked=blocked, ordinary_undecided=unsure, attacker_blocked=stopped
        ))
        for name, ends, blocked, unsure, stopped, stage in told
    ]  # fmt: skip

    assert [name for name, *_ in told] == [one.id for one in ranked(made[::-1])]


def test_services_are_let_in_whatever_a_trust_policy_denies(answer: Guard) -> None:
    """Each denial for a trust policy spares AWS's services."""
    for found in answer.guardrails:
        if found.kind == "trust-policy" and found.rule != "oidc-subjects":
            assert "false" == statement(found)["Condition"]["BoolIfExists"]["aws:PrincipalIsAWSService"]


@pytest.mark.parametrize("rule", ["trust-known-networks", "trust-needs-mfa"])
def test_a_role_asks_for_what_the_thief_lacks(answer: Guard, rule: str) -> None:
    """From elsewhere, or without MFA, no session is minted; who was ordinary and lacks MFA pays for the latter."""
    found = one(answer, rule).backtest

    assert 2 == found.attacker_refused
    assert (1 if rule == "trust-needs-mfa" else 0) == found.ordinary_refused


def test_a_role_refuses_users_tokens(answer: Guard) -> None:
    """Only the session minted by the token is refused."""
    found = one(answer, "trust-no-tokens").backtest

    assert (1, 5, 0) == (found.attacker_refused, found.attacker_blocked, found.ordinary_blocked)


def test_api_keys_of_models_are_refused_but_to_who_uses_one() -> None:
    """The thief's calls with a key that it made; the colleague who works with one is spared, as is a key of CodeCommit."""
    world, key, ria = stolen()
    ria.creates_api_key(ria.user).calls("bedrock:InvokeModel", count=2)
    thief = key.seen_from(THIEF)
    thief.creates_api_key(key.user, shows_id=True).seen_from(THIEF).calls("bedrock:InvokeModel", count=4)
    [found] = made(world, "no-api-keys", key.id, source_ips=[THIEF])

    assert [f"arn:aws:iam::{HOME}:user/ria"] == statement(found)["Condition"]["ArnNotEquals"][
        "aws:PrincipalArn"
    ]
    assert (4, 0) == (found.backtest.attacker_refused, found.backtest.ordinary_blocked)


@pytest.mark.parametrize(
    ("service", "days", "refused"),
    [
        ("bedrock", None, True), ("bedrock", 91, True), ("aws-external-anthropic", 36_600, True), ("bedrock", 90, False),
        ("bedrock", 1, False), ("codecommit", None, False), ("cassandra", None, False),
    ],
)  # fmt: skip
def test_new_api_keys_expire(service: str, days: int | None, refused: bool) -> None:
    """A key for ever, or for more than 90 days, is refused with what is done with it; Git's and Keyspaces' have no days."""
    world, key, _ = stolen()
    thief = key.seen_from(THIEF)
    made_key = thief.creates_api_key(key.user, service=f"{service}.amazonaws.com", days=days, shows_id=True)
    made_key.seen_from(THIEF).calls("bedrock:InvokeModel", count=4)
    [found] = made(world, "api-keys-expire", key.id, source_ips=[THIEF])

    assert ((1, 1 + 4) if refused else (0, 0)) == (
        found.backtest.attacker_refused, found.backtest.attacker_blocked
    )  # fmt: skip
    assert 0 == found.backtest.undecided


def test_source_identity_is_asked_of_everybody(answer: Guard) -> None:
    """The thief's two assumptions and Ria's one lack it, so that what she does in the role is never done."""
    found = one(answer, "trust-source-identity").backtest

    assert (2, 1, 1 + 2) == (found.attacker_refused, found.ordinary_refused, found.ordinary_blocked)
    assert [("s3:GetObject", 2, "never made"), ("sts:AssumeRole", 1, "refused")] == [
        (item.action, item.calls, item.outcome) for item in found.broken
    ]


def test_the_roles_sessions_are_bound_to_networks_and_to_what_is_used(answer: Guard) -> None:
    """From elsewhere each copy is refused; s3:GetObject is what the role is used for, so that it stays allowed."""
    networks, used = one(answer, "roles-from-known-networks"), one(answer, "role-as-used")

    assert 9 == networks.backtest.attacker_refused
    assert ["s3:getobject"] == statement(used)["NotAction"]
    assert 0 == used.backtest.attacker_blocked


def test_sessions_live_as_long_as_they_are_used() -> None:
    """Granted four hours and used for minutes by others: one hour, and the thief's calls after that are refused."""
    world, key, _ = stolen()
    thief = key.seen_from(THIEF)
    session = thief.assumes("Reader", "x", duration=14_400)
    session.calls("s3:ListBuckets")
    world.wait(5400)
    session.calls("s3:ListBuckets", count=2)
    [found] = made(world, "session-length", key.id, source_ips=[THIEF])

    assert {"RoleName": "Reader", "MaxSessionDuration": 3600} == (found.setting or {})["parameters"]
    assert found.policy is None
    assert (2, 0) == (found.backtest.attacker_refused, found.backtest.ordinary_blocked)
    assert [] == made(robbed()[0], "session-length")


def test_the_length_of_an_instance_s_sessions_is_no_role_s_to_set() -> None:
    """A role's maximum binds nobody's instance: where its instances alone had longer sessions, none is proposed."""
    world = World(START)
    taken = world.instance("Web").seen_from(THIEF)
    taken.calls("s3:ListBuckets")
    world.wait(3 * 3600)
    taken.calls("s3:ListBuckets")

    assert [] == made(world, "session-length", taken.id)
    assert "sessions-too-long" not in {found.rule for found in guarded(world, taken.id).findings}


def test_an_instance_s_credentials_off_its_vpc() -> None:
    """From a public address they are refused; from a private one the log does not tell. The old metadata service is told."""
    world = World(START)
    web = world.instance("Web", ip="10.0.0.9")
    web.calls("s3:ListBuckets", count=3)
    world.wait(30)
    web.seen_from(THIEF).calls("s3:ListBuckets", count=2)
    [pinned] = made(world, "instance-pinned", web.id, source_ips=[THIEF])
    [metadata] = made(world, "metadata-v2", web.id)

    assert (2, 0, 3) == (
        pinned.backtest.attacker_refused, pinned.backtest.ordinary_blocked, pinned.backtest.ordinary_undecided
    )  # fmt: skip
    assert 0 == metadata.backtest.undecided
    assert [] == made(robbed()[0], "instance-pinned")


def test_an_instance_still_opens_its_encrypted_volumes() -> None:
    """EC2 does so by the instance's identity-only role, which an SCP binds, from an address of AWS's own."""
    world = World(START)
    web = world.instance("Web", ip="10.0.0.9")
    web.calls("s3:ListBuckets")
    issuer = {"type": "Role", "principalId": f"{HOME}:aws:ec2-infrastructure", "accountId": HOME,
              "arn": f"arn:aws:iam::{HOME}:role/aws:ec2-infrastructure"}  # fmt: skip
    infrastructure = {
        "type": "AssumedRole", "principalId": f"{HOME}:aws:ec2-infrastructure:i-81e2f56c", "accountId": HOME,
        "arn": f"arn:aws:sts::{HOME}:assumed-role/aws:ec2-infrastructure/i-81e2f56c",
        "accessKeyId": "ASIAIOSFODNN7INFRA00", "sessionContext": {"sessionIssuer": issuer, "ec2RoleDelivery": "2.0"},
    }  # fmt: skip
    opened = call(
        "Decrypt",
        "2026-11-23T09:00:30Z",
        infrastructure,
        eventSource="kms.amazonaws.com",
        sourceIPAddress=THIEF,
    )
    with held([*world.records(), opened]) as case:
        found = one(case.guard(given=Given(only=("instance-pinned",))), "instance-pinned")

    assert (0, 1) == (found.backtest.ordinary_blocked, found.backtest.ordinary_undecided)


def test_networks_are_not_asked_of_what_is_asked_within_a_vpc(answer: Guard) -> None:
    """Sign-in to databases and clusters by IAM shows no address of a network, and no trail: no back-test would miss it."""
    for rule in ("keys-from-known-networks", "roles-from-known-networks"):
        assert {"rds-db:connect", "kafka-cluster:*", "elasticfilesystem:Client*"} <= set(
            statement(one(answer, rule))["NotAction"]
        )


def test_identity_center_s_role_is_bound_by_its_permission_set() -> None:
    """IAM lets nobody put a policy on the role: it is said, and no code is written that would try."""
    world = World(START)
    ria = world.identity_center("ria", "Admin")
    ria.calls("s3:ListBuckets")
    world.wait(60)
    ria.seen_from(THIEF).calls("iam:ListUsers")
    found = [
        item for item in guarded(world, ria.id, source_ips=[THIEF]).guardrails if item.rule == "role-as-used"
    ]

    assert ["permission set" in item.attach for item in found] == [True]
    assert "aws_iam_role_policy" not in terraform(found)
    assert {} == json.loads(cloudformation(found))["Resources"]


def test_new_keys_are_made_by_who_makes_them() -> None:
    """The administrator is spared; the thief's key is never made."""
    world = World(START)
    admin, key = world.user("admin"), world.user("support")
    admin.creates_access_key(world.user("new"))
    world.wait(60)
    key.creates_access_key(world.user("victim")).calls("s3:ListBuckets")
    [found] = made(world, "no-new-keys", key.id)

    assert [admin.user.arn] == statement(found)["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]
    assert (1, 2, 0) == (
        found.backtest.attacker_refused,
        found.backtest.attacker_blocked,
        found.backtest.ordinary_blocked,
    )


def test_federation_tokens_are_for_who_uses_them() -> None:
    """The partner gateway's user is spared; the thief's token is never made."""
    world = World(START)
    gateway, key = world.user("gateway"), world.user("support")
    gateway.gets_federation_token("partner").calls("s3:ListBuckets")
    key.gets_federation_token("admin").calls("s3:ListBuckets", count=2)
    [found] = made(world, "no-federation-tokens", key.id)

    assert (1, 3, 0) == (
        found.backtest.attacker_refused,
        found.backtest.attacker_blocked,
        found.backtest.ordinary_blocked,
    )


def test_regions_that_are_used_and_logs_that_are_kept() -> None:
    """A machine in a region that nobody uses, and a stopped trail, are refused; global services are let through."""
    world = World(START)
    world.user("ada").calls("ec2:DescribeInstances")
    key = world.user("support")
    key.calls("iam:ListUsers")
    key.calls("cloudtrail:StopLogging", {"name": "main"}, read_only=False)
    records = world.records()
    far = next(one for one in records if one["eventName"] == "ListUsers")
    records.append(far | {"eventID": "00000000-0000-4000-8000-000000000002", "eventSource": "ec2.amazonaws.com",
                          "eventName": "RunInstances", "awsRegion": "ap-south-1", "readOnly": False})  # fmt: skip
    with held(records) as case:
        found = case.guard([key.id])

    assert 1 == one(found, "known-regions").backtest.attacker_refused
    assert 1 == one(found, "logging-kept").backtest.attacker_refused


def test_what_no_scp_would_refuse_makes_no_region_known() -> None:
    """
    Service-linked roles look into every region, refused calls did nothing there, and IAM's region says nothing of others.

    Nor does that of what else lives in one region for all, such as bills and plans, which goes on.
    """
    world = World(START)
    ada = world.user("ada")
    ada.calls("iam:ListUsers")
    ada.calls("s3:ListBuckets")
    ada.calls("ec2:DescribeInstances")
    used, like = world.records()[-2:], world.records()[-1]
    linked = like | {
        "userIdentity": {
            "type": "AssumedRole", "principalId": "AROALINKEDLINKED00000:x", "accountId": HOME,
            "arn": f"arn:aws:sts::{HOME}:assumed-role/AWSServiceRoleForTrustedAdvisor/x",
            "accessKeyId": "ASIAIOSFODNN7LINKED0",
            "sessionContext": {"sessionIssuer": {
                "type": "Role", "principalId": "AROALINKEDLINKED00000", "accountId": HOME,
                "arn": f"arn:aws:iam::{HOME}:role/aws-service-role/x.amazonaws.com/AWSServiceRoleForTrustedAdvisor",
            }},
        }
    }  # fmt: skip
    records = [
        *world.records()[:-1],
        like | {"awsRegion": "eu-central-1", "eventID": "00000000-0000-4000-8000-000000000001"},
        linked | {"awsRegion": "ap-south-1", "eventID": "00000000-0000-4000-8000-000000000002"},
        like | {"awsRegion": "sa-east-1", "eventID": "00000000-0000-4000-8000-000000000003",
                "errorCode": "Client.UnauthorizedOperation"},
        like | {"eventSource": "savingsplans.amazonaws.com", "eventName": "DescribeSavingsPlans",
                "eventID": "00000000-0000-4000-8000-000000000004"},
    ]  # fmt: skip
    with held(records) as case:
        found = one(case.guard(given=Given(only=("known-regions",))), "known-regions")

    assert {"us-east-1"} == {record["awsRegion"] for record in used}
    assert ["eu-central-1"] == statement(found)["Condition"]["StringNotEquals"]["aws:RequestedRegion"]
    assert 0 == found.backtest.ordinary_blocked


def of_many(count: int, action: str) -> Evidence:
    """Evidence in which many users ordinarily do something, and take up a role that the attacker took up."""
    arns = [f"arn:aws:iam::{HOME}:user/administrator-{number:03}" for number in range(count)]
    way = {"kind": "long_term_key", "type": "IAMUser", "account": HOME, "forwarded": False, "ec2": None}
    mint = {
        "api": "AssumeRole", "role": READER, "caller_type": "IAMUser", "caller_account": HOME,
        "caller_kind": "long_term_key", "attributed": False, "ip": OFFICE, "subject": None, "provider": None,
        "calls": 1, "granted": 3600,
    }  # fmt: skip
    return Evidence(
        ways=tuple(Way(theirs=False, principal=arn, actions=(action.lower(),), **way) for arn in arns),
        mints=tuple(Mint(theirs=number == 0, caller=arn, **mint) for number, arn in enumerate(arns)),
        used={}, first=0, last=0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("maker", "action"),
    [
        (exempt_principals.LOGGING, "cloudtrail:UpdateTrail"),
        (exempt_principals.FEDERATION_TOKENS, "sts:GetFederationToken"),
        (exempt_principals.NEW_KEYS, "iam:CreateUser"),
    ],
)
def test_more_principals_than_an_scp_can_spare_make_none(maker: GuardrailRule, action: str) -> None:
    """Organizations would refuse the policy for its length; what is made of 25 principals fits. One that spares none says so."""
    [few], [none] = (
        cast("tuple[GuardrailProposal, ...]", maker.make(of_many(count, action))) for count in (25, 0)
    )
    assert "binds everybody" in none.limits and "binds everybody" not in few.limits

    assert len(json.dumps(few.policy)) < 5_120
    assert isinstance(maker.make(of_many(70, action)), NotMade)


@pytest.mark.parametrize(
    ("role", "used", "granted", "hours"),
    [
        (READER, 600, 14_400, 1),
        (READER, 3600, 7200, 1),
        (READER, 3601, 7200, None),
        (READER, 3601, 7201, 2),
        (READER, 0, 3600, None),
        (
            f"arn:aws:iam::{HOME}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_Support_1",
            600,
            43_200,
            None,
        ),
    ],
)
def test_a_session_lives_whole_hours(role: str, used: int, granted: int, hours: int | None) -> None:
    """As many as its longest use took, where more were granted; nobody may set them for Identity Center's roles."""
    thief = {
        "theirs": True,
        "account": HOME,
        "principal": role,
        "forwarded": False,
        "ec2": None,
        "actions": (),
    }
    seen = of_many(1, "s3:ListAllMyBuckets")
    evidence = replace(
        seen,
        ways=(Way(kind="assumed_role", type="AssumedRole", **thief),),
        mints=tuple(replace(one, role=role, granted=granted) for one in seen.mints),
        used={role: used},
    )
    made = session_length.GUARDRAIL.make(evidence)

    lengths = (
        [] if isinstance(made, NotMade) else [one.setting["parameters"]["MaxSessionDuration"] for one in made]
    )
    assert lengths == ([hours * 3600] if hours else [])


def test_a_policy_that_may_not_fit_says_so() -> None:
    """A trust policy's quota is 2,048 characters unless it was raised: thirty callers need more."""
    few, many = (
        next(
            iter(
                cast(
                    "tuple[GuardrailProposal, ...]", trust_conditions.NAMED_CALLERS.make(of_many(count, "x"))
                )
            )
        )
        for count in (3, 40)
    )

    assert "characters" not in few.limits
    assert "no more than 2,048 are sure to fit" in many.limits


def test_foreign_accounts_take_up_no_role() -> None:
    """A thief's own account that a trust was opened to is refused; a partner that ordinarily comes is named."""
    role = f"arn:aws:iam::{HOME}:role/Shared"

    def foreign(account: str, when: str, key: str) -> dict[str, Any]:
        caller = {"type": "AWSAccount", "principalId": "AIDAFOREIGNFOREIGN000", "accountId": account}
        answer = {
            "credentials": {"accessKeyId": key},
            "assumedRoleUser": {
                "assumedRoleId": "AROASHAREDSHARED00000:x",
                "arn": f"arn:aws:sts::{HOME}:assumed-role/Shared/x",
            },
        }
        return call(
            "AssumeRole", when, caller, requestParameters={"roleArn": role, "roleSessionName": "x"}, responseElements=answer,
            resources=[{"ARN": role, "accountId": HOME, "type": "AWS::IAM::Role"}],
        )  # fmt: skip

    world = World(START)
    world.user("ada").calls("s3:ListBuckets")
    records = [*world.records(), foreign(AWAY, "2026-11-23T09:00:10Z", "ASIAIOSFODNN7PARTNER")]
    with held(records) as case:
        [found] = [item for item in case.guard().guardrails if item.rule == "own-organisation"]
    policy = {"kind": "rcp", "policy": json.loads(json.dumps(found.policy))}
    with held([*records, foreign("999988887777", "2026-11-23T09:00:20Z", "ASIAIOSFODNN7STRANGE")]) as case:
        again = case.guard(given=Given(policies=(("own.json", json.dumps(policy).encode()),)))

    accounts = statement(found)["Condition"]["StringNotEqualsIfExists"]["aws:PrincipalAccount"]
    assert [HOME, AWAY] == accounts
    assert 0 == found.backtest.ordinary_blocked
    assert 1 == one(again, "own").backtest.ordinary_blocked

    for forged in ("${aws:PrincipalAccount}", "*"):  # would let anybody in
        records.append(deepcopy(records[0]) | {"eventID": forged})
        records[-1]["userIdentity"]["accountId"] = forged
        records.append(foreign(forged, "2026-11-23T09:00:11Z", "ASIAIOSFODNN7FORGED"))
    with held(records) as case:
        found = one(case.guard(), "own-organisation")
    assert accounts == statement(found)["Condition"]["StringNotEqualsIfExists"]["aws:PrincipalAccount"]


def test_web_identities_that_ordinarily_come() -> None:
    """The subject of the pipeline is named; another repository's is refused."""
    world = World(START)
    build = world.role("Build")
    world.oidc(build, "repo:example/shop:ref:refs/heads/main").calls("s3:ListBuckets")
    world.wait(60)
    other = world.oidc(build, "repo:thief/x:ref:refs/heads/main", ip=THIEF)
    other.calls("s3:ListBuckets", count=2)
    [found] = made(world, "oidc-subjects")

    assert ["repo:example/shop:ref:refs/heads/main", "repo:thief/x:ref:refs/heads/main"] == sorted(
        statement(found)["Condition"]["StringNotLike"]["token.actions.githubusercontent.com:sub"]
    )


def test_how_the_attacker_came_in_is_nobodys_ordinary_way() -> None:
    """
    A stranger's repository is kept out by name, and a partner's key in a stranger's hands by its address.

    With the subject's owner told apart by time, its minting is the owner's.
    """
    world = World(START)
    build, door = world.role("Build"), world.role("Door")
    partner = world.account(AWAY).user("partner")
    for number in range(2):
        world.at(START + timedelta(hours=number))
        world.oidc(build, "repo:example/shop:ref:refs/heads/main").calls("s3:ListBuckets")
        partner.assumes(door, "scan", sides="role").calls("s3:ListBuckets")
    world.wait(60)
    stranger = world.oidc(build, "repo:thief/x:ref:refs/heads/main", ip=THIEF)
    stranger.calls("s3:ListBuckets")
    other = partner.seen_from(THIEF).assumes(door, "scan", sides="role")
    other.calls("s3:ListBuckets")
    with held(world) as case:
        only, networks = (Given(only=(rule,)) for rule in ("oidc-subjects", "trust-known-networks"))
        theirs, owners = (case.guard([stranger.id], since=since, given=only) for since in (None, world.now))
        across = case.guard([other.id], given=networks)
    found = one(theirs, "oidc-subjects")
    subjects = "token.actions.githubusercontent.com:sub"

    assert ["repo:example/shop:ref:refs/heads/main"] == statement(found)["Condition"]["StringNotLike"][
        subjects
    ]
    assert (2, 1, 2, 0) == (
        found.backtest.attacker_events, found.backtest.attacker_refused, found.backtest.attacker_blocked,
        found.backtest.ordinary_blocked,
    )  # fmt: skip
    assert 2 == len(statement(one(owners, "oidc-subjects"))["Condition"]["StringNotLike"][subjects])
    assert 2 == one(across, "trust-known-networks").backtest.attacker_blocked


def test_the_provider_is_known_by_the_principal_id_too() -> None:
    """Carriers that lose `identityProvider` leave provider, audience and subject in one; users of an application are no workloads."""
    world = World(START)
    world.oidc(world.role("Build"), "repo:example/shop:ref:refs/heads/main")
    world.cognito(world.role("App"))
    records = json.loads(json.dumps(world.records()))
    for record in records:
        record["userIdentity"].pop("identityProvider", None)
    with held(records) as case:
        found = one(case.guard(given=Given(only=("oidc-subjects",))), "oidc-subjects")

    provider = f"arn:aws:iam::{HOME}:oidc-provider/token.actions.githubusercontent.com"
    assert {"Federated": provider} == statement(found)["Principal"]
    assert {"token.actions.githubusercontent.com:sub"} == statement(found)["Condition"][
        "StringNotLike"
    ].keys()


def test_where_there_is_no_ground_it_says_why() -> None:
    """Without an attacker, the guardrails for abused users and roles are not made; SCPs without a snapshot tell nothing."""
    world, _, _ = stolen()
    answer = guarded(world, controls=(Policy(label="SCP x", document=Document(statements=())),))

    assert {"keys-from-known-networks", "no-new-keys"} <= {item.rule for item in answer.guardrails}
    assert any(text.startswith("trust-named-callers: the attacker took up no role") for text in answer.unmade)
    assert any("--iam" in text for text in answer.unmade)
    assert any("(--scp) were not looked at" in text for text in answer.unmade)
