"""Gather the records of objects into batches, which the kernel handles column by column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from msgspec.structs import astuple

from tokentrail.events.assemble import Codes, Moments
from tokentrail.events.reading import Reading
from tokentrail.events.record import Record

BATCH = 2_000
"""Records of a batch, at most: as many as the processor's caches hold."""
ENOUGH = 500
"""Records that are enough for a batch: more would make it little cheaper, and would leave the processor's caches."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records, column by column."""

    fields: dict[str, tuple[Any, ...]]
    """By the name of a field of `Record`."""
    objects: Codes
    """The numbers of the objects that hold them."""
    ordinals: Codes
    """Their places in these objects."""
    times: Moments
    """When they happened, in seconds since 1970."""


class Batcher:
    """
    Makes batches of the records of objects in the order in which these come: joins small objects, and cuts large ones.

    Log files hold ten records or ten thousand, and each column of a batch has a fixed cost.
    """

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._objects: list[Codes] = []
        self._ordinals: list[Codes] = []
        self._times: list[Moments] = []

    def add(self, number: int, reading: Reading) -> Iterator[Batch]:
        """Add the records of the object `number`, and yield all batches once there are enough records."""
        self._records += reading.records
        self._objects.append(np.full(len(reading.records), number, np.int32))
        self._ordinals.append(reading.ordinals)
        self._times.append(reading.times)
        if len(self._records) >= ENOUGH:
            yield from self.rest()

    def rest(self) -> Iterator[Batch]:
        """Yield batches of all records that were added and not yielded yet."""
        if not self._records:
            return
        records, objects = self._records, np.concatenate(self._objects)
        ordinals, times = np.concatenate(self._ordinals), np.concatenate(self._times)
        self._records, self._objects, self._ordinals, self._times = [], [], [], []
        for at in range(0, len(records), BATCH):
            part = slice(at, at + BATCH)
            columns = zip(*map(astuple, records[part]), strict=True)
            fields = dict(zip(Record.__struct_fields__, columns, strict=True))
            yield Batch(fields, objects[part], ordinals[part], times[part])
