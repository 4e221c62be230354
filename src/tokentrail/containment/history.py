"""
What a journal tells: which steps are done, what each thing was before and how it was left, which calls are open.

Pure: lines in, history out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tokentrail.containment.journal import Line, moment
from tokentrail.containment.model import Call
from tokentrail.containment.thing import State


@dataclass(slots=True, kw_only=True)
class StepRecord:
    """A step that is done."""

    outcome: str
    """`done`, or `by-person`."""
    at: datetime
    cutoff: datetime | None
    sent_at: datetime
    bites_at: datetime


@dataclass(slots=True, kw_only=True)
class ThingRecord:
    """What was done to one thing."""

    key: str
    call: Call
    """The last call that was meant for it, as it was sent."""
    original: State
    """What was there before the first change."""
    left: State | None
    """How the last change left it; `None` where one was broken off between its parts."""
    changed: bool
    """Whether we changed it, or it stood already."""
    steps: set[int]
    seq: int
    """The line of the first change: what came later may rest on it, such as an attachment on its policy."""
    at: datetime
    """When the last change was made."""
    cutoffs: dict[int, datetime]
    """The last cutoff sent for it, by step."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCall:
    """A call whose answer nobody wrote down."""

    seq: int
    line: Line


@dataclass(slots=True)
class History:
    """All that a journal tells."""

    steps: dict[int, StepRecord] = field(default_factory=dict)
    things: dict[str, ThingRecord] = field(default_factory=dict)
    open: dict[int, OpenCall] = field(default_factory=dict)

    @property
    def changed(self) -> list[ThingRecord]:
        """What was changed and not taken back, the newest change first."""
        return sorted((one for one in self.things.values() if one.changed), key=lambda one: -one.seq)


def history(lines: Iterable[Line]) -> History:
    """Read a journal's lines."""
    found = History()
    for line in lines:
        match line["kind"]:
            case "before":
                found.open[line["seq"]] = OpenCall(seq=line["seq"], line=line)
            case "after":
                before = found.open.pop(line["of"]).line
                if line["outcome"] == "done":
                    _done(found, before, line)
            case "already":
                _stood(found, line)
            case "step":
                _step(found, line)
    return found


def call_of(plain: Mapping[str, Any]) -> Call:
    """Read a call that `plain` spelled."""
    return Call(
        account=plain["account"], service=plain["service"], operation=plain["operation"],
        parameters=plain["parameters"], region=plain.get("region"),
    )  # fmt: skip


def plain(call: Call) -> dict[str, Any]:
    """Spell a call for the journal."""
    return {
        "account": call.account, "service": call.service, "operation": call.operation,
        "parameters": dict(call.parameters), "region": call.region,
    }  # fmt: skip


def _done(found: History, before: Line, after: Line) -> None:
    if before["verb"] == "undo":
        lifted = found.things.pop(before["thing"], None) if before["final"] else None
        for n in lifted.steps if lifted else ():
            if n in found.steps and found.steps[n].outcome == "done":
                del found.steps[n]  # what is left of a step is not the step
        return
    record = _record(found, before)
    if not record.changed:
        record.original, record.changed, record.seq = before["before"], True, before["seq"]
    record.left = before["wanted"] if before["final"] else None
    record.at = moment(after["at"])


def _stood(found: History, line: Line) -> None:
    """Take note of what stood already; where we had left it half done, it is whole now."""
    record = _record(found, line)
    record.left = line["wanted"]


def _record(found: History, line: Line) -> ThingRecord:
    record = found.things.get(line["thing"])
    if record is None:
        record = found.things[line["thing"]] = ThingRecord(
            key=line["thing"], call=call_of(line["meant"]), original=line["before"], left=None,
            changed=False, steps=set(), seq=line["seq"], at=moment(line["at"]), cutoffs={},
        )  # fmt: skip
    record.call = call_of(line["meant"])
    record.steps.add(line["n"])
    if line["cutoff"]:
        record.cutoffs[line["n"]] = moment(line["cutoff"])
    return record


def _step(found: History, line: Line) -> None:
    if line["outcome"] == "undone":
        found.steps.pop(line["n"], None)
        return
    found.steps[line["n"]] = StepRecord(
        outcome=line["outcome"], at=moment(line["at"]), sent_at=moment(line["sent_at"]),
        bites_at=moment(line["bites_at"]), cutoff=moment(line["cutoff"]) if line["cutoff"] else None,
    )  # fmt: skip
