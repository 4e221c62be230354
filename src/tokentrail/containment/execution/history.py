"""
What a journal says: which steps are done, the state of each changed thing before and after, which calls are open.

Pure: it takes the journal's lines.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from tokentrail.containment.execution.journal import Line, moment
from tokentrail.containment.execution.resource import State
from tokentrail.containment.model import Call


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
class ResourceRecord:
    """What was done to one thing: something in an account that a call changes."""

    key: str
    call: Call
    """The last call of the plan on it, with the cutoff that was sent."""
    original: State
    """Its state before the first change."""
    left: State | None
    """Its state after the last change; `None` if that was broken off between its parts."""
    changed: bool
    """Whether we changed it; else it was as wanted already."""
    steps: set[int]
    """The steps that are about it."""
    seq: int
    """The number of the first change's line. Later changes may depend on it, as an attachment does on its policy."""
    at: datetime
    """When the last change was made."""
    cutoffs: dict[int, datetime]
    """By step: the last cutoff that was sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCall:
    """A call without a journaled answer: the run ended in between."""

    seq: int
    line: Line


@dataclass(frozen=True, slots=True)
class SignInLimit:
    """How long sign-in sessions could last by the setting of their user or role, and when that was read."""

    lasts: timedelta
    read_at: datetime


@dataclass(slots=True)
class History:
    """All that a journal says."""

    steps: dict[int, StepRecord] = field(default_factory=dict)
    things: dict[str, ResourceRecord] = field(default_factory=dict)
    open: dict[int, OpenCall] = field(default_factory=dict)
    sign_in_limits: dict[str, SignInLimit] = field(default_factory=dict)
    """By ARN: how long sign-in sessions of a user or role could last when that was first read."""

    @property
    def changed(self) -> list[ResourceRecord]:
        """What was changed and not undone, the newest change first."""
        return sorted((one for one in self.things.values() if one.changed), key=lambda one: -one.seq)


def history(lines: Iterable[Line]) -> History:
    """Make the history of a journal's lines."""
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
            case "sign-in-limit":
                limit = SignInLimit(timedelta(seconds=line["seconds"]), moment(line["at"]))
                found.sign_in_limits.setdefault(line["principal"], limit)
    return found


def call_of(plain: Mapping[str, Any]) -> Call:
    """The call that `plain` wrote as a mapping."""
    return Call(
        account=plain["account"], service=plain["service"], operation=plain["operation"],
        parameters=plain["parameters"], region=plain.get("region"),
    )  # fmt: skip


def plain(call: Call) -> dict[str, Any]:
    """A call as a mapping, for the journal."""
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
    """Note a thing that was as wanted without a call; if a change of ours was broken off, it has completed since."""
    record = _record(found, line)
    record.left = line["wanted"]


def _record(found: History, line: Line) -> ResourceRecord:
    record = found.things.get(line["thing"])
    if record is None:
        record = found.things[line["thing"]] = ResourceRecord(
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
