"""A connection to DuckDB: how it is opened, and how its errors become ours."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase
from tempfile import TemporaryDirectory
from typing import Any

import duckdb

from tokentrail.errors import CaseError, NoRoom, QueryFailed
from tokentrail.store.literals import quoted
from tokentrail.store.temporary_files import new_temporary_folder, process_folder

_CLOSED = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "allow_unsigned_extensions": False,
    "python_enable_replacements": False,
}
"""Nothing is ever fetched behind the user's back (DuckDB documentation, 'Securing DuckDB'), and a name that is no
table's is no Python variable's either."""
_CHANGING = (
    "disabled_optimizers", "memory_limit", "parquet_metadata_cache", "search_path", "threads",
)  # fmt: skip
"""Settings that are changed between queries; all others stay as they are."""
_SHARE = "50%"
"""Share of the machine's memory that tables and joins may take; past that they spill to disk beside the case."""
MACROS = (
    "iso(x) AS strftime(make_timestamp(x * 1000000), '%Y-%m-%dT%H:%M:%SZ')",
    f"caseless(x) AS translate(x, '{ascii_uppercase}', '{ascii_lowercase}')",
    "sorted_set(x) AS list_sort(list(DISTINCT x))",
    "numbered() AS nextval('numbers')",
)
"""Functions that linking's SQL uses."""
_DRAWS_NOTHING = "SET enable_progress_bar = false"
_READS_NO_MORE = "SET disable_parquet_prefetching = true"
"""Of a file's columns only the pages that are needed: all files are local, and most questions are about a few rows."""
_NO_ROOM = (
    "a query on the case needs more memory than it may take (at most half of this machine's), or more room on the disk "
    "where it spills, or where temporary files lie (TMPDIR names another). Use a machine with more, or make a case of "
    "less: `tokentrail ingest SOURCE --since TIME --account ID --case NEW`.\n{}"
)
_UNREADABLE = "a query on the case failed: a table is damaged, the names of its columns are no text ({}).\n{}"
_WORDS = "|".join(re.escape(os.strerror(one)) for one in (errno.ENOSPC, errno.EDQUOT))
_FULL = re.compile(rf': (?:{_WORDS})(?:","errno":"[0-9]+"}})?\s*\Z')
"""How DuckDB ends where a disk is full, by what the system says of it."""
_DAMAGED = re.compile("Corrupt database file|Could not read enough bytes")
"""What DuckDB says of a database file of which a part is not what was written."""
_REBUILD = "what was derived of the evidence is damaged ({}). Work it out anew: `tokentrail rebuild --case CASE`.\n{}"
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
        if _DAMAGED.search(str(error)):
            raise CaseError(_REBUILD.format(error, sql.strip())) from error
        raise QueryFailed(f"a query on the case failed: {error}\n{sql.strip()}") from error
    except UnicodeDecodeError as error:
        raise CaseError(_UNREADABLE.format(error, sql.strip())) from error
    except RuntimeError as error:
        if str(error) == _INTERRUPTED:
            raise KeyboardInterrupt from error
        if str(error).startswith(_NO_TEXT):
            raise CaseError(_UNREADABLE.format(error, sql.strip())) from error
        raise


@contextmanager
def written_at(path: Path) -> Iterator[Path]:
    """
    Where a database file can be written that is to lie at a path.

    DuckDB takes a `?` in the path for the beginning of an address's parameters, and would put its log elsewhere.
    """
    if "?" not in str(path.resolve()):
        yield path
        return
    with TemporaryDirectory(dir=new_temporary_folder()) as folder:
        there = Path(folder) / path.name
        if path.exists():
            shutil.copyfile(path, there)
        yield there
        shutil.copyfile(there, path)


def opened(threads: int, spill: Path | None, within: Iterable[Path] = ()) -> duckdb.DuckDBPyConnection:
    """
    A DuckDB in memory, which spills to a folder if one is named.

    It loads no extension, and reads and writes files of some folders alone, links that lead out of them left aside,
    whatever a database or a query asks for (DuckDB documentation, 'Securing DuckDB').

    Args:
        threads: That share a query's work.
        spill: Where tables go that memory does not hold.
        within: The folders, beside that for this process's own temporary files.
    """
    config: dict[str, Any] = dict(_CLOSED)
    config["threads"] = threads
    config["preserve_insertion_order"] = False
    config["memory_limit"] = _SHARE
    # Left out, it would be a folder wherever the process was started.
    config["temp_directory"] = "" if spill is None else str(spill)
    found = duckdb.connect(":memory:", config=config)
    folders = [str(one) for one in (process_folder(), *within, *([] if spill is None else [spill]))]
    # Where DuckDB would look for the log of a database in a folder whose name has a `?`; see `written_at`.
    folders += [one.replace("?", ".wal?", 1) for one in folders if "?" in one]
    # A process that was started with `python -c` counts as interactive, so that it would draw.
    for setting in (
        _DRAWS_NOTHING, _READS_NO_MORE, f"SET allowed_directories = [{', '.join(map(quoted, folders))}]",
        "SET enable_external_access = false", f"SET allowed_configs = [{', '.join(map(quoted, _CHANGING))}]",
        "SET lock_configuration = true",
    ):  # fmt: skip
        with explained(setting):
            found.execute(setting)
    return found
