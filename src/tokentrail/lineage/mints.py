"""Which principals were seen to assume which roles."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from tokentrail.lineage.rows import Row
from tokentrail.store.interface import Engine

DATA_ACCESS = "lakeformation:GetDataAccess"
_FIRST = "SELECT by_arn, into_arn, api, min(first) AS first FROM assumed_roles GROUP BY by_arn, into_arn, api"


class Mints:
    """
    Pairs of principals and the call by which one gets sessions of the other, each with the first event that shows it.

    Between equals in time, the event with the lower id counts.
    """

    def __init__(self) -> None:
        self._first: dict[tuple[str, str, str], tuple[int, bytes, str | None]] = {}

    def look(self, engine: Engine) -> None:
        """Look through all roles that were assumed."""
        for row in engine.rows(_FIRST):
            first = row["first"]
            self.add(row["by_arn"], row["into_arn"], row["api"], first["time"], first["event"], first["text"])

    def add(self, by: Any, into: Any, api: str, time: Any, event: Any, text: Any) -> None:
        """Add what an event shows, if it tells both."""
        if by is not None and into is not None:
            told, pair = (time or 0, bytes(event or b""), text), (by, into, api)
            self._first[pair] = min(self._first.get(pair, told), told, key=lambda one: one[:2])

    def infer(self, row: Row, parent: Row, api: str) -> None:
        """Add a session whose issuing record does not name its caller; a sign-in's caller is who signed in."""
        own = () if parent["kind"] == "federation_token" else ("arn", "role_arn", "child_arn")
        by = next((parent[one] for one in ("issuer_arn", *own, "caller_arn") if parent[one]), None)
        into = row["issuer_arn"] or row["role_arn"]
        self.add(by, into, api, row["issued_time"], row["issue_event"], row["issue_text"])

    def table(self) -> pa.Table:
        """The pairs, with their first events."""
        firsts = self._first.values()
        return pa.table({
            "by_arn": pa.array([by for by, _, _ in self._first], pa.string()),
            "into_arn": pa.array([into for _, into, _ in self._first], pa.string()),
            "api": pa.array([api for _, _, api in self._first], pa.string()),
            "time": pa.array([time for time, _, _ in firsts], pa.int64()),
            "event": pa.array([event for _, event, _ in firsts], pa.binary()),
            "text": pa.array([text for _, _, text in firsts], pa.string()),
        })  # fmt: skip
