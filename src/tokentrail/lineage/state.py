"""
The state of a credential at a moment: from its expiry, and from what the changes in the log did to it.

The effect of each change is stated once, in `policy`.
Source: IAM User Guide, 'Disabling permissions for temporary security credentials'.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from tokentrail.formatting import instant
from tokentrail.lineage.entries import entries
from tokentrail.lineage.model import State
from tokentrail.lineage.rows import object_of
from tokentrail.policy.history.changes import Change
from tokentrail.policy.history.effects import Effects, name_of
from tokentrail.policy.language.context import LASTING, Caller

_ORGANISATION = "organizations.amazonaws.com"
JUDGED_APART = 16
"""Credentials up to which it pays to look for what bears on each of them."""
_MANY = 500
"""Changes from which on it does."""
_TEXTS = ("request", "response", "caller_user", "part", "name")
_LEADS = (
    ("userName", "newUserName", "roleName"),
    ("groupName", "newGroupName"),
    ("policyArn", "permissionsBoundary"),
)
"""
What leads on from a change: users and roles to their groups, all of these to managed policies, none of them back. A key
leads to its owner, and to whoever else is said to be that.

Source: IAM API Reference; `policy.replay` takes names from no other members than these, but for a key and its owner.
"""
_LEADING = '"(newusername|groupname|newgroupname|policyarn|permissionsboundary|accesskeyid)"'
"""What a change names that leads on at all: one that names a user or role alone leads to nothing but that."""
_OF_KEYS = "AccessKey"
"""How calls end that mean a key of the caller's own where they name no user (IAM API Reference, 'CreateAccessKey')."""
_Flags = np.ndarray[Any, np.dtype[np.bool_]]


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


class Judges:
    """
    Makes the judge of each credential in the light of those changes that bear on it; changes are rows of `edits`.

    To read some thousand changes takes longer than all else that is asked of a session, and few of them name its user,
    role or key, or what leads on from these.
    """

    def __init__(self, edits: pa.Table, until: int, as_of: datetime) -> None:
        """
        Look at the changes.

        Args:
            edits: The changes, in any order.
            until: The second up to which they count, ...
            as_of: ... which is the moment of the judgement.
        """
        self._edits, self._until, self._as_of = edits, until, as_of
        self._judges: dict[bytes, Judge] = {}
        self._whole: Judge | None = None
        self._read = 0
        self._always = np.ones(self._edits.num_rows, np.bool_)
        if self._edits.num_rows >= _MANY:
            self._look()

    def _look(self) -> None:
        """See of each change what it names: names are compared without case, as IAM does."""
        import pyarrow.compute as pc  # takes its time to load, and few cases need it

        self._columns: dict[str, Any] = {
            one: self._edits[one].cast(pa.string()).combine_chunks() for one in _TEXTS
        }
        request, response, user, part, name = (column.fill_null("") for column in self._columns.values())
        own = pc.if_else(pc.ends_with(name, _OF_KEYS), user, "")
        told: Any = pc.binary_join_element_wise(request, response, own, "", '"')
        self._named: Any = pc.utf8_lower(told)
        self._leading = _flags(pc.match_substring_regex(self._named, _LEADING))
        # What is spelled in more ways than one could be missed, and the organisation's changes bear on all.
        spelled = pc.or_(pc.match_substring(self._named, "\\"), pc.invert(pc.string_is_ascii(self._named)))
        self._always = _flags(pc.or_(spelled, pc.is_in(part, pa.array([""]))))

    def judge(self, caller: Caller, key_id: str | None) -> Judge:
        """Who judges a credential as one that knows all of the changes would; `key_id` is a long-term key's."""
        if self._whole is not None:
            return self._whole
        flags = self._on(caller, key_id)
        known = flags.tobytes()
        if known not in self._judges:
            self._read += int(flags.sum())
            if self._read > self._edits.num_rows:  # then one after another would take longer than all at once
                self._whole = self._knowing(self._edits)
                return self._whole
            self._judges[known] = self._knowing(self._edits.filter(pa.array(flags)))
        return self._judges[known]

    def _knowing(self, edits: pa.Table) -> Judge:
        return Judge(entries(edits, self._until), self._as_of)

    def _on(self, caller: Caller, key_id: str | None) -> _Flags:
        """Which changes bear on a credential."""
        chosen = self._always.copy()
        if chosen.all():
            return chosen
        wanted = [{name.casefold() for name in (name_of(caller), key_id) if name}, set[str](), set[str]()]
        for level, names in enumerate(wanted):
            known = set[str]()
            while fresh := names - known:
                known |= fresh
                found = self._naming(fresh)
                chosen |= found
                for place in (found & self._leading).nonzero()[0].tolist():
                    for further in range(level, len(wanted)):
                        wanted[further].update(self._led_to(place, further))
        return chosen

    def _naming(self, names: Set[str]) -> _Flags:
        """Which changes name any of some."""
        import pyarrow.compute as pc

        found = np.zeros(self._edits.num_rows, np.bool_)
        for mark in sorted({mark for name in names for mark in _marks(name)}):
            found |= _flags(pc.match_substring(self._named, mark))
        return found

    def _led_to(self, place: int, level: int) -> Iterator[str]:
        """What a change names in the members of a level, without case."""
        request, response, by, _, name = (self._columns[one][place].as_py() for one in _TEXTS)
        asked = object_of(request)
        told = [asked.get(member) for member in _LEADS[level]]
        if level == 0 and name.endswith(_OF_KEYS):
            key = object_of(response).get("accessKey")
            made = key if isinstance(key, dict) else {}
            told += [made.get("userName"), by, made.get("accessKeyId"), asked.get("accessKeyId")]
        return (one.casefold() for one in told if isinstance(one, str) and one)


def _marks(name: str) -> Iterator[str]:
    """What stands in a text that names something: of an ARN no partition is told apart, as in `policy.ledger`."""
    if ":" not in name:
        yield f'"{name}"'
        return
    yield f'{name.split(":", 2)[-1]}"'
    yield f'"{name.rpartition("/")[2]}"'  # who makes a policy names it so


def _flags(column: Any) -> _Flags:
    flags: _Flags = column.to_numpy(zero_copy_only=False)
    return flags
