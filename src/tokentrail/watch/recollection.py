"""
The older records that new ones must be seen with: of each credential that they touch, and of all above it.

From a call to the call that issued its caller, to whoever made that one, and so on, however long ago it was; with
each, what changed it. Records that are judged anyway are not read again.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from tokentrail.store.interface import StoredObject
from tokentrail.watch import names
from tokentrail.watch.intake import SCHEMAS, Tables
from tokentrail.watch.names import Row
from tokentrail.watch.recall import COLUMNS, Found, Recall, Span, named

_ROUNDS = 100
"""From a credential to the one above it, at most."""
_REMEMBERED = 40_000
"""Names that are known to have been asked for, at most: past that, all are asked for anew."""
_CALLERS = 16_384
"""Callers of which it is known what they rest on, at most."""
_KEY = COLUMNS["issuances"].index("key_id")
_LINEAGE = 4
"""So many times as many records as are wanted are found where they tell who came from whom."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """Older records, as a segment of a number that no segment bears."""

    segment: int
    tables: Tables
    places: tuple[tuple[StoredObject, int], ...]
    """By ordinal: the object that each record lies in, and its place there."""


@dataclass(slots=True)
class Touched:
    """What some records touch, by name."""

    names: set[str] = field(default_factory=set)
    otherwise: dict[str, Row] = field(default_factory=dict)
    """By the name of a key: a caller that bears it, since it may have other names too."""

    def above(self, identity: Row) -> None:
        """Add what a caller rests on."""
        self.names.update(names.above(identity))
        if (deeds := names.deeds_of(identity)) is not None:
            self.names.add(deeds)
        if identity["key_id"]:
            self.otherwise[f"k{identity['key_id']}"] = identity
        else:
            self.names.update(names.else_above(identity))

    def without(self, asked: Set[str]) -> Touched:
        """What has not been asked for yet."""
        rest = self.names - asked
        return Touched(rest, {name: one for name, one in self.otherwise.items() if name in rest})

    def parted(self) -> tuple[Touched, Touched]:
        """What to ask for first, and what then: who came from whom before what was done."""
        deeds = {name for name in self.names if name[0] in names.DEEDS}
        if len(deeds) == len(self.names):
            return self, Touched()
        return Touched(self.names - deeds, self.otherwise), Touched(deeds)

    def add(self, other: Touched) -> None:
        """Add all that others touch."""
        self.names |= other.names
        self.otherwise |= other.otherwise


@dataclass(frozen=True, slots=True)
class _Lead:
    """What a record that was found is to be followed to."""

    above: Touched
    born: str | None
    """The name of the key that it issued."""


class Recollection:
    """
    Finds what new records must be seen with, and remembers what has been asked for, and what that led to: a name is
    asked for again once something that it led to is judged no more.

    Args:
        recall: Where older records are found.
    """

    def __init__(self, recall: Recall) -> None:
        self._recall = recall
        self._asked: set[str] = set()
        self._leads: dict[int, _Lead] = {}
        """Of each record that was found, by its number."""
        self._recalled: dict[int, list[int]] = {}
        """Of each segment that was recalled, the numbers of its records."""
        self._finders: dict[int, set[str]] = {}
        """By record that was recalled, the names that found it."""
        self._led: dict[str, set[str]] = {}
        """By name, the names that led to it, of those that are asked for: a role is led to by each of its sessions."""
        self._above: dict[int, Touched] = {}
        """What callers rest on, by the number that recall gives them; nobody changes it."""
        self._kept: dict[int, frozenset[str] | None] = {}
        """Of segments that are judged anyway: by what their records are found; `None` where nobody noted it."""
        self._makers: dict[str, list[Row]] = {}
        """Of what is judged anyway: who issued, made or changed what, by its names."""
        self._makers_before: dict[str, list[Row]] = {}
        self._count = 0

    @property
    def remembered(self) -> int:
        """How many steps from name to name are remembered."""
        return sum(map(len, self._led.values()))

    def note(self, tables: Tables) -> Touched:
        """Note who made what in the records of a new segment; answers what they touch."""
        callers: dict[int, Row] = {one["identity"]: one for one in tables["identities"].to_pylist()}
        touched = Touched()
        touched.names.add(names.ORGANISED)
        for one in callers.values():
            touched.above(one)
            touched.names.update(names.of_caller(one))
        for row in tables["issuances"].to_pylist():
            caller = callers[row["identity"]]
            given = [*names.of_issuance(row, caller)]
            touched.names.update(given, names.around(row, caller))
            self._made(given, caller)
        for row in tables["changes"].to_pylist():
            given = [*names.of_change(row, callers[row["identity"]])]
            touched.names.update(given)
            self._made(given, callers[row["identity"]])
        return touched

    def kept(self, segment: int, names: frozenset[str] | None) -> None:
        """Note by what the records of a segment are found; `None` for one that was there before the watch began."""
        self._kept[segment] = names

    def _made(self, given: Iterable[str], caller: Row) -> None:
        for name in given:
            if name[0] not in names.HABITS:
                self._makers.setdefault(name, []).append(caller)

    def let_go(self, segments: Iterable[int]) -> None:
        """Ask anew for what some segments hold, and for what led there: from now on they are judged no more."""
        gone = [self._kept.pop(one) for one in segments if one in self._kept]
        if None in gone or len(self._asked) > _REMEMBERED:
            self._asked.clear()
            self._led.clear()
        for found in gone:
            self._unask(found or ())
        self._led = {name: live for name, by in self._led.items() if (live := by & self._asked)}
        self._makers_before, self._makers = self._makers, {}

    def _unask(self, names: Iterable[str]) -> None:
        waiting = [*names]
        while waiting:
            name = waiting.pop()
            if name in self._asked:
                self._asked.remove(name)
                waiting += self._led.pop(name, ())

    def forget(self, segments: Iterable[int]) -> None:
        """Ask anew for what some segments hold that were recalled: it is judged no more."""
        for number in (one for segment in segments for one in self._recalled.pop(segment)):
            self._leads.pop(number, None)
            self._unask(self._finders.pop(number, ()))

    def about(
        self,
        touched: Sequence[Touched],
        held: Iterable[Span],
        most: int,
        between: Callable[[], None] = lambda: None,
    ) -> Recalled | None:
        """
        Find the older records that some new ones must be seen with.

        Args:
            touched: What those touch.
            held: Records that are judged anyway.
            most: Records at most, about; who came from whom comes before what they did.
            between: Done between steps.
        """
        lows, highs = _sorted(held)
        found: list[Found] = []
        rest = Touched()
        for one in touched:
            rest.add(one)
        for _ in range(_ROUNDS):
            asked, rest = rest.without(self._asked).parted()
            if not asked.names or len(found) >= (_LINEAGE * most if asked.otherwise else most):
                break
            self._asked |= asked.names
            named = [
                (name, number)
                for name, number in self._recall.numbers(asked.names)
                if not _within(number, lows, highs)
            ]
            for name, number in named:
                self._finders.setdefault(number, set()).add(name)
            fresh = [*self._recall.read(sorted({number for _, number in named}.difference(self._leads)))]
            self._leads |= {one.number: self._lead(one) for one in fresh}
            found += fresh
            rest.add(self._beyond(asked, named))
            between()
        return self._as_segment(found) if found else None

    def _beyond(self, asked: Touched, named: Iterable[tuple[str, int]]) -> Touched:
        """
        What is asked for next: who made what was found, and by other names what was not found by its key.

        Of what tells a habit nobody asks who made that: there is much of it, and it is counted by persons and roles.
        """
        following = Touched()
        born = set[str]()
        for name in asked.names:
            for caller in (*self._makers.get(name, ()), *self._makers_before.get(name, ())):
                born.add(name)
                self._follow(name, _above(caller), following)
        for name, number in named:
            if name[0] in names.HABITS:
                continue
            lead = self._leads.get(number)
            if lead is not None:  # else its segment was merged away meanwhile
                self._follow(name, lead.above, following)
                if lead.born is not None:
                    born.add(lead.born)
        for name, caller in asked.otherwise.items():
            if name not in born:
                self._follow(name, Touched(set(names.else_above(caller))), following)
        return following

    def _follow(self, name: str, touched: Touched, following: Touched) -> None:
        following.add(touched)
        for one in touched.names:
            self._led.setdefault(one, set()).add(name)

    def _lead(self, found: Found) -> _Lead:
        above = self._above.get(found.identity)
        if above is None:
            if len(self._above) >= _CALLERS:
                self._above.clear()
            above = self._above[found.identity] = _above(found.caller)
        if found.change is not None:
            above = Touched(
                above.names.union(names.about(named("changes", found.change), found.caller)), above.otherwise
            )
        return _Lead(above, None if found.issuance is None else f"k{found.issuance[_KEY]}")

    def _as_segment(self, found: Sequence[Found]) -> Recalled:
        self._count += 1
        self._recalled[-self._count] = [one.number for one in found]
        callers: dict[int, int] = {}
        described: list[Row] = []
        identities = []
        for one in found:
            identity = callers.setdefault(one.identity, len(callers))
            identities.append(identity)
            if identity == len(described):
                described.append(one.caller)
        ordinals = range(len(found))
        place: dict[str, Sequence[int]] = {"ordinal": ordinals, "identity": identities}
        tables = {"events": _table("events", [one.event for one in found], place, -self._count)}
        for name, listed in (
            ("issuances", [one.issuance for one in found]),
            ("changes", [one.change for one in found]),
        ):
            there = [at for at in ordinals if listed[at] is not None]
            rows = [one for one in listed if one is not None]
            place = {"ordinal": there, "identity": [identities[at] for at in there]}
            tables[name] = _table(name, rows, place, -self._count)
        rows = [[*one.values()] for one in described]
        tables["identities"] = _table("identities", rows, {"identity": range(len(rows))}, -self._count)
        return Recalled(-self._count, tables, tuple((one.stored, one.ordinal) for one in found))


def _table(
    name: str, rows: Sequence[Sequence[Any]], place: Mapping[str, Sequence[int]], segment: int
) -> pa.Table:
    """Rows of `COLUMNS` as a table, each with its place in a segment of one object."""
    columns: dict[str, Sequence[Any]] = dict.fromkeys(COLUMNS[name], ())
    if rows:
        columns |= zip(COLUMNS[name], zip(*rows, strict=True), strict=True)
    columns |= {"segment": [segment] * len(rows), "object": [0] * len(rows), **place}
    schema = SCHEMAS[name]
    return pa.table([pa.array(columns[one.name], one.type) for one in schema], schema=schema)


def _above(caller: Row) -> Touched:
    """What a caller rests on."""
    touched = Touched()
    touched.above(caller)
    return touched


def _sorted(held: Iterable[Span]) -> tuple[list[int], list[int]]:
    listed = sorted((one.low, one.high) for one in held if one.high > one.low)
    return [low for low, _ in listed], [high for _, high in listed]


def _within(number: int, lows: list[int], highs: list[int]) -> bool:
    place = bisect_right(lows, number) - 1
    return place >= 0 and number < highs[place]
