"""Somebody turned the log off, or narrowed it."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.scene import Scene
from tokentrail.detection.wording import at, calls, named, short
from tokentrail.lineage.rows import Row, event_id

_STOPPED = """
    SELECT c.*, k.person,
           coalesce(h.first < c.time - 86400, FALSE) AS before
    FROM changed c LEFT JOIN known k ON k.n = c.n
    LEFT JOIN (SELECT e.name, q.person, min(e.time) AS first FROM changed e JOIN known q ON q.n = e.n
               GROUP BY e.name, q.person) h ON h.name = c.name AND h.person = k.person
    WHERE c.name IN ('StopLogging', 'DeleteTrail', 'UpdateTrail', 'PutEventSelectors', 'DeleteDetector')
      AND c.by_service IS NULL
    ORDER BY c.n, c.time, c.event_id"""
_BLINDS = frozenset({"StopLogging", "DeleteTrail", "DeleteDetector"})


def find(scene: Scene) -> Iterator[Hit]:
    """Gather such calls by who made them."""
    by_maker: dict[tuple[int, str], list[Row]] = {}
    for row in scene.rows(_STOPPED):
        if row["name"] in _BLINDS or not row["before"]:
            by_maker.setdefault((row["n"] if row["n"] is not None else -1, row["by_arn"] or ""), []).append(
                row
            )
    known = scene.known(n for n, _ in by_maker if n >= 0)
    for (n, arn), found in sorted(by_maker.items()):
        blinds = any(row["name"] in _BLINDS for row in found)
        severity: Severity = "critical" if scene.suspicious(n) else "high" if blinds else "medium"
        first, maker = found[0], known.get(n)
        event = event_id(first["event_id"], first["event_id_text"]) or ""
        yield Hit(
            about=(maker["id"] if maker else arn, event),
            time=first["time"],
            severity=severity,
            why=f"{named(maker) if maker else short(arn or None)} called "
            f"{calls(found)}, first at "
            f"{at(first['time'])}: what happened since may not be in the evidence.",
            subject=n if maker else None,
            places=(n,) if maker else (),
            events=tuple(event_id(row["event_id"], row["event_id_text"]) or "" for row in found),
            count=len(found),
            principals=(arn,) if arn else (),
            accounts=tuple(sorted({row["in_account"] for row in found if row["in_account"]})),
        )


RULE = Rule(
    id="logging-stopped",
    title="The log was turned off or narrowed",
    severity="critical",
    attack=("T1562.008",),
    why="Whoever blinds the log has something to do that it should not show, and every answer from then on rests "
    "on less.",
    false_alarm="Trails are moved and changed by administrators: UpdateTrail and PutEventSelectors count less, "
    "and not at all "
    "where the same principal did so on an earlier day.",
    references=("Stratus Red Team, aws.defense-evasion.cloudtrail-stop, -delete, -event-selectors",),
    find=find,
    late=True,
)
