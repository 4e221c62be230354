"""
What a rule may ask: the forest, what each credential did and from where, and what changes did to it.

All of it are tables of the store's engine: `known` (a row a credential), `actors` (the credential and root of each
identity), `deeds` (a row an event, with the `n` of its credential), `stays` (who called from which address), `homes`
(which principal called from which address, since when), `changed` (a row a change), `makers` (who made these).
They are made when first named by a query; rules bring rows together there and take only few out. Of a large case
`known` and `changed` lie in files, of which a query reads the columns that it names: name those that are wanted.
Rules may ask from several threads: what they `give` or put in a `table` is seen by the thread that did so alone.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from pathlib import Path
from threading import Lock, RLock, local
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from tokentrail.detection import known
from tokentrail.detection.addresses import Addresses, parsed
from tokentrail.detection.cuts import Cut, cut_keys, cut_sessions, touched
from tokentrail.detection.rows import Columns, Held
from tokentrail.detection.thresholds import Thresholds
from tokentrail.events.ids import digests
from tokentrail.events.sifting import Needs
from tokentrail.lineage import rows
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.rows import Row
from tokentrail.policy.context import Caller
from tokentrail.policy.effects import Effects
from tokentrail.store.interface import Engine

Place = tuple[int, int, int]
"""Where a raw record lies: segment, object, ordinal."""
Read = Callable[[Sequence[Place]], Iterator[tuple[Place, Any]]]
"""Reads raw records, secrets blanked; those that can't be read any more are left out."""


class Judge(Protocol):
    """Judges raw records; it pickles, so that other processes can be handed it."""

    def members(self) -> frozenset[str] | None:
        """The members of a record that it looks at; `None` for the whole of it."""

    def needs(self) -> Needs:
        """What a record must hold for it to answer a question."""

    def __call__(self, mask: int, record: Any) -> list[Any]:
        """What a record answers to the questions whose bits are set."""


Sweep = Callable[[pa.Table, int, Judge], Iterator[tuple[Place, list[Any]]]]
"""Reads the raw records that a table names (segment, object, ordinal, and masks of so many bits), secrets and all, and
tells what they answered."""

_TABLES = {
    "actors": """
        SELECT i.segment, i.identity, w.n, w.root_n, i.invoked_by IS NOT NULL AS forwarded
        FROM (SELECT * FROM identities i WHERE {stretch}) i
        LEFT JOIN (SELECT i.segment, i.identity, i.n, f.root_n FROM who i JOIN forest f ON f.n = i.n WHERE {stretch}) w
          ON w.segment = i.segment AND w.identity = i.identity""",
    "deeds": """
        SELECT a.n, e.*, a.forwarded FROM facts e JOIN actors a ON a.segment = e.segment AND a.identity = e.identity
        WHERE a.n IS NOT NULL""",
    "stays": """
        SELECT n, ip, network, events, done, first, last FROM (
          SELECT n, ip, CASE WHEN ip LIKE '%:%' THEN split_part(ip, ':', 1) || ':' || split_part(ip, ':', 2)
                             ELSE split_part(ip, '.', 1) || '.' || split_part(ip, '.', 2) END AS network,
                 count(*) AS events, count(*) - count(error) AS done, min(time) AS first, max(time) AS last
          FROM deeds WHERE NOT forwarded AND ip IS NOT NULL GROUP BY n, ip
        ) WHERE regexp_matches(ip, '^([0-9]{1,3}[.]){3}[0-9]{1,3}$')
           OR regexp_matches(ip, '^[0-9a-fA-F.]*:[0-9a-fA-F:.]*$')""",
    "homes": """
        SELECT *, CAST(coalesce(sum(events) OVER (PARTITION BY person ORDER BY first, ip
                                                  ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)
                       AS BIGINT) AS elsewhere
        FROM (SELECT k.person, s.ip, CAST(sum(s.events) AS BIGINT) AS events, min(s.first) AS first, max(s.last) AS last
              FROM stays s JOIN known k ON k.n = s.n WHERE k.person IS NOT NULL GROUP BY k.person, s.ip)""",
    "makers": "SELECT n, kind, person FROM known WHERE n IN (SELECT n FROM changed)",
    "changed": """
        SELECT c.*, w.n, i.arn AS by_arn, i.type AS by_type, i.invoked_by AS by_service,
               coalesce(c.account, i.account) AS in_account
        FROM changes c
        LEFT JOIN (SELECT i.segment, i.identity, i.arn, i.type, i.invoked_by, i.account FROM identities i
                   SEMI JOIN changes h ON h.segment = i.segment AND h.identity = i.identity) i
          ON i.segment = c.segment AND i.identity = c.identity
        LEFT JOIN (SELECT w.segment, w.identity, w.n FROM who w
                   SEMI JOIN changes h ON h.segment = w.segment AND h.identity = w.identity) w
          ON w.segment = c.segment AND w.identity = c.identity
        WHERE NOT EXISTS (SELECT 1 FROM losers l WHERE l.segment = c.segment AND l.object = c.object
                          AND l.ordinal = c.ordinal)""",
}  # fmt: skip
_VIEWS = frozenset({"deeds"})
_STRETCH = 60_000
"""Identities of the segments that are brought together with their calls at once."""
_MANY_CHANGES = 10_000
"""Changes from which on they lie in a file: most of what is kept of one is text that few rules ask for."""
_NEEDS = {
    "deeds": ("actors",),
    "stays": ("deeds",),
    "homes": ("stays", "known"),
    "makers": ("changed", "known"),
}
_TOLD = """
    SELECT e.segment, e.identity, e.event_id, e.event_id_text, e.time, e.ip
    FROM facts e JOIN told_events t ON t.event_id = e.event_id WHERE e.ip IS NOT NULL"""
_WORD = re.compile(r"\w+")
_MARKS = "SELECT DISTINCT name AS mark FROM events UNION ALL SELECT DISTINCT kind FROM forest"
_OF = "SELECT k.* FROM known k WHERE k.n IN (SELECT unnest(CAST(? AS BIGINT[])))"


class Scene:
    """One case at one moment, as rules see it."""

    def __init__(
        self,
        engine: Engine,
        forest: Forest,
        thresholds: Thresholds | None = None,
        read: Read | None = None,
        sweep: Sweep | None = None,
        addresses: Addresses | None = None,
        scratch: Path | None = None,
    ) -> None:
        self._engine = engine
        self._scratch = scratch
        """Where large tables lie as files; made when first needed."""
        self._made: dict[str, str] = {}
        self._effects: Effects | None = None
        self._marks: frozenset[str] | None = None
        self._touched: Sequence[Row] | None = None
        self._suspects: dict[int, int] = {}
        self._starts: list[int] = []
        self._keys: tuple[Cut, ...] | None = None
        self._sessions: tuple[Cut, ...] | None = None
        self.forest = forest
        self.as_of: datetime = forest.as_of
        self.thresholds = thresholds or Thresholds()
        self.read: Read = read or (lambda places: iter(()))
        self.sweep: Sweep = sweep or partial(_one_by_one, self.read)
        self.addresses = addresses or Addresses()
        self._rows: dict[int, Row] = {}
        self._at_hand: pa.Table | None = None
        """All of `known`, where that is a table."""
        self._reading = Lock()
        self._asked = _Asked()
        self._making = {name: Lock() for name in ("known", *_TABLES)}
        self._parting = Lock()
        self._stretches: tuple[str, ...] | None = None
        self._thinking = RLock()
        """Held while something is worked out that several rules want."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        """Rows of a query over the tables of the scene, a batch at a time."""
        self._make(sql)
        yield from self._engine.each(sql, parameters)

    def arrow(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """All rows of a query at once, as columns."""
        self._make(sql)
        return self._engine.table(sql, parameters)

    def table(self, name: str, sql: str) -> None:
        """Keep the rows of a query under a name, for this detection."""
        self._make(sql)
        self._engine.run(f"CREATE OR REPLACE TEMP TABLE {name} AS {sql}")

    def give(self, name: str, columns: Mapping[str, pa.Array[Any] | pa.ChunkedArray[Any]]) -> None:
        """Make rows of one's own known under a name."""
        self._engine.register(f"given_{name}", pa.table(dict(columns)))
        self._engine.run(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM given_{name}")

    def apart(self) -> AbstractContextManager[None]:
        """For as long as a thread asks beside others."""
        return self._engine.apart()

    def _make(self, sql: str) -> None:
        for name in dict.fromkeys(_WORD.findall(sql)):
            if name == "sought" and not self._asked.given:
                self._asked.given = True
                self.give("sought", {"n": pa.array(self._asked.sought, pa.int64())})
            elif name in self._making and name not in self._made:
                self._make_table(name)

    def _make_table(self, name: str) -> None:
        with self._making[name]:  # what another needs never needs it, so that nobody waits in a circle
            if name in self._made:
                return
            for needed in _NEEDS.get(name, ()):
                self._make_table(needed)
            form = "VIEW" if name in _VIEWS else "TABLE"
            if self._scratch is not None and self._large(name):
                self._file(name, self._scratch / name)
                form = "VIEW"
            else:
                query = known.all_at_once() if name == "known" else _TABLES[name]
                first, *more = [query.replace("{stretch}", one.format("i")) for one in self._parts_of(query)]
                self._engine.run(f"CREATE OR REPLACE {form} {name} AS {first}")
                for part in more:
                    self._engine.run(f"INSERT INTO {name} {part}")
            self._made[name] = form

    def _parts_of(self, query: str) -> Sequence[str]:
        return self.stretches() if "{stretch}" in query else ("TRUE",)

    def stretches(self) -> Sequence[str]:
        """Conditions, for a table that is put into each by `format`, that part it by segments: in their order, all."""
        with self._parting:
            if self._stretches is None:
                counted = self.rows(
                    "SELECT segment, count(*) AS held FROM identities GROUP BY segment ORDER BY segment"
                )
                self._stretches = tuple(_stretches((row["segment"], row["held"]) for row in counted))
            return self._stretches

    def _large(self, name: str) -> bool:
        """Whether a table is better left in files."""
        if name == "changed":
            [row] = self._engine.rows("SELECT count(*) AS changes FROM changes")
            return bool(row["changes"] > _MANY_CHANGES)
        return name == "known" and known.are_many(self._engine)

    def _file(self, name: str, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True)
        if name == "known":
            known.set_aside(self._engine, folder)
        else:
            self._engine.park(_TABLES[name], folder / "0.parquet")
        self._engine.view(name, folder)

    def close(self) -> None:
        """Let go of all tables."""
        self._at_hand = None
        for name, form in reversed(self._made.items()):
            self._engine.run(f"DROP {form} {name}")
        self._made.clear()

    def known(self, places: Iterable[int]) -> dict[int, Row]:
        """What is known of some credentials, by place; from then on they are the `sought` of queries."""
        asked = sorted(set(places))
        self._asked.sought, self._asked.given = asked, False
        unread = [n for n in asked if n not in self._rows]
        if unread:
            self._make("known")
            columns = Columns(self._known_of(unread))
            self._rows |= {n: Held(columns, place) for place, n in enumerate(columns["n"])}
        return {n: self._rows[n] for n in asked if n in self._rows}

    def _known_of(self, places: list[int]) -> pa.Table:
        """The rows of some credentials; where they lie in a table, one query has all of them at hand."""
        if self._made["known"] == "VIEW":
            return self._engine.table(_OF, [places])
        with self._reading:
            if self._at_hand is None:
                self._at_hand = self._engine.table("SELECT * FROM known")
        return self._at_hand.filter(pc.is_in(self._at_hand["n"], pa.array(places, pa.int64())))

    def sources(self, events: Set[str]) -> dict[str, tuple[int, str, int | None]]:
        """When and from which address some events came, and in which lineage; those from no address are left out."""
        if not events:
            return {}
        self.give("told_events", {"event_id": digests(sorted(events))})
        self.table("told_calls", _TOLD)
        found = self.rows("""
            SELECT e.event_id, e.event_id_text, min(e.time) AS time, min(e.ip) AS ip, min(a.root_n) AS root_n
            FROM told_calls e LEFT JOIN actors a ON a.segment = e.segment AND a.identity = e.identity
            GROUP BY e.event_id, e.event_id_text""")
        return {
            rows.event_id(row["event_id"], row["event_id_text"]) or "": (
                row["time"],
                row["ip"],
                row["root_n"],
            )
            for row in found
            if parsed(row["ip"])
        }

    def caller(self, row: Row) -> Caller:
        """A row of `known` as policies see it."""
        return rows.caller(row)

    def ancestors(self, places: Iterable[int]) -> set[int]:
        """Everything above some credentials."""
        with self._thinking:
            return self.forest.ancestors(places)

    @property
    def marks(self) -> frozenset[str]:
        """The names of all calls, and the kinds of all credentials, in the evidence."""
        with self._thinking:
            if self._marks is None:
                self._marks = frozenset(row["mark"] for row in self.rows(_MARKS))
            return self._marks

    @property
    def effects(self) -> Effects:
        """What all changes up to this moment did."""
        with self._thinking:
            if self._effects is None:
                self._effects = Effects(self.forest.changes())
            return self._effects

    @property
    def touched(self) -> Sequence[Row]:
        """The changes that may have ended a credential."""
        with self._thinking:
            if self._touched is None:
                self._touched = touched(self)
            return self._touched

    def cut_keys(self) -> tuple[Cut, ...]:
        """The long-term keys that a change has ended, by this moment."""
        with self._thinking:
            if self._keys is None:
                self._keys = tuple(cut_keys(self))
            return self._keys

    def cut_sessions(self) -> tuple[Cut, ...]:
        """The sessions that a change ended before their time, by this moment."""
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
        """Note credentials, each with the size of its subtree, that were found suspicious, and so all below them."""
        for place, size in places:
            self._suspects[place] = max(size, self._suspects.get(place, 0))
        outermost: dict[int, int] = {}
        end = -1
        for place, size in sorted(self._suspects.items()):
            if place >= end:  # else it lies within the one before: subtrees nest or lie apart
                outermost[place] = size
                end = place + size
        self._suspects, self._starts = outermost, list(outermost)

    def suspicious(self, place: int | None) -> bool:
        """Whether an earlier rule found this credential, or one above it, suspicious."""
        if place is None:
            return False
        before = bisect_right(self._starts, place) - 1
        return before >= 0 and place < self._starts[before] + self._suspects[self._starts[before]]


class _Asked(local):
    """The credentials that a thread asked about last."""

    def __init__(self) -> None:
        self.sought: list[int] = []
        self.given = False


def _stretches(counted: Iterable[tuple[int, int]]) -> Iterator[str]:
    """Parts of all segments, each with about as many identities; one without bounds where they are few."""
    start: int | None = None
    held = 0
    for segment, count in counted:
        if held and held + count > _STRETCH:
            yield (
                f"{{0}}.segment < {segment}"
                if start is None
                else f"{{0}}.segment BETWEEN {start} AND {segment - 1}"
            )
            start, held = segment, 0
        held += count
    yield "TRUE" if start is None else f"{{0}}.segment >= {start}"


def _one_by_one(read: Read, wanted: pa.Table, bits: int, judge: Judge) -> Iterator[tuple[Place, list[Any]]]:
    """Judge records by reading them here, where there is no quicker way."""
    columns: list[list[Any]] = [wanted[name].to_pylist() for name in wanted.column_names]
    asked: dict[Place, int] = {}
    for segment, number, ordinal, *masks in zip(*columns, strict=True):
        asked[segment, number, ordinal] = sum(mask << (bits * at) for at, mask in enumerate(masks))
    for place, record in read(list(asked)):
        if answers := judge(asked[place], record):
            yield place, answers
