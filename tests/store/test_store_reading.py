"""Objects that lie far are read several at a time, by threads that stay."""

from __future__ import annotations

import errno
import threading
from dataclasses import dataclass, field

from tokentrail.store.tasks import AHEAD, read_all


@dataclass(frozen=True)
class Far:
    """An object that a thread of those that read brings."""

    name: str
    by: list[str]
    gate: threading.Event | None = None
    size: int = 1
    identity: None = field(default=None)
    place: None = field(default=None)
    distant: bool = True

    def read(self) -> bytes:
        """Its name."""
        if self.gate is not None:
            assert self.gate.wait(10)
        self.by.append(threading.current_thread().name)
        if self.name == "gone":
            raise OSError(errno.ENOENT, "no such object")
        return self.name.encode()


def test_threads_stay_from_one_task_to_the_next() -> None:
    """What they bring comes in order, failures in place; no task starts more threads than there may be."""
    by: list[str] = []
    tasks = [[Far(f"{task} {number}", by) for number in range(40)] + [Far("gone", by)] for task in range(5)]

    for task in tasks:
        found = [data for _, data in read_all(task, 10)]
        assert found[:-1] == [one.name.encode() for one in task[:-1]]
        assert isinstance(found[-1], OSError)
    assert len(by) == 5 * 41
    assert len(set(by)) <= AHEAD


def test_what_is_not_begun_is_not_read_once_nobody_wants_it() -> None:
    """Whoever stops in the middle of a task waits for the reads that are under way, and leaves none behind."""
    by: list[str] = []
    gate = threading.Event()
    first, *rest = [Far("first", by), *(Far(str(number), by, gate) for number in range(200))]
    reading = read_all([first, *rest], 10)
    assert next(reading)[1] == b"first"
    threading.Timer(0.2, gate.set).start()
    reading.close()  # type: ignore[attr-defined]  # it is a generator

    assert gate.is_set()  # those under way have ended
    assert 1 < len(by) <= 1 + AHEAD
