"""
The plan's section: each step with what it ends, leaves and costs, its exact calls, the proof, and a script to copy.
"""

from __future__ import annotations

import io
import json
from typing import Any, get_args

from tokentrail.containment.model import Call, Collateral, Plan, Step, Strategy
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.console import Live, address
from tokentrail.present.html.dossier import Names
from tokentrail.present.html.markup import Html, join, lines, prose, tag
from tokentrail.present.html.pieces import (
    and_more,
    bullets,
    conditions,
    reference,
    references,
    section,
    unstolen,
)
from tokentrail.present.plan import policies_apart, write_script
from tokentrail.present.safe import brief
from tokentrail.spelling import more

_MOST = 60
_CALLS = 30
_HIT = 20
_NAMED = 200
"""Credentials that must not have been stolen: all that a plan can name, but for a flood of them."""
_TEXT = 24_000
"""Characters of one policy, or of the script, beyond which the plan file is the place to look."""


def plan_section(plan: Plan | None, names: Names) -> Html:
    """Build the section."""
    if plan is None:
        return section("plan", "Plan", tag("p", "No containment plan was asked for.", class_="empty"))
    title = f"{plan.strategy} plan" if plan.strategy else "given steps"
    return section(
        "plan", "Plan",
        _verdict(plan, names),
        strategies(plan, names.live) if names.live else None,
        tag("ol", *(_step(step, names) for step in plan.steps[:_MOST]), class_="steps"),
        and_more(len(plan.steps), _MOST, "the plan file (`contain -o`) has all of them"),
        _proof(plan),
        _script(plan) if plan.steps else None,
        note=f"A {title} as of {timestamp(plan.as_of)}. Nothing was changed: `tokentrail apply` carries a plan out.",
    )  # fmt: skip


def strategies(plan: Plan, live: Live) -> Html:
    """Lead to the plans of other strategies, and to the plan as a file."""
    rest = [(name, value) for name, value in live.query if name != "strategy"]
    ways = [
        tag("a", one, href=address(live.path, [*rest, ("strategy", one)], live.as_of) + "#plan",
            aria_current="true" if one == plan.strategy else None)
        for one in get_args(Strategy)
    ]  # fmt: skip
    file = tag(
        "a", "The plan as a file", href=address("/plan.json", live.query, live.as_of), download="plan.json"
    )
    told = prose(", for `tokentrail apply`, which asks before it changes anything.")
    return tag("p", "Strategy: ", join(ways, ", "), ". ", file, told, class_="note strategies")


def _verdict(plan: Plan, names: Names) -> Html:
    verdict, ending = words.plan_verdict(plan)
    if ending == "bad":
        told = "Not complete: the attacker survives these steps."
    elif ending == "doubt":
        told = f"{verdict}:"
    elif not plan.steps:
        told = f"Nothing to do{conditions(plan)}: no tainted credential is alive, and none can be minted."
    else:
        count = words.number(len(plan.steps), "step")
        told = f"Complete{conditions(plan)}: after {count}, nothing of the attacker's works or can be minted."
    return tag("p", tag("strong", told), " ", unstolen(plan, names, _NAMED), class_=f"proof {ending}")


def _step(step: Step, names: Names) -> Html:
    return tag(
        "li",
        tag("h3", brief(words.action(step))),
        tag("dl", *_facts(step, names), class_="facts"),
        _calls(step),
    )  # fmt: skip


def _facts(step: Step, names: Names) -> list[Html]:
    nobody = "none seen"
    hit = join(
        (join([reference(one.credential, names), f" ({_whose(one, names)})"]) for one in step.collateral[:_HIT]),
        ", ",
    )  # fmt: skip
    facts: list[tuple[str, Html | str]] = [
        (
            "Ends",
            references(step.ends, names)
            if step.ends
            else words.PRECAUTION
            if step.cutoff
            else words.STOPS_NEW,
        ),
        (
            "Still alive",
            references(step.alive_after, names) if step.alive_after else "none of the attacker's",
        ),
        ("Collateral", join([hit, more(len(step.collateral) - _HIT)]) if step.collateral else nobody),
        ("Where", words.where(step)),
        ("Why", _why(step.why)),
        ("Undo", words.undo(step)),
    ]
    if step.needs:
        facts.append(("Needs", ", ".join(step.needs)))
    if on := _principals(step):
        named = (tag("span", brief(one), class_="principal") for one in on[:_HIT])
        facts.insert(0, ("On", join([join(named, ", "), more(len(on) - _HIT)])))
    return [join([tag("dt", name), tag("dd", told)]) for name, told in facts]


def _principals(step: Step) -> list[str]:
    """Whom a step acts on."""
    return list(dict.fromkeys([*([step.principal] if step.principal else []), *step.principals]))


def _why(why: str) -> Html:
    """Write why, with each policy that a person is to attach laid out behind a fold, so that it can be copied whole."""
    return join(
        (
            tag("details", tag("summary", f"the policy, {len(said):,} characters"),
                tag("pre", lines(_laid_out(policy)), tabindex=0))
            if policy is not None else said
            for said, policy in policies_apart(why)
        ),
        " ",
    )  # fmt: skip


def _whose(one: Collateral, names: Names) -> str:
    """Say whom a credential belongs to: the person, where its session names one, and the role or user."""
    person = names.people.get(one.credential)
    speaks = brief(words.principal(one.principal), 60)
    return f"{brief(person, 40)}, {speaks}" if person else speaks


def _calls(step: Step) -> Html:
    if not step.calls:
        return tag("p", "A person must do this; no call does it.", class_="note")
    shown = [_call(one) for one in step.calls[:_CALLS]]
    moved = ""
    if step.cutoff:
        moved = f" The cutoff {timestamp(step.cutoff)} moves to the time of sending, if that is later."
    return tag(
        "details", tag("summary", f"{words.number(len(step.calls), 'call')}, exactly"),
        tag("p", f"Takes effect within {step.bites_within} s.{moved}", class_="note"), *shown,
        and_more(len(step.calls), _CALLS, "the plan file has all of them"),
    )  # fmt: skip


def _call(call: Call) -> Html:
    rows = [
        join([tag("dt", name), tag("dd", tag("pre", lines(_laid_out(value)[:_TEXT]), tabindex=0))])
        for name, value in call.parameters.items()
    ]
    where = f" in {call.account}" + (f", {call.region}" if call.region else "")
    return tag("div", tag("h4", tag("code", f"{call.service}:{call.operation}", class_="operation"), where),
               tag("dl", *rows, class_="call"), class_="call")  # fmt: skip


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


def _proof(plan: Plan) -> Html:
    proof = plan.proof
    left = [
        join(["survives", f" until {timestamp(one.until)}" if one.until else "", ": ", one.why])
        for one in proof.survivors[:_HIT]
    ]
    return tag(
        "div",
        tag("h3", words.SCOPES[proof.scope]),
        tag("p", "How the attacker gets past it:") if proof.counterexample else None,
        bullets(proof.counterexample, "bad"),
        bullets(left), and_more(len(proof.survivors), _HIT, "the plan file lists all"),
        tag("p", "It holds if" if proof.complete else words.NOTHING_ELSE) if proof.holds_if else None,
        bullets(words.some_of_each(proof.holds_if)), bullets(words.not_spared(plan)),
        tag("h3", words.NOT_COVERED) if plan.residual_risks else None,
        bullets(words.some_of_each(plan.residual_risks)),
    )  # fmt: skip


def _script(plan: Plan) -> Html:
    stream = io.StringIO()
    write_script(plan, stream)
    text = stream.getvalue()
    if len(text) > 10 * _TEXT:
        return tag(
            "p",
            "The script is too long for this page: `tokentrail contain --script` prints it.",
            class_="note",
        )
    return tag(
        "details",
        tag("summary", "The plan as a script of aws-cli calls"),
        tag("button", "Copy the script", type="button", data_copy="script", class_="js", hidden=True),
        tag("pre", lines(text.rstrip("\n")), id="script", tabindex=0),
    )
