"""Lists of results that know their columns: sequences that become Arrow tables and pandas data frames."""

from __future__ import annotations

import json
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from itertools import islice
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    Self,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
    overload,
)

import pyarrow as pa

from tokentrail.results import NotebookTable

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    from tokentrail.lineage.model import Credential


Item = TypeVar("Item")
_BATCH = 10_000
_TIME = pa.timestamp("s", "UTC")
_TEXTS = pa.list_(pa.string())
_CREDENTIALS = pa.schema([
    ("id", pa.string()), ("access_key_ids", _TEXTS), ("kind", pa.string()), ("account", pa.string()),
    ("principal", pa.string()), ("principal_id", pa.string()), ("role", pa.string()), ("session_name", pa.string()),
    ("source_identity", pa.string()), ("identity", pa.string()), ("mfa", pa.bool_()), ("issued_at", _TIME),
    ("expires_at", _TIME), ("expires_bound", _TIME), ("issued_by_api", pa.string()), ("issued_by_event", pa.string()),
    ("parent", pa.string()), ("parent_link", pa.string()), ("origin", pa.string()), ("root", pa.string()),
    ("depth", pa.int64()), ("state", pa.string()), ("state_reason", pa.string()), ("ended_at", _TIME),
    ("ended_by", pa.string()), ("first_used", _TIME), ("last_used", _TIME), ("events", pa.int64()),
    ("errors", pa.int64()), ("source_ips", _TEXTS), ("used", pa.bool_()),
])  # fmt: skip


class Rows(NotebookTable, tuple[Item, ...]):
    """Results of one kind, as a tuple."""

    kind: type[Item]
    failed: tuple[str, ...] = ()
    """A sentence for each rule or signal that ended in an error, so that results of it may be missing."""

    def __new__(
        cls, items: Iterable[Item] = (), kind: type[Item] | None = None, failed: Iterable[str] = ()
    ) -> Self:
        """
        Make them.

        Args:
            items: The results.
            kind: Their type, which tells the columns where there are none.
            failed: What may be missing, in sentences.
        """
        self = super().__new__(cls, items)
        self.failed = tuple(failed)
        if kind is not None:
            self.kind = kind
        return self

    def to_arrow(self) -> pa.Table:
        """The results as an Arrow table, a row each, with the names and types of their fields."""
        return arrow_table(self, self.kind)

    def to_pandas(self) -> Any:
        """The results as a data frame of pandas, which must be installed."""
        return self.to_arrow().to_pandas()


class LazyRows(NotebookTable, Sequence[Item]):
    """
    Results of one kind that are asked for when they are looked at.

    To go through them keeps none, so that there may be millions; to count or pick some keeps all.
    """

    def __init__(self, ask: Callable[[], Iterator[Item]], kind: type[Item]) -> None:
        self.kind = kind
        self._ask = ask
        self._kept: Rows[Item] | None = None

    def __iter__(self) -> Iterator[Item]:
        return self._ask() if self._kept is None else iter(self._kept)

    def __len__(self) -> int:
        return len(self._all())

    @overload
    def __getitem__(self, place: int) -> Item: ...
    @overload
    def __getitem__(self, place: slice) -> Rows[Item]: ...
    def __getitem__(self, place: int | slice) -> Item | Rows[Item]:
        found = self._all()
        return Rows(found[place], self.kind) if isinstance(place, slice) else found[place]

    def to_arrow(self) -> pa.Table:
        """The results as an Arrow table, a row each, with the names and types of their fields."""
        return arrow_table(self, self.kind)

    def to_pandas(self) -> Any:
        """The results as a data frame of pandas, which must be installed."""
        return self.to_arrow().to_pandas()

    def _all(self) -> Rows[Item]:
        if self._kept is None:
            self._kept = Rows(self._ask(), self.kind)
        return self._kept


def arrow_table(rows: Iterable[Any], kind: type) -> pa.Table:
    """Results as a table, made a batch at a time."""
    schema = pa.schema(list(_columns(kind)))
    batches: list[pa.RecordBatch] = []
    batch: list[dict[str, Any]] = []
    for row in rows:
        batch.append(_cells(row))
        if len(batch) == _BATCH:
            batches.append(pa.RecordBatch.from_pylist(batch, schema=schema))
            batch = []
    batches.append(pa.RecordBatch.from_pylist(batch, schema=schema))
    return pa.Table.from_batches(batches, schema=schema)


def _columns(kind: type) -> Iterator[pa.Field[Any]]:
    hints = get_type_hints(kind)
    return (pa.field(one.name, _arrow_type(hints[one.name])) for one in fields(kind))


_TYPES: dict[object, pa.DataType] = {
    str: pa.string(), bool: pa.bool_(), int: pa.int64(), float: pa.float64(), datetime: pa.timestamp("s", "UTC"),
}  # fmt: skip


def _arrow_type(hint: Any) -> pa.DataType:
    """The Arrow type of a field: of what has no other, text, as JSON."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        named = [one for one in get_args(hint) if one is not type(None)]
        return _arrow_type(named[0]) if len(named) == 1 else pa.string()
    if origin is tuple and get_args(hint)[1:] == (...,):
        return pa.list_(_arrow_type(get_args(hint)[0]))
    if isinstance(hint, type) and is_dataclass(hint):
        return pa.struct(list(_columns(hint)))
    return pa.string() if origin is Literal else _TYPES.get(hint, pa.string())


def _cells(row: DataclassInstance) -> dict[str, Any]:
    return {one.name: _cell(getattr(row, one.name)) for one in fields(row)}


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_cell(one) for one in value]
    if isinstance(value, Mapping):
        return json.dumps(dict(value), default=str)
    return _cells(value) if is_dataclass(value) and not isinstance(value, type) else value


def credentials_table(credentials: Iterable[Credential]) -> pa.Table:
    """Credentials as a table, built a batch at a time."""
    stream = iter(credentials)
    batches: list[pa.RecordBatch] = []
    while rows := list(islice(_credential_rows(stream), _BATCH)):
        batches.append(pa.RecordBatch.from_pylist(rows, schema=_CREDENTIALS))
    return pa.Table.from_batches(batches, schema=_CREDENTIALS)


def _credential_rows(credentials: Iterator[Credential]) -> Iterator[dict[str, object]]:
    for one in credentials:
        row: dict[str, object] = {name: getattr(one, name, None) for name in _CREDENTIALS.names}
        if one.issued_by is not None:
            row["issued_by_api"], row["issued_by_event"] = one.issued_by.api, one.issued_by.event_id
        yield row
