"""
Questions to the evidence about a few credentials: what their identities say, which calls issued them, what they did.

Each reads only the segments concerned. What is sure to be asked can be begun (`Questions.begin`), and is answered while
something else is read. An identity is named by its segment and its number there.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence, Set

import pyarrow as pa

from tokentrail.lineage.busy import SEEN, Identity
from tokentrail.lineage.describe import FROM_ISSUING_CALL
from tokentrail.lineage.rollups import DEEDS, DEEDS_OF_FACTS, NOTHING
from tokentrail.lineage.rows import Row
from tokentrail.store.interface import Engine

_PAIRS = 20
"""Identities from which on a query gets them as (segment, number) pairs; by the numbers alone it would also read the
calls of others that have the same numbers in other segments."""
_SPELLED = 1_000
"""Values that a query lists one by one at most."""
_LEFT_OUT = (
    "NOT EXISTS (SELECT 1 FROM losers l WHERE l.segment = {table}.segment AND l.object = {table}.object "
    "AND l.ordinal = {table}.ordinal)"
)
_IDENTITIES = ("segment", "identity", "type", "user_name", "invoked_by", *SEEN)
_ISSUANCES = ("segment", "object", "ordinal", "child_id", "source_identity", *FROM_ISSUING_CALL.values())
_FACTS = pa.schema([
    pa.field("segment", pa.int64()), pa.field("identity", pa.int64()), *map(NOTHING.schema.field, DEEDS),
])  # fmt: skip
Place = tuple[int, int, int]
"""Where a record is: its segment, and its object and its number there."""


class Questions:
    """Asks them of one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._repeated: bool | None = None
        self._begun: dict[str, Callable[[], Sequence[Row]]] = {}

    def begin(self, said: Set[Identity], issued: Set[Place], acted: Set[Identity]) -> None:
        """
        Begin to ask what is asked next, if that is about few.

        Args:
            said: What `identities` will be asked, ...
            issued: ... what `calls` will be, ...
            acted: ... and what `events` will be.
        """
        self._begun = {}
        if max(len(said), len(issued), len(acted)) > _PAIRS:
            return
        asked = (
            self._of_events(acted) if acted else "",
            self._of_identities(said) if said else "",
            self._of_calls(issued) if issued else "",
        )
        self._begun = {sql: self._engine.ask(sql) for sql in asked if sql}

    def forget(self) -> None:
        """Have no use any more for what was begun: an error of it is nobody's."""
        self._begun = {}

    def identities(self, wanted: Set[Identity]) -> Callable[[], dict[Identity, Row]]:
        """Begin to ask for what some identities say."""
        if not wanted:
            return dict

        def mine(rows: Iterable[Row]) -> dict[Identity, Row]:
            return {place: row for row in rows if (place := (row["segment"], row["identity"])) in wanted}

        rows = self._ask(self._of_identities(wanted), wanted)
        return lambda: mine(rows())

    def calls(self, wanted: Set[Place]) -> Callable[[], dict[Place, Row]]:
        """Begin to ask for the calls that issued credentials, by their places in the evidence."""
        if not wanted:
            return dict
        rows = self._ask(self._of_calls(wanted))
        return lambda: {
            place: row
            for row in rows()
            if (place := (row["segment"], row["object"], row["ordinal"])) in wanted
        }

    def events(self, who: Set[Identity], *, few: bool) -> pa.Table:
        """
        The calls of some identities, and maybe of others: `segment`, `identity` and `DEEDS`.

        Args:
            who: The identities.
            few: Whether that is so few calls that Python rows come quicker than Arrow tables.
        """
        sql = self._of_events(who)
        if not few:
            return self._engine.table(sql)
        return pa.Table.from_pylist(self._ask(sql, who)(), _FACTS)

    def changes(self, who: Set[Identity]) -> Sequence[Row]:
        """The changes that some identities made, and maybe others."""
        some = self._engine.narrow({segment for segment, _ in who})["some_changes"]
        return self._engine.rows(f"SELECT c.* FROM {some} c {self._by('c', who)} AND {self.counts('c')}")

    def counts(self, table: str) -> str:
        """A condition that leaves out repeated records (`losers`), where there are any."""
        if self._repeated is None:
            self._repeated = bool(self._engine.rows("SELECT 1 AS one FROM losers LIMIT 1"))
        return _LEFT_OUT.format(table=table) if self._repeated else "TRUE"

    def _ask(self, sql: str, pairs: Set[Identity] = frozenset()) -> Callable[[], Sequence[Row]]:
        """Begin to ask, unless that is done; at once about pairs that are registered, as `_by` does the next ones."""
        if len(pairs) > _PAIRS:
            found = self._engine.rows(sql)
            return lambda: found
        begun = self._begun.pop(sql, None)
        return self._engine.ask(sql) if begun is None else begun

    def _of_identities(self, wanted: Set[Identity]) -> str:
        some = self._engine.narrow({segment for segment, _ in wanted})["some_identities"]
        return f"SELECT {_told('i', _IDENTITIES)} FROM {some} i {self._by('i', wanted)}"

    def _of_calls(self, wanted: Set[Place]) -> str:
        some = self._engine.narrow({segment for segment, _, _ in wanted})["some_issuances"]
        listed = f"{_listed('object', {one[1] for one in wanted})} AND {_listed('ordinal', {one[2] for one in wanted})}"
        return f"SELECT {_told('s', _ISSUANCES)} FROM {some} s WHERE {listed}"

    def _of_events(self, who: Set[Identity]) -> str:
        some = self._engine.narrow({segment for segment, _ in who})["some_events"]
        told = f"{_told('e', ('segment', 'identity'))}, {DEEDS_OF_FACTS}"
        return f"SELECT {told} FROM {some} e {self._by('e', who)} AND {self.counts('e')}"

    def _by(self, table: str, wanted: Set[Identity]) -> str:
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


def _told(table: str, columns: Iterable[str]) -> str:
    return ", ".join(f"{table}.{name}" for name in columns)


def _listed(column: str, values: Collection[int]) -> str:
    """A condition by which the engine skips rows with other values; `TRUE` where there are too many to list."""
    return f"{column} IN ({', '.join(map(str, sorted(values)))})" if len(values) <= _SPELLED else "TRUE"
