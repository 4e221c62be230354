"""
Choose which records are stored for recall, and under which names.

These are all calls that issue a credential and all changes. Of the other calls of a credential, they are the first
from each address with each user agent, some that read secrets, and some attempts to assume a role that were refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from tokentrail.watch import names
from tokentrail.watch.intake import Tables
from tokentrail.watch.names import Row

_FEW, _MORE = 1, 8
"""Calls from one address with one user agent that are stored: of a temporary credential, and of a long-term key."""
_TELLING = 40
"""Calls of one credential that are stored: so many that read secrets, and so many refused calls of AssumeRole."""
_COUNTED = 50_000
"""
Kinds of calls (a credential with an address and a user agent, for instance) that are counted in one generation.

When there are more, a new generation begins, and the one before the last is forgotten.
"""
_TELL = ["object", "ordinal", "identity", "secret", "name", "error", "ip", "agent"]
"""The columns of events that decide whether one is stored."""
_REFUSED = frozenset({"AccessDenied", "AccessDeniedException"})


@dataclass(frozen=True, slots=True)
class Chosen:
    """A record that is to be stored."""

    event: Row
    caller: Row
    issuance: Row | None
    change: Row | None

    def names(self) -> set[str]:
        """The names under which it is stored."""
        found = set(names.principal_of_caller(self.caller))
        if (by_user := names.of_user(self.caller)) is not None:
            found.add(by_user)
        if self.issuance is not None:
            found.update(names.of_issuance(self.issuance, self.caller))
        if self.change is not None:
            found.update(names.stored_under(self.change, self.caller))
        return found


class Chooser:
    """Chooses records, and counts how many of each kind it has chosen."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._before: dict[int, int] = {}

    def chosen(self, tables: Tables) -> Iterator[Chosen]:
        """Yield the records of a segment that are to be stored, in its order."""
        callers: Mapping[int, Row] = {one["identity"]: one for one in tables["identities"].to_pylist()}
        named = {number: names.principal_of_caller(one) for number, one in callers.items()}
        issued = _by_place(tables["issuances"].to_pylist())
        changed = _by_place(tables["changes"].to_pylist())

        def kept(event: Row) -> bool:
            place, identity = (event["object"], event["ordinal"]), event["identity"]
            return (
                place in issued or place in changed or self._wanted(event, callers[identity], named[identity])
            )

        events = tables["events"]
        few = [at for at, event in enumerate(events.select(_TELL).to_pylist()) if kept(event)]
        for event in events.take(pa.array(few, pa.int64())).to_pylist():
            place = event["object"], event["ordinal"]
            yield Chosen(event, callers[event["identity"]], issued.get(place), changed.get(place))

    def _wanted(self, event: Row, caller: Row, named: list[str]) -> bool:
        """Whether to store a call that neither issues nor changes anything."""
        if not named:
            return False
        if event["secret"]:
            return self._one_of(_TELLING, named[0], "secret")
        if event["name"] == "AssumeRole" and event["error"] in _REFUSED:
            return self._one_of(_TELLING, named[0], "refused")
        most = _FEW if caller["created"] is not None else _MORE
        return self._one_of(most, named[0], event["ip"], event["agent"])

    def _one_of(self, most: int, *kind_parts: str | None) -> bool:
        """Count a call of a kind; whether it is among the first `most` of that kind."""
        kind = hash(kind_parts)
        count = self._counts.get(kind) or self._before.get(kind, 0)
        if count >= most:
            return False
        self._counts[kind] = count + 1
        if len(self._counts) > _COUNTED:
            self._before, self._counts = self._counts, {}
        return True


def _by_place(rows: list[Row]) -> dict[tuple[int, int], Row]:
    return {(row["object"], row["ordinal"]): row for row in rows}
