"""Gunzip evidence, within bounds, keeping what stands before a break."""

from __future__ import annotations

from dataclasses import dataclass

from isal import isal_zlib

GZIP_MAGIC = b"\x1f\x8b"
DEFAULT_BOUND = 2 << 30
"""Bytes that one object may expand to: a 50 MB log file expands to about 400 MB, a bomb to far more."""
_STEP = 1 << 10
_HEADER = 10
_TRAILER = 8
_CORRUPT: type[Exception] = isal_zlib.error  # type: ignore[assignment]  # its stubs say an instance


@dataclass(frozen=True, slots=True)
class Expanded:
    """The expanded bytes, and the break after which nothing could be read."""

    data: bytes
    broken: str | None


def expand(data: bytes, *, bound: int = DEFAULT_BOUND) -> Expanded:
    """
    Expand `data` if it is gzip (any number of members, zero padding allowed); else hand it back.

    A truncated or corrupt stream yields the bytes before the break, and the reason. After a member whose
    checksum is wrong the next ones are read all the same.
    """
    if data[:2] != GZIP_MAGIC:
        return Expanded(data, None)
    parts: list[bytes] = []
    reasons: list[str] = []
    room = bound
    rest = data
    while rest.strip(b"\0"):
        if rest[:2] != GZIP_MAGIC:
            reasons.append("bytes that are no gzip member follow the last one")
            break
        member, rest, broken = _member(rest, room)
        parts.append(member)
        room -= len(member)
        if broken:
            reasons.append(broken)
    return Expanded(
        parts[0] if len(parts) == 1 else b"".join(parts), "; ".join(dict.fromkeys(reasons)) or None
    )


def _member(data: bytes, room: int) -> tuple[bytes, bytes, str | None]:
    """Expand one member: its bytes, what follows it, and the break, if any."""
    stream = isal_zlib.decompressobj(31)
    try:
        out = stream.decompress(data, min(room, _claimed(data)) + 1)
        if not stream.eof and len(out) <= room:
            out += stream.decompress(stream.unconsumed_tail, room + 1 - len(out))
    except _CORRUPT as error:
        out, rest = _salvage(data, room)
        return out, rest, f"corrupt gzip: {error}"
    if len(out) > room:
        return out[:room], b"", f"expands beyond the bound of {room} bytes; raise it with --max-expansion"
    if not stream.eof:
        return out, b"", "truncated gzip"
    return out, stream.unused_data, None


def _claimed(data: bytes) -> int:
    """The size that the last four bytes claim: true for a sound single member, a mere hint else (RFC 1952)."""
    return int.from_bytes(data[-4:], "little")


def _salvage(data: bytes, room: int) -> tuple[bytes, bytes]:
    """Expand step by step and unchecked, to keep what stands before the break; and what follows the member."""
    stream = isal_zlib.decompressobj(-15)
    parts: list[bytes] = []
    rest = data[_header_length(data) :]
    try:
        while rest and room > 0 and not stream.eof:
            parts.append(stream.decompress(rest, min(room, _STEP)))
            room -= len(parts[-1])
            rest = stream.unconsumed_tail
    except _CORRUPT:
        return b"".join(parts), b""
    return b"".join(parts), stream.unused_data[_TRAILER:]


def _header_length(data: bytes) -> int:
    """Where the deflate stream of a gzip member starts (RFC 1952, 2.3)."""
    flags, at = data[3] if len(data) > _HEADER else 0, _HEADER
    if flags & 4:
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    for flag in (8, 16):
        if flags & flag:
            at = data.find(b"\0", at) + 1 or len(data)
    return at + 2 if flags & 2 else at
