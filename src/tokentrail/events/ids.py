"""
Make columns of event ids: sixteen bytes for each, and the text of those that are no plain UUIDs.

A UUID in its usual spelling is stored as its bytes, any other text as a digest.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, TypeAlias

import pyarrow as pa

from tokentrail.events.values import uuid_bytes

Array: TypeAlias = "pa.Array[Any]"
_DASHES = (8, 13, 18, 23)
_UUID_LENGTH = 36


def event_ids(texts: Sequence[str]) -> tuple[Array, Array]:
    """The two columns of some event ids."""
    packed = _plain_uuids(texts)
    if packed is not None:
        ids = pa.Array.from_buffers(pa.binary(16), len(texts), [None, pa.py_buffer(packed)])
        return ids, pa.nulls(len(texts), pa.string())
    plain_ids = [uuid_bytes(one) for one in texts]
    others = [None if known else one for known, one in zip(plain_ids, texts, strict=True)]
    return digests(texts), pa.array(others, pa.string())


def packed_ids(packed: bytes, odd: Sequence[tuple[int, str]]) -> tuple[Array, Array]:
    """
    The two columns of event ids that the scanner has packed.

    Args:
        packed: Sixteen bytes for each row.
        odd: The rows whose ids the scanner could not pack, and their texts.
    """
    count = len(packed) // 16
    spelled: list[str | None] = [None] * count if odd else []
    if odd:
        places = bytearray(packed)
        for row, text in odd:
            known = uuid_bytes(text)
            places[16 * row : 16 * row + 16] = known or _digest(text)
            spelled[row] = None if known else text
        packed = bytes(places)
    ids = pa.Array.from_buffers(pa.binary(16), count, [None, pa.py_buffer(packed)])
    return ids, pa.array(spelled, pa.string()) if odd else pa.nulls(count, pa.string())


def digests(texts: Iterable[str | None]) -> Array:
    """A column of sixteen bytes for each text, and of null for `None`."""
    ids = [None if one is None else uuid_bytes(one) or _digest(one) for one in texts]
    return pa.array(ids, pa.binary(16))


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _plain_uuids(texts: Sequence[str]) -> bytes | None:
    """The bytes of UUIDs, all at once; `None` if one of them is not spelled in the usual way."""
    count = len(texts)
    joined = "".join(texts)
    if len(joined) != _UUID_LENGTH * count or set(map(len, texts)) - {_UUID_LENGTH}:
        return None
    if any(joined[at::_UUID_LENGTH] != "-" * count for at in _DASHES):
        return None
    bare = joined.replace("-", "")
    try:
        packed = bytes.fromhex(bare)  # accepts spaces and capitals too, which are found below
    except ValueError:
        return None
    return packed if len(packed) == 16 * count and bare == bare.lower() else None
