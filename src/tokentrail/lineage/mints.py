"""Which principals were seen to assume which roles."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from tokentrail.lineage.per_segment import per_segment_rows
from tokentrail.lineage.rows import Row
from tokentrail.store.interface import Engine

_ASSUMED = """
SELECT c.segment, coalesce(i.issuer_arn, i.arn) AS by_arn, c.role_arn AS into_arn,
       min({{'time': c.time, 'event': c.event_id, 'text': c.event_id_text}}) AS first
FROM {some_issuances} c JOIN {some_identities} i ON i.segment = c.segment AND i.identity = c.identity
WHERE c.api = 'AssumeRole' AND c.role_arn IS NOT NULL AND coalesce(i.issuer_arn, i.arn) IS NOT NULL
  AND NOT EXISTS (SELECT 1 FROM losers l WHERE l.segment = c.segment AND l.object = c.object AND l.ordinal = c.ordinal)
GROUP BY c.segment, by_arn, into_arn"""
_FIRST = "SELECT by_arn, into_arn, min(first) AS first FROM assumed GROUP BY by_arn, into_arn"


class Mints:
    """Pairs of principals, each with the first event that shows it; between equals in time, the lower event id."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], tuple[int, bytes, str | None]] = {}

    def look(self, engine: Engine, folder: Path) -> None:
        """Look through all issuing calls; what those of each segment show is kept in `folder`."""
        for row in per_segment_rows(engine, "assumed", _ASSUMED, folder, _FIRST):
            first = row["first"]
            self.add(row["by_arn"], row["into_arn"], first["time"], first["event"], first["text"])

    def add(self, by: Any, into: Any, time: Any, event: Any, text: Any) -> None:
        """Add what an event shows, if it tells both."""
        if by is not None and into is not None:
            told = (time or 0, bytes(event or b""), text)
            self._first[by, into] = min(self._first.get((by, into), told), told, key=lambda one: one[:2])

    def infer(self, row: Row, parent: Row) -> None:
        """Add an assumption that its caller's account may not have recorded; a sign-in's caller is who signed in."""
        own = () if parent["kind"] == "federation_token" else ("arn", "role_arn", "child_arn")
        by = next((parent[one] for one in ("issuer_arn", *own, "caller_arn") if parent[one]), None)
        into = row["issuer_arn"] or row["role_arn"]
        self.add(by, into, row["issued_time"], row["issue_event"], row["issue_text"])

    def table(self) -> pa.Table:
        """The pairs, with their first events."""
        firsts = self._first.values()
        return pa.table({
            "by_arn": pa.array([by for by, _ in self._first], pa.string()),
            "into_arn": pa.array([into for _, into in self._first], pa.string()),
            "time": pa.array([time for time, _, _ in firsts], pa.int64()),
            "event": pa.array([event for _, event, _ in firsts], pa.binary()),
            "text": pa.array([text for _, _, text in firsts], pa.string()),
        })  # fmt: skip
