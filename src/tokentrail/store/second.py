"""A second connection of an engine, on a thread of its own: for a query beside what is asked meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack
from typing import TypeVar

_Answer = TypeVar("_Answer")


class Second:
    """Asks one query after another; opened when first needed."""

    def __init__(self, apart: Callable[[], AbstractContextManager[None]]) -> None:
        """Take what gives a thread a connection of its own (`Engine.apart`)."""
        self._apart = apart
        self._own = ExitStack()
        self._pool: ThreadPoolExecutor | None = None

    def ask(self, way: Callable[[str], _Answer], sql: str) -> Callable[[], _Answer]:
        """
        Begin to ask a query in some way.

        Returns:
            What waits for the answer, and raises what asking did.
        """
        if self._pool is None:
            pool = ThreadPoolExecutor(1, "second")
            try:
                pool.submit(self._own.enter_context, self._apart()).result()
            except BaseException:
                pool.shutdown()
                raise
            self._pool = pool
        return self._pool.submit(way, sql).result

    def close(self) -> None:
        """Wait for what is asked, and let go of the connection."""
        if self._pool is not None:
            self._pool.submit(self._own.close)
            self._pool.shutdown()
            self._pool = None
