"""
Find the segments that may hold an event or a name, by the sorted marks of their layers.

A mark is six bytes of an event id, or of the hash of a name, and two for the segment (`duplicate_ids`). These may be
equal by chance, so that the segments found are candidates: they are read, and the records decide.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from tokentrail.errors import CaseError
from tokentrail.store.duplicate_ids import BEGINNING, Beginnings, Marks, common, distinct
from tokentrail.store.layers import IDS, NAMES, Layer, marks, numbers, read_layers

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


class Holding:
    """The part of an engine that knows where things are."""

    _parts: dict[str, tuple[dict[int, Path], int | None]]
    """Of each table of segments the folder of each segment, and the second up to which its rows count."""
    _index: Index | None = None

    @abstractmethod
    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
        """The rows of a query that has few."""

    @abstractmethod
    def narrow(self, segments: Set[int]) -> dict[str, str]:
        """How a query names each table of segments with some of them alone."""

    def hashed(self, names: Sequence[str]) -> list[int]:
        """The hashes of names, as the index has them."""
        return [row["h"] for row in self.rows("SELECT hash(unnest(?)) AS h", (list(names),))]

    def hash_fingerprint(self) -> int:
        """A number that differs between engines with different hash functions: their marks of names can't be mixed."""
        sql = "SELECT hash(split_part(concat('/', unnest(?)), '/', -1)) AS h"
        found = [*self.hashed(KNOWN), *(row["h"] for row in self.rows(sql, (list(KNOWN),)))]
        return sum(place * one for place, one in enumerate(found, 1)) % (1 << 63) or 1

    def use_index(self, derived: Path) -> None:
        """Use the index of a derived folder for `holding`; call it after `segments`."""
        folders, _ = self._parts["events"]
        self._index = None
        if len(folders) > 1:
            names = [folder.name for folder in folders.values()]
            self._index = Index(derived, names, self.hash_fingerprint())

    def holding(self, *, events: Collection[bytes] = (), names: Collection[str] = ()) -> dict[str, str]:
        """What a query writes to read the segments that may hold some events or names; see `Engine`."""
        index, every = self._index, self._parts["events"][0]
        found = set[str]()
        if index and events:
            found |= index.of_events(sorted(events))
        if index and names:
            found |= index.of_names(self.hashed(sorted(names)))
        if index is None or len(found) == len(every):
            return self.everywhere()
        return self.narrow(set(numbers(found)))

    def known_segments(self) -> Set[int]:
        """All of them."""
        return self._parts["events"][0].keys()

    def everywhere(self) -> dict[str, str]:
        """How a query names the tables of segments where it means all of them."""
        return {f"some_{name}": name for name in self._parts}


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
