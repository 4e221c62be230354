"""
Event ids that may occur more than once in many segments: found by sorting eight bytes for each.

Six are the beginning of the id, and two say which of the segments holds it: its mark. A table of all ids would take
fifty bytes an event, and be slower; of ids that begin alike, few are the same. The sorted marks are kept beside what
was worked out of their segments, so that ids of later segments can be looked up among them, and no record need be read
again but in the segments that may hold the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tokentrail.errors import CaseError

Marks: TypeAlias = "np.ndarray[Any, np.dtype[np.uint64]]"
Beginnings: TypeAlias = "np.ndarray[Any, np.dtype[np.uint64]]"
"""The first six bytes of ids."""

OWNERS = 1 << 16
"""Segments that marks can tell apart."""
_BITS = np.uint64(16)

AT_ONCE = 1 << 26
"""Events whose ids are sorted at once: half a gigabyte."""
_ID = pa.binary(16)
_RANGE = 1 << 64
BEGINNING = np.uint64(_RANGE - OWNERS)
"""The bits of a mark that are not the number of its segment."""
_SOME = 1 << 22
_MOST_A_BYTE = 16
"""Events for each byte of a file, of which what ingest writes has less than three, be all of its columns empty."""


def suspects(files: Sequence[Path], at_once: int = AT_ONCE) -> pa.Table:
    """
    Find the ids that may occur more than once, each as often as it occurs.

    Args:
        files: Parquet files with `event_id`.
        at_once: How many ids to sort at once; of more, some are looked at in each of several passes.
    """
    return among(files, np.concatenate([twice(marks) for marks in sorted_marks(files, at_once)]))


def sorted_marks(files: Sequence[Path], at_once: int = AT_ONCE) -> Iterator[Marks]:
    """The marks of all ids, sorted; in several parts, one after the other, where there are very many."""
    count = sum(map(_rows_of, files))
    passes = -(-count // at_once) or 1
    for number in range(passes):
        low, high = (end * _RANGE // passes // OWNERS * OWNERS for end in (number, number + 1))
        marks = _between(files, count // passes, low, high)
        marks.sort()
        yield marks


def owned_by(marks: Marks, owners: Sequence[int]) -> Marks:
    """The same marks where the segments have other numbers, by those until now; without any if none are given."""
    if not len(owners):
        return marks & BEGINNING
    return marks & BEGINNING | np.array(owners, np.uint64)[(marks & ~BEGINNING).astype(np.int64)]


def distinct(values: Marks) -> Marks:
    """Each value once, in order: by sorting, which of millions takes a hundredth of what numpy's `unique` does."""
    ordered = np.sort(values)
    first = np.ones(len(ordered), np.bool_)
    np.not_equal(ordered[1:], ordered[:-1], out=first[1:])
    return ordered[first]


def twice(marks: Marks) -> Beginnings:
    """What more than one id begins with, by sorted marks."""
    found = []
    for start in range(0, len(marks), _SOME):  # all at once would take as much memory again
        some = marks[start : start + _SOME + 1] >> _BITS
        found.append(some[1:][some[1:] == some[:-1]])
    return distinct(np.concatenate([marks[:0], *found]))


def common(few: Marks, many: Marks) -> tuple[Beginnings, set[int]]:
    """What ids of both begin with, by sorted marks, and the numbers of the segments that hold them among the many."""
    wanted = distinct(few >> _BITS)
    place = np.searchsorted(many, wanted << _BITS)
    found, owners = [wanted[:0]], set[int]()
    while len(place):
        inside = place < len(many)
        wanted, place = wanted[inside], place[inside]
        there = many[place]
        same = there >> _BITS == wanted
        wanted, place = wanted[same], place[same] + 1
        found.append(wanted)
        owners.update((there[same] & ~BEGINNING).tolist())
    return distinct(np.concatenate(found)), owners


def among(files: Sequence[Path], sought: Beginnings) -> pa.Table:
    """The ids in some files that begin as is sought, each as often as it occurs, as `event_id`."""
    sought = np.sort(sought)
    found = [_wanted(chunk, sought) for _, chunk in _chunks(files)] if len(sought) else []
    return pa.table({"event_id": pa.concat_arrays(found) if found else pa.array([], _ID)})


def _between(files: Sequence[Path], guess: int, low: int, high: int) -> Marks:
    """The marks of ids that lie in a range."""
    marks = np.empty(guess, dtype=np.uint64)
    filled = 0
    for owner, chunk in _chunks(files):
        mine = _halves(chunk) & BEGINNING | np.uint64(owner % OWNERS)
        if high - low < _RANGE:
            mine = mine[(mine >= np.uint64(low)) & (mine <= np.uint64(high - 1))]
        if filled + len(mine) > len(marks):
            marks = np.resize(marks, int((filled + len(mine)) * 1.1))
        marks[filled : filled + len(mine)] = mine
        filled += len(mine)
    return marks[:filled]


def _wanted(chunk: pa.Array[Any], sought: Beginnings) -> pa.Array[Any]:
    """The ids that begin as is sought."""
    mine = _halves(chunk) >> _BITS
    place = np.minimum(np.searchsorted(sought, mine), len(sought) - 1)
    return chunk.filter(pa.array(sought[place] == mine))


def _chunks(files: Sequence[Path]) -> Iterator[tuple[int, pa.Array[Any]]]:
    for owner, file in enumerate(files):
        for chunk in _opened(file).read(columns=["event_id"], use_threads=False)["event_id"].chunks:
            if chunk.type != _ID:
                raise CaseError(f"{file}: is damaged, its event ids are no ids. Ingest its logs again.")
            yield owner, chunk.drop_null() if chunk.null_count else chunk


def _rows_of(file: Path) -> int:
    """How many events a file says that it has: a few bytes may claim any number, which nobody could look through."""
    rows = int(_opened(file).metadata.num_rows)
    if rows > _MOST_A_BYTE * file.stat().st_size:
        raise CaseError(f"{file}: is damaged, it can't hold {rows:,} events. Ingest its logs again.")
    return rows


def _opened(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file)
    except UnicodeDecodeError as error:  # which is no error of Arrow's, nor of a file system's
        raise CaseError(f"{file}: is damaged, the names of its columns are no text ({error}).") from error


def _halves(chunk: pa.Array[Any]) -> Marks:
    """The first eight bytes of each id, in the order of its bytes or not: it is the same everywhere."""
    data: Any = chunk.buffers()[1]
    pairs = np.frombuffer(data, dtype="<u8").reshape(-1, 2)
    halves: Marks = pairs[chunk.offset : chunk.offset + len(chunk), 0]
    return halves
