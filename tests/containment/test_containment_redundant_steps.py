"""Steps without which a plan's proof is as good are dropped, the least valuable first."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from contain_cases import ROLE, USER, actions, asked, checked

from evidence import START
from tokentrail.containment.incident.incident_model import IncidentModel
from tokentrail.containment.model import Plan
from tokentrail.containment.planned_step import PlannedStep
from tokentrail.containment.planning import planner, whatif
from tokentrail.present.document import document
from tokentrail.testing import LongTermKey, World

SUPPORT, BUCKET = f"{USER}support", f"{ROLE}MyBucketRole"


def leak() -> tuple[World, LongTermKey]:
    """A key that leaked, with a token and a role's session, beside a colleague in the role."""
    world = World(START)
    key, ria = world.user("support"), world.user("ria")
    ria.assumes("MyBucketRole", "ria").calls("s3:ListBuckets")
    key.gets_session_token().calls("s3:ListBuckets")
    key.assumes("MyBucketRole", "x").calls("s3:ListBuckets")
    return world, key


def both(
    monkeypatch: pytest.MonkeyPatch,
    further: Callable[[LongTermKey], Sequence[tuple[int, str]]],
    **options: Any,
) -> tuple[Plan, Plan]:
    """A plan as it is, and one whose planner chose further moves, each given by its place and as for --what-if."""
    choose = planner.plan_moves
    world, key = leak()

    def chosen(incident: IncidentModel, *given: Any) -> tuple[list[PlannedStep], Any]:
        moves, refused = choose(incident, *given)
        for place, step in further(key):
            moves.insert(place, whatif.read(incident, step))
        return moves, refused

    with asked(world) as case:
        plain = checked(case.contain([key.id], **options))
        monkeypatch.setattr(planner, "plan_moves", chosen)
        return plain, checked(case.contain([key.id], **options))


@pytest.mark.parametrize("place", [0, 1, 3])
@pytest.mark.parametrize(
    "step", [f"attach-quarantine:{SUPPORT}", f"edit-trust:{BUCKET}", f"freeze-role:{BUCKET}"]
)
def test_a_step_that_ends_nothing_is_dropped(step: str, place: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plan is the same to the byte as if nobody had thought of that step."""
    plain, plan = both(monkeypatch, lambda key: [(place, step)])

    assert document(plan) == document(plain) and plan.proof.complete


def test_of_two_steps_that_end_the_same_the_one_goes_that_can_not_be_undone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A key is deactivated and not deleted, whichever comes first."""
    for place in (0, 1):
        with monkeypatch.context() as patched:
            plain, plan = both(patched, lambda key, place=place: [(place, f"delete-key:{key.id}")])

        assert document(plan) == document(plain)


def test_of_two_steps_that_end_the_same_the_one_goes_that_ends_others_too(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A surgical plan keeps its cut of the attacker's sessions alone, where the whole role's are revoked as well."""
    plain, plan = both(monkeypatch, lambda key: [(2, f"revoke-role-sessions:{BUCKET}")], strategy="surgical")

    assert actions(plan) == actions(plain) == ["deactivate-key", "deny-sessions", "deny-sessions"]
    assert not [one for step in plan.steps for one in step.collateral if one.credential != plan.subjects[0]]


def test_a_step_that_a_responder_has_just_taken_is_dropped() -> None:
    """A key that was deactivated seconds ago may work for some seconds more, but not until a step could end it."""
    world, key = leak()
    world.wait(minutes=2)
    world.user("responder").deactivates(key)
    world.wait(seconds=10)
    with asked(world) as case:
        plan = checked(case.contain([key.id], as_of=world.now))

    assert actions(plan) == ["revoke-user-sessions", "revoke-role-sessions"] and plan.proof.complete


def test_a_key_is_taken_out_of_use_though_a_deny_ends_it_too() -> None:
    """Under a deny alone, undo could never lift the deny, and the key's silence would prove nothing."""
    world, key = leak()
    with asked(world) as case:
        plan = checked(case.contain([key.id], strategy="scorched"))
        shorter = case.contain([key.id], what_if=[f"deny-user:{SUPPORT}", f"deny-role:{BUCKET}"])

    assert actions(plan) == ["deactivate-key", "deny-user", "deny-role"]
    assert shorter.proof.complete
    assert plan.steps[1].safe_to_undo_after is not None and shorter.steps[0].safe_to_undo_after is None


def test_an_incomplete_plan_keeps_all_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is proved of it, so that no step can be shown to be superfluous."""
    choose = planner.plan_moves
    world, key = leak()

    def chosen(incident: IncidentModel, *given: Any) -> tuple[list[PlannedStep], Any]:
        moves, refused = choose(incident, *given)
        return [whatif.read(incident, f"attach-quarantine:{SUPPORT}"), *moves[:-1]], refused

    monkeypatch.setattr(planner, "plan_moves", chosen)
    with asked(world) as case:
        plan = checked(case.contain([key.id]))

    assert not plan.proof.complete
    assert actions(plan) == ["attach-quarantine", "deactivate-key", "revoke-user-sessions"]
