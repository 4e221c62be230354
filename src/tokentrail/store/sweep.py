"""
Many raw records at once, judged where they are read: several processes, each evidence object once.

What judges is handed in and must pickle. It sees records as they were received, secrets and all, and nothing but its
answers comes back; whoever writes a judge keeps secrets out of them.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any

import numpy as np
import pyarrow as pa

from tokentrail.events.gunzip import DEFAULT_BOUND
from tokentrail.store.answering import Judge, Place, Wanted, judged
from tokentrail.store.folder import CaseFolder
from tokentrail.store.interface import StoredObject
from tokentrail.store.memory import without_collection
from tokentrail.store.workers import shared

_TASK = 20_000
"""Records that a task holds at least: starting on one costs something."""
_WORTH = 3
"""Tasks from which on a second process is worth starting."""


def sweep(
    folder: CaseFolder, wanted: Iterable[pa.Table], bits: int, judge: Judge, lost: Callable[[int], None]
) -> Iterator[tuple[Place, list[Any]]]:
    """
    Judge some records.

    Args:
        folder: The case.
        wanted: Rows with segment, object, ordinal, in this order, and masks m0, m1... of so many bits each; some at a
            time, those of an object together.
        bits: How many bits a mask has.
        judge: What judges.
        lost: Told how many records could not be read any more.
    """
    tasks = _tasks(folder, wanted, bits)
    first = list(islice(tasks, _WORTH))
    processes = (os.cpu_count() or 1) if len(first) == _WORTH else 1
    tasks = chain(first, tasks)
    del first  # no task stays for longer than it takes
    with without_collection():
        for answers in shared(partial(judged, judge), tasks, processes=processes, prepare=gc.disable):
            lost(answers.lost)
            yield from answers.found


def _tasks(folder: CaseFolder, wanted: Iterable[pa.Table], bits: int) -> Iterator[list[Wanted]]:
    task: list[Wanted] = []
    rows = 0
    for one in _objects(folder, wanted, bits):
        task.append(one)
        rows += len(one)
        if rows >= _TASK:
            yield task
            task, rows = [], 0
    if task:
        yield task


def _objects(folder: CaseFolder, wanted: Iterable[pa.Table], bits: int) -> Iterator[Wanted]:
    manifests = {int(one.segment, 16): one.objects for one in folder.snapshot().manifests}
    for table in wanted:
        if len(table):
            yield from _of_each(folder, manifests, table, bits)


def _of_each(
    folder: CaseFolder, manifests: Mapping[int, Sequence[StoredObject]], wanted: pa.Table, bits: int
) -> Iterator[Wanted]:
    segments, numbers = (wanted[name].to_numpy() for name in ("segment", "object"))
    edges = np.flatnonzero((np.diff(segments) != 0) | (np.diff(numbers) != 0)) + 1
    ordinals = wanted["ordinal"].to_numpy().astype(np.int32)
    masks = np.stack([wanted[name].to_numpy() for name in wanted.column_names[3:]], axis=1).astype(np.int64)
    starts = [0, *edges.tolist()]
    folder.at_hand(manifests[int(segments[one])][int(numbers[one])] for one in starts)
    for start, end in zip(starts, [*edges.tolist(), len(segments)], strict=True):
        segment, number = int(segments[start]), int(numbers[start])
        stored = manifests[segment][number]
        yield Wanted(
            segment,
            number,
            folder.locate(stored),
            stored.sha256,
            ordinals[start:end].tobytes(),
            masks[start:end].tobytes(),
            masks.shape[1],
            bits,
            stored.bound or DEFAULT_BOUND,
            not stored.carriers,
        )
