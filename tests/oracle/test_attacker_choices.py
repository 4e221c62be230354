"""
The adversary escapes each deny that holds for some of its choices only, wherever the deny stands, and no other.

Each world has a stolen key of `support` that assumed the role Deploy, and a deny of everything with a condition; the plan
does everything else that contains the theft.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from oracle.adversary import Outcome, play
from oracle.attacker import new_session
from oracle.choice_cases import (
    ANYWHERE,
    FIRM,
    HOME,
    IN_ROLES,
    MANAGEMENT,
    MINUTE,
    PLACES,
    Conditions,
    document,
    epoch,
    theft,
)
from oracle.plan_cases import Json, deactivate, plan, revoke_roles, revoke_user
from oracle.policy_evaluator import ConditionTest
from oracle.request_choices import mentions, mint_choices, requests, samples, session_names
from oracle.simulated_aws import SimulatedAws
from oracle.taint import tainted_ids


def outcome(place: str, *conditions: Conditions) -> Outcome:
    """How the adversary fares where everything is contained but by the deny of a place."""
    world, key, _ = theft()
    PLACES[place](world, document(*conditions))
    aws = SimulatedAws.of(world)
    upstream = [deactivate(key.user, key.id), revoke_user(key.user, aws.at)]
    steps = [revoke_roles(world.role("Deploy"), as_of=aws.at)] if place == "user" else upstream
    return play(aws, tainted_ids(aws, [key.id]), plan(aws.at, *steps))


@pytest.mark.parametrize("condition", [*ANYWHERE, *IN_ROLES])
@pytest.mark.parametrize("place", ["role", "boundary", "organisation"])
def test_a_deny_on_the_role_that_choices_escape_is_escaped(place: str, condition: str) -> None:
    """Role policy, permissions boundary and SCP alike: with the right choice a session of the role goes on."""
    extra = {"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/Deploy"}} if place == "organisation" else {}
    survivors = outcome(place, {**(ANYWHERE | IN_ROLES)[condition], **extra}).survivors

    assert any(one.credential.startswith(("AROA", "ASIA")) for one in survivors)


@pytest.mark.parametrize("condition", ANYWHERE)
def test_a_deny_on_the_user_that_choices_escape_is_escaped(condition: str) -> None:
    """The key, or a token that it gets, goes on with the right choice."""
    assert outcome("user", ANYWHERE[condition]).survivors


@pytest.mark.parametrize("condition", FIRM)
@pytest.mark.parametrize("place", PLACES)
def test_a_deny_that_no_choice_escapes_holds(place: str, condition: str) -> None:
    """Nothing is left where the deny holds for every choice."""
    assert () == outcome(place, FIRM[condition]).survivors


def test_two_denies_are_escaped_only_by_one_request_that_escapes_both() -> None:
    """Choices count together: what escapes one deny may meet the other."""
    mfa = {"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}
    address = {"NotIpAddress": {"aws:SourceIp": "192.0.2.0/24"}}
    endpoint = {"Null": {"aws:SourceVpce": "true"}}

    assert outcome("role", mfa, address).survivors
    assert () == outcome("role", mfa, {"Bool": {"aws:MultiFactorAuthPresent": "true"}}).survivors
    assert () == outcome("role", address, endpoint).survivors
    assert outcome(
        "role", {"StringNotLike": {"aws:userid": "*:*a*"}}, {"StringNotLike": {"aws:userid": "*b"}}
    ).survivors


def test_a_deny_that_has_been_lifted_denies_nothing() -> None:
    """A boundary taken away, an SCP detached or emptied, as the log shows it."""
    for place, undo in (
        (
            "boundary",
            lambda world: world.user("admin").iam("DeleteRolePermissionsBoundary", roleName="Deploy"),
        ),
        (
            "organisation",
            lambda world: world.user("governor", account=MANAGEMENT).calls(
                "organizations:DetachPolicy", {"policyId": "p-guard", "targetId": HOME}, read_only=False
            ),
        ),
        (
            "organisation",
            lambda world: world.user("governor", account=MANAGEMENT).calls(
                "organizations:UpdatePolicy",
                {"policyId": "p-guard", "content": document({"Bool": {"aws:AssumedRoot": "true"}})},
                read_only=False,
            ),
        ),
    ):
        world, _, session = theft()
        PLACES[place](world, document({}))
        held = SimulatedAws.of(world)
        undo(world)
        lifted = SimulatedAws.of(world)

        assert not held.works(held.credentials[session.id], held.at + MINUTE)
        assert lifted.works(lifted.credentials[session.id], lifted.at)


# -------------------------------------------------------------------------------------------------- minting


def enters(trust: Json, *denied: Conditions) -> bool:
    """Whether a session of a role lives on whose trust policy was written anew, with denies on the role."""
    world, key, _ = theft()
    common = {"Effect": "Allow", "Principal": {"AWS": key.arn}, "Action": "sts:AssumeRole"}
    text = json.dumps({"Version": "2012-10-17", "Statement": [{**common, **trust}]})
    world.user("admin").iam("UpdateAssumeRolePolicy", roleName="Audit", policyDocument=text)
    if denied:
        world.user("admin").iam(
            "PutRolePolicy", roleName="Audit", policyName="Guard", policyDocument=document(*denied)
        )
    world.wait(minutes=1)
    key.calls("s3:ListBuckets")
    aws = SimulatedAws.of(world)
    played = play(aws, tainted_ids(aws, [key.id]), plan(aws.at))
    return any("Audit" in "".join(survivor.history) for survivor in played.survivors)


@pytest.mark.parametrize(
    ("trust", "denied", "expected"),
    [
        ({"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}, (), True),
        ({"Condition": {"Bool": {"aws:MultiFactorAuthPresent": "true"}}}, ("no MFA",), True),
        ({"Condition": {"StringEquals": {"sts:ExternalId": "shared"}}}, (), True),
        ({"Condition": {"StringEquals": {"sts:RoleSessionName": "${aws:username}"}}}, (), False),
        ({"Condition": {"StringLike": {"sts:RoleSessionName": "ops-*"}}}, (), True),
        ({"Condition": {"StringEquals": {"sts:SourceIdentity": "ria"}}}, (), False),
        ({"Condition": {"StringEquals": {"sts:SourceIdentity": "ria"}}, "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"]}, (), True),
        ({"Condition": {"StringEquals": {"sts:SourceIdentity": "ria"}}, "Action": ["sts:AssumeRole", "sts:SetSourceIdentity"]}, ("ria",), False),
        ({"Condition": {"StringEquals": {"aws:RequestTag/team": "ops"}}, "Action": ["sts:AssumeRole", "sts:TagSession"]}, (), True),
        ({"Condition": {"StringEquals": {"aws:RequestTag/team": "ops"}}}, (), False),
        ({"Condition": {"StringEquals": {"aws:RequestTag/team": "ops"}}, "Action": ["sts:AssumeRole", "sts:TagSession"]}, ("ops",), False),
        ({"Condition": {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}}, (), True),
        ({"Condition": {"DateGreaterThan": {"aws:CurrentTime": "2026-11-23T12:00:00Z"}}}, (), True),
        ({"Condition": {"DateLessThan": {"aws:CurrentTime": epoch(0)}}}, (), False),
    ],
)  # fmt: skip
def test_minting_takes_what_the_trust_policy_asks_and_keeps_it(
    trust: Json, denied: tuple[str, ...], expected: bool
) -> None:
    """A session carries for good what was chosen to get past the trust policy, and meets the denies of that."""
    assert expected == enters(trust, *(DENIES[name] for name in denied))


DENIES: dict[str, Conditions] = {
    "no MFA": {"Bool": {"aws:MultiFactorAuthPresent": "false"}},
    "ria": {"StringEquals": {"aws:SourceIdentity": "ria"}},
    "no ria": {"StringNotEquals": {"aws:SourceIdentity": "ria"}},
    "ops": {"StringEquals": {"aws:PrincipalTag/team": "ops"}},
}


def test_a_source_identity_once_set_can_t_be_chosen_again() -> None:
    """It goes with the session into the next role, and so do transitive tags; whoever has none yet chooses."""
    mentioned = mentions(
        (
            ConditionTest("StringEquals", "aws:sourceidentity", ("ria",)),
            ConditionTest("StringEquals", "aws:requesttag/team", ("ops",)),
        )
    )
    world, key, session = theft(source_identity="ada")
    aws = SimulatedAws.of(world)
    giver = replace(aws.credentials[session.id], tags=(("team", "dev"),), transitive=frozenset({"team"}))
    choices = mint_choices(aws.credentials[key.id], mentioned)
    (only,) = mint_choices(giver, mentioned)
    made = new_session(aws, world.role("Audit").arn, "x", giver, only)

    assert {None, "ria", "support", "nobody-names-this"} == {choice.source_identity for choice in choices}
    assert {(), (("team", "ops"),), (("team", "nobody-names-this"),)} == {choice.tags for choice in choices}
    assert ("ada", (("team", "dev"),)) == (made.source_identity, made.tags)


# ------------------------------------------------------------------------------------- which values are tried


def tried(*tests: ConditionTest, **fixed: str) -> list[dict[str, Any]]:
    """The requests that are tried for some conditions, without what is fixed."""
    keys = {key.replace("_", ":"): value for key, value in fixed.items()}
    return [
        {key: request[key] for key in request if key not in keys}
        for request in requests(keys, mentions(tests))
    ]


def test_a_request_comes_from_an_address_or_through_an_endpoint() -> None:
    """Never both: a request through a VPC endpoint has no public address."""
    contexts = tried(
        ConditionTest("IpAddress", "aws:sourceip", ("192.0.2.0/24",)),
        ConditionTest("StringEquals", "aws:sourcevpce", ("vpce-1",)),
    )

    assert {"aws:sourceip": "192.0.2.0", "aws:sourcevpce": None} in contexts
    assert {"aws:sourceip": None, "aws:sourcevpce": "vpce-1"} in contexts
    assert all((one["aws:sourceip"] is None) != (one["aws:sourcevpce"] is None) for one in contexts)


def test_a_key_that_is_fixed_is_not_chosen() -> None:
    """The credential's own keys are what they are, and a request that mints nothing has no keys of minting."""
    tests = (
        ConditionTest("StringEquals", "aws:userid", ("AROA:x",)),
        ConditionTest("StringEquals", "sts:externalid", ("shared",)),
    )

    assert [{}] == tried(*tests, aws_userid="AROA:y")
    assert [None, "shared", "nobody-names-this"] == [
        context["sts:externalid"] for context in requests({"aws:userid": "x"}, mentions(tests), minting=True)
    ]


def test_samples_fit_patterns_one_by_one_and_two_by_two() -> None:
    """Session names are of a role's own, with characters that STS takes."""
    assert {"ab", "bab"} & set(samples(["*a*", "*b"]))
    tests = (
        ConditionTest(
            "StringNotLike", "aws:userid", ("AROAMINE:ria*", "AROAOTHER:bob", "*:ad?", "AROAMINE:no good")
        ),
    )
    assert {"ria", "riax", "adx"} <= set(session_names(mentions(tests), "AROAMINE"))
    assert not {"bob", "no good"} & set(session_names(mentions(tests), "AROAMINE"))
