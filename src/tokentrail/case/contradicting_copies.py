"""Copies of one record that contradict each other: one of them counts, and another was altered, or planted."""

from __future__ import annotations

from tokentrail.formatting import counted
from tokentrail.lineage.rows import event_id
from tokentrail.store.interface import Engine

_MOST = 2_000_000
"""Copies up to which they are compared with what counts: of half a million that takes a second."""
SOME = 200_000
"""Copies up to which every trace looks: of more, `status` tells."""
_COUNT = "SELECT count(*) AS many FROM duplicates"
_CONTRADICTING = """
WITH lost AS (
  SELECT e.event_id, e.segment, e.identity, e.name, e.time FROM events e
  JOIN duplicates l ON l.segment = e.segment AND l.object = e.object AND l.ordinal = e.ordinal),
kept AS (
  SELECT e.event_id, e.event_id_text, e.segment, e.identity, e.name, e.time FROM facts e
  WHERE e.event_id IN (SELECT event_id FROM lost))
SELECT DISTINCT k.event_id, k.event_id_text FROM kept k JOIN lost l ON l.event_id = k.event_id
LEFT JOIN identities ik ON ik.segment = k.segment AND ik.identity = k.identity
LEFT JOIN identities il ON il.segment = l.segment AND il.identity = l.identity
WHERE k.name <> l.name OR k.time <> l.time OR ik.key_id <> il.key_id OR ik.principal_id <> il.principal_id
   OR ik.account <> il.account
ORDER BY 1"""
"""What is left out of a copy contradicts nothing: a carrier may hold less than another."""


def contradicting(engine: Engine, most: int | None = None) -> tuple[str, ...]:
    """
    A sentence about events of which copies tell other callers, calls or times; none where there are none.

    Args:
        engine: Knows the case.
        most: Copies beyond which nothing is looked for, nor said.
    """
    [found] = engine.rows(_COUNT)
    if not found["many"] or (most is not None and found["many"] > most):
        return ()
    if found["many"] > _MOST:
        return (
            f"{found['many']:,} records are copies of others, too many to look whether they contradict these.",
        )
    events = [event_id(row["event_id"], row["event_id_text"]) for row in engine.rows(_CONTRADICTING)]
    if not events:
        return ()
    many = counted(len(events), "event")
    return (
        f"{many}, as {events[0]}, came in copies that tell different callers, calls or times. One of each counts, the "
        "fullest; another was altered, or planted: `tokentrail verify-logs` tells which files are as AWS wrote them.",
    )
