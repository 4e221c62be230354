"""
Many raw records at once, judged where they are read: several processes, each evidence object once.

What judges is handed in and must pickle. It sees records as they were received, secrets and all, and nothing but its
answers comes back; whoever writes a judge keeps secrets out of them.
"""

from __future__ import annotations

import gc
import os
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from keyword import iskeyword
from typing import Any, Protocol

import msgspec
import numpy as np
import pyarrow as pa

from tokentrail.errors import CaseError
from tokentrail.events.gunzip import DEFAULT_BOUND, expand
from tokentrail.events.loose import FAILURES
from tokentrail.events.reading import every_piece
from tokentrail.events.split import trim
from tokentrail.store.folder import CaseFolder
from tokentrail.store.records import decoded, received
from tokentrail.store.workers import shared

Place = tuple[int, int, int]
_NULL = msgspec.Raw(b"null")
_decode = msgspec.json.Decoder().decode
_TASK = 40_000
"""Records that a task holds at least: starting on one costs something."""
_NATIVE = b'"eventVersion"'
_HEAD = 1 << 12
"""A record of CloudTrail's begins with its version: what lacks that near the beginning may be a transport's message."""
_WORTH = 60_000
"""Records from which on a second process is worth starting."""


class Judge(Protocol):
    """Judges records by the questions whose bits are set."""

    def members(self) -> frozenset[str] | None:
        """The members of a record that it looks at; `None` for the whole of it."""

    def __call__(self, mask: int, record: Any) -> list[Any]:
        """What a record answers."""


@dataclass(frozen=True, slots=True)
class _Object:
    """What is wanted of one evidence object."""

    segment: int
    number: int
    path: str
    sha256: str
    ordinals: Sequence[int]
    masks: Sequence[int]
    bound: int
    """How far it may expand."""
    native: bool
    """Whether all of its records stand in it as CloudTrail wrote them."""


@dataclass(frozen=True, slots=True)
class _Answers:
    """What the records of a task answered, and how many could not be read any more."""

    found: list[tuple[Place, list[Any]]]
    lost: int


def sweep(
    folder: CaseFolder, wanted: pa.Table, bits: int, judge: Judge, lost: Callable[[int], None]
) -> Iterator[tuple[Place, list[Any]]]:
    """
    Judge some records.

    Args:
        folder: The case.
        wanted: Rows with segment, object, ordinal, in this order, and masks m0, m1... of so many bits each.
        bits: How many bits a mask has.
        judge: What judges.
        lost: Told how many records could not be read any more.
    """
    tasks = list(_tasks(folder, wanted, bits))
    processes = (os.cpu_count() or 1) if wanted.num_rows >= _WORTH else 1
    with _without_collection():
        for answers in shared(partial(_judged, judge), tasks, processes=processes, prepare=gc.disable):
            lost(answers.lost)
            yield from answers.found


@contextmanager
def _without_collection() -> Iterator[None]:
    """Hold off the search for cycles, of which decoded records have none, while many of them come and go."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _tasks(folder: CaseFolder, wanted: pa.Table, bits: int) -> Iterator[list[_Object]]:
    segments, numbers = (wanted[name].to_numpy() for name in ("segment", "object"))
    if not len(segments):
        return
    manifests = {int(one.segment, 16): one.objects for one in folder.snapshot().manifests}
    edges = np.flatnonzero((np.diff(segments) != 0) | (np.diff(numbers) != 0)) + 1
    columns = [wanted[name] for name in wanted.column_names[3:]]
    task: list[_Object] = []
    rows = 0
    for start, end in zip([0, *edges.tolist()], [*edges.tolist(), len(segments)], strict=True):
        segment, number = int(segments[start]), int(numbers[start])
        stored = manifests[segment][number]
        path = stored.reference or str(folder.object_path(stored.sha256))
        ordinals: list[Any] = wanted["ordinal"].slice(start, end - start).to_pylist()
        parts = [column.slice(start, end - start).to_pylist() for column in columns]
        masks = [sum(part << (bits * at) for at, part in enumerate(row)) for row in zip(*parts, strict=True)]
        task.append(
            _Object(
                segment,
                number,
                path,
                stored.sha256,
                ordinals,
                masks,
                stored.bound or DEFAULT_BOUND,
                not stored.carriers,
            )
        )
        rows += end - start
        if rows >= _TASK:
            yield task
            task, rows = [], 0
    if task:
        yield task


def _judged(judge: Judge, task: list[_Object]) -> _Answers:
    found: list[tuple[Place, list[Any]]] = []
    lost = 0
    names = judge.members()
    if names is not None and not all(name.isidentifier() and not iskeyword(name) for name in names):
        names = None
    for one in task:
        try:
            data = received(one.path, one.sha256)
        except CaseError:
            lost += len(one.ordinals)
            continue
        records = _wanted(data, one, names)
        judged = 0
        for ordinal, mask, record in zip(one.ordinals, one.masks, records, strict=False):
            judged += 1
            answers = judge(mask, record)
            if answers:
                found.append(((one.segment, one.number, ordinal), answers))
        lost += len(one.ordinals) - judged
    return _Answers(found, lost)


def _wanted(data: bytes, one: _Object, names: frozenset[str] | None) -> Iterator[Any]:
    """Some records of an object, in order, as far as it goes; of a native file only what is looked at is decoded."""
    ordinals = one.ordinals
    if names is not None and one.native:
        expanded = trim(expand(data, bound=one.bound).data)
        listed = None
        if _NATIVE in expanded[:_HEAD]:
            try:
                listed = _decoder(names)(expanded).Records
            except FAILURES:
                listed = None
        if listed is not None:
            yield from (_Parts(listed[at]) for at in ordinals[: bisect_left(ordinals, len(listed))])
            return
    asked = iter(ordinals)
    place = next(asked, None)
    for at, piece in enumerate(every_piece(data, bound=one.bound)):
        if at == place:
            yield decoded(piece.raw)
            place = next(asked, None)
            if place is None:
                return


class _Parts:
    """Some members of a record, each decoded when it is first looked at."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        value = self.__dict__[name] = _decode(getattr(self._raw, name))
        return value

    def spelled(self, name: str) -> bytes | None:
        """The text of a member in small letters; `None` where letters may be spelled in more than one way."""
        raw = bytes(getattr(self._raw, name))
        return raw.lower() if raw.isascii() and b"\\u" not in raw else None


@lru_cache(maxsize=8)
def _decoder(names: frozenset[str]) -> Callable[[bytes], Any]:
    """Decode native files, and of each record only the members of some names."""
    record = msgspec.defstruct("Part", [(name, msgspec.Raw, _NULL) for name in sorted(names)], gc=False)
    file = msgspec.defstruct("File", [("Records", list[record] | None, None)], gc=False)  # type: ignore[valid-type]
    return msgspec.json.Decoder(file).decode
