"""
Which segments may hold an event, or a name: looked up in the sorted marks that layers keep of both.

Of the hash of a name six bytes are kept, with two for the segment, as of event ids (`repeats`). So a name is looked for
in few segments of thousands; what stands there is read, and tells whether it is the one.
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
"""Names whose hashes tell an engine from another version of it, which may hash no others than short ones otherwise."""


class Index:
    """What the layers of a derived folder know of a case's segments."""

    def __init__(self, derived: Path, segments: Collection[str], hashed: int) -> None:
        """
        Look at what is there.

        Args:
            derived: The folder, whose layers may be gone, or not have been fetched.
            segments: Those of the case.
            hashed: By what this engine is told from others that hash otherwise.
        """
        self._derived, self._segments, self._hashed = derived, frozenset(segments), hashed
        self._layers = read_layers(derived)
        self._unmarked = self._segments.difference(*(layer.ids for layer in self._layers))

    def of_events(self, ids: Collection[bytes]) -> set[str]:
        """The segments that may hold events of some ids: those that do, and those of which it isn't known."""
        return self._holding(IDS, np.frombuffer(b"".join(one[:8] for one in ids), "<u8"), self._layers)

    def of_names(self, hashes: Sequence[int] | Marks) -> set[str]:
        """The segments in which names of some hashes may stand: those that do, and those of which it isn't known."""
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
    The sorted marks of names.

    Args:
        batches: Rows with `segment`, and hashes of names in all other columns.
        segments: Those that count, in the order of their numbers.
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
