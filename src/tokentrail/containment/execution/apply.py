"""
Carry out a plan: its steps in order, the calls of one step together, each journaled before and after it is sent.

Just before a step is sent, its cutoff is moved to the clock plus the plan's margin. It is never earlier than the plan
says, nor before all earlier steps have taken effect ("bitten"), since sessions can be minted until then.
Once the last step has taken effect, everything is read back, and what somebody has undone meanwhile is done again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from tokentrail.containment.cutoff import whole_second
from tokentrail.containment.execution import preflight
from tokentrail.containment.execution.cloud import CallFailed, Cloud
from tokentrail.containment.execution.history import History, StepRecord, history
from tokentrail.containment.execution.journal import Journal, stamp
from tokentrail.containment.execution.operations import change
from tokentrail.containment.execution.outcome import Applied, CallResult, StepDone
from tokentrail.containment.execution.recheck import Recheck
from tokentrail.containment.execution.sending import Sender, read_all, settle, together
from tokentrail.containment.execution.sign_in_limit import read_limit
from tokentrail.containment.model import Plan, Step

TRIES = 4
"""How often a step is sent at most, if its calls take so long that its cutoff has passed."""
ROUNDS = 3
"""How often at most what somebody has undone is done again."""

Clock = Callable[[], datetime]


@dataclass(frozen=True, kw_only=True)
class Means:
    """What carrying out needs from outside: a clock, patience, and somebody to ask and to tell."""

    clock: Clock
    sleep: Callable[[float], None]
    confirm: Callable[[Step, str], bool]
    """Asks whether a person has done a step; it is given the reason why a person must."""
    done: frozenset[int] = frozenset()
    """Steps that a person reports as done though calls could do them, so that a call that AWS refuses blocks no run."""
    tell: Callable[[CallResult], None] = lambda result: None
    """Called with each call's result, once it is answered."""
    waiting: Callable[[datetime], None] = lambda until: None
    """Called with the end of a wait before it begins."""


def apply(
    plan: Plan,
    cloud: Cloud,
    journal: Journal,
    means: Means,
    *,
    recheck: Callable[[Mapping[int, StepRecord], datetime], Recheck] | None = None,
    own_session_may_be_cut: bool = False,
) -> Applied:
    """
    Carry out those steps of a plan that are not done yet.

    Args:
        plan: What to do.
        cloud: The accounts.
        journal: The plan's journal, with what earlier runs did.
        means: The clock, and whom to ask and to tell.
        recheck: Proves the plan again over the case as it is now, given the steps that are done and the present time;
            without it, newer evidence is not looked at.
        own_session_may_be_cut: Go on even if a step cuts off the session that carries out the plan.

    Raises:
        UsageError: the plan holds a call that can't be made.
        ActionRefused: the plan must not be carried out, or not by this identity.
    """
    preflight.insist_on_calls(plan, cloud)
    preflight.insist_on_callers(plan, cloud, may_be_cut=own_session_may_be_cut)
    preflight.insist_on_room(plan, cloud)
    notes: tuple[str, ...] = ()
    if recheck is not None:
        found = recheck(history(journal.lines).steps, means.clock())
        preflight.insist_on_evidence(plan, found)
        notes = found.risks
    return replace(_Run(plan, cloud, journal, means).go(), notes=notes)


class _Run:
    """One run of `apply`."""

    def __init__(self, plan: Plan, cloud: Cloud, journal: Journal, means: Means) -> None:
        self._plan, self._cloud, self._journal, self._means = plan, cloud, journal, means
        self._sender = Sender(cloud, journal, means.clock, means.tell)
        self._repeated: list[str] = []

    def go(self) -> Applied:
        settle(self._sender, "apply")
        self._note_sign_in_limits()
        done: list[StepDone] = []
        for step in self._plan.steps:
            record = self._history().steps.get(step.n)
            done.append(self._done_before(step, record) if record else self._take(step))
            if done[-1].why is not None:
                rest = [_not_reached(one) for one in self._plan.steps[len(done) :]]
                return self._result([*done, *rest], f"step {step.n} ({step.action}): {done[-1].why}")
        stopped = self._read_back_and_repeat()
        return self._result([self._as_recorded(one) for one in done], stopped)

    def _note_sign_in_limits(self) -> None:
        """Journal how long sign-in sessions may last that the steps end, for `undo`; where that is told."""
        told = self._history()
        arns = [
            arn for step in self._plan.steps if step.n not in told.steps for arn in step.signed_in
            if arn not in told.sign_in_limits
        ]  # fmt: skip
        found = dict(zip(arns, together(lambda arn: read_limit(arn, self._cloud), arns), strict=True))
        for arn, lasts in found.items():
            if lasts is not None:
                line = {"kind": "sign-in-limit", "principal": arn, "seconds": int(lasts.total_seconds())}
                self._journal.write(line, self._means.clock())

    def _result(self, steps: Sequence[StepDone], stopped: str | None) -> Applied:
        return Applied(
            run=self._journal.run, journal=str(self._journal.path), complete=stopped is None, steps=tuple(steps),
            repeated=tuple(self._repeated), stopped=stopped,
        )  # fmt: skip

    def _history(self) -> History:
        return history(self._journal.lines)

    def _take(self, step: Step) -> StepDone:
        if step.n in self._means.done:
            return self._finished(step, "by-person", self._means.clock(), None, ())
        why = preflight.by_hand(step, self._cloud)
        return self._send(step) if why is None else self._ask(step, why)

    def _ask(self, step: Step, why: str) -> StepDone:
        """Ask whether a person has done a step; the run goes on only if so."""
        if not self._means.confirm(step, why):
            waits = (
                f"waits for a person. {why} Once it is done, run the same command again with --done {step.n}"
            )
            return replace(_not_reached(step), outcome="failed", why=waits)
        now = self._means.clock()
        return self._finished(step, "by-person", now, None, ())

    def _send(self, step: Step) -> StepDone:
        """Send a step; if its calls took so long that its cutoff has passed, send it again with a later one."""
        deeds: list[CallResult] = []
        margin = timedelta(seconds=self._plan.margin)
        for _ in range(TRIES):
            began = self._means.clock()
            sent = self._sender.send(step, lambda: self._cutoff(step, margin))  # noqa: B023 - called at once
            deeds += sent.deeds
            if sent.why is not None:
                return replace(
                    _not_reached(step), outcome="failed", cutoff=sent.cutoff, deeds=tuple(deeds), why=sent.why
                )
            now = self._means.clock()
            reserve = timedelta(seconds=min(step.bites_within, self._plan.margin))
            if sent.cutoff is None or now <= sent.cutoff - reserve:
                return self._finished(step, "done", now, sent.cutoff, deeds)
            margin = max(margin, 2 * (now - began) + reserve)
        why = f"its calls take so long that no cutoff is still ahead when they are sent, {TRIES} times over"
        return replace(_not_reached(step), outcome="failed", deeds=tuple(deeds), why=why)

    def _cutoff(self, step: Step, margin: timedelta) -> datetime | None:
        """The cutoff to write into a step's policy documents if it is sent now."""
        if step.cutoff is None:
            return None
        effective_at = [one.bites_at for n, one in self._history().steps.items() if n < step.n]
        return whole_second(max(step.cutoff, self._means.clock() + margin, *effective_at))

    def _finished(
        self, step: Step, outcome: str, now: datetime, cutoff: datetime | None, deeds: Sequence[CallResult]
    ) -> StepDone:
        bites_at = now + timedelta(seconds=step.bites_within)
        self._journal.write(
            {
                "kind": "step", "verb": "apply", "n": step.n, "outcome": outcome, "sent_at": stamp(now),
                "bites_at": stamp(bites_at), "cutoff": stamp(cutoff) if cutoff else None,
            },
            now,
        )  # fmt: skip
        sent = any(one.outcome == "done" for one in deeds)
        return StepDone(
            n=step.n, action=step.action, cutoff=cutoff, sent_at=now, bites_at=bites_at, deeds=tuple(deeds), why=None,
            outcome="by-person" if outcome == "by-person" else "done" if sent else "already",
        )  # fmt: skip

    def _done_before(self, step: Step, record: StepRecord) -> StepDone:
        return StepDone(
            n=step.n, action=step.action, outcome="by-person" if record.outcome == "by-person" else "already",
            cutoff=record.cutoff, sent_at=record.sent_at, bites_at=record.bites_at, deeds=(), why=None,
        )  # fmt: skip

    def _as_recorded(self, done: StepDone) -> StepDone:
        record = self._history().steps[done.n]
        return replace(done, cutoff=record.cutoff, sent_at=record.sent_at, bites_at=record.bites_at)

    def _read_back_and_repeat(self) -> str | None:
        """
        Read everything back once the last step has taken effect, and do again what somebody has undone.

        Returns:
            Why the plan does not hold; `None` if it does.
        """
        for last in (False,) * ROUNDS + (True,):
            self._wait_for_last_step()
            try:
                broken = self._broken()
            except CallFailed as failure:
                return f"what was done can't be read back: {failure}. Run the same command again to look"
            if not broken:
                return None
            if last:
                break
            self._repeated += [f"{key} (step {n})" for n, key, _ in broken]
            failed = self._repeat(min(n for n, _, _ in broken), {n for n, _, _ in broken})
            if failed:
                return failed
        n, key, slow = min(broken, key=lambda one: one[2])
        if slow:
            return (
                f"{key} (step {n}) still runs, though it was told to stop: end what it runs on, and run the same "
                "command again to look, or deny its role all (`tokentrail contain … --strategy scorched`)"
            )
        return (
            f"somebody undoes it again and again: {key} (step {n}). Only a service control policy stops one who may "
            "write IAM: plan again with --strategy scorched, or from the management account"
        )

    def _wait_for_last_step(self) -> None:
        effective_at = [one.bites_at for one in self._history().steps.values()]
        until = max(effective_at, default=self._means.clock())
        left = (until - self._means.clock()).total_seconds()
        if left > 0:
            self._means.waiting(until)
            self._means.sleep(left)

    def _broken(self) -> list[tuple[int, str, bool]]:
        """What is not as it was left: the last step that changed it, its name, and whether it may just take longer."""
        records = list(self._history().things.values())
        changes = [change(one.call) for one in records]
        states = read_all(self._cloud, [one.thing for one in changes])
        return sorted(
            (max(record.steps), record.key, meant.thing.slow)
            for record, meant, state in zip(records, changes, states, strict=True)
            if not meant.stands(state)
        )

    def _repeat(self, first: int, broken: set[int]) -> str | None:
        """Send undone steps again, and all later ones with a cutoff, since sessions may have been minted meanwhile."""
        for step in self._plan.steps:
            if step.n in broken or (step.n > first and step.cutoff and step.calls):
                done = self._take(step)
                if done.why is not None:
                    return f"step {step.n} ({step.action}), undone by somebody meanwhile: {done.why}"
        return None


def _not_reached(step: Step) -> StepDone:
    return StepDone(
        n=step.n, action=step.action, outcome="not-reached", cutoff=None, sent_at=None, bites_at=None, deeds=(),
        why=None,
    )  # fmt: skip
