"""
Which users and roles are no more, or go by another name: what was left on those that are gone mints nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from tokentrail.containment.principal import Principal, PrincipalKind
from tokentrail.policy.changes import Change

NAMED: tuple[tuple[PrincipalKind, str], ...] = (("role", "roleName"), ("user", "userName"))
"""The kinds of principal that IAM calls name, and the parameter by which they do."""


def gone(changes: Iterable[Change]) -> dict[Principal, datetime]:
    """When users and roles were deleted that have not been made again."""
    last: dict[Principal, Change] = {}
    for change in sorted(changes, key=lambda one: one.order):
        for kind, member in NAMED:
            name = change.asked(member)
            if name is not None and change.event_name in (f"Create{kind.title()}", f"Delete{kind.title()}"):
                last[Principal(change.account, kind, name)] = change
    return {one: change.time for one, change in last.items() if change.event_name.startswith("Delete")}


def renamed(changes: Iterable[Change]) -> dict[Principal, str]:
    """What users are called by now whom somebody has renamed (IAM API Reference, 'UpdateUser'), by their old names."""
    found: dict[Principal, str] = {}
    for change in sorted(changes, key=lambda one: one.order):
        old, new = change.asked("userName"), change.asked("newUserName")
        if change.event_name == "UpdateUser" and old and new:
            for one, name in list(found.items()):
                if one.account == change.account and name == old:
                    found[one] = new
            found[Principal(change.account, "user", old)] = new
        elif change.event_name == "CreateUser" and old:
            found.pop(Principal(change.account, "user", old), None)  # another user has the old name now
    return found
