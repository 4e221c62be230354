"""Objects in S3 are deleted, or encrypted with a key that nobody else has, and no older version is kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tokentrail.aws.calls.names import operation_of
from tokentrail.detection.cited_events import event_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.record_access import Place, place_of
from tokentrail.detection.views import (
    CREDENTIAL_DETAILS,
    CREDENTIAL_EVENTS,
    NOTABLE_CALLS,
    S3_CALLS,
    event_names,
)
from tokentrail.formatting import at, counted, joined
from tokentrail.lineage.rows import Row

_DELETES = "('DeleteObject', 'DeleteObjects')"
_MANY = f"""
    WITH totals AS (
      SELECT s.n, k.person, k.root_n, k.kind,
             CAST(coalesce(sum(s.calls) FILTER (s.name IN {_DELETES}), 0) AS BIGINT) AS deleted,
             CAST(coalesce(sum(s.calls) FILTER (s.name = 'CopyObject'), 0) AS BIGINT) AS copied,
             min(s.first) FILTER (s.name IN {_DELETES}) AS first
      FROM s3_calls s JOIN credential_details k ON k.n = s.n WHERE s.name <> 'GetObject' GROUP BY ALL)
    SELECT t.*, (SELECT max(o.deleted) FROM totals o
                 WHERE o.person = t.person AND o.first < t.first AND o.n <> t.n
                   AND (o.root_n <> t.root_n OR o.kind = 'service_role')) AS most
    FROM totals t WHERE t.deleted >= ? OR t.copied >= ?"""
_SETTINGS = "SELECT DISTINCT n FROM notable_calls WHERE kind = 'retention'"
_RECORDS = f"""
    SELECT d.n, d.name, d.time, d.segment, d.object, d.ordinal, d.event_id, d.event_id_text
    FROM credential_events d JOIN storage_actors s ON s.n = d.n
    WHERE d.source = 's3.amazonaws.com' AND d.error IS NULL AND NOT d.forwarded
      AND d.name IN ({", ".join(repr(name) for name in sorted(event_names("retention")))}, 'CopyObject',
                     'DeleteObject', 'DeleteObjects')
    QUALIFY row_number() OVER (PARTITION BY d.n, d.name ORDER BY d.time, d.event_id) <= {{each}}
    ORDER BY d.time, d.event_id"""
_CUSTOMER_KEY = "x-amz-server-side-encryption-customer-algorithm"


@dataclass(slots=True)
class _Attack:
    """What one credential did to objects."""

    deleted: int = 0
    """Calls, if they are far more than the principal's habit."""
    encrypted: int = 0
    """Copies with a key of the caller's own: all, if all that were looked at have one."""
    copies: int = 0
    """Copies that were looked at."""
    settings: list[str] = field(default_factory=list)
    """How older versions or objects will go, in words."""
    rows: list[Row] = field(default_factory=list)


def find(context: DetectionContext) -> Iterator[Hit]:
    """Put together, for each credential, what it did to objects and to how long they are kept."""
    many, times = context.thresholds.whole("many_deleted"), context.thresholds["bulk_times"]
    totals = {row["n"]: row for row in context.rows(_MANY, (many, many))}
    asked = {*totals, *(row["n"] for row in context.rows(_SETTINGS))}
    if not asked:
        return
    attacks: dict[int, _Attack] = {n: _Attack() for n in sorted(asked)}
    for n, total in totals.items():
        if total["deleted"] >= max(many, times * (total["most"] or 0)):
            attacks[n].deleted = total["deleted"]
    _read(context, attacks)
    for n, total in totals.items():
        if 0 < attacks[n].encrypted == attacks[n].copies:
            attacks[n].encrypted = max(total["copied"], attacks[n].encrypted)
    known = context.credentials(attacks)
    for n, one in attacks.items():
        severity = _severity(one, suspicious=context.suspicious(n))
        if severity is not None and one.rows:
            yield _hit(known[n], one, severity)


def _read(context: DetectionContext, attacks: dict[int, _Attack]) -> None:
    """Look at the records of changed settings and of the first copies."""
    context.add_credentials("storage_actors", attacks)
    each = max(1, context.thresholds.whole("most_events") // 2)
    rows: dict[Place, Row] = {place_of(row): row for row in context.rows(_RECORDS.format(each=each))}
    unread = [place for place, row in rows.items() if not row["name"].startswith("DeleteObject")]
    records = dict(context.read(sorted(unread)[: context.thresholds.whole("most_records")]))
    for place, row in rows.items():
        one, record = attacks[row["n"]], records.get(place)
        if row["name"].startswith("DeleteObject"):
            if one.deleted:
                one.rows.append(row)
        elif row["name"] == "CopyObject":
            one.copies += record is not None
            if record is not None and _by_own_key(record):
                one.encrypted += 1
                one.rows.append(row)
        elif record is not None and (what := _loses(row["name"], record.get("requestParameters"))):
            one.settings.append(what)
            one.rows.append(row)


def _by_own_key(record: dict[str, Any]) -> bool:
    """
    Whether an object was written with a key that its writer holds, and AWS does not.

    Source: Amazon S3 User Guide, 'Using server-side encryption with customer-provided keys (SSE-C)'; in the log it is
    the header in `requestParameters`, or `SSEApplied` in `additionalEventData`.
    """
    asked, added = record.get("requestParameters"), record.get("additionalEventData")
    named_key = isinstance(asked, dict) and bool(asked.get(_CUSTOMER_KEY))
    return named_key or (isinstance(added, dict) and added.get("SSEApplied") == "SSE_C")


def _loses(call: str, asked: Any) -> str | None:
    """
    How a changed setting loses objects, in words.

    Source: Amazon S3 API Reference, 'PutBucketVersioning' (Status, MfaDelete) and 'PutBucketLifecycleConfiguration'
    (Expiration and NoncurrentVersionExpiration of rules that are enabled).
    """
    if not isinstance(asked, dict):
        return None
    if operation_of(call) == "PutBucketVersioning":
        held = asked.get("VersioningConfiguration")
        off = isinstance(held, dict) and (
            held.get("Status") == "Suspended" or held.get("MfaDelete") == "Disabled"
        )
        return "keeps no older versions any more" if off else None
    held = asked.get("LifecycleConfiguration")
    rules = held.get("Rule") if isinstance(held, dict) else None
    listed = rules if isinstance(rules, list) else [rules]
    gone = any(
        isinstance(rule, dict)
        and rule.get("Status") == "Enabled"
        and isinstance(rule.get("Expiration"), dict)
        for rule in listed
    )
    return "deletes objects after some days" if gone else None


def _severity(one: _Attack, *, suspicious: bool) -> Severity | None:
    """How bad it is: any two together, or copies with one's own key; one by itself in a suspicious lineage."""
    signs = bool(one.deleted) + bool(one.settings)
    if one.encrypted:
        return "critical" if signs or suspicious else "high"
    if suspicious and signs:
        return "high"
    return "high" if signs > 1 else None


def _hit(maker: Row, one: _Attack, severity: Severity) -> Hit:
    did = []
    if one.encrypted:
        did.append(f"wrote {counted(one.encrypted, 'copy', 'copies')} encrypted with a key of its own")
    if one.deleted:
        did.append(
            f"made {counted(one.deleted, 'call')} that delete objects, far more than its principal did before"
        )
    did += [f"changed a bucket so that it {what}" for what in dict.fromkeys(one.settings)]
    events = tuple(event_of(row) for row in one.rows)
    return Hit(
        about=(maker["id"], events[0]),
        time=one.rows[0]["time"],
        severity=severity,
        why=f"{named(maker)} {joined(did)}, first at {at(one.rows[0]['time'])}.",
        subject=maker["n"],
        places=(maker["n"],),
        events=events,
        count=max(one.deleted + one.encrypted + len(one.settings), len(events)),
        thresholds=("many_deleted", "bulk_times", "most_records"),
    )


RULE = Rule(
    id="storage-extortion",
    title="Objects were destroyed, or locked with a stranger's key",
    severity="critical",
    attack=("T1485", "T1486", "T1490"),
    why="Whoever deletes objects, or writes them anew with a key that AWS does not keep, and makes older versions "
    "go, wants money for what is left; each minute costs more of it.",
    false_alarm="Cleaning up deletes much, and buckets are given lifecycles every day: neither is a finding by "
    "itself, and deletions count where they are ten times what the principal did before (`bulk_times`). Programs that "
    "always encrypt with keys of their own (SSE-C) are found: allow them. Data events must be in the trail; without, "
    "only settings are seen.",
    references=(
        "Amazon S3 User Guide, 'Using server-side encryption with customer-provided keys (SSE-C)'",
        "Amazon S3 API Reference, 'PutBucketVersioning' and 'PutBucketLifecycleConfiguration'",
        "Halcyon, 'Abusing AWS Native Services: Ransomware Encrypting S3 Buckets with SSE-C' (Codefinger)",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, CREDENTIAL_EVENTS, NOTABLE_CALLS, S3_CALLS),
    late=True,
    prefilter=event_names("retention") | {"CopyObject", "DeleteObject", "DeleteObjects"},
    thresholds=("many_deleted", "bulk_times", "most_records", "most_events"),
)
