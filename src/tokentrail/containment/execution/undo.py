"""
Undo what a plan's `apply` did: restore the original states from the journal, the newest change first.

A change is not undone if somebody else has changed the thing since, or if lifting its step would revive a credential of
the attacker's, be it known or minted in the blind window. The plan says until when it would, as if each step were sent
at `as_of`. If a step was sent later, sessions could be minted for that much longer, so the same time is added.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from tokentrail.containment.execution import preflight
from tokentrail.containment.execution.cloud import CallFailed, Cloud
from tokentrail.containment.execution.history import ResourceRecord, history, plain
from tokentrail.containment.execution.journal import Journal
from tokentrail.containment.execution.operations import change
from tokentrail.containment.execution.outcome import ByHand, Restored, Undone, UndoOutcome
from tokentrail.containment.execution.resource import Irreversible, Resource, State
from tokentrail.containment.execution.sending import Sender, settle
from tokentrail.containment.execution.sign_in_limit import is_unchanged
from tokentrail.containment.margin import LAG
from tokentrail.containment.model import Call, Plan, Step
from tokentrail.errors import ActionRefused, UsageError
from tokentrail.formatting import instant, short

_SWITCHED = {
    "UpdateAccessKey": "AccessKeyId",
    "UpdateServiceSpecificCredential": "ServiceSpecificCredentialId",
}
"""The calls that deactivate keys, and the parameter that names the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoDecision:
    """What `undo` would do about one thing that was changed, and why."""

    record: ResourceRecord
    thing: Resource
    present: State
    calls: tuple[Call, ...]
    """The calls that it would send; empty if none."""
    outcome: Literal["restore", "already", "kept", "irreversible", "refused"]
    safe_after: datetime | None
    why: str


class Undo:
    """
    One run of `undo`: `look`, then `go`.

    Args:
        plan: The plan that was applied.
        cloud: The accounts.
        journal: The plan's journal.
        clock: Gives the present time.
        reactivate_leaked_key: Also lift steps whose lifting lets a leaked key work again.
        only: The steps to undo; all by default.
    """

    def __init__(
        self, plan: Plan, cloud: Cloud, journal: Journal, *, clock: Callable[[], datetime],
        reactivate_leaked_key: bool = False, only: Collection[int] = (),
    ) -> None:  # fmt: skip
        self._plan, self._cloud, self._journal, self._clock = plan, cloud, journal, clock
        self._steps: Mapping[int, Step] = {step.n: step for step in plan.steps}
        self._reactivate = reactivate_leaked_key
        self._only = frozenset(only)
        self._sender = Sender(cloud, journal, clock, lambda result: None)
        self._unchanged: dict[tuple[str, datetime], str | None] = {}

    def look(self) -> tuple[UndoDecision, ...]:
        """
        Say what would be done about each thing that was changed, the newest change first.

        Raises:
            ActionRefused: an account can't be reached, or only with an identity that must not carry out the plan.
            UsageError: the journal has nothing about a step that is to be undone.
        """
        self._insist_on_known()
        preflight.insist_on_callers(self._plan, self._cloud, may_be_cut=True)
        settle(self._sender, "apply")
        settle(self._sender, "undo")
        changed = history(self._journal.lines).changed
        return tuple(self._judged(record) for record in changed if self._is_meant(record.steps))

    def go(
        self, decisions: Sequence[UndoDecision], tell: Callable[[Restored], None] = lambda one: None
    ) -> Undone:
        """Undo what may be undone, each after a last look at the present state."""
        done = []
        for decision in decisions:
            done.append(self._take_back(self._judged(decision.record) if decision.calls else decision))
            tell(done[-1])
        self._close_steps()
        return Undone(
            run=self._journal.run,
            journal=str(self._journal.path),
            complete=not any(one.outcome in ("refused", "failed") for one in done),
            things=tuple(done),
            by_hand=self.by_hand(),
        )

    def by_hand(self) -> tuple[ByHand, ...]:
        """The steps that a person carried out, which no call of ours undoes."""
        told = history(self._journal.lines).steps
        return tuple(
            ByHand(n=n, action=step.action, targets=step.targets)
            for n, step in sorted(self._steps.items())
            if n in told and told[n].outcome == "by-person" and self._is_meant({n})
        )  # fmt: skip

    def _insist_on_known(self) -> None:
        told = history(self._journal.lines)
        known = {n for record in told.changed for n in record.steps} | told.steps.keys()
        if strange := self._only - known:
            raise UsageError(
                f"--step {min(strange)}: the journal has nothing to take back of such a step; it has of "
                f"{', '.join(map(str, sorted(known))) or 'none'}."
            )

    def _is_meant(self, steps: Set[int]) -> bool:
        return not self._only or not self._only.isdisjoint(steps)

    def _judged(self, record: ResourceRecord) -> UndoDecision:
        thing = change(record.call).thing
        try:
            present = thing.read(self._cloud)
        except CallFailed as failure:
            why = f"what is there now can't be read: {failure}"
            return _decision(record, thing, {}, "refused", why)
        if thing.same(present, record.original):
            if record.left is None and (lost := thing.lost(present, record.original)) is not None:
                return _decision(record, thing, present, "irreversible", lost)
            return _decision(record, thing, present, "already", "it is as it was before")
        try:
            calls = thing.restoring(present, record.original)
        except Irreversible as never:
            return _decision(record, thing, present, "irreversible", str(never))
        if record.left is None or not thing.same(present, record.left):
            why = "somebody has changed it since, so that putting back what was there would undo that; do it by hand"
            return _decision(record, thing, present, "refused", why)
        outcome, safe_after, why = self._safety(record)
        kept = outcome != "restore"
        return _decision(
            record, thing, present, outcome, why, calls=() if kept else calls, safe_after=safe_after
        )

    def _safety(
        self, record: ResourceRecord
    ) -> tuple[Literal["restore", "kept", "refused"], datetime | None, str]:
        """Whether lifting all steps that changed a thing revives a credential: the outcome, safe from when, and why."""
        if self._only and (others := record.steps - self._only):
            named = " ".join(f"--step {n}" for n in sorted(record.steps))
            why = f"it bears what step {min(others)} did, too; take back all that it bears with {named}"
            return "refused", None, why
        steps = [self._steps[n] for n in sorted(record.steps)]
        if (made := _made_key(record, steps)) is not None:
            return "kept", None, f"the attacker made {made}: it stays inactive, as evidence"
        final = [step for step in steps if not step.reversible]
        if final:
            why = f"step {final[0].n} ({final[0].action}) is not to be taken back: it undid what the attacker did"
            return "kept", None, why
        endless = [step for step in steps if step.safe_to_undo_after is None]
        if endless and not self._reactivate:
            ended = ", ".join(endless[0].ends[:3]) or "what it ended"
            if all(step.action in ("deactivate-key", "deactivate-api-key") for step in endless):
                return (
                    "kept",
                    None,
                    f"{ended} has leaked, and stays inactive without --yes-reactivate-leaked-key",
                )
            revived = f"revive {ended}, which never ends by itself"
            if not self._plan.proof.complete:
                revived = f"let the attacker's in again, as the plan does not end all: {ended}, or what is minted anew"
            return (
                "refused", None,
                f"lifting step {endless[0].n} would {revived}; end it for good first, or go on with "
                "--yes-reactivate-leaked-key",
            )  # fmt: skip
        safe = max((at for step in steps if (at := self._safe_after(step, record))), default=None)
        if safe is not None and self._clock() < safe:
            why = f"lifting it before {instant(safe)} could revive a credential of the attacker's; run this again then"
            return (
                "refused",
                safe,
                why + "".join(dict.fromkeys(self._about_sign_ins(step, record) for step in steps)),
            )
        return "restore", safe, "put back what was there"

    def _safe_after(self, step: Step, record: ResourceRecord) -> datetime | None:
        """When lifting a step becomes safe, given when it was sent; `None` if never."""
        if step.safe_to_undo_after is None:
            return None
        cutoff = record.cutoffs.get(step.n)
        later = cutoff - step.cutoff if cutoff and step.cutoff else record.at - self._plan.as_of
        safe = step.safe_to_undo_after + max(later, timedelta())
        if not step.signed_in or not step.safe_but_for_sign_ins or not cutoff or self._clock() >= safe:
            return safe
        if any(self._doubt(arn, cutoff) for arn in step.signed_in):
            return safe
        limits = history(self._journal.lines).sign_in_limits
        lasts = max(limits[arn].lasts for arn in step.signed_in)
        return min(safe, max(step.safe_but_for_sign_ins + max(later, timedelta()), cutoff + lasts))

    def _doubt(self, arn: str, cutoff: datetime) -> str | None:
        """Why it is not known how long sign-in sessions of before a cutoff may last; `None` if the journal tells."""
        limit = history(self._journal.lines).sign_in_limits.get(arn)
        if limit is None:
            call = "GetRole" if ":role/" in arn else "GetLoginProfile"
            return f"`apply` could not read how long they may last (iam:{call})"
        until = max(limit.read_at, cutoff)
        if (arn, until) not in self._unchanged:
            self._unchanged[arn, until] = self._changed(arn, until)
        return self._unchanged[arn, until]

    def _changed(self, arn: str, until: datetime) -> str | None:
        """Why what was read may not have been so for ninety days; `None` if CloudTrail shows that it has."""
        now = self._clock()
        if now < until + timedelta(seconds=max(self._plan.lag, LAG)):
            return "CloudTrail does not show yet whether that was changed"
        try:
            changed = not is_unchanged(arn, self._cloud, until, now)
        except (CallFailed, ActionRefused) as failure:
            return f"whether that was changed can't be looked up (cloudtrail:LookupEvents): {failure}"
        return "that was changed within ninety days" if changed else None

    def _about_sign_ins(self, step: Step, record: ResourceRecord) -> str:
        """Sentences about sign-in sessions that keep a step from being lifted sooner, and what is not known of them."""
        cutoff = record.cutoffs.get(step.n)
        doubts = {arn: doubt for arn in step.signed_in if cutoff and (doubt := self._doubt(arn, cutoff))}
        return "".join(
            f". Whoever signed in as {short(arn)} before may stay so for ninety days: {doubt}"
            for arn, doubt in doubts.items()
        )

    def _take_back(self, decision: UndoDecision) -> Restored:
        if not decision.calls:
            outcome: UndoOutcome = decision.outcome if decision.outcome != "restore" else "already"
            if outcome == "already":
                self._write_already(decision)
            return _restored(decision, outcome, (), decision.why)
        sent: list[Call] = []
        for part, call in enumerate(decision.calls):
            error = self._send(decision, part, call)
            if error is not None:
                why = f"{call.service}:{call.operation} failed: {error}. Put that right, and run the same command again"
                return _restored(decision, "failed", sent, why)
            sent.append(call)
        return _restored(decision, "restored", sent, decision.why)

    def _line(self, decision: UndoDecision, part: int, call: Call, *, final: bool) -> dict[str, object]:
        record = decision.record
        return {
            "kind": "before", "verb": "undo", "n": max(record.steps), "index": 0, "part": part, "final": final,
            "thing": record.key, "meant": plain(record.call), "call": plain(call),
            "before": decision.present, "wanted": record.original, "cutoff": None,
        }  # fmt: skip

    def _send(self, decision: UndoDecision, part: int, call: Call) -> str | None:
        final = part == len(decision.calls) - 1
        seq = self._journal.write(self._line(decision, part, call, final=final), self._clock())
        try:
            answer = self._cloud.send(call)
        except CallFailed as failure:
            if final and self._is_back(decision):
                self._after(seq, "done", failure.request_id, None, str(failure))
                return None
            self._after(seq, "failed", failure.request_id, None, str(failure))
            return str(failure)
        self._after(seq, "done", answer.request_id, answer.body, None)
        return None

    def _is_back(self, decision: UndoDecision) -> bool:
        try:
            return decision.thing.same(decision.thing.read(self._cloud), decision.record.original)
        except CallFailed:
            return False

    def _write_already(self, decision: UndoDecision) -> None:
        """Journal that a thing is in its original state, so that nothing is left to undo."""
        seq = self._journal.write(self._line(decision, 0, decision.record.call, final=True), self._clock())
        self._after(seq, "done", None, None, None)

    def _after(
        self,
        seq: int,
        outcome: str,
        request_id: str | None,
        answer: Mapping[str, object] | None,
        error: str | None,
    ) -> None:
        self._journal.write(
            {
                "kind": "after", "of": seq, "outcome": outcome, "request_id": request_id, "answer": answer,
                "error": error, "found": error is not None and outcome == "done",
            },
            self._clock(),
        )  # fmt: skip

    def _close_steps(self) -> None:
        """Journal which steps are lifted, so that `apply` carries them out again."""
        told = history(self._journal.lines)
        standing = {n for record in told.changed for n in record.steps}
        for n in sorted(set(told.steps) - standing):
            if told.steps[n].outcome == "done":
                self._journal.write(
                    {"kind": "step", "verb": "undo", "n": n, "outcome": "undone"}, self._clock()
                )


def _decision(
    record: ResourceRecord, thing: Resource, present: State,
    outcome: Literal["restore", "already", "kept", "irreversible", "refused"], why: str, *,
    calls: tuple[Call, ...] = (), safe_after: datetime | None = None,
) -> UndoDecision:  # fmt: skip
    return UndoDecision(
        record=replace(record), thing=thing, present=present, calls=calls, outcome=outcome, safe_after=safe_after,
        why=why,
    )  # fmt: skip


def _made_key(record: ResourceRecord, steps: Sequence[Step]) -> str | None:
    """The id of a key that a step deactivates and the plan has no call to reactivate, since the attacker made it."""
    member = _SWITCHED.get(record.call.operation)
    if member is None:
        return None
    key = record.call.parameters.get(member)
    undone = {call.parameters.get(member) for step in steps for call in step.undo}
    return None if not undone or key in undone else str(key)


def _restored(decision: UndoDecision, outcome: UndoOutcome, calls: Sequence[Call], why: str) -> Restored:
    return Restored(
        thing=decision.thing.name, account=decision.thing.account, steps=tuple(sorted(decision.record.steps)),
        outcome=outcome, calls=tuple(calls), safe_after=decision.safe_after, why=why,
    )  # fmt: skip
