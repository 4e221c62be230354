"""Raw records by place, many at a time: each evidence object is read once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from tokentrail.errors import CaseError
from tokentrail.lineage.forest import Forest
from tokentrail.results import RawRecord
from tokentrail.store.evidence_read import decoded
from tokentrail.store.folder import CaseFolder
from tokentrail.store.interface import StoredObject
from tokentrail.store.records import raw_records, records

Place = tuple[int, int, int]


def objects(folder: CaseFolder) -> dict[int, tuple[str, ...]]:
    """The evidence objects of each segment, in order, by their SHA-256."""
    return {number: tuple(held.sha256 for held in stored) for number, stored in _stored(folder).items()}


def _stored(folder: CaseFolder) -> dict[int, Sequence[StoredObject]]:
    """The evidence objects of each segment, in order."""
    return {int(one.segment, 16): one.objects for one in folder.snapshot().manifests}


def files_of_events(folder: CaseFolder, forest: Forest, events: Sequence[str]) -> dict[str, str]:
    """The file or S3 key in which each of some events came."""
    stored = _stored(folder)
    return {row["id"]: stored[row["segment"]][row["object"]].name for row in forest.places_of(events)}


def of_events(folder: CaseFolder, forest: Forest, events: Sequence[str]) -> Iterator[RawRecord]:
    """Read the records of some events, by their place in the evidence."""
    stored = _stored(folder)
    places = {(row["segment"], row["object"], row["ordinal"]): row["id"] for row in forest.places_of(events)}
    for (segment, number, ordinal), found in reader(folder)(list(places)):
        event = places[segment, number, ordinal]
        held = stored[segment][number]
        yield RawRecord(event_id=event, object=held.sha256, ordinal=ordinal, record=found, name=held.name)


def reader(folder: CaseFolder) -> Callable[[Sequence[Place]], Iterator[tuple[Place, Any]]]:
    """Give what reads the records of a case by segment, object and ordinal, secrets blanked."""
    manifests = {int(one.segment, 16): one.objects for one in folder.snapshot().manifests}

    def read(places: Sequence[Place]) -> Iterator[tuple[Place, Any]]:
        by_object: dict[tuple[int, int], set[int]] = {}
        for segment, number, ordinal in places:
            by_object.setdefault((segment, number), set()).add(ordinal)
        folder.at_hand(manifests[segment][number] for segment, number in by_object)
        for (segment, number), ordinals in sorted(by_object.items()):
            try:
                for ordinal, record in records(folder, manifests[segment][number], ordinals):
                    yield (segment, number, ordinal), record
            except CaseError:  # gone, or no longer what was read: the columns are left
                continue

    return read


def scanner(
    folder: CaseFolder, lost: Callable[[int], None]
) -> Callable[[pa.Table], Iterator[tuple[int, Any]]]:
    """Give what reads many raw records of a case, secrets and all; `lost` is told how many are gone."""
    return partial(_scan, folder, lost)


def _scan(folder: CaseFolder, lost: Callable[[int], None], wanted: pa.Table) -> Iterator[tuple[int, Any]]:
    if not len(wanted):
        return
    manifests = {int(one.segment, 16): one.objects for one in folder.snapshot().manifests}
    segments, numbers, ordinals = (wanted[name].to_numpy() for name in ("segment", "object", "ordinal"))
    edges = np.flatnonzero((np.diff(segments) != 0) | (np.diff(numbers) != 0)) + 1
    starts = [0, *edges.tolist()]
    stored = [manifests[int(segments[one])][int(numbers[one])] for one in starts]
    folder.at_hand(stored)
    for start, end, one in zip(starts, [*starts[1:], len(wanted)], stored, strict=True):
        rows = dict(zip(ordinals[start:end].tolist(), range(start, end), strict=True))
        try:
            for ordinal, raw in raw_records(folder, one, rows.keys()):
                yield rows.pop(ordinal), decoded(raw)
        except CaseError:  # gone, or no longer what was read: the columns are left
            pass
        lost(len(rows))
