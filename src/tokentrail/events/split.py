"""
Cut the expanded bytes of an object into its records, whatever state they are in.

The quick way is a JSON decoder. If a single byte makes that fail, a scanner takes over that knows only strings and
brackets, so that one damaged record never costs its neighbours. Cutting at a pattern of text would be wrong for files
that are pretty-printed, and for texts that an attacker wrote into a record.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence

import msgspec

from tokentrail.events.carriers import lines, parquet
from tokentrail.events.carriers.lost import FOLDER_VIEW, RESOURCE_FORK
from tokentrail.events.carriers.names import OPEN
from tokentrail.events.carriers.shapes import Inside, Room, nested, string, text_bytes
from tokentrail.events.carriers.unwrap import outside, unwrap
from tokentrail.events.fields import tokens
from tokentrail.events.loose import FAILURES, Raw, is_text
from tokentrail.events.piece import Piece
from tokentrail.events.record import CUT_OFF

_LISTS = (b'"Records"', b'"Events"', b'"logEvents"', b'"events"', b'"Messages"', b'"results"', b'"hits"')
_QUOTE, _BRACE, _CLOSER = b'"{}'
_OPEN = frozenset(f'"{name}"'.encode() for name in OPEN)
_HITS = b'"hits"'
"""The list of hits in the answer of a search, which is one level deeper than other lists of records."""
_CLOSERS = (b"}", b"]")
_FIRST = rb'(?:eventVersion|EventId|EventName|detail-type|messageType|_index|preview)"\s*:'
"""The first member of a record, or of what wraps one, as AWS and exports write them."""
_START = re.compile(rb'[,\n]\s*(\{\s*"' + _FIRST + rb")")
"""What may be the start of a record, with which to go on after one whose brackets don't close."""
_RESTARTS = 100_000
"""Records whose brackets don't close, at most; what follows them is given up."""
_MOST_STARTS = 2
"""An object whose brackets are still open after this many further starts counts as one that does not close."""
_UNCLOSED = re.compile(rb'[,\n]\s*\{\s*"\Z')
_FIRST_NAME = re.compile(_FIRST)
"""
A string that ends with `_UNCLOSED` and is followed by `_FIRST_NAME` swallowed the start of a record.

A quotation mark too many, or a missing one, made it begin where another string ended.
"""
_QUOTED_START = re.compile(rb'(?:\[\s*)?"\s*[{\[](?:\\[nrt]|\s)*(?:\\"|[{}\]])')
_BETWEEN_QUOTED = b" \t\r\n,[]\0"
_LITERALS = re.compile(rb"true|false|null|-?\d[\d.eE+-]*")
_BOM = b"\xef\xbb\xbf"
_WHITE = b" \t\r\n\0"
_FORMATS = {b"ORC": "ORC", b"Obj\x01": "Avro", b"SQLite format 3\0": "SQLite"}
"""Formats that are not read, by how their files begin; tools for data lakes write them as they do Parquet."""
_OF_MACOS = {b"\0\x05\x16\x07": RESOURCE_FORK, b"\0\0\0\1Bud1": FOLDER_VIEW}
"""What macOS lays beside files, by how it begins."""
_MOST_JOINED = 8
"""How many times `}{` may occur within one document, in its texts."""

_decode_any = msgspec.json.Decoder(msgspec.Raw).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode

SWALLOWED = "what looks like a record stands within another: read as part of it, as its brackets say"


def _wide(data: bytes) -> str | None:
    """The UTF-16 encoding of bytes, by their byte-order mark or zero bytes (RFC 4627, 3); `None` for others."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
    if 0 not in data[:4]:  # as hardly any has
        return None
    zeroes = [one == 0 for one in data[:4]]
    if zeroes == [False, True] * 2:
        return "utf-16-le"
    return "utf-16-be" if zeroes == [True, False] * 2 else None


def trim(data: bytes) -> bytes:
    """Drop a byte-order mark and white space around a document; UTF-16 becomes UTF-8."""
    if wide := _wide(data):
        data = data.decode(wide, "replace").encode()
    return data.removeprefix(_BOM).strip(_WHITE)


def pieces(data: bytes, room: Room | None = None) -> Iterator[Piece]:
    """Yield the places of expanded bytes, in order: the position of each is its ordinal."""
    room = room or Room()
    if data[:4] == parquet.MAGIC:
        yield from parquet.pieces(data, room)
        return
    if of_macos := next((why for start, why in _OF_MACOS.items() if data.startswith(start)), None):
        yield Piece(b"", of_macos)
        return
    if other := next((name for start, name in _FORMATS.items() if data.startswith(start)), None):
        yield Piece(b"", f"a file of {other}, which is not read: write it as JSON, CSV or Parquet")
        return
    empty, data = not data, trim(data)
    if not data:
        yield Piece(b"", "empty file" if empty else "nothing but white space or zero bytes")
        return
    yield from (
        _quoted(data, room) or _whole(data, room) or lines.pieces(data, room) or _lines_or_scan(data, room)
    )


def _whole(data: bytes, room: Room) -> Iterator[Piece] | None:
    """The records of a single sound JSON list or object; `None` if the bytes are not one."""
    try:
        if data[:1] == b"[":
            items = _decode_list(data)
            return (piece for item in items for piece in _unwrap_or_scan(item, outside(room)))
        return unwrap(data, outside(room, document=True)) if data[:1] == b"{" else None
    except FAILURES:
        return None


def _quoted(data: bytes, room: Room) -> Iterator[Piece] | None:
    """
    The records that stand as texts within JSON: one, a list of them, or one a line; `None` if the bytes are no such.

    So `aws cloudtrail lookup-events --query 'Events[].CloudTrailEvent'` prints them, and `jq` without `-r`.
    """
    return _quoted_pieces(data, room) if _QUOTED_START.match(data) else None


def _quoted_pieces(data: bytes, room: Room) -> Iterator[Piece]:
    inside = outside(room)
    after = 0
    for match in tokens(data):
        token = match.group()
        if token[0] != _QUOTE:
            continue
        if odd := data[after : match.start()].strip(_BETWEEN_QUOTED):
            yield Piece(odd, "text that is part of no record")
        found = string(token if is_text(token) else token.decode("utf-8", "replace").encode())
        if found is not None:
            yield from text_bytes(found.encode("utf-8", "replace"), inside)
        else:
            yield Piece(data[match.start() :] if token == b'"' else token, CUT_OFF)
            if token == b'"':
                return
        after = match.end()
    if odd := data[after:].strip(_BETWEEN_QUOTED):
        yield Piece(odd, "text that is part of no record")


def _unwrap_or_scan(raw: Raw, inside: Inside) -> Iterator[Piece]:
    """The records in one JSON object, or, if it is damaged, in what looks like objects in it."""
    raw = bytes(raw)
    try:
        found = unwrap(raw, inside)
    except FAILURES:
        found = scan(raw, inside.room)
    yield from found


def _lines_or_scan(data: bytes, room: Room) -> Iterator[Piece]:
    """The records of JSON lines, or of documents without line breaks between them; else those that a scan finds."""
    rows = [row for line in data.split(b"\n") if (row := line.strip(_WHITE))]
    if len(rows) > 1 and _is_lines(rows):
        for row in rows:
            yield from _unwrap_or_scan(row, outside(room))
        return
    documents = _side_by_side(data)
    if documents is None:
        yield from scan(data, room)
        return
    for one in documents:
        yield from _unwrap_or_scan(one, outside(room, document=True))


def _side_by_side(data: bytes) -> list[bytes] | None:
    """
    Cut documents that follow each other without a line break, as a delivery stream writes them; else `None`.

    What decodes as one JSON object from its start can't end anywhere else.
    """
    parts = data.split(b"}{")
    found: list[bytes] = []
    first = 0
    for at in range(len(parts)):
        one = (
            (b"{" if first else b"")
            + b"}{".join(parts[first : at + 1])
            + (b"}" if at + 1 < len(parts) else b"")
        )
        try:
            _decode_any(one)
        except FAILURES:
            if at - first >= _MOST_JOINED:
                return None
            continue
        found.append(one)
        first = at + 1
    return found if len(found) > 1 and first == len(parts) else None


def _is_lines(rows: list[bytes]) -> bool:
    """Whether each row is a JSON value of its own: all look like that, or most do and the others are damaged."""
    if all(row[0] == _BRACE and row[-1] == _CLOSER for row in rows):
        return True
    objects = sum(line[:1] == b"{" for line in rows)
    whole = sum(line[:1] == b"{" and line[-1:] == b"}" for line in rows)
    if whole and objects + sum(map(_stands_alone, (line for line in rows if line[:1] != b"{"))) == len(rows):
        return True
    return whole > 2 and 2 * whole >= len(rows)


def _stands_alone(line: bytes) -> bool:
    """Whether a line that is no object is JSON by itself, such as a stray number, and no part of a longer value."""
    try:
        _decode_any(line)
    except FAILURES:
        return False
    return True


def scan(data: bytes, room: Room | None = None) -> Iterator[Piece]:
    """Yield each balanced `{...}`, and a reason for each that is cut off and for text outside of any record."""
    at = 0
    matches = list(_START.finditer(data))
    starts = [match.start(1) for match in matches]
    for _ in range(_RESTARTS):
        found = _Scan(data, at, room or Room(), starts)
        yield from found.pieces()
        if found.broken_at is None:
            return
        following = bisect_left(starts, max(found.broken_at + 1, found.sound_to))
        restart = matches[following] if following < len(matches) else None
        yield Piece(data[found.broken_at : restart.start() if restart else len(data)], CUT_OFF)
        if restart is None:
            return
        at = restart.start(1)
    yield Piece(data[at:], "too much damage to tell records apart")


class _Scan:
    """
    Finds balanced objects by their brackets alone, up to one that does not close.

    Args:
        data: The bytes.
        start: Where to begin.
        room: How much may still be expanded.
        starts: The places of what may be the start of a record, in order.
    """

    def __init__(self, data: bytes, start: int, room: Room, starts: Sequence[int]) -> None:
        self._data, self._start, self._room, self._starts = data, start, room, starts
        self._limit = len(data)
        """The place beyond which the object that is open counts as one that does not close."""
        self._closers = bytearray()
        """The brackets that would close those that are open, from the outermost record on."""
        self._around = 0
        """How many brackets are open around records: those of an array or of an envelope."""
        self._listed = b""
        """The name of the list that was opened last as a member of the record."""
        self._opened = self._after = start
        """Where the record that is open starts; where the last one ended."""
        self.broken_at: int | None = None
        """Where the object starts whose brackets don't close, once there is one."""
        self.sound_to = 0
        """Up to where that object is sound: what looks like the start of a record before this is a part of it."""

    def pieces(self) -> Iterator[Piece]:
        """Yield the records up to the end, or to an object that does not close."""
        previous = b""
        for match in tokens(self._data, self._start):
            token = match.group()
            if token == b"[":
                self._open_list(previous, match.end())
            elif token == b"{":
                if not self._is_broken_by(previous, match.start()):
                    yield from self._open_object(match.start())
            elif token in _CLOSERS:
                yield from self._close(token[0], match.end())
            elif token[0] == _QUOTE and self._is_odd(token, match.end()):
                self.broken_at = self._opened if self._closers else match.start()
            if self._closers and match.start() > self._limit:
                self.broken_at = self._opened
            if self.broken_at is not None:
                return
            if token != b":":
                previous = token
        yield from self._end()

    def _is_odd(self, token: bytes, end: int) -> bool:
        """Whether a string never ends, or swallowed the start of a record."""
        if token == b'"':
            return bool(self._closers)
        return token[-2:-1] in b"{ \t\r\n" and bool(
            _UNCLOSED.search(token) and _FIRST_NAME.match(self._data, end)
        )

    def _open_list(self, previous: bytes, end: int) -> None:
        depth = len(self._closers)
        if (depth == 1 and previous in _LISTS) or (
            depth == 2 and previous == _HITS
        ):  # an envelope: look inside
            self._around += depth + 1
            self._after = end
            self._closers.clear()
        elif self._closers:
            self._closers += b"]"
            self._listed = previous if depth == 1 else self._listed
        else:
            self._around += 1

    def _is_broken_by(self, previous: bytes, start: int) -> bool:
        """
        Whether an object begins where the one that is open can't have one, so that it lost its end.

        That is so after a comma without a member's name; and in a list that is a member of a record (`resources`) if
        the object looks like a record, unless callers can write into the list.
        """
        if previous == b"," and self._closers[-1:] == b"}":
            self.broken_at = self._opened
        elif self._closers == b"}]" and self._listed not in _OPEN and self._is_start(start):
            self.broken_at, self.sound_to = self._opened, start
        return self.broken_at is not None

    def _is_start(self, place: int) -> bool:
        at = bisect_left(self._starts, place)
        return at < len(self._starts) and self._starts[at] == place

    def _open_object(self, start: int) -> Iterator[Piece]:
        if not self._closers:
            self._opened = start
            at = bisect_right(self._starts, start) + _MOST_STARTS
            self._limit = self._starts[at] if at < len(self._starts) else len(self._data)
            yield from _outside(self._data[self._after : start])
        self._closers += b"}"

    def _close(self, closer: int, end: int) -> Iterator[Piece]:
        if not self._closers:
            self._around -= 1
        elif closer != self._closers.pop():
            self.broken_at = self._opened
        elif not self._closers:
            first, last = bisect_right(self._starts, self._opened), bisect_left(self._starts, end)
            if first < last:
                self.sound_to = self._opened + _sound_to(self._data[self._opened : end])
                if self.sound_to <= self._starts[last - 1]:  # another record's bracket closes it, by chance
                    self.broken_at = self._opened
                    return
            self._after = end
            yield from nested(self._data[self._opened : end], outside(self._room))
            if first < last:
                yield Piece(b"", SWALLOWED)

    def _end(self) -> Iterator[Piece]:
        if self._closers:
            self.broken_at = self._opened
        elif self._after == self._start and self._around <= 0:
            yield Piece(b"", "no JSON object in it, and no table with eventName and eventTime")
        else:
            yield from _outside(self._data[self._after :])
            if self._around > 0:
                yield Piece(b"", "cut off after its last record")


def _sound_to(raw: bytes) -> int:
    """How many bytes of an object are sound JSON, whatever characters its strings hold."""
    try:
        json.loads(raw.decode("latin-1"), strict=False)  # a character for each byte
    except json.JSONDecodeError as error:
        return error.pos
    except (ValueError, RecursionError):
        pass
    return len(raw)


def _outside(gap: bytes) -> Iterator[Piece]:
    """Name text between records that can't be an envelope's: perhaps a record without its brackets."""
    if len(gap) > 1 and _LITERALS.sub(b"", _without_tokens(gap)).strip(_WHITE):
        yield Piece(gap, "text that is part of no record")


def _without_tokens(gap: bytes) -> bytes:
    parts, at = [], 0
    for match in tokens(gap):
        parts.append(gap[at : match.start()])
        at = match.end()
    return b"".join([*parts, gap[at:]])
