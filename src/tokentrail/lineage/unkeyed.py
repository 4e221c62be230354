"""
Calls of which the record names the principal and no key, as the log of whoever owns what was called has them.

The owner of a bucket or a file system is told who called from another account by account and principal id alone, so
no credential can be made out: whoever was that principal then may have called.
Source: CloudTrail User Guide, 'CloudTrail userIdentity element' (`AWSAccount`) and 'Receiving CloudTrail log files
from multiple accounts'.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from tokentrail.lineage.kept import kept_rows
from tokentrail.lineage.model import ApiUse, PrincipalUse, TracedCredential
from tokentrail.lineage.rows import moment
from tokentrail.store.interface import Engine

_STRANGERS = """
SELECT i.principal_id, i.account, i.segment, i.identity FROM {some_identities} i
WHERE i.type = 'AWSAccount' AND i.key_id IS NULL AND i.principal_id <> ''"""
_CALLS = """
SELECT principal_id, account, source, name, resource, ids, count(*) AS calls, count(error) AS errors,
       min(time) AS first, max(time) AS last FROM (
  SELECT l.principal_id, e.account, e.source, e.name, e.resource, e.error, e.time, sorted_set(l.id) AS ids
  FROM {events} e JOIN asked_strangers s ON s.segment = e.segment AND s.identity = e.identity
  JOIN asked_lives l ON l.principal_id = s.principal_id AND e.time BETWEEN l.since AND l.until
  WHERE coalesce(e.source, '') <> 'sts.amazonaws.com' AND NOT EXISTS (
    SELECT 1 FROM losers x WHERE x.segment = e.segment AND x.object = e.object AND x.ordinal = e.ordinal)
  GROUP BY l.principal_id, e.account, e.source, e.name, e.resource, e.error, e.time, e.segment, e.object, e.ordinal)
GROUP BY principal_id, account, source, name, resource, ids ORDER BY ALL"""
"""The calls by who may have made them; of STS it is what mints, which lineage tells of."""
_KEPT = "keylesscallers"
_ANY = f"SELECT 1 AS one FROM {_KEPT} LIMIT 1"
_BY = "principal_id, segment, identity"
_EVER = 1 << 60


class Unkeyed:
    """Finds such calls."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        """
        Look for them.

        Args:
            engine: Knows the evidence.
            folder: Where what is derived from it lies.
        """
        self._engine = engine
        self._folder = folder
        self._any: bool | None = None

    def homes(self, principal: str) -> list[str]:
        """The accounts that such records say a principal is of; none where there are no records."""
        return sorted({row["account"] or "" for row in self._strangers({principal})})

    def of(self, credentials: Sequence[TracedCredential], apis: Iterable[ApiUse]) -> tuple[PrincipalUse, ...]:
        """
        The calls that some credentials may have made, by what was called.

        Args:
            credentials: The credentials.
            apis: What these called by the records that name their keys.
        """
        who = self._strangers({one.principal_id for one in credentials if one.principal_id})
        if not who:
            return ()
        self._engine.register("asked_strangers", pa.Table.from_pylist(who))
        named = {row["principal_id"] for row in who}
        alive = [one for one in credentials if one.principal_id in named]
        self._engine.register("asked_lives", pa.table({
            "principal_id": pa.array([one.principal_id for one in alive], pa.string()),
            "id": pa.array([one.id for one in alive], pa.string()),
            "since": pa.array([_second(one.issued_at, -_EVER) for one in alive], pa.int64()),
            "until": pa.array([_second(one.expires_at or one.expires_bound, _EVER) for one in alive], pa.int64()),
        }))  # fmt: skip
        events = self._engine.narrow({row["segment"] for row in who})["some_events"]
        keyed = {(one.credential, one.event_source, one.event_name): one.count for one in apis}
        return tuple(_use(row, keyed) for row in self._engine.rows(_CALLS.format(events=events)))

    def know(self) -> bool:
        """Have at hand where such records are; whether there are any."""
        if self._any is None:
            self._any = bool(kept_rows(self._engine, _KEPT, _STRANGERS, self._folder, _ANY, _BY))
        return self._any

    def _strangers(self, principals: set[str]) -> list[dict[str, Any]]:
        """Where in the evidence such records are of some principals."""
        if not self.know() or not principals:
            return []
        return self._engine.ranges(
            _KEPT, "principal_id", [(one, one) for one in sorted(principals)]
        ).to_pylist()


def _use(row: Mapping[str, Any], keyed: Mapping[tuple[str, str | None, str | None], int]) -> PrincipalUse:
    first, last = moment(row["first"]), moment(row["last"])
    assert first is not None
    assert last is not None
    call = row["source"], row["name"]
    return PrincipalUse(
        principal_id=row["principal_id"],
        credentials=tuple(row["ids"]),
        account=row["account"],
        event_source=row["source"],
        event_name=row["name"],
        arns=tuple(filter(None, (row["resource"] or "").split("\n"))),
        count=row["calls"],
        errors=row["errors"],
        first=first,
        last=last,
        with_key=sum(keyed.get((one, *call), 0) for one in row["ids"]),
    )


def _second(when: datetime | None, otherwise: int) -> int:
    return otherwise if when is None else int(when.timestamp())
