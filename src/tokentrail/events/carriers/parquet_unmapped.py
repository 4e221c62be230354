"""What Security Lake's Parquet says under `unmapped`: names and values, all rows' behind one another."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tokentrail.events.carriers import arrow_columns as columns
from tokentrail.events.carriers.arrow_columns import Codes, Column
from tokentrail.events.carriers.known import Known
from tokentrail.events.carriers.ocsf_plain import ADDED, ANSWERED, FLAG, IDENTITY, KINDS, ODD, REQUESTED
from tokentrail.events.carriers.slim import OTHER_KIND

_MOST_PLACES = 1 << 22
_WIDTH = 8
"""Bytes of a number."""

Entries = tuple[tuple[str, str], ...]
Run = tuple[tuple[str, ...], list[str]]
"""Names and their values."""
Mask = npt.NDArray[np.bool_]


class Unmapped:
    """The names and values of a batch of rows, told apart by what they belong to."""

    def __init__(self, found: Any, count: int) -> None:
        self._count = count
        keys, items, lengths = _entries(found, count)
        self._names, self._keys = keys.values, keys.codes
        self._items = items
        self._rows = np.repeat(np.arange(count), lengths)
        _refuse_repeats(self._rows, self._keys, count)
        kinds = np.array([KINDS[name] for name in self._names], np.int64)[self._keys]
        self._kinds = np.where(items.without_empty().codes >= 0, kinds, -1)
        self._wide = max(len(items.distinct), 1)
        self._numbers = self._keys * self._wide + items.codes

    def odd(self) -> Mask:
        """Which rows say something in a way that takes more thought."""
        found = np.zeros(self._count, np.bool_)
        found[self._rows[self._kinds == ODD]] = True
        return found

    def flag(self, name: str) -> Column:
        """A flag of all rows."""
        codes = np.full(self._count, -1)
        if name in self._names:
            chosen = (self._kinds == FLAG) & (self._keys == self._names.index(name))
            codes[self._rows[chosen]] = self._items.codes[chosen]
        return Column(codes, self._items.distinct)

    def told(self) -> tuple[Codes, list[Entries]]:
        """What is said of the identity: each row's number, and what the numbers stand for."""
        codes, runs = self._distinct(self._kinds == IDENTITY)
        return codes, [tuple(zip(*run, strict=True)) for run in runs]

    def opened(self, wanted: Codes) -> tuple[Codes, list[Run]]:
        """
        The members of requests, answers and the like, in the same way.

        Args:
            wanted: What of each row's call says something, as `slim.wanted` has it.
        """
        looked, kinds = wanted[self._rows], self._kinds
        return self._distinct(
            (kinds == ADDED)
            | ((kinds == REQUESTED) & (looked > 0))
            | ((kinds == ANSWERED) & (looked & 1 > 0))
        )

    def _distinct(self, chosen: Mask) -> tuple[Codes, list[Run]]:
        lengths = np.bincount(self._rows[chosen], minlength=self._count)
        codes, packed = columns.distinct_runs(self._numbers[chosen], lengths)
        keys, items = np.divmod(np.frombuffer(b"".join(packed), np.int64), self._wide)
        values = [self._items.values[one] for one in items.tolist()]
        named, known = keys.tobytes(), Known(self._named)
        places = accumulate((len(one) for one in packed), initial=0)
        return codes, [
            (known[named[start:end]], values[start // _WIDTH : end // _WIDTH])
            for start, end in pairwise(places)
        ]

    def _named(self, keys: bytes) -> tuple[str, ...]:
        return tuple(self._names[one] for one in np.frombuffer(keys, np.int64).tolist())


def _entries(found: Any, count: int) -> tuple[Column, Column, Codes]:
    """Keys and values of maps, and how many each row has."""
    if found is None:
        return columns.nothing(0), columns.nothing(0), np.zeros(count, np.int64)
    if not pa.types.is_map(found.type):
        raise OTHER_KIND
    offsets = found.offsets.to_numpy(zero_copy_only=False).astype(np.int64)
    lengths = np.diff(offsets)
    if found.null_count and lengths[~found.is_valid().to_numpy(zero_copy_only=False)].any():
        raise OTHER_KIND
    keys, items = found.keys, found.items
    if len(keys) != lengths.sum():
        keys, items = keys[offsets[0] : offsets[-1]], items[offsets[0] : offsets[-1]]
    return columns.texts(keys, len(keys)), columns.texts(items, len(items)), lengths


def _refuse_repeats(rows: Codes, keys: Codes, count: int) -> None:
    """One name twice in one row: the last one counts, which is not looked for here."""
    if not len(rows):
        return
    places, many = rows * (keys.max() + 1) + keys, count * (int(keys.max()) + 1)
    if many > _MOST_PLACES or np.bincount(places, minlength=many).max() > 1:
        raise OTHER_KIND
