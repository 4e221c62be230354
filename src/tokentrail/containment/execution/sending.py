"""
Send the calls of one step together: read the present state, journal what will be sent, send it, journal the answer.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from tokentrail.containment.cutoff import moved
from tokentrail.containment.execution.cloud import Answer, CallFailed, Cloud
from tokentrail.containment.execution.history import call_of, history, plain
from tokentrail.containment.execution.journal import Journal, stamp
from tokentrail.containment.execution.operations import LAST, change, references, resolved
from tokentrail.containment.execution.outcome import CallResult
from tokentrail.containment.execution.resource import Resource, ResourceChange, State
from tokentrail.containment.model import Call, Step
from tokentrail.errors import ActionRefused, UsageError

AT_ONCE = 16
"""How many calls are under way at the same time."""


@dataclass(frozen=True, kw_only=True)
class Sent:
    """What came of sending a step once."""

    cutoff: datetime | None
    deeds: tuple[CallResult, ...]
    why: str | None
    """Why not all of it is in effect; `None` if it is."""


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """A call of the step whose effect is not there yet, with the calls that bring it about from the state read."""

    index: int
    change: ResourceChange
    state: State
    calls: tuple[Call, ...]
    context: Mapping[str, Any]


def read_all(cloud: Cloud, things: Sequence[Resource]) -> list[State]:
    """
    Read the states of things, several at the same time.

    Raises:
        CallFailed: one can't be read.
    """
    return together(lambda thing: thing.read(cloud), things)


def settle(sender: Sender, verb: Literal["apply", "undo"]) -> None:
    """
    Find out what became of calls that were sent by a run that was killed before it journaled their answers.

    Raises:
        ActionRefused: the present state can't be read.
    """
    try:
        sender.settle(verb)
    except CallFailed as failure:
        raise ActionRefused(
            f"an earlier run ended between a call and its answer, and what is there now can't be read: {failure}. "
            "Put that right, and run the same command again."
        ) from failure


class Sender:
    """Sends steps of one plan."""

    def __init__(
        self,
        cloud: Cloud,
        journal: Journal,
        clock: Callable[[], datetime],
        tell: Callable[[CallResult], None],
    ) -> None:
        self._cloud, self._journal, self._clock, self._tell = cloud, journal, clock, tell

    def settle(self, verb: Literal["apply", "undo"] = "apply") -> None:
        """
        Find out what became of calls without a journaled answer, by the present state.

        Raises:
            CallFailed: the state can't be read.
        """
        for one in history(self._journal.lines).open.values():
            line = one.line
            if line["verb"] != verb:
                continue
            meant = change(call_of(line["meant"]))
            state = meant.thing.read(self._cloud)
            stands = line["final"] and (
                meant.stands(state) if verb == "apply" else meant.thing.same(state, line["wanted"])
            )
            self._after(
                one.seq, "done" if stands else "failed", error=None if stands else "not in effect", found=True
            )

    def send(self, step: Step, cutoff: Callable[[], datetime | None]) -> Sent:
        """
        Send a step once.

        Args:
            step: The step.
            cutoff: Gives the cutoff to write; called once all states have been read.
        """
        answers: dict[int, Mapping[str, Any]] = {}
        deeds: list[CallResult] = []
        moment: datetime | None = None
        for place, wave in enumerate(_waves(step.calls)):
            try:
                calls = {index: resolved(step.calls[index], answers) for index in wave}
                things = [change(call).thing for call in calls.values()]
                states = dict(zip(calls, read_all(self._cloud, things), strict=True))
            except (CallFailed, UsageError) as error:
                nothing = "Nothing of it was sent" if not deeds else "The rest of it was not sent"
                why = f"what is there now can't be read: {error}. {nothing}"
                return Sent(cutoff=moment, deeds=tuple(deeds), why=why)
            if place == 0:
                moment = cutoff()
            if step.cutoff and moment:
                calls = {index: moved(call, step.cutoff, moment) for index, call in calls.items()}
            changes = {index: change(call) for index, call in calls.items()}
            sent = self._wave(step, moment, changes, states, answers)
            deeds += sent
            failed = [one for one in sent if one.outcome == "failed"]
            if failed:
                return Sent(cutoff=moment, deeds=tuple(deeds), why=_failure_in_words(failed, step))
        return Sent(cutoff=moment, deeds=tuple(deeds), why=None)

    def _wave(
        self, step: Step, cutoff: datetime | None, changes: Mapping[int, ResourceChange], states: Mapping[int, State],
        answers: dict[int, Mapping[str, Any]],
    ) -> list[CallResult]:  # fmt: skip
        """Send the calls whose effect is not there yet, and journal the others as needing no call."""
        known = history(self._journal.lines).things
        deeds: list[CallResult] = []
        entries: list[_Entry] = []
        for index, meant in changes.items():
            state, key = states[index], meant.thing.key
            context = {
                "verb": "apply", "n": step.n, "index": index, "thing": key,
                "meant": plain(meant.call), "wanted": meant.wanted,
                "cutoff": stamp(cutoff) if cutoff else None,
            }  # fmt: skip
            if meant.stands(state):
                deeds.append(self._already(index, meant, state, context))
                answers[index] = meant.answer(state) if meant.answer else {}
                continue
            ours = key in known and known[key].changed and known[key].original.get("document") is None
            calls = meant.calls(state, ours=ours)
            entries.append(_Entry(index=index, change=meant, state=state, calls=calls, context=context))
        opened = self._before_all(entries)
        for entry, (done, answer) in zip(
            entries, together(self._carry_out, list(zip(entries, opened, strict=True))), strict=True
        ):
            deeds += done
            answers[entry.index] = answer
        return deeds

    def _already(
        self, index: int, meant: ResourceChange, state: State, context: Mapping[str, Any]
    ) -> CallResult:
        now = self._clock()
        self._journal.write({"kind": "already", **context, "call": plain(meant.call), "before": state}, now)
        result = CallResult(
            n=context["n"], index=index, part=0, call=meant.call, outcome="already", at=now, request_id=None,
            error=None, why=meant.thing.gone(state),
        )  # fmt: skip
        self._tell(result)
        return result

    def _before_all(self, entries: Sequence[_Entry]) -> list[int]:
        """Journal the first part of each call, with one write to the disk."""
        lines = [_before(entry, 0) for entry in entries]
        return self._journal.write_all(lines, self._clock()) if lines else []

    def _carry_out(self, opened: tuple[_Entry, int]) -> tuple[list[CallResult], Mapping[str, Any]]:
        """Send the parts of one call, one after the other, until one fails."""
        entry, seq = opened
        deeds: list[CallResult] = []
        answer: Mapping[str, Any] = {}
        for part, call in enumerate(entry.calls):
            if part:
                seq = self._journal.write(_before(entry, part), self._clock())
            answer = self._send_part(entry, part, call, seq, deeds)
            if deeds[-1].outcome == "failed":
                break
        return deeds, answer

    def _send_part(
        self, entry: _Entry, part: int, call: Call, seq: int, deeds: list[CallResult]
    ) -> Mapping[str, Any]:
        request_id = error = why = None
        answer: Mapping[str, Any] = {}
        try:
            told = self._cloud.send(call)
            request_id, answer = told.request_id, told.body
            if call.operation != entry.change.call.operation and entry.change.answer:
                answer = entry.change.answer(entry.state)
            self._after(seq, "done", answer=told if entry.change.keeps else replace(told, body={}))
        except CallFailed as failure:
            request_id = failure.request_id
            state = self._stands_after_all(entry, part, failure)
            if state is None:
                error = str(failure)
                self._after(seq, "failed", request_id=request_id, error=error)
            else:
                answer = entry.change.answer(state) if entry.change.answer else {}
                why = entry.change.thing.gone(state) if state else None
                self._after(seq, "done", request_id=request_id, error=str(failure), found=True)
        result = CallResult(
            n=entry.context["n"], index=entry.index, part=part, call=call, at=self._clock(), request_id=request_id,
            error=error, outcome="failed" if error else "done", why=why,
        )  # fmt: skip
        deeds.append(result)
        self._tell(result)
        return answer

    def _stands_after_all(self, entry: _Entry, part: int, failure: CallFailed) -> State | None:
        """The present state, if a failed call has taken effect or is no longer needed; `None` if it really failed."""
        if part < len(entry.calls) - 1:
            return {} if failure.kind == "missing" else None
        if failure.kind == "denied":
            return None
        try:
            state = entry.change.thing.read(self._cloud)
        except CallFailed:
            return None
        return state if entry.change.stands(state) else None

    def _after(
        self, seq: int, outcome: str, *, answer: Answer | None = None, request_id: str | None = None,
        error: str | None = None, found: bool = False,
    ) -> None:  # fmt: skip
        self._journal.write(
            {
                "kind": "after", "of": seq, "outcome": outcome, "error": error, "found": found,
                "request_id": answer.request_id if answer else request_id,
                "answer": answer.body if answer else None,
            },
            self._clock(),
        )  # fmt: skip


def _before(entry: _Entry, part: int) -> dict[str, Any]:
    return {
        "kind": "before", **entry.context, "part": part, "final": part == len(entry.calls) - 1,
        "call": plain(entry.calls[part]), "before": entry.state,
    }  # fmt: skip


def _waves(calls: Sequence[Call]) -> list[list[int]]:
    """
    Which calls are sent together, by their places in the step, wave after wave.

    A call comes after those that it refers to; one that attaches a policy, after all that create one; and one that only
    works when all else is done (`LAST`), after all before it.
    """
    wave_of: list[int] = []
    made: set[int] = set()
    for call in calls:
        needs = {wave_of[place] for place in references(call)}
        if call.operation.startswith("Attach"):
            needs |= made
        if call.operation in LAST:
            needs |= set(wave_of)
        wave_of.append(max(needs, default=-1) + 1)
        if call.operation == "CreatePolicy":
            made.add(wave_of[-1])
    return [
        [index for index, wave in enumerate(wave_of) if wave == number]
        for number in range(max(wave_of, default=-1) + 1)
    ]


def _failure_in_words(failed: Sequence[CallResult], step: Step) -> str:
    first = failed[0]
    others = f" ({len(failed) - 1:,} more failed too)" if len(failed) > 1 else ""
    return (
        f"{first.call.service}:{first.call.operation} in account {first.call.account} failed: {first.error}{others}. "
        f"Put that right, and run the same command again: it goes on with step {step.n}. Or do that step by hand, and "
        f"run it again with --done {step.n}"
    )


def together(do: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    """Call a function for several items at the same time; the results are in the order of the items."""
    listed = list(items)
    if len(listed) < 2:
        return [do(one) for one in listed]
    with ThreadPoolExecutor(max_workers=min(AT_ONCE, len(listed))) as pool:
        return list(pool.map(do, listed))
