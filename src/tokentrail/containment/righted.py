"""
What somebody has put right since of what an attacker left in IAM, and when.

Sorted once by what each call names, since deeds and what others did may both be many.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tokentrail.containment.gone import renamed_since
from tokentrail.policy.changes import Change

if TYPE_CHECKING:
    from datetime import datetime

    from tokentrail.containment.leftovers import Deed

PASSWORD_CHANGES = ("DeleteLoginProfile", "UpdateLoginProfile", "ChangePassword", "DeleteUser")
_PUT_RIGHT = {
    "user": ("DeleteUser",), "role": ("DeleteRole",),
    "password": PASSWORD_CHANGES,
    "trust": ("UpdateAssumeRolePolicy", "DeleteRole"),
    "provider": ("DeleteOpenIDConnectProvider", "DeleteSAMLProvider", "UpdateSAMLProvider"),
    "anywhere": ("DisableTrustAnchor", "DeleteTrustAnchor", "DisableProfile", "DeleteProfile"),
}  # fmt: skip
"""What ends each: a deletion whoever did it, anything else only if somebody else did."""
_TELLING = ("CreateRole", "UpdateAssumeRolePolicy")
"""Calls that say what a role's trust policy is from then on."""
_RENAMING = "UpdateUser"
_LOOKED_AT = frozenset({_RENAMING, *_TELLING, *(name for names in _PUT_RIGHT.values() for name in names)})
_MEMBERS = (
    "userName",
    "roleName",
    "openIDConnectProviderArn",
    "sAMLProviderArn",
    "trustAnchorId",
    "profileId",
)


class OthersChanges:
    """What others did, by account, call, and what it names."""

    def __init__(self, changes: Iterable[Change]) -> None:
        """Sort what may put something right, or tells how it was before."""
        self._by: dict[tuple[str, str, str, str], list[Change]] = {}
        for one in changes:
            for member in _MEMBERS if one.event_name in _LOOKED_AT else ():
                if (value := one.asked(member)) is not None:
                    self._by.setdefault((one.account, one.event_name, member, value), []).append(one)

    def put_right(self, deed: Deed, kind: str, member: str, value: str) -> datetime | None:
        """
        When somebody put right what a deed did; `None` if nobody has.

        What happened in the same second may have come before it, and a trust that still names whom the attacker let in
        is not put right.
        """
        added = trusted(deed.document) - trusted(self.before(deed, value)) if deed.document else set()
        renames = self._naming(deed, (_RENAMING,), member, value)
        found = (
            one.time
            for one in sorted(self._naming(deed, _PUT_RIGHT[kind], member, value), key=lambda one: one.time)
            if one.time > deed.time
            and not (one.event_name == "UpdateAssumeRolePolicy" and _still_lets_in(one, added))
            and not renamed_since(one, member, deed.time, renames)
        )
        return next(found, None)

    def before(self, deed: Deed, role: str) -> str | None:
        """What a role's trust policy said before a deed, where the evidence shows it."""
        earlier = [one for one in self._naming(deed, _TELLING, "roleName", role) if one.time < deed.time]
        if not earlier:
            return None
        last = max(earlier, key=lambda one: one.order)
        document = last.document("policyDocument") or last.document("assumeRolePolicyDocument")
        return document if isinstance(document, str) else None

    def _naming(self, deed: Deed, names: Sequence[str], member: str, value: str) -> list[Change]:
        return [one for name in names for one in self._by.get((deed.account, name, member, value), ())]


def _still_lets_in(change: Change, added: set[str]) -> bool:
    document = change.document("policyDocument")
    return not isinstance(document, str) or not added or bool(added & trusted(document))


def trusted(document: str | None) -> set[str]:
    """Whom a trust policy names, as it spells them; nobody where it can't be read."""
    try:
        statements = json.loads(document or "{}").get("Statement", [])
    except (ValueError, AttributeError, RecursionError):
        return set()
    found: set[str] = set()
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal") if isinstance(statement, dict) else None
        values = list(principal.values()) if isinstance(principal, dict) else [principal]
        for value in values:
            found |= {one for one in (value if isinstance(value, list) else [value]) if isinstance(one, str)}
    return found
