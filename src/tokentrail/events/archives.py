"""
Open what an object is packed in: compressed streams and archives, nested up to a depth, within bounds.

Nothing is written to disk, so that names of an archive's members are only shown, and are no paths. Members are read
in the archive's own order, and ordinals count on from one to the next: object and ordinal name one record.
"""

from __future__ import annotations

import bz2
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Literal

import pyarrow as pa

from tokentrail.events.carriers.shapes import BEYOND, Room
from tokentrail.events.gunzip import GZIP_MAGIC

DEEPEST = 5
_Codec = Literal["zstd", "lz4"]
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_BY_ARROW: dict[bytes, _Codec] = {ZSTD_MAGIC: "zstd", b"\x04\x22\x4d\x18": "lz4"}
_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")
_XZ_MEMORY = 1 << 27
"""Bytes that an .xz file may ask for to unpack it: twice what the strongest preset of `xz` takes (xz(1))."""
_STREAMS: dict[bytes, tuple[str, Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]]] = {
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    b"\xfd7zXZ": ("xz", partial(lzma.LZMADecompressor, lzma.FORMAT_XZ, _XZ_MEMORY)),
}
_OTHERS = {
    b"7z\xbc\xaf": "7-Zip",
    b"Rar!": "RAR",
    b"\x1f\x9d": "compress",
    b"\xff\x06\x00\x00sNaPpY": "Snappy",
}
_STEP = 1 << 16
_BLOCK = 512
_NAME_SHOWN = 120
_MOST_SALVAGED = 100_000
_MOST_STREAMS = 100_000
_PADDED = 4
"""Padding between the streams of an .xz file is a multiple of so many bytes (The .xz File Format, 2.2)."""
_ARROW_FAILURES = (pa.ArrowException, OSError, ValueError)
_LOCAL = struct.Struct("<6xHH8xI4xHH")
"""A member's own header: flags, method, packed size, lengths of name and extra field (PKWARE, APPNOTE, 4.3.7)."""
_ZIP_FAILURES = (
    zipfile.BadZipFile, zlib.error, OSError, EOFError, NotImplementedError, RuntimeError, ValueError,
    struct.error, UnicodeError, OverflowError, LookupError, MemoryError,
)  # fmt: skip
"""What the library raises for archives that are damaged or contradict themselves."""


@dataclass(frozen=True, slots=True)
class Content:
    """The bytes of an object, or of one member of an archive."""

    data: bytes
    broken: str | None = None
    """Why there are fewer bytes than there should be; `None` if there are not."""
    name: str = ""
    """The name of the member of an archive; empty for the object itself."""

    def named(self, reason: str) -> str:
        """A reason, with the member's name before it."""
        return f"member {self.name}: {reason}" if self.name else reason


def contents(data: bytes, room: Room, name: str = "", depth: int = 0) -> Iterator[Content]:
    """Yield the contents of an object: one for a plain or compressed file, one for each member of an archive."""
    if depth > DEEPEST:
        yield Content(b"", f"packed more than {DEEPEST} times", name)
        return
    if data[:2] == GZIP_MAGIC:
        inner, broken = room.expand(data)
    elif what := _BY_ARROW.get(data[:4]):
        inner, broken = _unpacked_by_arrow(data, room, what)
    elif found := next((how for magic, how in _STREAMS.items() if data.startswith(magic)), None):
        inner, broken = _streamed(data, room, *found)
    elif data[:4] in _ZIP_MAGICS:
        yield from _zip(data, room, name, depth)
        return
    elif _is_tar(data):
        yield from _tar(data, room, name, depth)
        return
    else:
        other = next((what for magic, what in _OTHERS.items() if data.startswith(magic)), None)
        yield (
            Content(b"", f"packed with {other}, which is not read: unpack it first", name)
            if other
            else Content(data, None, name)
        )
        return
    yield from _unpacked(inner, broken, room, name, depth)


def _unpacked(inner: bytes, broken: str | None, room: Room, name: str, depth: int) -> Iterator[Content]:
    """Yield expanded bytes, or their contents if they are packed again, and what was damaged."""
    if not packed(inner):
        yield Content(inner, broken, name)
        return
    yield from contents(inner, room, name, depth + 1)
    if broken:
        yield Content(b"", broken, name)


def packed(data: bytes) -> bool:
    """Whether bytes are compressed or an archive."""
    return (
        data[:2] == GZIP_MAGIC
        or data[:4] in (*_BY_ARROW, *_ZIP_MAGICS)
        or data.startswith((*_STREAMS, *_OTHERS))
        or _is_tar(data)
    )


def _is_tar(data: bytes) -> bool:
    """Whether bytes begin with a tar header; the word alone may stand in anybody's log, the checksum does not."""
    if data[257:262] != b"ustar" or data[:1] in (b"{", b"["):
        return False
    try:
        tarfile.TarInfo.frombuf(data[:_BLOCK], "utf-8", "replace")
    except (tarfile.HeaderError, ValueError, OverflowError):
        return False
    return True


def _streamed(
    data: bytes, room: Room, what: str, start: Callable[[], bz2.BZ2Decompressor | lzma.LZMADecompressor]
) -> tuple[bytes, str | None]:
    """Expand all streams of a bzip2 or .xz file: its bytes, and what is damaged, if anything."""
    parts: list[bytes] = []
    at, end = 0, len(data.rstrip(b"\0"))  # an .xz file may be padded
    try:
        for _ in range(_MOST_STREAMS):
            stream = start()
            while not stream.eof:
                fed = data[at : at + _STEP] if stream.needs_input else b""
                if stream.needs_input and not fed:
                    return b"".join(parts), f"truncated {what}"
                at += len(fed)
                parts.append(stream.decompress(fed, _STEP))
                room.left -= len(parts[-1])
                if room.left < 0:
                    return b"".join(parts), BEYOND
            at -= len(stream.unused_data)
            while data[at : at + _PADDED] == bytes(_PADDED):
                at += _PADDED
            if at >= end:
                return b"".join(parts), None
    except (OSError, EOFError, ValueError, lzma.LZMAError, MemoryError) as error:
        return b"".join(parts), f"corrupt {what}: {str(error)[:100]}"
    return b"".join(parts), f"more than {_MOST_STREAMS:,} streams of {what}"


def _unpacked_by_arrow(data: bytes, room: Room, what: _Codec) -> tuple[bytes, str | None]:
    parts: list[bytes] = []
    try:
        for part in _steps(data, what):
            parts.append(part)
            room.left -= len(part)
            if room.left < 0:
                return b"".join(parts), BEYOND
    except _ARROW_FAILURES as error:
        whole = b"".join(parts)
        return whole + _last_bytes(data, len(whole), what), f"corrupt or truncated {what}: {str(error)[:100]}"
    return b"".join(parts), None


def _steps(data: bytes, what: _Codec) -> Iterator[bytes]:
    """Expand all frames, some bytes at a time."""
    with pa.CompressedInputStream(pa.BufferReader(data), what) as stream:
        while part := stream.read(_STEP):
            yield part


def _last_bytes(data: bytes, known: int, what: _Codec) -> bytes:
    """The bytes between those that are known and a damaged place, which the library drops with the last step."""
    found = bytearray()
    with suppress(*_ARROW_FAILURES), pa.CompressedInputStream(pa.BufferReader(data), what) as stream:
        stream.read(known)
        while (part := stream.read(1)) and len(found) < _STEP:
            found += part
    return bytes(found)


def _shown(outer: str, name: str) -> str:
    """A member's name, shortened to fit a line; control characters are left to whoever writes to a terminal."""
    name = name if len(name) <= _NAME_SHOWN else f"{name[: _NAME_SHOWN // 2]}…{name[-_NAME_SHOWN // 2 :]}"
    name = name.encode("utf-8", "replace").decode()
    return f"{outer}/{name}" if outer else name


def _zip(data: bytes, room: Room, outer: str, depth: int) -> Iterator[Content]:
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = archive.infolist()
    except _ZIP_FAILURES as error:
        yield Content(
            b"", f"a damaged zip archive ({str(error)[:100]}): read as far as its members can be told", outer
        )
        yield from _salvaged(data, room, outer, depth)
        return
    for member in members:
        if member.is_dir():
            continue
        name = _shown(outer, member.filename)
        if member.flag_bits & 1:
            yield Content(b"", "encrypted: unpack it first", name)
            continue
        inner, broken = _unzipped(archive, member, room)
        yield from _unpacked(inner, broken, room, name, depth)
        if room.left < 0:
            return


def _unzipped(archive: zipfile.ZipFile, member: zipfile.ZipInfo, room: Room) -> tuple[bytes, str | None]:
    parts: list[bytes] = []
    try:
        with archive.open(member) as stream:
            while part := stream.read(_STEP):
                parts.append(part)
                room.left -= len(part)
                if room.left < 0:
                    return b"".join(parts), BEYOND
    except _ZIP_FAILURES as error:
        return b"".join(parts), f"a damaged member of a zip archive ({str(error)[:100]})"
    return b"".join(parts), None


def _salvaged(data: bytes, room: Room, outer: str, depth: int) -> Iterator[Content]:
    """Read members by their own headers, where the directory at an archive's end is gone."""
    at = data.find(_ZIP_MAGICS[0])
    for _ in range(_MOST_SALVAGED):
        if at < 0 or at + _LOCAL.size > len(data) or room.left < 0:
            return
        flags, method, size, name_length, extra = _LOCAL.unpack_from(data, at)
        start = at + _LOCAL.size + name_length + extra
        name = _shown(
            outer, data[at + _LOCAL.size : at + _LOCAL.size + name_length].decode("utf-8", "replace")
        )
        following, broken = start + size, "can't be unpacked"
        inner = b""
        if method == zipfile.ZIP_DEFLATED and not flags & 1:
            inner, following, broken = _inflated(data, start, room)
        elif method == zipfile.ZIP_STORED and not flags & 1:
            inner, broken = data[start:following], ""
        if inner:
            yield from contents(inner, room, name, depth + 1)
        if broken:
            yield Content(b"", broken, name)
        at = data.find(_ZIP_MAGICS[0], max(following, at + 4))


def _inflated(data: bytes, at: int, room: Room) -> tuple[bytes, int, str]:
    """Inflate the stream at a place: its bytes, where it ends, and what is damaged, if anything."""
    stream = zlib.decompressobj(-15)
    parts: list[bytes] = []
    try:
        while not stream.eof and at < len(data):
            fed = data[at : at + _STEP]
            at += len(fed)
            while fed and not stream.eof:
                parts.append(stream.decompress(fed, _STEP))
                fed = stream.unconsumed_tail
                room.left -= len(parts[-1])
                if room.left < 0:
                    return b"".join(parts), len(data), BEYOND
    except zlib.error as error:
        return b"".join(parts), 0, f"a damaged member of a zip archive ({error})"
    broken = "" if stream.eof else "a truncated member of a zip archive"
    return b"".join(parts), at - len(stream.unused_data), broken


def _tar(data: bytes, room: Room, outer: str, depth: int) -> Iterator[Content]:
    """Walk a tar archive's headers; links and devices hold nothing, long names are shown cut."""
    at, long_name = 0, ""
    while at + _BLOCK <= len(data):
        header = data[at : at + _BLOCK]
        at += _BLOCK
        if header.count(0) == _BLOCK:
            continue
        try:
            member = tarfile.TarInfo.frombuf(header, "utf-8", "replace")
        except (tarfile.HeaderError, ValueError, OverflowError) as error:
            yield Content(b"", f"a damaged tar archive ({str(error)[:100]})", outer)
            return
        size = member.size
        if size < 0:
            yield Content(b"", "a damaged tar archive (a size below nothing)", outer)
            return
        body = data[at : at + size]
        at += size + -size % _BLOCK
        if member.type == tarfile.GNUTYPE_LONGNAME:
            long_name = body.rstrip(b"\0").decode("utf-8", "replace")
            continue
        name, long_name = _shown(outer, long_name or member.name), ""
        yield from _member(member, body, size, room, name, depth)


def _member(
    member: tarfile.TarInfo, body: bytes, size: int, room: Room, name: str, depth: int
) -> Iterator[Content]:
    if member.type in (tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK, tarfile.DIRTYPE):
        return
    if member.type == tarfile.GNUTYPE_SPARSE:
        yield Content(b"", "a sparse file of a tar archive, which is not read", name)
    elif member.type not in (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE):
        yield Content(b"", "a link or device of a tar archive: holds nothing", name)
    else:
        yield from contents(body, room, name, depth + 1)
        if len(body) < size:
            yield Content(b"", "a truncated tar archive", name)
