"""
A database beside the case in which older records are looked up by name, so that memory does not grow with the case.

It holds the records that `choosing` selects from each segment, under the names that `names` gives them. Reading one
takes a fraction of a millisecond, however many there are. All of it is derived from the case's segments, and is
derived again if the file is lost or damaged.
"""

from __future__ import annotations

import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from tokentrail.store.interface import StoredObject
from tokentrail.watch.choosing import Chooser, Chosen
from tokentrail.watch.database import explained, opened, writing
from tokentrail.watch.intake import SCHEMAS, Tables
from tokentrail.watch.names import Row

_VERSION = 4
_LIMITS = {"c": (16, 4), "p": (16, 4), "d": (6, 6), "t": (3, 3), "e": (6, 6), "a": (6, 6)}
_OTHER_LIMITS = (32, 8)
"""How many records a name finds, by its first letter: of the newest, and of the oldest if there are more."""
_KNOWN_CALLERS = 50_000
"""Callers that are remembered as stored, at most: past that, all are forgotten, and stored once more."""
_CACHED = 16_384
"""Callers, and as many objects, that are cached: records that are read together have few of either."""
_ADVICE = "It may be removed: it is made again."
_OWN_MEMORY = 16_384
"""Kilobytes of memory that the database may use."""
_PAGE = 1024
"""Bytes of a page: small, since each name of a record is written to a different one."""

_SCHEMA = """
CREATE TABLE segments (number INTEGER PRIMARY KEY, low INTEGER, high INTEGER);
CREATE TABLE objects (
    object INTEGER PRIMARY KEY, sha256 TEXT, size INTEGER, reference TEXT, bound INTEGER, pack TEXT, at INTEGER
);
CREATE TABLE identities (identity INTEGER PRIMARY KEY, told BLOB);
CREATE TABLE records (record INTEGER PRIMARY KEY, object INTEGER, ordinal INTEGER, identity INTEGER, told BLOB);
CREATE TABLE names (name INTEGER, time INTEGER, record INTEGER, PRIMARY KEY (name, time, record)) WITHOUT ROWID;
"""
_LATEST = "SELECT record FROM names WHERE name = ? ORDER BY time DESC, record DESC LIMIT ?"
_FIRST = "SELECT record FROM names WHERE name = ? ORDER BY time, record LIMIT ?"
_ROW = "SELECT identity, told, ordinal, object FROM records WHERE record = ?"
_CALLER = "SELECT told FROM identities WHERE identity = ?"
_OBJECT = "SELECT sha256, size, reference, bound, pack, at FROM objects WHERE object = ?"

_PLACED = frozenset({"segment", "object", "ordinal", "identity"})
COLUMNS = {name: [one for one in schema.names if one not in _PLACED] for name, schema in SCHEMAS.items()}
"""The columns that are stored of each table, in this order: all but those that say where a record lies."""
_COMMON = (
    b"unknownRootAWSServiceIAMUserAssumedRolearn:aws:kms:arn:aws:s3:::arn:aws:iam::aws:policy/arn:aws:iam:::user/role/"
    b"arn:aws:sts::assumed-role/aws-cli/2 Python/3 Linux/ x86_64 exe/ prompt/off command/Boto3/1.34 md/Botocore#1.34 "
    b"ua/2.0 os/linux# lang/python# cfg/retry-mode#legacyAWS InternalASIAAKIAAROAAIDAAccessDeniedus-west-2eu-central-1"
    b"eu-west-1us-east-1iam.amazonaws.coms3.amazonaws.comec2.amazonaws.comsts.amazonaws.comGetCallerIdentity"
    b"GetSessionTokenAssumeRoleWithWebIdentityAssumeRole"
)
"""A dictionary for zlib of texts that many records share, so that small records compress well."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


@dataclass(frozen=True, slots=True)
class Span:
    """The numbers of the stored records of some evidence: from `low` up to, and without, `high`."""

    low: int
    high: int


class Kept(NamedTuple):
    """What was stored of some evidence."""

    span: Span
    names: frozenset[str]
    """The names that find its records."""


@dataclass(frozen=True, slots=True)
class Found:
    """A record that was read from the database."""

    number: int
    caller: Row
    event: Sequence[Any]
    """Its values in the order of `COLUMNS`, as are those of `issuance` and `change`."""
    issuance: Sequence[Any] | None
    change: Sequence[Any] | None
    identity: int
    """The number of the caller in the database: equal callers have the same one."""
    stored: StoredObject
    """The evidence object that holds it."""
    ordinal: int
    """Its place in that object."""


class Recall:
    """
    The database of older records of a case.

    Args:
        folder: The folder of its file, which is made if there is none.

    Raises:
        CaseError: the file can't be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "recall.sqlite"
        self._chooser = Chooser()
        self._known: set[int] = set()
        """Callers that are stored already, as far as is remembered."""
        self._callers: dict[int, Row] = {}
        self._objects: dict[int, StoredObject] = {}
        try:
            self._connection = self._opened()
        except sqlite3.DatabaseError:  # damaged, or of another version: it is worked out again
            with explained(self._path, _ADVICE):
                for path in folder.glob(f"{self._path.name}*"):
                    path.unlink()
                self._connection = self._opened()

    def _opened(self) -> sqlite3.Connection:
        return opened(self._path, _SCHEMA, _VERSION, _OWN_MEMORY, _PAGE)

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    def spans(self) -> dict[int, Span]:
        """The segments whose records are stored, by number; the span of one that was stored in parts is empty."""
        with explained(self._path, _ADVICE):
            found = self._connection.execute("SELECT number, low, high FROM segments").fetchall()
        return {number: Span(low, high) for number, low, high in found}

    def keep(self, segment: int | None, tables: Tables, objects: Sequence[StoredObject]) -> Kept:
        """
        Store those of some records that later ones may have to be seen with; all of them, or none if that fails.

        Args:
            segment: The number of their segment; `None` for a part of one, which `note_segment` completes.
            tables: The records.
            objects: The segment's evidence objects, in their order.
        """
        entries = [_Entry(one) for one in self._chooser.chosen(tables)]
        callers = {one.identity: one.caller for one in entries if one.identity not in self._known}
        caller_rows = [(identity, _packed(caller)) for identity, caller in callers.items()]
        with explained(self._path, _ADVICE), writing(self._connection):
            run, run_many = self._connection.execute, self._connection.executemany
            [[low]] = run("SELECT coalesce(max(record), -1) + 1 FROM records")
            [[first_object]] = run("SELECT coalesce(max(object), -1) + 1 FROM objects")
            object_rows = [
                (first_object + at, one.sha256, one.size, one.reference, one.bound, one.pack, one.at)
                for at, one in enumerate(objects)
            ]
            run_many("INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)", object_rows)
            run_many("INSERT OR IGNORE INTO identities VALUES (?, ?)", caller_rows)
            record_rows = [
                (low + at, first_object + one.object, one.ordinal, one.identity, one.record)
                for at, one in enumerate(entries)
            ]
            run_many("INSERT INTO records VALUES (?, ?, ?, ?, ?)", record_rows)
            name_rows = [
                (_key(name), one.time, low + at) for at, one in enumerate(entries) for name in one.names
            ]
            run_many("INSERT OR IGNORE INTO names VALUES (?, ?, ?)", name_rows)
            high = low + len(entries)
            if segment is not None:
                run("INSERT OR REPLACE INTO segments VALUES (?, ?, ?)", (segment, low, high))
        self._known.update(callers)
        if len(self._known) > _KNOWN_CALLERS:
            self._known.clear()
        return Kept(Span(low, high), frozenset[str]().union(*(one.names for one in entries)))

    def note_segment(self, segment: int, replaced: Sequence[int]) -> None:
        """
        Note that the records of a segment are stored, under spans that are not remembered.

        Args:
            segment: Its number.
            replaced: The segments that were merged into it, whose notes go: it is noted only if all of them were.
                None for a segment that was stored in parts.
        """
        with explained(self._path, _ADVICE), writing(self._connection):
            known = {number for (number,) in self._connection.execute("SELECT number FROM segments")}
            if known.issuperset(replaced):
                self._connection.execute("INSERT OR REPLACE INTO segments VALUES (?, 0, 0)", (segment,))
            self._connection.executemany(
                "DELETE FROM segments WHERE number = ?", [(one,) for one in replaced]
            )

    def numbers(self, names: Iterable[str]) -> Iterator[tuple[str, int]]:
        """Look up names: yields each with the number of a record, of the newest and the oldest that it finds."""
        with explained(self._path, _ADVICE):
            for name in names:
                key = _key(name)
                newest, oldest = _LIMITS.get(name[0], _OTHER_LIMITS)
                found = self._connection.execute(_LATEST, (key, newest)).fetchall()
                if len(found) == newest:
                    found += self._connection.execute(_FIRST, (key, oldest)).fetchall()
                for (number,) in found:
                    yield name, number

    def read(self, numbers: Iterable[int]) -> Iterator[Found]:
        """Read records by number; those of one caller share one `Row`, and those of one object a `StoredObject`."""
        run = self._connection.execute
        with explained(self._path, _ADVICE):
            for number in numbers:
                for identity, packed, ordinal, place in run(_ROW, (number,)):
                    event, issuance, change = _unpacked(packed)
                    caller, stored = self._caller(identity), self._object(place)
                    yield Found(number, caller, event, issuance, change, identity, stored, ordinal)

    def _caller(self, identity: int) -> Row:
        if identity not in self._callers:
            [[packed]] = self._connection.execute(_CALLER, (identity,))
            _make_room(self._callers)
            self._callers[identity] = row_of("identities", _unpacked(packed))
        return self._callers[identity]

    def _object(self, place: int) -> StoredObject:
        if place not in self._objects:
            [[sha256, size, reference, bound, pack, at]] = self._connection.execute(_OBJECT, (place,))
            _make_room(self._objects)
            self._objects[place] = StoredObject(
                sha256=sha256, name=sha256, size=size, records=0, rejected=0, reference=reference, bound=bound,
                pack=pack, at=at,
            )  # fmt: skip
        return self._objects[place]


class _Entry:
    """A chosen record in the form in which it is stored."""

    __slots__ = ("caller", "identity", "names", "object", "ordinal", "record", "time")

    def __init__(self, chosen: Chosen) -> None:
        event = chosen.event
        self.object, self.ordinal, self.time = event["object"], event["ordinal"], event["time"] or 0
        self.caller = _encode(_values("identities", chosen.caller))
        self.identity = _digest(self.caller)
        parts = ("events", event), ("issuances", chosen.issuance), ("changes", chosen.change)
        self.record = _packed(_encode([_values(table, row) for table, row in parts]))
        self.names = chosen.names()


def _make_room(cache: dict[int, Any]) -> None:
    """Remove the oldest entry of a full cache."""
    if len(cache) >= _CACHED:
        del cache[next(iter(cache))]


def _values(table: str, row: Row | None) -> list[Any] | None:
    return None if row is None else [row[name] for name in COLUMNS[table]]


def row_of(table: str, values: Sequence[Any]) -> Row:
    """The row of a table that some values make, in the order of `COLUMNS`: without where its record lies."""
    return dict(zip(COLUMNS[table], values, strict=True))


def _packed(data: bytes) -> bytes:
    packer = zlib.compressobj(1, wbits=-15, zdict=_COMMON)
    return packer.compress(data) + packer.flush()


def _unpacked(data: bytes) -> Any:
    return _decode(zlib.decompressobj(wbits=-15, zdict=_COMMON).decompress(data))


def _key(name: str) -> int:
    return _digest(name.encode())


def _digest(data: bytes) -> int:
    return int.from_bytes(blake2b(data, digest_size=8).digest(), "little", signed=True)
