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
from tokentrail.present.text.text_writer import TextWriter

_VERDICTS: Mapping[Verdict, tuple[str, str]] = {
    "proven": ("proven", "green"), "not-yet-proven": ("not yet proven", "yellow"), "refuted": ("REFUTED", "bold red"),
}  # fmt: skip
_FEW = 3
_MOST = 40
"""Credentials of one kind that are listed by name."""


def write_calls(plan: Plan, writer: TextWriter) -> None:
    """Write each step with each of its calls: whole, or where many are alike in what differs from the first of them."""
    writer.line((f"Plan of {timestamp(plan.as_of)} for {formatting.listed(plan.subjects)}", "bold"))
    for step in plan.steps:
        _heading(step, writer)
        if not step.calls:
            writer.wrapped(f"A person must do this. {step.why}", first="  ")
        for alike in _alike(step.calls):
            write_call(alike[0], writer)
            if len(alike) > 1:
                writer.wrapped(f"the same in {', '.join(_differing(alike))}", first="  ", rest="    ")
        if step.cutoff and step.calls:
            moved = f"{timestamp(step.cutoff)} is moved to the time of sending + {plan.margin} s, if that is later."
            writer.wrapped(moved, first="  cutoff ")
        if step.collateral:
            hit = (f"{one.credential} ({words.principal(one.principal)})" for one in step.collateral)
            writer.wrapped(f"cuts off too: {formatting.listed(hit, _MOST)}", first="  ")
    if not plan.proof.complete:
        writer.line()
        writer.wrapped("The plan's own proof is not complete: the attacker survives it.", style="bold red")
        for sentence in plan.proof.counterexample:
            writer.wrapped(sentence, first="  - ")


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


def write_call(call: Call, writer: TextWriter) -> None:
    """Write one call with all its parameters, policy documents laid out."""
    where = f"  in {call.region}" if call.region else ""
    writer.line(f"  {call.account}  ", (f"{call.service}:{call.operation}", "bold"), where)
    for name, value in call.parameters.items():
        document = _document(value)
        if document is None:
            writer.wrapped(value if isinstance(value, str) else json.dumps(value), first=f"      {name}: ")
            continue
        writer.line(f"      {name}:")
        for line in json.dumps(document, indent=2, ensure_ascii=True).splitlines():
            writer.wrapped(line.lstrip(" "), first=" " * (8 + len(line) - len(line.lstrip(" "))))


def write_call_result(result: CallResult, writer: TextWriter) -> None:
    """Write a line for a call that was answered."""
    outcome = {"done": "done", "already": "stood already", "failed": "FAILED", "not-sent": "not sent"}[
        result.outcome
    ]
    style = "bold red" if result.outcome == "failed" else ""
    writer.line(
        f"{_time(result.at)}  step {result.n}  {result.call.account}  ", (outcome, style),
        f"  {result.call.service}:{result.call.operation} {_target(result.call)}",
    )  # fmt: skip
    for said in filter(None, (result.error, result.why)):
        writer.wrapped(said, first="  ")


def write_applied(applied: Applied, writer: TextWriter) -> None:
    """Write what a run of `apply` did and did not."""
    for step in applied.steps:
        _write_done(step, writer)
    for one in applied.repeated:
        writer.wrapped(one, first="Did not stand when read back, and done again: ")
    for note in applied.notes:
        writer.wrapped(note, first="Newer than the plan, and no step takes it back: ")
    writer.line()
    if applied.complete:
        nothing = all(not step.deeds for step in applied.steps) and not applied.repeated
        writer.wrapped(
            f"{'Nothing was left to send: all' if nothing else 'All'} "
            f"{counted(len(applied.steps), 'step')} are carried out, and stood when read back.",
            style="green",
        )
        writer.wrapped("`tokentrail verify` tells whether they held, once newer logs are ingested.")
    writer.wrapped(f"Journal: {applied.journal} (run {applied.run})")


def write_undone(undone: Undone, writer: TextWriter) -> None:
    """Write what was taken back and what was not, the newest change first."""
    if not undone.things:
        writer.line(
            "Nothing is left to take back." if not undone.by_hand else "No call of ours is left to take back."
        )
    for _, alike in groupby(undone.things, key=lambda one: (one.outcome, one.account, one.steps, one.why)):
        _write_restored([*alike], writer)
    write_by_hand(undone.by_hand, writer)
    writer.line()
    writer.wrapped(f"Journal: {undone.journal} (run {undone.run})")


def write_by_hand(steps: Iterable[ByHand], writer: TextWriter) -> None:
    """Write which steps a person carried out, and is to take back."""
    for one in steps:
        writer.wrapped(f"step {one.n} ({one.action}): {joined(one.targets)}", first=f"{'by hand':<13}")
        why = "a person did it, so that it stays: take it back by hand, once nothing of the attacker's comes in there"
        writer.wrapped(why, first=" " * 13)


def _write_restored(things: Sequence[Restored], writer: TextWriter) -> None:
    """Write what came of some things, which is the same of all."""
    one = things[0]
    bad = one.outcome in ("refused", "failed")
    named = formatting.listed(some.thing for some in things)
    writer.wrapped(
        f"{one.account}  {named}  (step {joined(map(str, one.steps))})",
        first=f"{one.outcome:<13}", rest=" " * 13, style="red" if bad else "",
    )  # fmt: skip
    writer.wrapped(one.why, first=" " * 13)


def write_intended(things: Iterable[tuple[str, str, str, Sequence[Call]]], writer: TextWriter) -> None:
    """
    Write what would be taken back, things that stay for one reason together.

    Args:
        things: For each: the thing, what would come of it, why, and the calls.
        writer: Where to.
    """
    for (outcome, why, calls), alike in groupby(things, key=itemgetter(1, 2, 3)):
        writer.wrapped(formatting.listed(thing for thing, *_ in alike), first=f"{outcome:<13}", rest=" " * 13)
        writer.wrapped(why, first=" " * 13)
        for call in calls:
            write_call(call, writer)


def write_verification(found: Verification, writer: TextWriter) -> None:
    """Write the verdict, then each step's and each credential's, with the event that decides it."""
    word, style = _VERDICTS[found.verdict]
    until = f", by evidence up to {timestamp(found.evidence_until)}" if found.evidence_until else ""
    writer.line((word.capitalize(), style), until)
    for note in found.notes:
        writer.wrapped(note, first="  ")
    writer.heading("Steps")
    for step in found.steps:
        _write_verdict(step, writer)
    for verdict in ("refuted", "not-yet-proven", "proven"):
        chosen = [one for one in found.credentials if one.verdict == verdict]
        if chosen:
            writer.heading(f"{_VERDICTS[verdict][0].capitalize()}: {counted(len(chosen), 'credential')}")
        for one in chosen[:_MOST]:
            writer.wrapped(
                one.why + (f" (event {one.event_id})" if one.event_id else ""),
                first=f"  {one.credential}  ",
                rest=" " * 6,
            )
        writer.and_more(len(chosen), _MOST, " (--format json lists all)", lead="  and")
    if found.refusals:
        writer.heading(f"Refused: {counted(len(found.refusals), 'call')} that AWS can explain")
    for refusal in found.refusals[:_MOST]:
        writer.wrapped(
            f"{refusal.call} at {timestamp(refusal.time)} (event {refusal.event_id}), authorization id "
            f"{refusal.authorization_id}: {refusal.why}",
            first=f"  {refusal.credential}  ",
            rest=" " * 6,
        )
    writer.and_more(len(found.refusals), _MOST, " (--format json lists all)", lead="  and")


def _heading(step: Step, writer: TextWriter) -> None:
    where = step.principal or formatting.listed(step.principals) or step.account or "-"
    writer.line()
    writer.wrapped(where, first=f"{step.n}. {step.action}  ", style="bold")
    if step.calls:
        writer.wrapped(step.why, first="  ")


def _write_done(step: StepDone, writer: TextWriter) -> None:
    told = {
        "done": "done", "already": "stood already", "by-person": "done by a person", "failed": "NOT DONE",
        "not-reached": "not reached",
    }[step.outcome]  # fmt: skip
    style = "bold red" if step.outcome == "failed" else ""
    sent = f" at {timestamp(step.sent_at)}" if step.sent_at else ""
    cutoff = f", cutoff {timestamp(step.cutoff)}" if step.cutoff else ""
    writer.line(f"{step.n}. {step.action}: ", (told, style), f"{sent}{cutoff}")
    if step.why:
        writer.wrapped(step.why, first="   ")
    for result in step.deeds:
        if step.outcome == "failed":
            error = f": {result.error}" if result.error else ""
            writer.wrapped(
                f"{result.call.service}:{result.call.operation} {_target(result.call)} {result.outcome}{error}",
                first="   ",
            )


def _write_verdict(step: StepVerdict, writer: TextWriter) -> None:
    word, style = _VERDICTS[step.verdict]
    writer.line(f"  {step.n}. {step.action}: ", (word, style))
    writer.wrapped(step.why, first="     ")


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
