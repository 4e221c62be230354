"""Memory that is free again, given back to the machine."""

from __future__ import annotations

import ctypes
import time

_EVERY = 20.0


class Room:
    """
    Gives memory back now and then.

    What a watch holds comes and goes many times a minute, in pieces of all sizes; the C library keeps what became free
    between others, ever more of it over hours (glibc's manual: by itself it gives back the top of a heap alone).
    """

    def __init__(self) -> None:
        self._next = time.monotonic() + _EVERY

    def make(self) -> None:
        """Give back what is free, if it is time."""
        if time.monotonic() >= self._next:
            trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # of glibc alone
            if trim is not None:
                trim(0)
            self._next = time.monotonic() + _EVERY
