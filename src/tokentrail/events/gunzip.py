"""Expand gzip evidence within bounds, and keep what can be read before a damaged place."""

from __future__ import annotations

import re
from dataclasses import dataclass

from isal import isal_zlib

GZIP_MAGIC = b"\x1f\x8b"
DEFAULT_BOUND = 448 << 20
"""Bytes that one object may expand to: a 50 MB log file expands to about 400 MB, a bomb to far more. While it is
expanded, twice as much is in memory."""
UNRECORDED_BOUND = 2 << 30
"""The same where a case does not record it, as before 0.2; and the most bytes of a file that is not packed."""
_STEP = 1 << 10
"""Bytes that are expanded at a time in a damaged stream, where an error loses those of the step."""
_WINDOW = 1 << 14
"""Bytes with which a later member is begun: the library copies what is left after it, and there may be many members."""
_SMALL = 1 << 20
"""Expanded bytes up to which an object is tried as a single member first."""
_CONTENT = re.compile(rb"[^\0]")
_HEADER = 10
"""Bytes of a member's fixed header (RFC 1952, 2.3)."""
_TRAILER = 8
"""Bytes of a member's checksum and size (RFC 1952, 2.3)."""
_CORRUPT: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stubs say an instance


@dataclass(frozen=True, slots=True)
class Expanded:
    """The expanded bytes of an object."""

    data: bytes
    broken: str | None
    """What is damaged, in words; `None` if nothing is."""


def expand(data: bytes, *, bound: int = DEFAULT_BOUND) -> Expanded:
    """
    Expand `data` if it is gzip (any number of members, zero padding allowed); else hand it back.

    Of a truncated or corrupt stream, the bytes before the damage are returned, and the reason. Members after one whose
    checksum is wrong are read all the same.
    """
    if data[:2] != GZIP_MAGIC:
        return Expanded(data, None)
    if (whole := _alone(data, bound)) is not None:
        return Expanded(whole, None)
    parts: list[bytes] = []
    reasons: list[str] = []
    room = bound
    at = 0
    while (start := _CONTENT.search(data, at)) is not None:
        at = start.start()
        if not data.startswith(GZIP_MAGIC, at):
            reasons.append("bytes that are no gzip member follow the last one")
            break
        member, at, broken = _member(data, at, room)
        parts.append(member)
        room -= len(member)
        if broken:
            reasons.append(broken)
    return Expanded(
        parts[0] if len(parts) == 1 else b"".join(parts), "; ".join(dict.fromkeys(reasons)) or None
    )


def _alone(data: bytes, bound: int) -> bytes | None:
    """What one sound, small member expands to, if that is all there is: the usual case, and most of it one call."""
    claimed = _claimed(data)
    if claimed > min(bound, _SMALL):
        return None
    stream = isal_zlib.decompressobj(31)
    try:
        found = stream.decompress(data, claimed + 1)
    except _CORRUPT:
        return None
    return found if stream.eof and not stream.unused_data else None


def _member(data: bytes, at: int, room: int) -> tuple[bytes, int, str | None]:
    """Expand the member at a place: its bytes, where the next one starts, and what is damaged, if anything."""
    stream = isal_zlib.decompressobj(31)
    parts: list[bytes] = []
    window, fed, most = len(data) if at == 0 else _WINDOW, at, min(room, _claimed(data))
    left = room
    try:
        while not stream.eof and left >= 0:
            given: bytes | memoryview = stream.unconsumed_tail
            if not given:
                given = memoryview(data)[fed : fed + window]
                fed, window = fed + len(given), 2 * window
            parts.append(stream.decompress(given, most + 1))
            left -= len(parts[-1])
            if left < 0:
                parts[-1] = parts[-1][:left]
            most = left
            if not given and not parts[-1]:
                break
    except _CORRUPT as error:
        out, following = _salvage(data, at, room)
        return out, following, f"corrupt gzip: {error}"
    out = parts[0] if len(parts) == 1 else b"".join(parts)
    if left < 0:
        return (
            out,
            len(data),
            f"expands beyond the bound of {room} bytes; raise it with --max-expansion",
        )
    if not stream.eof:
        return out, len(data), "truncated gzip"
    return out, fed - len(stream.unused_data), None


def _claimed(data: bytes) -> int:
    """The expanded size in the last four bytes: right for a sound single member, else a mere hint (RFC 1952)."""
    return int.from_bytes(data[-4:], "little")


def _salvage(data: bytes, at: int, room: int) -> tuple[bytes, int]:
    """Expand a damaged member step by step, without its checksum: its bytes, and where the next member starts."""
    stream = isal_zlib.decompressobj(-15)
    parts: list[bytes] = []
    fed = _body(data, at)
    try:
        while room > 0 and not stream.eof:
            given: bytes | memoryview = stream.unconsumed_tail
            if not given:
                given = memoryview(data)[fed : fed + _STEP]
                fed += len(given)
            parts.append(stream.decompress(given, min(room, _STEP)))
            room -= len(parts[-1])
            if not given and not parts[-1]:
                break
    except _CORRUPT:
        return b"".join(parts), len(data)
    following = fed - len(stream.unused_data) + _TRAILER if stream.eof else len(data)
    return b"".join(parts), following


def _body(data: bytes, at: int) -> int:
    """Where the deflate stream of the gzip member at a place starts (RFC 1952, 2.3)."""
    flags, at = data[at + 3] if len(data) > at + _HEADER else 0, at + _HEADER
    if flags & 4:
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    for flag in (8, 16):
        if flags & flag:
            at = data.find(b"\0", at) + 1 or len(data)
    return at + 2 if flags & 2 else at
