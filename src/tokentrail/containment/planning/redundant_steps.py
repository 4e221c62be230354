"""
Drop the steps of a plan without which its proof is as good, so that the plan is the smallest that can be proved.

Each step is left out in turn and the rest proved again. Most steps need no such proof: nothing else in the plan ends
what they end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from tokentrail.aws.principals import Principal
from tokentrail.containment.incident.assumption import Assumption
from tokentrail.containment.incident.incident_model import LONGEST, HeldCredential, IncidentModel
from tokentrail.containment.margin import bites_within
from tokentrail.containment.model import key_off
from tokentrail.containment.planned_step import PlannedStep
from tokentrail.containment.proof.assumptions import NUMBERED, holds_if, residual_risks
from tokentrail.containment.proof.game import NEVER, ContainmentGame, Outcome
from tokentrail.lineage.model import Gap
from tokentrail.policy.language.context import LASTING

SafeToUndo = Callable[[IncidentModel, Outcome, int, PlannedStep], datetime | None]
_DOORS = frozenset({"portal", "provider", "host", "trust", "sign_in"})
"""Kinds of sources that may open more than the role they were seen to open, so that closing them is always a step."""


@dataclass(frozen=True, slots=True)
class _Proof:
    """Some moves, and what they leave."""

    moves: tuple[PlannedStep, ...]
    outcome: Outcome


def necessary(
    incident: IncidentModel,
    moves: Sequence[PlannedStep],
    outcome: Outcome,
    gaps: Sequence[Gap],
    safe_to_undo: SafeToUndo,
) -> tuple[int, ...]:
    """
    Find the moves of a complete plan that its proof needs, by trying to do without each, the least valuable first.

    A move is left out only if nothing gets worse without it: all ends as early, no condition or risk is added, nobody
    else is cut off, and no step has to stand longer before it may be undone. An incomplete plan keeps all moves.

    Args:
        incident: The incident.
        moves: The moves.
        outcome: What they leave.
        gaps: What the evidence lacks.
        safe_to_undo: Says when a move may be undone, given what the moves leave and its number among them.

    Returns:
        The places of the necessary moves, from 0.
    """
    proof = _Proof(tuple(moves), outcome)
    if not outcome.contained:
        return tuple(range(len(moves)))
    kept = list(range(len(moves)))
    for place in sorted(kept, key=lambda number: _value(outcome, number, moves[number])):
        number = kept.index(place)
        if not _may_be_redundant(incident, proof, number):
            continue
        shorter = _without(incident, proof, number)
        if shorter is not None and _as_good(incident, proof, shorter, number, gaps, safe_to_undo):
            proof = shorter
            kept.remove(place)
    return tuple(kept)


def _value(outcome: Outcome, number: int, move: PlannedStep) -> tuple[int, bool, bool, int, int]:
    """
    The order in which moves are tried: the one that is least worth keeping comes first.

    That is the one that ends most credentials of others; among equals one that can't be undone, one that a person must
    do, the one that ends fewest of the attacker's credentials, and the earliest.
    """
    others = sum(life.by == number for life in outcome.innocents.values())
    ended = sum(life.by == number for life in outcome.lives.values())
    return (-others, move.reversible, bool(move.calls), ended, number)


def _may_be_redundant(incident: IncidentModel, proof: _Proof, number: int) -> bool:
    """
    Whether other moves act on all that a move ends, so that it is worth proving the plan without it.

    A long-term key must be taken out of use or go with its user: one that is only denied can still sign requests, works
    again once the deny is lifted, and silence does not prove that the deny holds.
    """
    if number == 0 and proof.moves[0].shields and incident.writers:
        return False  # without it, the attacker may undo the others
    others = [move for place, move in enumerate(proof.moves) if place != number]
    closed = {name for move in others for name in move.closes}
    for source, life in proof.outcome.sources.items():
        if life.by == number and (source.kind in _DOORS or source.name not in closed):
            return False
    if any(one.is_masked and one.id in proof.moves[number].targets for one in incident.held):
        return False  # a person takes it out of use, as no call can name it
    ended = list(_ended(incident, proof.outcome, number))
    off = {key for move in others for key in _keys_off(move)}
    if any(one.kind in LASTING and one.key_id not in off for one in ended):
        return False
    acted_on = {principal for move in others for principal in move.principals}
    concerned = {one.principal for one in ended}
    concerned |= {principal for principal, pool in proof.outcome.pools.items() if pool.life.by == number}
    return concerned <= acted_on


def _ended(incident: IncidentModel, outcome: Outcome, number: int) -> Iterator[HeldCredential]:
    return (one for one in incident.held if outcome.lives[one.id].by == number)


def _keys_off(move: PlannedStep) -> Iterator[str]:
    """The long-term keys and API keys that a move makes inactive or deletes."""
    return filter(None, map(key_off, (*move.calls, *move.by_hand)))


def _without(incident: IncidentModel, proof: _Proof, number: int) -> _Proof | None:
    """
    Prove the moves without one of them; `None` as soon as something is found that the one alone ends.

    What it ends is looked at first, and of each pool one of the longest-lived credentials: one life is judged much
    sooner than all.
    """
    moves = proof.moves[:number] + proof.moves[number + 1 :]
    game = ContainmentGame(incident, moves)
    for one in _ended(incident, proof.outcome, number):
        if game.life(one.caller, one.key_id, one.expires).ends is NEVER:
            return None
    for principal, pool in proof.outcome.pools.items():
        if pool.life.by == number and pool.sample is not None:
            expires = (pool.sample.issued_at or pool.start) + LONGEST.get(principal.kind, LONGEST["role"])
            if game.life(pool.sample, None, expires).ends is NEVER:
                return None
    outcome = game.outcome()
    return _Proof(moves, outcome) if outcome.contained else None


def _as_good(
    incident: IncidentModel,
    proof: _Proof,
    shorter: _Proof,
    number: int,
    gaps: Sequence[Gap],
    safe_to_undo: SafeToUndo,
) -> bool:
    """Whether nothing is worse in a proof that lacks one of another's moves."""
    return (
        _ends_as_early(proof.outcome, shorter.outcome)
        and _hit(shorter.outcome) <= _hit(proof.outcome)
        and _assumed(incident, shorter, gaps) <= _assumed(incident, proof, gaps)
        and _undone_as_early(incident, proof, shorter, number, safe_to_undo)
    )


def _ends_as_early(outcome: Outcome, shorter: Outcome) -> bool:
    """Whether each credential, source and pool of the attacker's ends no later in one outcome than in another."""
    return (
        all(
            ends.get(one, moment) <= moment
            for before, ends in zip(_endings(outcome), _endings(shorter), strict=True)
            for one, moment in before.items()
        )
        and shorter.pools.keys() <= outcome.pools.keys()
    )


def _endings(outcome: Outcome) -> tuple[Mapping[object, datetime], ...]:
    pools: Mapping[Principal, datetime] = {one: pool.life.ends for one, pool in outcome.pools.items()}
    return (
        {one: life.ends for one, life in outcome.lives.items()},
        {one: life.ends for one, life in outcome.sources.items()},
        dict(pools.items()),
    )


def _hit(outcome: Outcome) -> set[str]:
    """The innocent credentials that the moves end."""
    return {one for one, life in outcome.innocents.items() if life.by is not None}


def _assumed(incident: IncidentModel, proof: _Proof, gaps: Sequence[Gap]) -> set[Assumption]:
    """The conditions and risks of a proof, without those that belong to a single step."""
    conditions = holds_if(
        incident, proof.moves, proof.outcome, gaps, propagation=bites_within(incident.margin)
    )
    found = {*conditions, *residual_risks(incident, proof.moves)}
    return {one for one in found if one.kind not in NUMBERED}


def _undone_as_early(
    incident: IncidentModel, proof: _Proof, shorter: _Proof, number: int, safe_to_undo: SafeToUndo
) -> bool:
    """Whether each move that stays may be undone as early as when one was not left out."""
    for place, move in enumerate(shorter.moves):
        before = safe_to_undo(incident, proof.outcome, place + (place >= number), move)
        after = safe_to_undo(incident, shorter.outcome, place, move)
        if before is not None and (after is None or after > before):
            return False
    return True
