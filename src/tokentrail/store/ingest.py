"""
From evidence objects to visible segments, in as many processes as there are cores.

Each process reads objects, keeps their bytes, runs the kernel and publishes its own segment; killed anywhere, it
leaves either a visible segment or nothing. An object that a visible segment holds is not read into columns again.
"""

from __future__ import annotations

import gc
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa

from tokentrail.errors import SourceError
from tokentrail.events.gunzip import DEFAULT_BOUND
from tokentrail.events.kernel import Segment
from tokentrail.store.folder import CaseFolder, new_segment_number, segment_name
from tokentrail.store.interface import EvidenceObject, Manifest, StoredObject
from tokentrail.store.reading import read_all
from tokentrail.store.segment import write_segment
from tokentrail.store.workers import WorkerLost, shared

TASK_BYTES = 6 << 20
"""Stored bytes of evidence that make one segment: large enough to compress well, small enough to balance."""
TASK_OBJECTS = 2_000
IN_PROCESS_BYTES = 12 << 20
"""Below this, starting workers costs more than they bring."""


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
    held, new = _apart(objects, known.values())
    yield from held
    tasks = list(_tasks(new))
    total = sum(task.size for task in tasks)
    work = partial(_work, folder.path, known, options)
    processes = (workers or os.cpu_count() or 1) if total >= IN_PROCESS_BYTES else 1
    done = 0
    try:
        for size, outcomes in shared(work, tasks, processes=processes, prepare=_prepare):
            done += size
            if progress:
                progress(done, total)
            yield from outcomes
    except WorkerLost as error:
        raise SourceError(
            "a worker process was killed (out of memory?). What was read is kept; run the same ingest again"
            " to go on, with --workers 1 if memory is short."
        ) from error


def _apart(
    objects: Iterable[EvidenceObject], known: Iterable[StoredObject]
) -> tuple[list[Outcome], list[EvidenceObject]]:
    """Part what the case is sure to hold, since it is known by where it lies, from what must be read."""
    by_source = {one.source: one for one in known if one.source is not None}
    held: list[Outcome] = []
    new: list[EvidenceObject] = []
    for one in objects:
        before = by_source.get(one.identity) if one.identity is not None else None
        if before is None:
            new.append(one)
        else:
            held.append(Outcome(one.name, before.sha256, before.size, before.records, before.rejected, True))
    return held, new


def _prepare() -> None:
    """Make a process that does nothing but this work fit for it."""
    pa.set_memory_pool(pa.system_memory_pool())  # gives memory back between segments: 50 MB a worker
    gc.freeze()  # what is imported will stay: nobody need look through it


def _work(
    path: Path, known: dict[str, StoredObject], options: Options, task: _Task
) -> tuple[int, list[Outcome]]:
    """Read a task's objects, undisturbed by the collector: it would walk millions of records that hold no cycles."""
    collects = gc.isenabled()
    gc.disable()
    try:
        return task.size, read_task(path, task.objects, known, options)
    finally:
        if collects:
            gc.enable()


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
    path: Path,
    objects: list[EvidenceObject],
    known: Mapping[str, StoredObject],
    options: Options,
    *,
    number: int | None = None,
) -> list[Outcome]:
    """Read some objects into one segment, of that number if one is given, and publish it."""
    folder = CaseFolder.open(path, create=False)
    segment = Segment(new_segment_number() if number is None else number, bound=options.bound)
    outcomes: list[Outcome] = []
    stored: dict[str, StoredObject] = {}
    for one, data in read_all(objects):
        if isinstance(data, OSError):
            outcomes.append(Outcome(one.name, None, one.size, 0, 0, False, f"can't be read: {data.strerror}"))
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
            source=one.identity,
            carriers=sorted(summary.carriers),
            bound=options.bound if options.bound != DEFAULT_BOUND else None,
        )
        outcomes.append(Outcome(one.name, digest, len(data), summary.records, summary.rejected, False))
    if stored:
        name = segment_name(segment.number)
        write_segment(segment.tables(), folder.segment(name))
        folder.publish(Manifest(segment=name, objects=tuple(stored.values())))
    return outcomes
