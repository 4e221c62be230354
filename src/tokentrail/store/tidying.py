"""What may be removed from a case's folder: what killed writers left, and what newer tables replaced."""

from __future__ import annotations

import shutil
import time
from contextlib import suppress
from pathlib import Path

from tokentrail.store.layers import LAYERS

DATABASE = "derived.duckdb"
"""The file of the derived database, in a derived folder."""
_DATABASES = 3
"""Derived folders whose databases stay: each is a whole copy, and a watch makes one a turn."""
SPILL = ".spill"
"""What the folder is called, beside derived tables, to which engines spill."""
_ABANDONED_AFTER = 24 * 3600
"""Seconds after which a part without a manifest can't belong to a running ingest any more."""
_LINKED_AFTER = 3600
"""Seconds after which nobody links from layers that newer ones replaced."""


def tidy(case: Path) -> None:
    """
    Remove what killed writers left, and derived tables that newer ones replaced, once they are a day old.

    No link in place of a folder is followed: a case that somebody else made may lead to one's own files.
    """
    published = {path.stem for path in (case / "manifests").glob("*.json")}
    stale = [path for path in _in(case / "segments") if path.name not in published]
    every = _in(case / "derived")
    derived = sorted(every, key=lambda path: (not path.name.startswith("."), path.lstat().st_mtime))
    for path in _in(case / "objects", "packs", ".*"):
        with suppress(OSError):  # in place by now, or none of ours
            if _age(path) > _ABANDONED_AFTER:
                path.unlink()
    # Tables in files go each by itself: spilling keeps their folder young.
    for path in [*stale, *_in(case / "derived", SPILL, "tables-*"), *derived[:-1]]:
        age = _age(path)
        if age > _ABANDONED_AFTER:
            shutil.rmtree(path, ignore_errors=True)
        elif age > _LINKED_AFTER and not path.is_symlink():
            shutil.rmtree(path / LAYERS, ignore_errors=True)


def forget_databases(case: Path, placed: Path) -> None:
    """
    Remove the databases of all derived folders but the newest; whoever has one open keeps it.

    Args:
        case: The case.
        placed: The folder that is the newest, whatever its time says.
    """
    others = [
        path for path in _in(case / "derived", names="[!.]*") if path != placed and not path.is_symlink()
    ]
    every = [database for path in others if (database := path / DATABASE).is_file()]
    for database in sorted(every, key=_age)[_DATABASES - 1 :]:
        with suppress(OSError):  # somebody else's ingest may have removed it meanwhile
            database.unlink()


def _in(folder: Path, below: str = "", names: str = "*") -> list[Path]:
    """What lies in a folder, or in one below it."""
    inner = folder / below
    return [] if folder.is_symlink() or inner.is_symlink() else [*inner.glob(names)]


def _age(path: Path) -> float:
    """Seconds since it was changed; none if it is gone meanwhile."""
    try:
        return time.time() - path.stat().st_mtime
    except FileNotFoundError:
        return 0
