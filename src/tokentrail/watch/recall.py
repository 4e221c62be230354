"""
Older records, found again by what names them: on disk beside the case, so that memory does not grow with it.

What `choosing` chooses of each segment is kept here under its names, in a database of its own, from which one record
is read in a fraction of a millisecond, however many it holds. All of it is worked out from the case's segments, and
is again if the file is lost.
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
_FOUND = {"c": (16, 4), "p": (16, 4), "d": (6, 6), "t": (3, 3), "e": (6, 6), "a": (6, 6)}
_ELSE = (32, 8)
"""Records of one name that are found, by its first letter: what came last, and how it began."""
_KNOWN = 50_000
"""Callers that are known to be there already, at most."""
_AT_HAND = 16_384
"""Callers, and objects, that were read last: the next records are of the same."""
_ADVICE = "It may be removed: it is made again."
_OWN_MEMORY = 16_384
"""Kilobytes that the database may take."""
_PAGE = 1024
"""Bytes of its pages: each name of a record is written into another."""

_MADE = """
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
"""What is kept of each table, in this order: all but where it lies."""
_COMMON = (
    b"unknownRootAWSServiceIAMUserAssumedRolearn:aws:kms:arn:aws:s3:::arn:aws:iam::aws:policy/arn:aws:iam:::user/role/"
    b"arn:aws:sts::assumed-role/aws-cli/2 Python/3 Linux/ x86_64 exe/ prompt/off command/Boto3/1.34 md/Botocore#1.34 "
    b"ua/2.0 os/linux# lang/python# cfg/retry-mode#legacyAWS InternalASIAAKIAAROAAIDAAccessDeniedus-west-2eu-central-1"
    b"eu-west-1us-east-1iam.amazonaws.coms3.amazonaws.comec2.amazonaws.comsts.amazonaws.comGetCallerIdentity"
    b"GetSessionTokenAssumeRoleWithWebIdentityAssumeRole"
)
"""What records have in common, so that small ones are packed well."""
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode


@dataclass(frozen=True, slots=True)
class Span:
    """The numbers of the records that are kept of some evidence."""

    low: int
    high: int


class Kept(NamedTuple):
    """What was kept of some evidence."""

    span: Span
    names: frozenset[str]
    """By which its records are found."""


@dataclass(frozen=True, slots=True)
class Found:
    """A record that was found again."""

    number: int
    caller: Row
    event: Sequence[Any]
    """Values, as `COLUMNS` names them; those of the issuance and the change too."""
    issuance: Sequence[Any] | None
    change: Sequence[Any] | None
    identity: int
    """The same for the same caller."""
    stored: StoredObject
    """The object that it lies in."""
    ordinal: int
    """Its place there."""


class Recall:
    """
    The records of a case that may be asked for again.

    Args:
        folder: Where its file lies, or is to lie.

    Raises:
        CaseError: the file can't be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "recall.sqlite"
        self._chooser = Chooser()
        self._known: set[int] = set()
        """Callers that are there already."""
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
        return opened(self._path, _MADE, _VERSION, _OWN_MEMORY, _PAGE)

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def spans(self) -> dict[int, Span]:
        """The segments whose records are kept, by number."""
        with explained(self._path, _ADVICE):
            found = self._connection.execute("SELECT number, low, high FROM segments").fetchall()
        return {number: Span(low, high) for number, low, high in found}

    def keep(self, segment: int | None, tables: Tables, objects: Sequence[StoredObject]) -> Kept:
        """
        Keep of some records what may be asked for again; all of it or nothing.

        Args:
            segment: The number of the segment whose records they are; `None` for a part of one.
            tables: The records.
            objects: The segment's evidence objects, in their order.
        """
        told = [_Told(one) for one in self._chooser.chosen(tables)]
        callers = {one.identity: one.caller for one in told if one.identity not in self._known}
        packed = [(identity, _packed(caller)) for identity, caller in callers.items()]
        with explained(self._path, _ADVICE), writing(self._connection):
            run, run_many = self._connection.execute, self._connection.executemany
            [[low]] = run("SELECT coalesce(max(record), -1) + 1 FROM records")
            [[first]] = run("SELECT coalesce(max(object), -1) + 1 FROM objects")
            lying = [
                (first + at, one.sha256, one.size, one.reference, one.bound, one.pack, one.at)
                for at, one in enumerate(objects)
            ]
            run_many("INSERT INTO objects VALUES (?, ?, ?, ?, ?, ?, ?)", lying)
            run_many("INSERT OR IGNORE INTO identities VALUES (?, ?)", packed)
            rows = [
                (low + at, first + one.object, one.ordinal, one.identity, one.record)
                for at, one in enumerate(told)
            ]
            run_many("INSERT INTO records VALUES (?, ?, ?, ?, ?)", rows)
            named = [(_key(name), one.time, low + at) for at, one in enumerate(told) for name in one.names]
            run_many("INSERT OR IGNORE INTO names VALUES (?, ?, ?)", named)
            if segment is not None:
                run("INSERT OR REPLACE INTO segments VALUES (?, ?, ?)", (segment, low, low + len(told)))
        self._known.update(callers)
        if len(self._known) > _KNOWN:
            self._known.clear()
        return Kept(Span(low, low + len(told)), frozenset[str]().union(*(one.names for one in told)))

    def became(self, segment: int, replaced: Sequence[int]) -> None:
        """Note that all is kept of a segment, or would be noted so of each that it took the place of."""
        with explained(self._path, _ADVICE), writing(self._connection):
            known = {number for (number,) in self._connection.execute("SELECT number FROM segments")}
            if known.issuperset(replaced):
                self._connection.execute("INSERT OR REPLACE INTO segments VALUES (?, 0, 0)", (segment,))
            self._connection.executemany(
                "DELETE FROM segments WHERE number = ?", [(one,) for one in replaced]
            )

    def numbers(self, names: Iterable[str]) -> Iterator[tuple[str, int]]:
        """The numbers of the records that some names find, each with its name: the newest and the first of each."""
        with explained(self._path, _ADVICE):
            for name in names:
                key = _key(name)
                newest, oldest = _FOUND.get(name[0], _ELSE)
                found = self._connection.execute(_LATEST, (key, newest)).fetchall()
                if len(found) == newest:
                    found += self._connection.execute(_FIRST, (key, oldest)).fetchall()
                for (number,) in found:
                    yield name, number

    def read(self, numbers: Iterable[int]) -> Iterator[Found]:
        """Records by number; those of one caller share its row, and those of one object what is said of that."""
        run = self._connection.execute
        with explained(self._path, _ADVICE):
            for number in numbers:
                for identity, told, ordinal, place in run(_ROW, (number,)):
                    event, issuance, change = _unpacked(told)
                    caller, stored = self._caller(identity), self._object(place)
                    yield Found(number, caller, event, issuance, change, identity, stored, ordinal)

    def _caller(self, identity: int) -> Row:
        if identity not in self._callers:
            [[told]] = self._connection.execute(_CALLER, (identity,))
            _make_room(self._callers)
            self._callers[identity] = named("identities", _unpacked(told))
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


class _Told:
    """A record as it is kept."""

    __slots__ = ("caller", "identity", "names", "object", "ordinal", "record", "time")

    def __init__(self, chosen: Chosen) -> None:
        event = chosen.event
        self.object, self.ordinal, self.time = event["object"], event["ordinal"], event["time"] or 0
        self.caller = _encode(_values("identities", chosen.caller))
        self.identity = _digest(self.caller)
        parts = ("events", event), ("issuances", chosen.issuance), ("changes", chosen.change)
        self.record = _packed(_encode([_values(table, row) for table, row in parts]))
        self.names = chosen.names()


def _make_room(at_hand: dict[int, Any]) -> None:
    """Forget what has been at hand the longest."""
    if len(at_hand) >= _AT_HAND:
        del at_hand[next(iter(at_hand))]


def _values(table: str, row: Row | None) -> list[Any] | None:
    return None if row is None else [row[name] for name in COLUMNS[table]]


def named(table: str, values: Sequence[Any]) -> Row:
    """A row as it was, but for where it lies."""
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
