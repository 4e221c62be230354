"""
Prove a plan again over newer evidence, its steps that were sent already at the times in its journal.

An attacker who mints every minute must not be able to block a plan whose proof covers such mints. So newer evidence is
no reason to stop by itself, but only what outlives the steps that were sent and those that are still to be sent.

Steps that were sent have their journalled cutoffs. Steps still to be sent get cutoffs when they are sent, so that they
cover what is minted until then. A step that the log shows to be undone since is sent again at the end, and each later
one with a cutoff after it, as `apply` does once it has read everything back.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from tokentrail.aws.principals import Principal, arn_of, principal_of_arn
from tokentrail.containment.cutoff import moved, whole_second
from tokentrail.containment.execution.history import StepRecord
from tokentrail.containment.execution.undone_steps import changes_of, is_undone
from tokentrail.containment.incident.incident_model import HeldCredential, IncidentModel
from tokentrail.containment.margin import bites_within
from tokentrail.containment.model import Plan, Step
from tokentrail.containment.planned_step import PlannedStep
from tokentrail.containment.proof import counterexample
from tokentrail.containment.proof.assumption_sentences import sentences
from tokentrail.containment.proof.assumptions import residual_risks
from tokentrail.containment.proof.game import NEVER, PAUSE, ContainmentGame, Outcome, StepTiming, moments_of
from tokentrail.formatting import instant, short
from tokentrail.policy.history.changes import Change

_MOST = 6
"""How many things that are not covered a sentence names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Uncovered:
    """A credential or source that works after all steps of a plan, and that the plan did not show as a survivor."""

    name: str
    """A credential id, or words for a source or for a credential that would be minted."""
    principal: str | None
    """The ARN as which it acts, if known."""
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recheck:
    """What newer evidence means for a plan."""

    uncovered: tuple[Uncovered, ...]
    """Empty if the plan still ends everything, or everything that it said it would."""
    ended_by: Mapping[str, int]
    """By id of a tainted credential: the number of the step that ends it."""
    risks: tuple[str, ...]
    """Residual risks that the plan does not tell of."""


@dataclass(frozen=True, slots=True)
class _Timed:
    """A step with its move, and when it was or will be sent."""

    step: Step
    move: PlannedStep
    at: StepTiming


def recheck(incident: IncidentModel, plan: Plan, done: Mapping[int, StepRecord]) -> Recheck:
    """
    Prove a plan again.

    Args:
        incident: What the evidence shows by now of the plan's subjects; its principals include those of all steps.
        plan: The plan.
        done: The steps that are done, by number.
    """
    timed = _timed(incident, plan, done)
    moves = [one.move for one in timed]
    outcome = ContainmentGame(incident, moves, [one.at for one in timed]).outcome()
    shown = {one.credential for one in plan.proof.survivors}
    by_step = {number: one.step.n for number, one in enumerate(timed)}
    return Recheck(
        uncovered=(*_surviving(incident, plan, outcome, shown, done), *_beyond_snapshots(incident, plan)),
        ended_by={
            name: by_step[life.by]
            for name, life in outcome.lives.items()
            if life.by is not None and life.by in by_step
        },
        risks=tuple(
            one for one in sentences(residual_risks(incident, moves)) if one not in plan.residual_risks
        ),
    )


def principals_of(plan: Plan) -> frozenset[Principal]:
    """The principals on which a plan's steps act."""
    found = (principal_of_arn(arn) for step in plan.steps for arn in step.principals)
    return frozenset(principal for principal in found if principal is not None)


def management_account_of(plan: Plan) -> str | None:
    """The account in which a plan's calls to Organizations are made, which is the organisation's management account."""
    return next(
        (call.account for step in plan.steps for call in step.calls if call.service == "organizations"), None
    )


def _timed(incident: IncidentModel, plan: Plan, done: Mapping[int, StepRecord]) -> list[_Timed]:
    """All steps in the order of time: those sent, those still to be sent, and those to be sent again."""
    sent = [
        _Timed(step, _move(step, plan), _sent_at(step, done[step.n])) for step in plan.steps if step.n in done
    ]
    sent.sort(key=lambda one: (one.at.effective_at, one.step.n))
    undone = {
        step.n for step in plan.steps if step.n in done and _is_undone(incident.changes, step, done[step.n])
    }
    later = [step for step in plan.steps if step.n not in done]
    later += [
        step for step in plan.steps
        if step.n in undone or (undone and step.n > min(undone) and step.cutoff and step.calls)
    ]  # fmt: skip
    moves = [_move(step, plan) for step in later]
    start = max([incident.as_of, *(one.at.effective_at + PAUSE for one in sent)])
    ahead = [
        _Timed(step, move, at)
        for step, move, at in zip(later, moves, moments_of(moves, start, incident.margin), strict=True)
    ]
    return [*sent, *ahead, *([] if ahead or not sent else [_read_back(sent[-1].step, start)])]


def _read_back(last: Step, at: datetime) -> _Timed:
    """The moment at which all is read back, if no step is left to be sent: nothing changes, and what works is seen."""
    nothing = PlannedStep(action=last.action, targets=(), principals=(), calls=())
    return _Timed(last, nothing, StepTiming(sent=at, effective_at=at))


def _move(step: Step, plan: Plan) -> PlannedStep:
    """A step of a plan in the form that the prover takes."""
    found = {
        arn: principal_of_arn(arn)
        for arn in (*step.principals, *step.shuts, *(one[0] for one in step.spares))
    }
    slow = step.bites_within > bites_within(plan.margin)
    return PlannedStep(
        action=step.action, targets=step.targets, calls=step.calls, by_hand=step.by_hand, cutoff=step.cutoff,
        principals=tuple(one for arn in step.principals if (one := found[arn])),
        closes=frozenset(step.closes),
        shuts=tuple(one for arn in step.shuts if (one := found[arn])),
        spares=frozenset((one, second, who) for arn, second, who in step.spares if (one := found[arn])),
        lingers=timedelta(seconds=step.bites_within if slow else 0), by_portal=step.by_portal,
    )  # fmt: skip


def _sent_at(step: Step, record: StepRecord) -> StepTiming:
    """When a step was sent. A person may have written the plan's own cutoff, so that no later one counts."""
    effective_at = whole_second(record.bites_at)
    return StepTiming(
        sent=min(record.sent_at, effective_at), effective_at=effective_at, cutoff=record.cutoff or step.cutoff
    )


def _is_undone(changes: Iterable[Change], step: Step, record: StepRecord) -> bool:
    """Whether the log shows that somebody undid a step since it was sent, so that `apply` sends it again."""
    calls = step.calls
    if step.cutoff and record.cutoff:
        calls = tuple(moved(call, step.cutoff, record.cutoff) for call in calls)
    since = (change for change in changes if change.time > record.sent_at)
    return is_undone(changes_of(step.n, calls), sorted(since, key=lambda change: change.order))


def _surviving(
    incident: IncidentModel, plan: Plan, outcome: Outcome, shown: set[str], done: Mapping[int, StepRecord]
) -> Iterator[Uncovered]:
    """What outlives the steps, without what the plan itself shows to outlive them."""
    for one in incident.held:
        mintable = (
            counterexample.name_of_mintable(incident.arn(one.principal)) in shown
        )  # another of the same kind
        if outcome.lives[one.id].ends is NEVER and one.id not in shown and not mintable:
            why = _why(plan, one, done)
            yield Uncovered(name=one.id, principal=incident.arn(one.principal), why=why)
    for source, life in outcome.sources.items():
        name = counterexample.name_of_source(source)
        if life.ends is NEVER and name not in shown:
            yield Uncovered(name=name, principal=incident.arn(source.mints), why=source.why)
    for principal, pool in sorted(outcome.pools.items()):
        name = counterexample.name_of_mintable(incident.arn(principal))
        if pool.life.ends is NEVER and name not in shown:
            minter = short(arn_of(pool.first) if isinstance(pool.first, Principal) else pool.first)
            yield Uncovered(
                name=name,
                principal=incident.arn(principal),
                why=f"{minter} can mint it, and it outlives every step",
            )


def _why(plan: Plan, one: HeldCredential, done: Mapping[int, StepRecord]) -> str:
    """Why no step ends a credential."""
    acting = [step for step in plan.steps if one.principal in map(principal_of_arn, step.principals)]
    if not acting:
        return "no step of the plan acts on its principal"
    last = acting[-1]
    record = done.get(last.n)
    cutoff = record.cutoff or last.cutoff if record else None
    if cutoff and one.issued_at and one.issued_at >= cutoff:
        issued = instant(one.issued_at)
        return f"issued at {issued}, after the cutoff {instant(cutoff)} with which step {last.n} was sent"
    return f"step {last.n} does not reach it"


def _beyond_snapshots(incident: IncidentModel, plan: Plan) -> Iterator[Uncovered]:
    """
    Principals as which the attacker acts only since the plan was made, if that was proved over trust policies.

    Which roles they may assume stands in the plan's snapshots, which are not at hand.
    """
    if plan.proof.scope != "trust-policies":
        return
    known = principals_of(plan) | {one.principal for one in incident.held if one.id in plan.tainted}
    for one in incident.held:
        if one.principal not in known:
            known |= {one.principal}
            yield Uncovered(
                name=one.id, principal=incident.arn(one.principal),
                why="the plan was proved over trust policies (--iam), and does not know what its principal may assume",
            )  # fmt: skip


def in_words(uncovered: Sequence[Uncovered]) -> str:
    """Name what a plan does not cover, and why."""
    named = []
    for one in uncovered[:_MOST]:
        acts_as = f" ({short(one.principal)})" if one.principal and one.principal not in one.name else ""
        named.append(f"{one.name}{acts_as}: {one.why}")
    return "; ".join(named) + (f"; and {len(uncovered) - _MOST:,} more" if len(uncovered) > _MOST else "")
