"""
A second factor that was made and then used: for a token or a role by its serial number, or to sign in to the console.

Which device a sign-in was done with stands only in its record, as `additionalEventData.MFAIdentifier` (AWS CloudTrail
User Guide, "AWS Management Console sign-in events").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tokentrail.detection.cited_events import issuance_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named, short
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.record_access import place_of
from tokentrail.detection.views import ATTRIBUTED_CHANGES, CREDENTIAL_DETAILS
from tokentrail.formatting import at
from tokentrail.lineage.rows import Row, event_id

_DEVICES = """
    SELECT time, event_id, event_id_text, by_arn, n, in_account,
           nullif(regexp_extract(request, '"serialNumber":"([^"]+)"', 1), '') AS serial,
           nullif(regexp_extract(request, '"userName":"([^"]+)"', 1), '') AS owner
    FROM attributed_changes WHERE name = 'EnableMFADevice'"""
_MAKER = "c.serial, c.time AS made_at, c.event_id AS made_event, c.event_id_text AS made_text, c.by_arn, c.n AS maker"
_USED = f"""
    SELECT k.*, {_MAKER}
    FROM devices c
    JOIN credential_details k ON k.mfa_serial = c.serial AND k.issued_time BETWEEN c.time AND c.time + ?"""
_SIGNED_IN = f"""
    SELECT k.*, {_MAKER}, f.segment, f.object, f.ordinal
    FROM devices c
    JOIN credential_details k ON k.api = 'ConsoleLogin' AND k.issued_time BETWEEN c.time AND c.time + ?
      AND k.caller_account = c.in_account
      AND lower(k.caller_name) = lower(coalesce(c.owner, regexp_extract(c.by_arn, ':user/(?:.*/)?([^/]+)$', 1)))
    JOIN credentials f ON f.n = k.n
    WHERE c.serial IS NOT NULL
    ORDER BY row_number() OVER (PARTITION BY c.serial, c.time ORDER BY k.issued_time, k.id), c.serial, c.time, k.id"""
"""Sign-ins of whom a device was enabled for; first of each device the first one, as no more than some are read."""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Join devices that were enabled with what was minted, and who signed in, with them soon after."""
    if not context.table("devices", _DEVICES):
        return
    within = (context.thresholds.whole("mfa_used_within"),)
    used = [row for row in context.rows(_USED, within) if _strange(context, row)]
    entered = [row for row in context.rows(_SIGNED_IN, within) if _strange(context, row)]
    seen: set[str] = set()
    for row in sorted([*used, *_with_the_device(context, entered)], key=_order):
        if row["serial"] not in seen:
            seen.add(row["serial"])
            yield _hit(context, row)


def _strange(context: DetectionContext, row: Row) -> bool:
    """Whether somebody else enabled the device, or a suspicious lineage did."""
    other = row["by_arn"] is not None and row["by_arn"] != (row["caller_arn"] or row["by_arn"])
    return other or context.suspicious(row["maker"])


def _order(row: Row) -> tuple[Any, ...]:
    return row["serial"], row["issued_time"], row["n"], row["made_at"]


def _with_the_device(context: DetectionContext, entered: list[Row]) -> list[Row]:
    """Those sign-ins whose records name the device that was enabled."""
    entered = entered[: context.thresholds.whole("most_records")]
    if not entered:
        return []
    read = context.read(list(dict.fromkeys(map(place_of, entered))))
    devices = {place: _device(record) for place, record in read}
    return [row for row in entered if devices.get(place_of(row)) == row["serial"]]


def _device(record: Any) -> Any:
    """The device that a sign-in was done with; a damaged record tells none."""
    told = record.get("additionalEventData")
    return told.get("MFAIdentifier") if isinstance(told, dict) else None


def _hit(context: DetectionContext, row: Row) -> Hit:
    made = event_id(row["made_event"], row["made_text"]) or ""
    severity: Severity = "high" if context.suspicious(row["maker"]) else "medium"
    how = "began by a sign-in" if row["api"] == "ConsoleLogin" else "was minted"
    return Hit(
        about=(row["serial"], made),
        time=row["issued_time"],
        severity=severity,
        why=f"{short(row['by_arn'])} enabled the device {row['serial']} at {at(row['made_at'])}, and "
        f"{named(row)} {how} with it at {at(row['issued_time'])}.",
        subject=row["n"],
        places=(row["n"],) if row["maker"] is None else (row["n"], row["maker"]),
        events=(made, issuance_of(row)),
        count=2,
        thresholds=("mfa_used_within", "most_records"),
    )


RULE = Rule(
    id="new-mfa-used",
    title="A new second factor was enabled for somebody, and used",
    severity="high",
    attack=("T1556.006", "T1098.005"),
    why="A second factor of the attacker's own opens what asks for one, the console too, and stays when the key is "
    "changed.",
    false_alarm="People get new phones: they enable the device themselves, which is left out unless their lineage "
    "is suspicious.",
    references=(
        "Elastic, 'AWS STS AssumeRole with new MFA device'",
        "AWS CloudTrail User Guide, 'AWS Management Console sign-in events': MFAIdentifier",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, ATTRIBUTED_CHANGES),
    prefilter=frozenset({"EnableMFADevice"}),
    late=True,
    thresholds=("mfa_used_within", "most_records"),
)
