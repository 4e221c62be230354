"""Records of one object after another, taken through all columns some thousands at a time."""

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
"""Records of a batch at most: as many as the processor's caches hold."""
ENOUGH = 500
"""Records that are worth a batch: calls cost little beside them, and waiting for more would cost the caches."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records, column by column: each of `Record`'s fields; their objects, places in them, seconds."""

    fields: dict[str, tuple[Any, ...]]
    objects: Codes
    ordinals: Codes
    times: Moments


class Gathering:
    """
    Gathers what was read of small objects, and cuts up large ones, in the order in which they come.

    Log files hold ten records or ten thousand, and what is done once for each column takes as long for either.
    """

    def __init__(self) -> None:
        self._records: list[Record] = []
        self._objects: list[Codes] = []
        self._ordinals: list[Codes] = []
        self._times: list[Moments] = []

    def add(self, number: int, reading: Reading) -> Iterator[Batch]:
        """Take in the records of object `number`; yields the batches that are full."""
        self._records += reading.records
        self._objects.append(np.full(len(reading.records), number, np.int32))
        self._ordinals.append(reading.ordinals)
        self._times.append(reading.times)
        if len(self._records) >= ENOUGH:
            yield from self.rest()

    def rest(self) -> Iterator[Batch]:
        """Yield all that is there."""
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
