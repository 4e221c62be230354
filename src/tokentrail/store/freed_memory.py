"""Give freed memory back to the system, and pause Python's search for reference cycles where it only costs time."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

_TRIM = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
"""glibc alone has it; by itself, glibc gives back only the top of a heap (its manual, 'Freeing Memory Allocated with
malloc')."""


def give_back() -> None:
    """Make the C library give freed memory back to the system, where it can."""
    if _TRIM is not None:
        _TRIM(0)


@cache
def leave_what_is_loaded() -> None:
    """
    Exclude everything that is loaded now from later searches for reference cycles.

    Spark's Python worker searches after each task, which took a fifth of the time of reading one.
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
