"""
Service control policies through time, as far as the log of the management account shows them.

They bind every principal of the accounts they are attached to, root included, but neither the management
account nor service-linked roles.
Which accounts lie under a root or organisational unit, the log does not tell, but for what an account was moved from
and to. Where an account leaves, and where SCPs are switched off in a root, they bind no more, and are not there when
they are switched on again.
Source: AWS Organizations User Guide, 'Service control policies (SCPs)', 'Disabling a policy type', 'Moving accounts to
an organizational unit (OU)'; AWS Organizations API Reference, 'MoveAccount', 'RemoveAccountFromOrganization',
'LeaveOrganization'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tokentrail.policy.changes import Change
from tokentrail.policy.document import Malformed
from tokentrail.policy.managed import ALLOWS_ONLY, UNSEEN, Reader
from tokentrail.policy.steps import PlacedPolicy, Step, gated, step

_SERVICE_CONTROL = "SERVICE_CONTROL_POLICY"
FULL_ACCESS = "p-FullAWSAccess"
"""The SCP that AWS attaches everywhere at first; it allows everything."""

_MOVES = "MoveAccount"
_FOREVER = datetime.min.replace(tzinfo=UTC), 0, ""
_DETACHED = Malformed(reason="it was detached, and what the other SCPs there still allow is not evaluated")


@dataclass(slots=True, kw_only=True)
class Target:
    """A place that SCPs are attached to: an account, organisational unit or root."""

    id: str
    attached: dict[str, list[Step[bool]]] = field(default_factory=dict)
    callers: set[str] = field(default_factory=set)
    """The accounts that attached or detached there, of which one is the management account."""

    def holds(self, parent: str | None) -> bool:
        """
        Whether what lies directly under a unit or root surely lies under this: units bear the id of their root.

        Source: AWS Organizations API Reference, 'MoveAccount' (pattern of `DestinationParentId`).
        """
        units = f"ou-{self.id.removeprefix('r-')}-" if self.id.startswith("r-") else None
        return parent is not None and (parent == self.id or bool(units and parent.startswith(units)))

    def may_hold(self, parent: str | None) -> bool:
        """Whether that is not known: what lies directly under a root lies under no unit."""
        return not self.holds(parent) and not (parent or "").startswith("r-")

    def binds_nothing_more(self, change: Change) -> None:
        """Enter that nothing of what is attached binds any more: what allows everything stands for that."""
        for policy, steps in self.attached.items():
            steps.append(step(change, policy == FULL_ACCESS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One SCP at one target, through time."""

    policy: str
    target: str
    steps: list[Step[PlacedPolicy]]
    doubt: str | None
    """Why it is not sure that it binds the account asked about."""


class Organisation:
    """The SCPs that the log shows."""

    def __init__(self, read: Reader) -> None:
        """Begin with nothing known."""
        self._read = read
        self._documents: dict[str, list[Step[PlacedPolicy]]] = {}
        self._other_types: set[str] = set()
        self._targets: dict[str, Target] = {}
        self._moves: dict[str, list[Change]] = {}
        self._managing: set[str] = set()

    def enter(self, change: Change) -> None:
        """Enter a change, if it is one that matters here."""
        if change.event_source.startswith("organizations."):
            handler = ORGANIZATIONS_HANDLERS.get(change.event_name)
            if handler is not None:
                handler(self, change)

    def accounts(self) -> list[str]:
        """The accounts that an SCP was attached to, or that were moved."""
        return sorted({one for one in self._targets if one.isdigit()} | self._moves.keys())

    def controls(self, account: str) -> Iterator[Control]:
        """Every SCP that binds an account, or may."""
        for target in self._targets.values():
            if target.id.isdigit() and target.id != account:
                continue
            for policy, gate in target.attached.items():
                if policy not in self._other_types:
                    steps = (
                        _full_access(gate)
                        if policy == FULL_ACCESS
                        else gated(gate, *self._documents_of(policy))
                    )
                    for under, doubt in self._under(target, account):
                        yield Control(policy=policy, target=target.id, steps=gated(under, steps), doubt=doubt)

    def _under(self, target: Target, account: str) -> Iterator[tuple[list[Step[bool]], str | None]]:
        """
        When an account surely is a target or lies under it, and when it may lie under it, and why not.

        It may at any time when it lies in another unit, or is not known to lie anywhere: that may lie under the target.
        """
        own = None
        if account in target.callers:
            own = (
                f"account {account} attached it itself; were it the management account, no SCP would bind it"
            )
        if account in self._managing:
            own = f"account {account} moved accounts, which the management account alone may, and no SCP binds that"
        if target.id.isdigit():
            yield [Step(_FOREVER, "", True)], own
            return
        moves = self._moves.get(account, [])
        first = moves[0].asked("sourceParentId") if moves else None
        sure, unsure = [Step(_FOREVER, "", target.holds(first))], [Step(_FOREVER, "", target.may_hold(first))]
        for move in moves:
            parent = move.asked("destinationParentId")
            sure.append(step(move, target.holds(parent)))
            unsure.append(step(move, target.may_hold(parent) and move.event_name == _MOVES))
        yield sure, own
        yield unsure, f"whether account {account} lies under {target.id} is not in the evidence"

    def _documents_of(self, policy: str) -> tuple[list[Step[PlacedPolicy]], PlacedPolicy]:
        return self._documents.get(policy, []), UNSEEN

    def creates(self, change: Change) -> None:
        """Enter CreatePolicy."""
        policy = change.answered("policy", "policySummary", "id")
        if policy is None:
            return
        self._note_type(policy, change)
        self._note_document(policy, change)

    def updates(self, change: Change) -> None:
        """Enter UpdatePolicy; without content it only renames."""
        policy = change.asked("policyId")
        if policy is None:
            return
        self._note_type(policy, change)
        if change.document("content") is not None:
            self._note_document(policy, change)

    def deletes(self, change: Change) -> None:
        """Enter DeletePolicy."""
        if policy := change.asked("policyId"):
            self._documents.setdefault(policy, []).append(step(change, None))

    def attaches(self, change: Change) -> None:
        """Enter AttachPolicy."""
        self._attach_or_detach(change, attach=True)

    def detaches(self, change: Change) -> None:
        """Enter DetachPolicy."""
        self._attach_or_detach(change, attach=False)

    def moves(self, change: Change) -> None:
        """Enter MoveAccount, which the management account alone may call."""
        self._managing.add(change.account)
        if account := change.asked("accountId"):
            self._moves.setdefault(account, []).append(change)

    def removes(self, change: Change) -> None:
        """Enter RemoveAccountFromOrganization, or LeaveOrganization, which an account calls for itself."""
        account = change.asked("accountId") or change.account
        self._moves.setdefault(account, []).append(change)
        if account in self._targets:
            self._targets[account].binds_nothing_more(change)

    def switches_off(self, change: Change) -> None:
        """
        Enter DisablePolicyType.

        Whether what hangs on a target is of the same organisation, the log does not always tell: better to look for a
        credential that is dead than to forget one that lives.
        """
        if change.asked("policyType") == _SERVICE_CONTROL:
            for target in self._targets.values():
                target.binds_nothing_more(change)

    def _note_type(self, policy: str, change: Change) -> None:
        """
        Tell policies of other types apart; UpdatePolicy is not asked for the type, but answers with it.

        Source: AWS Organizations API Reference, 'CreatePolicy' and 'UpdatePolicy'.
        """
        told = change.asked("type") or change.answered("policy", "policySummary", "type")
        if told not in (None, _SERVICE_CONTROL):
            self._other_types.add(policy)

    def _note_document(self, policy: str, change: Change) -> None:
        document = self._read(change.document("content"))
        self._documents.setdefault(policy, []).append(step(change, document))

    def _attach_or_detach(self, change: Change, *, attach: bool) -> None:
        policy, place = change.asked("policyId"), change.asked("targetId")
        if policy and place:
            target = self._targets.setdefault(place, Target(id=place))
            target.callers.add(change.account)
            target.attached.setdefault(policy, []).append(step(change, attach))


def _full_access(gate: list[Step[bool]]) -> list[Step[PlacedPolicy]]:
    """Without it an account may do only what other SCPs allow, which may be nothing."""
    return [Step(item.order, item.event_name, ALLOWS_ONLY if item.value else _DETACHED) for item in gate]


ORGANIZATIONS_HANDLERS: dict[str, Callable[[Organisation, Change], None]] = {
    "CreatePolicy": Organisation.creates,
    "UpdatePolicy": Organisation.updates,
    "DeletePolicy": Organisation.deletes,
    "AttachPolicy": Organisation.attaches,
    "DetachPolicy": Organisation.detaches,
    _MOVES: Organisation.moves,
    "RemoveAccountFromOrganization": Organisation.removes,
    "LeaveOrganization": Organisation.removes,
    "DisablePolicyType": Organisation.switches_off,
}
"""By event name; what each one means for credentials is told in `catalogue`."""
