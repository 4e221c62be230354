"""The one folder for temporary files of this process: the engine may write there, and nowhere else beside a case."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path


def process_folder() -> Path:
    """Where this process's temporary files lie: for its user alone, made when it is first written to, and removed."""
    return _of(os.getpid(), tempfile.gettempdir())


def ensure_process_folder() -> Path:
    """Make that folder where it is not there yet."""
    own = process_folder()
    own.mkdir(mode=0o700, exist_ok=True)
    return own


def new_temporary_folder() -> Path:
    """Make a new folder in the process's own."""
    return Path(tempfile.mkdtemp(dir=ensure_process_folder()))


def remove_if_empty() -> None:
    """Remove the process's own folder if nothing is left in it."""
    with suppress(OSError):
        process_folder().rmdir()


@cache
def _of(process: int, beside: str) -> Path:
    """Choose the folder's name at random, so that nobody else can have taken it before it is made."""
    found = Path(os.path.realpath(beside)) / f"tokentrail-{secrets.token_hex(8)}"
    atexit.register(_remove, found, process)
    return found


def _remove(folder: Path, process: int) -> None:
    """Remove the folder when the process that made it ends, not one that it forked; what links in it lead to stays."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
