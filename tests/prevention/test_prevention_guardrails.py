"""Each guardrail: what it is made from, what it stops, and where there is no ground for it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from guard_cases import OFFICE, THIEF, guarded, one, robbed, stolen

from evidence import AWAY, HOME, START, call, held
from tokentrail.prevention.model import Guard, Guardrail
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
    """All of the thief's calls are refused, and the owner's with the same key too."""
    world, key = robbed()
    [found] = made(world, "user-needs-mfa", key.id, source_ips=[THIEF])

    assert key.user.arn == found.target
    assert 3 == found.backtest.ordinary_blocked


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
    assert (1 if rule == "trust-needs-mfa" else 0) == found.ordinary_blocked


def test_a_role_refuses_users_tokens(answer: Guard) -> None:
    """Only the session minted by the token is refused."""
    found = one(answer, "trust-no-tokens").backtest

    assert (1, 5, 0) == (found.attacker_refused, found.attacker_blocked, found.ordinary_blocked)


def test_source_identity_is_asked_of_everybody(answer: Guard) -> None:
    """The thief's two assumptions and Ria's one lack it."""
    found = one(answer, "trust-source-identity").backtest

    assert (2, 1) == (found.attacker_refused, found.ordinary_blocked)


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
        from tokentrail.prevention.guard import Given

        again = case.guard(given=Given(policies=(("own.json", json.dumps(policy).encode()),)))

    accounts = statement(found)["Condition"]["StringNotEqualsIfExists"]["aws:PrincipalAccount"]
    assert [HOME, AWAY] == accounts
    assert 0 == found.backtest.ordinary_blocked
    assert 1 == one(again, "own").backtest.ordinary_blocked


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


def test_where_there_is_no_ground_it_says_why() -> None:
    """Without an attacker, the guardrails for abused users and roles are not made, with the reason."""
    world, _, _ = stolen()
    answer = guarded(world)

    assert {"keys-from-known-networks", "no-new-keys"} <= {item.rule for item in answer.guardrails}
    assert any(text.startswith("trust-named-callers: the attacker took up no role") for text in answer.unmade)
    assert any("--iam" in text for text in answer.unmade)
