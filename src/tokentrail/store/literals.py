"""Literals of SQL: texts, and the files that a query reads, each of them and no other."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import cache
from pathlib import Path

from tokentrail.store.temporary_files import new_temporary_folder

_PATTERN = re.compile(r"[*?\[]")
"""What DuckDB takes for a pattern of names, also in a list of files, and knows no way to spell otherwise."""
_NO_PATTERN = str.maketrans("*?[]", "----")
"""What stands for it in the name of a link."""


def quoted(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def file(path: Path) -> str:
    """A SQL string literal that names a file, whatever the folders above it are called."""
    return quoted(_spelled(str(path)))


def reading(files: Iterable[Path | str]) -> str:
    """
    What reads some Parquet files, in place of a table.

    A folder above them may be called anything: `account=7`, as data lakes have it, makes no column of that name.
    """
    listed = ", ".join(file(Path(one)) for one in files)
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
    link = _by_another_name(folder, os.getpid())
    if not link.is_symlink():  # what removes old files from temporary folders may have taken it
        link.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            link.symlink_to(folder, target_is_directory=True)
    return str(link.joinpath(*path.parts[last + 1 :]))


@cache
def _by_another_name(folder: Path, _process: int) -> Path:
    """Where a link to a folder lies, for as long as this process lives."""
    return new_temporary_folder() / folder.name.translate(_NO_PATTERN)
