"""
Open DuckDB, and turn its errors into ours.

An engine of many records has a DuckDB of its own. All engines of few records in a process share one, each with its own
catalog: opening a DuckDB takes some 15 ms, longer than most questions to few records.
"""

from __future__ import annotations

import errno
import os
import re
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase
from typing import Any

import duckdb

from tokentrail.errors import CaseError, NoRoom

_CLOSED = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
}
"""Nothing is ever fetched behind the user's back (DuckDB documentation, 'Securing DuckDB'), and a name that is no
table's is no Python variable's either."""
_SHARE = "50%"
"""Share of the machine's memory that tables and joins may take; past that they spill to disk beside the case."""
MACROS = (
    "iso(x) AS strftime(make_timestamp(x * 1000000), '%Y-%m-%dT%H:%M:%SZ')",
    f"caseless(x) AS translate(x, '{ascii_uppercase}', '{ascii_lowercase}')",
    "sorted_set(x) AS list_sort(list(DISTINCT x))",
    "numbered() AS nextval('numbers')",
)
"""What linking's SQL calls by one name wherever it runs; `spark` spells the same otherwise."""
_DRAWS_NOTHING = "SET enable_progress_bar = false"
_READS_NO_MORE = "SET disable_parquet_prefetching = true"
"""Of a file's columns only the pages that are needed: all files are local, and most questions are about a few rows."""
_RENEWED = 1_000
"""Catalogs lent after which a new DuckDB is opened, so that what one remembers of files does not grow for ever."""

_NO_ROOM = (
    "a query on the case needs more memory than it may take (at most half of this machine's), or more room on the disk "
    "where it spills, or where temporary files lie (TMPDIR names another). Use a machine with more, or make a case of "
    "less: `tokentrail ingest SOURCE --since TIME --account ID --case NEW`.\n{}"
)
_UNREADABLE = "a query on the case failed: a table is damaged, the names of its columns are no text ({}).\n{}"
_WORDS = "|".join(re.escape(os.strerror(one)) for one in (errno.ENOSPC, errno.EDQUOT))
_FULL = re.compile(rf': (?:{_WORDS})(?:","errno":"[0-9]+"}})?\s*\Z')
"""How DuckDB ends where a disk is full, by what the system says of it."""
_IN_USE = "connection is busy"
TWO_AT_ONCE = "this case answers another thread just now: open a `Case` for each thread"
_INTERRUPTED, _NO_TEXT = "Query interrupted", "nanobind::str()"
"""What DuckDB's binding says of Ctrl-C, and where it can't spell a name: neither is an error of DuckDB's own."""


@contextmanager
def explained(sql: str) -> Iterator[None]:
    """Turn an engine's error into ours, with the statement that failed."""
    try:
        yield
    except duckdb.OutOfMemoryException as error:
        raise NoRoom(_NO_ROOM.format(sql.strip())) from error
    except duckdb.Error as error:
        if _IN_USE in str(error):
            raise CaseError(TWO_AT_ONCE) from error
        if isinstance(error, duckdb.IOException) and _FULL.search(str(error)):
            raise NoRoom(_NO_ROOM.format(sql.strip())) from error
        raise CaseError(f"a query on the case failed: {error}\n{sql.strip()}") from error
    except UnicodeDecodeError as error:
        raise CaseError(_UNREADABLE.format(error, sql.strip())) from error
    except RuntimeError as error:
        if str(error) == _INTERRUPTED:
            raise KeyboardInterrupt from error
        if str(error).startswith(_NO_TEXT):
            raise CaseError(_UNREADABLE.format(error, sql.strip())) from error
        raise


def opened(threads: int, spill: Path | None) -> duckdb.DuckDBPyConnection:
    """A DuckDB in memory, which spills to a folder if one is named."""
    config: dict[str, Any] = dict(_CLOSED)
    config["threads"] = threads
    config["preserve_insertion_order"] = False
    config["memory_limit"] = _SHARE
    # Left out, it would be a folder wherever the process was started.
    config["temp_directory"] = "" if spill is None else str(spill)
    found = duckdb.connect(":memory:", config=config)
    # A process that was started with `python -c` counts as interactive.
    for setting in (_DRAWS_NOTHING, _READS_NO_MORE):
        with explained(setting):
            found.execute(setting)
    return found


class SharedDuck:
    """The DuckDB that engines of few records share, opened when first needed; safe for several threads at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._shared: _Duck | None = None
        self._inherited: list[_Duck] = []

    def lend(self) -> Catalog:
        """Lend a catalog, to be used until it is left."""
        with self._lock:
            if self._shared is None or self._shared.lent == _RENEWED:
                self._shared = _Duck(opened(1, None))  # the one before goes with the last that uses it
            try:
                return self._shared.lend()
            except CaseError:  # something broke it for good, and would all that come after
                self._shared = _Duck(opened(1, None))
                return self._shared.lend()

    def take_back(self, shared: _Duck, catalog: str) -> None:
        """Drop a catalog that was lent."""
        if shared.process != os.getpid():
            return
        # A signal's handler may close one while the thread that it interrupted has the lock.
        if not self._lock.acquire(blocking=False):
            shared.unclosed.append(catalog)
            return
        try:
            with suppress(CaseError):  # the next one tries again, and goes elsewhere if that can't be done
                shared.forget(catalog)
        finally:
            self._lock.release()

    def forked(self) -> None:
        """In a forked process use a new DuckDB: a thread that exists only in the parent may have locked the old one."""
        self._lock = threading.Lock()
        if self._shared is not None:
            self._inherited.append(self._shared)  # to let go of it might wait for that thread
            self._shared = None


class Catalog:
    """A catalog of one engine, in the shared DuckDB."""

    def __init__(self, shared: _Duck, catalog: str) -> None:
        self._shared = shared
        self.name = catalog
        self.is_first = shared.lent == 1
        """Whether it is the first one of its DuckDB, so that no settings were made yet."""
        self.connection = shared.whole.cursor()
        # One that is collected without being left is only noted: collection may happen in the middle of anything.
        self._unclosed = weakref.finalize(self, shared.unclosed.append, catalog)
        self._unclosed.atexit = False

    def leave(self) -> None:
        """Forget what is in it."""
        self.connection.close()
        if self._unclosed.detach():
            SHARED.take_back(self._shared, self.name)


@dataclass(slots=True, eq=False)
class _Duck:
    """One shared DuckDB, and the catalogs that were lent of it."""

    whole: duckdb.DuckDBPyConnection
    process: int = field(default_factory=os.getpid)
    lent: int = 0
    unclosed: deque[str] = field(default_factory=deque)
    """Catalogs that are no longer in use and still to be dropped."""

    def lend(self) -> Catalog:
        while self.unclosed:
            self.forget(self.unclosed.popleft())
        self.lent += 1
        sql = f"ATTACH ':memory:' AS home_{self.lent}"
        with explained(sql):
            catalog = Catalog(self, f"home_{self.lent}")
            self.whole.execute(sql)
        return catalog

    def forget(self, catalog: str) -> None:
        sql = f"DETACH DATABASE IF EXISTS {catalog}"
        try:
            with explained(sql):
                self.whole.execute(sql)
        except BaseException:  # whoever asks next tries again
            self.unclosed.append(catalog)
            raise


SHARED = SharedDuck()
if hasattr(os, "register_at_fork"):  # Windows forks nothing
    os.register_at_fork(after_in_child=SHARED.forked)
