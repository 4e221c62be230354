"""One session reads far more data than its principal's sessions do."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.cited_events import first_events
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named, short
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.views import (
    CREDENTIAL_DETAILS,
    CREDENTIAL_EVENTS,
    S3_CALLS,
    WORKLOAD_STARTS,
    with_lineage_start,
)
from tokentrail.formatting import at, counted, enumerated, size
from tokentrail.lineage.rows import Row

_COPIES = ("GetObject", "CopyObject")
"""What S3 copies into another bucket leaves as well, whoever owns that; how many bytes that were is not in the log."""
_READS = f"""(
    SELECT n, CAST(sum(calls) AS BIGINT) AS objects, CAST(sum(bytes) AS BIGINT) AS bytes,
           min(first) AS first, max(last) AS last
    FROM s3_calls WHERE name IN {_COPIES!r} GROUP BY n)"""
_BUSY = f"SELECT * FROM {_READS} WHERE objects >= {{objects}} OR bytes >= {{bytes}}"
_APART = "(m.root_n <> k.root_n OR m.kind = 'service_role' AND k.kind = 'service_role')"
"""Of other lineages; so are all tasks or builds that one pipeline starts, as far as their own habits go."""
_MUCH = (
    with_lineage_start(f"""
    SELECT r.objects, r.bytes, r.first AS read_from, r.last AS read_until, k.*,
           (SELECT max(o.objects) FROM {_READS} o JOIN credential_details m ON m.n = o.n
            WHERE m.person = k.person AND o.first < r.first AND m.n <> k.n AND {_APART}) AS most_objects,
           (SELECT max(o.bytes) FROM {_READS} o JOIN credential_details m ON m.n = o.n
            WHERE m.person = k.person AND o.first < r.first AND m.n <> k.n AND {_APART}) AS most_bytes
    FROM busy r JOIN credential_details k ON k.n = r.n WHERE k.kind <> 'forwarded'""")
    + " ORDER BY lineage_start, read_from, k.n"
)
_READ = f"d.source = 's3.amazonaws.com' AND d.name IN {_COPIES!r} AND d.error IS NULL"


def find(context: DetectionContext) -> Iterator[Hit]:
    """Compare what each session read with the busiest earlier session of its principal from another lineage."""
    bars = context.thresholds
    if not context.table(
        "busy", _BUSY.format(objects=bars.whole("bulk_objects"), bytes=bars.whole("bulk_bytes"))
    ):
        return  # as in most cases, where nobody's habits need be asked then
    stories: dict[tuple[int, str], list[Row]] = {}
    for row in context.rows(_MUCH):
        if _too_much(context, row):
            stories.setdefault((row["lineage_start"], row["person"] or ""), []).append(row)
    readers = {row["n"] for found in stories.values() for row in found}
    first = first_events(context, readers, where=_READ)
    for found in stories.values():
        yield _hit(found, first)


def _too_much(context: DetectionContext, row: Row) -> bool:
    times = context.thresholds["bulk_times"]
    if row["most_objects"] is None:
        return bool(row["kind"] != "service_role" and row["bytes"] >= context.thresholds["alone_bytes"])
    much = (
        row["objects"] >= context.thresholds["bulk_objects"] and row["objects"] >= times * row["most_objects"]
    )
    big = row["bytes"] >= context.thresholds["bulk_bytes"] and row["bytes"] >= times * row["most_bytes"]
    return bool(much or big)


def _hit(found: list[Row], first: dict[tuple[int, str | None], list[str]]) -> Hit:
    objects, volume = sum(row["objects"] for row in found), sum(row["bytes"] for row in found)
    compared = [row for row in found if row["most_objects"] is not None]
    severity: Severity = "high" if compared else "low"
    habit = (
        f"the busiest session before, of {short(compared[0]['person'])} and of another lineage, read "
        f"{counted(compared[0]['most_objects'], 'object')}, {size(compared[0]['most_bytes'])}"
        if compared
        else "there is no earlier session of the same principal to compare with"
    )
    start = min(row["read_from"] for row in found)
    return Hit(
        about=tuple(row["id"] for row in found[:1]),
        time=start,
        severity=severity,
        why=f"{enumerated(named(row) for row in found)} read {counted(objects, 'object')} from S3, {size(volume)}, "
        f"from {at(start)} to {at(max(row['read_until'] for row in found))}; {habit}.",
        subject=found[0]["n"] if len(found) == 1 else found[0]["lineage_start"],
        places=tuple(row["n"] for row in found),
        events=tuple(first[row["n"], None][0] for row in found),
        count=objects,
        thresholds=("bulk_objects", "bulk_bytes", "bulk_times", "alone_bytes"),
    )


RULE = Rule(
    id="bulk-read",
    title="One session copies far more data than its principal's sessions do",
    severity="high",
    attack=("T1530",),
    why="What was read is lost for good, whatever is revoked afterwards; how much it was decides whom to tell.",
    false_alarm="Exports, backups and migrations read much, and rarely by a principal that otherwise reads little. "
    "Ask for the job, and compare with the week before.",
    references=("AWS CloudTrail User Guide, 'Logging data events': additionalEventData.bytesTransferredOut",),
    find=find,
    reads=(CREDENTIAL_DETAILS, CREDENTIAL_EVENTS, S3_CALLS, WORKLOAD_STARTS),
    thresholds=("bulk_objects", "bulk_bytes", "bulk_times", "alone_bytes"),
)
