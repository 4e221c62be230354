"""How a scene reads raw records, and has them judged where they lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import pyarrow as pa

from tokentrail.events.sifting import Needs
from tokentrail.lineage.rows import Row

Place = tuple[int, int, int]
"""Where a raw record lies: segment, object, ordinal."""
Read = Callable[[Sequence[Place]], Iterator[tuple[Place, Any]]]
"""Reads raw records, secrets blanked; those that can't be read any more are left out."""


def place_of(row: Row) -> Place:
    """Where the record lies that a row is of."""
    return row["segment"], row["object"], row["ordinal"]


class Judge(Protocol):
    """Judges raw records; it pickles, so that other processes can be handed it."""

    def members(self) -> frozenset[str] | None:
        """The members of a record that it looks at; `None` for the whole of it."""

    def needs(self) -> Needs:
        """What a record must hold for it to answer a question."""

    def __call__(self, mask: int, record: Any) -> list[Any]:
        """What a record answers to the questions whose bits are set."""


Sweep = Callable[[Iterable[pa.Table], int, Judge], Iterator[tuple[Place, list[Any]]]]
"""Reads the raw records that tables name (segment, object, ordinal, and masks of so many bits), secrets and all, and
tells what they answered."""


def one_by_one(
    read: Read, wanted: Iterable[pa.Table], bits: int, judge: Judge
) -> Iterator[tuple[Place, list[Any]]]:
    """Judge records by reading them here, where there is no quicker way."""
    for table in wanted:
        columns: list[list[Any]] = [table[name].to_pylist() for name in table.column_names]
        asked: dict[Place, int] = {}
        for segment, number, ordinal, *masks in zip(*columns, strict=True):
            asked[segment, number, ordinal] = sum(mask << (bits * at) for at, mask in enumerate(masks))
        for place, record in read(list(asked)):
            if answers := judge(asked[place], record):
                yield place, answers
