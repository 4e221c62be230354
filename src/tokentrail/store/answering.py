"""
What one process does of a sweep: read evidence objects, and put questions to the records that are wanted of each.

It loads quickly, since a process that starts for a second's work must not spend half of it on its start.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from keyword import iskeyword
from typing import Any, Protocol, TypeAlias

import msgspec

from tokentrail.errors import CaseError
from tokentrail.events.gunzip import expand
from tokentrail.events.loose import FAILURES
from tokentrail.events.sifting import Needs, Sieve
from tokentrail.store.received import Location, decoded, received

Place = tuple[int, int, int]
Tell: TypeAlias = Callable[[int, int, Any], None]
"""Takes a record: its ordinal, what it is asked, and the record."""
_NULL = msgspec.Raw(b"null")
_decode = msgspec.json.Decoder().decode
_NATIVE = b'"eventVersion"'
_HEAD = 1 << 12
"""A record of CloudTrail's begins with its version: what lacks that near the beginning may be a transport's message."""


class Judge(Protocol):
    """Judges records by the questions whose bits are set."""

    def members(self) -> frozenset[str] | None:
        """The members of a record that it looks at; `None` for the whole of it."""

    def needs(self) -> Needs:
        """What a record must hold for it to answer a question."""

    def __call__(self, mask: int, record: Any) -> list[Any]:
        """What a record answers."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is wanted of one evidence object."""

    segment: int
    number: int
    location: Location
    sha256: str
    ordinals: bytes
    """32 bits each, climbing."""
    masks: bytes
    """For each ordinal `columns` times 64 bits, of which `bits` count."""
    columns: int
    bits: int
    bound: int
    """How far it may expand."""
    native: bool
    """Whether all of its records stand in it as CloudTrail wrote them."""

    def asked(self) -> Iterator[tuple[int, int]]:
        """Each ordinal with its mask."""
        return zip(
            memoryview(self.ordinals).cast("i"), joined(self.masks, self.columns, self.bits), strict=True
        )

    def __len__(self) -> int:
        """How many records are wanted."""
        return len(self.ordinals) // array("i").itemsize


@dataclass(frozen=True, slots=True)
class Answers:
    """What the records of a task answered, and how many could not be read any more."""

    found: list[tuple[Place, list[Any]]]
    lost: int


def judged(judge: Judge, task: list[Wanted]) -> Answers:
    """Judge the wanted records of some objects."""
    found: list[tuple[Place, list[Any]]] = []
    lost = 0
    names = judge.members()
    if names is not None and not all(name.isidentifier() and not iskeyword(name) for name in names):
        names = None
    sieve = Sieve(sorted(names), judge.needs()) if names is not None else None
    for one in task:
        try:
            data = received(one.location, one.sha256)
        except CaseError:
            lost += len(one)
            continue
        seen, answers = _answered(judge, data, one, sieve)
        found += [((one.segment, one.number, ordinal), each) for ordinal, each in answers]
        lost += len(one) - seen
    return Answers(found, lost)


def _answered(
    judge: Judge, data: bytes, one: Wanted, sieve: Sieve | None
) -> tuple[int, list[tuple[int, list[Any]]]]:
    """How many of the wanted records there are, and what those answered that had an answer."""
    found: list[tuple[int, list[Any]]] = []

    def tell(ordinal: int, mask: int, record: Any) -> None:
        if answers := judge(mask, record):
            found.append((ordinal, answers))

    if sieve is not None and one.native:
        expanded = _trimmed(expand(data, bound=one.bound).data)
        if _NATIVE in expanded[:_HEAD]:
            try:
                seen = _sifted(expanded, one, sieve, tell)
                seen = _listed(expanded, one, sieve, tell) if seen is None else seen
            except FAILURES:  # a member that can't be read by itself
                seen = None
            if seen is not None:
                return seen, found
            found.clear()
    return _whole(data, one, tell), found


def _sifted(expanded: bytes, one: Wanted, sieve: Sieve, tell: Tell) -> int | None:
    """By the compiled way; `None` where that is not there, or the file is not for it."""
    sifted = sieve.sift(expanded, one.ordinals, one.masks, one.columns, one.bits)
    if sifted is None:
        return None
    ordinals = memoryview(one.ordinals).cast("i")
    for place, mask in enumerate(joined(sifted.masks, one.columns, one.bits)):
        if mask:
            tell(ordinals[place], mask, sifted.record(place))
    return sifted.count


def _listed(expanded: bytes, one: Wanted, sieve: Sieve, tell: Tell) -> int | None:
    """By decoding no more than the members that are looked at; `None` where the file as a whole can't be decoded so."""
    listed = _decoder(sieve.members)(expanded).Records
    if listed is None:
        return None
    seen = 0
    for ordinal, mask in one.asked():
        if ordinal >= len(listed):
            break
        seen += 1
        record = _Parts(listed[ordinal])
        left = sieve.left(mask, record.spelled)
        if left:
            tell(ordinal, left, record)
    return seen


def _whole(data: bytes, one: Wanted, tell: Tell) -> int:
    """By decoding each wanted record, whatever it is packed in and whatever state it is in."""
    from tokentrail.events.reading import every_piece  # takes its time to load, and is rarely needed

    asked, seen = one.asked(), 0
    wanted = next(asked, None)
    for at, piece in enumerate(every_piece(data, bound=one.bound)):
        if wanted is None:
            break
        if at == wanted[0]:
            tell(*wanted, decoded(piece.raw))
            seen += 1
            wanted = next(asked, None)
    return seen


def _trimmed(data: bytes) -> bytes:
    if data[:1] == b"{":
        return data
    from tokentrail.events.split import trim  # as above

    return trim(data)


def joined(masks: bytes, columns: int, bits: int) -> Iterator[int]:
    """One number for each record, of the columns that its mask stands in."""
    parts = memoryview(masks).cast("Q")
    if columns == 1:
        return iter(parts)
    return (
        sum(parts[start + at] << (bits * at) for at in range(columns))
        for start in range(0, len(parts), columns)
    )


class _Parts:
    """Some members of a record, each decoded when it is first looked at."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        value = self.__dict__[name] = _decode(getattr(self._raw, name))
        return value

    def spelled(self, name: str) -> bytes:
        """The text of a member."""
        return bytes(getattr(self._raw, name))


@lru_cache(maxsize=8)
def _decoder(names: tuple[str, ...]) -> Callable[[bytes], Any]:
    """Decode native files, and of each record only the members of some names."""
    record = msgspec.defstruct("Part", [(name, msgspec.Raw, _NULL) for name in names], gc=False)
    file = msgspec.defstruct("File", [("Records", list[record] | None, None)], gc=False)  # type: ignore[valid-type]  # `record` is a type at run time
    return msgspec.json.Decoder(file).decode
