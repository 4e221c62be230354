"""Tokens minted shortly before their key was cut, which outlive it."""

from __future__ import annotations

from collections.abc import Iterator

from tokentrail.detection.cited_events import issuance_of
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.credential_names import named
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.revocations import add_revocations, was_rotated
from tokentrail.detection.views import (
    ATTRIBUTED_CHANGES,
    CREDENTIAL_DETAILS,
    CREDENTIAL_EVENTS,
    CREDENTIAL_IPS,
    PRINCIPAL_IPS,
)
from tokentrail.formatting import at, enumerated, lasting
from tokentrail.lineage.rows import Row

_MINTED = """
    SELECT c.n AS key_n, k.* FROM revoked_keys c JOIN credential_details k ON k.parent_n = c.n
    WHERE k.parent_link <> 'created' AND k.issued_time BETWEEN c.done_at - ? AND c.done_at
      AND coalesce(k.expires_at, k.expires_bound, c.done_at + 1) > c.done_at + ?
    ORDER BY key_n, k.issued_time, k.n"""


def find(context: DetectionContext) -> Iterator[Hit]:
    """For each key that was ended, look at what it had minted shortly before."""
    revocations = {one.credential["n"]: one for one in context.revoked_keys()}
    window = context.thresholds.whole("before_cut")
    if not revocations:
        return
    add_revocations(context, "revoked_keys", revocations.values())
    found: dict[int, list[Row]] = {}
    for row in context.rows(_MINTED, (window, context.thresholds.whole("outlives_by"))):
        found.setdefault(row["key_n"], []).append(row)
    for n, minted in sorted(found.items()):
        revocation = revocations[n]
        if all(row["kind"] != "session_token" for row in minted) and was_rotated(context, revocation):
            continue
        used = [row for row in minted if (row["last"] or 0) > revocation.done_at]
        severity: Severity = (
            "high" if any(row["kind"] == "session_token" for row in minted) else "medium" if used else "low"
        )
        yield Hit(
            about=(revocation.credential["id"], revocation.event),
            time=revocation.done_at,
            severity=severity,
            why=f"{revocation.event_name} ended {named(revocation.credential)} at {at(revocation.done_at)}; within "
            f"{lasting(window)} before, it had minted "
            f"{enumerated(named(row) + ' at ' + at(row['issued_time']) for row in minted)}, "
            f"which outlive it" + (", and have been used since." if used else "."),
            subject=n,
            places=(n, *(row["n"] for row in minted)),
            events=(*(issuance_of(row) for row in minted), revocation.event),
            count=len(minted),
            thresholds=("before_cut", "outlives_by", "new_for"),
        )


RULE = Rule(
    id="minted-before-the-cut",
    title="Tokens were minted shortly before their key was cut",
    severity="high",
    attack=("T1550.001",),
    why="Whoever expects a key to be cut, or cuts it to look harmless, takes tokens out of it first; they work on.",
    false_alarm="A key in daily use has always minted something in the last hour. Look at who minted it and from "
    "where; role sessions that were not used since the cut are told at low severity, and those of a key that was "
    "rotated, by the signs of `outlived-key`, not at all.",
    references=("AWS Security Blog, 'What to do if you inadvertently expose an AWS access key'",),
    find=find,
    reads=(CREDENTIAL_DETAILS, CREDENTIAL_EVENTS, CREDENTIAL_IPS, PRINCIPAL_IPS, ATTRIBUTED_CHANGES),
    thresholds=("before_cut", "outlives_by", "new_for"),
)
