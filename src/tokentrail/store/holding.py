"""Which segments may hold an event or a name: asked of an index, so that a question need not read all of them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Sequence, Set
from pathlib import Path
from typing import Any

from tokentrail.store.index import KNOWN, Index
from tokentrail.store.layers import numbers


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
