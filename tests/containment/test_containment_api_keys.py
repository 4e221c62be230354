"""Plans for cases with API keys: each is ended by a step of its own, or the plan says that it is not."""

from __future__ import annotations

import pytest
from contain_cases import actions, hit, operations, planned, statements, step

from evidence import START, held
from tokentrail.testing import ApiKey, LongTermKey, World


@pytest.fixture(name="world")
def _world() -> World:
    return World(START)


def stolen(world: World, **options: int) -> tuple[LongTermKey, ApiKey]:
    """A stolen key, and an API key of another user that was made with it."""
    eve = world.user("eve")
    key = eve.creates_api_key(world.user("bot").user, **options)
    key.calls("bedrock:InvokeModel", {"modelId": "m"}, count=2)
    return eve, key


def test_a_plan_deactivates_a_made_api_key(world: World) -> None:
    """An API key that the attacker made is deactivated by its id, is never given back, and the plan is complete."""
    eve, key = stolen(world)
    plan = planned(world, eve.id)
    off = step(plan, "deactivate-api-key")

    assert plan.proof.complete
    assert [call.parameters for call in off.calls] == [
        {"UserName": "bot", "ServiceSpecificCredentialId": key.id, "Status": "Inactive"}
    ]
    assert operations(off) == ["UpdateServiceSpecificCredential"]
    assert any(key.id in one and "from before the evidence" in one for one in plan.proof.holds_if)
    assert (off.ends, off.undo, off.safe_to_undo_after) == ((key.id,), (), None)


def test_a_leaked_api_key_is_given_back_when_asked_for(world: World) -> None:
    """A leaked API key that its owner uses too can be made active again, and nothing else of its user is touched."""
    ada = world.user("ada")
    with world.unlogged():
        key = ada.creates_api_key(ada, shows_id=True)
    key.calls("bedrock:InvokeModel", {"modelId": "m"})
    ada.calls("s3:ListBuckets")
    plan = planned(world, key.entry.issued_key or "")

    assert actions(plan) == ["deactivate-api-key"]
    assert not any("from before the evidence" in one for one in plan.proof.holds_if)
    assert plan.proof.complete
    assert [call.parameters["Status"] for call in plan.steps[0].undo] == ["Active"]
    assert ada.id not in hit(plan)


@pytest.mark.parametrize(
    "what", ["deactivate-key", "revoke-user-sessions", "freeze-role", "deactivate-api-key"]
)
def test_without_its_own_step_no_plan_is_complete(world: World, what: str) -> None:
    """Deactivated keys and revoked sessions of its user leave an API key alive: only its own step, or a deny, ends it."""
    eve, key = stolen(world)
    others = {
        "deactivate-key": [], "revoke-user-sessions": [f"revoke-user-sessions:{key.arn}"], "freeze-role": [],
        "deactivate-api-key": [f"deactivate-api-key:{key.id}"],
    }[what]  # fmt: skip
    plan = planned(
        world, eve.id, what_if=[f"deactivate-key:{eve.id}", f"revoke-user-sessions:{eve.arn}", *others]
    )

    assert plan.proof.complete is (what == "deactivate-api-key")
    if what != "deactivate-api-key":
        assert key.id in {one.credential for one in plan.proof.survivors}


def test_a_deny_of_everything_binds_an_api_key_and_one_by_date_does_not(world: World) -> None:
    """A user that is denied everything has no API key that works, by whatever its condition; a cutoff leaves it."""
    eve, key = stolen(world)
    denied = planned(
        world,
        eve.id,
        what_if=[f"deactivate-key:{eve.id}", f"deny-user:{key.arn}", f"revoke-user-sessions:{eve.arn}"],
    )

    assert key.id in {one for each in denied.steps for one in each.ends}
    assert key.id not in {one.credential for one in denied.proof.survivors}


def test_calls_that_may_be_of_two_keys_end_with_their_user(world: World) -> None:
    """Calls that show no key id and may be of several keys are a credential that no call names: its user is denied."""
    ada = world.user("ada")
    one, _ = ada.creates_api_key(ada), ada.creates_api_key(ada)
    one.seen_from("203.0.113.9").calls("bedrock:InvokeModel", {"modelId": "m"})
    plan = planned(world, "203.0.113.9")

    assert "deny-user" in actions(plan)
    assert "list-service-specific-credentials" in step(plan, "deny-user").why
    assert statements(step(plan, "deny-user"))[0]["Action"] == "*"


def test_an_expired_key_and_keys_of_others_need_no_step(world: World) -> None:
    """No step is about an API key that expired, nor about one of the same user that somebody else made."""
    eve, key = stolen(world, days=1)
    admin = world.user("admin")
    theirs = admin.creates_api_key(key.user, service="codecommit.amazonaws.com")
    world.wait(hours=72)
    eve.calls("s3:ListBuckets")
    plan = planned(world, eve.id)

    assert "deactivate-api-key" not in actions(plan)
    assert theirs.id not in hit(plan)


def test_a_key_that_somebody_deleted_or_deactivated_needs_no_step(world: World) -> None:
    """An API key of the attacker's that a colleague has taken out of use already is in no step."""
    eve, key = stolen(world)
    admin = world.user("admin")
    other = eve.creates_api_key(admin, service="logs.amazonaws.com")
    admin.iam("DeleteServiceSpecificCredential", userName="bot", serviceSpecificCredentialId=key.id)
    admin.iam(
        "UpdateServiceSpecificCredential",
        userName="admin",
        serviceSpecificCredentialId=other.id,
        status="Inactive",
    )
    world.wait(minutes=5)
    eve.calls("s3:ListBuckets")
    plan = planned(world, eve.id)

    assert plan.proof.complete
    assert "deactivate-api-key" not in actions(plan)


@pytest.mark.parametrize("service", ["codecommit", "cassandra", "logs"])
def test_credentials_for_other_services_are_ended_alike(world: World, service: str) -> None:
    """A credential that was made for CodeCommit, Keyspaces or CloudWatch Logs and never seen in use is deactivated, too."""
    eve = world.user("eve")
    key = eve.creates_api_key(eve, service=f"{service}.amazonaws.com")
    plan = planned(world, eve.id)

    assert plan.proof.complete
    assert step(plan, "deactivate-api-key").ends == (key.id,)


def test_a_made_user_loses_its_api_key_with_the_deny(world: World) -> None:
    """A user that the attacker made is denied everything, and its API key is deactivated in the same step."""
    eve = world.user("eve")
    bot = eve.creates_user("BedrockAPIKey-x1y2")
    key = eve.creates_api_key(bot)
    key.calls("bedrock:InvokeModel", {"modelId": "m"})
    plan = planned(world, eve.id)
    denied = step(plan, "deny-user")

    assert plan.proof.complete
    assert "UpdateServiceSpecificCredential" in operations(denied)
    assert key.id in denied.keys_off


def test_a_key_whose_id_the_record_does_not_tell_is_left_to_a_person(world: World) -> None:
    """Of an API key that the record does not name no call is written: a step says which event made it, for a person."""
    eve, _ = stolen(world)
    records = [one for one in world.records() if one["eventName"] != "InvokeModel"]
    made = next(one for one in records if one["eventName"] == "CreateServiceSpecificCredential")
    made["responseElements"] = None
    with held(records) as case:
        plan = case.contain([eve.id])
    told = [one for one in plan.steps if made["eventID"] in one.why]

    assert [(one.action, one.calls) for one in told] == [("deactivate-key", ())]
