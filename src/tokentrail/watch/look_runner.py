"""
Run looks: in a process of their own, so that evidence is read meanwhile, or in this one, while nothing else happens.

Judging takes most of a watch's time, and reading new evidence most of the rest: on two processors, neither waits for
the other.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

from tokentrail.errors import CaseError
from tokentrail.store.workers import Worker, WorkerLost
from tokentrail.watch.looking import Looker, LookRequest, LookResult, Tidy


class InlineRunner:
    """Runs a look at once, in this process."""

    def __init__(self, looker: Looker) -> None:
        self._looker = looker

    def ask(self, asked: LookRequest) -> Future[LookResult]:
        """Look."""
        answer = Future[LookResult]()
        answer.set_result(self._looker(asked))
        self._looker(Tidy())
        return answer

    def end(self) -> None:
        """Let go of what is held."""
        self._looker.close()


class ProcessRunner:
    """Runs looks in a process of their own, which starts at once and ends with this one, whatever ends this one."""

    def __init__(self, looker: Looker) -> None:
        self._worker: Worker[LookRequest | Tidy, LookResult] = Worker(looker, _prepare)
        self._pool = ThreadPoolExecutor(1, "look")
        self._untidied = False

    @property
    def process(self) -> int:
        """The number of the process."""
        return self._worker.process

    def ask(self, asked: LookRequest) -> Future[LookResult]:
        """
        Request a look, after those that were requested before.

        Raises:
            CaseError: from the future: the process is gone.
        """
        return self._pool.submit(self._answer, self._worker.packed(asked, Tidy()))

    def _answer(self, packed: bytes) -> LookResult:
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
    """Turn the loss of the process into an error in words."""
    try:
        yield
    except WorkerLost as lost:
        raise CaseError(
            "the process that judges was ended from outside, perhaps for want of memory (--hot lets it hold less). "
            "Start the watch again: nothing is lost, and nothing told twice."
        ) from lost


def _prepare() -> None:
    """
    Set up a process that does nothing but looks.

    It ignores SIGTERM, which a service manager sends to all processes of a service: the watch ends it.
    """
    gc.disable()  # `MemoryReturner` searches for cycles when a look has been told
    gc.freeze()  # what is imported will stay: so that collections need not look through it
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
