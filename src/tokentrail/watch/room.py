"""Memory that is free again, found and given back to the machine now and then."""

from __future__ import annotations

import gc
import time

from tokentrail.store.room import give_back

_EVERY = 20.0


class Room:
    """
    Gives memory back now and then, for a process whose own search for cycles is held off.

    What a watch holds comes and goes many times a minute, in pieces of all sizes; the C library keeps what became free
    between others, ever more of it over hours. Cycles are few, and to be searched for when nobody waits.
    """

    def __init__(self) -> None:
        self._next = time.monotonic() + _EVERY

    def make(self) -> None:
        """Give back what is free, if it is time."""
        if time.monotonic() >= self._next:
            gc.collect()
            give_back()
            self._next = time.monotonic() + _EVERY
