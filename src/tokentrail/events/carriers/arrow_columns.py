"""Columns of a batch of rows by the paths of their fields: each distinct value once, and which row has which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tokentrail.events.carriers.slim import OTHER_KIND

Codes = npt.NDArray[np.int64]
_MOST = 1 << 40


class Column(NamedTuple):
    """Each row's number, -1 for none, and the values that the numbers stand for."""

    codes: Codes
    values: Sequence[Any]

    def at(self, row: int) -> Any:
        """A row's value."""
        code = self.codes[row]
        return None if code < 0 else self.values[code]


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
        return Column(np.full(count, -1), ())
    if pa.types.is_dictionary(found.type):
        found = found.dictionary_decode()
    if not (pa.types.is_string(found.type) or pa.types.is_large_string(found.type)):
        raise OTHER_KIND
    encoded = found.dictionary_encode()
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Column(codes, encoded.dictionary.to_pylist())


def values(found: Any, count: int) -> Column:
    """A column of texts, numbers, flags or times."""
    if found is None or pa.types.is_null(found.type) or pa.types.is_dictionary(found.type):
        return texts(found, count)
    if pa.types.is_string(found.type) or pa.types.is_large_string(found.type):
        return texts(found, count)
    if pa.types.is_nested(found.type) or pa.types.is_floating(found.type):
        raise OTHER_KIND
    numbers: dict[Any, int] = {None: -1}
    codes = [numbers.setdefault(one, len(numbers) - 1) for one in found.to_pylist()]
    return Column(np.array(codes, np.int64), list(numbers)[1:])


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
