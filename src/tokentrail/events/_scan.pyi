"""The compiled scanner; `_scan.c` says what it does and what it refuses."""

from collections.abc import Callable

from msgspec import Raw

Call = tuple[
    int, int, bool, str | None, str | None, str | None, bytes | Raw, bytes | Raw, bytes | Raw, bytes | Raw
]
"""Row, mark, whether it succeeded; source, name, shared id; request, answer, details, additional data."""

class Scanner:
    rows: int
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
    def take(self) -> tuple[bytes, bytes, list[Call], list[tuple[int, str]]]: ...
