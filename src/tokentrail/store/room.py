"""Memory that is free again, found and given back to the machine."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
"""Of glibc alone, which by itself gives back the top of a heap only (its manual, 'Freeing Memory Allocated with
malloc')."""


def give_back() -> None:
    """Have the C library give back what it keeps for later, where it is one that can."""
    if _TRIM is not None:
        _TRIM(0)


@cache
def leave_what_is_loaded() -> None:
    """
    Leave out of every later search for cycles what was loaded until now: it stays.

    Spark has its Python search after each task, which took a fifth of the time of reading one.
    """
    gc.collect()
    gc.freeze()


@contextmanager
def without_collection() -> Iterator[None]:
    """Hold off the search for cycles: rows and decoded records have none, and it would walk them again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
