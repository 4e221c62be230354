"""Short ways to plan on small worlds, and to look at plans."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from evidence import held
from oracle.policy_limits import faults
from tokentrail import Case
from tokentrail.containment.model import Plan, Step
from tokentrail.present.document import document
from tokentrail.testing import World

MANAGEMENT = "999999999999"
USER, ROLE = "arn:aws:iam::111122223333:user/", "arn:aws:iam::111122223333:role/"


@contextmanager
def asked(world: World) -> Iterator[Case]:
    """A case of a world, to ask for several plans."""
    with held(world) as case:
        yield case


def planned(world: World, *subjects: str, **options: Any) -> Plan:
    """A plan for a world, whose documents AWS would take."""
    with asked(world) as case:
        return checked(case.contain(subjects, **options))


def checked(plan: Plan) -> Plan:
    """A plan, after a look at every document in it."""
    assert faults(document(plan)) == []
    assert bool(plan.proof.counterexample) != plan.proof.complete
    assert bool(plan.proof.survivors) != plan.proof.complete
    for one in plan.steps:
        assert {f"{call.service}:{call.operation}" for call in one.calls} <= set(one.needs)
    return plan


def actions(plan: Plan) -> list[str]:
    """The actions of a plan, in order."""
    return [step.action for step in plan.steps]


def step(plan: Plan, action: str) -> Step:
    """The one step of an action."""
    (found,) = [one for one in plan.steps if one.action == action]
    return found


def hit(plan: Plan) -> set[str]:
    """Everybody's credentials that a plan ends besides, by id."""
    return {one.credential for each in plan.steps for one in each.collateral}


def operations(given: Step) -> list[str]:
    """What a step calls, in order."""
    return [call.operation for call in given.calls]


def statements(given: Step, on: str = "") -> list[dict[str, Any]]:
    """The statements of a step's documents, of one user or role if named."""
    return [
        statement
        for call in given.calls
        if on in ("", call.parameters.get("UserName"), call.parameters.get("RoleName"))
        for name in ("PolicyDocument", "Content")
        for statement in json.loads(call.parameters.get(name, '{"Statement": []}'))["Statement"]
    ]


def as_given(plan: Plan) -> list[str]:
    """A plan's steps as one would give them to --what-if."""
    return [f"{one.action}:{target}" for one in plan.steps for target in one.targets]


def refuted(plan: Plan, *patterns: str) -> None:
    """A plan is not complete, and of its sentences each pattern finds one."""
    assert not checked(plan).proof.complete
    missing = [one for one in patterns if not any(re.search(one, said) for said in plan.proof.counterexample)]
    assert missing == [], plan.proof.counterexample
