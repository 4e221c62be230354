"""
The plan: each step with what it ends, leaves and costs, its exact calls, the proof, and a script to copy.
"""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any, get_args

from tokentrail.containment.model import Call, Collateral, Plan, Step, Strategy, Survivor
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.console import Live, address
from tokentrail.present.html.dossier import Names
from tokentrail.present.html.view_models import Excerpt, Reference, excerpt
from tokentrail.present.plan import policies_apart, write_script
from tokentrail.present.safe import brief

_MOST = 60
_CALLS = 30
_HIT = 20
_NAMED = 200
"""Credentials that must not have been stolen: all that a plan can name, but for a flood of them."""
_TEXT = 24_000
"""Characters of one policy, or of the script, beyond which the plan file is the place to look."""


@dataclass(frozen=True, slots=True)
class NamedCredential:
    """A credential, and with whose it is, where the page knows."""

    name: Reference
    whose: str


@dataclass(frozen=True, slots=True)
class ShownCall:
    """A call of a step, with its parameters as they are sent."""

    operation: str
    where: str
    parameters: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class WhyPart:
    """A sentence on why a step is there; or a policy that a person is to attach, and how long that is."""

    text: str
    policy_length: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownStep:
    """A step, what it ends, leaves and costs, and its calls."""

    action: str
    principals: Excerpt[str]
    """Whom it acts on."""
    ends: Excerpt[Reference]
    ends_none: str
    """What it does where it ends nothing."""
    alive_after: Excerpt[Reference]
    collateral: Excerpt[NamedCredential]
    where: str
    why: tuple[WhyPart, ...]
    undo: str
    needs: str
    calls: Excerpt[ShownCall]
    call_count: str
    effect: str
    """When the calls take effect."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownProof:
    """What the plan's verdict rests on."""

    scope: str
    counterexample: tuple[str, ...]
    survivors: Excerpt[str]
    holds_if: tuple[str, ...]
    lead: str
    """Introduces what it holds on."""
    not_spared: tuple[str, ...]
    residual_risks: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanWays:
    """What a console leads to: the plans of other strategies, and the plan as a file."""

    strategies: tuple[tuple[str, str, bool], ...]
    """Name and address of each, and whether it is the plan's own."""
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanView:
    """What the section of the plan shows."""

    note: str
    verdict: str
    ending: words.Ending
    unstolen: Excerpt[NamedCredential]
    """Credentials that must not have been stolen, if the plan is to be complete."""
    ways: PlanWays | None
    steps: Excerpt[ShownStep]
    proof: ShownProof
    script: str | None
    """`None`: it is too long for a page."""


def plan_view(plan: Plan | None, names: Names) -> PlanView | None:
    """Choose what the section shows; `None` where no plan was asked for."""
    if plan is None:
        return None
    title = f"{plan.strategy} plan" if plan.strategy else "given steps"
    return PlanView(
        note=f"A {title} as of {timestamp(plan.as_of)}. Nothing was changed: `tokentrail apply` carries a plan out.",
        verdict=_verdict(plan), ending=words.plan_verdict(plan)[1], unstolen=unstolen(plan, names, _NAMED),
        ways=_ways(plan, names.live) if names.live else None,
        steps=excerpt(plan.steps, _MOST, lambda step: _step(step, names)), proof=_proof(plan), script=_script(plan),
    )  # fmt: skip


def conditions(plan: Plan) -> str:
    """Say on how many conditions a proof rests, wherever its verdict stands: who reads on is told which."""
    held = len(plan.proof.holds_if)
    return f", on {words.number(held, 'condition')}" if held else ""


def unstolen(plan: Plan, names: Names, most: int) -> Excerpt[NamedCredential]:
    """
    Name the credentials that must not have been stolen, if the plan is to be complete.

    Each is named by its whole id, since that is looked up.
    """

    def named(credential: str) -> NamedCredential:
        person = names.people.get(credential)
        name = Reference(brief(credential), names.place(credential))
        return NamedCredential(name, brief(person, 40) if person else "")

    return excerpt(plan.proof.may_be_stolen if plan.proof.complete else (), most, named)


def _ways(plan: Plan, live: Live) -> PlanWays:
    rest = [(name, value) for name, value in live.query if name != "strategy"]
    strategies = tuple(
        (one, address(live.path, [*rest, ("strategy", one)], live.as_of) + "#plan", one == plan.strategy)
        for one in get_args(Strategy)
    )
    return PlanWays(strategies=strategies, file=address("/plan.json", live.query, live.as_of))


def _verdict(plan: Plan) -> str:
    verdict, ending = words.plan_verdict(plan)
    if ending == "bad":
        return "Not complete: the attacker survives these steps."
    if ending == "doubt":
        return f"{verdict}:"
    if not plan.steps:
        return f"Nothing to do{conditions(plan)}: no tainted credential is alive, and none can be minted."
    count = words.number(len(plan.steps), "step")
    return f"Complete{conditions(plan)}: after {count}, nothing of the attacker's works or can be minted."


def _step(step: Step, names: Names) -> ShownStep:
    on = list(dict.fromkeys([*([step.principal] if step.principal else []), *step.principals]))
    moved = ""
    if step.cutoff:
        moved = f" The cutoff {timestamp(step.cutoff)} moves to the time of sending, if that is later."
    return ShownStep(
        action=brief(words.action(step)), principals=excerpt(on, _HIT, brief), ends=names.references(step.ends),
        ends_none=words.PRECAUTION if step.cutoff else words.STOPS_NEW,
        alive_after=names.references(step.alive_after),
        collateral=excerpt(step.collateral, _HIT, lambda one: _hit(one, names)), where=words.where(step),
        why=_why(step.why), undo=words.undo(step), needs=", ".join(step.needs),
        calls=excerpt(step.calls, _CALLS, _call), call_count=words.number(len(step.calls), "call"),
        effect=f"Takes effect within {step.bites_within} s.{moved}",
    )  # fmt: skip


def _hit(one: Collateral, names: Names) -> NamedCredential:
    """Say whom a credential belongs to: the person, where its session names one, and the role or user."""
    person = names.people.get(one.credential)
    speaks = brief(words.principal(one.principal), 60)
    return NamedCredential(
        names.reference(one.credential), f"{brief(person, 40)}, {speaks}" if person else speaks
    )


def _why(why: str) -> tuple[WhyPart, ...]:
    """Lay each policy that a person is to attach out, so that it can be copied whole."""
    return tuple(
        WhyPart(said) if policy is None else WhyPart(_laid_out(policy), len(said))
        for said, policy in policies_apart(why)
    )


def _call(call: Call) -> ShownCall:
    parameters = tuple((name, _laid_out(value)[:_TEXT]) for name, value in call.parameters.items())
    where = f" in {call.account}" + (f", {call.region}" if call.region else "")
    return ShownCall(f"{call.service}:{call.operation}", where, parameters)


def _laid_out(value: Any) -> str:
    """Lay out a policy document, whose text is JSON; everything else as it is."""
    if not isinstance(value, str):
        return json.dumps(value, indent=2, ensure_ascii=True, default=str)
    if not value.lstrip().startswith("{"):
        return value
    try:
        return json.dumps(json.loads(value), indent=2, ensure_ascii=True)
    except (ValueError, RecursionError):
        return value


def _proof(plan: Plan) -> ShownProof:
    proof = plan.proof
    return ShownProof(
        scope=words.SCOPES[proof.scope], counterexample=proof.counterexample,
        survivors=excerpt(proof.survivors, _HIT, _survivor), holds_if=tuple(words.some_of_each(proof.holds_if)),
        lead="It holds if" if proof.complete else words.NOTHING_ELSE, not_spared=tuple(words.not_spared(plan)),
        residual_risks=tuple(words.some_of_each(plan.residual_risks)),
    )  # fmt: skip


def _survivor(one: Survivor) -> str:
    return f"survives{f' until {timestamp(one.until)}' if one.until else ''}: {one.why}"


def _script(plan: Plan) -> str | None:
    if not plan.steps:
        return ""
    stream = io.StringIO()
    write_script(plan, stream)
    text = stream.getvalue()
    return None if len(text) > 10 * _TEXT else text.rstrip("\n")
