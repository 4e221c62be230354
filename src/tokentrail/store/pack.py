"""
Small evidence objects, many in one file: an uncompressed tar archive, so that everybody's tools open it.

A member's name is the SHA-256 of its bytes, and nothing else of it varies: the same objects give the same archive. To
make a file costs as much as to read one of ten records, and there would be a file for each.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

SMALL = 1 << 16
"""Bytes up to which an object is small."""
MOST = 16 << 20
"""Bytes that a pack holds at most: those of a task wait in memory until its segment is written."""
_AT_ONCE = 300
"""Headers, objects and paddings that are written together: some hundred kilobytes, mostly."""
_BLOCK = tarfile.BLOCKSIZE
_WHEN = 315_532_800  # 1980-01-01T00:00:00Z: for programs to which 1970 is no time
_DIGITS = 64
_PADDING = [bytes(-size % _BLOCK) for size in range(_BLOCK)]
_END = bytes(2 * _BLOCK)


class Pack:
    """Objects that are to be packed, held in memory."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._objects: list[tuple[str, bytes]] = []

    def __len__(self) -> int:
        """How many objects it holds."""
        return len(self._objects)

    def only(self) -> tuple[str, bytes]:
        """The one object that it holds, with its SHA-256: not worth an archive."""
        [one] = self._objects
        return one

    def fits(self, data: bytes) -> bool:
        """Whether an object may be added."""
        return len(data) <= SMALL and self._size + len(data) <= MOST

    def add(self, sha256: str, data: bytes) -> int:
        """Add an object; at which byte of the archive it begins."""
        at = self._size + _BLOCK
        padding = _PADDING[len(data) % _BLOCK]
        self._parts += (_header(sha256, len(data)), data, padding)
        self._objects.append((sha256, data))
        self._size = at + len(data) + len(padding)
        return at

    def archive(self) -> Iterator[bytes]:
        """The archive, some objects at a time: to find memory for all of it at once takes longer than to write it."""
        for start in range(0, len(self._parts), _AT_ONCE):
            yield b"".join(self._parts[start : start + _AT_ONCE])
        yield _END


def _blank() -> bytearray:
    member = tarfile.TarInfo("0" * _DIGITS)
    member.mode, member.mtime = 0o400, _WHEN
    header = bytearray(member.tobuf(tarfile.USTAR_FORMAT))
    header[_NAME], header[_SIZE], header[_SUM] = bytes(_DIGITS), bytes(_SIZE.stop - _SIZE.start), b" " * 8
    return header


_NAME, _SIZE, _SUM = slice(0, _DIGITS), slice(124, 135), slice(148, 156)
"""What differs from one member to the next (POSIX.1-1988, ustar): `tarfile` makes the rest once, as it takes fifteen
times as long to make a header as all else takes that is done to pack an object."""
_BLANK = _blank()
_BETWEEN, _BEFORE, _AFTER = (
    bytes(_BLANK[one])
    for one in (slice(_NAME.stop, _SIZE.start), slice(_SIZE.stop, _SUM.start), slice(_SUM.stop, None))
)
_KNOWN = sum(_BLANK)


def _header(name: str, size: int) -> bytes:
    told, length = name.encode(), b"%011o" % size
    added = _KNOWN + sum(told) + sum(length)
    return b"%b%b%b%b%06o\0 %b" % (told, _BETWEEN, length, _BEFORE, added, _AFTER)
