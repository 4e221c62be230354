"""A connection to DuckDB: how it is opened, how its SQL names files, and how its errors become ours."""

from __future__ import annotations

import atexit
import errno
import os
import re
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
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
_PATTERN = re.compile(r"[*?\[]")
"""What DuckDB takes for a pattern of names, also in a list of files, and knows no way to spell otherwise."""
_NO_PATTERN = str.maketrans("*?[]", "----")
"""What stands for it in the name of a link."""

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


def quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def reading(files: Iterable[Path | str]) -> str:
    """
    What reads some Parquet files, in place of a table.

    A folder above them may be called anything: `account=7`, as data lakes have it, makes no column of that name.
    """
    listed = ", ".join(quoted(_spelled(str(one))) for one in files)
    return f"read_parquet([{listed}], hive_partitioning = false)"


def _spelled(file: str) -> str:
    """A path that can't be taken for a pattern: where a folder is called like one, that by another name."""
    if not _PATTERN.search(file):
        return file
    path = Path(file)
    last = max(place for place, part in enumerate(path.parts) if _PATTERN.search(part))
    if last == len(path.parts) - 1:  # files are called by us
        return file
    folder = Path(*path.parts[: last + 1]).absolute()
    link = _by_another_name(folder)
    if not link.is_symlink():  # what removes old files from temporary folders may have taken it
        link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            link.symlink_to(folder, target_is_directory=True)
    return str(link.joinpath(*path.parts[last + 1 :]))


@cache
def _by_another_name(folder: Path) -> Path:
    """Where a link to a folder lies, for as long as this process lives."""
    beside = Path(tempfile.mkdtemp(prefix="tokentrail-")).absolute()
    atexit.register(_remove, beside, os.getpid())
    return beside / folder.name.translate(_NO_PATTERN)


def _remove(beside: Path, process: int) -> None:
    """Remove a link, not what it leads to, when the process ends that made it, not one that it forked."""
    if os.getpid() == process:
        shutil.rmtree(beside, ignore_errors=True)
