"""
The ledger: which findings went out, as what, and to whom; a database beside the case.

A notice is on the disk before it is sent, and what came through is noted after, so that a watch that is killed anywhere
sends what is missing when it starts again, and nothing else. One process writes it at a time. What was told is read
when it is asked for, and not kept in memory: a watch goes on for months.
"""

from __future__ import annotations

import fcntl
import os
import threading
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec

from tokentrail.errors import CaseBusy, CaseError
from tokentrail.watch.database import explained, opened, writing
from tokentrail.watch.interface import Notice

_VERSION = 1
_OWN_MEMORY = 4_096
"""Kilobytes that the database may take."""
_MADE = """
CREATE TABLE findings (
    n INTEGER PRIMARY KEY, id TEXT UNIQUE, time TEXT, withdrawn INTEGER, sent_at REAL, notice BLOB
);
CREATE INDEX standing ON findings (id, time) WHERE withdrawn = 0;
CREATE TABLE due (n INTEGER PRIMARY KEY, sink TEXT, key TEXT, notice BLOB, UNIQUE (sink, key));
"""
_SENT = """
INSERT INTO findings (id, time, withdrawn, sent_at, notice) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
    time = excluded.time, withdrawn = excluded.withdrawn, sent_at = excluded.sent_at, notice = excluded.notice"""
_LAST = """
SELECT f.notice, f.sent_at, coalesce(a.look, 0) FROM findings f LEFT JOIN found a ON a.id = f.id WHERE f.id = ?"""
_STANDING = """
SELECT f.id FROM findings f LEFT JOIN found a ON a.id = f.id
WHERE f.withdrawn = 0 AND coalesce(a.look, 0) <= ? AND f.time >= ? ORDER BY f.id"""
_MADE_FOR_NOW = "CREATE TEMP TABLE found (id TEXT PRIMARY KEY, look INTEGER) WITHOUT ROWID"
_FOUND = "INSERT INTO found VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET look = max(look, excluded.look)"
_ADVICE = "Nothing is sent without it: make room, or move it away, and all findings are sent again."
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Notice).decode


@dataclass(frozen=True, slots=True)
class Entry:
    """A finding as it was last sent."""

    notice: Notice
    sent_at: float
    """When that was, in seconds since 1970."""
    found: int = 0
    """The last look that found it, counted from the start of this process."""


class Ledger:
    """
    The ledger of a case.

    Args:
        folder: Where it lies, or is to lie.

    Raises:
        CaseBusy: another watch has it open.
        CaseError: it can't be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / "ledger.sqlite"
        self._mine = threading.RLock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise CaseError(f"{folder}: the watch's ledger can't be opened: {error.strerror}.") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise CaseBusy(f"{folder.parent}: another `tokentrail watch` follows into this case.") from error
        try:
            with explained(self._path, _ADVICE):
                self._connection = opened(self._path, _MADE, _VERSION, _OWN_MEMORY)
                self._connection.execute(_MADE_FOR_NOW)
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        os.close(self._lock)

    @property
    def empty(self) -> bool:
        """Whether nothing was ever told."""
        return not self._read("SELECT 1 FROM findings LIMIT 1")

    def last(self, idents: Iterable[str]) -> dict[str, Entry]:
        """Those of some findings that were told, by id, as they were last."""
        return {
            ident: Entry(self._unpacked(packed), sent_at, look)
            for ident in idents
            for packed, sent_at, look in self._read(_LAST, ident)
        }

    def newest(self, most: int) -> list[Notice]:
        """The findings that were told of last for the first time, as they are now; the newest first."""
        rows = self._read("SELECT notice FROM findings ORDER BY n DESC LIMIT ?", most)
        return [self._unpacked(packed) for (packed,) in rows]

    def standing(self, found: Collection[str], look: int, start: str) -> list[Entry]:
        """
        What was told and not withdrawn, and no look after some number has found.

        Args:
            found: Ids that are left out.
            look: The number.
            start: The time from which on findings are wanted, as their documents spell it.
        """
        idents = [ident for (ident,) in self._read(_STANDING, look, start) if ident not in found]
        return [*self.last(idents).values()]

    def found(self, idents: Iterable[str], look: int) -> None:
        """Note that a look has found some findings."""
        with self._writing():
            self._connection.executemany(_FOUND, [(ident, look) for ident in idents])

    def send(self, notices: Sequence[Notice], sinks: Sequence[str], now: float) -> None:
        """Note that notices are to be sent, before any is; on the disk when it returns."""
        packed = [(one, _packed(one)) for one in notices]
        told = [(one.id, one.document["time"], one.change == "withdrawn", now, data) for one, data in packed]
        due = [(sink, one.key, data) for one, data in packed for sink in sinks]
        with self._writing(lasting=True):
            self._connection.executemany(_SENT, told)
            self._connection.executemany(
                "INSERT OR IGNORE INTO due (sink, key, notice) VALUES (?, ?, ?)", due
            )

    def came_through(self, sink: str, notices: Iterable[Notice]) -> None:
        """Note that notices came through."""
        with self._writing():
            through = [(sink, one.key) for one in notices]
            self._connection.executemany("DELETE FROM due WHERE sink = ? AND key = ?", through)

    def due(self, sink: str, most: int = -1) -> list[Notice]:
        """What is still to be sent to a sink, in order; so much of it at most."""
        found = self._read("SELECT notice FROM due WHERE sink = ? ORDER BY n LIMIT ?", sink, most)
        return [self._unpacked(packed) for (packed,) in found]

    def left_behind(self, sinks: Collection[str]) -> dict[str, int]:
        """How many notices are still to be sent to others than some sinks, by name."""
        rows = self._read("SELECT sink, count(*) FROM due GROUP BY sink ORDER BY sink")
        return {sink: int(count) for sink, count in rows if sink not in sinks}

    def waiting(self, sink: str) -> int:
        """How many notices are still to be sent to a sink."""
        [(count,)] = self._read("SELECT count(*) FROM due WHERE sink = ?", sink)
        return int(count)

    def _read(self, statement: str, *values: Any) -> list[Any]:
        with self._mine, explained(self._path, _ADVICE):
            return self._connection.execute(statement, values).fetchall()

    def _unpacked(self, packed: bytes) -> Notice:
        try:
            return _decode(zlib.decompress(packed))
        except (zlib.error, msgspec.MsgspecError) as error:
            raise CaseError(f"{self._path}: damaged: {error}. {_ADVICE}") from error

    @contextmanager
    def _writing(self, *, lasting: bool = False) -> Iterator[None]:
        """Write all or nothing; what shall last over a loss of power is on the disk when it ends."""
        with self._mine, explained(self._path, _ADVICE):
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
            with writing(self._connection):
                yield


def _packed(notice: Notice) -> bytes:
    return zlib.compress(_encode(notice), 1)
