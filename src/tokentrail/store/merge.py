"""
Merge small segments, so that a case that grows by a batch a second stays a case of few files.

The merged segment becomes visible by its manifest, which names those that it replaces; from then on nobody counts
them. They are removed an hour later, when no reader can be at them any more. So a reader always sees each record once.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator, Sequence, Set
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tokentrail.events.columns import TABLES
from tokentrail.store.folder import CaseFolder, new_segment_number, segment_name
from tokentrail.store.interface import Manifest
from tokentrail.store.segment import write_segment

SMALL = 150_000
"""Records below which a segment counts as small; a merged one holds up to so many and a small one's more."""
AT_ONCE = 24
"""Small segments that are worth merging."""
_READ_FOR = 3600
"""Seconds for which a reader may still be at a segment that was replaced."""


def merge_small(
    folder: CaseFolder,
    told: Callable[[str, Sequence[str]], None] = lambda one, parts: None,
    among: Set[str] | None = None,
) -> int:
    """
    Merge small segments where there are many, and remove those that were replaced long ago; how many became one.

    Args:
        folder: The case.
        told: Told of each new segment, and of those whose place it took.
        among: The segments that may be merged; all by default.
    """
    _remove_replaced(folder)
    listed = [one for one in folder.snapshot().manifests if among is None or one.segment in among]
    sized = [(_records(folder.segment(one.segment)), one) for one in listed]
    small = sorted(((size, one) for size, one in sized if size < SMALL), key=lambda pair: pair[0])
    if len(small) < AT_ONCE:
        return 0
    merged = 0
    for group in _groups(small):
        told(_merge(folder, group), [one.segment for one in group])
        merged += len(group)
    return merged


def _groups(small: Sequence[tuple[int, Manifest]]) -> Iterator[list[Manifest]]:
    """Segments that go together, the smallest first: so each record is rewritten seldom."""
    group: list[Manifest] = []
    size = 0
    for records, one in small:
        group.append(one)
        size += records
        if size >= SMALL:
            yield group
            group, size = [], 0
    if len(group) >= 2:
        yield group


def _records(segment: Path) -> int:
    return int(pq.read_metadata(segment / "events.parquet").num_rows)


def _merge(folder: CaseFolder, group: Sequence[Manifest]) -> str:
    number = new_segment_number()
    name = segment_name(number)
    parts: dict[str, list[pa.Table]] = {table: [] for table in TABLES}
    objects = identities = 0
    for manifest in group:
        read = {
            table: pq.read_table(folder.segment(manifest.segment) / f"{table}.parquet", memory_map=False)
            for table in TABLES
        }
        for table, rows in read.items():
            parts[table].append(_moved(rows.cast(TABLES[table]), number, objects, identities))
        objects += len(manifest.objects)
        known = read["identities"].column("identity")
        identities += (pc.max(known).as_py() + 1) if len(known) else 0
    write_segment({table: pa.concat_tables(found) for table, found in parts.items()}, folder.segment(name))
    stored = tuple(one for manifest in group for one in manifest.objects)
    replaced = tuple(name for one in group for name in (one.segment, *one.replaces))
    folder.publish(Manifest(segment=name, objects=stored, replaces=replaced))
    return name


def _moved(rows: pa.Table, number: int, objects: int, identities: int) -> pa.Table:
    """The same rows, as they stand in the merged segment."""
    moved = {"segment": None, "object": objects, "identity": identities}
    for place, name in enumerate(rows.column_names):
        if name == "segment":
            column = pa.chunked_array([pa.repeat(pa.scalar(number, pa.int64()), rows.num_rows)])
        elif name in moved:
            column = pc.add(rows.column(place), pa.scalar(moved[name], rows.schema.field(place).type))
        else:
            continue
        rows = rows.set_column(place, rows.schema.field(place), column)
    return rows


def _remove_replaced(folder: CaseFolder) -> None:
    """Remove what was replaced long ago, manifests last, so that what is half removed is removed the next time."""
    for one in folder.snapshot().manifests:
        path = folder.path / "manifests" / f"{one.segment}.json"
        if one.replaces and time.time() - path.stat().st_mtime >= _READ_FOR:
            for old in one.replaces:
                shutil.rmtree(folder.segment(old), ignore_errors=True)
                (folder.path / "manifests" / f"{old}.json").unlink(missing_ok=True)
