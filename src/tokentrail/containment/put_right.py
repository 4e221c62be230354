"""
What others have put right of that which an attacker left in IAM, and when.

The others' changes are indexed by what each names, since there may be many of them and many deeds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from tokentrail.aws.calls.reversals import PUTS_RIGHT
from tokentrail.aws.principals import told_caseless
from tokentrail.containment.deleted_principals import renamed_since
from tokentrail.policy.history.changes import Change
from tokentrail.policy.language.documents import Document, Malformed, parse

if TYPE_CHECKING:
    from datetime import datetime

    from tokentrail.containment.leftovers import Deed

PASSWORD_CHANGES = PUTS_RIGHT["password"]
_SETTINGS = {
    "UpdateLoginProfile": ("maxSigninSessionDuration", "resetMaxSigninSessionDuration"),
    "UpdateSAMLProvider": (
        "contextProvider", "identityCenterInstanceArn", "removeContextProvider", "removeIdentityCenterInstance",
        "addPrivateKey", "removePrivateKey", "assertionEncryptionMode",
    ),
}  # fmt: skip
"""
By call: the parameters of what it may change instead of a password or an identity provider's metadata.

A password is in no record, so a call with such a parameter may have set none (IAM API Reference, the page of each).
"""
_TELLING = ("CreateRole", "AcquireRole", "UpdateAssumeRolePolicy")
"""The calls that set a role's trust policy."""
_RENAMING = "UpdateUser"
_LOOKED_AT = frozenset({_RENAMING, *_TELLING, *(name for names in PUTS_RIGHT.values() for name in names)})
_MEMBERS = (
    "userName",
    "roleName",
    "openIDConnectProviderArn",
    "sAMLProviderArn",
    "trustAnchorId",
    "profileId",
)


class OthersChanges:
    """The changes that others made, by account, call, and what they name."""

    def __init__(self, changes: Iterable[Change]) -> None:
        """Index those changes that may put something right, or show how it was before."""
        self._by: dict[tuple[str, str, str, str | None], list[Change]] = {}
        for one in changes:
            for member in _MEMBERS if one.event_name in _LOOKED_AT else ():
                if (value := one.asked(member)) is not None:
                    key = one.account, one.event_name, member, told_caseless(member, value)
                    self._by.setdefault(key, []).append(one)

    def put_right(self, deed: Deed, kind: str, member: str, value: str) -> datetime | None:
        """
        When somebody put right what a deed did; `None` if nobody has.

        A change in the same second does not count, as it may have come before. A trust policy that still names whom the
        attacker let in is not put right.
        """
        added = trusted(deed.document) - trusted(self.before(deed, value)) if deed.document else frozenset()
        renames = self._naming(deed, (_RENAMING,), member, value)
        found = (
            one.time
            for one in sorted(self._naming(deed, PUTS_RIGHT[kind], member, value), key=lambda one: one.time)
            if one.time > deed.time
            and not sets_something_else(one)
            and not (one.event_name == "UpdateAssumeRolePolicy" and _still_lets_in(one, added))
            and not renamed_since(one, member, deed.time, renames)
        )
        return next(found, None)

    def before(self, deed: Deed, role: str) -> str | None:
        """The text of a role's trust policy before a deed, if the evidence has it."""
        earlier = [one for one in self._naming(deed, _TELLING, "roleName", role) if one.time < deed.time]
        if not earlier:
            return None
        last = max(earlier, key=lambda one: one.order)
        document = last.document("policyDocument") or last.document("assumeRolePolicyDocument")
        return document if isinstance(document, str) else None

    def _naming(self, deed: Deed, names: Sequence[str], member: str, value: str) -> list[Change]:
        told = told_caseless(member, value)
        return [one for name in names for one in self._by.get((deed.account, name, member, told), ())]


def sets_something_else(change: Change) -> bool:
    """Whether a change that may put a password or a provider right may only have set how sessions by it are."""
    others = _SETTINGS.get(change.event_name, ())
    return any(one in change.request for one in others) and "sAMLMetadataDocument" not in change.request


def _still_lets_in(change: Change, added: frozenset[str]) -> bool:
    document = parse(change.document("policyDocument"))
    return isinstance(document, Malformed) or not added or bool(added & _trusted(document))


def trusted(text: str | None) -> frozenset[str]:
    """The principals that a trust policy names, as it spells them; none if it can't be parsed."""
    document = parse(text)
    return frozenset() if isinstance(document, Malformed) else _trusted(document)


def _trusted(document: Document) -> frozenset[str]:
    return frozenset(
        text for one in document.statements for text in (one.principals.texts if one.principals else ())
    )
