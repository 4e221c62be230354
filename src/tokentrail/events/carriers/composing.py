"""
Compose rows of text of columns: compiled if possible, else in Python, with the same bytes.

A column has a number for each row, -1 for nothing, and the texts that the numbers stand for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pyarrow as pa

from tokentrail.events.carriers.arrow_columns import Codes
from tokentrail.events.loose import FAILURES

if TYPE_CHECKING:
    from tokentrail.events._tell import Column

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
Texts = Sequence[str]
LATEST = 1 << 45
"""
The first number of milliseconds that is no time. Nor is 0: OCSF requires a time, and writers that know none put 0.
"""


def _compiled() -> Callable[[int, tuple[Column, ...]], list[bytes | None]] | None:
    try:
        from tokentrail.events._tell import compose
    except ImportError:  # no compiler was there when it was installed
        return None
    return compose


_compose = _compiled()


class Rows:
    """Collects columns from left to right, of which rows are then composed."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._columns: list[Any] = []

    def constant(self, text: str) -> None:
        """The same in each row."""
        self._columns.append(text.encode())

    def times(self, milliseconds: Codes) -> None:
        """Times as CloudTrail spells them; 0 and less gives nothing, `LATEST` and more makes the whole row `None`."""
        self._columns.append((np.ascontiguousarray(milliseconds, np.int64),))

    def texts(self, codes: Codes | None, texts: Texts | pa.StringArray) -> None:
        """Texts by their numbers, or one for each row if `codes` is `None`. Texts in Arrow must not be null."""
        self._columns.append(self._column(codes, texts))

    def objects(self, name: str, codes: Codes, texts: Texts | pa.StringArray) -> None:
        """Members of a name whose values are JSON objects; any other value makes the whole row `None`."""
        self._columns.append((*self._column(codes, texts), f',"{name}":'.encode()))

    def _column(self, codes: Codes | None, texts: Texts | pa.StringArray) -> tuple[Any, Any, Any]:
        found = texts if isinstance(texts, pa.Array) else pa.array(texts, pa.string())
        _, offsets, data = found.buffers()
        size = np.dtype(np.int32).itemsize
        held = memoryview(offsets or b"\0" * size)
        numbers = held[found.offset * size : (found.offset + len(found) + 1) * size]
        codes = None if codes is None else np.ascontiguousarray(codes, np.int64)
        return codes, numbers, data if data is not None else b""

    def made(self) -> list[bytes | None]:
        """The rows."""
        if _compose is not None:
            return _compose(self._count, tuple(self._columns))
        parts = [_in_python(one, self._count) for one in self._columns]
        return [None if None in row else b"".join(row) for row in zip(*parts, strict=True)]


def _in_python(column: Any, count: int) -> list[bytes | None]:
    """The texts of a column for each row; `None` for what should be an object or a time, and is none."""
    if isinstance(column, bytes):
        return [column] * count
    if len(column) == 1:
        (times,) = column
        spelled = np.datetime_as_string((np.clip(times, 0, LATEST) // 1000).astype("M8[s]")).tolist()
        return [
            (f"{text}Z".encode() if time < LATEST else None) if time > 0 else b""
            for time, text in zip(times.tolist(), spelled, strict=True)
        ]
    codes, offsets, data, *before = column
    ends = np.frombuffer(offsets, np.int32).tolist()
    held = bytes(data)
    texts: list[bytes | None] = [held[start:end] for start, end in pairwise(ends)]
    if before:
        texts = [before[0] + text if text is not None and _is_object(text) else None for text in texts]
    return texts if codes is None else [b"" if code < 0 else texts[code] for code in codes.tolist()]


def _is_object(text: bytes) -> bool:
    """Whether a text is one object, from its first byte to its last."""
    try:
        _decode_object(text)
    except FAILURES:
        return False
    return text[:1] == b"{" and text[-1:] == b"}"
