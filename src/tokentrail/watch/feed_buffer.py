"""
What feeds share: a bounded buffer of arrivals, and how long to wait before another try.

The buffer makes threads that fetch wait for the one that reads, so that memory stays bounded.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from threading import Condition, Lock
from typing import Generic, TypeVar

from tokentrail.watch.interface import Arrival, Lost

MOST = 64 << 20
"""Bytes that wait in a buffer; another object, of any size, is added only while there are fewer."""
_AGAIN, _AGAIN_AT_MOST = 60.0, 3600.0
"""Seconds for which a file or object is put off first, and at most; each further time doubles them."""
_NAMED = 1_000
"""Objects that could not be read, of which the last so many are kept until somebody asks."""
_REMEMBERED = 10_000
"""Files or objects that may be put off at the same time."""
Thing = TypeVar("Thing")


class Buffer:
    """A bounded queue between the threads that fetch and the one that reads."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._waiting: deque[Arrival] = deque()
        self._size = 0
        self._closed = False
        self._changed = Condition()

    def put(self, arrival: Arrival) -> bool:
        """Add an arrival, waiting for room; `False` if nobody will take it any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._size < self._most)
            if self._closed:
                return False
            self._waiting.append(arrival)
            self._size += arrival.object.size
            self._changed.notify_all()
            return True

    def room(self, wait: float) -> bool:
        """Wait up to so many seconds for room; whether there is some, or the buffer was closed."""
        with self._changed:
            return self._changed.wait_for(lambda: self._closed or self._size < self._most, wait)

    def take(self, most: int, wait: float) -> Sequence[Arrival]:
        """Take about `most` bytes of what waits, at least one object; waits up to `wait` seconds for the first."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or bool(self._waiting), wait)
            taken: list[Arrival] = []
            size = 0
            while self._waiting and (not taken or size + self._waiting[0].object.size <= most):
                taken.append(self._waiting.popleft())
                size += taken[-1].object.size
            self._size -= size
            self._changed.notify_all()
            return taken

    def held(self) -> tuple[int, float | None]:
        """How many wait, and when the oldest of them arrived."""
        with self._changed:
            return len(self._waiting), min((one.at for one in self._waiting), default=None)

    def close(self) -> None:
        """End all waiting: nothing is added or waits any more."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._size = 0
            self._changed.notify_all()


class Arrived:
    """The part that is common to feeds that fetch in threads: their buffer, what was lost, and a thread's failure."""

    def __init__(self) -> None:
        self._buffer = Buffer()
        self._lock = Lock()
        self._lost: deque[Lost] = deque(maxlen=_NAMED)
        self._failure: BaseException | None = None

    def take(self, most: int, wait: float) -> Sequence[Arrival]:
        """Take what has arrived, as in `Feed`; raises whatever ended a thread of the feed."""
        if self._failure is not None:
            raise self._failure
        return self._buffer.take(most, wait)

    def lost(self) -> Sequence[Lost]:
        """What could not be read since the last call of this."""
        with self._lock:
            found = list(self._lost)
            self._lost.clear()
        return found


class Backoff:
    """How long to wait between tries that fail: from half a second to a minute, doubling."""

    def __init__(self) -> None:
        self._next = 0.5

    def failed(self) -> float:
        """Seconds to wait after one more failure."""
        wait, self._next = self._next, min(self._next * 2, 60.0)
        return wait

    def worked(self) -> None:
        """Note a success: the next failure waits half a second again."""
        self._next = 0.5


class RetryQueue(Generic[Thing]):
    """
    Files or objects that are put off, each time for longer.

    One that was refused may be allowed by then, and one that was still growing may be complete.
    """

    def __init__(self) -> None:
        self._tries: dict[str, tuple[Thing, float, float]] = {}

    def put_off(self, name: str, thing: Thing) -> bool:
        """Put something off, once more if it is already; `False` if too many others are."""
        wait = self._tries[name][1] * 2 if name in self._tries else _AGAIN
        if name not in self._tries and len(self._tries) >= _REMEMBERED:
            return False
        wait = min(wait, _AGAIN_AT_MOST)
        self._tries[name] = thing, wait, time.monotonic() + wait
        return True

    def over(self, name: str) -> None:
        """Forget that something was put off."""
        self._tries.pop(name, None)

    def due(self) -> list[Thing]:
        """What has been put off for long enough."""
        return [thing for thing, _, at in self._tries.values() if at <= time.monotonic()]

    def __contains__(self, name: str) -> bool:
        return name in self._tries
