"""
From evidence objects to visible segments, in as many processes as there are cores.

Each worker reads objects, keeps their bytes, runs the kernel and publishes its own segment; killed anywhere, it
leaves either a visible segment or nothing. An object that a visible segment holds is not read into columns again.
"""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from tokentrail.errors import SourceError
from tokentrail.events.gunzip import DEFAULT_BOUND
from tokentrail.events.kernel import Segment
from tokentrail.store.folder import CaseFolder, new_segment_number, segment_name
from tokentrail.store.interface import EvidenceObject, Manifest, StoredObject
from tokentrail.store.segment import write_segment

TASK_BYTES = 6 << 20
"""Stored bytes of evidence that make one segment: large enough to compress well, small enough to balance."""
TASK_OBJECTS = 2_000
IN_PROCESS_BYTES = 4 << 20
"""Below this, starting workers costs more than it brings."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one object that was given."""

    name: str
    sha256: str | None
    size: int
    records: int
    rejected: int
    repeated: bool
    failed: str | None = None


@dataclass(frozen=True, slots=True)
class Options:
    """How to ingest."""

    reference: bool = False
    """Leave the evidence where it is instead of keeping a copy."""
    bound: int = DEFAULT_BOUND
    """Bytes that one object may expand to."""


@dataclass(slots=True)
class _Task:
    objects: list[EvidenceObject] = field(default_factory=list)
    size: int = 0


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
    tasks = list(_tasks(objects))
    total = sum(task.size for task in tasks)
    done = 0
    for size, outcomes in _run(folder.path, tasks, known, options, workers or os.cpu_count() or 1, total):
        done += size
        if progress:
            progress(done, total)
        yield from outcomes


def _run(
    path: Path, tasks: list[_Task], known: dict[str, StoredObject], options: Options, workers: int, total: int
) -> Iterator[tuple[int, list[Outcome]]]:
    if workers == 1 or len(tasks) <= 1 or total < IN_PROCESS_BYTES:
        for task in tasks:
            yield task.size, read_task(path, task.objects, known, options)
        return
    from loky import ProcessPoolExecutor, as_completed  # costs start-up time that a small ingest saves
    from loky.process_executor import BrokenProcessPool

    with ProcessPoolExecutor(max_workers=workers, initializer=_start_worker, initargs=(known,)) as pool:
        futures = {pool.submit(_in_worker, path, task.objects, options): task.size for task in tasks}
        try:
            for future in as_completed(futures):
                yield futures.pop(future), future.result()
        except BrokenProcessPool as error:
            raise SourceError(
                "a worker process was killed (out of memory?). What was read is kept; run the same ingest again"
                " to go on, with --workers 1 if memory is short."
            ) from error


_known: dict[str, StoredObject] = {}


def _start_worker(known: dict[str, StoredObject]) -> None:
    _known.update(known)
    pa.set_memory_pool(pa.system_memory_pool())  # gives memory back between segments: 50 MB a worker
    gc.disable()  # records hold no cycles; the collector would walk millions of them for nothing


def _in_worker(path: Path, objects: list[EvidenceObject], options: Options) -> list[Outcome]:
    outcomes = read_task(path, objects, _known, options)
    gc.collect()
    return outcomes


def _tasks(objects: Iterable[EvidenceObject]) -> Iterator[_Task]:
    task = _Task()
    for one in objects:
        task.objects.append(one)
        task.size += one.size
        if task.size >= TASK_BYTES or len(task.objects) >= TASK_OBJECTS:
            yield task
            task = _Task()
    if task.objects:
        yield task


def read_task(
    path: Path, objects: list[EvidenceObject], known: dict[str, StoredObject], options: Options
) -> list[Outcome]:
    """Read some objects into one segment and publish it."""
    folder = CaseFolder.open(path, create=False)
    segment = Segment(new_segment_number(), bound=options.bound)
    outcomes: list[Outcome] = []
    stored: dict[str, StoredObject] = {}
    for one in objects:
        try:
            data = one.read()
        except OSError as error:
            outcomes.append(
                Outcome(one.name, None, one.size, 0, 0, False, f"can't be read: {error.strerror}")
            )
            continue
        digest = hashlib.sha256(data).hexdigest()
        before = known.get(digest) or stored.get(digest)
        if before is not None:
            outcomes.append(Outcome(one.name, digest, len(data), before.records, before.rejected, True))
            continue
        if not options.reference:
            folder.keep(digest, data)
        summary = segment.add(data)
        stored[digest] = StoredObject(
            sha256=digest,
            name=one.name,
            size=len(data),
            records=summary.records,
            rejected=summary.rejected,
            reference=str(Path(one.name).resolve()) if options.reference else None,
        )
        outcomes.append(Outcome(one.name, digest, len(data), summary.records, summary.rejected, False))
    if stored:
        name = segment_name(segment.number)
        write_segment(segment.tables(), folder.segment(name))
        folder.publish(Manifest(segment=name, objects=tuple(stored.values())))
    return outcomes
