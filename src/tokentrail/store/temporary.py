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


def own_folder() -> Path:
    """Where this process's temporary files lie: for its user alone, made when it is first written to, and removed."""
    return _of(os.getpid(), tempfile.gettempdir())


def made_folder() -> Path:
    """The same, made."""
    own = own_folder()
    own.mkdir(mode=0o700, exist_ok=True)
    return own


def new_folder() -> Path:
    """A new folder in it."""
    return Path(tempfile.mkdtemp(dir=made_folder()))


def leave() -> None:
    """Remove it if nothing is left in it."""
    with suppress(OSError):
        own_folder().rmdir()


@cache
def _of(process: int, beside: str) -> Path:
    """Name it: by chance, so that nobody else can have taken the name before it is made."""
    found = Path(os.path.realpath(beside)) / f"tokentrail-{secrets.token_hex(8)}"
    atexit.register(_remove, found, process)
    return found


def _remove(folder: Path, process: int) -> None:
    """Remove it when the process ends that made it, not one that it forked; what links in it lead to stays."""
    if os.getpid() == process:
        shutil.rmtree(folder, ignore_errors=True)
