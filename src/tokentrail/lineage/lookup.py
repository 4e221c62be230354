"""
Look up a few credentials: their rows, and what they did.

For a few credentials, planning one query that joins everything takes longer than one small query for each table of
the evidence. The rows are the same as those of `8_credentials.sql`, which tests compare. What was looked up is
remembered, since one question leads to the next: the same long-term key issued many of the sessions that people ask
about.

Credentials are named by their places (`n`, see `number`), and an identity by its segment and its number there.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tokentrail.lineage.busy import CHANGES, IDENTITIES, SEEN, Busy, Identity
from tokentrail.lineage.describe import FROM_ISSUING_CALL, from_records, merged
from tokentrail.lineage.rollups import ADDRESSES, APIS, DEEDS, DEEDS_OF_FACTS, NOTHING, RollUp
from tokentrail.lineage.rows import Row
from tokentrail.store.interface import Engine

_LEFT_OUT = (
    "NOT EXISTS (SELECT 1 FROM losers l WHERE l.segment = {table}.segment AND l.object = {table}.object "
    "AND l.ordinal = {table}.ordinal)"
)
_CALLS, _ROWS = 500_000, 20_000
"""Calls, and rows, that are remembered at most."""
_BUSY = 1_000
"""Calls of a credential from which on their roll-ups are remembered instead of the calls, which may be too many."""
_SPELLED = 1_000
"""Values that a query lists one by one at most."""
_FEW = 200
"""Calls below which Python rows come quicker than Arrow tables."""
_FACTS = pa.schema([
    pa.field("segment", pa.int64()), pa.field("identity", pa.int64()), *map(NOTHING.schema.field, DEEDS),
])  # fmt: skip
_PAIRS = 20
"""Identities from which on a query gets them as (segment, number) pairs; by the numbers alone it would also read the
calls of others that have the same numbers in other segments."""
_IDENTITIES = ("type", "user_name", "invoked_by", *SEEN)
_ISSUANCES = ("child_id", "source_identity", *FROM_ISSUING_CALL.values())
_CREATED = (
    "created_what", "created_thing", "created_api", "created_event", "created_text", "created_time",
    "created_owner", "created_ip", "created_agent",
)  # fmt: skip
_Place = tuple[int, int, int]
_WHERE = frozenset({"segment", "object", "ordinal", "identity"})
"""The columns that say where the issuing call is; a described row has no need of them."""


class Lookup:
    """Looks up a few credentials, and remembers what it found."""

    def __init__(self, engine: Engine, folder: Path | None = None) -> None:
        self._engine = engine
        self._busy = Busy(engine, folder)
        self._believed: dict[int, bool] = {}
        self._who: dict[int, list[Identity]] = {}
        self._owned = 0
        self._forest_rows: dict[int, Row] = {}
        self._rows: dict[int, Row] = {}
        self._acts: OrderedDict[int, pa.Table] = OrderedDict()
        self._acts_held = 0
        self._sums: dict[tuple[str, int], pa.Table] = {}
        self._summed = 0
        self._changes: dict[int, list[Row]] = {}
        self._repeated: bool | None = None

    def forest_rows(self, places: Iterable[int]) -> dict[int, Row]:
        """The rows of the `forest` table of some credentials, by place."""
        wanted = set(places)
        missing = wanted.difference(self._forest_rows)  # `-` would go through all that is known
        if missing:
            if len(self._forest_rows) > _ROWS:
                self._forest_rows.clear()
                missing = wanted
            found = self._engine.ranges("forest", "n", [(n, n) for n in sorted(missing)])
            self._forest_rows |= {row["n"]: row for row in found.to_pylist()}
        return {n: self._forest_rows[n] for n in wanted if n in self._forest_rows}

    def fits(self, places: Iterable[int]) -> bool:
        """Whether the calls of some credentials are few enough for memory."""
        return self.calls(places) <= _CALLS

    def calls(self, places: Iterable[int]) -> int:
        """How many calls must be read for what some credentials did; those that are kept rolled up need none."""
        own = self.forest_rows(places)
        told = self.with_roll_ups(own)
        return sum(row["events"] or 0 for n, row in own.items() if n not in told)

    def rows(self, places: Iterable[int]) -> list[Row]:
        """The described rows of some credentials, by place."""
        wanted = sorted(set(places))
        missing = [n for n in wanted if n not in self._rows]
        if missing:
            if len(self._rows) > _ROWS:
                self._rows.clear()
                missing = wanted
            self._rows |= self._described(missing)
        return [self._rows[n] for n in wanted if n in self._rows]

    def rolled_up(self, places: Iterable[int], roll_up: RollUp) -> pa.Table:
        """What the calls of each of some credentials come to; that of busy ones is remembered."""
        own = self.forest_rows(places)
        busy = {n for n, row in own.items() if (row["events"] or 0) > _BUSY} | self.with_roll_ups(own)
        return pa.concat_tables([
            roll_up.few(self._acts_of(own.keys() - busy)), *(self._busy_sum(roll_up, n) for n in sorted(busy))
        ])  # fmt: skip

    def _busy_sum(self, roll_up: RollUp, n: int) -> pa.Table:
        found = self._sums.get((roll_up.name, n))
        if found is None:
            acts = self._acts_of((n,))
            stored = self._busy.rows(roll_up.name, n) if self.with_roll_ups((n,)) else None
            if stored is None:
                found = roll_up.few(acts)
            elif acts.num_rows:
                found = roll_up.together(pa.concat_tables([roll_up.few(acts), stored]))
            else:
                found = stored
            self._summed += found.num_rows
            if self._summed > _CALLS:
                self._sums.clear()
                self._summed = found.num_rows
            self._sums[roll_up.name, n] = found
        return found

    def _acts_of(self, places: Iterable[int]) -> pa.Table:
        """The calls of some credentials that are not kept rolled up, with the columns `DEEDS` and `n`."""
        wanted = sorted(set(places))
        missing = [n for n in wanted if n not in self._acts]
        fresh = self._read(missing, self._to_read(missing)) if missing else {}
        for n in wanted:
            if n in fresh:
                self._acts[n] = fresh[n]
                self._acts_held += fresh[n].num_rows
            else:
                self._acts.move_to_end(n)
        found = pa.concat_tables([self._acts[n] for n in wanted] or [NOTHING])
        while self._acts_held > _CALLS:
            self._acts_held -= self._acts.popitem(last=False)[1].num_rows
        return found

    def with_roll_ups(self, places: Iterable[int]) -> set[int]:
        """Those of some credentials whose calls were rolled up as the case was linked (`busy`) and still are."""
        may = {n for n in places if self._busy.may_tell(n)}
        unsure = may.difference(self._believed)
        if unsure:
            owned: dict[int, list[Identity]] = {n: [] for n in unsure}
            for one, n in self._identities_of(unsure).items():
                owned[n].append(one)
            self._believed |= {n: self._busy.tells(n, mine) for n, mine in owned.items()}
        return {n for n in may if self._believed[n]}

    def _to_read(self, places: Iterable[int]) -> dict[Identity, int]:
        """The identities of some credentials whose records must be read, since they are in no roll-up."""
        wanted = set(places)
        told = self.with_roll_ups(wanted)
        who = self._identities_of(wanted)
        return {one: n for one, n in who.items() if n not in told or not self._busy.covers(one[0])}

    def changes(self, places: Iterable[int], names: Set[str] | None) -> list[Row]:
        """The changes, all or those of some names, that some credentials made, by time, then event id."""
        wanted = set(places)
        calling = self._calling(wanted, names)
        missing = calling.difference(self._changes)
        if missing:
            if sum(map(len, self._changes.values())) > _ROWS:
                self._changes.clear()
                missing = calling
            self._changes |= self._changes_of(missing)
        found = [row for n in calling for row in self._changes[n] if names is None or row["name"] in names]
        return sorted(found, key=lambda row: (row["time"], row["event_id"]))

    def _calling(self, places: Set[int], names: Set[str] | None) -> set[int]:
        """Those of some credentials that made any call, or one of some names; the others made no change."""
        called = self.rolled_up(places, APIS)
        told: Any = zip(called["n"].to_pylist(), called["name"].to_pylist(), strict=True)
        return {n for n, name in told if names is None or name in names}

    def _changes_of(self, places: Set[int]) -> dict[int, list[Row]]:
        found: dict[int, list[Row]] = {n: [] for n in places}
        for told in self.with_roll_ups(places):
            found[told] += self._busy.rows(CHANGES, told).to_pylist()
        who = self._to_read(places)
        if who:
            some = self._engine.narrow({segment for segment, _ in who})["some_changes"]
            sql = f"SELECT c.* FROM {some} c {self._by('c', who)} AND {self.counts('c')}"
            for row in self._engine.rows(sql):
                n = who.get((row["segment"], row["identity"]))
                if n is not None:
                    found[n].append({**row, "n": n})
        return found

    def counts(self, table: str) -> str:
        """A condition that leaves out repeated records (`losers`), where there are any."""
        if self._repeated is None:
            self._repeated = bool(self._engine.rows("SELECT 1 AS one FROM losers LIMIT 1"))
        return _LEFT_OUT.format(table=table) if self._repeated else "TRUE"

    def _described(self, places: Sequence[int]) -> dict[int, Row]:
        own = self.forest_rows(places)
        above = {up for row in own.values() for up in (row["parent_n"], row["root_n"]) if up is not None}
        names = {n: row["id"] for n, row in (own | self.forest_rows(above.difference(own))).items()}
        who = self._to_read(own)
        callers = {(row["segment"], row["identity"]) for row in own.values() if row["segment"] is not None}
        asked = self._identities({*who, *callers}), self._calls(own.values())
        ips = _addresses(self.rolled_up(own, ADDRESSES))
        made = self._engine.ranges("creations", "n", [(n, n) for n in own])
        creations = {row["n"]: row for row in made.to_pylist()}
        seen: dict[int, list[Row]] = {
            n: list(self._busy.rows(IDENTITIES, n).to_pylist()) for n in self.with_roll_ups(own)
        }
        identities, calls = asked[0](), asked[1]()
        for one, n in who.items():
            if one in identities:
                seen.setdefault(n, []).append(identities[one])
        return {
            n: {
                **{name: value for name, value in row.items() if name not in _WHERE},
                "parent_id": names.get(row["parent_n"]),
                "root_id": names.get(row["root_n"]),
                **{name: creations.get(n, {}).get(name) for name in _CREATED},
                **from_records(
                    merged(seen.get(n, [])),
                    calls.get((row["segment"], row["object"], row["ordinal"]), {}),
                    identities.get((row["segment"], row["identity"])),
                    issued=row["identity"] is not None,
                ),
                "ips": ips.get(n),
            }
            for n, row in own.items()
        }

    def _identities_of(self, places: Iterable[int]) -> dict[Identity, int]:
        """The identities of some credentials, each with its credential."""
        wanted = set(places)
        missing = wanted.difference(self._who)
        if missing:
            if self._owned > _ROWS:
                self._who.clear()
                self._owned, missing = 0, wanted
            found = self._engine.ranges("who", "n", [(n, n) for n in sorted(missing)])
            columns = (found[name].to_pylist() for name in ("n", "segment", "identity"))
            fresh: dict[int, list[Identity]] = {n: [] for n in missing}
            for n, segment, identity in zip(*columns, strict=True):
                fresh[n].append((segment, identity))
            self._who |= fresh  # all at once: what an error left half done would be taken for the whole
            self._owned += len(missing) + found.num_rows
        return {one: n for n in sorted(wanted) for one in self._who[n]}

    def _identities(self, wanted: Set[Identity]) -> Callable[[], dict[Identity, Row]]:
        """Begin to ask for what some identities say."""
        if not wanted:
            return dict
        some = self._engine.narrow({segment for segment, _ in wanted})["some_identities"]
        told = ", ".join(f"i.{name}" for name in ("segment", "identity", *_IDENTITIES))
        sql = f"SELECT {told} FROM {some} i {self._by('i', wanted)}"

        def mine(rows: Iterable[Row]) -> dict[Identity, Row]:
            return {place: row for row in rows if (place := (row["segment"], row["identity"])) in wanted}

        if len(wanted) > _PAIRS:  # then `_by` has registered them, until it is asked again
            found = mine(self._engine.rows(sql))
            return lambda: found
        rows = self._engine.ask(sql)
        return lambda: mine(rows())

    def _calls(self, own: Iterable[Row]) -> Callable[[], dict[_Place, Row]]:
        """Begin to ask for the calls that issued some credentials, by their places in the evidence."""
        wanted = {
            (row["segment"], row["object"], row["ordinal"]) for row in own if row["segment"] is not None
        }
        if not wanted:
            return dict
        some = self._engine.narrow({segment for segment, _, _ in wanted})["some_issuances"]
        listed = f"{_listed('object', {one[1] for one in wanted})} AND {_listed('ordinal', {one[2] for one in wanted})}"
        told = ", ".join(("segment", "object", "ordinal", *_ISSUANCES))
        rows = self._engine.ask(f"SELECT {told} FROM {some} WHERE {listed}")
        return lambda: {
            place: row
            for row in rows()
            if (place := (row["segment"], row["object"], row["ordinal"])) in wanted
        }

    def _by(self, table: str, wanted: Collection[Identity]) -> str:
        """The end of a query that keeps the rows of some identities, and few others: a join and a condition."""
        where = f"WHERE {_listed(f'{table}.identity', {identity for _, identity in wanted})}"
        if len(wanted) <= _PAIRS:
            return where
        segments, identities = zip(*wanted, strict=True)
        self._engine.register("asked_identities", pa.table({
            "segment": pa.array(segments, pa.int64()), "identity": pa.array(identities, pa.int32()),
        }))  # fmt: skip
        same = " AND ".join(f"w.{name} = {table}.{name}" for name in ("segment", "identity"))
        return f"SEMI JOIN asked_identities w ON {same} {where}"

    def _read(self, places: Sequence[int], who: Mapping[Identity, int]) -> dict[int, pa.Table]:
        if not who:
            return dict.fromkeys(places, NOTHING)
        some = self._engine.narrow({segment for segment, _ in who})["some_events"]
        sql = f"""
            SELECT e.segment, e.identity, {DEEDS_OF_FACTS} FROM {some} e {self._by("e", who)} AND {self.counts("e")}"""
        few = sum(row["events"] or 0 for row in self.forest_rows(places).values()) < _FEW
        facts = pa.Table.from_pylist(self._engine.rows(sql), _FACTS) if few else self._engine.table(sql)
        owners = _owners(facts, who)
        mine = facts.select(DEEDS).add_column(0, "n", pa.array(owners)).filter(pa.array(owners >= 0))
        found = mine.cast(NOTHING.schema).sort_by("n").combine_chunks()
        n = found["n"].to_numpy()
        starts, ends = np.searchsorted(n, places), np.searchsorted(n, places, side="right")
        return {
            one: found.slice(start, end - start)
            for one, start, end in zip(places, starts.tolist(), ends.tolist(), strict=True)
        }


def _owners(found: pa.Table, who: Mapping[Identity, int]) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The place of the credential of each call; -1 where it is none of those asked for."""
    segments = np.array(sorted({segment for segment, _ in who}), np.int64)
    row = {segment: place for place, segment in enumerate(segments.tolist())}
    coded = sorted((row[segment] << 32 | identity, n) for (segment, identity), n in who.items())
    codes, owners = (np.array(column, np.int64) for column in zip(*coded, strict=True))
    shown = _numbers(found["segment"])
    at = np.minimum(np.searchsorted(segments, shown), len(segments) - 1)
    at = np.where(segments[at] == shown, at, -1)
    mine = at << 32 | _numbers(found["identity"])
    spot = np.minimum(np.searchsorted(codes, mine), len(codes) - 1)
    return np.where(codes[spot] == mine, owners[spot], -1)


def _numbers(column: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """A column's numbers; -1 for null."""
    filled: Any = column.fill_null(-1)
    numbers: np.ndarray[Any, np.dtype[np.int64]] = filled.to_numpy().astype(np.int64)
    return numbers


def _addresses(pairs: pa.Table) -> dict[int, list[str]]:
    found: dict[int, set[str]] = {}
    for n, ip in zip(pairs["n"].to_pylist(), pairs["ip"].to_pylist(), strict=True):
        if n is not None and ip is not None:
            found.setdefault(n, set()).add(ip)
    return {n: sorted(ips) for n, ips in found.items()}


def _listed(column: str, values: Collection[int]) -> str:
    """A condition by which the engine skips rows with other values; `TRUE` where there are too many to list."""
    return f"{column} IN ({', '.join(map(str, sorted(values)))})" if len(values) <= _SPELLED else "TRUE"
