"""
Read values from JSON whose shape nobody guarantees.

Nothing here raises an error for bad data: a value of the wrong type counts as absent.
"""

from __future__ import annotations

import codecs
import math
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec

Parsed = TypeVar("Parsed")
Raw: TypeAlias = "msgspec.Raw | bytes"
"""A complete JSON value that nobody has decoded yet."""

_Utf8 = codecs.getincrementaldecoder("utf-8")
_STEP = 1 << 20
"""Bytes that are decoded together: as characters they may take four times as much memory."""
FAILURES = (msgspec.MsgspecError, RecursionError, UnicodeDecodeError)
"""All that the decoder raises for bad input."""


def is_text(data: bytes) -> bool:
    """Whether bytes are UTF-8, which the JSON decoder checks only in values that it keeps."""
    if data.isascii():
        return True
    decode = _Utf8().decode
    try:
        for at in range(0, len(data), _STEP):
            decode(data[at : at + _STEP])
        decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def filled(texts: Sequence[str | None]) -> Sequence[str | None]:
    """Replace empty texts by `None`: where there is no value, CloudTrail and carriers write either."""
    return [text or None for text in texts] if "" in texts else texts


def decoded(raw: Raw) -> dict[str, Any]:
    """The object in `raw`; an empty one where there is none."""
    try:
        value = msgspec.json.decode(raw)
    except FAILURES:
        return {}
    return value if isinstance(value, dict) else {}


def text(value: Any, *path: str) -> str | None:
    """The text at `path`, numbers spelled out; `None` where there is none."""
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    return str(value) or None


def number(value: Any) -> int | None:
    """A whole number that fits 63 bits, also where it is spelled as text."""
    if type(value) is int and abs(value) < 1 << 62:
        return value
    if value is None or isinstance(value, bool) or not isinstance(value, (str, int, float)):
        return None
    try:
        found = value if isinstance(value, int) else int(float(value))
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < 1 << 62 else None


def clean(value: Any) -> Any:
    """Replace what JSON can't carry: lone surrogates, NaN and infinities."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {clean(key): clean(item) for key, item in value.items()}
    if isinstance(value, list):
        return [clean(item) for item in value]
    return value


class Each(Generic[Parsed]):
    """
    Decodes many small JSON values to a type in one call; one by one if that fails.

    Args:
        kind: The type.
        forgiving: Makes a value of the type from any JSON object, for those that are not of it.
    """

    def __init__(self, kind: type[Parsed], forgiving: Callable[[dict[str, Any]], Parsed]) -> None:
        self._every = msgspec.json.Decoder(list[kind | None]).decode  # type: ignore[valid-type]  # `kind` is a type at run time
        self._one = msgspec.json.Decoder(kind | None).decode
        self._forgiving = forgiving

    def __call__(self, raws: Sequence[Raw], odd: list[int] | None = None) -> list[Parsed | None]:
        """
        Decode the values; `None` where one is null.

        Args:
            raws: Complete JSON values, as the decoder cut them out of their records.
            odd: Receives the places of the values that `forgiving` had to read, some of which may be lost.
        """
        try:
            return self._every(b"[" + b",".join(raws) + b"]")
        except FAILURES:
            return [self._carefully(raw, n, odd) for n, raw in enumerate(raws)]

    def _carefully(self, raw: Raw, place: int, odd: list[int] | None) -> Parsed | None:
        try:
            found: Parsed | None = self._one(raw)
        except FAILURES:
            if odd is not None:
                odd.append(place)
            return self._forgiving(decoded(raw))
        return found
