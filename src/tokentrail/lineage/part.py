"""
The part of a forest that an answer is about: its rows, what its credentials did, and where else they stand.

What is known of it is put aside in small tables, which a query after another reads. Rows of few credentials are then
joined as they come: planning such a query takes longer than running it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence, Set
from typing import NamedTuple

import pyarrow as pa

from tokentrail.lineage.grow import described
from tokentrail.lineage.rows import Row
from tokentrail.store.interface import Engine

FEW = 200
"""Credentials that are named one by one in a query, and whose rows are put together without planning at length."""
_REMEMBERED = 1_000_000
_NOT_LOST = (
    "NOT EXISTS (SELECT 1 FROM losers l WHERE l.segment = {table}.segment AND l.object = {table}.object "
    "AND l.ordinal = {table}.ordinal)"
)
_KIN = "SELECT k.n, k.id FROM {source} k WHERE {where}"
_IDENTITIES = (
    "segment, identity, type, principal_id, arn, account, user_name, mfa, issuer_type, issuer_arn, federated_provider, "
    "source_identity, ec2_delivery, sign_in_session, invoked_by, on_behalf_of, in_scope_of"
)
_ISSUANCES = (
    "segment, object, ordinal, event_id, event_id_text, api, ip, agent, child_id, child_arn, role_arn, session_name, "
    "source_identity, mfa_serial, target, subject"
)
_ASIDE = {
    "their_identities": f"SELECT {_IDENTITIES} FROM {{some_identities}} i WHERE {{identities}}",
    "their_issuances": f"SELECT {_ISSUANCES} FROM {{some_issuances}} WHERE {{objects}} AND {{ordinals}}",
    "their_creations": "SELECT t.* FROM creations t WHERE {places}",
}
"""What is put aside of few credentials: their rows are then joined as they come, which is quicker than a plan."""
_THEIRS = """
(segment, identity) IN (SELECT (segment, identity) FROM their_places UNION SELECT (segment, identity) FROM chosen)"""
_ADDRESSES = "SELECT DISTINCT w.n, e.ip"
_DEEDS = """
SELECT w.n, e.event_id, e.event_id_text, e.time, e.source, e.name, e.error, e.ip, e.secret, e.bytes_out, e.resource"""
_WHOLE = "SELECT w.n, e.*"


class Span(NamedTuple):
    """Where a tree lies: how many rows it has, and the first row of the whole tree that it is part of."""

    size: int
    parent: int | None
    root: int


class Part:
    """Some credentials at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._gathered: tuple[frozenset[int], str] | None = None
        self._identities: set[int] = set()
        self._some: dict[str, str] = {}
        self._known: dict[int, Span] = {}
        self._repeated: bool | None = None

    def inventory(self, places: Iterable[int], order: str) -> pa.Table:
        """All that is known of very many credentials, in an order."""
        self._gather(places, _ADDRESSES)
        found = self._engine.table(f"SELECT * FROM ({described(self._some)}) ORDER BY {order}")
        self._gathered = None
        return found

    def spans(self, places: Iterable[int]) -> dict[int, Span]:
        """Where the trees of some credentials, and those that they are in, lie among the rows."""
        wanted = set(places)
        missing = wanted - self._known.keys()
        if missing:
            if len(self._known) + len(missing) > _REMEMBERED:
                self._known.clear()
                missing = wanted
            if len(missing) > FEW:
                self._engine.register("picked", pa.table({"n": pa.array(sorted(missing), pa.int64())}))
            sql = f"""
                SELECT n, size, parent_n, root_n FROM forest c WHERE {_span("c.n", missing)} AND
                {_listed("c.n", missing) if len(missing) <= FEW else "n IN (SELECT n FROM picked)"}"""
            for row in self._engine.rows(sql):
                self._known[row["n"]] = Span(row["size"], row["parent_n"], row["root_n"])
        return {n: self._known[n] for n in wanted if n in self._known}

    def rows(self, places: Iterable[int]) -> Sequence[Row]:
        """The rows of some credentials, in their order."""
        wanted = frozenset(places)
        self._gather(wanted)
        if len(wanted) > FEW:
            return self._engine.table(f"{described(self._some)} ORDER BY n").to_pylist()
        self._put_aside(wanted)
        return self._engine.rows(f"{described(self._some, aside=True)} ORDER BY n", small=True)

    def deeds(self, places: Iterable[int], select: str, *, whole: bool = False) -> Sequence[Row]:
        """
        What some credentials did.

        Args:
            places: The credentials.
            select: Reads from `acts`: facts with `n`.
            whole: Whether it needs all columns of the facts; else those that say what was done to what.
        """
        self._gather(places, _WHOLE if whole else _DEEDS)
        return self._engine.rows(select)

    def rolled_up(self, places: Iterable[int], select: str) -> pa.Table:
        """The same as columns."""
        self._gather(places)
        return self._engine.table(select)

    def set_aside(self, places: Iterable[int], name: str, select: str) -> None:
        """Keep a roll-up of whole calls under a name."""
        self._gather(places, _WHOLE)
        self._set(name, select)

    def ids(self, places: Iterable[int]) -> dict[int, str]:
        """The ids of some credentials, by place."""
        self._gather(places, _WHOLE)
        return {row["n"]: row["id"] for row in self._engine.rows("SELECT n, id FROM chosen")}

    def changes(self, places: Iterable[int]) -> Sequence[Row]:
        """The changes that some credentials made."""
        self._gather(places)
        return self._engine.rows(f"""
            SELECT w.n, c.* FROM {self._some["some_changes"]} c
            JOIN their_places w ON w.segment = c.segment AND w.identity = c.identity
            WHERE {self._counts("c")} ORDER BY c.time, c.event_id""")

    def _put_aside(self, places: Set[int]) -> None:
        """Make the `their_` tables of few credentials."""
        spans = self.spans(places)
        kin = {n for span in spans.values() for n in (span.parent, span.root) if n is not None}
        source = "chosen" if kin <= places else "forest"
        self._set("their_kin", _KIN.format(source=source, where=_listed("k.n", kin)))
        calls = self._engine.rows("SELECT identity, object, ordinal FROM chosen WHERE segment IS NOT NULL")
        identities = self._identities | {row["identity"] for row in calls}
        filters = {
            "identities": _listed("identity", identities) if len(identities) <= FEW else _THEIRS,
            "objects": _listed("object", {row["object"] for row in calls}),
            "ordinals": _listed("ordinal", {row["ordinal"] for row in calls}),
            "places": _listed("t.n", places),
        }
        for name, sql in _ASIDE.items():
            self._set(name, sql.format_map(filters | self._some))

    def _set(self, name: str, sql: str) -> None:
        self._engine.run(f"CREATE OR REPLACE TEMP TABLE {name} AS {sql}")

    def _gather(self, places: Iterable[int], what: str = _DEEDS) -> None:
        """Know some credentials as `chosen`, what they did as `acts`, and all else about them as `some_` tables."""
        wanted = frozenset(places)
        if self._gathered in ((wanted, what), (wanted, _WHOLE)):
            return
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
        self._identities = {row["identity"] for row in found if row["identity"] is not None}
        self._set(
            "acts",
            f"{what} FROM {self._some['some_events']} e "
            "JOIN their_places w ON w.segment = e.segment AND w.identity = e.identity "
            f"WHERE {_listed('e.identity', self._identities)} AND {self._counts('e')}",
        )
        self._gathered = wanted, what

    def _counts(self, table: str) -> str:
        """A condition that leaves out what is set aside, where anything is."""
        if self._repeated is None:
            self._repeated = bool(self._engine.rows("SELECT 1 AS one FROM losers LIMIT 1"))
        return _NOT_LOST.format(table=table) if self._repeated else "TRUE"

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


def _listed(column: str, values: Collection[int]) -> str:
    """A condition that lets the engine pass over rows with other values, as far as it is worth spelling."""
    if not values:
        return "FALSE"
    return f"{column} IN ({', '.join(map(str, sorted(values)))})" if len(values) <= FEW else "TRUE"


def _span(column: str, places: Collection[int]) -> str:
    """A condition that lets the engine pass over the rows of all others: they are sorted by place."""
    return f"{column} BETWEEN {min(places)} AND {max(places)}" if places else "FALSE"
