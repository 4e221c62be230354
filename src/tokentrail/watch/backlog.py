"""Store for recall what no watch took in: evidence that was in the case before, or that another process ingested."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Set
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tokentrail.store.folder import CaseFolder
from tokentrail.watch.intake import SCHEMAS, Tables
from tokentrail.watch.recall import Recall

_PART = 5_000
"""Records that are stored in one transaction: a watch that wants to write waits for its end."""


def keep_all(folder: CaseFolder, recall: Recall, among: Set[str] | None = None) -> None:
    """
    Store the records of all segments that are not stored yet.

    Args:
        folder: The case.
        recall: The database.
        among: The names of the segments that may be stored; all by default.
    """
    kept = recall.spans().keys()
    for manifest in folder.snapshot().manifests:
        number = int(manifest.segment, 16)
        if number not in kept and (among is None or manifest.segment in among):
            for part in _parts(folder.segment(manifest.segment)):
                recall.keep(None, part, manifest.objects)
            recall.note_segment(number, ())


def merged(recall: Recall, segment: str, replaced: Sequence[str]) -> None:
    """Note that a segment was merged of others, by name."""
    recall.note_segment(int(segment, 16), [int(one, 16) for one in replaced])


def _parts(segment: Path) -> Iterator[Tables]:
    """The tables of a segment, `_PART` records at a time."""
    rest = {name: _read(segment, name) for name in SCHEMAS if name != "events"}
    places = {name: _places(rest[name]) for name in ("issuances", "changes")}
    for batch in pq.ParquetFile(segment / "events.parquet", memory_map=False).iter_batches(_PART):
        events = pa.Table.from_batches([batch]).cast(SCHEMAS["events"])
        here = _places(events)
        part = {name: rest[name].filter(pc.is_in(found, here)) for name, found in places.items()}
        called = pc.is_in(rest["identities"].column("identity"), events.column("identity").unique())
        yield {"events": events, "identities": rest["identities"].filter(called), **part}


def _read(segment: Path, name: str) -> pa.Table:
    return pq.read_table(segment / f"{name}.parquet", memory_map=False).cast(SCHEMAS[name])


def _places(table: pa.Table) -> pa.Array[Any]:
    """One number for each record of a segment."""
    high = pc.shift_left(table.column("object").cast(pa.int64()), 32)
    both: pa.Array[Any] = pa.array(pc.bit_wise_or(high, table.column("ordinal").cast(pa.int64())).to_numpy())
    return both
