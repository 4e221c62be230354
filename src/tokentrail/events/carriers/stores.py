"""Read records from stores: search engines, data lakes, tables. Some keep records whole, others must be rewritten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from tokentrail.events.carriers import elastic as ecs
from tokentrail.events.carriers import ocsf as schema
from tokentrail.events.carriers import table
from tokentrail.events.carriers.lost import ELASTIC, ELASTIC_TEXT, OCSF, OCSF_1_0, OTHER_OCSF, TABLE
from tokentrail.events.carriers.names import bare
from tokentrail.events.carriers.shapes import (
    ABSENT,
    Inside,
    Opened,
    Shape,
    decode_object,
    nested,
    string,
    text,
)
from tokentrail.events.carriers.transports import objects
from tokentrail.events.loose import FAILURES
from tokentrail.events.piece import Piece


class _Whole(msgspec.Struct, gc=False):
    raw: str = msgspec.field(name="_raw")


class _Kept(msgspec.Struct, gc=False):
    original: str | None = None


class _Document(msgspec.Struct, gc=False):
    event: _Kept = msgspec.field(default_factory=_Kept)


class _Cell(msgspec.Struct, gc=False):
    VarCharValue: str = ""


class _Cells(msgspec.Struct, gc=False):
    Data: list[_Cell] = []


class _Column(msgspec.Struct, gc=False):
    Name: str


class _Columns(msgspec.Struct, gc=False):
    ColumnInfo: list[_Column]


class _ResultSet(msgspec.Struct, gc=False):
    """What Athena answers (Amazon Athena API Reference, 'ResultSet'); the first row of a first page is the names."""

    ResultSetMetadata: _Columns
    Rows: list[_Cells]


class _Named(msgspec.Struct, gc=False):
    name: str


class _Table(msgspec.Struct, gc=False):
    """Azure Monitor, 'Azure Monitor Log Analytics API response format'."""

    columns: list[_Named]
    rows: list[list[Any]]


_decode_names = msgspec.json.Decoder(list[str]).decode
_decode_lists = msgspec.json.Decoder(list[list[Any]]).decode
_decode_tables = msgspec.json.Decoder(list[_Table]).decode
_decode_result = msgspec.json.Decoder(_ResultSet).decode
_decode_rows = msgspec.json.Decoder(list[list[dict[str, str | None]]]).decode
_SPELLED = (b"eventname", b"eventtime", b"eventsource")
_encode = msgspec.json.Encoder().encode
_decode_whole = msgspec.json.Decoder(_Whole).decode
_decode_document = msgspec.json.Decoder(_Document).decode


def hits(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """An answer of a search: `hits.hits`."""
    if value[:1] != b"{":
        return objects(raw, shape, value, inside)
    return nested(value, inside.within())


def splunk(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """A row of a Splunk export."""
    if value[:1] != b"{":
        return None
    try:
        return text(_decode_whole(value).raw, inside.within(), value)
    except FAILURES:
        return _row(value, inside.within())


def hit(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """A document of a search engine."""
    inside = inside.within()
    try:
        kept = _decode_document(value).event.original
    except FAILURES:
        return nested(value, inside)
    if kept is not None:
        return text(kept if kept[:1] == "{" else ecs.unqueued(kept), inside, value)
    document = ecs.usual(value)
    return (_ecs(document, value, inside) if document is not None else None) or nested(value, inside)


def _row(value: bytes, inside: Inside) -> Iterator[Piece]:
    """A row of a result: the event as it came, or a table's columns."""
    try:
        members = decode_object(value)
    except FAILURES:
        return iter([Piece(value, None, inside.carrier)])
    columns = table.Columns(list(members))
    whole = list(members.values())[columns.whole] if columns.whole is not None else None
    if isinstance(whole, str) and whole.lstrip()[:1] == "{":
        return text(whole, inside, value)
    if not columns.known:
        return nested(value, inside)
    return iter([Piece(columns.record(list(members.values())), None, TABLE, None, value)])


def athena(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """An answer of Athena's GetQueryResults."""
    try:
        found = _decode_result(value)
    except FAILURES:
        return None
    names = [one.Name for one in found.ResultSetMetadata.ColumnInfo]
    rows = ([one.VarCharValue for one in row.Data] for row in found.Rows)
    return _rows((dict(zip(names, row, strict=False)) for row in rows if row != names), inside.within())


def lake(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """An answer of CloudTrail Lake's GetQueryResults: of each row its columns, each an object of its own."""
    try:
        found = _decode_rows(value)
    except FAILURES:
        return None
    rows = ({name: cell for column in row for name, cell in column.items()} for row in found)
    return _rows(rows, inside.within())


def azure(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """An answer of Azure's Log Analytics: tables, each with its columns' names and its rows."""
    try:
        found = _decode_tables(value)
    except FAILURES:
        return None
    named = (([column.name for column in one.columns], one.rows) for one in found)
    return _rows(
        (dict(zip(names, row, strict=False)) for names, rows in named for row in rows), inside.within()
    )


def _rows(rows: Iterable[Mapping[str, Any]], inside: Inside) -> Iterator[Piece]:
    for row in rows:
        if schema.is_row(row):
            yield ocsf_row(row, _encode(row))
        else:
            yield from _row(_encode(row), inside)


def ocsf_row(row: Mapping[str, Any], carried: bytes) -> Piece:
    """The record of a row of a table of Security Lake's."""
    return ocsf_event(schema.from_row(row), carried)


def ocsf_event(event: schema.Event, carried: bytes) -> Piece:
    """The record of an event of Security Lake, and what there was in its place."""
    if not schema.is_document(event):
        return Piece(carried, OTHER_OCSF, OCSF)
    made, old = schema.record(event)
    return Piece(made, None, OCSF_1_0 if old else OCSF, None, carried)


def raw_event(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """An event as Splunk keeps it; Cribl keeps it as an object once it was parsed."""
    found = string(value)
    if found is None:
        return nested(value, inside.within(document=True)) if value[:1] == b"{" else None
    return text(found, inside.within(), raw)


def splunk_rows(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """An answer of Splunk's (`output_mode=json_rows`): the fields' names once, and each row's values."""
    try:
        names, rows = _decode_names(shape.fields), _decode_lists(value)
    except FAILURES:
        return None
    return _rows((dict(zip(names, row, strict=False)) for row in rows), inside.within())


def named(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """A row as an object with Athena's names, or with those of Microsoft Sentinel."""
    if shape.eventname is ABSENT and shape.TimeGenerated is ABSENT:
        return None
    return iter([table.from_object(decode_object(raw), raw)])


def respelled(raw: bytes) -> Opened:
    """A row of a database that has names of its own for CloudTrail's: in capitals as Snowflake, `event_name`..."""
    lowered = raw.lower().replace(b"_", b"")
    if not all(name in lowered for name in _SPELLED):
        return None
    try:
        members = decode_object(raw)
    except FAILURES:
        return None
    if not {name.decode() for name in _SPELLED} <= set(map(bare, members)):
        return None
    return iter([table.from_object(members, raw)])


def elastic(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """A document of Elastic's integration."""
    fields = bytes(shape.fields)
    return _ecs(ecs.read(fields if fields[:1] == b"{" else raw), raw, inside)


def _ecs(document: ecs.Said, raw: bytes, inside: Inside) -> Opened:
    if (kept := ecs.original(document)) is not None:
        return text(kept, inside.within(), raw)
    if not ecs.is_document(document):
        return None
    made, from_text = ecs.record(document)
    return iter([Piece(made, None, ELASTIC_TEXT if from_text else ELASTIC, None, raw)])


def ocsf(raw: bytes, shape: Shape, value: bytes, inside: Inside) -> Opened:
    """An event of Security Lake."""
    return iter([ocsf_event(schema.event(raw), raw)])
