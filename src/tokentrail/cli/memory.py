"""
Settings for a command: memory, threads of libraries, and how often Python looks for reference cycles.

Those of freed memory must be made before other threads start and before Arrow is loaded.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

LIBRARY_SETTINGS = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1"}
"""
Environment variables that Arrow and NumPy read as they are loaded; processes that a verb starts do not inherit them.

NumPy's linear algebra, of which nothing here has need, starts a thread for each processor, and these threads wait
busily at first: that took a tenth of the processor time of a small answer.

Arrow is made to use malloc. Its own pools keep more of what other threads freed, can't be made to return it, and ask
the system for memory by two megabytes at a time: where the system has to find these first, as on a virtual machine, an
answer takes twice as long now and then. Ingest, linking and answers were as quick with malloc or quicker.
"""
_ARENA_MAX = -8
"""`M_ARENA_MAX` of glibc's malloc.h."""
_ARENAS = 2
_MALLOPT = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None


def keep_few_arenas() -> None:
    """
    Limit glibc to two malloc arenas, each of which keeps freed memory; by default it uses up to eight per processor.

    A limit that the user has set stays. Source: glibc manual, 'Memory Allocation Tunables'.
    """
    set_by_user = "MALLOC_ARENA_MAX" in os.environ or "malloc.arena_max" in os.environ.get(
        "GLIBC_TUNABLES", ""
    )
    if _MALLOPT is not None and not set_by_user:
        _MALLOPT(_ARENA_MAX, _ARENAS)


def search_seldom_for_cycles() -> None:
    """
    Make Python look for reference cycles nearly 300 times as seldom: an answer has millions of objects, and no cycles.

    For an attacker with a hundred thousand credentials these searches took a quarter of the time.
    """
    gc.set_threshold(200_000, 20, 10)


def exit_without_search() -> None:
    """
    Make Python not look for reference cycles as it exits: the system takes all memory back at once anyway.

    For an answer from a small case that search takes a ninth of the processor time.
    """
    atexit.register(gc.freeze)


@contextmanager
def environment_defaults(settings: Mapping[str, str]) -> Iterator[None]:
    """Set environment variables, where they are not set yet, for as long as libraries are loaded."""
    new = settings.keys() - os.environ.keys()
    os.environ.update((name, settings[name]) for name in new)
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]
