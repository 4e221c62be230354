"""
The IAM and Organizations calls that change what credentials may do, as the log records them.

Source: CloudTrail User Guide, 'CloudTrail record contents'; request and response fields are those of the
API, in lower camel case.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime

Order = tuple[datetime, int, str]
"""
The order of changes: by time, then by rank, then by event id.

Records have whole seconds. Within one second, what creates a thing comes before what uses it, and what deletes it comes
last, as IAM would have refused any other order. If both orders are possible, as when a deny is put and deleted in one
second, the deny counts as lifted: better to look for a credential that is dead than to forget one that lives.
"""

_MAKES, _SETS, _LIFTS, _FORGETS, _ENDS = range(5)
_RANKS = {
    "CreateUser": _MAKES,
    "CreateRole": _MAKES,
    "AcquireRole": _MAKES,
    "CreateGroup": _MAKES,
    "CreatePolicy": _MAKES,
    "SetDefaultPolicyVersion": _LIFTS,
    "RemoveUserFromGroup": _LIFTS,
    "DisablePolicyType": _LIFTS,
    "RemoveAccountFromOrganization": _LIFTS,
    "LeaveOrganization": _LIFTS,
    "DeletePolicyVersion": _FORGETS,
    "DeleteAccessKey": _FORGETS,
    "DeleteServiceSpecificCredential": _FORGETS,
    "DeleteUser": _ENDS,
    "DeleteRole": _ENDS,
    "DeleteGroup": _ENDS,
    "DeletePolicy": _ENDS,
}


@dataclass(slots=True, kw_only=True)
class Change:
    """One successful call to IAM or Organizations. Not frozen, as that takes twice as long, but never changed."""

    time: datetime
    event_id: str
    account: str
    """The account that it was made in."""
    event_source: str
    event_name: str
    request: Mapping[str, object] = field(default_factory=dict)
    response: Mapping[str, object] | None = None
    caller_user: str | None = None
    """The IAM user that made the call: a call that names no user means the caller's own."""
    region: str | None = None
    """Where it was made; filled in only where it matters."""
    order: Order = field(init=False, compare=False, repr=False)
    """Its place among all changes."""

    def __post_init__(self) -> None:
        """Work out its order once, since it is needed several times."""
        lifts = self.event_name.startswith(("Delete", "Detach")) or self.asked("status") == "Active"
        rank = _RANKS.get(self.event_name, _LIFTS if lifts else _SETS)
        self.order = (self.time, rank, self.event_id)

    def asked(self, name: str) -> str | None:
        """A request parameter, if it is a text that is not empty."""
        return _text(self.request, name)

    def answered(self, *path: str) -> str | None:
        """A text inside the response, by its path."""
        inner: object = self.response
        for name in path[:-1]:
            inner = inner.get(name) if isinstance(inner, Mapping) else None
        return _text(inner, path[-1])

    def flag(self, name: str) -> bool:
        """A boolean request parameter, absent meaning false."""
        value = self.request.get(name)
        return value is True or (isinstance(value, str) and value.casefold() == "true")

    def document(self, name: str) -> object:
        """A policy document of the request, not parsed."""
        return self.request.get(name)


def in_order(changes: Iterable[Change]) -> list[Change]:
    """Sort changes, each event once, however often and in what order they came."""
    once: dict[str, Change] = {}
    for change in changes:
        other = once.setdefault(change.event_id, change)
        if other is not change and other != change:
            once[change.event_id] = min(other, change, key=_content)
    return sorted(once.values(), key=lambda change: change.order)


def _content(change: Change) -> str:
    """Order two records with one event id but different content, which only a forged or damaged log has."""
    told = asdict(change)
    del told["order"]  # which the rest tells
    return json.dumps(told, sort_keys=True, default=str)


def _text(container: object, name: str) -> str | None:
    # The first is told in a quarter of the time that the second takes.
    told = container.get(name) if type(container) is dict or isinstance(container, Mapping) else None
    return told if isinstance(told, str) and told else None
