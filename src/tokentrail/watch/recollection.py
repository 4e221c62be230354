"""
Find the older records that new ones must be seen with: those of the credentials concerned, and of their ancestors.

The search goes from a call to the call that issued its caller's credential, from there to the caller of that one, and
so on, however long ago each was; and from each credential to the changes that concern it. Records of segments that the
judge holds whole are not read again.
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
from tokentrail.watch.recall import COLUMNS, Found, Recall, Span, row_of

_ROUNDS = 100
"""Rounds of looking up names that one search takes at most; each may lead to the next ancestor."""
_REMEMBERED = 40_000
"""Names that are remembered as looked up; past that, all are forgotten when segments are let go."""
_CALLERS = 16_384
"""Callers whose origins are cached, at most."""
_KEY = COLUMNS["issuances"].index("key_id")
_LINEAGE = 4
"""The search for lineage ends at this many times the records that are wanted, that for activity at as many as are."""


@dataclass(frozen=True, slots=True)
class Recalled:
    """Older records, presented as a segment of their own."""

    segment: int
    """Its number, which is negative: those of real segments are not."""
    tables: Tables
    places: tuple[tuple[StoredObject, int], ...]
    """By ordinal in this segment: the evidence object that holds the record, and its ordinal there."""


@dataclass(slots=True)
class Touched:
    """The names to look up because of some records."""

    names: set[str] = field(default_factory=set)
    fallbacks: dict[str, Row] = field(default_factory=dict)
    """By the name of a key: a caller that used it; its other names are looked up if this one finds no issuer."""

    def add_origins(self, identity: Row) -> None:
        """Add the names that lead to where a caller's credential came from, and to what changed it."""
        self.names.update(names.origins(identity))
        if (by_user := names.of_user(identity)) is not None:
            self.names.add(by_user)
        if identity["key_id"]:
            self.fallbacks[f"k{identity['key_id']}"] = identity
        else:
            self.names.update(names.fallback_origins(identity))

    def without(self, asked: Set[str]) -> Touched:
        """Those whose names are not among some."""
        rest = self.names - asked
        return Touched(rest, {name: one for name, one in self.fallbacks.items() if name in rest})

    def lineage_first(self) -> tuple[Touched, Touched]:
        """Part it into what to look up first and what after that: names that find lineage, and those of activity."""
        activity = {name for name in self.names if name[0] in names.ACTIVITY}
        if len(activity) == len(self.names):
            return self, Touched()
        return Touched(self.names - activity, self.fallbacks), Touched(activity)

    def add(self, other: Touched) -> None:
        """Add the names of another."""
        self.names |= other.names
        self.fallbacks |= other.fallbacks


@dataclass(frozen=True, slots=True)
class _Lead:
    """Where a record that was found leads to."""

    origins: Touched
    """The names to look up because of its caller, and because of the change that it records, if it does."""
    issued_key: str | None
    """The name of the access key that it issued, if it did."""


class Recollection:
    """
    Finds the older records that new ones must be seen with, each once while the judge has it.

    It remembers which names were looked up, and which others each of them led to. When the judge lets a record go, the
    names that find it are looked up again as soon as new records have them, and so are all names that led to these.

    Args:
        recall: The database of older records.
    """

    def __init__(self, recall: Recall) -> None:
        self._recall = recall
        self._asked: set[str] = set()
        """The names that were looked up."""
        self._leads: dict[int, _Lead] = {}
        """By the number of a record that was found."""
        self._recalled: dict[int, list[int]] = {}
        """By the number of a recalled segment: those of its records."""
        self._finders: dict[int, set[str]] = {}
        """By the number of a recalled record: the names that found it."""
        self._led_to_by: dict[str, set[str]] = {}
        """By name: the names in `_asked` that led to it. Each session of a role leads to the name of the role."""
        self._origins: dict[int, Touched] = {}
        """The origins of callers, by their numbers in the database; they are shared, and never changed."""
        self._names_held: dict[int, frozenset[str] | None] = {}
        """By the number of a segment that is held whole: the names that find its records; `None` if unknown."""
        self._makers: dict[str, list[Row]] = {}
        """By the name of what was issued, made or changed in segments that are held whole: the callers that did it."""
        self._makers_before: dict[str, list[Row]] = {}
        """The same, for segments that came before segments were last let go."""
        self._count = 0
        """How many segments were recalled."""

    @property
    def remembered(self) -> int:
        """How many pairs of names are remembered, of which one led to the other."""
        return sum(map(len, self._led_to_by.values()))

    def note(self, tables: Tables) -> Touched:
        """Note who made what in the records of a new segment, and return the names to look up because of them."""
        callers: dict[int, Row] = {one["identity"]: one for one in tables["identities"].to_pylist()}
        touched = Touched()
        touched.names.add(names.ORGANISATION)
        for one in callers.values():
            touched.add_origins(one)
            touched.names.update(names.principal_of_caller(one))
        for row in tables["issuances"].to_pylist():
            caller = callers[row["identity"]]
            made = [*names.of_issuance(row, caller)]
            touched.names.update(made, names.context_of_issuance(row, caller))
            self._note_maker(made, caller)
        for row in tables["changes"].to_pylist():
            made = [*names.of_change(row, callers[row["identity"]])]
            touched.names.update(made)
            self._note_maker(made, callers[row["identity"]])
        return touched

    def kept(self, segment: int, found_by: frozenset[str] | None) -> None:
        """Note which names find the records of a segment; `None` for one that was stored before the watch began."""
        self._names_held[segment] = found_by

    def _note_maker(self, made: Iterable[str], caller: Row) -> None:
        for name in made:
            if name[0] not in names.HABITS:
                self._makers.setdefault(name, []).append(caller)

    def let_go(self, segments: Iterable[int]) -> None:
        """Note that the judge lets some segments go: from now on their records may have to be recalled."""
        gone = [self._names_held.pop(one) for one in segments if one in self._names_held]
        if None in gone or len(self._asked) > _REMEMBERED:
            self._asked.clear()
            self._led_to_by.clear()
        for found_by in gone:
            self._unask(found_by or ())
        self._led_to_by = {name: live for name, by in self._led_to_by.items() if (live := by & self._asked)}
        self._makers_before, self._makers = self._makers, {}

    def _unask(self, gone: Iterable[str]) -> None:
        """Forget that some names were looked up, and so of all names that led to them."""
        waiting = [*gone]
        while waiting:
            name = waiting.pop()
            if name in self._asked:
                self._asked.remove(name)
                waiting += self._led_to_by.pop(name, ())

    def forget(self, segments: Iterable[int]) -> None:
        """Note that the judge lets some recalled segments go: their records may have to be recalled again."""
        for number in (one for segment in segments for one in self._recalled.pop(segment)):
            self._leads.pop(number, None)
            self._unask(self._finders.pop(number, ()))

    def find(
        self, touched: Touched, held: Iterable[Span], most: int, between: Callable[[], None] = lambda: None
    ) -> Recalled | None:
        """
        Find the older records that some new ones must be seen with; `None` if there are none.

        Args:
            touched: The names to look up because of the new records, as `note` returns them.
            held: The numbers of the stored records that the judge has anyway, in whole segments.
            most: About how many records are wanted; lineage comes before activity.
            between: Called between steps, none of which takes long, so that the caller can see to other things.
        """
        lows, highs = _sorted(held)
        found: list[Found] = []
        rest = touched
        for _ in range(_ROUNDS):
            asked, rest = rest.without(self._asked).lineage_first()
            if not asked.names or len(found) >= (_LINEAGE * most if asked.fallbacks else most):
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
            rest.add(self._next_touched(asked, named))
            between()
        return self._as_segment(found) if found else None

    def _next_touched(self, asked: Touched, named: Iterable[tuple[str, int]]) -> Touched:
        """
        The names to look up next: those of the origins of what was found, and fallbacks of keys without an issuer.

        What names of habits find is not followed to its origins: it is much, and it is counted by person and role.

        Args:
            asked: What was just looked up.
            named: The names that found something, each with the number of a record.
        """
        following = Touched()
        issued = set[str]()
        """Names of keys whose issuing call is known."""
        for name in asked.names:
            for caller in (*self._makers.get(name, ()), *self._makers_before.get(name, ())):
                issued.add(name)
                self._follow(name, _origins_of(caller), following)
        for name, number in named:
            if name[0] in names.HABITS:
                continue
            lead = self._leads.get(number)
            if lead is not None:  # else its segment was merged away meanwhile
                self._follow(name, lead.origins, following)
                if lead.issued_key is not None:
                    issued.add(lead.issued_key)
        for name, caller in asked.fallbacks.items():
            if name not in issued:
                self._follow(name, Touched(set(names.fallback_origins(caller))), following)
        return following

    def _follow(self, name: str, touched: Touched, following: Touched) -> None:
        """Add to `following` what a name leads to, and remember that it does."""
        following.add(touched)
        for one in touched.names:
            self._led_to_by.setdefault(one, set()).add(name)

    def _lead(self, found: Found) -> _Lead:
        origins = self._origins.get(found.identity)
        if origins is None:
            if len(self._origins) >= _CALLERS:
                self._origins.clear()
            origins = self._origins[found.identity] = _origins_of(found.caller)
        if found.change is not None:
            context = names.context_of_change(row_of("changes", found.change), found.caller)
            origins = Touched(origins.names.union(context), origins.fallbacks)
        return _Lead(origins, None if found.issuance is None else f"k{found.issuance[_KEY]}")

    def _as_segment(self, found: Sequence[Found]) -> Recalled:
        """Make a segment of records that were found, and remember which they are."""
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
    """
    Make a table of a segment that has one object.

    Args:
        name: The name of the table.
        rows: The values of each row, in the order of `COLUMNS`.
        place: The columns `ordinal` and `identity`, as far as the table has them.
        segment: The number of the segment.
    """
    columns: dict[str, Sequence[Any]] = dict.fromkeys(COLUMNS[name], ())
    if rows:
        columns |= zip(COLUMNS[name], zip(*rows, strict=True), strict=True)
    columns |= {"segment": [segment] * len(rows), "object": [0] * len(rows), **place}
    schema = SCHEMAS[name]
    return pa.table([pa.array(columns[one.name], one.type) for one in schema], schema=schema)


def _origins_of(caller: Row) -> Touched:
    """The names that lead to where a caller's credential came from, and to what changed it."""
    touched = Touched()
    touched.add_origins(caller)
    return touched


def _sorted(held: Iterable[Span]) -> tuple[list[int], list[int]]:
    """The lows and the highs of all spans that are not empty, in order; spans do not overlap."""
    listed = sorted((one.low, one.high) for one in held if one.high > one.low)
    return [low for low, _ in listed], [high for _, high in listed]


def _within(number: int, lows: list[int], highs: list[int]) -> bool:
    """Whether a number lies in one of some spans, given as `_sorted` has them."""
    place = bisect_right(lows, number) - 1
    return place >= 0 and number < highs[place]
