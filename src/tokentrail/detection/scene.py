"""
The scene of a rule: the forest, what each credential did and from where, and what changes did to it.

It consists of tables in the store's engine: `known` (a row for each credential), `actors` (the credential and root of
each identity), `deeds` (a row for each event, with the `n` of its credential), `stays` (which credential called from
which address), `homes` (which principal called from which address, since when), `changed` (a row for each change),
`makers` (who made the changes), `noted_calls` (calls of the kinds in `NOTED`, counted by credential and address) and
`s3_calls` (objects read, copied and deleted, counted by credential). A table is made when a query first names it. Rules
join rows in queries and fetch only a few. In a large case most tables are in files, and a query should name only the
columns that it needs. A query over all deeds calls them `some_deeds`, and is then run for some segments at a time.
Rules may query from several threads; a table made by `table` or `add_table` is visible to its own thread only.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from itertools import count
from pathlib import Path
from threading import Lock, RLock, local
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from tokentrail.detection import known
from tokentrail.detection.addresses import Addresses
from tokentrail.detection.ancestors import Ancestors
from tokentrail.detection.cuts import Cut, cut_keys, cut_sessions, touched
from tokentrail.detection.growing_table import GrowingTable
from tokentrail.detection.picking import Columns, Picked
from tokentrail.detection.reading import Read, Scan, one_by_one
from tokentrail.detection.tables import APART, NEEDS, OWN_FILES, SORTED, SPELLED, TABLES, VIEWS, WHOLE
from tokentrail.detection.thresholds import Thresholds
from tokentrail.events.ids import digests
from tokentrail.lineage import addresses, rows
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.rows import Row
from tokentrail.lineage.segment_batches import SegmentBatch, segment_batches
from tokentrail.policy.history.effects import Effects, accounts
from tokentrail.policy.language.context import Caller
from tokentrail.store.interface import Engine

_MANY_CHANGES = 10_000
"""With more changes, they are kept in a file, since most of a change is text that few rules need."""
_FILED = frozenset({"known", "placed", "actors", "stays", "homes", "noted_calls", "s3_calls"})
"""Tables that are kept in files in a large case."""
_MOST = 60_000
"""How many identities are joined with their calls at once."""
_REMEMBERED = 4
"""With more batches of segments than this, the layout of their files is not remembered."""
_TOGETHER = 200_000
"""About how many rows of a table in files are put together at a time."""
_TOLD = """
    SELECT e.segment, e.identity, e.event_id, e.event_id_text, e.time, e.ip
    FROM facts e JOIN told_events t ON t.event_id = e.event_id WHERE e.ip IS NOT NULL"""
_WORD = re.compile(r"\w+")
_MARKS = """
    SELECT name AS mark FROM events WHERE name IN (SELECT mark FROM asked_marks)
    UNION SELECT kind FROM credentials WHERE kind IN (SELECT mark FROM asked_marks)"""
_OF = "SELECT k.* FROM known k WHERE k.n IN (SELECT unnest(CAST(? AS BIGINT[])))"
_SOUGHT = "SELECT {columns} FROM known WHERE n IN (SELECT n FROM sought)"
Source: TypeAlias = tuple[int, str, int | None]
"""When an event came, from which address, and the root of its lineage."""


class Scene:
    """One case at one time, as rules see it."""

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
        self._touched: Sequence[Row] | None = None
        self._suspects: dict[int, int] = {}
        self._starts: list[int] = []
        self._keys: tuple[Cut, ...] | None = None
        self._sessions: tuple[Cut, ...] | None = None
        self.forest = forest
        self.as_of: datetime = forest.as_of
        self.thresholds = thresholds or Thresholds()
        self.read: Read = read or (lambda places: iter(()))
        self.scan: Scan = scan or partial(one_by_one, self.read)
        self.addresses = addresses or Addresses()
        self._rows: dict[int, Row] = {}
        self._at_hand: pa.Table | None = None
        """All of `known`, where that is a table."""
        self._reading = Lock()
        self._asked = _Asked()
        self._numbers = count()
        self._making = {name: Lock() for name in ("known", *TABLES)}
        self._parting = Lock()
        self._batches: Sequence[SegmentBatch] | None = None
        self._views: list[str] = []
        self._apart = set[str]()
        """Tables of which each batch has a view of its own."""
        self._kept_in_files = set[str]()
        """Tables of rules that lie in files."""
        self._is_large: bool | None = None
        self._thinking = RLock()
        """Held while something is worked out that several rules want."""
        self._ancestors = Ancestors(engine, forest, self._thinking)

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """The rows of a query over the tables of the scene, fetched batch by batch."""
        self._make(sql)
        yield from self._engine.each(sql, parameters)

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """All rows of a query at once, as columns."""
        self._make(sql)
        return self._engine.table(sql, parameters)

    def table(self, name: str, sql: str, whole: str | None = None) -> int:
        """
        Keep the rows of a query under a name, for this detection; how many there are: to ask for more about none
        takes as long as about some.

        Args:
            name: The name.
            sql: The query; one over `some_deeds` is asked by `parts`.
            whole: The query that puts together what it told of them, which it calls `{parts}`, if that is not all rows.
        """
        parts = self.parts(sql)
        if whole is None or len(parts) == 1 or not self.large:
            return self._keep(name, parts, whole, "TEMP TABLE")
        self._engine.view(name, self._in_files(name, parts, whole, self._folder(name)))
        self._kept_in_files.add(name)
        [row] = self._engine.rows(f"SELECT count(*) AS rows FROM {name}")
        return int(row["rows"])

    def parts(self, sql: str) -> Sequence[str]:
        """A query for each batch of segments, if it names `some_facts`, `some_identities`, `some_actors` and so on."""
        self._make(sql)
        apart = self._apart | {"facts", *OWN_FILES}
        return [one.of(sql, apart, SPELLED) for one in self._parted()] if "some_" in sql else [sql]

    def _parted(self) -> Sequence[SegmentBatch]:
        with self._parting:
            if self._batches is None:
                self._batches = segment_batches(self._engine, _MOST)
                if len(self._batches) > _REMEMBERED:
                    self._engine.remember_files(False)
                self._views = [name for one in self._batches for name in one.views(self._engine, OWN_FILES)]
            return self._batches

    def _keep(self, name: str, parts: Sequence[str], whole: str | None, form: str) -> int:
        in_parts = whole is not None and len(parts) > 1
        kept = f"{name}_parts" if in_parts else name
        rows = self._engine.made(f"CREATE OR REPLACE {form} {kept} AS {parts[0]}")
        for part in parts[1:]:
            rows += self._engine.made(f"INSERT INTO {kept} {part}")
        if whole is not None and in_parts:
            rows = self._engine.made(f"CREATE OR REPLACE {form} {name} AS {whole.format(parts=kept)}")
            self._engine.run(f"DROP TABLE {kept}")
        return rows

    def add_table(self, name: str, columns: Mapping[str, pa.Array[Any] | pa.ChunkedArray[Any]]) -> None:
        """Register columns as a table that queries can name."""
        self._engine.register(f"given_{name}", pa.table(dict(columns)))
        self._engine.run(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM given_{name}")

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

    def _make(self, sql: str) -> None:
        for name in dict.fromkeys(_WORD.findall(sql)):
            if name == "sought" and not self._asked.given:
                self._asked.given = True
                self.add_table("sought", {"n": pa.array(self._asked.sought, pa.int64())})
            elif (table := name.removeprefix("some_")) in self._making and table not in self._made:
                self._make_table(table)

    def _make_table(self, name: str) -> None:
        with self._making[name]:  # what another needs never needs it, so that nobody waits in a circle
            if name in self._made:
                return
            for needed in NEEDS.get(name, ()):
                self._make_table(needed)
            form = "VIEW"
            if self._scratch is not None and self._lies_in_files(name):
                self._file(name, self._scratch / name)
            elif name in VIEWS:
                self._engine.run(f"CREATE OR REPLACE VIEW {name} AS {TABLES[name]}")
            else:
                query = known.all_at_once() if name == "known" else TABLES[name]
                form = "TABLE"
                self._keep(name, self.parts(query), WHOLE.get(name), form)
            self._made[name] = form

    @property
    def large(self) -> bool:
        """Whether there are so many credentials that only a small part of a table should be in memory at a time."""
        if self._is_large is None:
            self._is_large = self._scratch is not None and known.are_many(self._engine)
        return self._is_large

    def _lies_in_files(self, name: str) -> bool:
        if name == "changed":
            [row] = self._engine.rows("SELECT count(*) AS changes FROM changes")
            return bool(row["changes"] > _MANY_CHANGES)
        return name in _FILED and self.large

    def _file(self, name: str, folder: Path) -> None:
        if name == "known":
            folder.mkdir(mode=0o700, parents=True)
            known.set_aside(self._engine, folder)
        else:
            order = f" ORDER BY {SORTED[name]}" if name in SORTED else ""
            folder = self._in_files(name, self.parts(TABLES[name] + order), WHOLE.get(name), folder)
        if name in APART:
            for one in self._parted():  # in this order its parts were written
                self._engine.view(f"{name}_{one.number}", folder / f"{one.number}.parquet")
                self._views.append(f"{name}_{one.number}")
            self._apart.add(name)
        self._engine.view(name, folder)

    def _in_files(self, name: str, parts: Sequence[str], whole: str | None, folder: Path) -> Path:
        """Write a table to files in a folder, and its parts put together to another. Returns the folder to read."""
        folder.mkdir(mode=0o700, parents=True)
        for number, part in enumerate(parts):
            self._engine.park(part, folder / f"{number}.parquet")
        if whole is None or len(parts) == 1:
            return folder
        self._engine.view(f"{name}_parts", folder)
        [row] = self._engine.rows(f"SELECT count(*) AS rows FROM {name}_parts")
        folder = folder.with_name(f"{folder.name}_whole")
        folder.mkdir(mode=0o700)
        turns = max(1, -(-row["rows"] // _TOGETHER))
        for turn in range(turns):
            some = f"(SELECT * FROM {name}_parts WHERE n % {turns} = {turn})"
            self._engine.park(whole.format(parts=some), folder / f"{turn}.parquet")
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

    def known(self, places: Iterable[int]) -> dict[int, Row]:
        """The described rows of some credentials, by place; afterwards, queries find these credentials as `sought`."""
        asked = self.seek(places)
        unread = [n for n in asked if n not in self._rows]
        if unread:
            self._make("known")
            columns = Columns(self._known_of(unread))
            self._rows |= {n: Picked(columns, place) for place, n in enumerate(columns["n"])}
        return {n: self._rows[n] for n in asked if n in self._rows}

    def columns_of(self, places: Iterable[int], columns: Sequence[str]) -> pa.Table:
        """Some columns of the described rows of very many credentials; they are not remembered, as `known` ones are."""
        self._engine.release()
        self.seek(places)
        return self.arrow(_SOUGHT.format(columns=", ".join(columns)))

    def seek(self, places: Iterable[int]) -> list[int]:
        """Make some credentials the `sought` ones of queries. Returns their places in order."""
        self._asked.sought, self._asked.given = sorted(set(places)), False
        return self._asked.sought

    def _known_of(self, places: list[int]) -> pa.Table:
        """The described rows of some credentials; if they are in a table, one query fetches all."""
        if self._made["known"] == "VIEW":
            return self._engine.table(_OF, [places])
        with self._reading:
            if self._at_hand is None:
                self._at_hand = self._engine.table("SELECT * FROM known")
        return self._at_hand.filter(pa.array(np.isin(self._at_hand["n"].to_numpy(), places)))

    def sources(self, events: Set[str]) -> dict[str, Source]:
        """By event id: its time, address and lineage; events without an address are left out."""
        if not events:
            return {}
        self.add_table("told_events", {"event_id": digests(sorted(events))})
        self.table("told_calls", _TOLD)
        found = self.arrow("""
            SELECT e.event_id, e.event_id_text, min(e.time) AS time, min(e.ip) AS ip, min(a.root_n) AS root_n
            FROM told_calls e LEFT JOIN actors a ON a.segment = e.segment AND a.identity = e.identity
            GROUP BY e.event_id, e.event_id_text""")
        return {
            rows.event_id(event, text) or "": (time, ip, root)
            for event, text, time, ip, root in zip(*(one.to_pylist() for one in found.columns), strict=True)
            if addresses.parse_address(ip)
        }

    def caller(self, row: Row) -> Caller:
        """A row of `known` in the form that policies judge."""
        return rows.caller(row)

    def ancestors(self, places: Iterable[int]) -> set[int]:
        """All ancestors of some credentials."""
        return self._ancestors.step_by_step(places) if self.large else self._ancestors.at_once(places)

    def marks(self, asked: Set[str]) -> frozenset[str]:
        """Those names of calls and kinds of credentials, among some, that occur in the evidence."""
        self._parted()  # before anything reads all files
        self.add_table("asked_marks", {"mark": pa.array(sorted(asked), pa.string())})
        return frozenset(row["mark"] for row in self.rows(_MARKS))

    def effects(self, callers: Iterable[Caller]) -> Effects:
        """The effects, until this time, of the changes that affect some credentials."""
        concerned = accounts(callers)
        with self._thinking:
            if concerned not in self._effects:
                self._effects[concerned] = Effects(self.forest.changes(concerned))
            return self._effects[concerned]

    @property
    def touched(self) -> Sequence[Row]:
        """The changes that may have ended a credential."""
        with self._thinking:
            if self._touched is None:
                self._touched = touched(self)
            return self._touched

    def cut_keys(self) -> tuple[Cut, ...]:
        """The long-term keys that a change had ended by this time."""
        with self._thinking:
            if self._keys is None:
                self._keys = tuple(cut_keys(self))
            return self._keys

    def cut_sessions(self) -> tuple[Cut, ...]:
        """The sessions that a change had ended by this time, before they expired."""
        with self._thinking:
            if self._sessions is None:
                self._sessions = tuple(cut_sessions(self))
            return self._sessions

    def history(self) -> tuple[int, int]:
        """The times of the first and last event."""
        [row] = self.rows(
            "SELECT coalesce(min(time), 0) AS first, coalesce(max(time), 0) AS last FROM events"
        )
        return row["first"], row["last"]

    def suspect(self, places: Iterable[tuple[int, int]]) -> None:
        """Note suspicious credentials, given by place and span, with all their descendants."""
        for place, span in places:
            self._suspects[place] = max(span, self._suspects.get(place, 0))
        outermost: dict[int, int] = {}
        end = -1
        for place, span in sorted(self._suspects.items()):
            if place >= end:  # else it lies within the one before: subtrees nest or lie apart
                outermost[place] = span
                end = place + span
        self._suspects, self._starts = outermost, list(outermost)

    def suspicious(self, place: int | None) -> bool:
        """Whether an earlier rule found this credential or one of its ancestors suspicious."""
        if place is None:
            return False
        before = bisect_right(self._starts, place) - 1
        return before >= 0 and place < self._starts[before] + self._suspects[self._starts[before]]


class _Asked(local):
    """The credentials that a thread last fetched."""

    def __init__(self) -> None:
        self.sought: list[int] = []
        self.given = False
