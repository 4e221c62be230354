"""
Calls that lifted a service control policy which denied somebody everything.

Whoever may change the organisation can lift a containment that nobody in the account itself could lift.
Source: AWS Organizations User Guide, 'Service control policies (SCPs)'; `policy.organisation` cites that of each call.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from tokentrail.policy.history.changes import Change, in_order
from tokentrail.policy.history.managed import Reader
from tokentrail.policy.history.service_control_policies import ORGANIZATIONS_HANDLERS, Organisation
from tokentrail.policy.history.timeline import PlacedPolicy
from tokentrail.policy.language.documents import Document

CALLS = frozenset(ORGANIZATIONS_HANDLERS)
_DONE = {
    "DetachPolicy": "detached service control policy {policy} from {target}",
    "UpdatePolicy": "rewrote service control policy {policy} of {target}",
    "MoveAccount": "moved account {account} away from {target}, where service control policy {policy} binds,",
    "RemoveAccountFromOrganization": "removed account {account} from the organisation, where {policy} bound it,",
    "LeaveOrganization": "took account {account} out of the organisation, where {policy} bound it,",
    "DisablePolicyType": "switched off service control policies, {policy} of {target} among them,",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifted:
    """A denial by an SCP that a call lifted from an account."""

    by: str
    """The id of the event that lifted it."""
    before: str
    """The id of the event that had put it in force."""
    done: str
    """What was done, in words."""


def lifted(changes: Iterable[Change]) -> Iterator[Lifted]:
    """Find the calls that lifted such a denial from an account, each once."""
    organisation = Organisation(Reader())
    for change in in_order(changes):
        organisation.enter(change)
    told = set[str]()
    for account in organisation.accounts():
        for control in organisation.controls(account):
            for before, after in pairwise(control.steps if control.doubt is None else ()):
                freed = _denies_all(before.value) and not _denies_all(after.value)
                if freed and after.event_name in _DONE and after.event_id not in told:
                    told.add(after.event_id)
                    done = _DONE[after.event_name].format(
                        policy=control.policy, target=control.target, account=account
                    )
                    yield Lifted(by=after.event_id, before=before.event_id, done=done)


def _denies_all(held: PlacedPolicy) -> bool:
    """Whether a policy denies everything to somebody, unlike guardrails, which deny some actions or regions."""
    denials = held.denials if isinstance(held, Document) else ()
    return any(one.is_total for one in denials)
