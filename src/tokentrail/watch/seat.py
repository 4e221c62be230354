"""
Where looks are taken: in a process of their own, so that evidence is taken in meanwhile, or here, while nothing is.

Judging is the most that a watch does, and taking in what comes is the next: with two processors neither waits for the
other.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from tokentrail.errors import CaseError
from tokentrail.store.workers import Worker, WorkerLost
from tokentrail.watch.looking import Asked, Looker, Tidy, Told


class Here:
    """Looks are taken at once, by whoever asks."""

    def __init__(self, looker: Looker) -> None:
        self._looker = looker

    def ask(self, asked: Asked) -> Future[Told]:
        """Look."""
        answer = Future[Told]()
        answer.set_result(self._looker(asked))
        self._looker(Tidy())
        return answer

    def end(self) -> None:
        """Let go of what is held."""
        self._looker.close()


class Beside:
    """Looks are taken in a process of their own, which starts at once, and ends with this one whatever ends it."""

    def __init__(self, looker: Looker) -> None:
        self._worker: Worker[Asked | Tidy, Told] = Worker(looker, _prepare)
        self._pool = ThreadPoolExecutor(1, "look")
        self._untidied = False

    @property
    def process(self) -> int:
        """The number of the process."""
        return self._worker.process

    def ask(self, asked: Asked) -> Future[Told]:
        """
        Have a look taken, after those that were asked for before; its answer comes when it is done.

        Raises:
            CaseError: from the answer: whoever looks is gone.
        """
        return self._pool.submit(self._answer, self._worker.packed(asked, Tidy()))

    def _answer(self, packed: bytes) -> Told:
        with _explained():
            self._worker.hand_over(packed)
            if self._untidied:
                self._worker.receive()
            self._untidied = True
            return self._worker.receive()

    def end(self) -> None:
        """End the process: nothing that it does is half done."""
        self._worker.end()
        self._pool.shutdown()


@contextmanager
def _explained() -> Iterator[None]:
    """Say in words that the process is gone."""
    try:
        yield
    except WorkerLost as lost:
        raise CaseError(
            "the process that judges was ended from outside, perhaps for want of memory (--hot lets it hold less). "
            "Start the watch again: nothing is lost, and nothing told twice."
        ) from lost


def _prepare() -> None:
    """
    Make a process that does nothing but this work fit for it.

    It leaves it to the watch when to end: a service manager signals all processes of a service.
    """
    gc.disable()  # `MemoryReturner` searches for cycles when a look has been told
    gc.freeze()  # what is imported will stay: nobody need look through it
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
