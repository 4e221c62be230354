"""A second connection of an engine, on a thread of its own: for a query beside what is asked meanwhile."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, TypeAlias, TypeVar

_Answer = TypeVar("_Answer")
_Asked: TypeAlias = "SimpleQueue[tuple[Future[Any], Callable[[str], Any], str] | None]"


class Second:
    """
    Asks one query after another.

    Its thread keeps nothing of the engine while nobody asks, and ends with it, closed or not. A pool would refuse to
    work for a thread that outlives the main one (Python Library Reference, 'concurrent.futures').
    """

    def __init__(self, apart: threading.local, cursor: Any) -> None:
        """Take a connection, and where a thread looks for its own."""
        self._asked: _Asked = SimpleQueue()
        self._thread = threading.Thread(
            target=_serve, args=(self._asked, apart, cursor), name="second", daemon=True
        )
        self._thread.start()
        weakref.finalize(self, self._asked.put, None)

    def ask(self, way: Callable[[str], _Answer], sql: str) -> Callable[[], _Answer]:
        """
        Begin to ask a query in some way.

        Returns:
            What waits for the answer, and raises what asking did; while it waits, it answers what has not begun.
        """
        found: Future[_Answer] = Future()
        self._asked.put((found, way, sql))

        def answer() -> _Answer:
            with suppress(Empty):
                while not found.done():
                    one = self._asked.get_nowait()
                    if one is None:  # its thread is to end, and must be told
                        self._asked.put(None)
                        break
                    _answer(*one)
            return found.result()

        return answer

    def close(self) -> None:
        """Wait for what is asked, and let go of the connection."""
        self._asked.put(None)
        self._thread.join()


def _serve(asked: _Asked, apart: threading.local, cursor: Any) -> None:
    apart.cursor = cursor
    with cursor:
        while (one := asked.get()) is not None:
            _answer(*one)
            del one


def _answer(found: Future[Any], way: Callable[[str], Any], sql: str) -> None:
    try:
        found.set_result(way(sql))
    except BaseException as error:
        if not found.done():
            found.set_exception(error)  # raised by whoever waits
        if not isinstance(error, Exception):  # it is meant for who answers, too: that may be the main thread
            raise
