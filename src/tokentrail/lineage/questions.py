"""
Questions to the evidence about a few credentials: what their identities say, which calls issued them, what they did.

Each reads only the segments concerned. An identity is named by its segment and its number there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Set

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
    "NOT EXISTS (SELECT 1 FROM duplicates l WHERE l.segment = {table}.segment AND l.object = {table}.object "
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

    def identities(self, wanted: Set[Identity]) -> dict[Identity, Row]:
        """What some identities say."""
        if not wanted:
            return {}
        rows = self._engine.rows(self._of_identities(wanted))
        return {place: row for row in rows if (place := (row["segment"], row["identity"])) in wanted}

    def calls(self, wanted: Set[Place]) -> dict[Place, Row]:
        """The calls that issued credentials, by their places in the evidence."""
        if not wanted:
            return {}
        rows = self._engine.rows(self._of_calls(wanted))
        return {
            place: row for row in rows if (place := (row["segment"], row["object"], row["ordinal"])) in wanted
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
        return pa.Table.from_pylist(self._engine.rows(sql), _FACTS)

    def changes(self, who: Set[Identity]) -> Sequence[Row]:
        """The changes that some identities made, and maybe others."""
        some = self._engine.narrow({segment for segment, _ in who})["some_changes"]
        return self._engine.rows(f"SELECT c.* FROM {some} c {self._by('c', who)} AND {self.counts('c')}")

    def counts(self, table: str) -> str:
        """A condition that leaves out repeated records (`duplicates`), where there are any."""
        if self._repeated is None:
            self._repeated = bool(self._engine.rows("SELECT 1 AS one FROM duplicates LIMIT 1"))
        return _LEFT_OUT.format(table=table) if self._repeated else "TRUE"

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
