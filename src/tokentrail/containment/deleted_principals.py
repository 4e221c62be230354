"""
Which users and roles were deleted or renamed. What was left on a deleted one mints nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from tokentrail.aws.principals import Principal, PrincipalKind
from tokentrail.policy.history.changes import Change

if TYPE_CHECKING:
    from tokentrail.containment.persistence import AttackerAction

NAMED: tuple[tuple[PrincipalKind, str], ...] = (("role", "roleName"), ("user", "userName"))
"""The kinds of principal that IAM calls name, and the parameter by which they do."""


def deleted_principals(changes: Iterable[Change]) -> dict[Principal, datetime]:
    """
    When users and roles were deleted that have not been created again.

    A user that was renamed is not among them, even if another user that got its old name was deleted.
    """
    last: dict[Principal, Change] = {}
    away: set[Principal] = set()
    for change in sorted(changes, key=lambda one: one.order):
        if (moved := _renamed_user(change)) is not None:
            away.add(moved)
        for kind, member in NAMED:
            name = change.asked(member)
            if name is not None and change.event_name in (f"Create{kind.title()}", f"Delete{kind.title()}"):
                last[Principal(change.account, kind, name)] = change
    deleted = {one: change.time for one, change in last.items() if change.event_name.startswith("Delete")}
    return {one: time for one, time in deleted.items() if one not in away}


def done_to_deleted(
    deed: AttackerAction, deleted: Mapping[Principal, datetime], going: Collection[Principal]
) -> bool:
    """Whether a deed was done to a principal that was deleted since, or that a plan deletes or denies (`going`)."""
    named = [Principal(deed.account, kind, name) for kind, member in NAMED if (name := deed.asked(member))]
    return any(one in going or (one in deleted and deleted[one] >= deed.time) for one in named)


def _renamed_user(change: Change) -> Principal | None:
    """The user that a change renamed, by its old name (IAM API Reference, 'UpdateUser')."""
    name = change.asked("userName")
    renames = change.event_name == "UpdateUser" and name and change.asked("newUserName") not in (None, name)
    return Principal(change.account, "user", name) if renames and name else None


def renamed_since(change: Change, member: str, since: datetime, changes: Iterable[Change]) -> bool:
    """Whether a change names a user that had been renamed after `since`, so that it was to another user."""
    name = change.asked("userName") if member == "userName" else None
    user = Principal(change.account, "user", name or "")
    return name is not None and any(
        since <= one.time <= change.time and _renamed_user(one) == user for one in changes
    )


def renamed(changes: Iterable[Change]) -> dict[Principal, str]:
    """The present names of renamed users by their old names, unless another user got the old name."""
    return _names(changes)[0]


def namesakes(changes: Iterable[Change], concerned: Collection[Principal]) -> list[str]:
    """The proof's assumptions about renamed users whose old name another user got: steps name that other one."""
    return [
        f"nothing of the attacker's was left on the user {now} (account {one.account}), who was called {one.name} "
        f"before another got that name: look at {now} by hand"
        for one, now in sorted(_names(changes)[1].items()) if one in concerned
    ]  # fmt: skip


def _names(changes: Iterable[Change]) -> tuple[dict[Principal, str], dict[Principal, str]]:
    """The present names of renamed users by their old names: those still free, and those that another user got."""
    found: dict[Principal, str] = {}
    taken: dict[Principal, str] = {}
    for change in sorted(changes, key=lambda one: one.order):
        moved, new = _renamed_user(change), change.asked("newUserName")
        user = Principal(change.account, "user", change.asked("userName") or "")
        if moved is not None and new:
            for names in (found, taken):
                for one, name in list(names.items()):
                    if one.account == change.account and name == moved.name:
                        names[one] = new
            found[moved] = new
        elif change.event_name == "CreateUser" and user in found:
            taken[user] = found.pop(user)
    return found, taken
