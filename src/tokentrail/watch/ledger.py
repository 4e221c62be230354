"""
The ledger: a database beside the case of the notices that were sent, and of those that each sink has yet to receive.

A notice is on the disk before it is sent, and its delivery is noted afterwards. So a watch that is killed at any moment
sends what is missing when it starts again, and repeats at most what a sink had just received. One process at a time
writes it. Notices are read when they are needed and not kept in memory, since a watch runs for months.
"""

from __future__ import annotations

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
"""Kilobytes of memory that the database may use."""
_SCHEMA = """
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
_TEMPORARY = "CREATE TEMP TABLE found (id TEXT PRIMARY KEY, look INTEGER) WITHOUT ROWID"
_FOUND = "INSERT INTO found VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET look = max(look, excluded.look)"
_ADVICE = "Nothing is sent without it: make room, or move it away, and all findings are sent again."
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Notice).decode


@dataclass(frozen=True, slots=True)
class Entry:
    """What the ledger holds of a finding."""

    notice: Notice
    """The last notice of it."""
    sent_at: float
    """When that was sent, in seconds since 1970."""
    found: int = 0
    """The number of the last look that found it; 0 if none has since this process started."""


class Ledger:
    """
    The ledger of a case.

    Args:
        folder: The folder of its file; both are made if they don't exist.

    Raises:
        CaseBusy: another watch has it open.
        CaseError: it can't be read or written.
    """

    def __init__(self, folder: Path) -> None:
        import fcntl  # no part of Python on Windows, where no case is opened, but help is given

        self._path = folder / "ledger.sqlite"
        self._mutex = threading.RLock()
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock_file = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise CaseError(f"{folder}: the watch's ledger can't be opened: {error.strerror}.") from error
        try:
            fcntl.flock(self._lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock_file)
            if isinstance(error, BlockingIOError):
                raise CaseBusy(
                    f"{folder.parent}: another `tokentrail watch` follows into this case."
                ) from error
            raise CaseError(
                f"{folder}: can't be locked: {error.strerror}. Keep the watch's case on a disk of this machine."
            ) from error
        try:
            with explained(self._path, _ADVICE):
                self._connection = opened(self._path, _SCHEMA, _VERSION, _OWN_MEMORY)
                self._connection.execute(_TEMPORARY)
        except BaseException:
            os.close(self._lock_file)
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()
        os.close(self._lock_file)

    @property
    def empty(self) -> bool:
        """Whether it holds no finding: nothing was ever sent, nor noted as known."""
        return not self._read("SELECT 1 FROM findings LIMIT 1")

    def last(self, idents: Iterable[str]) -> dict[str, Entry]:
        """The entries of those of some findings that have one, by id."""
        return {
            ident: Entry(self._unpacked(packed), sent_at, look)
            for ident in idents
            for packed, sent_at, look in self._read(_LAST, ident)
        }

    def newest(self, most: int) -> list[Notice]:
        """The last notices of the findings that were first sent most recently, these first; `most` at most."""
        rows = self._read("SELECT notice FROM findings ORDER BY n DESC LIMIT ?", most)
        return [self._unpacked(packed) for (packed,) in rows]

    def standing(self, found: Collection[str], look: int, start: str) -> list[Entry]:
        """
        The findings that were sent and not withdrawn, and that no later look has found.

        Args:
            found: The ids of findings to leave out.
            look: The number of a look: findings of looks after it are left out.
            start: The time from which on findings are wanted, as their documents spell it.
        """
        idents = [ident for (ident,) in self._read(_STANDING, look, start) if ident not in found]
        return [*self.last(idents).values()]

    def found(self, idents: Iterable[str], look: int) -> None:
        """Note that the look of a number has found some findings, for as long as this process runs."""
        with self._writing():
            self._connection.executemany(_FOUND, [(ident, look) for ident in idents])

    def send(self, notices: Sequence[Notice], sinks: Sequence[str], now: float) -> None:
        """
        Note that notices are to be sent; they are on the disk when this returns, and must not be sent earlier.

        Args:
            notices: The notices.
            sinks: The names of the sinks that are to receive them; none to note findings as known.
            now: Seconds since 1970.
        """
        packed = [(one, _packed(one)) for one in notices]
        told = [(one.id, one.document["time"], one.change == "withdrawn", now, data) for one, data in packed]
        due = [(sink, one.key, data) for one, data in packed for sink in sinks]
        with self._writing(lasting=True):
            self._connection.executemany(_SENT, told)
            self._connection.executemany(
                "INSERT OR IGNORE INTO due (sink, key, notice) VALUES (?, ?, ?)", due
            )

    def came_through(self, sink: str, notices: Iterable[Notice]) -> None:
        """Note that a sink has received some notices."""
        with self._writing():
            through = [(sink, one.key) for one in notices]
            self._connection.executemany("DELETE FROM due WHERE sink = ? AND key = ?", through)

    def due(self, sink: str, most: int = -1) -> list[Notice]:
        """The notices that a sink has yet to receive, in order: `most` at most, or all."""
        found = self._read("SELECT notice FROM due WHERE sink = ? ORDER BY n LIMIT ?", sink, most)
        return [self._unpacked(packed) for (packed,) in found]

    def left_behind(self, sinks: Collection[str]) -> dict[str, int]:
        """How many notices are still due to sinks that are not among some, by the name of the sink."""
        rows = self._read("SELECT sink, count(*) FROM due GROUP BY sink ORDER BY sink")
        return {sink: int(count) for sink, count in rows if sink not in sinks}

    def waiting(self, sink: str) -> int:
        """How many notices a sink has yet to receive."""
        [(count,)] = self._read("SELECT count(*) FROM due WHERE sink = ?", sink)
        return int(count)

    def _read(self, statement: str, *values: Any) -> list[Any]:
        with self._mutex, explained(self._path, _ADVICE):
            return self._connection.execute(statement, values).fetchall()

    def _unpacked(self, packed: bytes) -> Notice:
        try:
            return _decode(zlib.decompress(packed))
        except (zlib.error, msgspec.MsgspecError) as error:
            raise CaseError(f"{self._path}: damaged: {error}. {_ADVICE}") from error

    @contextmanager
    def _writing(self, *, lasting: bool = False) -> Iterator[None]:
        """Write in one transaction; if it must last, it is on the disk at the end, safe from a loss of power."""
        with self._mutex, explained(self._path, _ADVICE):
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
            with writing(self._connection):
                yield


def _packed(notice: Notice) -> bytes:
    return zlib.compress(_encode(notice), 1)
