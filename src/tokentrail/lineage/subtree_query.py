"""
The credentials that an answer is about: their rows, their calls, and what is above and below them.

A few credentials are looked up (`lookup`). For many, their rows and calls go into temporary tables (`chosen`, `acts`,
`their_places`), which the queries of the answer read. Credentials are named by their numbers (`n`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tokentrail.aws.calls.names import operation_of
from tokentrail.lineage.candidates import batches
from tokentrail.lineage.link import described
from tokentrail.lineage.lookup import Lookup
from tokentrail.lineage.rollups import DEEDS_OF_FACTS, RollUp
from tokentrail.lineage.rows import Row
from tokentrail.lineage.trees import NONE, Integers, nearest, positions
from tokentrail.store.interface import Engine

LOOKED_UP = 200
"""Credentials that are looked up one by one, at most."""
_FEWEST, _FEWEST_CALLS = 20, 2_000
"""Credentials, and calls of theirs, that are looked up at most to see which of them meet a condition."""
_REMEMBERED = 1_000_000
_SCHEMAS: dict[tuple[type, bool], pa.Schema] = {}
"""By engine, and whether addresses are among the columns."""
_BUSY = 1_000
"""Busy credentials up to which it is quicker to look up their roll-ups than to read all segments."""
_AT_ONCE = 50_000
"""Credentials that are described by one query."""
_ADDRESSES = "SELECT DISTINCT w.n, e.ip"
_DEEDS = f"SELECT w.n, {DEEDS_OF_FACTS}"
_WHOLE = "SELECT w.n, e.*"
_BEGUN = """
SELECT {} FROM chosen c WHERE c.segment IS NOT NULL AND (c.parent_n IS NULL OR c.parent_link = 'created')
  AND NOT EXISTS (
    SELECT 1 FROM acts a WHERE a.segment = c.segment AND a.object = c.object AND a.ordinal = c.ordinal)"""
"""The issuing calls of credentials that no credential in the evidence minted: of sign-ins, or from outside."""


class Above(NamedTuple):
    """What is above a credential: its parent, and the root of its tree, which may be itself."""

    parent: int | None
    root: int


class Part:
    """Reads the credentials of an answer, and keeps the last ones in temporary tables."""

    def __init__(self, engine: Engine, folder: Path | None = None) -> None:
        """
        Begin with no credentials.

        Args:
            engine: Knows the forest.
            folder: The derived folder; `None` where there are no files beside the tables.
        """
        self._engine = engine
        self._lookup = Lookup(engine, folder)
        self._gathered: tuple[frozenset[int], str] | None = None
        self._some: dict[str, str] = {}
        self._above: dict[int, Above] = {}

    def inventory(self, places: Iterable[int], order: str) -> pa.Table:
        """
        The described rows of many credentials, in an order.

        Busy ones come by their roll-ups: they acted in every segment, and to read all for a few would take longest.
        """
        wanted = set(places)
        busy = self._lookup.with_roll_ups(wanted)
        if len(busy) > _BUSY:
            busy = set()
        found = pa.Table.from_pylist(self._lookup.rows(busy), schema=self._schema(addresses=True))
        self._engine.register("rolled_up", found)
        self._gather(wanted - busy, _ADDRESSES)
        found = self._engine.table(
            f"SELECT * FROM ({described(self._some)} UNION ALL SELECT * FROM rolled_up) ORDER BY {order}"
        )
        self._gathered = None
        return found

    def matching(
        self, places: Sequence[int], where: str, parameters: Sequence[Any], *, addresses: bool = False
    ) -> set[int]:
        """
        Those of some credentials that meet a condition, however many there are.

        Args:
            places: The credentials.
            where: The condition.
            parameters: What stands for its question marks.
            addresses: Whether it asks where they were used from.
        """
        if self._few(places):
            return self._matching_few(places, where, parameters)
        found = self.asked(
            f"SELECT n FROM ({{described}}) WHERE {where}", places, parameters, addresses=addresses
        )
        return {row["n"] for row in found}

    def rows_matching(self, places: Sequence[int], where: str, parameters: Sequence[Any]) -> Sequence[Row]:
        """The described rows of the same, by place, without addresses, for which all their calls had to be read."""
        if self._few(places):
            return self._lookup.rows(self._matching_few(places, where, parameters))
        return list(self.asked(f"SELECT * FROM ({{described}}) WHERE {where} ORDER BY n", places, parameters))

    def _few(self, places: Collection[int]) -> bool:
        return len(places) <= _FEWEST and self._lookup.calls(places) <= _FEWEST_CALLS

    def _matching_few(self, places: Sequence[int], where: str, parameters: Sequence[Any]) -> set[int]:
        """The same by looking them up; the caller usually asks for these rows next."""
        found = pa.Table.from_pylist(self._lookup.rows(places), schema=self._schema(addresses=False))
        self._engine.register("looked_up", found)
        return {row["n"] for row in self._engine.rows(f"SELECT n FROM looked_up WHERE {where}", parameters)}

    def _schema(self, *, addresses: bool) -> pa.Schema:
        """The columns of a described row: the same in every case, and slow to ask for, so remembered."""
        known = type(self._engine), addresses
        if known not in _SCHEMAS:
            self._gather((), _ADDRESSES)
            of_none = described(self._some, addresses=addresses)
            _SCHEMAS[known] = self._engine.table(f"SELECT * FROM ({of_none}) LIMIT 0").schema
        return _SCHEMAS[known]

    def asked(
        self, sql: str, places: Sequence[int], parameters: Sequence[Any] = (), *, addresses: bool = False
    ) -> Iterator[Row]:
        """The rows of a query over described credentials, which it names `{described}`: some thousands at a time."""
        for some in batches(sorted(places), _AT_ONCE):
            if addresses:
                self._gather(some, _ADDRESSES)
            else:
                self._narrow(frozenset(some))
            yield from self._engine.rows(
                sql.replace("{described}", described(self._some, addresses=addresses)), parameters
            )
            self._gathered = None

    def above(self, places: Iterable[int]) -> dict[int, Above]:
        """The parent and the root of each of some credentials."""
        wanted = set(places)
        missing = wanted.difference(self._above)
        if missing:
            if len(self._above) + len(missing) > _REMEMBERED:
                self._above.clear()
                missing = wanted
            for row in self._plain(missing):
                self._above[row["n"]] = Above(row["parent_n"], row["root_n"])
        return {n: self._above[n] for n in wanted if n in self._above}

    def trees(self, places: Iterable[int]) -> set[int]:
        """Some credentials and all their descendants."""
        roots: dict[int, set[int]] = {}
        for n, above in self.above(places).items():
            roots.setdefault(above.root, set()).add(n)
        whole = {root for root, some in roots.items() if root in some}
        found = _places(self._tree("n", whole)) if whole else set()
        below = {root: some for root, some in roots.items() if root not in whole}
        found |= {n for some in below.values() for n in some}
        # Most of whom is asked about minted nothing, however many others its root did.
        parts = self._parents(below.keys(), [n for some in below.values() for n in some])
        if parts:
            names, parents = _pairs(self._tree("n, parent_n", parts))
            starts = np.isin(names, [n for root in parts for n in roots[root]])
            found |= set(names[nearest(positions(names, parents), starts) != NONE].tolist())
        return found

    def chains(self, places: Iterable[int]) -> set[int]:
        """All ancestors of some credentials, however many there are, by the parents of all in their trees."""
        known = self.above(places)
        names, parents = _pairs(self._tree("n, parent_n", {one.root for one in known.values()}))
        up = dict(zip(names.tolist(), parents.tolist(), strict=True))
        found = set[int]()
        for n in known:
            above = up.get(n, NONE)
            while above != NONE and above not in found:
                found.add(above)
                above = up.get(above, NONE)
        return found

    def _parents(self, roots: Collection[int], places: Sequence[int]) -> Set[int]:
        """Those of some roots below which some of their credentials have children."""
        if not places:
            return frozenset()
        sql = (
            "SELECT DISTINCT root_n FROM credentials "
            "WHERE root_n IN (SELECT unnest(?)) AND parent_n IN (SELECT unnest(?))"
        )
        return {row["root_n"] for row in self._engine.rows(sql, (sorted(roots), sorted(places)))}

    def _tree(self, columns: str, roots: Collection[int]) -> pa.Table:
        """Some columns of all credentials of the trees below some roots."""
        # Of values that a subquery lists, DuckDB reads only the parts of the table that may hold them.
        sql = f"SELECT {columns} FROM credentials WHERE root_n IN (SELECT unnest(?))"
        return self._engine.table(sql, (sorted(roots),))

    def _plain(self, places: Set[int]) -> Iterable[Row]:
        if len(places) <= LOOKED_UP:
            return self._lookup.forest_rows(places).values()
        self._engine.register("picked", pa.table({"n": pa.array(sorted(places), pa.int64())}))
        return self._engine.rows(f"""
            SELECT n, parent_n, root_n FROM credentials c
            WHERE {_span("c.n", places)} AND n IN (SELECT n FROM picked)""")

    def rows(self, places: Iterable[int]) -> Sequence[Row]:
        """The rows of some credentials, in their order."""
        wanted = frozenset(places)
        if self._looked_up(wanted):
            return self._lookup.rows(wanted)
        found: list[Row] = []
        for some in batches(sorted(wanted), _AT_ONCE):
            self._gather(some)
            found += self._engine.table(f"{described(self._some)} ORDER BY n").to_pylist()
        return found

    def deeds(self, places: Iterable[int], select: str) -> Sequence[Row]:
        """The rows of a query over the calls of some credentials: `acts`, whole facts with `n`, and `calls_told`."""
        self._tell(places)
        return self._engine.rows(select)

    def rolled_up(self, places: Iterable[int], roll_up: RollUp) -> pa.Table:
        """What the calls of each of some credentials come to, however many there are."""
        wanted = frozenset(places)
        if self._looked_up(wanted):
            return self._lookup.rolled_up(wanted, roll_up)
        self._gather(wanted)
        return self._engine.table(roll_up.many)

    def set_aside(self, places: Iterable[int], name: str, select: str) -> None:
        """Keep the rows of a query as `activity` has it as a temporary table of a name."""
        self._tell(places)
        self._set(name, select)

    def _tell(self, places: Iterable[int]) -> None:
        """Make `calls_told`: the calls of some credentials, and (`began`) the calls of others that issued them."""
        wanted = frozenset(places)
        if self._gathered == (wanted, _WHOLE):
            return
        self._gather(wanted, _WHOLE)
        begun = self._engine.rows(_BEGUN.format("DISTINCT c.segment"))
        some = self._engine.narrow({row["segment"] for row in begun})["some_events"]
        self._set(
            "calls_began",
            f"""
            SELECT c.n, e.* FROM {some} e JOIN ({_BEGUN.format("*")}) c
            ON c.segment = e.segment AND c.object = e.object AND c.ordinal = e.ordinal""",
        )
        self._engine.run(
            "CREATE OR REPLACE TEMP VIEW calls_told AS "
            "SELECT *, FALSE AS began FROM acts UNION ALL SELECT *, TRUE FROM calls_began"
        )

    def ids(self, places: Iterable[int]) -> dict[int, str]:
        """The ids of some credentials whose calls are wanted, by place."""
        self._tell(places)
        return {row["n"]: row["id"] for row in self._engine.rows("SELECT n, id FROM chosen")}

    def changes(self, places: Iterable[int], operations: Set[str] | None) -> Sequence[Row]:
        """The changes, all or those of some operations, that some credentials made, by time, then event id."""
        wanted = frozenset(places)
        if self._looked_up(wanted):
            return self._lookup.changes(wanted, operations)
        if self._gathered is None or self._gathered[0] != wanted:
            self._narrow(wanted)
        found = self._engine.rows(f"""
            SELECT w.n, c.* FROM {self._some["some_changes"]} c
            JOIN their_places w ON w.segment = c.segment AND w.identity = c.identity
            WHERE {self._lookup.questions.counts("c")} ORDER BY c.time, c.event_id""")
        return [row for row in found if operations is None or operation_of(row["name"] or "") in operations]

    def _looked_up(self, places: Set[int]) -> bool:
        """Whether some credentials are few enough to be looked up."""
        return len(places) <= LOOKED_UP and self._lookup.fits(places)

    def _set(self, name: str, sql: str) -> None:
        self._engine.run(f"CREATE OR REPLACE TEMP TABLE {name} AS {sql}")

    def _gather(self, places: Iterable[int], what: str = _DEEDS) -> None:
        """Make `chosen` and `acts` of some credentials, and name the `some_` tables with all else of them."""
        wanted = frozenset(places)
        if self._gathered in ((wanted, what), (wanted, _WHOLE)):
            return
        identities = self._narrow(wanted)
        self._set(
            "acts",
            f"{what} FROM {self._some['some_events']} e "
            "JOIN their_places w ON w.segment = e.segment AND w.identity = e.identity "
            f"WHERE {_listed('e.identity', identities)} AND {self._lookup.questions.counts('e')}",
        )
        self._gathered = wanted, what

    def _narrow(self, wanted: Set[int]) -> set[int]:
        """The same without `acts`. Returns the numbers of their identities."""
        self.choose(wanted)
        self._set(
            "their_places",
            "SELECT w.segment, w.identity, w.n FROM credential_identities w JOIN chosen s ON s.n = w.n "
            f"WHERE {_span('w.n', wanted)}",
        )
        found = self._engine.rows("""
            SELECT DISTINCT segment, identity FROM their_places
            UNION ALL SELECT DISTINCT segment, NULL FROM chosen WHERE segment IS NOT NULL""")
        self._some = self._engine.narrow({int(row["segment"]) for row in found})
        return {row["identity"] for row in found if row["identity"] is not None}

    def choose(self, places: Iterable[int]) -> None:
        """Make the table `chosen`: the rows of some credentials."""
        self._gathered = None
        listed = sorted(places)
        where = _span("c.n", listed)
        if len(listed) <= LOOKED_UP:
            only = f"SELECT * FROM credentials c WHERE {where} AND {_listed('c.n', listed)}"
        else:
            self._engine.register("picked", pa.table({"n": pa.array(listed, pa.int64())}))
            only = f"SELECT c.* FROM credentials c JOIN picked p ON p.n = c.n WHERE {where}"
        self._set("chosen", only)


def _pairs(found: pa.Table) -> tuple[Integers, Integers]:
    """Credentials and their parents; -1 for none."""
    parents: Any = found["parent_n"].fill_null(pa.scalar(NONE))
    return found["n"].to_numpy(), parents.to_numpy()


def _places(found: pa.Table) -> set[int]:
    places: Any = found["n"]
    return set(places.to_pylist())


def _listed(column: str, values: Collection[int]) -> str:
    """A condition by which the engine skips rows with other values; `TRUE` where there are too many to list."""
    if not values:
        return "FALSE"
    return f"{column} IN ({', '.join(map(str, sorted(values)))})" if len(values) <= LOOKED_UP else "TRUE"


def _span(column: str, places: Collection[int]) -> str:
    """A condition by which the engine skips most other rows, which are sorted by place."""
    return f"{column} BETWEEN {min(places)} AND {max(places)}" if places else "FALSE"
