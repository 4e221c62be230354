"""
From evidence objects to visible segments, in as many processes as there are cores.

Each process reads objects, keeps their bytes, runs the kernel and publishes its own segment; killed anywhere, it
leaves either a visible segment or nothing. An object that a visible segment holds is not read into columns again.
"""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterable, Iterator
from functools import partial

import pyarrow as pa

from tokentrail.errors import SourceError
from tokentrail.store.folder import CaseFolder
from tokentrail.store.interface import EvidenceObject
from tokentrail.store.tasks import Options, Outcome, apart, evened, tasks, work
from tokentrail.store.workers import WorkerLost, shared

IN_PROCESS_BYTES = 12 << 20
"""Below this, starting workers costs more than they bring."""


def ingest(
    folder: CaseFolder,
    objects: Iterable[EvidenceObject],
    *,
    options: Options,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[Outcome]:
    """Read objects into the case; yields what became of each as its segment becomes visible."""
    known = folder.snapshot().objects()
    held, new = apart(objects, known.values())
    yield from held
    listed = list(tasks(new))
    total = sum(task.size for task in listed)
    processes = (workers or os.cpu_count() or 1) if total >= IN_PROCESS_BYTES else 1
    each = partial(work, folder.path, known, options)
    done = 0
    try:
        for size, outcomes in shared(
            each, evened(listed, processes), processes=processes, prepare=prepare_worker
        ):
            done += size
            if progress:
                progress(done, total)
            yield from outcomes
    except WorkerLost as error:
        raise SourceError(
            "a worker process was killed (out of memory?). What was read is kept; run the same ingest again"
            " to go on, with --workers 1 if memory is short."
        ) from error


def prepare_worker() -> None:
    """Make a process that does nothing but this work fit for it."""
    pa.set_memory_pool(pa.system_memory_pool())  # gives memory back between segments: 50 MB a worker
    gc.freeze()  # what is imported will stay: nobody need look through it
