"""Carriers' events told anew, compiled; `native/tell.c` says what it does and what it refuses."""

from collections.abc import Callable
from typing import Any

class Teller:
    def __new__(
        cls,
        labels: tuple[dict[str | None, int], dict[str | None, int], dict[str | None, int], dict[bytes, int]],
        marks: tuple[Callable[[str | None], int], Callable[[str | None], int], Callable[[str], int]],
        wanted: bytes,
        decode: Callable[[bytes], str],
        template: Callable[[bytes, bytes, int, int], tuple[tuple[bytes, ...], bytes] | None],
        stand_ins: tuple[bytes, bytes],
        seed: int,
        /,
    ) -> Teller: ...
    def elastic(self, item: bytes, /) -> bytes | None: ...
    def ocsf(self, item: bytes, /) -> bytes | None: ...
    def old_ocsf(self, item: bytes, /) -> bytes | None: ...

# A constant; (times,); (codes, offsets, texts); the same and what stands before each text. All but it are buffers.
Column = bytes | tuple[Any] | tuple[Any, Any, Any] | tuple[Any, Any, Any, bytes]

def compose(rows: int, columns: tuple[Column, ...], /) -> list[bytes | None]: ...
