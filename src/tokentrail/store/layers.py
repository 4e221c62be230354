"""
Layers: what was derived from segments, so that the next ingest need derive it from its new segments only.

A layer holds, for a set of segments, the reduced tables that linking needs and the sorted marks of their event ids and
names (`index`). The files of a layer never change. The next derived folder therefore links to them (hard links), and
either folder can be deleted at any time. A new layer takes in the older ones that are no larger than itself, so that
there are never many.
"""

from __future__ import annotations

import json
import os
import shutil
import zlib
from collections.abc import Iterable, Sequence, Set
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import msgspec
import numpy as np

from tokentrail.errors import CaseError
from tokentrail.store.duplicate_ids import AT_ONCE, OWNERS, Beginnings, Marks, common, distinct, owned_by
from tokentrail.store.keys import SEGMENT

LAYERS = "layers"
LIST = "layers.json"
_SUMMED = 16 << 20
"""Bytes of marks up to which a checksum guards them, which takes milliseconds. A larger file is synced to the disk
before the list names it."""
IDS, NAMES = "ids", "names"
"""The kinds of marks."""
FOR_LINKING = frozenset(
    {IDS, *(f"{one}.parquet" for one in ("people", "keyholders", "issuing", "makings", "duplicates"))}
)
"""The suffixes of the files of a layer that only an ingest needs; answers need the others."""


@dataclass(frozen=True, slots=True)
class Layer:
    """A set of segments, and how to find what was derived from them."""

    name: str
    records: dict[str, int]
    """The number of records by segment, of the segments that count."""
    gone: tuple[str, ...]
    """Segments that its tables still hold and that no longer count: their rows must be left out."""
    ids: tuple[str, ...]
    """The segments whose event ids and names its marks hold; a mark gives the position of its segment in this list."""
    hashed: int
    """Which hash function its names were hashed with (`hash_fingerprint`); 0 where it has no marks of names."""
    ends: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """By kind of marks: how many there are, the last of them, and a checksum."""

    @property
    def size(self) -> int:
        """Records of all its segments."""
        return sum(self.records.values())

    @property
    def tells_apart(self) -> bool:
        """Whether a mark has room to say which segment it is of."""
        return len(self.ids) <= OWNERS

    def needed(self, segments: Set[str]) -> bool:
        """Whether it holds anything that is of use for a case of these segments."""
        return bool(self.records) or not segments.isdisjoint(self.ids)

    def narrowed(self, segments: Set[str]) -> Layer:
        """The same layer, of which only these segments count."""
        return self.without(self.records.keys() - segments)

    def without(self, segments: Set[str]) -> Layer:
        """The same layer, of which these segments no longer count."""
        gone = tuple(name for name in self.records if name in segments)
        records = {name: count for name, count in self.records.items() if name not in segments}
        return replace(self, records=records, gone=(*self.gone, *gone))


def read_layers(derived: Path) -> list[Layer]:
    """Read the list of layers of a derived folder; empty where it can't be read, or names what could be no layer."""
    try:
        found = msgspec.json.decode((derived / LIST).read_bytes(), type=list[Layer])
    except (OSError, ValueError, RecursionError):
        return []
    named = (name for one in found for name in (one.name, *one.records, *one.gone, *one.ids))
    return found if all(map(SEGMENT.fullmatch, named)) else []


def can_be_linked(derived: Path, layers: Iterable[Layer]) -> bool:
    """Whether the files that an ingest needs are all there; a mirror that only answered has not fetched them."""
    return all(
        (derived / LAYERS / f"{layer.name}.{kind}").exists() for layer in layers for kind in FOR_LINKING
    )


def numbers(segments: Iterable[str]) -> list[int]:
    """The numbers of segments, as the rows of tables have them, sorted."""
    return sorted(int(name, 16) for name in segments)


def write_layers(derived: Path, layers: Sequence[Layer]) -> None:
    """Write the list of layers of a derived folder."""
    (derived / LIST).write_text(json.dumps([asdict(one) for one in layers]))


def prepare(derived: Path) -> None:
    """Make the folder of layers inside a derived folder."""
    (derived / LAYERS).mkdir(mode=0o700)


def clear(derived: Path) -> None:
    """Empty a derived folder, which nobody else reads yet."""
    for path in derived.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def take_over(origin: Path, derived: Path, layers: Iterable[Layer]) -> None:
    """Link the files of some layers of one derived folder into another."""
    for layer in layers:
        for path in (origin / LAYERS).glob(f"{layer.name}.*"):
            hard_link(path, derived / LAYERS / path.name)


def hard_link(path: Path, target: Path) -> None:
    """Give a file that never changes a second name; copy it where the file system has no hard links."""
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:
        shutil.copyfile(path, target)


def table_file(derived: Path, layer: Layer, name: str) -> Path:
    """Where a table of a layer lies."""
    return derived / LAYERS / f"{layer.name}.{name}.parquet"


def marks(derived: Path, layer: Layer, kind: str) -> Marks:
    """
    The sorted marks of a layer, mapped from the disk: there may be too many for memory.

    Raises:
        CaseError: they are not what was written, as after a loss of power. Searches would miss records.
    """
    try:
        found = _read(derived, layer.name, kind)
    except (OSError, ValueError) as error:
        raise CaseError(f"{derived}: marks of {kind} can't be read ({error}).") from error
    if layer.ends.get(kind) != _end(found):
        raise CaseError(f"{derived}: marks of {kind} are damaged.")
    return found


def write_marks(derived: Path, name: str, kind: str, parts: Iterable[Marks]) -> Marks:
    """Write sorted marks, given in consecutive parts, to the file of a name. Returns them mapped from the disk."""
    with _path(derived, name, kind).open("wb") as file:
        for part in parts:
            part.tofile(file)
        if file.tell() > _SUMMED:
            file.flush()
            os.fsync(file.fileno())
    return _read(derived, name, kind)


def merge_marks(
    derived: Path,
    kind: str,
    fresh: str,
    segments: Sequence[str],
    layer: Layer,
    origin: Path,
    taken: Sequence[Layer],
) -> tuple[int, int, int]:
    """
    Write the marks of a new layer: those of its new segments, and those of the layers that it takes in.

    Args:
        derived: The derived folder of the new layer.
        kind: The kind of marks.
        fresh: The name under which the marks of the new segments were written; that file is gone afterwards.
        segments: The new segments, in the order in which these marks number them.
        layer: The new layer.
        origin: The derived folder of the layers that it takes in.
        taken: Those of them whose marks are to be included.

    Returns:
        How many there are, the last, and a checksum.
    """
    path = _path(derived, fresh, kind)
    if not taken and tuple(segments) == layer.ids:
        path.rename(_path(derived, layer.name, kind))
        return _end(_read(derived, layer.name, kind))
    parts = [(_read(derived, fresh, kind), segments)]
    parts += [(marks(origin, one, kind), one.ids) for one in taken]
    ends = keep_marks(derived, kind, layer, parts)
    path.unlink()
    return ends


def keep_marks(
    derived: Path, kind: str, layer: Layer, parts: Iterable[tuple[Marks, Sequence[str]]]
) -> tuple[int, int, int]:
    """
    Write the marks of a layer from parts, each with the segments that its marks are numbered by.

    Returns:
        How many there are, the last, and a checksum.
    """
    number = {name: place for place, name in enumerate(layer.ids)}
    every = np.concatenate(
        [
            owned_by(some, [number[name] for name in names] if layer.tells_apart else ())
            for some, names in parts
        ]
    )
    every.sort()
    return _end(write_marks(derived, layer.name, kind, [every]))


def _path(derived: Path, name: str, kind: str) -> Path:
    return derived / LAYERS / f"{name}.{kind}"


def _read(derived: Path, name: str, kind: str) -> Marks:
    path = _path(derived, name, kind)
    return np.memmap(path, "<u8", "r") if path.stat().st_size else np.empty(0, np.uint64)


def has_marks(derived: Path, layer: Layer, kind: str) -> bool:
    """Whether a layer's marks can be read."""
    try:
        marks(derived, layer, kind)
    except CaseError:
        return False
    return True


def _end(some: Marks) -> tuple[int, int, int]:
    """How many marks there are, the last, and a checksum; 0 instead of that for so many that it would take long."""
    if not len(some):
        return 0, 0, 0
    return len(some), int(some[-1]), zlib.crc32(some.data) if some.nbytes <= _SUMMED else 0


def shared_ids(derived: Path, layers: Iterable[Layer], fresh: Marks) -> tuple[Beginnings, set[str]]:
    """The beginnings of new event ids that older segments may hold too, and the names of these segments."""
    found, where = [fresh[:0]], set[str]()
    for layer in layers:
        same, owners = common(fresh, marks(derived, layer, IDS))
        found.append(same)
        where.update(layer.ids[one] for one in owners if layer.tells_apart and one < len(layer.ids))
        where.update(layer.ids if len(same) and not layer.tells_apart else ())
    return distinct(np.concatenate(found)), where


def taken_in(layers: Sequence[Layer], size: int) -> list[Layer]:
    """The layers that a new one of so many records takes in: those no larger than it has become, smallest first."""
    taken: list[Layer] = []
    for layer in sorted(layers, key=lambda one: (one.size, one.name)):
        if layer.size > size or size + layer.size > AT_ONCE:
            break
        taken.append(layer)
        size += layer.size
    return taken
