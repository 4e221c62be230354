"""
Cut a log object into its records, whatever state it is in.

The quick way is a JSON decoder; where one byte makes that fail, a scanner that knows only strings and brackets
takes over, so that one bad record never costs its neighbours. Cutting text at a pattern would be wrong for
pretty-printed files, and for evidence.
"""

from __future__ import annotations

import json
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import partial

import msgspec

from tokentrail.events.carriers import lines, parquet, quoted
from tokentrail.events.carriers.lost import RESOURCE_FORK
from tokentrail.events.carriers.names import OPEN
from tokentrail.events.carriers.shapes import Inside, Room, nested, together
from tokentrail.events.carriers.unwrap import outside, unwrap
from tokentrail.events.fields import tokens
from tokentrail.events.loose import FAILURES, Raw
from tokentrail.events.piece import Found, Piece, flat
from tokentrail.events.record import CUT_OFF

_LISTS = (b'"Records"', b'"Events"', b'"logEvents"', b'"events"', b'"Messages"', b'"results"', b'"hits"')
_QUOTE, _BRACE, _CLOSER = b'"{}'
_OPEN = frozenset(f'"{name}"'.encode() for name in OPEN)
_HITS = b'"hits"'
"""A search's answer holds its hits one level deeper."""
_CLOSERS = (b"}", b"]")
_FIRST = rb'(?:eventVersion|EventId|EventName|detail-type|messageType|_index|preview)"\s*:'
"""The first member of a record, or of what wraps one, as AWS and exports write them."""
_START = re.compile(rb'[,\n]\s*(\{\s*"' + _FIRST + rb")")
"""Where a native record starts, for going on after one whose brackets don't close."""
_RESTARTS = 100_000
_MOST_STARTS = 2
"""How many such starts may stand in one object before it counts as one that does not close."""
_UNCLOSED = re.compile(rb'[,\n]\s*\{\s*"\Z')
_FIRST_NAME = re.compile(_FIRST)
"""A string that ends so, with a first member's name behind it, began with a quotation mark too many or too few."""
_LITERALS = re.compile(rb"true|false|null|-?\d[\d.eE+-]*")
_BOM = b"\xef\xbb\xbf"
_WHITE = b" \t\r\n\0"
_FORMATS = {b"ORC": "ORC", b"Obj\x01": "Avro", b"SQLite format 3\0": "SQLite"}
"""Files of other formats, by how they begin, which tools for data lakes write as readily as Parquet."""
_RESOURCE_FORK = b"\x00\x05\x16\x07"
_MOST_JOINED = 8
"""How many brackets that only look like the end of a document may stand in one."""

_decode_any = msgspec.json.Decoder(msgspec.Raw).decode
_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode

SWALLOWED = "what looks like a record stands within another: read as part of it, as its brackets say"


def _wide(data: bytes) -> str | None:
    """The UTF-16 that bytes are, by their mark or by where the zeroes are (RFC 4627, 3); `None` if they are none."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16"
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
    """Yield every record of expanded bytes, in order; the place in this order is the record's ordinal."""
    return flat(found(data, room or Room()))


def found(data: bytes, room: Room) -> Iterator[Found]:
    """The same, places that may be read at once together."""
    if data[:4] == parquet.MAGIC:
        yield from parquet.pieces(data, room)
        return
    if data[:4] == _RESOURCE_FORK:
        yield Piece(b"", RESOURCE_FORK)
        return
    if other := next((name for start, name in _FORMATS.items() if data.startswith(start)), None):
        yield Piece(b"", f"a file of {other}, which is not read: write it as JSON, CSV or Parquet")
        return
    empty, data = not data, trim(data)
    if not data:
        yield Piece(b"", "empty file" if empty else "nothing but white space or zero bytes")
        return
    yield from (
        quoted.pieces(data, room)
        or _whole(data, room)
        or lines.pieces(data, room)
        or _lines_or_scan(data, room)
    )


def _whole(data: bytes, room: Room) -> Iterator[Found] | None:
    """The records of one sound JSON value; `None` where the bytes are none."""
    try:
        if data[:1] == b"[":
            items = _decode_list(data)
            return together(items, outside(room), partial(_unwrap_or_scan, inside=outside(room)))
        return unwrap(data, outside(room, document=True)) if data[:1] == b"{" else None
    except FAILURES:
        return None


def _unwrap_or_scan(raw: Raw, inside: Inside) -> Iterator[Found]:
    """Take the records out of one JSON object; where it is damaged, out of what looks like objects in it."""
    raw = bytes(raw)
    try:
        found = unwrap(raw, inside)
    except FAILURES:
        found = scan(raw, inside.room)
    yield from found


def _lines_or_scan(data: bytes, room: Room) -> Iterator[Found]:
    """Read JSON lines where each line starts an object; else scan for balanced objects."""
    rows = [row for line in data.split(b"\n") if (row := line.strip(_WHITE))]
    if len(rows) > 1 and _is_lines(rows):
        yield from together(rows, outside(room), partial(_unwrap_or_scan, inside=outside(room)))
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
    """Whether each row stands for itself: all look so, or most do and the others are damaged."""
    if all(row[0] == _BRACE and row[-1] == _CLOSER for row in rows):
        return True
    objects = sum(line[:1] == b"{" for line in rows)
    whole = sum(line[:1] == b"{" and line[-1:] == b"}" for line in rows)
    if whole and objects + sum(map(_stands_alone, (line for line in rows if line[:1] != b"{"))) == len(rows):
        return True
    return whole > 2 and 2 * whole >= len(rows)


def _stands_alone(line: bytes) -> bool:
    """Whether a line that starts no object is JSON by itself: a stray number, say, and no part of a longer text."""
    try:
        _decode_any(line)
    except FAILURES:
        return False
    return True


def scan(data: bytes, room: Room | None = None) -> Iterator[Found]:
    """Yield each balanced `{...}`; what is cut off, and text outside of any record, is named and not dropped."""
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
    """Finds balanced objects by their brackets alone, and where one does not close."""

    def __init__(self, data: bytes, start: int, room: Room, starts: Sequence[int]) -> None:
        self._data, self._start, self._room, self._starts = data, start, room, starts
        self._limit = len(data)
        """Beyond this the object that is open can't be one object."""
        self._closers = bytearray()
        """What would close the brackets that are open, from the outermost record on."""
        self._around = 0
        """Brackets open around records: those of an array or of an envelope."""
        self._listed = b""
        """The name of the list that is a member of the record."""
        self._opened = self._after = start
        self.broken_at: int | None = None
        """Where the object starts whose brackets don't close."""
        self.sound_to = 0
        """Up to where that object is sound: what looks like a record before this is a part of it."""

    def pieces(self) -> Iterator[Found]:
        """Yield the objects up to the end or to one that does not close."""
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
        """Whether a string never ends, or swallowed the beginning of a record."""
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
        Whether an object begins where the one that is open can't have any.

        A member has a name. And a list that is a record's member (`resources`) holds no records, unless it is one of
        those into which a caller may write: it lost its end.
        """
        if previous == b"," and self._closers[-1:] == b"}":
            self.broken_at = self._opened
        elif self._closers == b"}]" and self._listed not in _OPEN and self._is_start(start):
            self.broken_at, self.sound_to = self._opened, start
        return self.broken_at is not None

    def _is_start(self, place: int) -> bool:
        at = bisect_left(self._starts, place)
        return at < len(self._starts) and self._starts[at] == place

    def _open_object(self, start: int) -> Iterator[Found]:
        if not self._closers:
            self._opened = start
            at = bisect_right(self._starts, start) + _MOST_STARTS
            self._limit = self._starts[at] if at < len(self._starts) else len(self._data)
            yield from _outside(self._data[self._after : start])
        self._closers += b"}"

    def _close(self, closer: int, end: int) -> Iterator[Found]:
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

    def _end(self) -> Iterator[Found]:
        if self._closers:
            self.broken_at = self._opened
        elif self._after == self._start and self._around <= 0:
            yield Piece(b"", "no JSON object in it, and no table with eventName and eventTime")
        else:
            yield from _outside(self._data[self._after :])
            if self._around > 0:
                yield Piece(b"", "cut off after its last record")


def _sound_to(raw: bytes) -> int:
    """How far an object is JSON, whatever characters its strings hold."""
    try:
        json.loads(raw.decode("latin-1"), strict=False)  # a character for each byte
    except json.JSONDecodeError as error:
        return error.pos
    except (ValueError, RecursionError):
        pass
    return len(raw)


def _outside(gap: bytes) -> Iterator[Found]:
    """Text between records that is no JSON of an envelope: perhaps a record without its brackets."""
    if len(gap) > 1 and _LITERALS.sub(b"", _without_tokens(gap)).strip(_WHITE):
        yield Piece(gap, "text that is part of no record")


def _without_tokens(gap: bytes) -> bytes:
    parts, at = [], 0
    for match in tokens(gap):
        parts.append(gap[at : match.start()])
        at = match.end()
    return b"".join([*parts, gap[at:]])
