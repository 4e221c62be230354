"""Read the evidence objects of a task: what lies near one by one, what lies far several at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from tokentrail.store.interface import EvidenceObject

AHEAD = 16
"""How many distant objects are read at once by one process."""

Read = tuple[EvidenceObject, bytes | OSError]


def read_all(objects: Sequence[EvidenceObject]) -> Iterator[Read]:
    """Each object with its bytes, or with the reason why they can't be had; in order."""
    for distant, some in groupby(objects, key=lambda one: one.distant):
        if distant:
            yield from _several(some)
        else:
            yield from map(_read, some)


def _several(objects: Iterable[EvidenceObject]) -> Iterator[Read]:
    pool = ThreadPoolExecutor(AHEAD)
    try:
        yield from pool.map(_read, objects)
    finally:
        pool.shutdown(cancel_futures=True)


def _read(one: EvidenceObject) -> Read:
    try:
        return one, one.read()
    except OSError as error:
        return one, error
