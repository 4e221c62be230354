"""Read the evidence objects of a task: what lies near one by one, what lies far several at a time."""

from __future__ import annotations

import errno
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from functools import cache, partial
from itertools import groupby

from tokentrail.store.interface import EvidenceObject

AHEAD = 16
"""How many distant objects are read at once by one process."""

Read = tuple[EvidenceObject, bytes | OSError]


def read_all(objects: Sequence[EvidenceObject], largest: int) -> Iterator[Read]:
    """
    Each object with its bytes, or with the reason why they can't be had; in order.

    Args:
        objects: What to read.
        largest: Bytes that one may have: a file of a terabyte, all of it a hole, takes nobody any room to make.
    """
    read = partial(_read, largest)
    for distant, some in groupby(objects, key=lambda one: one.distant):
        if distant:
            yield from _several(read, some)
        else:
            yield from map(read, some)


def _several(read: Callable[[EvidenceObject], Read], objects: Iterable[EvidenceObject]) -> Iterator[Read]:
    begun = deque(_pool(os.getpid()).submit(read, one) for one in objects)
    try:
        while begun:
            yield begun.popleft().result()
    finally:
        for one in begun:
            one.cancel()
        wait(begun)  # what is under way ends before its access is closed


@cache
def _pool(process: int) -> ThreadPoolExecutor:
    """The threads of a process, for all its tasks: to start sixteen takes as long as to read some megabytes."""
    return ThreadPoolExecutor(AHEAD, thread_name_prefix=f"reading-{process}")


def _read(largest: int, one: EvidenceObject) -> Read:
    if one.size > largest:
        return one, OSError(errno.EFBIG, f"larger than {largest:,} bytes; raise it with --max-expansion")
    try:
        return one, one.read()
    except OSError as error:
        return one, error
    except MemoryError:
        return one, OSError(errno.ENOMEM, "larger than the memory that is left")
