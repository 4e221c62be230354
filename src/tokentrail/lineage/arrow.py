"""Results as Arrow tables, for those who go on with them elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice

import pyarrow as pa

from tokentrail.lineage.model import Credential

_TIME = pa.timestamp("s", "UTC")
_TEXTS = pa.list_(pa.string())
CREDENTIALS = pa.schema([
    ("id", pa.string()), ("access_key_ids", _TEXTS), ("kind", pa.string()), ("account", pa.string()),
    ("principal", pa.string()), ("principal_id", pa.string()), ("role", pa.string()), ("session_name", pa.string()),
    ("source_identity", pa.string()), ("identity", pa.string()), ("mfa", pa.bool_()), ("issued_at", _TIME),
    ("expires_at", _TIME), ("expires_bound", _TIME), ("issued_by_api", pa.string()), ("issued_by_event", pa.string()),
    ("parent", pa.string()), ("parent_link", pa.string()), ("origin", pa.string()), ("root", pa.string()),
    ("depth", pa.int64()), ("state", pa.string()), ("state_reason", pa.string()), ("ended_at", _TIME),
    ("ended_by", pa.string()), ("first_used", _TIME), ("last_used", _TIME), ("events", pa.int64()),
    ("errors", pa.int64()), ("source_ips", _TEXTS), ("used", pa.bool_()),
])  # fmt: skip
_BATCH = 10_000


def table(credentials: Iterable[Credential]) -> pa.Table:
    """Credentials as a table, built a batch at a time."""
    stream = iter(credentials)
    batches: list[pa.RecordBatch] = []
    while rows := list(islice(_rows(stream), _BATCH)):
        batches.append(pa.RecordBatch.from_pylist(rows, schema=CREDENTIALS))
    return pa.Table.from_batches(batches, schema=CREDENTIALS)


def _rows(credentials: Iterator[Credential]) -> Iterator[dict[str, object]]:
    for one in credentials:
        row: dict[str, object] = {name: getattr(one, name, None) for name in CREDENTIALS.names}
        if one.issued_by is not None:
            row["issued_by_api"], row["issued_by_event"] = one.issued_by.api, one.issued_by.event_id
        yield row
