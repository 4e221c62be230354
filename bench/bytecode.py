"""Modules compiled, as where the program is installed: else every process compiles at its start all that it loads."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

LOADED = ("tokentrail.case", "tokentrail.store.ingest")


@contextmanager
def kept(*loaded: str) -> Iterator[None]:
    """
    Have processes that are started find modules compiled.

    Args:
        loaded: What they load beside `LOADED`, by name.
    """
    before = dict(os.environ)
    with tempfile.TemporaryDirectory(prefix="tokentrail-bench-", ignore_cleanup_errors=True) as folder:
        if sys.dont_write_bytecode:  # as images of containers like to have it
            os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
            os.environ["PYTHONPYCACHEPREFIX"] = folder
        subprocess.run([sys.executable, "-c", f"import {', '.join((*LOADED, *loaded))}"], check=True)
        yield
        os.environ.clear()
        os.environ.update(before)
