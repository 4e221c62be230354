"""
Event ids that may occur more than once in many segments: found by sorting eight bytes of each.

A table of all ids would take fifty bytes an event, and be slower; of ids that share half their bytes, few are the same.
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


def suspects(files: Sequence[Path], at_once: int = AT_ONCE) -> pa.Table:
    """
    Find the ids that may occur more than once, each as often as it occurs.

    Args:
        files: Parquet files with `event_id`.
        at_once: How many ids to sort at once; of more, some are looked at in each of several passes.
    """
    count = sum(pq.read_metadata(file).num_rows for file in files)
    passes = -(-count // at_once) or 1
    twice = [_twice(files, count // passes, passes, number) for number in range(passes)]
    sought = np.concatenate(twice)
    sought.sort()
    found = [_among(chunk, sought) for chunk in _chunks(files)] if len(sought) else []
    return pa.table({"event_id": pa.concat_arrays(found) if found else pa.array([], _ID)})


def _twice(files: Sequence[Path], guess: int, passes: int, number: int) -> Halves:
    """First halves that more than one id has, of those that fall into one pass."""
    halves = np.empty(guess, dtype=np.uint64)
    filled = 0
    for chunk in _chunks(files):
        mine = _halves(chunk)
        if passes > 1:
            mine = mine[mine % passes == number]
        if filled + len(mine) > len(halves):
            halves = np.resize(halves, int((filled + len(mine)) * 1.1))
        halves[filled : filled + len(mine)] = mine
        filled += len(mine)
    halves = halves[:filled]
    halves.sort()
    return np.unique(halves[1:][halves[1:] == halves[:-1]])


def _among(chunk: pa.Array[Any], sought: Halves) -> pa.Array[Any]:
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
