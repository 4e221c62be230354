"""
Service control policies through time, as far as the log of the management account shows them.

They bind every principal of the accounts they are attached to, root included, but neither the management
account nor service-linked roles.
Which accounts lie under a root or organisational unit, the log does not tell.
Source: AWS Organizations User Guide, 'Service control policies (SCPs)'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from tokentrail.policy.changes import Change
from tokentrail.policy.document import Malformed
from tokentrail.policy.managed import ALLOWS_ONLY, UNSEEN, Reader
from tokentrail.policy.steps import Held, Step, gated, step

_SERVICE_CONTROL = "SERVICE_CONTROL_POLICY"
FULL_ACCESS = "p-FullAWSAccess"
"""The SCP that AWS attaches everywhere at first; it allows everything."""

_DETACHED = Malformed(reason="it was detached, and what the other SCPs there still allow is not evaluated")


@dataclass(slots=True, kw_only=True)
class Target:
    """A place that SCPs are attached to: an account, organisational unit or root."""

    id: str
    attached: dict[str, list[Step[bool]]] = field(default_factory=dict)
    callers: set[str] = field(default_factory=set)
    """The accounts that attached or detached there, of which one is the management account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One SCP at one target, through time."""

    policy: str
    target: str
    steps: list[Step[Held]]
    doubt: str | None
    """Why it is not sure that it binds the account asked about."""


class Organisation:
    """The SCPs that the log shows."""

    def __init__(self, read: Reader) -> None:
        """Begin with nothing known."""
        self._read = read
        self._documents: dict[str, list[Step[Held]]] = {}
        self._other_types: set[str] = set()
        self._targets: dict[str, Target] = {}

    def enter(self, change: Change) -> None:
        """Enter a change, if it is one that matters here."""
        if change.event_source.startswith("organizations."):
            handler = ORGANIZATIONS_HANDLERS.get(change.event_name)
            if handler is not None:
                handler(self, change)

    def controls(self, account: str) -> Iterator[Control]:
        """Every SCP that binds an account, or may."""
        for target in self._targets.values():
            if target.id.isdigit() and target.id != account:
                continue
            doubt = _doubt(target, account)
            for policy, gate in target.attached.items():
                if policy not in self._other_types:
                    steps = _full_access(gate) if policy == FULL_ACCESS else gated(gate, *self._says(policy))
                    yield Control(policy=policy, target=target.id, steps=steps, doubt=doubt)

    def _says(self, policy: str) -> tuple[list[Step[Held]], Held]:
        return self._documents.get(policy, []), UNSEEN

    def creates(self, change: Change) -> None:
        """Enter CreatePolicy."""
        policy = change.answered("policy", "policySummary", "id")
        if policy is None:
            return
        self._sorts(policy, change)
        self._writes(policy, change)

    def updates(self, change: Change) -> None:
        """Enter UpdatePolicy; without content it only renames."""
        policy = change.asked("policyId")
        if policy is None:
            return
        self._sorts(policy, change)
        if change.document("content") is not None:
            self._writes(policy, change)

    def deletes(self, change: Change) -> None:
        """Enter DeletePolicy."""
        if policy := change.asked("policyId"):
            self._documents.setdefault(policy, []).append(step(change, None))

    def attaches(self, change: Change) -> None:
        """Enter AttachPolicy."""
        self._hangs(change, attach=True)

    def detaches(self, change: Change) -> None:
        """Enter DetachPolicy."""
        self._hangs(change, attach=False)

    def _sorts(self, policy: str, change: Change) -> None:
        """
        Tell policies of other types apart; UpdatePolicy is not asked for the type, but answers with it.

        Source: AWS Organizations API Reference, 'CreatePolicy' and 'UpdatePolicy'.
        """
        told = change.asked("type") or change.answered("policy", "policySummary", "type")
        if told not in (None, _SERVICE_CONTROL):
            self._other_types.add(policy)

    def _writes(self, policy: str, change: Change) -> None:
        document = self._read(change.document("content"))
        self._documents.setdefault(policy, []).append(step(change, document))

    def _hangs(self, change: Change, *, attach: bool) -> None:
        policy, place = change.asked("policyId"), change.asked("targetId")
        if policy and place:
            target = self._targets.setdefault(place, Target(id=place))
            target.callers.add(change.account)
            target.attached.setdefault(policy, []).append(step(change, attach))


def _full_access(gate: list[Step[bool]]) -> list[Step[Held]]:
    """Without it an account may do only what other SCPs allow, which may be nothing."""
    return [Step(item.order, item.event_name, ALLOWS_ONLY if item.value else _DETACHED) for item in gate]


def _doubt(target: Target, account: str) -> str | None:
    if not target.id.isdigit():
        return f"whether account {account} lies under {target.id} is not in the evidence"
    if account in target.callers:
        return f"account {account} attached it itself; were it the management account, no SCP would bind it"
    return None


ORGANIZATIONS_HANDLERS: dict[str, Callable[[Organisation, Change], None]] = {
    "CreatePolicy": Organisation.creates,
    "UpdatePolicy": Organisation.updates,
    "DeletePolicy": Organisation.deletes,
    "AttachPolicy": Organisation.attaches,
    "DetachPolicy": Organisation.detaches,
}
"""By event name; what each one means for credentials is told in `catalogue`."""
