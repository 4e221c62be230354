"""
The ledger: a database beside the case of the notices that were sent, and of those that each sink has yet to receive.

A notice is on the disk before it is sent, and its delivery is noted afterwards. So a watch that is killed at any moment
sends what is missing when it starts again, and repeats at most what a sink had just received. One process at a time
writes it. Notices are read when they are needed and not kept in memory, since a watch runs for months.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import zlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import msgspec

from tokentrail.errors import CaseBusy, CaseError
from tokentrail.watch.interface import Notice

_VERSION = 1
_OWN_MEMORY = 4_096
"""Kilobytes of memory that the database may use."""
_WAIT = 60.0
"""Seconds to wait for another process that writes; each does so for a fraction of one."""
_SCHEMA = """
CREATE TABLE findings (
    n INTEGER PRIMARY KEY, id TEXT UNIQUE, time TEXT, withdrawn INTEGER, sent_at REAL, notice BLOB
);
CREATE INDEX standing ON findings (id, time) WHERE withdrawn = 0;
CREATE TABLE due (n INTEGER PRIMARY KEY, sink TEXT, key TEXT, notice BLOB, UNIQUE (sink, key));
"""
_JUDGED = "CREATE TABLE IF NOT EXISTS judged (segment TEXT PRIMARY KEY) WITHOUT ROWID"
"""Which segments passes have judged; earlier ledgers lack it, and then all of the case is judged once."""
_SENT = """
INSERT INTO findings (id, time, withdrawn, sent_at, notice) VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET
    time = excluded.time, withdrawn = excluded.withdrawn, sent_at = excluded.sent_at, notice = excluded.notice"""
_LAST = "SELECT notice, sent_at FROM findings WHERE id = ?"
_STANDING = "SELECT id FROM findings WHERE withdrawn = 0 ORDER BY id"
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
            with _explained(self._path):
                self._connection = _opened(self._path)
                self._connection.execute(_JUDGED)
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
            ident: Entry(self._unpacked(packed), sent_at)
            for ident in idents
            for packed, sent_at in self._read(_LAST, ident)
        }

    def standing(self, found: Collection[str]) -> list[Entry]:
        """The findings that were sent and not withdrawn, without those of some ids."""
        idents = [ident for (ident,) in self._read(_STANDING) if ident not in found]
        return [*self.last(idents).values()]

    def judged(self) -> frozenset[str]:
        """The segments that passes have judged."""
        return frozenset(segment for (segment,) in self._read("SELECT segment FROM judged"))

    def note_judged(self, segments: Iterable[str], gone: Iterable[str] = ()) -> None:
        """Note that a pass has judged some segments, whose findings have been noted; and that others are gone."""
        with self._writing():
            added, removed = [(one,) for one in segments], [(one,) for one in gone]
            self._connection.executemany("INSERT OR IGNORE INTO judged (segment) VALUES (?)", added)
            self._connection.executemany("DELETE FROM judged WHERE segment = ?", removed)

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
        with self._mutex, _explained(self._path):
            return self._connection.execute(statement, values).fetchall()

    def _unpacked(self, packed: bytes) -> Notice:
        try:
            return _decode(zlib.decompress(packed))
        except (zlib.error, msgspec.MsgspecError) as error:
            raise CaseError(f"{self._path}: damaged: {error}. {_ADVICE}") from error

    @contextmanager
    def _writing(self, *, lasting: bool = False) -> Iterator[None]:
        """Write in one transaction; if it must last, it is on the disk at the end, safe from a loss of power."""
        with self._mutex, _explained(self._path):
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
            with _transaction(self._connection):
                yield


def _packed(notice: Notice) -> bytes:
    return zlib.compress(_encode(notice), 1)


def _opened(path: Path) -> sqlite3.Connection:
    """
    Open the database, or make it. It commits without waiting for the disk, and several threads may use it in turn.

    Raises:
        sqlite3.DatabaseError: it is damaged, of another version, or a symbolic link: whoever made the case folder must
            not be able to choose which other file of the user is overwritten.
    """
    for one in (path.parent, *path.parent.glob(f"{path.name}*")):
        if one.is_symlink():
            raise sqlite3.DatabaseError(f"{one.name} is a link")
    if not path.exists():  # what a file that was taken away left beside it would be read into the new one
        for companion in ("-wal", "-shm"):
            path.with_name(path.name + companion).unlink(missing_ok=True)
    path.touch(mode=0o600)
    connection = sqlite3.connect(path, timeout=_WAIT, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{_OWN_MEMORY}")
        [[found]] = connection.execute("PRAGMA user_version")
        if found not in (0, _VERSION):
            raise sqlite3.DatabaseError(f"version {found} of another TokenTrail")
        if found == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA user_version = {_VERSION}; COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Run statements in a transaction, which is rolled back if one of them fails."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # SQLite itself ends it in some cases, as when the disk is full
            connection.execute("ROLLBACK")
        raise


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    """
    Turn failures of the database into errors in words.

    Raises:
        CaseError: the database failed; its message says how, and ends with what to do.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise CaseError(f"{path}: can't be read or written: {error}. {_ADVICE}") from error
