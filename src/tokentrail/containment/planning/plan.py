"""
Make a plan of a incident: the moves as steps, what each ends and whom it affects, and the proof.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from datetime import datetime
from typing import Any

from tokentrail.aws.principals import Principal, is_account, short_apart
from tokentrail.containment.catalogue import CATALOGUE
from tokentrail.containment.incident.credential_sources import SIGN_IN, SIGNED_IN
from tokentrail.containment.incident.incident_model import LONGEST, IncidentModel
from tokentrail.containment.margin import bites_within
from tokentrail.containment.model import (
    PLAN_VERSION,
    Call,
    Collateral,
    NotSpared,
    Plan,
    Proof,
    Step,
    Strategy,
)  # fmt: skip
from tokentrail.containment.planned_step import PlannedStep
from tokentrail.containment.planning import actions, planner, whatif
from tokentrail.containment.planning.actions import by_present_names
from tokentrail.containment.planning.redundant_steps import necessary
from tokentrail.containment.proof import counterexample
from tokentrail.containment.proof.assumption_sentences import sentences
from tokentrail.containment.proof.assumptions import holds_if, may_be_stolen, residual_risks
from tokentrail.containment.proof.game import NEVER, Outcome, prove
from tokentrail.formatting import joined, listed
from tokentrail.lineage.model import Gap, why_each
from tokentrail.policy.language.context import LASTING

_MOST = 4
_HOLDS_OFF = ("deny-user", "deny-role", "scp-deny")
"""Actions that also end what is minted later, for as long as they stand."""
_OF_PERMISSION_SETS = ("sso:PutInlinePolicyToPermissionSet", "sso:ProvisionPermissionSet")
"""What whoever edits a permission set needs (Service Authorization Reference, 'AWS IAM Identity Center')."""


def contain(incident: IncidentModel, strategy: Strategy, spare: Sequence[str], gaps: Sequence[Gap]) -> Plan:
    """Choose the moves of a strategy, prove them, and drop those that the proof does not need."""
    moves, refused = planner.plan_moves(incident, strategy, spare)
    named = _by_names(incident, strategy, moves)
    outcome = prove(incident, named)
    needed = necessary(incident, named, outcome, gaps, _safe)
    if len(needed) < len(moves):
        named = _by_names(incident, strategy, [moves[place] for place in needed])
        outcome = prove(incident, named)
    return _plan(incident, strategy, named, outcome, refused, gaps)


def what_if(incident: IncidentModel, steps: Sequence[str], gaps: Sequence[Gap]) -> Plan:
    """
    Prove, or refute, given steps.

    Raises:
        UsageError: one of them is no `ACTION:TARGET`, or its target is unknown.
    """
    moves = _by_names(incident, None, [whatif.read(incident, step) for step in steps])
    return _plan(incident, None, moves, prove(incident, moves), [], gaps)


def _by_names(
    incident: IncidentModel, strategy: Strategy | None, moves: Sequence[PlannedStep]
) -> list[PlannedStep]:
    """The same moves, with users' present names and names of the plan's own for its policies."""
    return _by_own_names(
        incident, [by_present_names(incident, move) for move in moves], strategy or "given steps"
    )


def _plan(
    incident: IncidentModel,
    strategy: Strategy | None,
    moves: Sequence[PlannedStep],
    outcome: Outcome,
    refused: Sequence[NotSpared],
    gaps: Sequence[Gap],
) -> Plan:
    replay = counterexample.replay(incident, moves, outcome)
    return Plan(
        version=PLAN_VERSION,
        case_id=incident.case_id,
        as_of=incident.as_of,
        subjects=incident.subjects,
        strategy=strategy,
        margin=incident.margin,
        lag=incident.lag,
        narrowing=incident.narrowing,
        tainted=incident.tainted,
        steps=tuple(_step(incident, outcome, number, move) for number, move in enumerate(moves)),
        proof=Proof(
            complete=outcome.contained,
            scope="trust-policies" if incident.reach else "observed-edges",
            survivors=counterexample.survivors(incident, moves, outcome),
            counterexample=counterexample.sentences(replay),
            holds_if=sentences(
                holds_if(incident, moves, outcome, gaps, propagation=bites_within(incident.margin))
            ),
            replay=replay,
            may_be_stolen=may_be_stolen(incident, outcome),
        ),
        not_spared=tuple(refused),
        residual_risks=sentences(residual_risks(incident, moves)),
    )


def _step(incident: IncidentModel, outcome: Outcome, number: int, move: PlannedStep) -> Step:
    facts = CATALOGUE[move.action]
    effective_at = outcome.times[number].effective_at
    accounts = {call.account for call in move.calls} or {one.account for one in move.principals}
    arns = tuple(incident.arn(one) for one in move.principals if one.kind != "unknown")
    safe, signed_in = _safe(incident, outcome, number, move), _signed_in(incident, move)
    return Step(
        n=number + 1,
        action=move.action,
        account=_only(accounts),
        principal=arns[0] if len(arns) == 1 else None,
        principals=arns,
        targets=move.targets,
        calls=move.calls,
        cutoff=move.cutoff,
        ends=tuple(sorted(name for name, life in outcome.lives.items() if life.by == number)),
        alive_after=tuple(sorted(name for name, life in outcome.lives.items() if life.ends > effective_at)),
        collateral=tuple(_collateral(incident, outcome, number, move)),
        undo=move.undo,
        safe_to_undo_after=max(safe, effective_at + SIGN_IN) if safe and signed_in else safe,
        reversible=move.reversible and bool(move.undo),
        bites_within=max(bites_within(incident.margin), int(move.lingers.total_seconds())),
        needs=_OF_PERMISSION_SETS
        if move.by_portal
        else tuple(dict.fromkeys((*facts.needs, *(f"{one.service}:{one.operation}" for one in move.calls)))),
        why=f"{move.why}{_says(move)}{_kept(move)}{_beyond_the_trace(incident, outcome, number)}"
        f"{_own_session(incident, outcome, number)}{_perhaps_the_owners(incident, move)}",
        by_hand=move.by_hand,
        closes=tuple(sorted(move.closes)),
        shuts=tuple(incident.arn(role) for role in move.shuts),
        spares=tuple(_spares(incident, move)),
        by_portal=move.by_portal,
        signed_in=tuple(incident.arn(one) for one in signed_in),
        safe_but_for_sign_ins=safe if signed_in else None,
    )


def _only(accounts: Set[str]) -> str | None:
    """The account of a step: `None` of several; empty where it is not known, or what a record calls so is none."""
    [account, *others] = accounts or [""]
    return None if others else account if is_account(account) else ""


def _spares(incident: IncidentModel, move: PlannedStep) -> Iterator[tuple[str, datetime, str | None]]:
    for principal, second, user_id in sorted(move.spares, key=lambda spared: (*spared[:2], spared[2] or "")):
        yield incident.arn(principal), second, user_id


def _says(move: PlannedStep) -> str:
    facts = CATALOGUE[move.action]
    what = listed(short_apart(move.targets), 3)
    if move.denies:
        return f"On {what}. Ends nothing: denies {joined(move.denies)} while it stands. Leaves all else."
    return f"On {what}. Ends {facts.ends}. Leaves {facts.leaves}."


def _beyond_the_trace(incident: IncidentModel, outcome: Outcome, number: int) -> str:
    """Name the credentials that a step ends as the attacker's though a trace does not call them tainted."""
    ended = [(one, why) for one, why in sorted(incident.handed.items())
             if one in outcome.lives and outcome.lives[one].by == number]  # fmt: skip
    if not ended:
        return ""
    return f" Beyond what a trace of the subjects shows, it ends as the attacker's: {why_each(ended, _MOST)}."


def _kept(move: PlannedStep) -> str:
    """Name what the attacker made and the step keeps as evidence."""
    if not move.made:
        return ""
    which, them = listed(short_apart(move.made), _MOST), "them" if len(move.made) > 1 else "it"
    return (
        f" The attacker made {which}: the step keeps {them} as evidence, and undo leaves {them} as the step does. "
        f"Delete {them} by hand after the investigation; with --delete-created, the plan deletes {them}."
    )


def _perhaps_the_owners(incident: IncidentModel, move: PlannedStep) -> str:
    """Warn before something is ended for good that the key's owner may have made."""
    final = (
        move.made if move.reversible else (*move.made, *move.targets, *(one.name for one in move.principals))
    )
    if incident.uncertain.isdisjoint(name for one in final for name in (one, one.rpartition("/")[2])):
        return ""
    how = "undo leaves it so" if move.made else "it can't be undone"
    return (
        " The leaked credential itself made this: if its owner may have, before the leak, give --attacker-since and "
        f"plan again, as {how}."
    )


def _own_session(incident: IncidentModel, outcome: Outcome, number: int) -> str:
    """Name the responders whom a step would cut off: those who have already acted against the attack."""
    hit = sorted(
        one for one in incident.responders if one in outcome.innocents and outcome.innocents[one].by == number
    )
    if not hit:
        return ""
    return f" It cuts off {', '.join(hit)}, which has responded to the attack: --spare keeps it."


def _collateral(
    incident: IncidentModel, outcome: Outcome, number: int, move: PlannedStep
) -> Iterator[Collateral]:
    """The innocent credentials that a move ends, and the leaked keys that it ends, which their owner uses too."""
    found = {
        one.id: incident.arn(one.principal)
        for one in incident.innocents
        if outcome.innocents[one.id].by == number
    }
    off = frozenset(move.targets if move.action in (*actions.DEACTIVATES, "delete-key") else ())
    found |= {
        one.id: incident.arn(one.principal)
        for one in incident.held
        if one.kind in LASTING and not one.made
        and (one.key_id in off or outcome.lives[one.id].by == number)
    }  # fmt: skip
    for name, principal in sorted(found.items()):
        yield Collateral(credential=name, principal=principal)


def _safe(incident: IncidentModel, outcome: Outcome, number: int, move: PlannedStep) -> datetime | None:
    """
    When all that a move ended, and all that may have been minted unseen, has expired by itself; `None` if never.

    Sign-in sessions, of which no log tells how long they may last, are left out; see `_signed_in`.
    """
    if not move.undo or move.action in (*actions.DEACTIVATES, "edit-trust", "attach-quarantine"):
        return None
    if any(source.name in move.closes for source in incident.sources):
        return None  # lifted, it would let its maker in again
    ends = [one.expires for one in incident.held if outcome.lives[one.id].by == number]
    if None in ends or any(
        one.kind in LASTING for one in incident.held if outcome.lives[one.id].by == number
    ):
        return None
    known = [end for end in ends if end is not None]
    for principal in move.principals:
        pool = outcome.pools.get(principal)
        if pool is not None:
            if move.action in _HOLDS_OFF and pool.last is NEVER:
                return None  # lifted, it would let whoever still mints in again
            last = min(pool.last, outcome.times[number].effective_at)
            known.append(last + LONGEST.get(principal.kind, LONGEST["role"]))
    return max([*known, outcome.times[number].effective_at])


def _signed_in(incident: IncidentModel, move: PlannedStep) -> list[Principal]:
    """The principals of whose sign-in sessions a move ends some, by a cutoff: nobody misses those of before it."""
    signed_in = {one.principal for one in incident.held if one.kind in SIGNED_IN}
    return [one for one in move.principals if move.cutoff and one in signed_in]


_DIGITS = 8


def _by_own_names(incident: IncidentModel, moves: Sequence[PlannedStep], asked: str) -> list[PlannedStep]:
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
