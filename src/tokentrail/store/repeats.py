"""
Event ids that may occur more than once in many segments: found by sorting eight bytes of each.

A table of all ids would take fifty bytes an event, and be slower; of ids that share half their bytes, few are the same.
The sorted halves are kept beside what was worked out of their segments, so that those of later segments can be looked
up among them, and no record need be read again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Halves: TypeAlias = "np.ndarray[Any, np.dtype[np.uint64]]"

AT_ONCE = 1 << 26
"""Events whose ids are sorted at once: half a gigabyte."""
_ID = pa.binary(16)
_RANGE = 1 << 64


def suspects(files: Sequence[Path], at_once: int = AT_ONCE) -> pa.Table:
    """
    Find the ids that may occur more than once, each as often as it occurs.

    Args:
        files: Parquet files with `event_id`.
        at_once: How many ids to sort at once; of more, some are looked at in each of several passes.
    """
    return among(files, np.concatenate([twice(halves) for halves in sorted_halves(files, at_once)]))


def sorted_halves(files: Sequence[Path], at_once: int = AT_ONCE) -> Iterator[Halves]:
    """The first halves of all ids, sorted; in several parts, one after the other, where there are very many."""
    count = sum(pq.read_metadata(file).num_rows for file in files)
    passes = -(-count // at_once) or 1
    for number in range(passes):
        halves = _between(files, count // passes, number * _RANGE // passes, (number + 1) * _RANGE // passes)
        halves.sort()
        yield halves


def twice(halves: Halves) -> Halves:
    """The halves that more than one id has, of sorted ones."""
    return np.unique(halves[1:][halves[1:] == halves[:-1]])


def common(few: Halves, many: Halves) -> Halves:
    """The halves that are in both, of sorted ones: each of the few is looked up among the many."""
    if not len(many):
        return few[:0]
    place = np.minimum(np.searchsorted(many, few), len(many) - 1)
    return np.unique(few[many[place] == few])


def among(files: Sequence[Path], sought: Halves) -> pa.Table:
    """The ids in some files whose first halves are sought, each as often as it occurs, as `event_id`."""
    sought = np.sort(sought)
    found = [_wanted(chunk, sought) for chunk in _chunks(files)] if len(sought) else []
    return pa.table({"event_id": pa.concat_arrays(found) if found else pa.array([], _ID)})


def _between(files: Sequence[Path], guess: int, low: int, high: int) -> Halves:
    """The first halves of ids that lie in a range."""
    halves = np.empty(guess, dtype=np.uint64)
    filled = 0
    for chunk in _chunks(files):
        mine = _halves(chunk)
        if high - low < _RANGE:
            mine = mine[(mine >= np.uint64(low)) & (mine <= np.uint64(high - 1))]
        if filled + len(mine) > len(halves):
            halves = np.resize(halves, int((filled + len(mine)) * 1.1))
        halves[filled : filled + len(mine)] = mine
        filled += len(mine)
    return halves[:filled]


def _wanted(chunk: pa.Array[Any], sought: Halves) -> pa.Array[Any]:
    """The ids whose first halves are sought."""
    mine = _halves(chunk)
    place = np.minimum(np.searchsorted(sought, mine), len(sought) - 1)
    return chunk.filter(pa.array(sought[place] == mine))


def _chunks(files: Sequence[Path]) -> Iterator[pa.Array[Any]]:
    for file in files:
        for chunk in pq.ParquetFile(file).read(columns=["event_id"], use_threads=False)["event_id"].chunks:
            yield chunk.drop_null() if chunk.null_count else chunk


def _halves(chunk: pa.Array[Any]) -> Halves:
    data: Any = chunk.buffers()[1]
    pairs = np.frombuffer(data, dtype="<u8").reshape(-1, 2)
    halves: Halves = pairs[chunk.offset : chunk.offset + len(chunk), 0]
    return halves
