"""
Give the managed policies of a plan names of its own.

CreatePolicy refuses a name that is taken (IAM API Reference, 'CreatePolicy'). A second plan for the same subjects would
otherwise meet the first one's policies, which are there until that plan is undone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tokentrail.containment.incident.incident_model import IncidentModel
from tokentrail.containment.model import Call
from tokentrail.containment.planned_step import PlannedStep

_DIGITS = 8


def by_own_names(incident: IncidentModel, moves: Sequence[PlannedStep], asked: str) -> list[PlannedStep]:
    """
    The same moves, with a mark of the plan's content in the name of each managed policy that they create.

    An equal plan has equal names, so that carrying it out again continues where it stopped.

    Args:
        incident: The incident.
        moves: All moves of the plan.
        asked: The strategy, or words that say that steps were given.
    """
    made = {
        (call.account, str(call.parameters["PolicyName"]))
        for move in moves for call in move.calls if _makes(call)
    }  # fmt: skip
    if not made:
        return list(moves)
    mark = _mark(incident, moves, asked)
    return [
        replace(
            move,
            calls=tuple(_renamed(call, made, mark) for call in move.calls),
            undo=tuple(_renamed(call, made, mark) for call in move.undo),
        )
        for move in moves
    ]


def _makes(call: Call) -> bool:
    return call.service == "iam" and call.operation == "CreatePolicy"


def _mark(incident: IncidentModel, moves: Sequence[PlannedStep], asked: str) -> str:
    """A short hash of a plan's content."""
    said = [incident.as_of.isoformat(), incident.margin, incident.lag, sorted(incident.subjects), asked] + [
        [move.action, [[call.account, call.operation, dict(call.parameters)] for call in move.calls]]
        for move in moves
    ]
    text = json.dumps(said, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _renamed(call: Call, made: set[tuple[str, str]], mark: str) -> Call:
    parameters: Mapping[str, Any] = call.parameters
    if _makes(call):
        return replace(call, parameters={**parameters, "PolicyName": f"{parameters['PolicyName']}-{mark}"})
    arn = str(parameters.get("PolicyArn", ""))
    if (call.account, arn.partition(":policy/")[2]) in made:
        return replace(call, parameters={**parameters, "PolicyArn": f"{arn}-{mark}"})
    return call
