"""
The names of a plan's managed policies: its own, so that it replaces no other plan's, nor is stopped by one.

CreatePolicy refuses a name that is taken (IAM API Reference, 'CreatePolicy'), and a plan that follows another on the
same subjects would meet the policies of the one before, which stand until that one is undone.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from tokentrail.containment.model import Call
from tokentrail.containment.move import Move
from tokentrail.containment.scene import Scene

_DIGITS = 8


def by_own_names(scene: Scene, moves: Sequence[Move], asked: str) -> list[Move]:
    """
    The same moves, with a mark of what the plan says in the name of each managed policy that they make.

    The same plan has the same names, so that carrying it out again goes on where it stopped.

    Args:
        scene: What is planned for.
        moves: All of the plan.
        asked: The strategy, or that steps were given.
    """
    made = {
        (call.account, str(call.parameters["PolicyName"]))
        for move in moves for call in move.calls if _makes(call)
    }  # fmt: skip
    if not made:
        return list(moves)
    mark = _mark(scene, moves, asked)
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


def _mark(scene: Scene, moves: Sequence[Move], asked: str) -> str:
    """A short hash of what a plan says."""
    said = [scene.as_of.isoformat(), scene.margin, scene.lag, sorted(scene.subjects), asked] + [
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
