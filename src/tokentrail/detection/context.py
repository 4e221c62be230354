"""
The context of detection: one case at one time, as rules query it.

Rules query the views of `views` that they declare, and the tables of the derived database, by SQL in the store's
engine; they join rows in queries and fetch only a few. In a large case most views are in files, and a query should
name only the columns that it needs. A query over all events names `some_...` in place of a view or table, and is then
run for one batch of segments at a time (`batched_table`).
Rules may query from several threads; a table made by `table`, `batched_table` or `add_table` is visible to its own
thread only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from threading import Lock, RLock
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from tokentrail.detection import credential_details
from tokentrail.detection.addresses import Addresses
from tokentrail.detection.growing_table import GrowingTable
from tokentrail.detection.record_access import Read, Scan, one_by_one
from tokentrail.detection.revocations import (
    Revocation,
    possible_revocations,
    revoked_keys,
    revoked_sessions,
)
from tokentrail.detection.thresholds import Thresholds
from tokentrail.detection.views import (
    ATTRIBUTED_CHANGES,
    BATCH_QUERIES,
    BATCHED_TABLES,
    CREDENTIAL_DETAILS,
    HOSTED,
    VIEWS,
    WORKLOAD_STARTS,
    View,
)  # fmt: skip
from tokentrail.events.ids import digests
from tokentrail.lineage import addresses, rows
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.rows import Row, damaged
from tokentrail.lineage.segment_batches import SegmentBatch, segment_batches
from tokentrail.lineage.trees import NONE, Integers, Ring, nearest, positions
from tokentrail.policy.history.effects import Effects, accounts
from tokentrail.policy.language.context import Caller
from tokentrail.store.interface import Engine

_MANY_CHANGES = 10_000
"""With more changes, they are kept in a file, since most of a change is text that few rules need."""
_MOST = 60_000
"""How many identities are joined with their calls at once."""
_REMEMBERED = 4
"""With more batches of segments than this, the layout of their files is not remembered."""
_TOGETHER = 200_000
"""About how many rows of a table in files are put together at a time."""
_CITED_CALLS = """
    SELECT e.segment, e.identity, e.event_id, e.event_id_text, e.time, e.ip
    FROM facts e JOIN cited_events t ON t.event_id = e.event_id WHERE e.ip IS NOT NULL"""
_CITED_SOURCES = """
    SELECT e.event_id, e.event_id_text, min(e.time) AS time, min(e.ip) AS ip, min(a.root_n) AS root_n
    FROM cited_calls e LEFT JOIN identity_credentials a ON a.segment = e.segment AND a.identity = e.identity
    GROUP BY e.event_id, e.event_id_text"""
_OCCURRING = """
    SELECT name FROM events WHERE name IN (SELECT name FROM prefilter)
    UNION SELECT kind FROM credentials WHERE kind IN (SELECT name FROM prefilter)"""
_DETAILS = "SELECT k.* FROM credential_details k WHERE k.n IN (SELECT unnest(CAST(? AS BIGINT[])))"
_COLUMNS = "SELECT {columns} FROM credential_details WHERE n IN (SELECT n FROM summarised)"
_PARENTS = "SELECT n, coalesce(parent_n, -1) AS parent_n FROM credentials ORDER BY n"
Source: TypeAlias = tuple[int, str, int | None]
"""When an event came, from which address, and the root of its lineage."""


class _Columns(Mapping[str, Sequence[Any]]):
    """The columns of a table, each of which becomes a list when first used; of forty, rules use a few."""

    def __init__(self, table: pa.Table) -> None:
        self._table = table
        self._read: dict[str, Sequence[Any]] = {}

    def __getitem__(self, name: str) -> Sequence[Any]:
        found = self._read.get(name)
        if found is None:
            found = self._read[name] = self._table[name].to_pylist()
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self._table.column_names)

    def __len__(self) -> int:
        return self._table.num_columns


class _LazyRow(Mapping[str, Any]):
    """A row as a view of columns, which takes a fraction of a dictionary's memory."""

    __slots__ = ("_columns", "_place")

    def __init__(self, columns: Mapping[str, Sequence[Any]], place: int) -> None:
        self._columns, self._place = columns, place

    def __getitem__(self, name: str) -> Any:
        return self._columns[name][self._place]

    def __iter__(self) -> Iterator[str]:
        return iter(self._columns)

    def __len__(self) -> int:
        return len(self._columns)


class Ancestry:
    """
    The parents of all credentials of a case, read when first needed; several threads may use it at once.

    Args:
        engine: The engine with the forest's tables.
        alone: The lock to hold while reading.
    """

    def __init__(self, engine: Engine, alone: AbstractContextManager[Any]) -> None:
        self._engine, self._alone = engine, alone
        self._known: tuple[Integers, Integers] | None = None

    def _read(self) -> tuple[Integers, Integers]:
        """All credentials, in order, and the position of the parent of each (-1: none)."""
        with self._alone:
            if self._known is None:
                found = self._engine.table(_PARENTS)
                names = found["n"].to_numpy()
                self._known = names, positions(names, found["parent_n"].to_numpy())
            return self._known

    def ancestors(self, places: Iterable[int]) -> set[int]:
        """All ancestors of some credentials."""
        names, up = self._read()
        above = set[int]()
        for place in positions(names, np.array([*places], np.int64)).tolist():
            parent = int(up[place]) if place != NONE else NONE
            while parent != NONE and parent not in above:
                above.add(parent)
                parent = int(up[parent])
        return {int(names[place]) for place in above}

    def below(self, starts: Collection[int], apart: Collection[int] = ()) -> Mapping[str, pa.Array[Any]]:
        """
        Some credentials and all that descends from them: each (`n`) with the nearest of them (`start`), or itself.

        Args:
            starts: These credentials.
            apart: Credentials that count as nobody's descendants, and so what is below them.
        """
        names, up = self._read()
        marked = np.isin(names, np.array([*starts], np.int64))
        try:
            top = nearest(np.where(np.isin(names, np.array([*apart], np.int64)), NONE, up), marked)
        except Ring as error:
            raise damaged("credentials descend from themselves") from error
        found = np.flatnonzero(top != NONE)
        return {"n": pa.array(names[found]), "start": pa.array(names[top[found]])}


class DetectionContext:
    """One case at one time, with the views of it that rules query."""

    def __init__(
        self,
        engine: Engine,
        forest: Forest,
        thresholds: Thresholds | None = None,
        read: Read | None = None,
        scan: Scan | None = None,
        addresses: Addresses | None = None,
        scratch: Path | None = None,
    ) -> None:
        self._engine = engine
        self._scratch = scratch
        """Where large tables lie as files; made when first needed."""
        self._made: dict[str, str] = {}
        self._effects: dict[frozenset[str] | None, Effects] = {}
        self._possible_revocations: Sequence[Row] | None = None
        self._suspects = set[int]()
        self._suspected: set[int] | None = None
        """These and all that descends from them, once somebody asks."""
        self._revoked_keys: tuple[Revocation, ...] | None = None
        self._revoked_sessions: tuple[Revocation, ...] | None = None
        self.forest = forest
        self.as_of: datetime = forest.as_of
        self.thresholds = thresholds or Thresholds()
        self.read: Read = read or (lambda places: iter(()))
        self.scan: Scan = scan or partial(one_by_one, self.read)
        self.addresses = addresses or Addresses()
        self._rows: dict[int, Row] = {}
        self._at_hand: pa.Table | None = None
        """All of `credential_details`, where that is a table."""
        self._reading = Lock()
        self._numbers = count()
        self._making = {view.name: Lock() for view in VIEWS}
        self._batching = Lock()
        self._batches: Sequence[SegmentBatch] | None = None
        self._views: list[str] = []
        self._apart = set[str]()
        """Tables of which each batch has a view of its own."""
        self._kept_in_files = set[str]()
        """Tables of rules that lie in files."""
        self._is_large: bool | None = None
        self._thinking = RLock()
        """Held while something is worked out that several rules want."""
        self.ancestry = Ancestry(engine, self._thinking)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """The rows of a query over prepared views, fetched batch by batch."""
        yield from self._engine.each(sql, parameters)

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """All rows of a query at once, as columns."""
        return self._engine.table(sql, parameters)

    def prepare(self, reads: Iterable[View]) -> None:
        """Make views that are about to be read, where they are not made yet."""
        for view in reads:
            self._prepare(view)

    def table(self, name: str, sql: str) -> int:
        """
        Keep the rows of a query under a name, for this thread.

        Returns:
            How many there are: to ask for more about none takes as long as about some.
        """
        return self._keep(name, [sql], None, "TEMP TABLE")

    def batched_table(self, name: str, sql: str, combine: str | None = None) -> int:
        """
        Keep the rows of a query that is run for one batch of segments at a time, as `table` does.

        Args:
            name: The name.
            sql: The query, with `some_...` for the rows of a batch.
            combine: The query over all batches' rows, which it calls `{parts}`, if the result is not all of them.

        Returns:
            How many rows there are.
        """
        parts = self.batches(sql)
        if combine is None or len(parts) == 1 or not self.large:
            return self._keep(name, parts, combine, "TEMP TABLE")
        self._engine.view(name, self._in_files(name, parts, combine, self._folder(name)))
        self._kept_in_files.add(name)
        [row] = self._engine.rows(f"SELECT count(*) AS rows FROM {name}")
        return int(row["rows"])

    def batches(self, sql: str) -> Sequence[str]:
        """A query with `some_facts`, `some_identity_credentials` and so on, spelled for each batch of segments."""
        apart = self._apart | {"facts", *BATCHED_TABLES}
        return [batch.of(sql, apart, BATCH_QUERIES) for batch in self._segment_batches()]

    def _segment_batches(self) -> Sequence[SegmentBatch]:
        with self._batching:
            if self._batches is None:
                self._batches = segment_batches(self._engine, _MOST)
                if len(self._batches) > _REMEMBERED:
                    self._engine.remember_files(False)
                self._views = [
                    name for batch in self._batches for name in batch.views(self._engine, BATCHED_TABLES)
                ]
            return self._batches

    def _keep(self, name: str, parts: Sequence[str], combine: str | None, form: str) -> int:
        in_parts = combine is not None and len(parts) > 1
        kept = f"{name}_parts" if in_parts else name
        rows = self._engine.made(f"CREATE OR REPLACE {form} {kept} AS {parts[0]}")
        for part in parts[1:]:
            rows += self._engine.made(f"INSERT INTO {kept} {part}")
        if combine is not None and in_parts:
            rows = self._engine.made(f"CREATE OR REPLACE {form} {name} AS {combine.format(parts=kept)}")
            self._engine.run(f"DROP TABLE {kept}")
        return rows

    def add_table(self, name: str, columns: Mapping[str, pa.Array[Any] | pa.ChunkedArray[Any]]) -> None:
        """Register columns as a table that queries can name."""
        self._engine.register(f"given_{name}", pa.table(dict(columns)))
        self._engine.run(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM given_{name}")

    def add_credentials(self, name: str, places: Iterable[int]) -> None:
        """Register some credentials, by their numbers, as a table with the column `n`."""
        self.add_table(name, {"n": pa.array(sorted(set(places)), pa.int64())})

    def growing_table(self, name: str) -> GrowingTable:
        """A table whose rows come some at a time; all threads can read it once it is registered, in a large case."""
        return GrowingTable(self._engine, name, self._folder(name) if self.large else None)

    def _folder(self, name: str) -> Path:
        """A new folder for the files of a table; a name may be used again."""
        assert self._scratch is not None
        return self._scratch / f"{name}-{next(self._numbers)}"

    def apart(self) -> AbstractContextManager[None]:
        """A context in which a thread may query beside others."""
        return self._engine.apart()

    def _prepare(self, view: View) -> None:
        with self._making[view.name]:  # what a view needs never needs it, so that nobody waits in a circle
            if view.name in self._made:
                return
            self.prepare(view.needs)
            form = "VIEW"
            if self._scratch is not None and self._lies_in_files(view):
                self._file(view, self._scratch / view.name)
            elif not view.stored:
                self._engine.run(f"CREATE OR REPLACE VIEW {view.name} AS {view.query}")
            else:
                form = "TABLE"
                self._keep(view.name, self._parts(view, self._query(view)), view.combine, form)
            self._made[view.name] = form

    def _query(self, view: View) -> str:
        """The query for the rows of a view."""
        if view is CREDENTIAL_DETAILS:
            return credential_details.all_at_once()
        if view is WORKLOAD_STARTS:
            hosts = [row["n"] for row in self.rows(HOSTED)]
            self._engine.register("given_workload_starts", pa.table(dict(self.ancestry.below(hosts))))
            return "SELECT n, start AS host FROM given_workload_starts"
        return view.query

    def _parts(self, view: View, query: str) -> Sequence[str]:
        return self.batches(query) if view.batched else [query]

    @property
    def large(self) -> bool:
        """Whether there are so many credentials that only a small part of a table should be in memory at a time."""
        if self._is_large is None:
            self._is_large = self._scratch is not None and credential_details.are_many(self._engine)
        return self._is_large

    def _lies_in_files(self, view: View) -> bool:
        if view is ATTRIBUTED_CHANGES:
            [row] = self._engine.rows("SELECT count(*) AS changes FROM changes")
            return bool(row["changes"] > _MANY_CHANGES)
        return view.filed and self.large

    def _file(self, view: View, folder: Path) -> None:
        if view is CREDENTIAL_DETAILS:
            folder.mkdir(mode=0o700, parents=True)
            credential_details.write_files(self._engine, folder)
        else:
            order = f" ORDER BY {view.order}" if view.order else ""
            parts = self._parts(view, view.query + order)
            folder = self._in_files(view.name, parts, view.combine, folder)
        if view.file_per_batch:
            for batch in self._segment_batches():  # in this order its parts were written
                self._engine.view(f"{view.name}_{batch.number}", folder / f"{batch.number}.parquet")
                self._views.append(f"{view.name}_{batch.number}")
            self._apart.add(view.name)
        self._engine.view(view.name, folder)

    def _in_files(self, name: str, parts: Sequence[str], combine: str | None, folder: Path) -> Path:
        """Write a table to files in a folder, and its combined parts to another. Returns the folder to read."""
        folder.mkdir(mode=0o700, parents=True)
        for number, part in enumerate(parts):
            self._engine.park(part, folder / f"{number}.parquet")
        if combine is None or len(parts) == 1:
            return folder
        self._engine.view(f"{name}_parts", folder)
        [row] = self._engine.rows(f"SELECT count(*) AS rows FROM {name}_parts")
        folder = folder.with_name(f"{folder.name}_whole")
        folder.mkdir(mode=0o700)
        turns = max(1, -(-row["rows"] // _TOGETHER))
        for turn in range(turns):
            some = f"(SELECT * FROM {name}_parts WHERE n % {turns} = {turn})"
            self._engine.park(combine.format(parts=some), folder / f"{turn}.parquet")
        self._engine.run(f"DROP VIEW {name}_parts")
        return folder

    def close(self) -> None:
        """Drop all tables."""
        self._at_hand = None
        for name, form in reversed(self._made.items()):
            self._engine.run(f"DROP {form} {name}")
        for name in (*reversed(self._views), *self._kept_in_files):
            self._engine.run(f"DROP VIEW {name}")
        if self._batches is not None and len(self._batches) > _REMEMBERED:
            self._engine.remember_files(True)
        self._made.clear()
        self._batches, self._views = None, []
        self._apart.clear()
        self._kept_in_files.clear()

    def credentials(self, places: Iterable[int]) -> dict[int, Row]:
        """The rows of `credential_details` of some credentials, by place; the view must be prepared."""
        wanted = sorted(set(places))
        unread = [n for n in wanted if n not in self._rows]
        if unread:
            columns = _Columns(self._details_of(unread))
            self._rows |= {n: _LazyRow(columns, place) for place, n in enumerate(columns["n"])}
        return {n: self._rows[n] for n in wanted if n in self._rows}

    def columns_of(self, places: Iterable[int], columns: Sequence[str]) -> pa.Table:
        """Some columns of `credential_details` of very many credentials, which are not remembered."""
        self._engine.release()
        self.add_credentials("summarised", places)
        return self.arrow(_COLUMNS.format(columns=", ".join(columns)))

    def _details_of(self, places: list[int]) -> pa.Table:
        """The details of some credentials; if they are in a table, one query fetches all."""
        if self._made.get(CREDENTIAL_DETAILS.name) != "TABLE":
            return self._engine.table(_DETAILS, [places])
        with self._reading:
            if self._at_hand is None:
                self._at_hand = self._engine.table("SELECT * FROM credential_details")
        return self._at_hand.filter(pa.array(np.isin(self._at_hand["n"].to_numpy(), places)))

    def sources(self, events: Set[str]) -> dict[str, Source]:
        """By event id: its time, address and lineage; events without an address are left out."""
        if not events:
            return {}
        self.add_table("cited_events", {"event_id": digests(sorted(events))})
        self.table("cited_calls", _CITED_CALLS)
        found = self.arrow(_CITED_SOURCES)
        return {
            rows.event_id(event, text) or "": (time, ip, root)
            for event, text, time, ip, root in zip(*(one.to_pylist() for one in found.columns), strict=True)
            if addresses.parse_address(ip)
        }

    def familiar(self, person: str | None, ip: str | None, before: int) -> bool:
        """
        Whether somebody had called before from a network of the same owner in the same country as an address.

        Providers assign new addresses every day. Without databases of owners and countries, the answer is always no.
        It reads the view `PRINCIPAL_IPS`.
        """
        if person is None or ip is None or not self.addresses.knows_owners:
            return False
        earlier = self.rows(
            "SELECT ip FROM principal_ips WHERE person = ? AND first < ? AND ip <> ?", (person, before, ip)
        )
        return any(self.addresses.same_owner(ip, row["ip"]) for row in earlier)

    def caller(self, row: Row) -> Caller:
        """A row of `credential_details` in the form that policies judge."""
        return rows.caller(row)

    def ancestors(self, places: Iterable[int]) -> set[int]:
        """All ancestors of some credentials."""
        return self.ancestry.ancestors(places)

    def occurring(self, names: Set[str]) -> frozenset[str]:
        """Those of some names of calls and kinds of credentials that occur in the evidence."""
        self._segment_batches()  # before anything reads all files
        self.add_table("prefilter", {"name": pa.array(sorted(names), pa.string())})
        return frozenset(row["name"] for row in self.rows(_OCCURRING))

    def effects(self, callers: Iterable[Caller]) -> Effects:
        """The effects, until this time, of the changes that affect some credentials."""
        concerned = accounts(callers)
        with self._thinking:
            if concerned not in self._effects:
                self._effects[concerned] = Effects(self.forest.changes(concerned))
            return self._effects[concerned]

    @property
    def possible_revocations(self) -> Sequence[Row]:
        """The changes that may have ended a credential."""
        with self._thinking:
            if self._possible_revocations is None:
                self._possible_revocations = possible_revocations(self)
            return self._possible_revocations

    def revoked_keys(self) -> tuple[Revocation, ...]:
        """The long-term keys that a change had ended by this time; it reads the views of `REVOCATION_READS`."""
        with self._thinking:
            if self._revoked_keys is None:
                self._revoked_keys = tuple(revoked_keys(self))
            return self._revoked_keys

    def revoked_sessions(self) -> tuple[Revocation, ...]:
        """The sessions that a change had ended before they expired; it reads the views of `REVOCATION_READS`."""
        with self._thinking:
            if self._revoked_sessions is None:
                self._revoked_sessions = tuple(revoked_sessions(self))
            return self._revoked_sessions

    def history(self) -> tuple[int, int]:
        """The times of the first and last event."""
        [row] = self.rows(
            "SELECT coalesce(min(time), 0) AS first, coalesce(max(time), 0) AS last FROM events"
        )
        return row["first"], row["last"]

    def suspect(self, places: Iterable[int]) -> None:
        """Note suspicious credentials, with all their descendants."""
        with self._thinking:
            self._suspects.update(places)
            self._suspected = None

    def suspicious(self, place: int | None) -> bool:
        """Whether an earlier rule found this credential or one of its ancestors suspicious."""
        if place is None or not self._suspects:
            return False
        with self._thinking:
            if self._suspected is None:
                found: Any = self.ancestry.below(self._suspects)["n"]
                self._suspected = set(found.to_pylist())
            return place in self._suspected
