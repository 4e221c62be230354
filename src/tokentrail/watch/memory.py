"""Give freed memory of a watch back to the system now and then."""

from __future__ import annotations

import gc
import time

from tokentrail.store.memory import give_back

_EVERY = 20.0


class MemoryReturner:
    """
    Gives freed memory back every 20 seconds, and collects reference cycles, in a process where Python does not.

    A watch takes and frees memory in pieces of all sizes many times a minute. What is freed between pieces in use stays
    with the C library, and grows over hours. Cycles are few, and are collected when nobody waits.
    """

    def __init__(self) -> None:
        self._next = time.monotonic() + _EVERY

    def return_free(self) -> None:
        """Give back freed memory, if the last time was long enough ago."""
        if time.monotonic() >= self._next:
            gc.collect()
            give_back()
            self._next = time.monotonic() + _EVERY
