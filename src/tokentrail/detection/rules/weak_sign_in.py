"""The root user acted, or somebody signed in to the console without MFA."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tokentrail.detection.cited_events import first_events
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.record_access import Place, place_of
from tokentrail.detection.views import CREDENTIAL_DETAILS, CREDENTIAL_EVENTS
from tokentrail.formatting import at, counted
from tokentrail.lineage.rows import Row, event_id

_WEAK = """
    SELECT k.*, arn LIKE 'arn:%:iam::%:root' AS root, f.segment, f.object, f.ordinal
    FROM (SELECT n, kind, mfa, mfa IS NULL AS unused, coalesce(person, id) AS person, issue_event, issue_text,
                 coalesce(issued_time, first) AS time,
                 CASE WHEN kind = 'console_session' THEN coalesce(arn, caller_arn) ELSE arn END AS arn
          FROM credential_details WHERE kind IN ('console_session', 'long_term_key', 'session_token')) k
    JOIN credentials f ON f.n = k.n
    WHERE (k.kind = 'console_session' AND k.arn LIKE '%:user/%' AND k.mfa IS NOT TRUE) OR k.arn LIKE 'arn:%:iam::%:root'
    ORDER BY time, k.n"""
"""A person of a directory has signed in there, with or without a second factor, which the log does not tell (AWS
CloudTrail User Guide, 'AWS Management Console sign-in events')."""


def find(context: DetectionContext) -> Iterator[Hit]:
    """Gather such credentials by whose they are: one finding for each, about the first."""
    found: dict[str, list[Row]] = {}
    rows = [row for row in context.rows(_WEAK) if row["time"] is not None]
    read = [place_of(row) for row in rows if _must_be_read(row)][: context.thresholds.whole("most_records")]
    without = (
        {place for place, record in context.read(read) if _without_mfa(record)} if read else set[Place]()
    )
    for row in rows:
        if not _must_be_read(row) or place_of(row) in without:
            found.setdefault(row["person"], []).append(row)
    if not found:
        return
    credentials = context.credentials(row["n"] for rows in found.values() for row in rows)
    first = first_events(context, credentials)
    for person, rows in found.items():
        events = [
            event_id(row["issue_event"], row["issue_text"]) or first.get((row["n"], None), [""])[0]
            for row in rows
        ]
        yield _hit(person, rows, credentials[rows[0]["n"]], events)


def _must_be_read(row: Row) -> bool:
    """Whether only the record of the sign-in tells of MFA: calls tell of it, and none followed."""
    return bool(row["unused"] and not row["root"] and row["segment"] is not None)


def _without_mfa(record: Any) -> bool:
    added = record.get("additionalEventData")
    return isinstance(added, dict) and added.get("MFAUsed") == "No"


def _hit(person: str, rows: list[Row], known: Row, events: list[str]) -> Hit:
    if rows[0]["root"]:
        what = f"the root user acted ({named(known)})"
    else:
        what = f"{named(known)} began with a sign-in to the console without MFA"
    more = f", {counted(len(rows), 'time')} in all" if len(rows) > 1 else ""
    return Hit(
        about=(person, known["id"]),
        time=rows[0]["time"],
        severity="low",
        why=f"{what[0].upper()}{what[1:]}, first at {at(rows[0]['time'])}{more}.",
        subject=rows[0]["n"],
        places=tuple(row["n"] for row in rows),
        events=tuple(filter(None, events)),
        count=max(len(rows), 1),
        thresholds=("most_records",),
    )


RULE = Rule(
    id="weak-sign-in",
    title="The root user acted, or somebody signed in without MFA",
    severity="low",
    attack=("T1078.004",),
    why="A password alone is guessed, bought or phished. The root user has all power, and no policy of the "
    "account limits it.",
    false_alarm="Many accounts have a user without MFA, and root is needed for a few tasks: it is told once for "
    "each, at low severity. It counts where other things point to the same user.",
    references=(
        "AWS CloudTrail User Guide, 'AWS Management Console sign-in events': MFAUsed",
        "IAM User Guide, 'Root user best practices'; Stratus Red Team, aws.initial-access.console-login-without-mfa",
    ),
    find=find,
    reads=(CREDENTIAL_DETAILS, CREDENTIAL_EVENTS),
    thresholds=("most_records",),
)
