"""The changes in the evidence as `policy` takes them in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from tokentrail.events.vocabulary import FROM_TEMPLATE
from tokentrail.lineage.rows import event_id, object_of, values
from tokentrail.policy.history.changes import Change

_DOCUMENT_MEMBER = dict.fromkeys(("CreateRole", FROM_TEMPLATE), "assumeRolePolicyDocument")
_ORGANISATION = "organizations.amazonaws.com"
_ENTERED = {
    "time": "time", "source": "source", "name": "name", "request": "request", "document": "document",
    "response": "response", "event_id": "event_id", "event_id_text": "event_id_text", "caller_user": "caller_user",
    "account": "in_account",
}  # fmt: skip
"""What is read of a change, by the column that says it."""
_BATCH = 8_192


def entries(rows: pa.Table | pa.RecordBatch, until: int | None = None) -> Iterator[Change]:
    """Read rows of `edits`, or of changes joined in the same way, up to a second if one is given."""
    for part in rows.to_batches(_BATCH) if isinstance(rows, pa.Table) else [rows]:
        for told in zip(*(values(part[name]) for name in _ENTERED.values()), strict=True):
            row = dict(zip(_ENTERED, told, strict=True))
            if until is None or (row["time"] is not None and row["time"] <= until):
                yield change(row, event_id(row["event_id"], row["event_id_text"]) or "")


def change(row: Mapping[str, Any], event_id: str) -> Change:
    """Read one row of `changes`, joined with its caller."""
    request = object_of(row["request"])
    if row["document"] is not None:
        member = (
            "content"
            if row["source"] == _ORGANISATION
            else _DOCUMENT_MEMBER.get(row["name"], "policyDocument")
        )
        request[member] = row["document"]
    response = object_of(row["response"]) or None
    if row["name"] == FROM_TEMPLATE and isinstance(role := (response or {}).get("role"), Mapping):
        request.setdefault("roleName", role.get("roleName"))  # as if it had been asked for, as others do
    return Change(
        time=datetime.fromtimestamp(row["time"], UTC),
        event_id=event_id,
        account=row["account"] or "",
        event_source=row["source"] or "",
        event_name=row["name"],
        request=request,
        response=response,
        caller_user=row["caller_user"],
    )
