"""
Tasks of an ingest: some evidence objects, which whoever does the task reads into one segment and publishes.

A process on this machine does so, or an executor of a cluster: a task, what is done with it and what became of it
are the same.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import cache, partial
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple, Protocol, TypeAlias

import msgspec
import pyarrow as pa
from msgspec.structs import replace

from tokentrail.events.gunzip import DEFAULT_BOUND, UNRECORDED_BOUND
from tokentrail.events.kernel import Segment
from tokentrail.events.values import hide_secrets
from tokentrail.store.folder import CaseFolder, new_segment_number, segment_name
from tokentrail.store.freed_memory import without_collection
from tokentrail.store.interface import EvidenceObject, Manifest, StoredObject
from tokentrail.store.pack import Pack
from tokentrail.store.segment import write_segment

TASK_BYTES = 6 << 20
"""Stored bytes of evidence that make one segment: large enough to compress well, small enough to balance."""
TASK_OBJECTS = 4_000
AHEAD = 16
"""How many distant objects are read at once by one process."""
_LAST = 4
"""Parts that each of the last tasks makes."""


_Received: TypeAlias = tuple[EvidenceObject, bytes | OSError]


class Outcome(msgspec.Struct, frozen=True, gc=False):
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
    """Leave the evidence where it is, if it stays there, instead of keeping a copy."""
    bound: int = DEFAULT_BOUND
    """Bytes that one object may expand to."""


@dataclass(slots=True)
class Task:
    """Some objects, and their bytes as stored."""

    objects: list[EvidenceObject] = field(default_factory=list)
    size: int = 0


class Counted(Protocol):
    """What came of an object when it was read."""

    @property
    def records(self) -> int:
        """Records in it."""

    @property
    def rejected(self) -> int:
        """Pieces that are no record."""


def apart(
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
            held.append(
                Outcome(
                    hide_secrets(one.name), before.sha256, before.size, before.records, before.rejected, True
                )
            )
    return held, new


def work(
    path: Path, known: dict[str, StoredObject], options: Options, task: Task
) -> tuple[int, list[Outcome]]:
    """Read a task's objects."""
    with without_collection():
        return task.size, read_task(path, task.objects, known, options).outcomes


def tasks(objects: Iterable[EvidenceObject], size: int = TASK_BYTES) -> Iterator[Task]:
    """Objects as tasks of about so many bytes, in their order."""
    task = Task()
    for one in objects:
        task.objects.append(one)
        task.size += one.size
        if task.size >= size or len(task.objects) >= TASK_OBJECTS:
            yield task
            task = Task()
    if task.objects:
        yield task


def evened(listed: list[Task], processes: int) -> list[Task]:
    """The same with smaller ones at the end, so that no process waits long for another one's last."""
    if processes == 1:
        return listed
    last = [one for task in listed[-processes:] for one in task.objects]
    return [*listed[:-processes], *tasks(last, TASK_BYTES // _LAST)]


class Read(NamedTuple):
    """What reading some objects came to."""

    outcomes: list[Outcome]
    """What became of each."""
    new: Manifest | None = None
    """What is new, if anything."""
    tables: Mapping[str, pa.Table] = MappingProxyType({})
    """Its columns, by table."""


def read_task(
    path: Path,
    objects: list[EvidenceObject],
    known: Mapping[str, Counted],
    options: Options,
) -> Read:
    """Read some objects into one segment, and publish it."""
    folder = CaseFolder.open(path, create=False)
    segment, pack = Segment(new_segment_number(), bound=options.bound), Pack()
    outcomes: list[Outcome] = []
    stored: dict[str, StoredObject] = {}
    places: dict[str, int] = {}
    for one, data in read_all(objects, max(options.bound, UNRECORDED_BOUND)):
        name = hide_secrets(one.name)
        if isinstance(data, OSError):
            outcomes.append(Outcome(name, None, one.size, 0, 0, False, f"can't be read: {data.strerror}"))
            continue
        digest = hashlib.sha256(data).hexdigest()
        before = known.get(digest) or stored.get(digest)
        if before is not None:
            outcomes.append(Outcome(name, digest, len(data), before.records, before.rejected, True))
            continue
        place = _without_secret(one.place) if options.reference else None
        if place is None:
            if pack.fits(data):
                places[digest] = pack.add(digest, data)
            else:
                folder.keep(digest, data)
        summary = segment.add(data)
        stored[digest] = StoredObject(
            sha256=digest,
            name=name,
            size=len(data),
            records=summary.records,
            rejected=summary.rejected,
            reference=place,
            source=_without_secret(one.identity),
            carriers=tuple(sorted(summary.carriers)),
            bound=options.bound if options.bound != UNRECORDED_BOUND else None,
        )
        outcomes.append(Outcome(name, digest, len(data), summary.records, summary.rejected, False))
    if not stored:
        return Read(outcomes)
    made, tables = segment_name(segment.number), segment.tables()
    write_segment(tables, folder.segment(made))
    if len(pack) == 1:
        folder.keep(*pack.only())
    elif pack:
        folder.keep_pack(made, pack)
        for digest, at in places.items():
            stored[digest] = replace(stored[digest], pack=made, at=at)
    manifest = Manifest(segment=made, objects=tuple(stored.values()))
    folder.publish(manifest)
    return Read(outcomes, manifest, tables)


def _without_secret(text: str | None) -> str | None:
    """A path or key by which an object could be found again; none where it holds a secret, and the bytes must do."""
    return text if text is None or hide_secrets(text) == text else None


def read_all(objects: Sequence[EvidenceObject], largest: int) -> Iterator[_Received]:
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


def _several(
    read: Callable[[EvidenceObject], _Received], objects: Iterable[EvidenceObject]
) -> Iterator[_Received]:
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


def _read(largest: int, one: EvidenceObject) -> _Received:
    if one.size > largest:
        return one, OSError(errno.EFBIG, f"larger than {largest:,} bytes; raise it with --max-expansion")
    try:
        return one, one.read()
    except OSError as error:
        return one, error
    except MemoryError:
        return one, OSError(errno.ENOMEM, "larger than the memory that is left")
