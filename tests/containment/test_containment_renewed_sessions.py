"""A host that is handed its next session between plan and deed is no reason to plan again."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from evidence import START, held
from tokentrail.containment.fitness import insist_on_evidence
from tokentrail.containment.history import StepRecord
from tokentrail.containment.model import Plan, Strategy
from tokentrail.errors import ActionRefused
from tokentrail.lineage.model import Trace
from tokentrail.testing import World


def retraced(world: World, plan: Plan) -> Trace:
    """What counts as the attacker's on what a world shows by now."""
    with held(world) as case:
        return case.retrace(plan)


def refused(now: Trace, plan: Plan, done: dict[int, StepRecord]) -> bool:
    """Whether a plan is not carried out on that."""
    try:
        insist_on_evidence(plan, lambda: now, done)
    except ActionRefused:
        return True
    return False


@pytest.mark.parametrize(
    ("strategy", "started"), [("standard", False), ("surgical", False), ("standard", True)]
)
def test_a_hosts_next_session_is_ended_by_the_plan_as_it_is(strategy: Strategy, started: bool) -> None:
    """
    Its role is denied up to a cutoff that lies after it, unless that was sent before, or the role is none of the plan's.

    What the next session minted is ended by no step, and asks for another plan. Who started the host changes nothing.
    """
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
    sent = StepRecord(
        outcome="done", at=plan.as_of, cutoff=plan.as_of, sent_at=plan.as_of, bites_at=plan.as_of
    )
    late = replace(sent, cutoff=world.now + timedelta(minutes=1))

    now = retraced(world, plan)
    assert second.id not in plan.tainted and second.id in {one.id for one in now.credentials if one.tainted}
    assert [False, False, True] == [refused(now, plan, done) for done in ({}, {2: late}, {2: sent})]
    assert refused(now, replace(plan, steps=plan.steps[:1]), {})

    second.assumes("Deploy")
    assert refused(retraced(world, plan), plan, {})
