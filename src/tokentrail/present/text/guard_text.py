"""
The answer of `guard` as text: what would have ended it and its cost first, then every guardrail, then the audit.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from tokentrail.formatting import counted
from tokentrail.present import words
from tokentrail.present.document import Document, document, timestamp
from tokentrail.present.safe import cut_middle, safe
from tokentrail.present.text.text_writer import TextWriter, pad
from tokentrail.prevention.model import STAGES, AttackerCall, AuditFinding, Backtest, Broken, Guard, Guardrail

_LABEL = 12
_MOST = 3
_DETAILED = 6
_OF_A_RULE = 12
_MOST_FINDINGS = 4
_KINDS = {
    "scp": "SCP",
    "rcp": "RCP",
    "trust-policy": "trust",
    "identity-policy": "identity",
    "setting": "setting",
}
_STYLES = {"critical": "bold red", "high": "red", "medium": "yellow", "low": "", "info": "dim"}
COLUMNS = (
    "id", "rule", "title", "kind", "account", "target", "stage", "story_ends_at", "attacker_events", "attacker_blocked",
    "attacker_refused", "attacker_undecided", "ordinary_events", "ordinary_blocked", "ordinary_undecided", "policy",
    "ordinary_refused",
)  # fmt: skip
"""Of the guardrails as CSV."""


def write_guard(guard: Guard, writer: TextWriter, *, whole: bool, most: int | None = None) -> None:
    """
    Write the answer.

    Args:
        guard: The answer.
        writer: Where to.
        whole: List every guardrail, and every call of the back-test.
        most: The most guardrails to list, those first that stop the most.
    """
    _write_verdict(guard, writer)
    if guard.guardrails:
        _write_table(guard.guardrails, writer, whole=whole, most=most)
    detailed = [one for one in guard.guardrails if one.backtest.attacker_blocked or one.rule == "own"]
    for place, one in enumerate(detailed if whole else detailed[:_DETAILED]):
        _write_guardrail(one, writer, shown=place == 0 or one.rule == "own", whole=whole)
    if len(detailed) > _DETAILED and not whole:
        writer.line()
        writer.line(
            f"{len(detailed) - _DETAILED:,} more that stop a part of it: --history shows them, and every call."
        )
    _write_audit(guard.findings, writer, whole=whole)
    writer.heading("What no policy prevents")
    for sentence in guard.cannot:
        writer.wrapped(sentence, first="  - ")
    if guard.unmade:
        writer.heading("Not made, and why")
        for sentence in guard.unmade:
            writer.wrapped(sentence, first="  - ")
    writer.line()
    writer.wrapped(
        "Nothing was changed. `--as terraform`, `--as cloudformation`, `--format json` and `-o DIR` give the policies; "
        "`--policy FILE` tests one of your own."
    )


def _write_verdict(guard: Guard, writer: TextWriter) -> None:
    ending = next((one for one in guard.guardrails if one.backtest.story_ends_at is not None), None)
    if ending is not None:
        tested = ending.backtest
        assert tested.story_ends_at is not None
        writer.wrapped(
            f"Ends at {timestamp(tested.story_ends_at)}, breaks {_cost(tested)}: {ending.id} ({ending.kind})",
            style="bold green",
        )
        writer.wrapped(f"{ending.title}. It stops {_stopped(tested)}")
    elif guard.attackers:
        writer.wrapped(
            "None of these guardrails by itself would have stopped the attacker earlier; the first ones would have "
            "stopped the most calls.",
            style="bold",
        )
    else:
        writer.wrapped(
            "No finding names an attacker, so none of these guardrails would have stopped one earlier. Give --subject; "
            "until then, guardrails are shown with what they would have cost.",
            style="bold",
        )
    writer.wrapped(guard.assumed)


def _cost(tested: Backtest) -> str:
    broken = f"{tested.ordinary_blocked:,}" if tested.ordinary_blocked else "none"
    text = f"{broken} of {counted(tested.ordinary_events, 'ordinary call')}"
    return f"{text} ({tested.ordinary_undecided:,} can't be told)" if tested.ordinary_undecided else text


def _few_of_each(guardrails: Sequence[Guardrail]) -> list[Guardrail]:
    """Of each rule the first few: an attacker who makes hundreds of users and roles is answered by one for each."""
    counts: Counter[str] = Counter()
    found = []
    for one in guardrails:
        counts[one.rule] += one.rule != "own"
        if counts[one.rule] <= _OF_A_RULE:
            found.append(one)
    return found


def _write_table(
    guardrails: Sequence[Guardrail], writer: TextWriter, *, whole: bool, most: int | None
) -> None:
    writer.heading("Guardrails over the case's history")
    writer.line(
        f"  {'effort':6} {'guardrail':37} {'kind':8} {'would end at':20} {'stops':>7} {'breaks':>7} {'unsure':>7}"
    )
    listed = guardrails if whole else _few_of_each(guardrails)
    listed = listed[:most]
    for one in listed:
        tested = one.backtest
        ends = timestamp(tested.story_ends_at) if tested.story_ends_at else "-"
        called = pad(cut_middle(safe(one.id), 37), 37)
        writer.line(
            f"  {one.stage:<6} {called} {_KINDS[one.kind]:8} {ends:20} {tested.attacker_blocked:>7,} "
            f"{tested.ordinary_blocked:>7,} {tested.undecided:>7,}"
        )
    if len(listed) < len(guardrails):
        left = len(guardrails) - len(listed)
        writer.line(f"  … and {left:,} more; --history lists them")
    writer.line(
        "  effort " + ", ".join(f"{stage}: {said.partition(':')[0]}" for stage, said in STAGES.items())
    )
    first = guardrails[0].backtest
    writer.wrapped(
        f"stops: of the attacker's {counted(first.attacker_events, 'call')} that got through, refused or "
        f"never made; "
        f"breaks: of {counted(first.ordinary_events, 'ordinary one')}; unsure: the log lacks a condition key.",
        first="  ",
    )


def _write_guardrail(one: Guardrail, writer: TextWriter, *, shown: bool, whole: bool) -> None:
    tested = one.backtest
    writer.heading(f"{one.id}: {one.title}")
    if one.target or one.account:
        writer.wrapped(one.target or f"account {one.account}", first=_label("on"))
    writer.wrapped(one.prevents, first=_label("prevents"))
    writer.wrapped(one.limits, first=_label("limits"))
    writer.wrapped(_stopped(tested), first=_label("stops"))
    _write_broken(
        "breaks", tested.broken, tested.ordinary_blocked, writer, none="no logged call", whole=whole
    )
    if tested.undecided:
        _write_broken("can't tell", tested.undecided_by, tested.undecided, writer, none="", whole=whole)
    for call in tested.attacker_calls:
        writer.wrapped(_attacker_call(call), first=_label(""))
    writer.wrapped(f"{STAGES[one.stage]}. {one.attach}", first=_label("effort"))
    if shown or whole:
        writer.document(one.policy or one.setting, lead=_label(""))


def _stopped(tested: Backtest) -> str:
    text = f"{tested.attacker_blocked:,} of the attacker's {counted(tested.attacker_events, 'call')}"
    if tested.attacker_refused < tested.attacker_blocked:
        never = tested.attacker_blocked - tested.attacker_refused
        text += f": {tested.attacker_refused:,} refused, {never:,} prevented upstream"
    if tested.story_ends_at is not None:
        text += f"; nothing gets through from {timestamp(tested.story_ends_at)} on"
    return text + "."


def _attacker_call(call: AttackerCall) -> str:
    return f"{call.outcome}: {call.credential} {call.action} x {call.calls:,}, {words.span(call.first, call.last)}"


def _write_broken(
    label: str, listed: Sequence[Broken], count: int, writer: TextWriter, *, none: str, whole: bool
) -> None:
    if not listed:
        if none:
            writer.line(_label(label), none)
        elif count:
            writer.line(_label(label), counted(count, "call"), " of the attacker's")
        return
    shown = listed if whole else listed[:_MOST]
    for place, one in enumerate(shown):
        why = (
            f", for want of {one.why}"
            if one.why
            else ", prevented upstream"
            if one.outcome == "never made"
            else ""
        )
        writer.wrapped(
            f"{words.principal(one.principal)} {one.action} x {one.calls:,}{why}",
            first=_label(label if place == 0 else ""),
        )
    rest = count - sum(one.calls for one in shown)
    if rest > 0:
        writer.line(_label(""), f"and {counted(rest, 'call')} more")


def _write_audit(findings: Sequence[AuditFinding], writer: TextWriter, *, whole: bool) -> None:
    writer.heading(f"Audit: {counted(len(findings), 'finding')}")
    for (_, rule, title), grouped in groupby(findings, key=lambda one: (one.severity, one.rule, one.title)):
        listed = list(grouped)
        first = listed[0]
        writer.line(
            (f"{first.severity.upper():<9}", _STYLES[first.severity]), f" {rule}  ", (title, "bold"),
            f"  ({len(listed):,})" if len(listed) > 1 else "",
        )  # fmt: skip
        most = len(listed) if whole else _MOST_FINDINGS
        for one in listed[:most]:
            writer.wrapped(f"{one.why} A leak {_lives(one.lives)}.", first="  - ")
        writer.and_more(len(listed), most, "; --history or --format json lists them", lead="    and")
        writer.wrapped(first.attack, first=_label("attack"))
        writer.wrapped(first.fix, first=_label("fix"))


def _lives(seconds: int | None) -> str:
    if seconds is None:
        return "lives until somebody ends it"
    return f"lives up to {seconds / 3600:g} h"


def _label(text: str) -> str:
    return f"  {text:{_LABEL}}"


def guard_rows(guardrails: Iterable[Guardrail]) -> list[Document]:
    """Guardrails as flat rows; the policy as JSON."""
    found = []
    for one in guardrails:
        whole = document(one)
        flat = {**whole, **whole["backtest"], "policy": json.dumps(one.policy) if one.policy else None}
        found.append({name: flat[name] for name in COLUMNS})
    return found


def guard_lines(guard: Guard) -> list[Document]:
    """Findings and guardrails as lines, each saying what it is."""
    return [
        *({"section": "guardrail", **document(one)} for one in guard.guardrails),
        *({"section": "finding", **document(one)} for one in guard.findings),
    ]
