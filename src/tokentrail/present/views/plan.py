"""
The view of a containment plan: its verdict, each step with what it ends, leaves and costs, and its proof.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tokentrail.containment.model import Call, Collateral, Plan, Step, Survivor
from tokentrail.present import words
from tokentrail.present.document import timestamp

_POLICY = re.compile(r'(?<!\S)(\{"Version":\S+\})(?!\S)')


@dataclass(frozen=True, slots=True)
class WhyPart:
    """A sentence on why a step is there; or a policy that a person is to attach, laid out to be copied whole."""

    text: str
    policy_length: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class StepView:
    """A step: what it does, ends, leaves and costs."""

    n: int
    action: str
    """As others script against it: `deactivate-key`."""
    title: str
    """What it does, in words, and on what."""
    on: tuple[str, ...]
    """Keys, and the ARNs of principals."""
    where: str
    ends: tuple[str, ...]
    ends_none: str
    """What it does where it ends nothing."""
    alive_after: tuple[str, ...]
    collateral: tuple[Collateral, ...]
    cut_off: tuple[str, ...]
    """Collateral that it does not count among what it ends."""
    calls: tuple[Call, ...]
    """Empty: a person must do it."""
    needs: tuple[str, ...]
    effect: str
    """When the calls take effect."""
    undo: str
    why: tuple[WhyPart, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """A plan and its proof."""

    kind: str
    as_of: datetime
    verdict: str
    ending: words.Ending
    conditions: int
    """On how many conditions it is complete."""
    subjects: tuple[str, ...]
    tainted: tuple[str, ...]
    narrowed: str | None
    unstolen: tuple[str, ...]
    """Credentials that must not have been stolen, if the plan is to be complete."""
    steps: tuple[StepView, ...]
    no_step: str
    """What there is to say where there is no step."""
    scope: str
    counterexample: tuple[str, ...]
    """How the attacker gets past the steps."""
    survivors: tuple[str, ...]
    lead: str
    """What stands before the conditions."""
    holds_if: tuple[str, ...]
    not_spared: tuple[str, ...]
    not_covered: tuple[str, ...]


def plan_view(plan: Plan) -> PlanView:
    """Choose what is shown of a plan."""
    proof, (verdict, ending) = plan.proof, words.plan_verdict(plan)
    return PlanView(
        kind=f"{plan.strategy} plan" if plan.strategy else "given steps", as_of=plan.as_of, verdict=verdict,
        ending=ending, conditions=len(proof.holds_if) if proof.complete else 0,
        subjects=plan.subjects, tainted=plan.tainted,
        narrowed=words.narrowed(**plan.narrowing), unstolen=proof.may_be_stolen if proof.complete else (),
        steps=tuple(map(_step, plan.steps)),
        no_step=words.NOTHING_TO_DO if proof.complete else words.NO_STEP, scope=words.SCOPES[proof.scope],
        counterexample=proof.counterexample, survivors=tuple(_survivor(one, plan.tainted) for one in proof.survivors),
        lead=words.NOTHING_WORKS if proof.complete else words.NOTHING_ELSE,
        holds_if=tuple(words.some_of_each(proof.holds_if)), not_spared=tuple(words.not_spared(plan)),
        not_covered=tuple(words.some_of_each(plan.residual_risks)),
    )  # fmt: skip


def _step(step: Step) -> StepView:
    moved = ""
    if step.cutoff:
        moved = f" The cutoff {timestamp(step.cutoff)} moves to the time of sending, if that is later."
    return StepView(
        n=step.n, action=step.action, title=words.action(step),
        on=tuple(dict.fromkeys((*step.targets, *filter(None, (step.principal,)), *step.principals))),
        where=words.where(step), ends=step.ends,
        ends_none=words.PRECAUTION if step.cutoff else words.STOPS_NEW, alive_after=step.alive_after,
        collateral=step.collateral,
        cut_off=tuple(one.credential for one in step.collateral if one.credential not in step.ends), calls=step.calls,
        needs=step.needs, effect=f"Takes effect within {step.bites_within} s.{moved}", undo=words.undo(step),
        why=tuple(_why(step.why)),
    )  # fmt: skip


def _why(why: str) -> list[WhyPart]:
    """Split a text into its sentences and the policies between them."""
    parts = list[WhyPart]()
    for said in filter(None, map(str.strip, _POLICY.split(why))):
        shown = indented(said) if _POLICY.fullmatch(said) else said
        parts.append(WhyPart(shown, len(said) if shown != said else 0))
    return parts


def indented(value: Any) -> str:
    """A policy document, given as the text of its JSON or as values, with indents; any other text as it is."""
    if not isinstance(value, str):
        return json.dumps(value, indent=2, ensure_ascii=True, default=str)
    if not value.lstrip().startswith("{"):
        return value
    try:
        return json.dumps(json.loads(value), indent=2, ensure_ascii=True)
    except (ValueError, RecursionError):
        return value


def _survivor(one: Survivor, tainted: Collection[str]) -> str:
    until = f" until {timestamp(one.until)}" if one.until else ""
    named = one.credential in tainted  # then the reason names it too
    return f"survives{until}: {one.why if named else f'{one.credential}: {one.why}'}"
