"""A session that works although a change should have ended it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from tokentrail.detection.cited_events import event_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.revocations import REVOCATION_READS, Revocation, add_revocations
from tokentrail.detection.views import CREDENTIAL_EVENTS
from tokentrail.formatting import at, counted, enumerated, lasting
from tokentrail.lineage.rows import Row
from tokentrail.policy.history.survival import Ended, called, outlives

_CALLED = """
    SELECT c.n, d.source, d.name, d.time, d.event_id, d.event_id_text, count(*) OVER alike AS uses
    FROM revoked c JOIN credential_events d
      ON d.n = c.n AND d.time > greatest(c.ended_at, c.done_at) + ? AND d.error IS NULL AND NOT d.forwarded
    WINDOW alike AS (PARTITION BY c.n, d.source, d.name)
    QUALIFY row_number() OVER (alike ORDER BY d.time, d.event_id) = 1
    ORDER BY d.time, d.event_id, d.source, d.name"""
"""Of each credential, the first call of each kind, and how many there were."""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Look for successful calls after the time at which each ending must have taken effect."""
    revocations = {one.credential["n"]: one for one in (*context.revoked_keys(), *context.revoked_sessions())}
    grace = context.thresholds.whole("propagation")
    if not revocations:
        return
    endings = {n: _ended(one, grace) for n, one in revocations.items()}
    add_revocations(context, "revoked", revocations.values())
    calls: dict[int, list[Row]] = {}
    for row in context.rows(_CALLED, (grace,)):
        time = datetime.fromtimestamp(row["time"], UTC)
        if outlives([endings[row["n"]]], time, called(row["source"], row["name"])):
            calls.setdefault(row["n"], []).append(row)
    used: dict[str, list[Row]] = {}
    for n, rows in calls.items():
        uses = sum(row["uses"] for row in rows)
        used.setdefault(revocations[n].event, []).append({**rows[0], "uses": uses})
    for by, found in sorted(used.items()):
        revocation = revocations[found[0]["n"]]
        yield Hit(
            about=(by,),
            time=found[0]["time"],
            severity="high",
            why=f"{revocation.sentence}, at {at(revocation.done_at)}; yet "
            f"{enumerated(named(revocations[row['n']].credential) for row in found)} "
            f"called with success more than {lasting(grace)} later, first at {at(found[0]['time'])} "
            f"({counted(sum(row['uses'] for row in found), 'call')}).",
            subject=found[0]["n"],
            places=tuple(row["n"] for row in found),
            events=(by, *(event_of(row) for row in found)),
            count=sum(row["uses"] for row in found),
            thresholds=("propagation",),
        )


def _ended(revocation: Revocation, grace: int) -> Ended:
    done = datetime.fromtimestamp(max(revocation.ended_at, revocation.done_at) + grace, UTC)
    return Ended(effective_at=done, unusable=revocation.unusable)


RULE = Rule(
    id="used-after-revocation",
    title="A credential works although it was revoked",
    severity="high",
    attack=("T1550.001", "T1562"),
    why="The step that was to end it did not bite, or was undone and put back: whoever holds it is still in.",
    false_alarm="IAM takes seconds, rarely minutes, until a change holds everywhere; later calls are no false alarm. "
    "A policy of another service (a bucket's, a key's) can't override an explicit deny.",
    references=(
        "IAM User Guide, 'Troubleshoot IAM': changes are not always immediately visible",
        "OFFENSAI, 'AWS IAM eventual consistency persistence'",
    ),
    find=find,
    reads=(*REVOCATION_READS, CREDENTIAL_EVENTS),
    thresholds=("propagation",),
)
