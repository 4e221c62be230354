"""Columns of a batch of rows: each distinct value once, and for each row the number of its value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tokentrail.events.carriers.known import Numbers
from tokentrail.events.carriers.slim import OTHER_KIND

Codes = npt.NDArray[np.int64]
_MOST = 1 << 40
_NO_NUMBER = np.iinfo(np.int64).min


class Column:
    """Each row's number, -1 for none, and the values that the numbers stand for."""

    def __init__(self, codes: Codes, distinct: Any) -> None:
        self.codes = codes
        self.distinct = distinct
        """The values, in Arrow."""

    @cached_property
    def values(self) -> Sequence[Any]:
        """The same in Python."""
        found: Sequence[Any] = self.distinct.to_pylist()
        return found

    def at(self, row: int) -> Any:
        """A row's value."""
        code = self.codes[row]
        return None if code < 0 else self.values[code]

    def used(self) -> tuple[Codes, list[Any]]:
        """The rows' numbers among the values that occur, and these, `None` among them where a row has none."""
        codes, places = numbered(self.codes + 1)
        return codes, [None if place == 0 else self.values[place - 1] for place in places.tolist()]

    def only(self, rows: npt.NDArray[np.bool_]) -> Column:
        """The same, nothing in the other rows."""
        return Column(np.where(rows, self.codes, -1), self.distinct)

    def without_empty(self) -> Column:
        """The same, nothing where a text is empty."""
        return Column(np.where(self.codes == self.code_of(""), -1, self.codes), self.distinct)

    def code_of(self, value: str) -> int:
        """The number of a text; one that no row has where it does not occur."""
        found = pc.index(self.distinct, pa.scalar(value, self.distinct.type)).as_py()
        return -2 if found < 0 else int(found)


def nothing(count: int) -> Column:
    """A column in which no row has anything."""
    return Column(np.full(count, -1), pa.array([], pa.string()))


def numbered(codes: Codes) -> tuple[Codes, Codes]:
    """Numbers for the small whole numbers that occur, and these, climbing."""
    occurs = np.bincount(codes, minlength=1) > 0
    return (np.cumsum(occurs) - 1)[codes], np.flatnonzero(occurs)


def array(batch: pa.RecordBatch, path: str) -> Any:
    """The column of a field; `None` where there is no such field."""
    head, *rest = path.split(".")
    if batch.schema.names.count(head) != 1:
        return None
    found: Any = batch.column(head)
    for name in rest:
        if not pa.types.is_struct(found.type) or found.type.get_field_index(name) < 0:
            return None
        found = pc.struct_field(found, [found.type.get_field_index(name)])
    return found


def texts(found: Any, count: int) -> Column:
    """
    A column of texts.

    Raises:
        FAILURES: it holds something else.
    """
    if found is None or pa.types.is_null(found.type):
        return nothing(count)
    if pa.types.is_dictionary(found.type):
        found = found.dictionary_decode()
    if pa.types.is_large_string(found.type):
        found = found.cast(pa.string())
    if not pa.types.is_string(found.type):
        raise OTHER_KIND
    return _encoded(found)


def _encoded(found: Any) -> Column:
    encoded = found.dictionary_encode()
    indices = encoded.indices.fill_null(-1) if encoded.null_count else encoded.indices
    return Column(indices.to_numpy(zero_copy_only=False).astype(np.int64), encoded.dictionary)


def values(found: Any, count: int) -> Column:
    """A column of texts, numbers, flags or times."""
    if found is None or pa.types.is_null(found.type) or pa.types.is_dictionary(found.type):
        return texts(found, count)
    if pa.types.is_string(found.type) or pa.types.is_large_string(found.type):
        return texts(found, count)
    if (
        pa.types.is_integer(found.type)
        or pa.types.is_boolean(found.type)
        or pa.types.is_timestamp(found.type)
    ):
        return _encoded(found)
    raise OTHER_KIND


def numbers(found: Any) -> Codes:
    """
    A column of whole numbers without gaps.

    Raises:
        FAILURES: it is none.
    """
    if found is None or not pa.types.is_integer(found.type) or found.null_count:
        raise OTHER_KIND
    whole: Codes = found.to_numpy(zero_copy_only=False).astype(np.int64)
    return whole


def numbers_or_none(found: Any, count: int) -> tuple[Codes, npt.NDArray[np.bool_]]:
    """
    A column of whole numbers, and which rows have one.

    Raises:
        FAILURES: it holds something else.
    """
    if found is None or pa.types.is_null(found.type):
        return np.zeros(count, np.int64), np.zeros(count, np.bool_)
    if not pa.types.is_integer(found.type):
        raise OTHER_KIND
    whole = found.fill_null(0).to_numpy(zero_copy_only=False).astype(np.int64)
    return whole, found.is_valid().to_numpy(zero_copy_only=False)


def distinct_runs(numbers: Codes, lengths: Codes) -> tuple[Codes, list[bytes]]:
    """
    Number what rows have, each some of the numbers that lie behind one another.

    Returns:
        For each row the number of its run, and the runs, as bytes of numbers of 64 bits.
    """
    if lengths.max(initial=0) <= 1:
        return _distinct_ones(numbers, lengths)
    packed, known = numbers.astype(np.int64).tobytes(), Numbers()
    ends = (np.cumsum(lengths) * 8).tolist()
    codes = [known[packed[start:end]] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    return np.array(codes, np.int64), list(known)


def _distinct_ones(numbers: Codes, lengths: Codes) -> tuple[Codes, list[bytes]]:
    """The same for rows of which none has more than one number."""
    held = np.full(len(lengths), _NO_NUMBER, np.int64)
    held[lengths > 0] = numbers
    ones, codes = np.unique(held, return_inverse=True)
    return codes.reshape(-1), [b"" if one == _NO_NUMBER else one.tobytes() for one in ones]


def leaves(found: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The fields below a column, with their paths."""
    if found is None:
        return
    if not pa.types.is_struct(found.type):
        yield path, found
        return
    for at in range(found.type.num_fields):
        yield from leaves(pc.struct_field(found, [at]), (*path, found.type.field(at).name))


def combined(columns: Sequence[Codes], count: int) -> Codes:
    """One number for all that rows have in some columns."""
    found, many = np.zeros(count, np.int64), 1
    for codes in columns:
        width = int(codes.max(initial=-1)) + 2
        if many * width >= _MOST:
            _, found = np.unique(found, return_inverse=True)
            many = int(found.max(initial=0)) + 1
        found = found * width + codes + 1
        many *= width
    return found
