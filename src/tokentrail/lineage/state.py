"""
The state of a credential at a moment: from its expiry, and from what the changes in the log did to it.

The effect of each change is stated once, in `policy`.
Source: IAM User Guide, 'Disabling permissions for temporary security credentials'.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tokentrail.lineage.model import State
from tokentrail.policy.history.changes import Change
from tokentrail.policy.history.effects import Effects
from tokentrail.policy.language.context import LASTING, Caller
from tokentrail.spelling import instant

_ORGANISATION = "organizations.amazonaws.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A state, and the sentence that says why."""

    state: State
    reason: str
    ended_at: datetime | None = None
    ended_by: str | None = None
    unusable: bool = False
    """As in `policy.history.effective_policies.Ending`."""


class Judge:
    """Judges credentials at one moment, in the light of all changes up to it."""

    def __init__(self, changes: Iterable[Change], as_of: datetime) -> None:
        listed = [one for one in changes if one.time <= as_of]
        self.as_of = as_of
        self._effects = Effects(listed)
        self._everyone = any(one.event_source == _ORGANISATION for one in listed)
        self._touched = {name.casefold() for one in listed for name in _names(one)}

    def judge(
        self, caller: Caller, *, key_id: str | None, expires: datetime | None, bound: datetime | None
    ) -> Judgement:
        """Tell whether a credential works: `expires` is its known end, `bound` the latest possible one."""
        ending = None
        if self._everyone or self._concerned(caller, key_id):
            ending = self._effects.ended(caller, key_id, self.as_of)
        end = expires or bound
        if ending is not None and end is not None and ending.at >= end:
            ending = None
        if end is not None and end <= self.as_of and caller.kind != "long_term_key":
            reason = f"expired {instant(end)}" if expires else f"expired {instant(end)} at the latest"
            if ending is not None:
                reason += f"; ended {instant(ending.at)} already: {ending.sentence}"
            return Judgement(
                state="expired",
                reason=reason,
                ended_at=ending.at if ending else None,
                ended_by=ending.by if ending else None,
            )
        if ending is not None:
            return Judgement(
                state="ended", reason=ending.sentence, ended_at=ending.at, ended_by=ending.by,
                unusable=ending.unusable,
            )  # fmt: skip
        return self._alive(caller, key_id, expires, bound)

    def _alive(
        self, caller: Caller, key_id: str | None, expires: datetime | None, bound: datetime | None
    ) -> Judgement:
        limits = ""
        if self._everyone or self._concerned(caller, key_id):
            notes = self._effects.partly(caller, key_id, self.as_of)
            limits = "".join(f"; {note.sentence}" for note in notes[:3])
        if caller.kind in LASTING:
            return Judgement(state="active", reason=_lasting(caller, expires) + limits)
        if expires is not None:
            return Judgement(state="active", reason=f"valid until {instant(expires)}{limits}")
        if bound is not None:
            reason = f"its end is not in the evidence; {instant(bound)} at the latest{limits}"
            return Judgement(state="unknown", reason=reason)
        return Judgement(state="unknown", reason=f"its end is not in the evidence{limits}")

    def _concerned(self, caller: Caller, key_id: str | None) -> bool:
        """Whether any change names the user, role or key at all: most credentials are never touched."""
        names = (
            caller.user_name,
            (caller.role or "").rpartition("/")[2],
            key_id,
            *(part for part in (caller.principal or "").split("/")[1:]),
        )
        return any(name and name.casefold() in self._touched for name in names)


def _lasting(caller: Caller, expires: datetime | None) -> str:
    """Why a key works that nobody was seen to end."""
    if caller.kind == "long_term_key":
        return "a long-term key; no deactivation or deletion logged"
    end = f"valid until {instant(expires)}" if expires else "no end of it is in the evidence"
    return f"an API key; {end}; no deactivation or deletion logged"


def _names(one: Change) -> Iterable[str]:
    """
    The users, roles and keys that a change names; of a user that it renames, both names.

    Whatever was done under the old name holds under the new one (IAM API Reference, 'UpdateUser').
    """
    for member in ("userName", "newUserName", "roleName", "accessKeyId", "serviceSpecificCredentialId"):
        found = one.request.get(member)
        if isinstance(found, str):
            yield found
    if one.caller_user:
        yield one.caller_user
    if made := one.answered("accessKey", "accessKeyId"):  # whose owner may have had another name by then
        yield made
    if made := one.answered("serviceSpecificCredential", "serviceSpecificCredentialId"):
        yield made
