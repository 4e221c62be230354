"""
What was worked out of segments, in layers: an ingest works out what is new, and adds a layer.

A layer holds for some segments the tables that linking needs of them, and the sorted marks of their event ids and of
the names that stand in them (`index`).
Its files never change, so that the next derived folder has them by another name (a hard link), and either folder can be
deleted at any time. A new layer takes in those that are no larger than itself, so that there are never many.
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
from tokentrail.store.keys import SEGMENT
from tokentrail.store.repeats import AT_ONCE, OWNERS, Beginnings, Marks, common, distinct, owned_by

LAYERS = "layers"
LIST = "layers.json"
_SUMMED = 16 << 20
"""Bytes of marks up to which they are checked by a sum, in some milliseconds; more are on the disk before anything else
says that they are."""
IDS, NAMES = "ids", "names"
"""What marks are kept of."""
FOR_LINKING = frozenset(
    {IDS, *(f"{one}.parquet" for one in ("people", "keyholders", "issuing", "makings", "losers"))}
)
"""What files of a layer are called, after its name, that only an ingest goes on from; answers need the others."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Some segments, and what was worked out of them."""

    name: str
    records: dict[str, int]
    """Of each segment that counts here, the number of its records."""
    gone: tuple[str, ...]
    """Segments that its tables still hold, and that count here no more."""
    ids: tuple[str, ...]
    """The segments whose event ids and names it holds, in the order of their numbers there."""
    hashed: int
    """By what the engine that hashed its names is told from others; 0 if none of them are kept."""
    ends: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """By kind, how many marks there are, the last, and a checksum."""

    @property
    def size(self) -> int:
        """Records of all its segments."""
        return sum(self.records.values())

    @property
    def tells_apart(self) -> bool:
        """Whether its marks say which segment is meant."""
        return len(self.ids) <= OWNERS

    def needed(self, segments: Set[str]) -> bool:
        """Whether anything in it is of some segments."""
        return bool(self.records) or not segments.isdisjoint(self.ids)

    def narrowed(self, segments: Set[str]) -> Layer:
        """The same, where only some segments count."""
        return self.without(self.records.keys() - segments)

    def without(self, segments: Set[str]) -> Layer:
        """The same, where some segments count no more."""
        gone = tuple(name for name in self.records if name in segments)
        records = {name: count for name, count in self.records.items() if name not in segments}
        return replace(self, records=records, gone=(*self.gone, *gone))


def listed(derived: Path) -> list[Layer]:
    """The layers of a derived folder; none where it has none that can be read."""
    try:
        return layers_of((derived / LIST).read_bytes())
    except OSError:
        return []


def can_be_linked(derived: Path, layers: Iterable[Layer]) -> bool:
    """Whether all is there that an ingest goes on from: who only reads a case in a bucket has fetched less."""
    return all(
        (derived / LAYERS / f"{layer.name}.{kind}").exists() for layer in layers for kind in FOR_LINKING
    )


def layers_of(text: bytes) -> list[Layer]:
    """The layers that a list tells of, by names that can be those of files; none if it can't be read."""
    try:
        found = msgspec.json.decode(text, type=list[Layer])
    except (ValueError, RecursionError):
        return []
    named = (name for one in found for name in (one.name, *one.records, *one.gone, *one.ids))
    return found if all(map(SEGMENT.fullmatch, named)) else []


def whole(derived: Path, segments: Set[int]) -> list[Layer]:
    """The layers of a derived folder in which any count, if they tell of exactly some segments; else none."""
    layers = [one for one in listed(derived) if one.records] if (derived / LAYERS).is_dir() else []
    told = [one for layer in layers for one in numbers(layer.records)]
    return layers if len(told) == len(segments) and segments == set(told) else []


def numbers(segments: Iterable[str]) -> list[int]:
    """Segments as records name them."""
    return sorted(int(name, 16) for name in segments)


def listing(derived: Path, layers: Sequence[Layer]) -> None:
    """Say which layers a derived folder has."""
    (derived / LIST).write_text(json.dumps([asdict(one) for one in layers]))


def prepare(derived: Path) -> None:
    """Make room for layers in a derived folder."""
    (derived / LAYERS).mkdir(mode=0o700)


def clear(derived: Path) -> None:
    """Empty a derived folder that is not in place yet."""
    for path in derived.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def take_over(origin: Path, derived: Path, layers: Iterable[Layer]) -> None:
    """Give a derived folder the files of some layers of another one."""
    for layer in layers:
        for path in (origin / LAYERS).glob(f"{layer.name}.*"):
            linked(path, derived / LAYERS / path.name)


def linked(path: Path, target: Path) -> None:
    """Give a file another name, as what it holds never changes."""
    try:
        os.link(path, target)
    except FileNotFoundError:
        raise
    except OSError:  # not every file system can
        shutil.copyfile(path, target)


def table_file(derived: Path, layer: Layer, name: str) -> Path:
    """Where a table of a layer lies."""
    return derived / LAYERS / f"{layer.name}.{name}.parquet"


def marks(derived: Path, layer: Layer, kind: str) -> Marks:
    """
    The sorted marks of a layer's event ids or names, as they lie on disk: they may be too many to hold.

    Raises:
        CaseError: they are not what was written, as after a loss of power; what is missing would not be looked for.
    """
    try:
        found = _read(derived, layer.name, kind)
    except (OSError, ValueError) as error:
        raise CaseError(f"{derived}: marks of {kind} can't be read ({error}).") from error
    if layer.ends.get(kind) != _end(found):
        raise CaseError(f"{derived}: marks of {kind} are damaged.")
    return found


def write_marks(derived: Path, name: str, kind: str, parts: Iterable[Marks]) -> Marks:
    """Keep marks under a name, sorted, in parts that follow each other; answers them as on disk."""
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
    Make the marks of new segments those of a layer, with those of the layers it takes in.

    Args:
        derived: Where they are to lie.
        kind: What they mark.
        fresh: The name under which those of the new segments are kept until now.
        segments: The new ones, in the order of their numbers there.
        layer: The layer.
        origin: Where the layers lie that it takes in.
        taken: Those of them whose marks count.

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
    Make marks of some segments each, in the order of their numbers there, those of a layer.

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
    """How many marks there are, the last, and a checksum of them; of so many that it would take its time, 0."""
    if not len(some):
        return 0, 0, 0
    return len(some), int(some[-1]), zlib.crc32(some.data) if some.nbytes <= _SUMMED else 0


def met(derived: Path, layers: Iterable[Layer], fresh: Marks) -> tuple[Beginnings, set[str]]:
    """What ids of new segments begin with that may be in older ones, and in which segments to look for them."""
    found, where = [fresh[:0]], set[str]()
    for layer in layers:
        same, owners = common(fresh, marks(derived, layer, IDS))
        found.append(same)
        where.update(layer.ids[one] for one in owners if layer.tells_apart and one < len(layer.ids))
        where.update(layer.ids if len(same) and not layer.tells_apart else ())
    return distinct(np.concatenate(found)), where


def absorbed(layers: Sequence[Layer], size: int) -> list[Layer]:
    """The layers that a new one takes in: those that are no larger, the smallest first, as it grows by them."""
    taken: list[Layer] = []
    for layer in sorted(layers, key=lambda one: (one.size, one.name)):
        if layer.size > size or size + layer.size > AT_ONCE:
            break
        taken.append(layer)
        size += layer.size
    return taken
