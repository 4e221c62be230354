"""Who else can bring back the subjects of a plan: what minted them, and whoever made or changed what they act through."""

from __future__ import annotations

import pytest
from contain_cases import checked, planned

from evidence import START
from tokentrail.containment.model import Plan
from tokentrail.testing import Credential, World


@pytest.fixture(name="world")
def _world() -> World:
    return World(START)


def told(plan: Plan, one: Credential) -> list[str]:
    """What a plan's proof says that rests on a credential's not being the attacker's."""
    return [
        said for said in plan.proof.holds_if if said.startswith(one.id) and "is not the attacker's" in said
    ]


def test_who_set_how_long_one_stays_signed_in_is_named(world: World) -> None:
    """That may have been a new password (IAM API Reference, 'UpdateLoginProfile'), so whoever set it can sign in again."""
    thief = world.user("mallory")
    thief.iam("UpdateLoginProfile", userName="ada", maxSigninSessionDuration=7_776_000)
    world.wait(minutes=5)
    entered = world.console_sign_in(world.user("ada"))
    entered.calls("s3:ListBuckets")
    [said] = told(checked(planned(world, entered.id)), thief)

    assert (
        f"{thief.id}, whose UpdateLoginProfile made or set the login setting ada that led to a subject"
        in said
    )
    assert said.endswith(f"else it does so again (`tokentrail contain {thief.id}` ends it and all below it)")


def test_who_changed_a_functions_code_is_named_with_what_minted_it(world: World) -> None:
    """The function acts as its role with whatever code it has, so that a plan against that session alone misses both."""
    key = world.user("mallory")
    thief = key.assumes("Deploy")
    thief.calls("lambda:UpdateFunctionCode20150331v2", {"functionName": "send"})
    world.wait(minutes=5)
    session = world.function("Mailer", "send")
    session.calls("s3:ListBuckets")
    plan = checked(planned(world, session.id))

    assert f"{thief.id}, whose UpdateFunctionCode20150331v2 made or set the function" in told(plan, thief)[0]
    assert f"{key.id}, from which {thief.id} descends, whose UpdateFunctionCode" in told(plan, key)[0]


def test_who_led_to_what_minted_a_subject_is_named(world: World) -> None:
    """Whoever changed the code that assumed the role, and whoever reset the password of whoever changed it."""
    first = world.user("trent")
    first.iam("UpdateLoginProfile", userName="mallory", maxSigninSessionDuration=3600)
    world.wait(minutes=5)
    thief = world.console_sign_in(world.user("mallory"))
    thief.calls("lambda:UpdateFunctionCode20150331v2", {"functionName": "send"})
    world.wait(minutes=5)
    session = world.function("Mailer", "send")
    last = session.assumes("Admin")
    last.calls("s3:ListBuckets")
    plan = checked(planned(world, last.id))

    assert {session.id, thief.id, first.id} == set(plan.proof.may_be_stolen)
    assert "which a subject descends from" in told(plan, session)[0]
    assert "made or set the function" in told(plan, thief)[0]
    assert "whose UpdateLoginProfile made or set the login setting mallory" in told(plan, first)[0]


def test_the_key_behind_many_sessions_is_told_before_them(world: World) -> None:
    """A pipeline's sessions that changed the code are over within the hour; the key that minted them all is not."""
    key = world.user("ci")
    for number in range(8):
        deploying = key.assumes("Deploy", f"run-{number}")
        deploying.calls("lambda:UpdateFunctionCode20150331v2", {"functionName": "send"})
        world.wait(minutes=1)
    session = world.function("Mailer", "send")
    session.calls("s3:ListBuckets")
    plan = checked(planned(world, session.id))
    named = [said for said in plan.proof.holds_if if "is not the attacker's" in said]

    assert named[0].startswith(f"{key.id}, from which") and len(named) > 1
    assert all(one.id in " ".join(plan.proof.holds_if) for one in (key, deploying))


def test_what_works_no_longer_or_is_ended_is_not_named(world: World) -> None:
    """A key that is deleted, or counts as the attacker's anyway, is nothing that a proof rests on."""
    gone, ended = world.user("mallory"), world.user("eve")
    for one in (gone, ended):
        one.iam("UpdateLoginProfile", userName="ada", maxSigninSessionDuration=3600)
        world.wait(minutes=5)
    world.user("responder").iam("DeleteAccessKey", userName="mallory", accessKeyId=gone.id)
    entered = world.console_sign_in(world.user("ada"))
    entered.calls("s3:ListBuckets")
    plan = checked(planned(world, entered.id, ended.id))

    assert not told(plan, gone) and not told(plan, ended)
