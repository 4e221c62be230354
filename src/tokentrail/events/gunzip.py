"""Gunzip evidence, within bounds, keeping what stands before a break."""

from __future__ import annotations

from dataclasses import dataclass

from isal import isal_zlib

GZIP_MAGIC = b"\x1f\x8b"
DEFAULT_BOUND = 2 << 30
"""Bytes that one object may expand to: a 50 MB log file expands to about 400 MB, a bomb to far more."""
_STEP = 1 << 16


@dataclass(frozen=True, slots=True)
class Expanded:
    """The expanded bytes, and the break after which nothing could be read."""

    data: bytes
    broken: str | None


def expand(data: bytes, *, bound: int = DEFAULT_BOUND) -> Expanded:
    """
    Expand `data` if it is gzip (any number of members, zero padding allowed); else hand it back.

    A truncated or corrupt stream yields the bytes before the break, and the reason.
    """
    if data[:2] != GZIP_MAGIC:
        return Expanded(data, None)
    parts: list[bytes] = []
    room = bound
    rest = data
    while rest:
        if rest[:2] != GZIP_MAGIC:
            if rest.strip(b"\0"):
                return Expanded(b"".join(parts), "bytes that are no gzip member follow the last one")
            break
        member, rest, broken = _member(rest, room)
        parts.append(member)
        room -= len(member)
        if broken:
            return Expanded(b"".join(parts), broken)
    return Expanded(parts[0] if len(parts) == 1 else b"".join(parts), None)


def _member(data: bytes, room: int) -> tuple[bytes, bytes, str | None]:
    """Expand one member: its bytes, what follows it, and the break, if any."""
    stream = isal_zlib.decompressobj(31)
    try:
        out = stream.decompress(data, room + 1)
    except isal_zlib.error as error:
        return _before_break(data, room), b"", f"corrupt gzip: {error}"
    if len(out) > room:
        return out[:room], b"", f"expands beyond the bound of {room} bytes; raise it with --max-expansion"
    if not stream.eof:
        return out, b"", "truncated gzip"
    return out, stream.unused_data, None


def _before_break(data: bytes, room: int) -> bytes:
    """Expand step by step, to keep what a single call would throw away at the break."""
    stream = isal_zlib.decompressobj(31)
    parts: list[bytes] = []
    try:
        for at in range(0, len(data), _STEP):
            part = stream.decompress(data[at : at + _STEP], max(1, room))
            parts.append(part)
            room -= len(part)
            if room <= 0 or stream.eof:
                break
    except isal_zlib.error:
        pass
    return b"".join(parts)
