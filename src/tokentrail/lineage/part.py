"""
The part of a forest that an answer is about: its rows, what its credentials did, and where else they stand.

Few credentials are looked up (`few`). Of many, what is known is put aside in tables, which a query after another reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence, Set
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa

from tokentrail.lineage.candidates import batches
from tokentrail.lineage.few import Few
from tokentrail.lineage.grow import described
from tokentrail.lineage.number import GAP
from tokentrail.lineage.rollups import DEEDS_OF_FACTS, RollUp
from tokentrail.lineage.rows import Row
from tokentrail.store.interface import Engine

FEW = 200
"""Credentials that are looked up one by one."""
_FEWEST, _FEWEST_CALLS = 20, 2_000
"""Credentials, and calls of theirs, that are looked up to tell which of them are meant."""
_NEAR = 20_000
"""Credentials in trees whose rows are read from where they lie; of more, a query reads the places alone."""
_REMEMBERED = 1_000_000
_SCHEMAS: dict[type, pa.Schema] = {}
"""By engine."""
_AT_ONCE = 50_000
"""Credentials of which all that is known is brought together at once."""
_ADDRESSES = "SELECT DISTINCT w.n, e.ip"
_DEEDS = f"SELECT w.n, {DEEDS_OF_FACTS}"
_WHOLE = "SELECT w.n, e.*"
_BEGUN = """
SELECT {} FROM chosen c WHERE c.segment IS NOT NULL AND (c.parent_n IS NULL OR c.parent_link = 'created')
  AND NOT EXISTS (
    SELECT 1 FROM acts a WHERE a.segment = c.segment AND a.object = c.object AND a.ordinal = c.ordinal)"""
"""Those that no credential in the evidence minted: who signed in, or came from outside, had none there."""


class Span(NamedTuple):
    """Where a tree lies: how far its places reach, and the first of the whole tree that it is part of."""

    span: int
    parent: int | None
    root: int


class Part:
    """Some credentials at a time."""

    def __init__(self, engine: Engine, folder: Path | None = None) -> None:
        """
        Look at some credentials at a time.

        Args:
            engine: Knows the forest.
            folder: Where it lies; nowhere where nothing but its tables is kept.
        """
        self._engine = engine
        self._few = Few(engine, folder)
        self._gathered: tuple[frozenset[int], str] | None = None
        self._some: dict[str, str] = {}
        self._known: dict[int, Span] = {}

    def inventory(self, places: Iterable[int], order: str) -> pa.Table:
        """All that is known of very many credentials, in an order."""
        self._gather(places, _ADDRESSES)
        found = self._engine.table(f"SELECT * FROM ({described(self._some)}) ORDER BY {order}")
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
        if len(places) <= _FEWEST and self._few.calls(places) <= _FEWEST_CALLS:
            return self._matching_few(places, where, parameters)
        found = self.asked(
            f"SELECT n FROM ({{described}}) WHERE {where}", places, parameters, addresses=addresses
        )
        return {row["n"] for row in found}

    def _matching_few(self, places: Sequence[int], where: str, parameters: Sequence[Any]) -> set[int]:
        """The same by looking them up, as whoever asks for them then will."""
        found = pa.Table.from_pylist(list(self._few.rows(places)), schema=self._schema())
        self._engine.register("looked_up", found)
        return {row["n"] for row in self._engine.rows(f"SELECT n FROM looked_up WHERE {where}", parameters)}

    def _schema(self) -> pa.Schema:
        """The columns of what is known of a credential: the same in every case, and as long to plan as to ask for."""
        if type(self._engine) not in _SCHEMAS:
            self._narrow(frozenset())
            of_none = described(self._some, addresses=False)
            _SCHEMAS[type(self._engine)] = self._engine.table(f"SELECT * FROM ({of_none}) LIMIT 0").schema
        return _SCHEMAS[type(self._engine)]

    def asked(
        self, sql: str, places: Sequence[int], parameters: Sequence[Any] = (), *, addresses: bool = False
    ) -> Iterator[Row]:
        """What a query tells of each of some credentials, which it calls `{described}`: some thousands at a time."""
        for some in batches(sorted(places), _AT_ONCE):
            if addresses:
                self._gather(some, _ADDRESSES)
            else:
                self._narrow(frozenset(some))
            yield from self._engine.rows(
                sql.replace("{described}", described(self._some, addresses=addresses)), parameters
            )
            self._gathered = None

    def spans(self, places: Iterable[int]) -> dict[int, Span]:
        """Where the trees of some credentials, and those that they are in, lie among the rows."""
        wanted = set(places)
        missing = wanted.difference(self._known)
        if missing:
            if len(self._known) + len(missing) > _REMEMBERED:
                self._known.clear()
                missing = wanted
            for row in self._plain(missing):
                self._known[row["n"]] = Span(row["span"], row["parent_n"], row["root_n"])
        return {n: self._known[n] for n in wanted if n in self._known}

    def trees(self, places: Iterable[int]) -> set[int]:
        """All that lies in the trees below some credentials, themselves included: what lies between their ends."""
        apart: list[tuple[int, int]] = []
        for n, span in sorted(self.spans(places).items()):
            if not apart or n > apart[-1][1]:  # else it lies in the one before: trees nest or lie apart
                apart.append((n, n + span.span))
        if sum(end - n for n, end in apart) < 2 * GAP * _NEAR:
            return _places(self._engine.ranges("forest", "n", apart))
        self._engine.register("apart", pa.table({
            "first": pa.array([n for n, _ in apart], pa.int64()),
            "last": pa.array([end for _, end in apart], pa.int64()),
        }))  # fmt: skip
        found = self._engine.table(f"""
            SELECT f.n FROM forest f JOIN apart t ON f.n BETWEEN t.first AND t.last
            WHERE f.n BETWEEN {apart[0][0]} AND {apart[-1][1]}""")
        return _places(found)

    def _plain(self, places: Set[int]) -> Iterable[Row]:
        if len(places) <= FEW:
            return self._few.plain(places).values()
        self._engine.register("picked", pa.table({"n": pa.array(sorted(places), pa.int64())}))
        return self._engine.rows(f"""
            SELECT n, span, parent_n, root_n FROM forest c
            WHERE {_span("c.n", places)} AND n IN (SELECT n FROM picked)""")

    def rows(self, places: Iterable[int]) -> Sequence[Row]:
        """The rows of some credentials, in their order."""
        wanted = frozenset(places)
        if self._looked_up(wanted):
            return self._few.rows(wanted)
        found: list[Row] = []
        for some in batches(sorted(wanted), _AT_ONCE):
            self._gather(some)
            found += self._engine.table(f"{described(self._some)} ORDER BY n").to_pylist()
        return found

    def deeds(self, places: Iterable[int], select: str) -> Sequence[Row]:
        """What some credentials did: `select` reads from `acts`, whole facts with `n`, and from `calls_told`."""
        self._tell(places)
        return self._engine.rows(select)

    def rolled_up(self, places: Iterable[int], roll_up: RollUp) -> pa.Table:
        """What the calls of each of some credentials come to, however many there are."""
        wanted = frozenset(places)
        if self._looked_up(wanted):
            return self._few.rolled_up(wanted, roll_up)
        self._gather(wanted)
        return self._engine.table(roll_up.many)

    def set_aside(self, places: Iterable[int], name: str, select: str) -> None:
        """Keep a roll-up of whole calls under a name; reads as `deeds` does."""
        self._tell(places)
        self._set(name, select)

    def _tell(self, places: Iterable[int]) -> None:
        """Know as `calls_told` what some credentials did, and the calls that they began with and did not make."""
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

    def changes(self, places: Iterable[int], names: Set[str] | None) -> Sequence[Row]:
        """The changes, all or those of some names, that some credentials made, by time, then event id."""
        wanted = frozenset(places)
        if self._looked_up(wanted):
            return self._few.changes(wanted, names)
        self._gather(wanted)
        found = self._engine.rows(f"""
            SELECT w.n, c.* FROM {self._some["some_changes"]} c
            JOIN their_places w ON w.segment = c.segment AND w.identity = c.identity
            WHERE {self._few.counts("c")} ORDER BY c.time, c.event_id""")
        return [row for row in found if names is None or row["name"] in names]

    def _looked_up(self, places: Set[int]) -> bool:
        """Whether to look some credentials up, one by one."""
        return len(places) <= FEW and self._few.fits(places)

    def _set(self, name: str, sql: str) -> None:
        self._engine.run(f"CREATE OR REPLACE TEMP TABLE {name} AS {sql}")

    def _gather(self, places: Iterable[int], what: str = _DEEDS) -> None:
        """Know some credentials as `chosen`, what they did as `acts`, and all else about them as `some_` tables."""
        wanted = frozenset(places)
        if self._gathered in ((wanted, what), (wanted, _WHOLE)):
            return
        identities = self._narrow(wanted)
        self._set(
            "acts",
            f"{what} FROM {self._some['some_events']} e "
            "JOIN their_places w ON w.segment = e.segment AND w.identity = e.identity "
            f"WHERE {_listed('e.identity', identities)} AND {self._few.counts('e')}",
        )
        self._gathered = wanted, what

    def _narrow(self, wanted: Set[int]) -> set[int]:
        """Know some credentials as `chosen`, and all but what they did as `some_` tables; answers their identities."""
        self.choose(wanted)
        self._set(
            "their_places",
            "SELECT w.segment, w.identity, w.n FROM who w JOIN chosen s ON s.n = w.n "
            f"WHERE {_span('w.n', wanted)}",
        )
        found = self._engine.rows("""
            SELECT DISTINCT segment, identity FROM their_places
            UNION ALL SELECT DISTINCT segment, NULL FROM chosen WHERE segment IS NOT NULL""")
        self._some = self._engine.narrow({int(row["segment"]) for row in found})
        return {row["identity"] for row in found if row["identity"] is not None}

    def choose(self, places: Iterable[int]) -> None:
        """Know some credentials as `chosen`."""
        self._gathered = None
        listed = sorted(places)
        where = _span("c.n", listed)
        if len(listed) <= FEW:
            only = f"SELECT * FROM forest c WHERE {where} AND {_listed('c.n', listed)}"
        else:
            self._engine.register("picked", pa.table({"n": pa.array(listed, pa.int64())}))
            only = f"SELECT c.* FROM forest c JOIN picked p ON p.n = c.n WHERE {where}"
        self._set("chosen", only)


def _places(found: pa.Table) -> set[int]:
    places: Any = found["n"]
    return set(places.to_pylist())


def _listed(column: str, values: Collection[int]) -> str:
    """A condition that lets the engine pass over rows with other values, as far as it is worth spelling."""
    if not values:
        return "FALSE"
    return f"{column} IN ({', '.join(map(str, sorted(values)))})" if len(values) <= FEW else "TRUE"


def _span(column: str, places: Collection[int]) -> str:
    """A condition that lets the engine pass over the rows of all others: they are sorted by place."""
    return f"{column} BETWEEN {min(places)} AND {max(places)}" if places else "FALSE"
