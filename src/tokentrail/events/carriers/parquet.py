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
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tokentrail.events.carriers import ocsf, stores, table
from tokentrail.events.carriers.lost import OCSF, OTHER_OCSF
from tokentrail.events.carriers.names import place
from tokentrail.events.carriers.shapes import BEYOND, Room, text
from tokentrail.events.carriers.text_cache import Known
from tokentrail.events.carriers.unwrap import outside
from tokentrail.events.piece import Piece

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


def pieces(data: bytes, room: Room) -> Iterator[Piece]:
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
    wanted = list(ocsf.PATHS) if security_lake else None
    try:
        for batch in file.iter_batches(batch_size=_ROWS, columns=wanted, use_threads=False):
            room.left -= batch.nbytes
            if room.left < 0:
                yield Piece(b"", BEYOND)
                return
            yield from _documents(batch) if security_lake else _rows(batch, columns, room)
    except _FAILURES as error:
        yield Piece(b"", f"a damaged Parquet file ({_first_line(error)})")


def _documents(batch: pa.RecordBatch) -> Iterator[Piece]:
    """The records of Security Lake's rows; of a batch that can't be read, row by row."""
    try:
        columns = {path: _told_at(batch, path) for path in ocsf.PATHS}
        events = list(map(ocsf.Event, *columns.values()))
    except _FAILURES as error:
        if batch.num_rows > 1:
            for at in range(batch.num_rows):
                yield from _documents(batch.slice(at, 1))
        else:
            yield Piece(b"", f"a damaged row of a Parquet file ({_first_line(error)})", OCSF)
        return
    for event in events:
        yield stores.ocsf_event(event, b"")


def _told_at(batch: pa.RecordBatch, path: str) -> Sequence[Any]:
    """The values of a field, perhaps of structs in structs; `None` for each row where there is no such field."""
    head, *rest = path.split(".")
    found: Any = batch.column(head) if batch.schema.names.count(head) == 1 else None
    for name in rest:
        at = found.type.get_field_index(name) if found is not None and pa.types.is_struct(found.type) else -1
        found = pc.struct_field(found, [at]) if at >= 0 else None
    if found is None:
        return [None] * batch.num_rows
    return _acted(found) if path == ocsf.ACTOR else _values(found)


def _acted(column: Any) -> Sequence[Any]:
    """Those who acted, as JSON, which is made once for all rows that tell the same."""
    leaves = list(_leaves(column, ()))
    if () in dict(leaves) or any(pa.types.is_nested(leaf.type) for _, leaf in leaves):
        return _values(column)
    known = Known(partial(_actor, [path for path, _ in leaves]))
    return [known[row] for row in zip(*(_values(leaf) for _, leaf in leaves), strict=True)]


def _actor(paths: Sequence[tuple[str, ...]], values: Sequence[Any]) -> msgspec.Raw:
    made: Row = {}
    for path, value in zip(paths, values, strict=True):
        if value is not None:
            place(made, path, value)
    return msgspec.Raw(msgspec.json.encode(made))


def _leaves(column: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The columns of which structs in structs consist, by their paths."""
    if not pa.types.is_struct(column.type):
        yield path, column
        return
    for at, part in enumerate(column.flatten()):
        yield from _leaves(part, (*path, column.type.field(at).name))


def _rows(batch: pa.RecordBatch, columns: table.Columns, room: Room) -> Iterator[Piece]:
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
    shared = keys.dictionary_encode() if pa.types.is_string(keys.type) else None
    names = list(map(str, _values(keys))) if shared is None else _shared(shared)
    values = _values(items)
    present = column.is_valid().to_pylist() if column.null_count else [True] * len(column)
    rows = [
        dict(zip(names[at - start : end_ - start], values[at - start : end_ - start], strict=True))
        if there
        else None
        for there, at, end_ in zip(present, first, first[1:], strict=False)
    ]
    return rows if not items.null_count else [one and _without_nothing(one) for one in rows]


def _shared(column: Any) -> list[str]:
    """The values of a column, each of them once in memory however many rows have it."""
    values = _values(column.dictionary)
    return [values[at] for at in column.indices.to_pylist()]


def _without_nothing(row: Row) -> Row:
    return {name: value for name, value in row.items() if value is not None}


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0][:200] or type(error).__name__
