"""
Cut a log object into its records, whatever state it is in.

The quick way is a JSON decoder; where one byte makes that fail, a scanner that knows only strings and brackets
takes over, so that one bad record never costs its neighbours. Cutting text at a pattern would be wrong for
pretty-printed files, and for evidence.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

_TOKEN = re.compile(rb'"(?:[^"\\]+|\\.)*"|[{}\[\],:]|"', re.S)
_RECORDS = re.compile(rb'"(?:Records|Events)"\s*:\s*\[')
_BOM = b"\xef\xbb\xbf"
_WHITE = b" \t\r\n\0"


@dataclass(frozen=True, slots=True)
class Piece:
    """One record's bytes, or the reason why there is none at this place."""

    raw: bytes
    reason: str | None = None


class _Envelope(msgspec.Struct, gc=False):
    """What may surround records: a native file, LookupEvents output, or a file that holds none."""

    Records: list[msgspec.Raw] | None = None
    Events: list[msgspec.Raw] | None = None
    CloudTrailEvent: str | None = None
    digestStartTime: msgspec.Raw | None = None  # noqa: N815 - CloudTrail's spelling
    logFiles: msgspec.Raw | None = None  # noqa: N815
    eventName: msgspec.Raw | None = None  # noqa: N815
    userIdentity: msgspec.Raw | None = None  # noqa: N815


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode

DIGEST = "a CloudTrail digest file: holds hashes of log files, no records"


def trim(data: bytes) -> bytes:
    """Drop a byte-order mark and white space around a document; UTF-16 becomes UTF-8."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        data = data.decode("utf-16", "replace").encode()
    return data.removeprefix(_BOM).strip(_WHITE)


def pieces(data: bytes) -> Iterator[Piece]:
    """Yield every record of an expanded object, in order; the place in this order is the record's ordinal."""
    data = trim(data)
    if not data:
        yield Piece(b"", "empty file")
        return
    try:
        if data[:1] == b"[":
            yield from _each(_decode_list(data))
        else:
            yield from _unwrap(data)
        return
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        pass
    yield from _lines_or_scan(data)


def _each(items: list[msgspec.Raw]) -> Iterator[Piece]:
    for item in items:
        yield from _unwrap_or_raw(bytes(item))


def _unwrap_or_raw(raw: bytes) -> Iterator[Piece]:
    try:
        found = list(_unwrap(raw))
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        found = [Piece(raw)]
    yield from found


def _unwrap(raw: bytes) -> Iterator[Piece]:
    """Take the records out of one JSON object."""
    envelope = _decode_envelope(raw)
    if envelope.Records is not None:
        yield from (Piece(bytes(item)) for item in envelope.Records)
    elif envelope.Events is not None:
        yield from _each(envelope.Events)
    elif envelope.CloudTrailEvent is not None:
        yield Piece(envelope.CloudTrailEvent.encode())
    elif envelope.digestStartTime is not None and envelope.logFiles is not None:
        yield Piece(b"", DIGEST)
    else:
        yield Piece(raw)


def _lines_or_scan(data: bytes) -> Iterator[Piece]:
    """Read JSON lines where each line starts an object; else scan for balanced objects."""
    lines = [line.strip(_WHITE) for line in data.split(b"\n")]
    lines = [line for line in lines if line]
    if len(lines) > 1 and all(line[:1] == b"{" and line[-1:] == b"}" for line in lines):
        for line in lines:
            yield from _unwrap_or_raw(line)
        return
    start = _RECORDS.search(data)
    for piece in scan(data, start.end() if start else 0):
        if piece.reason:
            yield piece
        else:
            yield from _unwrap_or_raw(piece.raw)


def scan(data: bytes, start: int) -> Iterator[Piece]:
    """Yield each balanced `{...}` from `start` on; what is cut off at the end is named, not dropped."""
    depth, opened, at, found = 0, start, start, False
    for match in _TOKEN.finditer(data, start):
        token = match.group()
        if token == b"{":
            if depth == 0:
                opened = match.start()
            depth += 1
        elif token == b"[" and depth:
            depth += 1
        elif token in (b"}", b"]"):
            if depth == 0:
                continue
            depth -= 1
            if depth == 0:
                found, at = True, match.end()
                yield Piece(data[opened:at])
        elif token == b'"':  # a string that never ends: nothing after it can be trusted
            break
    if depth:
        yield Piece(data[opened:], "cut off in the middle of a record")
    elif not found:
        yield Piece(data, "no JSON object in it")


def fields(raw: bytes) -> dict[str, bytes] | None:
    """Cut one JSON object into its members' raw values; `None` where it is no object. The last of a name wins."""
    if raw[:1] != b"{":
        return None
    found: dict[str, bytes] = {}
    depth, key, value_from, last = 0, None, 0, b""
    for match in _TOKEN.finditer(raw):
        token = match.group()
        if token in (b"{", b"["):
            depth += 1
        elif token in (b"}", b"]"):
            depth -= 1
        if depth == 0 or (depth == 1 and token == b","):
            if key is not None:
                found[key] = raw[value_from : match.start()].strip()
            key = None
            if depth == 0:
                break
        elif depth == 1 and token == b":" and key is None:
            key, value_from = last[1:-1].decode("utf-8", "replace"), match.end()
        last = token
    return found
