"""
Service control policies (SCPs) over time, as far as the log of the management account shows them.

They bind all principals of the accounts to which they are attached, root included, but neither the management account
nor service-linked roles.
The log does not show which accounts are under a root or organisational unit, except for those that were moved. If an
account leaves the organisation, or SCPs are disabled in a root, they no longer bind, and enabling them again does not
attach them.
Source: AWS Organizations User Guide, 'Service control policies (SCPs)', 'Disabling a policy type', 'Moving accounts to
an organizational unit (OU)'; AWS Organizations API Reference, 'MoveAccount', 'RemoveAccountFromOrganization',
'LeaveOrganization'.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tokentrail.policy.history.changes import Change
from tokentrail.policy.history.managed import ALLOWS_ONLY, UNSEEN, Reader
from tokentrail.policy.history.timeline import PlacedPolicy, Step, gated, step
from tokentrail.policy.language.documents import Malformed

_SERVICE_CONTROL = "SERVICE_CONTROL_POLICY"
FULL_ACCESS = "p-FullAWSAccess"
"""The SCP that AWS attaches everywhere at first; it allows everything."""

_MOVES = "MoveAccount"
_FOREVER = datetime.min.replace(tzinfo=UTC), 0, ""
_DETACHED = Malformed(reason="it was detached, and what the other SCPs there still allow is not evaluated")


@dataclass(slots=True, kw_only=True)
class Target:
    """An account, organisational unit or root to which SCPs are attached."""

    id: str
    attached: dict[str, list[Step[bool]]] = field(default_factory=dict)
    callers: set[str] = field(default_factory=set)
    """The accounts that attached or detached there, of which one is the management account."""

    def holds(self, parent: str | None) -> bool:
        """
        Whether all that is directly under a unit or root (`parent`) is surely under this target, too.

        The id of a unit contains that of its root.

        Source: AWS Organizations API Reference, 'MoveAccount' (pattern of `DestinationParentId`).
        """
        units = f"ou-{self.id.removeprefix('r-')}-" if self.id.startswith("r-") else None
        return parent is not None and (parent == self.id or bool(units and parent.startswith(units)))

    def may_hold(self, parent: str | None) -> bool:
        """Whether it is not known if it does; what is directly under a root is under no unit."""
        return not self.holds(parent) and not (parent or "").startswith("r-")

    def binds_nothing_more(self, change: Change) -> None:
        """Enter that the attached SCPs no longer bind; the SCP that allows everything counts as attached."""
        for policy, steps in self.attached.items():
            steps.append(step(change, policy == FULL_ACCESS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One SCP at one target over time, for one account."""

    policy: str
    target: str
    steps: list[Step[PlacedPolicy]]
    doubt: str | None
    """Why it may not bind the account; `None` if it surely does."""


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
        Over time: whether an account surely is a target or under it; and whether it may be under it, with the doubt.

        It may be if it is in another unit, which itself may be under the target, or if it is not known where it is.
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

        The log does not always show whether a target is in the same organisation, so that all are taken to be: better
        to look for a credential that is dead than to forget one that lives.
        """
        if change.asked("policyType") == _SERVICE_CONTROL:
            for target in self._targets.values():
                target.binds_nothing_more(change)

    def _note_type(self, policy: str, change: Change) -> None:
        """
        Note a policy of another type than SCP; UpdatePolicy has the type only in its response.

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
    """The documents of the SCP that allows everything: if detached, it is not known what the other SCPs allow."""
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
"""By event name."""
