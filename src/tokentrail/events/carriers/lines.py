"""
Texts whose lines are rows: CSV, and lines that begin with a time (CloudWatch Logs exports, `aws logs tail`).

A row that can't be cut, or that isn't what its header says, costs itself only.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from tokentrail.events.carriers import elastic, ocsf, stores, table
from tokentrail.events.carriers.lost import CLOUDWATCH_LOGS, ELASTIC, ELASTIC_TEXT, TABLE
from tokentrail.events.carriers.shapes import Room, nested, text, text_bytes
from tokentrail.events.carriers.unwrap import outside
from tokentrail.events.piece import Piece

_STAMPED = re.compile(rb"\s*\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d\S*\s+(?:[^\s{]+\s+){0,2}(?=\{)")
_BEFORE_NAMES = (b"#TYPE ", b"sep=")
"""What may stand above the names: Windows PowerShell's `Export-Csv` says what its rows are, Excel what parts cells."""
_SEPARATORS = ",\t;"
_MOST_LINES = 1_000
"""Lines that one row may take: a quotation mark too many costs so many at most."""
_LONGEST = 1 << 30
_ELASTIC = ("event.action", elastic.ORIGINAL, "aws.cloudtrail.")


def pieces(data: bytes, room: Room) -> Iterator[Piece] | None:
    """The records of such a text; `None` if it is none."""
    if _STAMPED.match(data, 0, 400):
        return _stamped(data, room)
    if data.startswith(_BEFORE_NAMES):
        data = data.partition(b"\n")[2]
    head = data[: 1 << 16].partition(b"\n")[0]
    if not head or head[:1] in b"{[":
        return None
    for separator in _SEPARATORS:
        names = _cells(head.decode("utf-8", "replace"), separator)
        if names and len(names) <= 5_000 and (rows := _Rows(names, separator, room)).known:
            return rows.pieces(data)
    return None


def _stamped(data: bytes, room: Room) -> Iterator[Piece]:
    inside = outside(room, carrier=CLOUDWATCH_LOGS)
    for row in data.split(b"\n"):
        message = _message(row)
        if message.strip():
            yield from text_bytes(message, inside)


def _message(row: bytes) -> bytes:
    found = _STAMPED.match(row, 0, 400)
    message = row[found.end() :] if found else row
    return message if message.isascii() else message.decode("utf-8", "replace").encode()


def _cells(row: str, separator: str, **escaped: Any) -> list[str] | None:
    csv.field_size_limit(_LONGEST)  # the module's own default is less than what one event may hold
    try:
        return next(csv.reader([row], delimiter=separator, **escaped), None)
    except (csv.Error, StopIteration):
        return None


class _Rows:
    """The rows under one header."""

    def __init__(self, names: list[str], separator: str, room: Room) -> None:
        self._names = [name.strip() for name in names]
        self._separator = separator
        self._columns = table.Columns(self._names)
        self._room = room
        self._elastic = any(name.removeprefix("_source.").startswith(_ELASTIC) for name in self._names)
        self._ocsf = ocsf.is_row(self._names)
        whole = self._columns.whole
        self._original = whole is not None and self._names[whole].endswith(elastic.ORIGINAL)
        self.known = len(names) > 0 and (self._columns.known or self._elastic or self._ocsf)

    def pieces(self, data: bytes) -> Iterator[Piece]:
        lines = data.decode("utf-8", "replace").split("\n")
        at = 1
        while at < len(lines):
            end = _row_end(lines, at)
            if end is None:
                yield Piece(lines[at].encode(), "a row whose quotation marks don't close", TABLE)
                at += 1
                continue
            row = "\n".join(lines[at:end]).rstrip("\r")
            at = end
            if row.strip():
                yield from self._row(row)

    def _row(self, row: str) -> Iterator[Piece]:
        cells = _cells(row, self._separator)
        if (cells is None or len(cells) != len(self._names)) and '\\"' in row:  # as Spark and Hive write it
            cells = _cells(row, self._separator, escapechar="\\", doublequote=False) or cells
        if cells is None or len(cells) != len(self._names):
            many = 0 if cells is None else len(cells)
            yield Piece(row.encode(), f"a row of {many} cells under {len(self._names)} columns", TABLE)
            return
        carried = msgspec.json.encode(dict(zip(self._names, cells, strict=True)))
        whole = cells[self._columns.whole] if self._columns.whole is not None else ""
        if whole[:1].isdigit() and self._original:
            whole = elastic.unqueued(whole)
        if whole.lstrip()[:1] == "{":
            yield from text(whole, outside(self._room), carried)
        elif self._elastic or self._ocsf:
            yield from self._document(cells, carried)
        elif self._columns.known and self._columns.whole is None:
            yield Piece(self._columns.record(cells), None, self._columns.carrier, None, carried)
        else:
            yield from nested(carried, outside(self._room))

    def _document(self, cells: list[str], carried: bytes) -> Iterator[Piece]:
        if self._ocsf:
            yield stores.ocsf_row(dict(zip(self._names, cells, strict=True)), carried)
            return
        members = {
            name.removeprefix("_source."): cell
            for name, cell in zip(self._names, cells, strict=True)
            if cell not in ("", "-", "(empty)")
        }
        made, odd = elastic.record(elastic.said(members))
        yield Piece(made, None, ELASTIC_TEXT if odd else ELASTIC, None, carried)


def _row_end(lines: list[str], at: int) -> int | None:
    """After which line a row ends: the first at which its quotation marks are even in number."""
    marks = 0
    for end in range(at, min(at + _MOST_LINES, len(lines))):
        marks += lines[end].count('"')
        if marks % 2 == 0:
            return end + 1
    return None
