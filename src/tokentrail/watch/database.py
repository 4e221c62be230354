"""Open the SQLite databases of a watch, write to them in transactions, and turn their failures into errors in words."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tokentrail.errors import CaseError

_WAIT = 60.0
"""Seconds to wait for another process that writes; each does so for a fraction of one."""


def opened(path: Path, schema: str, version: int, memory: int, page: int = 4096) -> sqlite3.Connection:
    """
    Open a database, or make it. It commits without waiting for the disk, and several threads may use it in turn.

    Args:
        path: Its file.
        schema: The statements that make its tables.
        version: The version of the schema, which must not be 0.
        memory: Kilobytes of memory that its cache may use.
        page: Bytes that are read and written at once: few where rows that are written together lie apart.

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
        connection.execute(f"PRAGMA page_size = {page}")  # of a new one, before anything is written
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute(f"PRAGMA cache_size = -{memory}")
        [[found]] = connection.execute("PRAGMA user_version")
        if found not in (0, version):
            raise sqlite3.DatabaseError(f"version {found} of another TokenTrail")
        if found == 0:
            connection.executescript(f"BEGIN IMMEDIATE; {schema} PRAGMA user_version = {version}; COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def writing(connection: sqlite3.Connection) -> Iterator[None]:
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
def explained(path: Path, advice: str) -> Iterator[None]:
    """
    Turn failures of a database into errors in words.

    Args:
        path: Its file.
        advice: What the user should do then.

    Raises:
        CaseError: the database failed; its message says how, and ends with the advice.
    """
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise CaseError(f"{path}: can't be read or written: {error}. {advice}") from error
