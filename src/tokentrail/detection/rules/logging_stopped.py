"""Somebody turned the log off, or narrowed it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tokentrail.aws.calls.evidence_loss import LOG
from tokentrail.detection.cited_events import event_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import calls, named, short
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.record_access import place_of
from tokentrail.detection.views import ATTRIBUTED_CHANGES, CHANGE_ACTORS, CREDENTIAL_DETAILS
from tokentrail.formatting import at
from tokentrail.lineage.rows import Row

_CALLS = tuple(sorted(name for names in LOG.values() for name in names.split()))
_BLINDS = frozenset(name for name in _CALLS if name.startswith(("Delete", "Stop")))
_SOURCES = tuple(f"{service}.amazonaws.com" for service in sorted(LOG))
_STOPPED = f"""
    SELECT c.*, k.person,
           coalesce(h.first < c.time - ?, FALSE) AS before
    FROM attributed_changes c LEFT JOIN change_actors k ON k.n = c.n
    LEFT JOIN (SELECT e.name, q.person, min(e.time) AS first FROM attributed_changes e JOIN change_actors q ON q.n = e.n
               GROUP BY e.name, q.person) h ON h.name = c.name AND h.person = k.person
    WHERE c.name IN {_CALLS!r} AND c.by_service IS NULL
      AND c.source IN {_SOURCES!r}
    ORDER BY c.time, c.event_id"""
"""Fraud Detector has a DeleteDetector as well."""
_WIDENING = (
    "isMultiRegionTrail",
    "includeGlobalServiceEvents",
    "enableLogFileValidation",
    "isOrganizationTrail",
)


def find(context: DetectionContext) -> Iterator[Hit]:
    """Gather such calls by the principal whose credentials made them."""
    habit = context.thresholds.whole("habit_after")
    rows = [row for row in context.rows(_STOPPED, (habit,)) if row["name"] in _BLINDS or not row["before"]]
    narrowing = [row for row in rows if row["name"] not in _BLINDS]
    places = set(map(place_of, narrowing))
    records = dict(context.read(sorted(places)[: context.thresholds.whole("most_records")]))
    found: dict[str, list[Row]] = {}
    for row in rows:
        record = records.get(place_of(row))
        if row["name"] in _BLINDS or record is None or narrows(row["name"], record.get("requestParameters")):
            found.setdefault(row["person"] or row["by_arn"] or "", []).append(row)
    known = context.credentials(row["n"] for told in found.values() for row in told if row["n"] is not None)
    for _, told in sorted(found.items()):
        yield _hit(context, known.get(told[0]["n"]), told)


def narrows(call: str, asked: Any) -> bool:
    """Whether a change to a trail leaves less in the log than the usual; one that can't be read does."""
    if not isinstance(asked, dict):
        return True
    if call == "UpdateDetector":  # GuardDuty API Reference: it can be suspended as well as deleted
        return asked.get("enable") is False
    if call == "UpdateTrail":
        return any(asked.get(name) is False for name in _WIDENING) or "s3BucketName" in asked
    return not any(
        isinstance(one, dict) and (_logs_all(one) if kind == "eventSelectors" else _logs_all_in_fields(one))
        for kind in ("eventSelectors", "advancedEventSelectors")
        if isinstance(asked.get(kind), list)
        for one in asked[kind]
    )


def _logs_all(selector: dict[str, Any]) -> bool:
    """Whether an event selector takes in all management events."""
    return (
        selector.get("includeManagementEvents") is not False
        and selector.get("readWriteType", "All") == "All"
        and not selector.get("excludeManagementEventSources")
    )


def _logs_all_in_fields(selector: dict[str, Any]) -> bool:
    """
    The same of an advanced one: it asks for the category, and for nothing besides.

    Source: CloudTrail API Reference, 'AdvancedEventSelector' and 'AdvancedFieldSelector': `eventSource` and `readOnly`
    narrow management events; those of data events have selectors of their own, and any may be called anything.
    """
    fields = selector.get("fieldSelectors")
    asked = [
        {name: value for name, value in one.items() if value} if isinstance(one, dict) else one
        for one in (fields if isinstance(fields, list) else ())
    ]
    return asked == [{"field": "eventCategory", "equals": ["Management"]}]


def _hit(context: DetectionContext, maker: Row | None, found: list[Row]) -> Hit:
    first = found[0]
    n, arn = first["n"], first["by_arn"] or ""
    blinds = any(row["name"] in _BLINDS for row in found)
    suspicious = any(context.suspicious(row["n"]) for row in found)
    severity: Severity = "critical" if suspicious else "high" if blinds else "medium"
    event = event_of(first)
    return Hit(
        about=(maker["id"] if maker else arn, event),
        time=first["time"],
        severity=severity,
        why=f"{named(maker) if maker else short(arn or None)} called {calls(found)}, first at {at(first['time'])}: "
        "what happened since may not be in the evidence.",
        subject=n if maker else None,
        places=tuple(dict.fromkeys(row["n"] for row in found if row["n"] is not None)),
        events=tuple(event_of(row) for row in found),
        count=len(found),
        principals=(arn,) if arn else (),
        accounts=tuple(sorted({row["in_account"] for row in found if row["in_account"]})),
        thresholds=("habit_after", "most_records"),
    )


RULE = Rule(
    id="logging-stopped",
    title="The log was turned off or narrowed",
    severity="critical",
    attack=("T1562.008",),
    why="Whoever blinds the log has something to do that it should not show, and every answer from then on rests "
    "on less.",
    false_alarm="Trails are moved and changed by administrators: UpdateTrail, PutEventSelectors and UpdateDetector "
    "count only if they leave less in the log, and not at all where the same principal did so on an earlier day.",
    references=("Stratus Red Team, aws.defense-evasion.cloudtrail-stop, -delete, -event-selectors",),
    find=find,
    reads=(CREDENTIAL_DETAILS, ATTRIBUTED_CHANGES, CHANGE_ACTORS),
    prefilter=frozenset(_CALLS),
    late=True,
    thresholds=("habit_after", "most_records"),
)
