"""
Of the many changes in an account, those that bear on one credential: that name its user, role or key, or what leads on
from these.

To read some thousand changes takes longer than all else that is asked of a session, and few of them name it.
"""

from __future__ import annotations

from collections.abc import Iterator, Set
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa

from tokentrail.lineage.entries import entries
from tokentrail.lineage.rows import object_of
from tokentrail.lineage.state import Judge
from tokentrail.policy.history.effects import name_of
from tokentrail.policy.language.context import Caller

JUDGED_APART = 16
"""Credentials up to which it pays to look for what bears on each of them."""
_MANY = 500
"""Changes from which on it does."""
_TOLD = ("request", "response", "caller_user", "part", "name")
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
Flags = np.ndarray[Any, np.dtype[np.bool_]]


class Judges:
    """Judge of credentials in the light of some changes: rows as `edits` has them."""

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
            one: self._edits[one].cast(pa.string()).combine_chunks() for one in _TOLD
        }
        request, response, user, part, name = (column.fill_null("") for column in self._columns.values())
        own = pc.if_else(pc.ends_with(name, _OF_KEYS), user, "")
        told: Any = pc.binary_join_element_wise(request, response, own, "", '"')
        self._texts: Any = pc.utf8_lower(told)
        self._leading = _flags(pc.match_substring_regex(self._texts, _LEADING))
        # What is spelled in more ways than one could be missed, and the organisation's changes bear on all.
        spelled = pc.or_(pc.match_substring(self._texts, "\\"), pc.invert(pc.string_is_ascii(self._texts)))
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

    def _on(self, caller: Caller, key_id: str | None) -> Flags:
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

    def _naming(self, names: Set[str]) -> Flags:
        """Which changes name any of some."""
        import pyarrow.compute as pc

        found = np.zeros(self._edits.num_rows, np.bool_)
        for mark in sorted({mark for name in names for mark in _marks(name)}):
            found |= _flags(pc.match_substring(self._texts, mark))
        return found

    def _led_to(self, place: int, level: int) -> Iterator[str]:
        """What a change names in the members of a level, without case."""
        request, response, by, _, name = (self._columns[one][place].as_py() for one in _TOLD)
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


def _flags(column: Any) -> Flags:
    flags: Flags = column.to_numpy(zero_copy_only=False)
    return flags
