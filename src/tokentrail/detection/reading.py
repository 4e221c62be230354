"""How a scene reads raw records, or has them judged by other processes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Protocol

import pyarrow as pa

from tokentrail.events.sifting import Needs
from tokentrail.lineage.rows import Row

Place = tuple[int, int, int]
"""The place of a raw record: segment, object, ordinal."""
Read = Callable[[Sequence[Place]], Iterator[tuple[Place, Any]]]
"""Reads raw records, with secrets blanked; those that can no longer be read are left out."""


def place_of(row: Row) -> Place:
    """The place of a row's raw record."""
    return row["segment"], row["object"], row["ordinal"]


class Judge(Protocol):
    """Judges raw records; it pickles, so that other processes can use it."""

    def members(self) -> frozenset[str] | None:
        """The members of a record that it looks at; `None` for the whole of it."""

    def needs(self) -> Needs:
        """What a record must contain to answer any question; others need not be parsed."""

    def __call__(self, mask: int, record: Any) -> list[Any]:
        """The answers of a record to the questions whose bits are set in `mask`."""


Sweep = Callable[[Iterable[pa.Table], int, Judge], Iterator[tuple[Place, list[Any]]]]
"""Judges the raw records that tables name by segment, object and ordinal, with columns of masks of so many bits each.
The judge sees secrets, too; the answers are yielded with the records' places."""


def one_by_one(
    read: Read, wanted: Iterable[pa.Table], bits: int, judge: Judge
) -> Iterator[tuple[Place, list[Any]]]:
    """Judge records one by one in this process, if there is no quicker way."""
    for table in wanted:
        columns: list[list[Any]] = [table[name].to_pylist() for name in table.column_names]
        asked: dict[Place, int] = {}
        for segment, number, ordinal, *masks in zip(*columns, strict=True):
            asked[segment, number, ordinal] = sum(mask << (bits * at) for at, mask in enumerate(masks))
        for place, record in read(list(asked)):
            if answers := judge(asked[place], record):
                yield place, answers
