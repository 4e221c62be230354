"""Raw records by place, many at a time: each evidence object is read once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any

import pyarrow as pa

from tokentrail.errors import CaseError
from tokentrail.lineage.forest import Forest
from tokentrail.results import RawRecord
from tokentrail.store.answering import Judge
from tokentrail.store.folder import CaseFolder
from tokentrail.store.records import records
from tokentrail.store.sweep import sweep

Place = tuple[int, int, int]


def objects(folder: CaseFolder) -> dict[int, tuple[str, ...]]:
    """The evidence objects of each segment, in order, by their SHA-256."""
    return {
        int(one.segment, 16): tuple(held.sha256 for held in one.objects)
        for one in folder.snapshot().manifests
    }


def of_events(folder: CaseFolder, forest: Forest, events: Sequence[str]) -> Iterator[RawRecord]:
    """Read the records of some events, by their place in the evidence."""
    names = objects(folder)
    places = {(row["segment"], row["object"], row["ordinal"]): row["id"] for row in forest.places_of(events)}
    for (segment, number, ordinal), found in reader(folder)(list(places)):
        event = places[segment, number, ordinal]
        yield RawRecord(event_id=event, object=names[segment][number], ordinal=ordinal, record=found)


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


def sweeper(
    folder: CaseFolder, lost: Callable[[int], None]
) -> Callable[[Iterable[pa.Table], int, Judge], Iterator[tuple[Place, list[Any]]]]:
    """Give what judges many raw records of a case where they are read; `lost` is told how many are gone."""
    return partial(_sweep, folder, lost)


def _sweep(
    folder: CaseFolder, lost: Callable[[int], None], wanted: Iterable[pa.Table], bits: int, judge: Judge
) -> Iterator[tuple[Place, list[Any]]]:
    return sweep(folder, wanted, bits, judge, lost)
