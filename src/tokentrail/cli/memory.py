"""
What a process keeps of memory that is free again, and how often it looks for some.

The first, for verbs whose memory is to stay as it is however much evidence there is, must be settled before other
threads begin, and before Arrow is loaded.
"""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

SYSTEM_POOL = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
"""What Arrow is told while it is loaded: its own pools keep more of what other threads freed."""
_ARENA_MAX = -8
"""As glibc's malloc.h has it."""
_ARENAS = 2
_MALLOPT = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None


def keep_few_arenas() -> None:
    """
    Have glibc keep free memory in few places, where it has up to eight for each processor by itself (glibc manual,
    'Memory Allocation Tunables'); what the user has set of it stays so.
    """
    theirs = "MALLOC_ARENA_MAX" in os.environ or "malloc.arena_max" in os.environ.get("GLIBC_TUNABLES", "")
    if _MALLOPT is not None and not theirs:
        _MALLOPT(_ARENA_MAX, _ARENAS)


def search_seldom_for_cycles() -> None:
    """
    Have Python search for cycles a seventieth as often: of what an answer is made of there are millions, and none.

    Of an attacker with a hundred thousand credentials these searches took a quarter of the time.
    """
    gc.set_threshold(50_000, 20, 10)


@contextmanager
def told(settings: Mapping[str, str]) -> Iterator[None]:
    """Set variables of the environment, while libraries are loaded, that are not set."""
    new = settings.keys() - os.environ.keys()
    os.environ.update((name, settings[name]) for name in new)
    try:
        yield
    finally:
        for name in new:
            del os.environ[name]
