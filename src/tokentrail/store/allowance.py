"""How much memory DuckDB may take: for a while little, and more only for what can't do with that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from typing import TypeVar

T = TypeVar("T")


class Allowance:
    """
    Bytes that the tables and joins of one engine may take, whoever asks it from however many threads.

    What does not fit spills to files, but not all can: DuckDB pins what it works on, and some aggregates as a whole,
    and fails where that is more than the limit (DuckDB documentation, 'Tuning Workloads').
    """

    def __init__(self, allow: Callable[[int], None], most: int, lacking: type[Exception]) -> None:
        """
        Begin with all.

        Args:
            allow: Tells the engine.
            most: All that it may ever take.
            lacking: What `allow` raises if more is in use than that, and what is asked if it needs more.
        """
        self._allow, self._most, self._lacking = allow, most, lacking
        self._little = most
        self._needs: list[int] = []
        """What those take at most that need more than little, just now."""
        self._lock = Lock()
        self.settle()

    def settle(self) -> None:
        """Tell the engine what it may take now, which has it give back what it let go of."""
        with self._lock, suppress(self._lacking):  # whoever holds more settles at the end
            self._allow(max((self._little, *self._needs)))

    @contextmanager
    def sparing(self, little: int) -> Iterator[None]:
        """Allow little, for a while."""
        self._little = min(little, self._most)
        self.settle()
        try:
            yield
        finally:
            self._little = self._most
            self.settle()

    def for_all(self, ask: Callable[[], T]) -> T:
        """What is asked at once, if need be again with twice as much, so that it must change nothing if it fails."""
        allowed = self._little
        while True:
            try:
                if allowed == self._little:
                    return ask()
                with self.more(allowed):
                    return ask()
            except self._lacking:
                if allowed >= self._most:
                    raise
                allowed = min(2 * allowed, self._most)

    @contextmanager
    def more(self, needed: int | None = None) -> Iterator[None]:
        """Allow more for as long as something needs it: all that there is, by default."""
        if self._little == self._most:
            yield
            return
        needed = needed or self._most
        self._needs.append(needed)
        self.settle()
        try:
            yield
        finally:
            self._needs.remove(needed)
            self.settle()
