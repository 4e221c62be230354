"""
Widen an account's snapshot by the changes in the log that it does not show.

A snapshot has no date, so that a change that it does not show may have been made since. What such a change may open
counts as open; nothing that it closes counts as closed. Where a change may have taken a denial away, or can't be told
in full, the policies of whom it concerns count as unknown.
Sources: IAM API Reference, 'PutUserPolicy', 'AttachUserPolicy', 'CreatePolicyVersion', 'SetDefaultPolicyVersion',
'AddUserToGroup', 'PutUserPermissionsBoundary', 'CreateRole', 'UpdateAssumeRolePolicy' and their like for roles and
groups; AWS Organizations API Reference, 'DetachPolicy', 'UpdatePolicy', 'MoveAccount'.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from tokentrail.aws.principals import Principal, PrincipalKind
from tokentrail.formatting import quoted
from tokentrail.policy.account.holders import Group, Holder, Inline, Managed, Role, User
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.policy.account.trust import Trust, parse_trust
from tokentrail.policy.history.changes import Change, in_order
from tokentrail.policy.history.managed import aws_document
from tokentrail.policy.language.documents import Document, Malformed, parse

_IAM, _ORGANIZATIONS = "iam.amazonaws.com", "organizations.amazonaws.com"
_LIFTS_CONTROLS = frozenset({
    "DetachPolicy", "UpdatePolicy", "DeletePolicy", "DisablePolicyType", "MoveAccount", "LeaveOrganization",
    "RemoveAccountFromOrganization",
})  # fmt: skip
"""Calls of Organizations after which an account may be bound by fewer SCPs."""
_TRUSTS = frozenset({"CreateRole", "AcquireRole", "UpdateAssumeRolePolicy", "DeleteRole"})
_MEMBERS = frozenset({"AddUserToGroup", "RemoveUserFromGroup"})
_TITLES = ("User", "Role", "Group")


def updated(snapshot: Snapshot, changes: Iterable[Change], since: datetime) -> Snapshot:
    """
    Widen a snapshot by changes that it does not show.

    Args:
        snapshot: The snapshot of one account.
        changes: Changes to IAM and Organizations, of any accounts.
        since: From when on sessions may be alive that no log shows: all states of the time since then count, and the
            last one of before.
    """
    own = [
        one
        for one in in_order(changes)
        if (one.event_source == _IAM and one.account == snapshot.account)
        or one.event_source == _ORGANIZATIONS
    ]
    return _Update(snapshot).made(_standing(own, since)) if own else snapshot


def _standing(changes: Iterable[Change], since: datetime) -> Iterator[Change]:
    """The changes since a time, and of those before it the last of each thing."""
    late = []
    last: dict[Hashable, Change] = {}
    for change in changes:
        if change.time >= since:
            late.append(change)
        else:
            last[_thing(change)] = change
    yield from last.values()
    yield from late


def _thing(change: Change) -> Hashable:
    """What a change is about: of two changes with the same, the later one replaces or removes what the earlier set."""
    if change.event_name in _TRUSTS:
        return "trust", _role_named(change).casefold()
    if change.event_name in _MEMBERS:
        return "member", _named(change, "user"), _named(change, "group")
    if _sets_version(change):
        return "version", change.asked("policyArn")
    name, title = _action(change)
    if name is None:
        return change.event_id
    if name == "boundary":
        return "boundary", title, _named(change, title)
    policy = change.asked("policyName") or change.asked("policyArn")
    return name, title, _named(change, title), policy


def _action(change: Change) -> tuple[str | None, PrincipalKind | str]:
    """`inline`, `managed` or `boundary`, and the kind of whom a change sets or removes that of."""
    for title in _TITLES:
        kind = title.lower()
        if change.event_name in (f"Put{title}Policy", f"Delete{title}Policy"):
            return "inline", kind
        if change.event_name in (f"Attach{title}Policy", f"Detach{title}Policy"):
            return "managed", kind
        if change.event_name in (f"Put{title}PermissionsBoundary", f"Delete{title}PermissionsBoundary"):
            return "boundary", kind
    return None, ""


def _named(change: Change, kind: str) -> str:
    name = change.asked(f"{kind}Name") or (change.caller_user if kind == "user" else None) or ""
    return name.casefold()


def _role_named(change: Change) -> str:
    """The name of the role that a change makes or edits; of one that was made of a template only the answer has it."""
    return change.asked("roleName") or change.answered("role", "roleName") or ""


def _sets_version(change: Change) -> bool:
    """Whether a change makes another version of a managed policy the one that counts."""
    return change.event_name == "SetDefaultPolicyVersion" or (
        change.event_name == "CreatePolicyVersion" and change.flag("setAsDefault")
    )


class _Update:
    """One snapshot while changes widen it."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._controls = snapshot.controls
        self._holders: dict[Principal, Holder] = {
            one.identity: one for one in (*snapshot.users.values(), *snapshot.roles.values())
        }
        self._documents = {
            managed.arn: managed.document
            for holder in self._holders.values()
            for managed in _managed_by(holder)
        }
        self._having: dict[str, set[Principal]] = {}
        self._members: dict[str, set[Principal]] = {}
        for whom, holder in self._holders.items():
            bound = () if holder.boundary is None else (holder.boundary,)
            for managed in (*_managed_by(holder), *bound):
                self._having.setdefault(managed.arn, set()).add(whom)
            for group in holder.groups:
                self._members.setdefault(group.name.casefold(), set()).add(whom)

    def made(self, changes: Iterable[Change]) -> Snapshot:
        for change in changes:
            self._make(change)
        holders = self._holders.values()
        return replace(
            self._snapshot,
            users={one.arn: one for one in holders if isinstance(one, User)},
            roles={one.arn: one for one in holders if isinstance(one, Role)},
            controls=self._controls,
            _index=self._holders,
        )

    def _make(self, change: Change) -> None:
        name, kind = _action(change)
        if change.event_source == _ORGANIZATIONS:
            if change.event_name in _LIFTS_CONTROLS:
                self._controls = None
        elif change.event_name in _TRUSTS:
            self._trust(change)
        elif change.event_name in _MEMBERS:
            self._member(change)
        elif change.event_name == "CreatePolicy":
            arn = change.answered("policy", "arn") or self._arn_of_policy(change)
            self._documents.setdefault(arn, parse(change.document("policyDocument")))
        elif _sets_version(change):
            self._version(change)
        elif name is not None and kind == "group":
            self._of_group(change, name)
        elif name is not None:
            self._on(
                Principal(change.account, _kind(kind), _named(change, kind)),
                change,
                _OWN[name],
            )

    def _on(
        self, whom: Principal, change: Change, effect: Callable[[_Update, Holder, Change], Holder]
    ) -> None:
        """Put in place of a user or role what a change may have made of it, if the snapshot has it."""
        holder = self._holders.get(whom)
        if holder is not None:
            self._holders[whom] = effect(self, holder, change)

    def _arn_of_policy(self, change: Change) -> str:
        return (
            f"arn:aws:iam::{change.account}:policy{change.asked('path') or '/'}{change.asked('policyName')}"
        )

    def _trust(self, change: Change) -> None:
        name = _role_named(change)
        if change.event_name == "DeleteRole" or not name:
            return
        whom = Principal(change.account, "role", name)
        role = self._holders.get(whom)
        trust = parse_trust(change.document("policyDocument") or change.document("assumeRolePolicyDocument"))
        if isinstance(role, Role):
            self._holders[whom] = replace(role, trust=_either(role.trust, trust))
            return
        path = change.asked("path") or "/"
        arn = change.answered("role", "arn") or f"arn:aws:iam::{change.account}:role{path}{name}"
        unique_id = change.answered("role", "roleId") or ""
        self._holders[whom] = Role(
            arn=arn, name=quoted(name), path=path, unique_id=unique_id, identity=whom, trust=trust,
            changed=_told(change),
        )  # fmt: skip

    def _member(self, change: Change) -> None:
        user = Principal(change.account, "user", _named(change, "user"))
        group = _named(change, "group")

        def effect(_: _Update, holder: Holder, change: Change) -> Holder:
            shown = [one for one in holder.groups if one.name.casefold() == group]
            if change.event_name == "AddUserToGroup":
                return holder if shown else _unknown(holder, change)
            return _unknown(holder, change) if any(map(_group_denies, shown)) else holder

        self._on(user, change, effect)

    def _version(self, change: Change) -> None:
        """Another version of a managed policy, for all who have it, themselves or by a group."""
        arn = change.asked("policyArn") or ""
        told = change.document("policyDocument")
        new = parse(told) if told is not None else Malformed(reason=_told(change))
        self._documents[arn] = new
        for whom in self._having.get(arn, ()):
            holder = self._holders[whom]
            if holder.boundary is not None and holder.boundary.arn == arn and holder.boundary.document != new:
                holder = replace(holder, boundary=None)
            olds = [one for one in _managed_by(holder) if one.arn == arn and one.document != new]
            allowed = _allowing(new)
            if any(_denies(one.document) for one in olds):
                holder = _unknown(holder, change)
            elif olds and allowed is not None:
                holder = replace(holder, managed=(*holder.managed, replace(olds[0], document=allowed)))
            self._holders[whom] = holder

    def _of_group(self, change: Change, name: str) -> None:
        group = _named(change, "group")
        for whom in self._members.get(group, ()):
            holder = self._holders[whom]
            shown = [one for one in holder.groups if one.name.casefold() == group]
            if any(self._opens(one, change, name) for one in shown):
                self._holders[whom] = _unknown(holder, change)

    def _opens(self, of: Holder | Group, change: Change, name: str) -> bool:
        """Whether a change to an inline or managed policy may allow more than is shown of a user, role or group."""
        shown = _shown(of, change, name)
        if change.event_name.startswith(("Delete", "Detach")):
            return shown is not None and _denies(shown)
        new = self._given(change, name)
        if shown == new or (name == "managed" and shown is not None):
            return False
        return _allowing(new) is not None or (shown is not None and _denies(shown))

    def _given(self, change: Change, name: str) -> Document | Malformed:
        """The document of a policy that a change puts or attaches."""
        if name == "inline":
            return parse(change.document("policyDocument"))
        arn = change.asked("policyArn") or ""
        found = self._documents.get(arn)
        return aws_document(arn) if found is None else found

    def _policy(self, holder: Holder, change: Change, name: str) -> Holder:
        if not self._opens(holder, change, name):
            return holder
        shown = _shown(holder, change, name)
        allowed = _allowing(self._given(change, name))
        if allowed is None or (shown is not None and _denies(shown)):
            return _unknown(holder, change)
        if name == "managed":
            arn = change.asked("policyArn") or ""
            self._having.setdefault(arn, set()).add(holder.identity)
            added = Managed(arn=arn, name=quoted(arn.rpartition("/")[2]), document=allowed)
            return replace(holder, managed=(*holder.managed, added))
        told = change.document("policyDocument")
        text = told if isinstance(told, str) else json.dumps(told)
        return replace(
            holder,
            inline=(
                *holder.inline,
                Inline(name=change.asked("policyName") or "", text=text, document=allowed),
            ),
        )


def _boundary(_: _Update, holder: Holder, change: Change) -> Holder:
    put = change.asked("permissionsBoundary") if change.event_name.startswith("Put") else None
    same = holder.boundary is not None and holder.boundary.arn == put
    return holder if same else replace(holder, boundary=None)


_OWN: dict[str, Callable[[_Update, Holder, Change], Holder]] = {
    "inline": lambda update, holder, change: update._policy(holder, change, "inline"),
    "managed": lambda update, holder, change: update._policy(holder, change, "managed"),
    "boundary": _boundary,
}


def _managed_by(holder: Holder) -> tuple[Managed, ...]:
    """The managed policies that a user or role has, itself or by a group."""
    return (*holder.managed, *(one for group in holder.groups for one in group.managed))


def _kind(kind: str) -> PrincipalKind:
    return "role" if kind == "role" else "user"


def _shown(of: Holder | Group, change: Change, name: str) -> Document | Malformed | None:
    """What a snapshot shows of the policy that a change is about."""
    if name == "inline":
        wanted = change.asked("policyName")
        return next((one.document for one in of.inline if one.name == wanted), None)
    arn = change.asked("policyArn")
    return next((one.document for one in of.managed if one.arn == arn), None)


def _denies(document: Document | Malformed) -> bool:
    return isinstance(document, Malformed) or bool(document.denials)


def _group_denies(group: Group) -> bool:
    return any(_denies(one.document) for one in group.policies())


def _allowing(document: Document | Malformed) -> Document | Malformed | None:
    """A document without what it denies, which may have been put right since; `None` if it allows nothing."""
    if isinstance(document, Malformed):
        return document
    allowed = tuple(one for one in document.statements if one.effect == "Allow")
    return replace(document, statements=allowed) if allowed else None


def _unknown(holder: Holder, change: Change) -> Holder:
    return replace(holder, changed=_told(change))


def _told(change: Change) -> str:
    return f"the snapshot does not show {change.event_name} (event {quoted(change.event_id)})"


def _either(shown: Trust | Malformed, new: Trust | Malformed) -> Trust | Malformed:
    """A trust policy that lets in whom either of two lets in."""
    if shown == new or isinstance(shown, Malformed):
        return shown
    if isinstance(new, Malformed):
        return new
    both = [one for one in shown.statements if one.effect == "Allow" or one in new.statements]
    return Trust(
        statements=(*both, *(one for one in new.statements if one.effect == "Allow" and one not in both)),
        variables=shown.variables or new.variables,
    )
