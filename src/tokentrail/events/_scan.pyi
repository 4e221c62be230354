"""The compiled scanner; `native/scan.c` says what it does and what it refuses."""

from collections.abc import Callable, Sequence
from typing import Any

from msgspec import Raw

Calls = tuple[
    list[int], list[int], list[bool], list[str | None], list[str | None], list[str | None],
    list[bytes | Raw], list[bytes | Raw], list[bytes | Raw], list[bytes | Raw],
]  # fmt: skip
"""Row, mark, whether all of it counts; source, name, shared id; request, answer, details, additional data."""

class Scanner:
    rows: int
    kept: int
    def __new__(
        cls,
        labels: tuple[dict[str | None, int], ...],
        identities: dict[bytes, int],
        marks: tuple[Callable[[str | None], int], Callable[[str | None], int]],
        wanted: bytes,
        decode: Callable[[bytes], str],
        missing: Raw,
        seed: int,
        /,
    ) -> Scanner: ...
    def scan(self, data: bytes, object: int, /) -> tuple[int, int, int] | None: ...
    def scan_each(self, texts: list[bytes], object: int, first: int, /) -> tuple[int, int] | None: ...
    def take(self) -> tuple[bytes, bytes, Calls, list[tuple[int, str]]]: ...

Plan = tuple[bytes, int, int]
"""Of a member its name, what it may be, and how many of those that follow are inside it."""

def pluck(
    raws: Sequence[bytes | Raw], plan: tuple[Plan, ...], decode: Callable[[bytes], str], missing: Raw, /
) -> tuple[list[Any], ...] | None: ...
