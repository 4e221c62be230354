"""
Cut a log object into its records, whatever state it is in.

The quick way is a JSON decoder; where one byte makes that fail, a scanner that knows only strings and brackets
takes over, so that one bad record never costs its neighbours. Cutting text at a pattern would be wrong for
pretty-printed files, and for evidence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import msgspec

from tokentrail.events.loose import FAILURES

_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[{}\[\],:]|"', re.DOTALL)
"""Strings and structure; possessive, so that a string that never ends costs one pass and not exponential time."""
_LISTS = (b'"Records"', b'"Events"')
_CLOSERS = (b"}", b"]")
_START = re.compile(rb'[,\n]\s*(\{\s*"eventVersion"\s*:)')
"""Where a native record starts, for going on after one whose brackets don't close."""
_RESTARTS = 64
_LITERALS = re.compile(rb"true|false|null|-?\d[\d.eE+-]*")
_BOM = b"\xef\xbb\xbf"
_WHITE = b" \t\r\n\0"


@dataclass(frozen=True, slots=True)
class Piece:
    """One record's bytes, or the reason why there is none at this place."""

    raw: bytes
    reason: str | None = None


_ABSENT = msgspec.Raw()


class _Envelope(msgspec.Struct, gc=False):
    """What may surround records: a native file, LookupEvents output, or a file that holds none."""

    Records: list[msgspec.Raw] | None = None
    Events: list[msgspec.Raw] | None = None
    CloudTrailEvent: str | None = None
    digestStartTime: msgspec.Raw = _ABSENT
    logFiles: msgspec.Raw = _ABSENT


_decode_envelope = msgspec.json.Decoder(_Envelope).decode
_decode_any = msgspec.json.Decoder(msgspec.Raw).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode

DIGEST = "a CloudTrail digest file: holds hashes of log files, no records"
CUT_OFF = "cut off in the middle of a record"


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
    except FAILURES:
        pass
    yield from _lines_or_scan(data)


def _each(items: list[msgspec.Raw]) -> Iterator[Piece]:
    for item in items:
        yield from _unwrap_or_raw(bytes(item))


def _unwrap_or_raw(raw: bytes) -> Iterator[Piece]:
    """Take the records out of one JSON object; where it is damaged, out of what looks like objects in it."""
    try:
        yield from list(_unwrap(raw))
    except FAILURES:
        yield from scan(raw)


def _unwrap(raw: bytes) -> Iterator[Piece]:
    envelope = _decode_envelope(raw)
    if envelope.Records is not None:
        yield from (Piece(bytes(item)) for item in envelope.Records)
    elif envelope.Events is not None:
        yield from _each(envelope.Events)
    elif envelope.CloudTrailEvent is not None:
        yield Piece(envelope.CloudTrailEvent.encode())
    elif _ABSENT not in (envelope.digestStartTime, envelope.logFiles):
        yield Piece(b"", DIGEST)
    else:
        yield Piece(raw)


def _lines_or_scan(data: bytes) -> Iterator[Piece]:
    """Read JSON lines where each line starts an object; else scan for balanced objects."""
    lines = [line.strip(_WHITE) for line in data.split(b"\n")]
    lines = [line for line in lines if line]
    if (
        len(lines) > 1
        and all(line[:1] == b"{" or _stands_alone(line) for line in lines)
        and any(line[-1:] == b"}" for line in lines)
    ):
        for line in lines:
            yield from _unwrap_or_raw(line)
        return
    yield from scan(data)


def _stands_alone(line: bytes) -> bool:
    """Whether a line that starts no object is JSON by itself: a stray number, say, and no part of a longer text."""
    try:
        _decode_any(line)
    except FAILURES:
        return False
    return True


def scan(data: bytes) -> Iterator[Piece]:
    """Yield each balanced `{...}`; what is cut off, and text outside of any record, is named and not dropped."""
    at = 0
    for _ in range(_RESTARTS):
        found = _Scan(data, at)
        yield from found.pieces()
        if found.broken_at is None:
            return
        restart = _START.search(data, found.broken_at + 1)
        yield Piece(data[found.broken_at : restart.start() if restart else len(data)], CUT_OFF)
        if restart is None:
            return
        at = restart.start(1)
    yield Piece(data[at:], "too much damage to tell records apart")


class _Scan:
    """Finds balanced objects by their brackets alone, and where one does not close."""

    def __init__(self, data: bytes, start: int) -> None:
        self._data, self._start = data, start
        self._closers = bytearray()
        """What would close the brackets that are open, from the outermost record on."""
        self._around = 0
        """Brackets open around records: those of an array or of an envelope."""
        self._opened = self._after = start
        self.broken_at: int | None = None
        """Where the object starts whose brackets don't close."""

    def pieces(self) -> Iterator[Piece]:
        """Yield the objects up to the end or to one that does not close."""
        previous = b""
        for match in _TOKEN.finditer(self._data, self._start):
            token = match.group()
            if token == b"[":
                self._open_list(previous, match.end())
            elif token == b"{":
                yield from self._open_object(match.start())
            elif token in _CLOSERS:
                yield from self._close(token[0], match.end())
            elif token == b'"' and self._closers:  # a string that never ends
                self.broken_at = self._opened
            if self.broken_at is not None:
                return
            if token != b":":
                previous = token
        yield from self._end()

    def _open_list(self, previous: bytes, end: int) -> None:
        if len(self._closers) == 1 and previous in _LISTS:  # an envelope: what counts is inside
            self._around += 2
            self._after = end
            self._closers.clear()
        elif self._closers:
            self._closers += b"]"
        else:
            self._around += 1

    def _open_object(self, start: int) -> Iterator[Piece]:
        if not self._closers:
            self._opened = start
            yield from _outside(self._data[self._after : start])
        self._closers += b"}"

    def _close(self, closer: int, end: int) -> Iterator[Piece]:
        if not self._closers:
            self._around -= 1
        elif closer != self._closers.pop():
            self.broken_at = self._opened
        elif not self._closers:
            self._after = end
            yield from _inside(self._data[self._opened : end])

    def _end(self) -> Iterator[Piece]:
        if self._closers:
            self.broken_at = self._opened
        elif self._after == self._start and not self._around:
            yield Piece(b"", "no JSON object in it")
        else:
            yield from _outside(self._data[self._after :])
            if self._around > 0:
                yield Piece(b"", "cut off after its last record")


def _inside(raw: bytes) -> Iterator[Piece]:
    try:
        yield from list(_unwrap(raw))
    except FAILURES:
        yield Piece(_lookup_event(raw) or raw)


def _lookup_event(raw: bytes) -> bytes | None:
    """The record in an element of LookupEvents output that can't be decoded as a whole."""
    text = (fields(raw) or {}).get("CloudTrailEvent") if b'"CloudTrailEvent"' in raw else None
    if text is None:
        return None
    try:
        value = json.loads(text.decode("utf-8", "replace"), strict=False)
    except ValueError:
        return None
    return value.encode("utf-8", "replace") if isinstance(value, str) else None


def _outside(gap: bytes) -> Iterator[Piece]:
    """Text between records that is no JSON of an envelope: perhaps a record without its brackets."""
    if len(gap) > 1 and _LITERALS.sub(b"", _TOKEN.sub(b"", gap)).strip(_WHITE):
        yield Piece(gap, "text that is part of no record")


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
            key, value_from = _key(last), match.end()
        last = token
    return found


def _key(token: bytes) -> str:
    """A member's name, its escapes resolved: `error\\u0043ode` is `errorCode` to every decoder."""
    try:
        return str(json.loads(token.decode("utf-8", "replace"), strict=False))
    except ValueError:
        return token.decode("utf-8", "replace")
