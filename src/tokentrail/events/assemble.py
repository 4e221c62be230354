"""Make Arrow arrays of plain values, a column at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from tokentrail.events.values import SECRET_HINT, hide_secrets, seconds

Array: TypeAlias = "pa.Array[Any]"
Codes: TypeAlias = npt.NDArray[np.int32]
Moments: TypeAlias = npt.NDArray[np.int64]
_SECONDS = pa.timestamp("s", "UTC")
MOMENT_LENGTH = len("2024-03-01T00:00:00Z")


class Labels(dict[Any, int]):
    """Numbers values in the order in which they are first seen: `self[value]` is the number, of a new value too."""

    def __missing__(self, key: Any) -> int:
        self[key] = number = len(self)
        return number

    def codes(self, values: Iterable[Any], count: int) -> Codes:
        """The numbers of `count` values; quick for a tuple of equal ones, as accounts and regions of a log file are."""
        if isinstance(values, tuple) and values[0] == values[-1] and values.count(values[0]) == count:
            return np.full(count, self[values[0]], np.int32)
        return np.fromiter(map(self.__getitem__, values), np.int32, count)


class Marks:
    """Bits for each label, computed once for each label and not for each event that has it."""

    def __init__(self, labels: Labels, bits: Callable[[Any], int]) -> None:
        self._labels, self._bits = labels, bits
        self._found: list[int] = []

    def of(self, codes: Codes) -> npt.NDArray[np.uint8]:
        """The bits of each label in `codes`."""
        self._found += map(self._bits, islice(self._labels, len(self._found), None))
        marks: npt.NDArray[np.uint8] = np.array(self._found, np.uint8)[codes]
        return marks


def moments(texts: Sequence[str]) -> Moments | None:
    """Seconds since 1970 of texts as long as `2024-03-01T00:00:00Z`; `None` if any of them is spelled otherwise."""
    try:
        return pa.array(texts, pa.string()).cast(_SECONDS).view(pa.int64()).to_numpy()
    except pa.ArrowInvalid:
        return None


def optional_moments(texts: Sequence[str | None]) -> Array:
    """The same as a nullable column, in which a time that can't be read is null; any spelling of `seconds` will do."""
    if {len(text) for text in texts if text is not None} <= {MOMENT_LENGTH}:
        try:
            return pa.array(texts, pa.string()).cast(_SECONDS).view(pa.int64())
        except pa.ArrowInvalid:
            pass
    return pa.array([seconds(one) for one in texts], pa.int64())


def joined(parts: Sequence[Any], kind: pa.DataType) -> Array:
    """Join the parts of a column."""
    if not parts:
        return pa.array([], kind)
    return pa.concat_arrays([part if isinstance(part, pa.Array) else pa.array(part, kind) for part in parts])


def labelled(codes: Array, labels: Labels) -> Array:
    """Make a dictionary column of numbers from `labels`; the number of `None` becomes null."""
    absent = labels.get(None)
    if absent is not None:
        codes = pc.if_else(pc.equal(codes, pa.scalar(absent, pa.int32())), pa.scalar(None, pa.int32()), codes)
    values = ["" if value is None else value for value in labels]
    return pa.DictionaryArray.from_arrays(codes, pa.array(values, pa.string()))


def flags(values: Iterable[Any]) -> Array:
    """A boolean column from `True`, `False` and `None`."""
    return pa.array(values, pa.bool_())


def known_flags(values: npt.NDArray[np.int8]) -> Array:
    """A boolean column from 1 for true, 0 for false and 2 for null."""
    flags: Array = pa.array(values == 1, mask=values > 1)
    return flags


def sizes(values: Sequence[float | None]) -> Array:
    """A column of byte counts from numbers and `None`."""
    return counts(pa.array(values, pa.float64()).to_numpy(zero_copy_only=False))  # NaN where there is none


def counts(numbers: npt.NDArray[np.float64]) -> Array:
    """A column of byte counts; NaN, negative and absurdly large numbers become null."""
    sound = (numbers >= 0) & (numbers < float(1 << 62))
    return pa.array(np.where(sound, numbers, 0).astype(np.int64), mask=~sound)


def plain(values: Iterable[Any], kind: pa.DataType) -> Array:
    """A column of plain values, dictionary-encoded where its type says so."""
    if pa.types.is_dictionary(kind):
        return pa.array(values, pa.string()).dictionary_encode()
    return pa.array(values, kind)


def texts(characters: bytes, ends: npt.NDArray[np.int32], instead: Mapping[int, str | None]) -> Array:
    """
    A column of texts.

    Args:
        characters: The texts in UTF-8, one behind the other.
        ends: Where each of them ends. An empty one becomes null.
        instead: Other values for some rows.
    """
    offsets = np.concatenate((np.zeros(1, np.int32), ends))
    present = np.packbits(offsets[1:] > offsets[:-1], bitorder="little")
    buffers = [pa.py_buffer(one) for one in (present.tobytes(), offsets.tobytes(), characters)]
    column: Array = pa.Array.from_buffers(pa.string(), len(ends), [*buffers])
    if instead:
        places = np.zeros(len(ends), np.bool_)
        places[list(instead)] = True
        column = pc.replace_with_mask(column, pa.array(places), pa.array(instead.values(), pa.string()))
    return column


def own_labels(column: Array) -> Array:
    """A dictionary column with only the labels that it uses; any other column as it is."""
    return (
        column.dictionary_decode().dictionary_encode() if isinstance(column, pa.DictionaryArray) else column
    )


def without_secrets(table: pa.Table) -> pa.Table:
    """
    The same table with all secrets blanked that its texts hold.

    What becomes of a record passes here, however it was read: an attacker may put a secret in each text that he
    chooses, such as a user agent, a session's name or a path.
    """
    for at in range(table.num_columns):
        kind = table.schema.field(at).type
        if pa.types.is_string(kind) or pa.types.is_dictionary(kind):
            column = table.column(at).combine_chunks()
            if (hidden := _hidden(column)) is not column:
                table = table.set_column(at, table.schema.field(at), hidden)
    return table


def _hidden(column: Array) -> Array:
    """A column of texts without the secrets in them; itself where it has none."""
    if isinstance(column, pa.DictionaryArray):
        labels = _hidden(column.dictionary)
        if labels is column.dictionary:
            return column
        return own_labels(pa.DictionaryArray.from_arrays(column.indices, labels))  # two may have become one
    suspects: Array = pc.match_substring_regex(column, SECRET_HINT)
    if not pc.any(suspects).as_py():
        return column
    shown = [hide_secrets(str(text)) for text in column.filter(suspects).to_pylist()]
    mask: Array = suspects.fill_null(False)
    hidden: Array = pc.replace_with_mask(column, mask, pa.array(shown, pa.string()))
    return hidden


def same(value: int, count: int) -> Array:
    """One number, `count` times."""
    return pa.array(np.full(count, value, dtype=np.int64))
