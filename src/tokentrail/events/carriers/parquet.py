"""
Parquet files: Security Lake's, and tables that somebody made of CloudTrail's records.

Rows are taken some thousands at a time, so that a file which claims to hold more than there is memory for costs no
more than that, and none is read past the bound.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from tokentrail.events.carriers import ocsf, parquet_plain, table
from tokentrail.events.carriers.lost import OCSF, OCSF_1_0, OTHER_OCSF
from tokentrail.events.carriers.shapes import BEYOND, Room, text
from tokentrail.events.carriers.unwrap import outside
from tokentrail.events.loose import FAILURES, clean
from tokentrail.events.piece import Found, Many, Piece

MAGIC = b"PAR1"
_ROWS = 4_000
_FAILURES = (
    pa.ArrowException,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    OverflowError,
    MemoryError,
)
"""What the library raises for files that are damaged or lie about themselves."""
Row = dict[str, Any]


def pieces(data: bytes, room: Room) -> Iterator[Found]:
    """Yield the records of a Parquet file's rows, in order."""
    try:
        file = pq.ParquetFile(pa.BufferReader(data))
        names = file.schema_arrow.names
    except _FAILURES as error:
        yield Piece(b"", f"a Parquet file that can't be opened ({_first_line(error)})")
        return
    security_lake = "class_uid" in names and "api" in names
    columns = table.Columns(names)
    if not security_lake and not columns.known:
        reason = OTHER_OCSF if "class_uid" in names else "a Parquet file without CloudTrail's columns"
        yield Piece(b"", reason)
        return
    wanted = [name for name in names if name in ocsf.MEMBERS] if security_lake else None
    try:
        for batch in file.iter_batches(batch_size=_ROWS, columns=wanted, use_threads=False):
            room.left -= batch.nbytes
            if room.left < 0:
                yield Piece(b"", BEYOND)
                return
            yield from _together(batch) if security_lake else _rows(batch, columns, room)
    except _FAILURES as error:
        yield Piece(b"", f"a damaged Parquet file ({_first_line(error)})")


def _together(batch: pa.RecordBatch) -> Iterator[Found]:
    found = parquet_plain.texts(batch, partial(_whole, batch)) if batch.num_rows else None
    if found is None:
        yield from _documents(batch)
    else:
        texts, old = found
        yield Many(texts, frozenset((OCSF_1_0 if old else OCSF,)), partial(_documents, batch))


def _whole(batch: pa.RecordBatch, row: int) -> bytes:
    """The record of one row that takes more thought than its neighbours."""
    return ocsf.record(next(_objects(batch.slice(row, 1))))[0]


def _documents(batch: pa.RecordBatch) -> Iterator[Piece]:
    try:
        rows = list(_objects(batch))
    except _FAILURES as error:
        if batch.num_rows > 1:
            for at in range(batch.num_rows):
                yield from _documents(batch.slice(at, 1))
        else:
            yield Piece(b"", f"a damaged row of a Parquet file ({_first_line(error)})", OCSF)
        return
    for row in rows:
        if not ocsf.is_document(row):
            yield Piece(b"", OTHER_OCSF, OCSF)
            continue
        made, old = ocsf.record(row)
        yield Piece(made, None, OCSF_1_0 if old else OCSF)


def _rows(batch: pa.RecordBatch, columns: table.Columns, room: Room) -> Iterator[Found]:
    for cells in zip(*map(_told, batch.columns), strict=True):
        whole = cells[columns.whole] if columns.whole is not None else None
        if isinstance(whole, str) and whole.lstrip()[:1] == "{":
            yield from text(whole, outside(room))
        else:
            yield Piece(columns.record(cells), None, columns.carrier)


def _told(column: Any) -> Sequence[Any]:
    """The cells of a table's column."""
    cells = _values(column)
    return [table.opened(one) for one in cells] if pa.types.is_map(column.type) else cells


def _objects(batch: pa.RecordBatch) -> Iterator[Row]:
    """Rows as plain objects, column by column: the library's own way takes several times as long."""
    columns = [_values(column) for column in batch.columns]
    names = batch.schema.names
    for values in zip(*columns, strict=True):
        yield {name: value for name, value in zip(names, values, strict=True) if value is not None}


def _values(column: Any) -> Sequence[Any]:
    kind = column.type
    if pa.types.is_struct(kind):
        return _structs(column)
    if pa.types.is_map(kind):
        return _maps(column)
    if pa.types.is_dictionary(kind):
        return _values(column.dictionary_decode())
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return list(map(_decoded, column.to_pylist()))
    found: Sequence[Any]
    try:
        found = column.to_pylist()
    except UnicodeDecodeError:  # texts in which a byte is damaged, as elsewhere what was never text
        found = list(map(_decoded, column.cast(_of_bytes(kind)).to_pylist()))
    return found


def _of_bytes(kind: Any) -> Any:
    """The type with bytes in place of its texts."""
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inside = _of_bytes(kind.value_type)
        return pa.large_list(inside) if pa.types.is_large_list(kind) else pa.list_(inside)
    if pa.types.is_struct(kind):
        fields = (kind.field(at) for at in range(kind.num_fields))
        return pa.struct([(one.name, _of_bytes(one.type)) for one in fields])
    if pa.types.is_large_string(kind):
        return pa.large_binary()
    return pa.binary() if pa.types.is_string(kind) else kind


def _decoded(value: Any) -> Any:
    """The same with texts in place of bytes, of which what is none is replaced."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list):
        return [_decoded(one) for one in value]
    if isinstance(value, dict):
        return {name: _decoded(one) for name, one in value.items()}
    return value


def _structs(column: Any) -> Sequence[Row | None]:
    names = [column.type.field(at).name for at in range(column.type.num_fields)]
    if not names:
        return [{}] * len(column)
    parts = [_values(part) for part in column.flatten()]
    present = column.is_valid().to_pylist() if column.null_count else [True] * len(column)
    return [
        {name: value for name, value in zip(names, values, strict=True) if value is not None}
        if there
        else None
        for there, values in zip(present, zip(*parts, strict=True), strict=True)
    ]


def _maps(column: Any) -> Sequence[Row | None]:
    """Maps whose keys are texts; entries of one row lie side by side."""
    first = column.offsets.to_pylist()
    start, end = (first[0], first[-1]) if first else (0, 0)
    keys, items = column.keys, column.items
    if len(keys) != end - start:  # of some rows of a longer column
        keys, items = keys[start:end], items[start:end]
    keys, items = _values(keys), _values(items)
    present = column.is_valid().to_pylist() if column.null_count else [True] * len(column)
    return [
        {
            str(keys[at - start]): items[at - start]
            for at in range(first[n], first[n + 1])
            if items[at - start] is not None
        }
        if there
        else None
        for n, there in enumerate(present)
    ]


def carried(row: Row) -> bytes:
    """A row as JSON."""
    try:
        return msgspec.json.encode(clean(row))
    except (*FAILURES, TypeError):
        return b"{}"


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__
