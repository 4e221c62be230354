"""
Revocations: credentials that a change ended before they expired, by what, since when, and whether in a rotation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from tokentrail.detection.views import (
    ATTRIBUTED_CHANGES,
    CREDENTIAL_DETAILS,
    CREDENTIAL_EVENTS,
    CREDENTIAL_IPS,
    PRINCIPAL_IPS,
)
from tokentrail.lineage.rows import Row, moment
from tokentrail.policy.history.effective_policies import Ending

if TYPE_CHECKING:
    from tokentrail.detection.context import DetectionContext


@dataclass(frozen=True, slots=True, kw_only=True)
class Revocation:
    """One credential that was ended."""

    credential: Row
    """Its row of `credential_details`."""
    ended_at: int
    """Since when it should not work, in seconds since 1970."""
    done_at: int
    """When the change was made, in seconds since 1970."""
    event: str
    """The id of the event that ended it."""
    event_name: str
    sentence: str
    unusable: bool
    """Whether no call works since, as with a key that is inactive or deleted."""


REVOCATION_READS = (ATTRIBUTED_CHANGES, CREDENTIAL_DETAILS)
"""The views that revocations are found in."""
ROTATION_READS = (CREDENTIAL_DETAILS, CREDENTIAL_EVENTS, CREDENTIAL_IPS, PRINCIPAL_IPS)
"""The views that `was_rotated` reads."""
_POSSIBLE = """
    SELECT name AS call, min(time) AS first,
           nullif(regexp_extract(request, '"accessKeyId":"([^"]+)"', 1), '') AS key_id,
           nullif(regexp_extract(request, '"roleName":"([^"]+)"', 1), '') AS role,
           nullif(regexp_extract(request, '"userName":"([^"]+)"', 1), '') AS person,
           nullif(regexp_extract(request, '"(?:policyArn|permissionsBoundary)":"([^"]+)"', 1), '') AS policy
    FROM attributed_changes
    WHERE name IN ('UpdateAccessKey', 'DeleteAccessKey', 'DeleteUser', 'DeleteRole')
       OR (name IN ('PutUserPolicy', 'PutRolePolicy') AND document LIKE '%"Deny"%')
       OR name IN ('AttachUserPolicy', 'AttachRolePolicy', 'PutUserPermissionsBoundary', 'PutRolePermissionsBoundary')
    GROUP BY ALL ORDER BY ALL"""
"""The keys, users, roles and policies of changes that may have ended credentials."""
_RENAMED = """
    SELECT DISTINCT regexp_extract(request, '"userName":"([^"]+)"', 1) AS old,
                    regexp_extract(request, '"newUserName":"([^"]+)"', 1) AS new
    FROM attributed_changes
    WHERE name = 'UpdateUser' AND source = 'iam.amazonaws.com' AND request LIKE '%"newUserName":"%'"""
_DENYING = """
    SELECT DISTINCT nullif(regexp_extract(coalesce(nullif(regexp_extract(response, '"arn":"([^"]+)"', 1), ''), request),
                           '(arn:[^"]+:policy/[^"]+)', 1), '') AS policy
    FROM attributed_changes WHERE name IN ('CreatePolicy', 'CreatePolicyVersion') AND document LIKE '%"Deny"%'"""
_USED_AFTER = """
    SELECT DISTINCT d.ip FROM credential_events d JOIN minted_by_key k ON k.n = d.n
    WHERE d.n <> ? AND d.time > ? AND d.error IS NULL AND NOT d.forwarded"""
_NEXT_KEY = """
    SELECT s.ip, h.first FROM credential_details k JOIN credential_ips s ON s.n = k.n
    JOIN principal_ips h ON h.person = k.person AND h.ip = s.ip
    WHERE k.kind = 'long_term_key' AND k.n <> ? AND k.person = ?"""
_AWS_DENIES = ("AWSDenyAll", "AWSCompromisedKeyQuarantine")
"""How the names of policies begin that AWS manages and that deny something."""


_ORGANISED = """
    SELECT min(time) AS first FROM attributed_changes
    WHERE source = 'organizations.amazonaws.com' AND document LIKE '%"Deny"%'
      AND regexp_matches(document, '"NotAction"|"Action"[ ]*:[ ]*([[][ ]*)?"[*]"')"""
"""Since when a service control policy may have denied everything to somebody."""


def possible_revocations(context: DetectionContext) -> list[Row]:
    """The changes that may have ended credentials; attaching a policy only if some version of it denies anything."""
    denying = {row["policy"] for row in context.rows(_DENYING)}
    return [
        row
        for row in context.rows(_POSSIBLE)
        if row["policy"] is None
        or row["policy"] in denying
        or row["policy"].rpartition("/")[2].startswith(_AWS_DENIES)
    ]


def revoked_keys(context: DetectionContext) -> Iterator[Revocation]:
    """Find the long-term keys that a change has ended."""
    possible = context.possible_revocations
    keys = sorted({row["key_id"] for row in possible if row["key_id"]})
    people = _people(context, (row["person"] for row in possible if row["call"] != "UpdateAccessKey"))
    context.add_table("changed_keys", {"id": pa.array(keys, pa.string())})
    context.add_table("changed_users", {"name": pa.array(people, pa.string())})
    found = context.rows("""
        SELECT * FROM credential_details k WHERE kind = 'long_term_key' AND (
          regexp_extract(k.id, '^([^@]+)', 1) IN (SELECT id FROM changed_keys)
          OR regexp_extract(coalesce(k.arn, k.caller_arn, ''), '([^/]+)$', 1) IN (SELECT name FROM changed_users))
        ORDER BY n""")
    yield from _revoked(context, found)


def revoked_sessions(context: DetectionContext) -> Iterator[Revocation]:
    """Find the sessions that a change ended before their time."""
    possible = [row for row in context.possible_revocations if not row["call"].endswith("AccessKey")]
    [row] = context.rows(_ORGANISED)
    organised = row["first"]
    if not possible and organised is None:
        return
    first = min([*(row["first"] for row in possible), *([organised] if organised is not None else [])])
    people = _people(context, (row["person"] for row in possible))
    roles = sorted({row["role"] for row in possible if row["role"]})
    context.add_table("changed_users", {"name": pa.array(people, pa.string())})
    context.add_table("changed_roles", {"name": pa.array(roles, pa.string())})
    found = context.rows(
        """
        SELECT * FROM credential_details k
        WHERE kind NOT IN ('long_term_key', 'forwarded') AND coalesce(k.expires_at, k.expires_bound, k.last, 0) >= ?
          AND (k.last > ?
               OR regexp_extract(coalesce(k.into_role, ''), '([^/]+)$', 1) IN (SELECT name FROM changed_roles)
               OR regexp_extract(coalesce(k.issuer_arn, k.arn, k.caller_arn, ''), ':user/(?:.*/)?([^/]+)$', 1)
                  IN (SELECT name FROM changed_users))
        ORDER BY n""",
        (first, organised),
    )
    yield from _revoked(context, found)


def _people(context: DetectionContext, names: Iterable[str | None]) -> list[str]:
    """All names that users have had, since what was done under one stays in force (IAM API Reference, 'UpdateUser')."""
    others: dict[str, set[str]] = {}
    for row in context.rows(_RENAMED):
        others.setdefault(row["old"], set()).add(row["new"])
        others.setdefault(row["new"], set()).add(row["old"])
    waiting = [name for name in names if name]
    found = set[str]()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += others.get(name, ())
    return sorted(found)


def _revoked(context: DetectionContext, found: Iterable[Row]) -> Iterator[Revocation]:
    rows = list(found)
    if not rows:
        return  # working out the effects of changes takes time
    callers = [context.caller(row) for row in rows]
    effects = context.effects(callers)
    for row, caller in zip(rows, callers, strict=True):
        key = row["id"].partition("@")[0] if row["kind"] == "long_term_key" else None
        ending = effects.ended(caller, key, context.as_of)
        if ending is not None and not _late(row, ending):
            yield Revocation(
                credential=row,
                ended_at=int(ending.at.timestamp()),
                done_at=int(ending.done_at.timestamp()),
                event=ending.by,
                event_name=ending.event_name,
                sentence=ending.sentence,
                unusable=ending.unusable,
            )


def _late(row: Row, ending: Ending) -> bool:
    """Whether the credential had expired by then anyway."""
    end = moment(row["expires_at"]) or moment(row["expires_bound"])
    return row["kind"] != "long_term_key" and end is not None and ending.at >= end


def was_rotated(context: DetectionContext, revocation: Revocation) -> bool:
    """
    Whether the user has another key, and all that the ended key minted is used from addresses of that other key, which
    the user had already used days before.

    A thief may create a second key too, but does not use it from an address that was the user's before.
    """
    row = revocation.credential
    if row["person"] is None or not revocation.event_name.endswith("AccessKey"):
        return False
    settled = revocation.done_at - context.thresholds.whole("new_for")
    settled_ips = {
        key["ip"] for key in context.rows(_NEXT_KEY, (row["n"], row["person"])) if key["first"] <= settled
    }
    context.add_table("minted_by_key", context.ancestry.below({row["n"]}))
    used = {event["ip"] for event in context.rows(_USED_AFTER, (row["n"], revocation.done_at))}
    return bool(settled_ips) and used <= settled_ips


def add_revocations(context: DetectionContext, name: str, revocations: Iterable[Revocation]) -> None:
    """
    Register revocations as a table.

    Its columns are `n` and `role` of the credential, and `ended_at`, `done_at` and `event` of the revocation.
    """
    listed = list(revocations)
    credentials = [revocation.credential for revocation in listed]
    context.add_table(
        name,
        {
            "n": pa.array([row["n"] for row in credentials], pa.int64()),
            "role": pa.array([row["into_role"] for row in credentials], pa.string()),
            "ended_at": pa.array([revocation.ended_at for revocation in listed], pa.int64()),
            "done_at": pa.array([revocation.done_at for revocation in listed], pa.int64()),
            "event": pa.array([revocation.event for revocation in listed], pa.string()),
        },
    )
