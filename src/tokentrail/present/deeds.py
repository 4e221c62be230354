"""
What a plan changes, as text: its calls before they are sent, what came of them, what was taken back, what is proven.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from typing import Any

from tokentrail import formatting
from tokentrail.containment.execution.outcome import (
    Applied,
    ByHand,
    CallResult,
    Restored,
    StepDone,
    StepVerdict,
    Undone,
    Verdict,
    Verification,
)
from tokentrail.containment.model import Call, Plan, Step
from tokentrail.formatting import counted, joined
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.paper import Paper

_VERDICTS: Mapping[Verdict, tuple[str, str]] = {
    "proven": ("proven", "green"), "not-yet-proven": ("not yet proven", "yellow"), "refuted": ("REFUTED", "bold red"),
}  # fmt: skip
_FEW = 3
_MOST = 40
"""Credentials of one kind that are listed by name."""


def write_calls(plan: Plan, paper: Paper) -> None:
    """Write each step with each of its calls: whole, or where many are alike in what differs from the first of them."""
    paper.line((f"Plan of {timestamp(plan.as_of)} for {formatting.listed(plan.subjects)}", "bold"))
    for step in plan.steps:
        _heading(step, paper)
        if not step.calls:
            paper.wrapped(f"A person must do this. {step.why}", first="  ")
        for alike in _alike(step.calls):
            write_call(alike[0], paper)
            if len(alike) > 1:
                paper.wrapped(f"the same in {', '.join(_differing(alike))}", first="  ", rest="    ")
        if step.cutoff and step.calls:
            moved = f"{timestamp(step.cutoff)} is moved to the time of sending + {plan.margin} s, if that is later."
            paper.wrapped(moved, first="  cutoff ")
        if step.collateral:
            hit = (f"{one.credential} ({words.principal(one.principal)})" for one in step.collateral)
            paper.wrapped(f"cuts off too: {formatting.listed(hit, _MOST)}", first="  ")
    if not plan.proof.complete:
        paper.line()
        paper.wrapped("The plan's own proof is not complete: the attacker survives it.", style="bold red")
        for sentence in plan.proof.counterexample:
            paper.wrapped(sentence, first="  - ")


def _alike(calls: Iterable[Call]) -> list[list[Call]]:
    """Put calls together that are one but for where and for short parameters, where there are more than a few."""
    found: dict[tuple[object, ...], list[Call]] = {}
    for call in calls:
        said = ((name, value if _document(value) else None) for name, value in call.parameters.items())
        found.setdefault((call.service, call.operation, repr([*said])), []).append(call)
    return [
        some
        for alike in found.values()
        for some in ([alike] if len(alike) > _FEW else [[one] for one in alike])
    ]


def _differing(alike: Sequence[Call]) -> Iterator[str]:
    """Where each call but the first is sent, and in what else it differs from any."""
    first = alike[0].parameters
    names = [name for name, value in first.items() if any(one.parameters[name] != value for one in alike)]
    for one in alike[1:]:
        values = [one.parameters[name] for name in names]
        told = [value if isinstance(value, str) else json.dumps(value) for value in values]
        where = " ".join(filter(None, (one.account, one.region)))
        yield f"{where} ({', '.join(told)})" if told else where


def write_call(call: Call, paper: Paper) -> None:
    """Write one call with all its parameters, policy documents laid out."""
    where = f"  in {call.region}" if call.region else ""
    paper.line(f"  {call.account}  ", (f"{call.service}:{call.operation}", "bold"), where)
    for name, value in call.parameters.items():
        document = _document(value)
        if document is None:
            paper.wrapped(value if isinstance(value, str) else json.dumps(value), first=f"      {name}: ")
            continue
        paper.line(f"      {name}:")
        for line in json.dumps(document, indent=2, ensure_ascii=True).splitlines():
            paper.wrapped(line.lstrip(" "), first=" " * (8 + len(line) - len(line.lstrip(" "))))


def write_deed(deed: CallResult, paper: Paper) -> None:
    """Write a line for a call that was answered."""
    outcome = {"done": "done", "already": "stood already", "failed": "FAILED", "not-sent": "not sent"}[
        deed.outcome
    ]
    style = "bold red" if deed.outcome == "failed" else ""
    paper.line(
        f"{_time(deed.at)}  step {deed.n}  {deed.call.account}  ", (outcome, style),
        f"  {deed.call.service}:{deed.call.operation} {_target(deed.call)}",
    )  # fmt: skip
    for said in filter(None, (deed.error, deed.why)):
        paper.wrapped(said, first="  ")


def write_applied(applied: Applied, paper: Paper) -> None:
    """Write what a run of `apply` did and did not."""
    for step in applied.steps:
        _write_done(step, paper)
    for one in applied.repeated:
        paper.wrapped(one, first="Did not stand when read back, and done again: ")
    for note in applied.notes:
        paper.wrapped(note, first="Newer than the plan, and no step takes it back: ")
    paper.line()
    if applied.complete:
        nothing = all(not step.deeds for step in applied.steps) and not applied.repeated
        paper.wrapped(
            f"{'Nothing was left to send: all' if nothing else 'All'} "
            f"{counted(len(applied.steps), 'step')} are carried out, and stood when read back.",
            style="green",
        )
        paper.wrapped("`tokentrail verify` tells whether they held, once newer logs are ingested.")
    paper.wrapped(f"Journal: {applied.journal} (run {applied.run})")


def write_undone(undone: Undone, paper: Paper) -> None:
    """Write what was taken back and what was not, the newest change first."""
    if not undone.things:
        paper.line(
            "Nothing is left to take back." if not undone.by_hand else "No call of ours is left to take back."
        )
    for _, alike in groupby(undone.things, key=lambda one: (one.outcome, one.account, one.steps, one.why)):
        _write_restored([*alike], paper)
    write_by_hand(undone.by_hand, paper)
    paper.line()
    paper.wrapped(f"Journal: {undone.journal} (run {undone.run})")


def write_by_hand(steps: Iterable[ByHand], paper: Paper) -> None:
    """Write which steps a person carried out, and is to take back."""
    for one in steps:
        paper.wrapped(f"step {one.n} ({one.action}): {joined(one.targets)}", first=f"{'by hand':<13}")
        why = "a person did it, so that it stays: take it back by hand, once nothing of the attacker's comes in there"
        paper.wrapped(why, first=" " * 13)


def _write_restored(things: Sequence[Restored], paper: Paper) -> None:
    """Write what came of some things, which is the same of all."""
    one = things[0]
    bad = one.outcome in ("refused", "failed")
    named = formatting.listed(some.thing for some in things)
    paper.wrapped(
        f"{one.account}  {named}  (step {joined(map(str, one.steps))})",
        first=f"{one.outcome:<13}", rest=" " * 13, style="red" if bad else "",
    )  # fmt: skip
    paper.wrapped(one.why, first=" " * 13)


def write_intended(things: Iterable[tuple[str, str, str, Sequence[Call]]], paper: Paper) -> None:
    """
    Write what would be taken back, things that stay for one reason together.

    Args:
        things: For each: the thing, what would come of it, why, and the calls.
        paper: Where to.
    """
    for (outcome, why, calls), alike in groupby(things, key=itemgetter(1, 2, 3)):
        paper.wrapped(formatting.listed(thing for thing, *_ in alike), first=f"{outcome:<13}", rest=" " * 13)
        paper.wrapped(why, first=" " * 13)
        for call in calls:
            write_call(call, paper)


def write_verification(found: Verification, paper: Paper) -> None:
    """Write the verdict, then each step's and each credential's, with the event that decides it."""
    word, style = _VERDICTS[found.verdict]
    until = f", by evidence up to {timestamp(found.evidence_until)}" if found.evidence_until else ""
    paper.line((word.capitalize(), style), until)
    for note in found.notes:
        paper.wrapped(note, first="  ")
    paper.heading("Steps")
    for step in found.steps:
        _write_verdict(step, paper)
    for verdict in ("refuted", "not-yet-proven", "proven"):
        chosen = [one for one in found.credentials if one.verdict == verdict]
        if chosen:
            paper.heading(f"{_VERDICTS[verdict][0].capitalize()}: {counted(len(chosen), 'credential')}")
        for one in chosen[:_MOST]:
            paper.wrapped(
                one.why + (f" (event {one.event_id})" if one.event_id else ""),
                first=f"  {one.credential}  ",
                rest=" " * 6,
            )
        paper.and_more(len(chosen), _MOST, " (--format json lists all)", lead="  and")
    if found.refusals:
        paper.heading(f"Refused: {counted(len(found.refusals), 'call')} that AWS can explain")
    for refusal in found.refusals[:_MOST]:
        paper.wrapped(
            f"{refusal.call} at {timestamp(refusal.time)} (event {refusal.event_id}), authorization id "
            f"{refusal.authorization_id}: {refusal.why}",
            first=f"  {refusal.credential}  ",
            rest=" " * 6,
        )
    paper.and_more(len(found.refusals), _MOST, " (--format json lists all)", lead="  and")


def _heading(step: Step, paper: Paper) -> None:
    where = step.principal or formatting.listed(step.principals) or step.account or "-"
    paper.line()
    paper.wrapped(where, first=f"{step.n}. {step.action}  ", style="bold")
    if step.calls:
        paper.wrapped(step.why, first="  ")


def _write_done(step: StepDone, paper: Paper) -> None:
    told = {
        "done": "done", "already": "stood already", "by-person": "done by a person", "failed": "NOT DONE",
        "not-reached": "not reached",
    }[step.outcome]  # fmt: skip
    style = "bold red" if step.outcome == "failed" else ""
    sent = f" at {timestamp(step.sent_at)}" if step.sent_at else ""
    cutoff = f", cutoff {timestamp(step.cutoff)}" if step.cutoff else ""
    paper.line(f"{step.n}. {step.action}: ", (told, style), f"{sent}{cutoff}")
    if step.why:
        paper.wrapped(step.why, first="   ")
    for deed in step.deeds:
        if step.outcome == "failed":
            error = f": {deed.error}" if deed.error else ""
            paper.wrapped(
                f"{deed.call.service}:{deed.call.operation} {_target(deed.call)} {deed.outcome}{error}",
                first="   ",
            )


def _write_verdict(step: StepVerdict, paper: Paper) -> None:
    word, style = _VERDICTS[step.verdict]
    paper.line(f"  {step.n}. {step.action}: ", (word, style))
    paper.wrapped(step.why, first="     ")


def _target(call: Call) -> str:
    """What a call is about, for a line: its parameters but for documents."""
    shown = [call.region] if call.region else []
    for value in call.parameters.values():
        listed = value if isinstance(value, (list, tuple)) else [value]
        shown += [str(one) for one in listed if not isinstance(one, dict) and _document(one) is None]
    return " ".join(shown)


def _document(value: Any) -> dict[str, Any] | None:
    """The JSON object that a text is, if a layout shows all of it: of two members of one name it would hide one."""
    if not isinstance(value, str) or not value.lstrip().startswith("{"):
        return None
    try:
        found = json.loads(value, object_pairs_hook=_each_once)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("a member stands there twice")
    return found


def _time(moment: datetime | None) -> str:
    return timestamp(moment) if moment else "-"
