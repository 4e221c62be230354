"""
Which logged calls undo a step of a plan: those that lift, or rewrite, what it did, or let its account escape it.

Both ask here: the guard of a plan that was carried out, and whoever proves a plan again between its steps.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from tokentrail.containment.execution.history import History
from tokentrail.containment.inverses import INVERSES
from tokentrail.containment.model import Call, Plan
from tokentrail.policy.history.changes import Change

_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
_SWITCHES = {
    "UpdateAccessKey": "DeleteAccessKey", "UpdateServiceSpecificCredential": "DeleteServiceSpecificCredential",
}  # fmt: skip
"""The calls that switch keys off and on, and the one that deletes such a key."""
_REWRITTEN_BY = {
    "AttachRolePolicy": ("policyArn", ("CreatePolicyVersion", "SetDefaultPolicyVersion")),
    "AttachUserPolicy": ("policyArn", ("CreatePolicyVersion", "SetDefaultPolicyVersion")),
    "AttachPolicy": ("policyId", ("UpdatePolicy",)),
}
"""By the call of a step: the parameter with the attached policy, in CloudTrail's spelling, and calls that alter it."""
REWRITES = frozenset({"CreatePolicyVersion", "UpdatePolicy"})
"""The calls with which a run of ours writes a policy that was there before."""
_SERVICES = frozenset({"iam.amazonaws.com", "organizations.amazonaws.com"})


class Effect(Enum):
    """What a logged call does to what a step did."""

    REPEATS = "repeats"
    """It does the same, or more: the step is in force after it."""
    UNDOES = "undoes"
    """It undoes it; the step's call, sent again, does it again."""
    ESCAPES = "escapes"
    """It leaves nothing of it, and to send the step's call again does not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepChange:
    """Something that a step did, and that is in force until somebody undoes it."""

    step: int
    account: str
    operation: str
    """The call that did it."""
    resource: tuple[tuple[str, str], ...]
    """What it was done to: names of parameters, as CloudTrail spells them, and their values."""
    documents: tuple[str, ...]
    """The policies that it wrote; if it attached one, those that its step wrote."""

    @property
    def what(self) -> str:
        """What it was done to, in words."""
        return " ".join(value for _, value in self.resource)

    def effect_of(self, change: Change) -> Effect | None:
        """What a successful call does to it; `None` if nothing."""
        if change.event_source not in _SERVICES:
            return None
        if self._is_about(change):
            return self._direct_effect(change)
        if self._is_rewritten(change):
            return Effect.REPEATS if self._is_as_strong(change) else Effect.UNDOES
        return Effect.ESCAPES if self._is_escaped(change) else None

    def _is_about(self, change: Change) -> bool:
        named = all(
            str(change.request.get(name, "")).casefold() == value.casefold() for name, value in self.resource
        )
        return named and self._is_in_account(change)

    def _is_in_account(self, change: Change) -> bool:
        """
        Whether a call may be about the resource, by its account: SCPs are a delegated administrator's, too.

        Source: AWS Organizations User Guide, 'Delegated administrator for AWS Organizations'.
        """
        anywhere = self.operation == "AttachPolicy" or not (self.account and change.account)
        return anywhere or self.account == change.account

    def _direct_effect(self, change: Change) -> Effect | None:
        """What a call does that names the very resource."""
        if self.operation in _SWITCHES:
            is_over = change.event_name == _SWITCHES[self.operation] or change.asked("status") == "Inactive"
            is_active = change.event_name == self.operation and change.asked("status") == "Active"
            return Effect.REPEATS if is_over else Effect.UNDOES if is_active else None
        undoing = INVERSES[self.operation].undone_by
        if change.event_name == self.operation and (
            self.operation not in undoing or self._is_as_strong(change)
        ):
            return Effect.REPEATS
        if change.event_name not in undoing:
            return None
        return Effect.ESCAPES if change.event_name == "CreateAccessKey" else Effect.UNDOES

    def _is_rewritten(self, change: Change) -> bool:
        """Whether a call alters a policy that the step attached."""
        member, calls = _REWRITTEN_BY.get(self.operation, ("", ()))
        if change.event_name not in calls or change.request.get(member) != dict(self.resource)[member]:
            return False
        if not self._is_in_account(change):
            return False
        if change.event_name == "CreatePolicyVersion":
            return change.flag("setAsDefault")
        return change.event_name != "UpdatePolicy" or change.document("content") is not None

    def _is_escaped(self, change: Change) -> bool:
        """Whether SCPs no longer bind the account: `policy.history.service_control_policies` has the sources."""
        if self.operation != "AttachPolicy":
            return False
        target = dict(self.resource)["targetId"]
        if change.event_name == "LeaveOrganization":
            return change.account == target
        if change.event_name == "RemoveAccountFromOrganization":
            return change.asked("accountId") == target
        return (
            change.event_name == "DisablePolicyType"
            and change.asked("policyType") == "SERVICE_CONTROL_POLICY"
        )

    def _is_as_strong(self, change: Change) -> bool:
        """Whether a call writes a policy that the step wrote, with cutoffs at the same time or later."""
        written = change.document("policyDocument") or change.document("content")
        return isinstance(written, str) and any(_as_strong(written, own) for own in self.documents)


def step_changes(plan: Plan, journal: History) -> tuple[StepChange, ...]:
    """
    What the steps of a plan do, as far as a call can undo it.

    Args:
        plan: The plan.
        journal: Among others it has the ids of policies that did not exist when the plan was made.
    """
    found = [change for step in plan.steps for change in changes_of(step.n, step.calls)]
    written = {step.n: _documents(step.calls) for step in plan.steps}
    for record in journal.things.values():
        for n in sorted(record.steps):
            found += _changes(n, record.call, written.get(n, ()))
    return tuple(dict.fromkeys(found))


def changes_of(step: int, calls: Sequence[Call]) -> tuple[StepChange, ...]:
    """What the calls of one step do, as far as a call can undo it."""
    written = _documents(calls)
    return tuple(change for call in calls for change in _changes(step, call, written))


def undone_by(things: Sequence[StepChange], change: Change) -> StepChange | None:
    """What a successful call undoes of what steps did; of several the last one, and nothing if it does one again."""
    effects = [(one, one.effect_of(change)) for one in things]
    if any(effect is Effect.REPEATS for _, effect in effects):
        return None
    return next((one for one, effect in reversed(effects) if effect is not None), None)


def is_undone(things: Iterable[StepChange], changes: Iterable[Change]) -> bool:
    """Whether some calls, in their order, leave undone what a step did, so that it must be sent again."""
    in_force = dict.fromkeys(things, True)
    for change in changes:
        for one in in_force:
            effect = one.effect_of(change)
            if effect in (Effect.REPEATS, Effect.UNDOES):
                in_force[one] = effect is Effect.REPEATS
    return not all(in_force.values())


def _documents(calls: Iterable[Call]) -> tuple[str, ...]:
    """The policies that calls create, which others of the step attach."""
    found = (call.parameters.get("PolicyDocument", call.parameters.get("Content")) for call in calls
             if call.operation == "CreatePolicy")  # fmt: skip
    return tuple(one for one in found if isinstance(one, str))


def _changes(step: int, call: Call, written: tuple[str, ...]) -> Iterator[StepChange]:
    row = INVERSES.get(call.operation)
    names = row.names if row and row.undone_by else ()
    if names and all(isinstance(call.parameters.get(name), str) for name in names):
        own = call.parameters.get("PolicyDocument")
        yield StepChange(
            step=step,
            account=call.account,
            operation=call.operation,
            resource=tuple((_logged(name), call.parameters[name]) for name in names),
            documents=(own,) if isinstance(own, str) else written if call.operation in _REWRITTEN_BY else (),
        )


def _as_strong(document: str, ours: str) -> bool:
    """Whether a policy is the one that we wrote, with cutoffs at the same time or later."""
    if _without_moments(document) != _without_moments(ours):
        return False
    pairs = zip(_MOMENT.findall(_canonical(document)), _MOMENT.findall(_canonical(ours)), strict=False)
    return all(theirs >= own for theirs, own in pairs)


def _without_moments(document: str) -> str:
    return _MOMENT.sub("T", _canonical(document))


def _canonical(document: str) -> str:
    try:
        return json.dumps(json.loads(document), sort_keys=True)
    except (ValueError, RecursionError):
        return document


def _logged(name: str) -> str:
    """A parameter as CloudTrail spells it."""
    return name[0].lower() + name[1:]
