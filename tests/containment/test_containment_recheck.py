"""A plan that is proved again over newer evidence, before its steps are sent and between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from contain_cases import ROLE, actions
from hypothesis import HealthCheck, given, settings

from evidence import START, held
from strategies import Incident, incidents
from tokentrail.containment.execution.history import StepRecord
from tokentrail.containment.execution.preflight import insist_on_evidence, planning_command
from tokentrail.containment.execution.recheck import Recheck
from tokentrail.containment.model import Plan, Strategy
from tokentrail.errors import ActionRefused
from tokentrail.testing import World

STRATEGIES: Sequence[Strategy] = ("standard", "surgical", "scorched")
MARGIN = timedelta(seconds=60)


def again(world: World, plan: Plan, done: dict[int, StepRecord] | None = None) -> Recheck:
    """A plan proved again on what a world shows by now."""
    with held(world) as case:
        return case.recheck(plan, done or {}, world.now)


def names(found: Recheck) -> list[str]:
    return [one.name for one in found.uncovered]


def sent(plan: Plan, *at: datetime, outcome: str = "done") -> dict[int, StepRecord]:
    """The records of a plan's first steps, sent at these times."""
    return {
        step.n: StepRecord(
            outcome=outcome, at=time, sent_at=time, bites_at=time + timedelta(seconds=step.bites_within),
            cutoff=time + MARGIN if step.cutoff and outcome == "done" else None,
        )
        for step, time in zip(plan.steps, at, strict=False)
    }  # fmt: skip


def leaked() -> tuple[World, Plan]:
    """A leaked key that minted in a role, and the standard plan against it."""
    world = World(START)
    key = world.user("support")
    key.calls("s3:ListBuckets")
    key.assumes("MyBucketRole").calls("s3:ListBuckets")
    key.gets_session_token()
    with held(world) as case:
        plan = case.contain([key.id])
    assert plan.proof.complete
    assert actions(plan) == ["deactivate-key", "revoke-user-sessions", "revoke-role-sessions"]
    return world, plan


def test_an_attacker_who_mints_every_minute_does_not_stop_a_plan() -> None:
    """Steps that are still to be sent get later cutoffs, which cover what is minted until then."""
    world, plan = leaked()
    key = world.user("support")
    for minute in range(6):
        world.wait(minutes=1)
        if minute % 2:
            key.gets_session_token()
        else:
            key.assumes("MyBucketRole", f"another-{minute}").calls("s3:ListBuckets")

    found = again(world, plan)

    assert found.uncovered == ()
    assert len(set(found.ended_by) - set(plan.tainted)) == 6
    insist_on_evidence(plan, found)


def test_what_is_minted_in_a_role_that_no_step_touches_is_named() -> None:
    """The refusal names the credential, its principal, why, and the command that plans again."""
    world, plan = leaked()
    world.wait(minutes=1)
    session = world.user("support").assumes("Deploy")
    session.calls("s3:ListBuckets")

    found = again(world, plan)

    assert names(found) == [session.id, f"new session of {ROLE}Deploy"]
    with pytest.raises(
        ActionRefused, match=rf"{session.id} \(role/Deploy\): no step .* Plan again: `tokentrail contain"
    ):
        insist_on_evidence(plan, found)


def test_the_command_that_plans_again_repeats_what_was_asked() -> None:
    """What was to be deleted is deleted again, and the management account is named where its policies come first."""
    world = World(START)
    key = world.user("support")
    key.creates_user("backdoor")
    with held(world) as case:
        plain = case.contain([key.id])
        plan = case.contain([key.id], delete_created=True, management_account="999999999999")

    assert f"tokentrail contain {key.id} -o NEW-PLAN.json" == planning_command(plain)
    again = f"tokentrail contain {key.id} --management-account 999999999999 --delete-created -o NEW-PLAN.json"
    assert again == planning_command(plan)


def test_what_is_minted_between_two_steps_is_covered_by_the_cutoff_of_the_second() -> None:
    """After an interruption, the first step counts as sent when it was, and the others as still to be sent."""
    world, plan = leaked()
    world.wait(minutes=2)
    first = world.now
    world.wait(20)
    world.user("support").assumes("MyBucketRole", "in-the-gap").calls(
        "s3:ListBuckets"
    )  # IAM has not followed yet
    world.wait(minutes=4)
    world.user("bystander").calls("s3:ListBuckets")

    assert names(again(world, plan, sent(plan, first))) == []


def test_what_is_minted_after_the_cutoff_that_was_sent_is_named() -> None:
    """A cutoff that was sent moves no more."""
    world, plan = leaked()
    world.wait(minutes=2)
    done = sent(plan, *(world.now + MARGIN * 2 * number for number in range(3)))
    world.wait(minutes=20)
    late = world.user("support").assumes("MyBucketRole", "late")
    late.calls("s3:ListBuckets")

    found = again(world, plan, done)

    assert late.id in names(found)
    assert "after the cutoff" in found.uncovered[0].why
    assert names(again(world, plan, {1: done[1], 2: done[2]})) == []


def test_a_cutoff_that_a_person_wrote_counts_as_the_plan_s() -> None:
    """Nobody knows at which time a person wrote it."""
    world, plan = leaked()
    world.wait(minutes=2)
    late = world.user("support").assumes("MyBucketRole", "late")
    late.calls("s3:ListBuckets")
    times = [world.now + MARGIN * 2 * number for number in range(3)]

    assert late.id in names(again(world, plan, sent(plan, *times, outcome="by-person")))
    assert names(again(world, plan, sent(plan, *times))) == []


def test_a_step_that_somebody_undid_is_sent_again_and_does_not_stop_the_plan() -> None:
    """`apply` does what was undone again, and each later step with a cutoff; what was minted meanwhile is covered."""
    world, plan = leaked()
    world.wait(minutes=2)
    done = sent(plan, *(world.now + MARGIN * 2 * number for number in range(3)))
    world.wait(minutes=20)
    thief = world.user("support")
    asked = {"userName": "support", "accessKeyId": thief.id, "status": "Active"}
    world.user("admin").calls("iam:UpdateAccessKey", asked, read_only=False)
    thief.assumes("MyBucketRole", "late").calls("s3:ListBuckets")

    assert names(again(world, plan, done)) == []


def test_a_user_whom_the_attacker_makes_meanwhile_is_named() -> None:
    """Neither the key of a new user nor the user ends with a step of the plan."""
    world, plan = leaked()
    world.wait(minutes=1)
    world.user("support").creates_user("backdoor")

    found = again(world, plan)

    assert any("backdoor" in f"{one.name} {one.principal}" for one in found.uncovered), found


def test_time_from_a_forged_future_ends_nothing() -> None:
    """With an event of next year, all sessions would seem to have expired."""
    world, plan = leaked()
    world.wait(minutes=1)
    session = world.user("support").assumes("Deploy")
    session.calls("s3:ListBuckets")
    now = world.now
    world.wait(hours=9_000)
    world.user("bystander").calls("s3:ListBuckets")

    with held(world) as case:
        assert session.id in names(case.recheck(plan, {}, now))


def test_what_had_expired_when_the_plan_was_made_is_no_reason_to_stop() -> None:
    """A plan for the present moment may be younger than the newest evidence, by which the session still lives."""
    world = World(START)
    key = world.user("support")
    key.assumes("MyBucketRole").calls("s3:ListBuckets")
    now = world.now + timedelta(hours=14)
    with held(world) as case:
        plan = case.contain([key.id], strategy="surgical", as_of=now)

        assert names(case.recheck(plan, {}, now)) == []


def test_a_plan_proved_over_trust_policies_does_not_cover_a_principal_that_is_new() -> None:
    """Which roles it may assume stands in the snapshots, which are not at hand when the plan is carried out."""
    world, plan = leaked()
    world.wait(minutes=1)
    world.user("support").assumes("MyBucketRole", "again")
    walked = replace(plan, proof=replace(plan.proof, scope="trust-policies"))

    assert names(again(world, walked)) == []
    session = world.user("support").assumes("Deploy")
    assert [one.why[:19] for one in again(world, walked).uncovered if one.name == session.id] == [
        "no step of the plan", "the plan was proved",
    ]  # fmt: skip


def test_what_a_plan_shows_to_survive_is_no_reason_to_stop() -> None:
    """The ways around an incomplete plan are known, and so are more credentials of the same kind."""
    world, plan = leaked()
    with held(world) as case:
        alone = case.contain(plan.subjects, what_if=[f"deactivate-key:{plan.steps[0].targets[0]}"])
    assert not alone.proof.complete
    world.wait(minutes=1)
    world.user("support").assumes("MyBucketRole", "again").calls("s3:ListBuckets")

    assert names(again(world, alone)) == []
    world.user("support").assumes("Deploy").calls("s3:ListBuckets")
    assert f"new session of {ROLE}Deploy" in names(again(world, alone))


@pytest.mark.parametrize(
    ("strategy", "started"), [("standard", False), ("surgical", False), ("standard", True)]
)
def test_a_host_s_next_session_is_ended_by_the_plan_as_it_is(strategy: Strategy, started: bool) -> None:
    """Its role is denied up to a cutoff that lies after it; what the session minted elsewhere is ended by no step."""
    world = World(START)
    world.instance("Web").calls("s3:ListBuckets")
    first = world.user("ci").runs_task("Web") if started else world.instance("Web")
    first.seen_from("203.0.113.77").calls("s3:ListBuckets")
    with held(world) as case:
        plan = case.contain([first.id], strategy=strategy)
    assert plan.proof.complete
    world.wait(3600)
    second = first.rotates()
    second.calls("s3:ListBuckets")

    found = again(world, plan)
    assert second.id not in plan.tainted and names(found) == [] and second.id in found.ended_by
    early = [plan.as_of + MARGIN * 3 * number for number in range(len(plan.steps))]
    assert second.id in names(again(world, plan, sent(plan, *early)))

    second.assumes("Deploy")
    assert names(again(world, plan)) != []


@given(incident=incidents())
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True)
def test_a_plan_proved_again_over_the_same_evidence_is_what_it_was(incident: Incident) -> None:
    """The plan file holds all that the proof needs of its steps, whatever the strategy."""
    with held(incident.world) as case:
        for strategy in STRATEGIES:
            plan = case.contain([incident.subject], as_of=incident.at, strategy=strategy)
            found = case.recheck(plan, {}, incident.world.now, as_of=incident.at)

            assert found.uncovered == ()
            assert found.risks == ()
            assert {name for step in plan.steps for name in step.ends} == found.ended_by.keys()
