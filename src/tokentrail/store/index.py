"""
Find the segments that may hold an event or a name, by the sorted marks of their layers.

A mark is six bytes of an event id, or of the hash of a name, and two for the segment (`repeats`). These may be equal
by chance, so that the segments found are candidates: they are read, and the records decide.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tokentrail.errors import CaseError
from tokentrail.store.layers import IDS, NAMES, Layer, marks, read_layers
from tokentrail.store.repeats import BEGINNING, Beginnings, Marks, common, distinct

KNOWN = (
    "",
    "x",
    "AROA",
    "deploy-1",
    "twelve bytes",
    "thirteen byte",
    "ärger\x00",
    "arn:aws:iam::123456789012:role/known" * 3,
)
"""Names of several lengths, whose hashes show whether another engine or version has the same hash function."""


class Index:
    """The marks in a derived folder, for the segments of a case."""

    def __init__(self, derived: Path, segments: Collection[str], hashed: int) -> None:
        """
        Read the list of layers.

        Args:
            derived: The folder; files of its layers may be gone, or not fetched.
            segments: The segments of the case.
            hashed: The fingerprint of this engine's hash function (`hash_fingerprint`).
        """
        self._derived, self._segments, self._hashed = derived, frozenset(segments), hashed
        self._layers = read_layers(derived)
        self._unmarked = self._segments.difference(*(layer.ids for layer in self._layers))

    def of_events(self, ids: Collection[bytes]) -> set[str]:
        """The segments that may hold events of some ids: by their marks, and all those without marks."""
        return self._holding(IDS, np.frombuffer(b"".join(one[:8] for one in ids), "<u8"), self._layers)

    def of_names(self, hashes: Sequence[int] | Marks) -> set[str]:
        """The segments that may hold names with some hashes: by their marks, and all those without usable marks."""
        marked = [layer for layer in self._layers if layer.hashed == self._hashed]
        return self._holding(NAMES, np.array(hashes, np.uint64), marked)

    def _holding(self, kind: str, sought: Beginnings, marked: Sequence[Layer]) -> set[str]:
        wanted, found = np.sort(sought & BEGINNING), set(self._unmarked)
        for layer in self._layers:
            found |= self._of_layer(kind, wanted, layer) if layer in marked else set(layer.ids)
        return found & self._segments

    def _of_layer(self, kind: str, wanted: Beginnings, layer: Layer) -> set[str]:
        if not layer.tells_apart:
            return set(layer.ids)
        try:
            owners = common(wanted, marks(self._derived, layer, kind))[1]
            return {layer.ids[one] for one in owners}
        except (CaseError, IndexError):  # damaged, or not fetched
            return set(layer.ids)


def marks_of(batches: Iterable[pa.RecordBatch], segments: Sequence[int]) -> Marks:
    """
    Make the sorted marks of names.

    Args:
        batches: Rows with `segment`, and hashes of names in all other columns.
        segments: The segments to mark, sorted; a mark has the position in this list.
    """
    numbers = np.array(segments, np.int64)
    found = [np.empty(0, np.uint64)]
    for batch in batches:
        columns: dict[str, Any] = {name: batch[name].to_numpy() for name in batch.schema.names}
        shown = columns.pop("segment")
        owner = np.minimum(np.searchsorted(numbers, shown), max(len(numbers) - 1, 0))
        mine = numbers[owner] == shown
        told = [(hashes & BEGINNING | owner.astype(np.uint64))[mine] for hashes in columns.values()]
        found.append(distinct(np.concatenate(told)))
    return distinct(np.concatenate(found))
