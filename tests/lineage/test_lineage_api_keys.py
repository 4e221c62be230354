"""API keys: whose they are, which calls are made with them, what ends them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from evidence import AWAY, HOME, START, Json, answers, at, born, call, traced
from tokentrail import Credential as Found
from tokentrail.events.bearer import BEARER_KEY
from tokentrail.testing import World

BEDROCK, MANTLE, CLAUDE = "bedrock", "bedrock-mantle", "aws-external-anthropic"


@pytest.fixture(name="world")
def _world() -> World:
    return World(START)


def tainted(evidence: World | list[Json], subject: str) -> set[str]:
    """The credentials that count as the attacker's if one leaked."""
    return {one.id for one in traced(evidence, subject, up=False).credentials if one.tainted}


def keys_of(evidence: World | list[Json]) -> dict[str, Found]:
    """The API keys that the evidence shows, by id."""
    return {one.id: one for one in answers(evidence).values() if one.kind == "api_key"}


@pytest.mark.parametrize("shows_id", [False, True])
@pytest.mark.parametrize("service", [BEDROCK, MANTLE, CLAUDE])
def test_a_made_api_key_is_a_credential_with_its_calls(world: World, service: str, *, shows_id: bool) -> None:
    """A key that a credential made is its offspring, has its user's calls whether they show its id or not, and expires."""
    maker = world.user("ada")
    bot = maker.creates_user("BedrockAPIKey-x1y2")
    of = f"{CLAUDE if service == CLAUDE else BEDROCK}.amazonaws.com"
    key = maker.creates_api_key(bot, service=of, days=30, shows_id=shows_id)
    key.calls(f"{service}:InvokeModel", {"modelId": "m"}, count=3)

    assert list(keys_of(world)) == [key.id]
    found = keys_of(world)[key.id]
    assert (found.kind, found.account, found.principal, found.events) == ("api_key", HOME, bot.arn, 3)
    assert born(found)[1:3] == (maker.id, "created")
    assert found.access_key_ids == (key.id,)
    assert found.expires_at == key.entry.made_at + timedelta(days=30)
    assert found.state == "active"
    assert ("show no key id" in (found.origin_detail or "")) is not shows_id
    assert key.id in tainted(world, maker.id)


def test_calls_are_no_keys_where_two_may_have_made_them(world: World) -> None:
    """Of two keys of one user and service neither has the calls that show no id: these stand by themselves, and say so."""
    ada, eve = world.user("ada"), world.user("eve")
    mine, theirs = ada.creates_api_key(ada), eve.creates_api_key(ada)
    mine.calls("bedrock:InvokeModel", {"modelId": "m"}, count=3)
    found = keys_of(world)

    assert set(found) == {mine.id, theirs.id, f"{BEARER_KEY}bedrock:{ada.user.id}"}
    assert not found[mine.id].used and not found[theirs.id].used
    unknown = found[f"{BEARER_KEY}bedrock:{ada.user.id}"]
    assert (unknown.events, unknown.access_key_ids, unknown.principal) == (3, (), ada.arn)
    assert "several" in (unknown.origin_detail or "")
    assert unknown.id not in tainted(world, eve.id)


def named(world: World, user: Any) -> set[str]:
    """The keys that the detail of a user's calls without key id names as those that may have made them."""
    detail = keys_of(world)[f"{BEARER_KEY}bedrock:{user.id}"].origin_detail or ""
    return set(re.findall(r"ACCA\w+", detail))


def test_the_keys_that_may_have_made_calls_are_named(world: World) -> None:
    """Of calls without key id all keys of the user and service are named that worked then, and no other key."""
    ada, eve, bob = world.user("ada"), world.user("eve"), world.user("bob")
    gone, asleep = ada.creates_api_key(ada), eve.creates_api_key(ada)
    for one, call_name, more in (
        (gone, "DeleteServiceSpecificCredential", {}),
        (asleep, "UpdateServiceSpecificCredential", {"status": "Inactive"}),
    ):
        ada.iam(call_name, userName="ada", serviceSpecificCredentialId=one.id, **more)
    world.wait(300)
    mine, theirs = ada.creates_api_key(ada), eve.creates_api_key(ada)
    ada.creates_api_key(ada, service="codecommit.amazonaws.com")
    bob.creates_api_key(bob)
    mine.calls("bedrock:InvokeModel", {"modelId": "m"}, count=3)
    world.wait(300)
    eve.creates_api_key(ada)

    assert named(world, ada.user) == {mine.id, theirs.id}


def test_a_key_that_was_active_again_may_have_made_calls(world: World) -> None:
    """An inactive key that was made active again before the last of the calls is named; where none is, that is said."""
    ada, bob = world.user("ada"), world.user("bob")
    back, other = ada.creates_api_key(ada), ada.creates_api_key(ada)
    for status in ("Inactive", "Active"):
        ada.iam(
            "UpdateServiceSpecificCredential",
            userName="ada",
            serviceSpecificCredentialId=back.id,
            status=status,
        )
        world.wait(300)
    with world.unlogged():
        unseen = bob.creates_api_key(bob)
    for one in (other, unseen):
        one.calls("bedrock:InvokeModel", {"modelId": "m"})

    assert named(world, ada.user) == {back.id, other.id}
    assert named(world, bob.user) == set()
    detail = keys_of(world)[f"{BEARER_KEY}bedrock:{bob.user.id}"].origin_detail or ""
    assert "any key of the user's that was made before the evidence begins" in detail


@pytest.mark.parametrize(
    "near",
    [
        lambda world, bot: world.user("ada").creates_api_key(world.user("bob").user),
        lambda world, bot: world.user("ada").creates_api_key(bot, service="codecommit.amazonaws.com"),
        lambda world, bot: world.user("far", account=AWAY).creates_api_key(
            world.user("bot", account=AWAY).user
        ),
    ],
    ids=["user", "service", "account"],
)
def test_another_users_services_or_accounts_key_has_no_calls(
    world: World, near: Callable[[World, Any], Any]
) -> None:
    """Calls that show no id are not those of a key of another user, of another service, or of another account."""
    bot = world.user("bot").user
    other = near(world, bot)
    with world.unlogged():
        unseen = world.user("ada").creates_api_key(bot)
    unseen.calls("bedrock:InvokeModel", {"modelId": "m"})
    found = keys_of(world)

    assert not found[other.id].used
    assert found[f"{BEARER_KEY}bedrock:{bot.id}"].events == 1


def test_calls_before_a_key_was_made_or_after_it_was_closed_are_not_its(world: World) -> None:
    """A key has no calls from before it was made, and none from more than a minute after it was made inactive."""
    ada = world.user("ada")
    with world.unlogged():
        early = ada.creates_api_key(ada)
    early.calls("bedrock:InvokeModel", {"modelId": "m"})
    late = ada.creates_api_key(ada)
    bob = world.user("bob")
    closed = bob.creates_api_key(bob)
    bob.iam("UpdateServiceSpecificCredential", serviceSpecificCredentialId=closed.id, status="Inactive")
    world.wait(300)
    closed.calls("bedrock:InvokeModel", {"modelId": "m"})
    found = keys_of(world)

    assert not found[late.id].used and not found[closed.id].used
    assert {found[f"{BEARER_KEY}bedrock:{one.user.id}"].events for one in (ada, bob)} == {1}


def test_a_short_term_key_is_its_session(world: World) -> None:
    """Calls with a short-term key are its session's own, with or without the session's key id in the record."""
    session = world.user("ada").assumes("Analyst")
    session.with_short_term_key().calls("bedrock:InvokeModel", {"modelId": "m"})
    session.with_short_term_key().calls("bedrock-mantle:CreateInference")
    records = world.records()
    records[-1]["userIdentity"].pop("accessKeyId")
    found = answers(records)

    assert found[session.id].events == 2
    assert not [one for one in found.values() if one.kind == "api_key"]


def test_a_short_term_key_of_a_user_that_shows_no_key_is_nobodys(world: World) -> None:
    """A call of bedrock-mantle that says SHORT_TERM and shows no key id is not that of a long-term API key."""
    ada = world.user("ada")
    ada.creates_api_key(ada)
    ada.with_short_term_key().calls("bedrock-mantle:CreateInference")
    records = world.records()
    records[-1]["userIdentity"].pop("accessKeyId")

    assert [one.used for one in answers(records).values() if one.kind == "api_key"] == [False]


def test_whoever_resets_a_key_has_it(world: World) -> None:
    """ResetServiceSpecificCredential tells a new secret: the key is the resetter's, and no end of it is known any more."""
    admin, eve = world.user("admin"), world.user("eve")
    bot = admin.creates_user("BedrockAPIKey-x1y2")
    key = admin.creates_api_key(bot, days=5)
    eve.iam("ResetServiceSpecificCredential", userName=bot.name, serviceSpecificCredentialId=key.id)
    found = keys_of(world)[key.id]

    assert (found.parent, found.parent_link, found.expires_at) == (eve.id, "created", None)
    assert key.id in tainted(world, eve.id) & tainted(world, admin.id)


ENDS: list[tuple[str, dict[str, str]]] = [
    ("UpdateServiceSpecificCredential", {"status": "Inactive"}), ("DeleteServiceSpecificCredential", {}),
]  # fmt: skip


@pytest.mark.parametrize("service", ["bedrock", "codecommit", "cassandra", "logs"])
@pytest.mark.parametrize(("operation", "more"), ENDS)
def test_states_of_a_key(world: World, operation: str, more: dict[str, str], service: str) -> None:
    """A key of any service is ended by being made inactive or deleted; active again, it works again."""
    ada = world.user("ada")
    key = ada.creates_api_key(ada, service=f"{service}.amazonaws.com")
    ended = ada.iam(operation, userName="ada", serviceSpecificCredentialId=key.id, **more)
    then = at(ended["eventTime"][:-1])
    world.wait(60)
    ada.iam(
        "UpdateServiceSpecificCredential", userName="ada", serviceSpecificCredentialId=key.id, status="Active"
    )
    now = answers(world)[key.id]
    before = answers(world, as_of=then)[key.id]

    assert (before.state, before.ended_by) == ("ended", ended["eventID"])
    assert now.state == ("active" if more else "ended")


def test_a_key_ends_with_its_user_or_its_days(world: World) -> None:
    """A key is gone when its user is deleted, expired when its days are over, and else works on without a known end."""
    admin = world.user("admin")
    gone, left = admin.creates_user("gone"), admin.creates_user("left")
    deleted, expired = admin.creates_api_key(gone), admin.creates_api_key(left, days=1)
    endless = admin.creates_api_key(left, service="codecommit.amazonaws.com")
    admin.iam("DeleteUser", userName="gone")
    found = answers(world, as_of=world.now + timedelta(days=2))

    assert [found[one.id].state for one in (deleted, expired, endless)] == ["ended", "expired", "active"]
    assert "no end of it" in found[endless.id].state_reason


def test_an_api_key_is_a_subject_by_id_user_and_address(world: World) -> None:
    """The subject may be the key's id, its user's ARN, or the address that it called from."""
    ada = world.user("ada")
    key = ada.creates_api_key(world.user("bot").user)
    key.seen_from("203.0.113.9").calls("bedrock:InvokeModel", {"modelId": "m"})

    for subject in (key.id, key.arn, "203.0.113.9"):
        assert key.id in tainted(world, subject)


HOSTILE: list[Any] = [
    None, 7, 10**400, [], ["true"], {}, {"a": {}}, "", "true" * 5_000, "\x1b[31m\n", "\ud800", True, False, "false",
]  # fmt: skip


@pytest.mark.parametrize("value", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_values_break_nothing(world: World, value: Any) -> None:
    """Whatever stands in the members that tell of API keys: nothing raises, and no call is lost."""
    ada = world.user("ada")
    key = ada.creates_api_key(ada, days=3)
    ada.calls("s3:ListBuckets")
    records = world.records()
    made = next(one for one in records if one["eventName"] == "CreateServiceSpecificCredential")
    made["requestParameters"] |= {"credentialAgeDays": value, "serviceName": value}
    caller = {key: told for key, told in records[-1]["userIdentity"].items() if key != "accessKeyId"}
    for source in (BEDROCK, MANTLE):
        records.append(
            call(
                "InvokeModel", "2026-11-23T11:00:00Z", {**caller, "apiKeyService": value}, source=f"{source}.amazonaws.com",
                additionalEventData={"callWithBearerToken": value},
                requestParameters={"callWithBearerToken": value, "bearerTokenType": value}, eventID=f"{source}-1",
            )
        )  # fmt: skip
    found = answers(json.dumps({"Records": records}).encode())

    assert key.id in found
    assert all(one.kind in ("api_key", "long_term_key") for one in found.values())
