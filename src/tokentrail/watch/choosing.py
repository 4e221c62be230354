"""
Which records are kept so that later ones can be seen with them, and under which names.

Every call that issues, every change; and of what else a credential does, the first calls from each address with each
tool, what reads secrets, and what was refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from tokentrail.watch import names
from tokentrail.watch.intake import Tables
from tokentrail.watch.names import Row

_FEW, _MORE = 1, 8
"""Calls of a temporary credential, and of a long-term key, from one address with one tool."""
_TELLING = 40
"""Calls of one credential that read secrets, and those to take up a role that were refused."""
_COUNTED = 50_000
"""Addresses of credentials whose calls are counted; when there are more, counting begins anew for the oldest half."""
_TELL = ["object", "ordinal", "identity", "secret", "name", "error", "ip", "agent"]
"""The columns of events that tell whether one is kept."""
_REFUSED = frozenset({"AccessDenied", "AccessDeniedException"})


@dataclass(frozen=True, slots=True)
class Chosen:
    """A record that is kept."""

    event: Row
    caller: Row
    issuance: Row | None
    change: Row | None

    def names(self) -> set[str]:
        """By what it is found."""
        found = set(names.of_caller(self.caller))
        if (deeds := names.deeds_of(self.caller)) is not None:
            found.add(deeds)
        if self.issuance is not None:
            found.update(names.of_issuance(self.issuance, self.caller))
        if self.change is not None:
            found.update(names.kept(self.change, self.caller))
        return found


class Chooser:
    """Chooses records, and counts what it has chosen of each credential."""

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._before: dict[int, int] = {}

    def chosen(self, tables: Tables) -> Iterator[Chosen]:
        """The records of a segment that are kept, in order."""
        callers: Mapping[int, Row] = {one["identity"]: one for one in tables["identities"].to_pylist()}
        named = {number: names.of_caller(one) for number, one in callers.items()}
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
        """Whether a call that neither issues nor changes anything is kept."""
        if not named:
            return False
        if event["secret"]:
            return self._one_of(_TELLING, named[0], "secret")
        if event["name"] == "AssumeRole" and event["error"] in _REFUSED:
            return self._one_of(_TELLING, named[0], "refused")
        most = _FEW if caller["created"] is not None else _MORE
        return self._one_of(most, named[0], event["ip"], event["agent"])

    def _one_of(self, most: int, *what: str | None) -> bool:
        """Whether it is one of the first so many of its kind."""
        kind = hash(what)
        count = self._counts.get(kind) or self._before.get(kind, 0)
        if count >= most:
            return False
        self._counts[kind] = count + 1
        if len(self._counts) > _COUNTED:
            self._before, self._counts = self._counts, {}
        return True


def _by_place(rows: list[Row]) -> dict[tuple[int, int], Row]:
    return {(row["object"], row["ordinal"]): row for row in rows}
