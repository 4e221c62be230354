"""
Worker processes: this program started again, with tasks on its standard input and outcomes on its standard output.

A caller's script needs no `__main__` guard, since nothing of it runs in a worker; a worker imports no more than
its tasks need; one that is killed ends the conversation, which is an error and never a wait. If the caller is
killed, its workers see the end of their input, and go after the task they are at.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from itertools import islice
from queue import SimpleQueue
from threading import Lock, Thread
from traceback import format_exc
from typing import Any, Generic, TypeAlias, TypeVar

Task = TypeVar("Task")
Outcome = TypeVar("Outcome")

_PROGRAM = """
import signal
signal.signal(signal.SIGINT, signal.SIG_IGN)  # the caller decides what an interrupt means
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from tokentrail.store.without_pandas import hide_pandas
hide_pandas()
from tokentrail.store.workers import serve
serve()
"""
_SOON = 0.5
"""Seconds between two looks whether the parent still is."""
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}
"""NumPy's algebra is not used here, and its threads spin for a tenth of a second when they start."""
_TUNABLES = "GLIBC_TUNABLES"
_PIECES = "glibc.malloc.tcache_count"
_KEPT = f"{_PIECES}=1000"
"""How many free pieces of memory of each small size a thread keeps at hand, where the C library is glibc, which keeps
few by itself (its manual, 'Memory Allocation Tunables'): to plan and run a query over few records takes DuckDB
thousands, and a seventh less time so."""
_COUNTS_FAR = (2, 30)
"""The first glibc that counts them further than to 127 (its NEWS, bug 24531)."""


def started(program: str) -> list[str]:
    """
    The command that starts a process of ours, which finds modules where this one does.

    Python would look for them in the current folder first (`-P` forbids it: Python Setup and Usage, 'Command line and
    environment'), which may hold evidence: `pickle` asks for a module `org`, and an attacker's `org.py` would be run.
    """
    return [sys.executable, "-P", "-c", program]


def environment() -> dict[str, str]:
    """What a process of ours is started with; what the user has tuned of the C library stays so."""
    theirs = os.environ.get(_TUNABLES, "")
    if _PIECES in theirs or not _counts_far():
        return os.environ | _ONE_THREAD
    return os.environ | _ONE_THREAD | {_TUNABLES: ":".join(filter(None, (theirs, _KEPT)))}


def _counts_far() -> bool:
    try:
        name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
        return name == "glibc" and tuple(map(int, version.split(".")[:2])) >= _COUNTS_FAR
    except (AttributeError, ValueError, OSError):
        return False  # no such system, or no such library: musl knows the name alone


class WorkerLost(Exception):
    """A worker process ended in the middle of its work."""


class Worker(Generic[Task, Outcome]):
    """
    One worker process, as its parent sees it.

    Args:
        work: What to do with each task, in the order in which they come; it pickles, and what it remembers from one
            to the next stays in that process.
        prepare: What the process does first.
    """

    def __init__(self, work: Callable[[Task], Outcome], prepare: Callable[[], None] | None = None) -> None:
        self._process = subprocess.Popen(  # noqa: S603 - this very program
            started(_PROGRAM),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment(),
        )
        self._hello: tuple[Any, ...] = (sys.path, (work, prepare))

    @property
    def process(self) -> int:
        """The number of the process."""
        return self._process.pid

    def run(self, task: Task) -> Outcome:
        """
        Have a task done, and wait for it.

        Raises:
            WorkerLost: the process ended.
        """
        self.hand_over(self.packed(task))
        return self.receive()

    def packed(self, *tasks: Task) -> bytes:
        """Tasks as they are handed over: packing keeps a processor busy, which handing over does not."""
        messages = (*self._hello, *tasks)
        self._hello = ()
        return b"".join(map(pickle.dumps, messages))

    def hand_over(self, packed: bytes) -> None:
        """
        Hand over tasks.

        Raises:
            WorkerLost: the process ended.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(packed)
            self._process.stdin.flush()
        except OSError as cause:
            raise WorkerLost from cause

    def receive(self) -> Outcome:
        """
        Wait for the outcome of a task that was handed over.

        Raises:
            WorkerLost: the process ended.
        """
        assert self._process.stdout is not None
        try:
            outcome, error = pickle.load(self._process.stdout)  # noqa: S301 - our own process wrote it
        except (EOFError, OSError, pickle.UnpicklingError) as cause:
            raise WorkerLost from cause
        if error is not None:
            raise error
        found: Outcome = outcome
        return found

    def end(self) -> None:
        """Kill the process: what it has published is whole, and what it has not is nothing."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                pipe.close()  # type: ignore[union-attr]  # both were asked for


_Arrivals: TypeAlias = SimpleQueue[tuple[Any, BaseException | None]]


def shared(
    work: Callable[[Task], Outcome],
    tasks: Iterable[Task],
    *,
    processes: int,
    prepare: Callable[[], None],
) -> Iterator[Outcome]:
    """
    Do all tasks in `processes` processes, this one among them; yields outcomes as they come.

    Args:
        work: What to do with a task; it, the tasks and the outcomes must pickle.
        tasks: What there is to do; of an iterator each is asked for, by any thread, when somebody is free, and none
            stays in memory for longer than it takes.
        processes: How many work. This one begins at once, while the others are still starting.
        prepare: What each other process does first.

    Raises:
        WorkerLost: a worker process ended in the middle of its work.
    """
    left, arrivals = _Left(tasks), _Arrivals()
    *theirs, own = [first for _ in range(processes) if (first := left.next())] or [[]]
    done = 0
    with ExitStack() as stack:
        for first in theirs:
            worker = Worker(work, prepare)
            leader = Thread(target=_lead, args=(worker, first, left, arrivals), daemon=True)
            leader.start()
            stack.callback(leader.join)
            stack.callback(worker.end)
        while own:
            yield work(own.pop())
            done += 1
            while not arrivals.empty():
                yield _arrived(arrivals)
                done += 1
            own = left.next()
        while done < left.taken:
            yield _arrived(arrivals)
            done += 1


class _Left(Generic[Task]):
    """The tasks that nobody has taken yet; whoever asks first has the next."""

    def __init__(self, tasks: Iterable[Task]) -> None:
        self._tasks = iter(tasks)
        self._asking = Lock()
        self.taken = 0

    def next(self) -> list[Task]:
        """The next task, if any."""
        with self._asking:
            try:
                task = list(islice(self._tasks, 1))
            except BaseException:
                self.taken += 1  # the failure comes instead of an outcome
                raise
            self.taken += len(task)  # never more than will come: it is looked at without the lock
            return task


def _lead(worker: Worker[Task, Outcome], task: list[Task], left: _Left[Task], arrivals: _Arrivals) -> None:
    """Hand one task after another to a worker."""
    try:
        while task:
            arrivals.put((worker.run(task[0]), None))
            task = left.next()
    except BaseException as error:  # noqa: BLE001 - handed to the thread that waits for the outcome
        arrivals.put((None, error))


def _arrived(arrivals: _Arrivals) -> Any:
    outcome, error = arrivals.get()
    if error is not None:
        raise error
    return outcome


def serve() -> None:
    """Do tasks from standard input until it ends, or the parent does: what a worker process does all its life."""
    Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    asked = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nobody else may write into the conversation
    work, prepare = pickle.load(asked)  # noqa: S301 - our own parent wrote it
    if prepare is not None:
        prepare()
    while True:
        try:
            task = pickle.load(asked)  # noqa: S301 - the same
        except EOFError:
            return
        outcome = _done(work, task)
        try:
            pickle.dump(outcome, answers)
            answers.flush()
        except BrokenPipeError:  # the caller was killed
            os._exit(0)  # at an ordinary exit, Python would write what is left, and complain


def _end_with(parent: int) -> None:
    """End soon after the parent, whatever ended that, and in the middle of a task: nobody is left to be answered."""
    while os.getppid() == parent:
        time.sleep(_SOON)
    os._exit(0)


def _done(work: Callable[[Any], Any], task: Any) -> tuple[Any, BaseException | None]:
    try:
        return work(task), None
    except Exception as error:  # noqa: BLE001 - told to the caller, who raises it
        error.add_note(f"in a worker process:\n{format_exc()}")
        return None, error
