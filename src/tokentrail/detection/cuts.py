"""Credentials that a change ended before they expired: which, by what, since when."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from tokentrail.lineage.rows import Row, moment
from tokentrail.policy.history.effective_policies import Ending

if TYPE_CHECKING:
    from tokentrail.detection.scene import Scene


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One credential that was ended."""

    row: Row
    """Its described row."""
    at: int
    """Since when it should not work, in seconds since 1970."""
    done_at: int
    """When the change was made, in seconds since 1970."""
    by: str
    """The id of the event that ended it."""
    call: str
    """The event's name."""
    sentence: str
    unusable: bool
    """Whether no call works since, as with a key that is inactive or deleted."""


_TOUCHED = """
    SELECT name AS call, min(time) AS first,
           nullif(regexp_extract(request, '"accessKeyId":"([^"]+)"', 1), '') AS key_id,
           nullif(regexp_extract(request, '"roleName":"([^"]+)"', 1), '') AS role,
           nullif(regexp_extract(request, '"userName":"([^"]+)"', 1), '') AS person,
           nullif(regexp_extract(request, '"(?:policyArn|permissionsBoundary)":"([^"]+)"', 1), '') AS policy
    FROM changed
    WHERE name IN ('UpdateAccessKey', 'DeleteAccessKey', 'DeleteUser', 'DeleteRole')
       OR (name IN ('PutUserPolicy', 'PutRolePolicy') AND document LIKE '%"Deny"%')
       OR name IN ('AttachUserPolicy', 'AttachRolePolicy', 'PutUserPermissionsBoundary', 'PutRolePermissionsBoundary')
    GROUP BY ALL ORDER BY ALL"""
"""The keys, users, roles and policies of changes that may have ended credentials."""
_RENAMED = """
    SELECT DISTINCT regexp_extract(request, '"userName":"([^"]+)"', 1) AS old,
                    regexp_extract(request, '"newUserName":"([^"]+)"', 1) AS new
    FROM changed WHERE name = 'UpdateUser' AND source = 'iam.amazonaws.com' AND request LIKE '%"newUserName":"%'"""
_DENYING = """
    SELECT DISTINCT nullif(regexp_extract(coalesce(nullif(regexp_extract(response, '"arn":"([^"]+)"', 1), ''), request),
                           '(arn:[^"]+:policy/[^"]+)', 1), '') AS policy
    FROM changed WHERE name IN ('CreatePolicy', 'CreatePolicyVersion') AND document LIKE '%"Deny"%'"""
_AWS_DENIES = ("AWSDenyAll", "AWSCompromisedKeyQuarantine")
"""How the names of policies begin that AWS manages and that deny something."""


_ORGANISED = """
    SELECT min(time) AS first FROM changed
    WHERE source = 'organizations.amazonaws.com' AND document LIKE '%"Deny"%'
      AND regexp_matches(document, '"NotAction"|"Action"[ ]*:[ ]*([[][ ]*)?"[*]"')"""
"""Since when a service control policy may have denied everything to somebody."""


def touched(scene: Scene) -> list[Row]:
    """The changes that may have ended credentials; attaching a policy only if some version of it denies anything."""
    denying = {row["policy"] for row in scene.rows(_DENYING)}
    return [
        row
        for row in scene.rows(_TOUCHED)
        if row["policy"] is None
        or row["policy"] in denying
        or row["policy"].rpartition("/")[2].startswith(_AWS_DENIES)
    ]


def cut_keys(scene: Scene) -> Iterator[Cut]:
    """Find the long-term keys that a change has ended."""
    touched = scene.touched
    keys = sorted({row["key_id"] for row in touched if row["key_id"]})
    people = _people(scene, (row["person"] for row in touched if row["call"] != "UpdateAccessKey"))
    scene.add_table("touched_keys", {"id": pa.array(keys, pa.string())})
    scene.add_table("touched_users", {"name": pa.array(people, pa.string())})
    found = scene.rows("""
        SELECT * FROM known k WHERE kind = 'long_term_key' AND (
          regexp_extract(k.id, '^([^@]+)', 1) IN (SELECT id FROM touched_keys)
          OR regexp_extract(coalesce(k.arn, k.caller_arn, ''), '([^/]+)$', 1) IN (SELECT name FROM touched_users))
        ORDER BY n""")
    yield from _cut(scene, list(found))


def cut_sessions(scene: Scene) -> Iterator[Cut]:
    """Find the sessions that a change ended before their time."""
    touched = [row for row in scene.touched if not row["call"].endswith("AccessKey")]
    [row] = scene.rows(_ORGANISED)
    organised = row["first"]
    if not touched and organised is None:
        return
    first = min([*(row["first"] for row in touched), *([organised] if organised is not None else [])])
    people = _people(scene, (row["person"] for row in touched))
    roles = sorted({row["role"] for row in touched if row["role"]})
    scene.add_table("touched_users", {"name": pa.array(people, pa.string())})
    scene.add_table("touched_roles", {"name": pa.array(roles, pa.string())})
    found = scene.rows(
        """
        SELECT * FROM known k
        WHERE kind NOT IN ('long_term_key', 'forwarded') AND coalesce(k.expires_at, k.expires_bound, k.last, 0) >= ?
          AND (k.last > ?
               OR regexp_extract(coalesce(k.into_role, ''), '([^/]+)$', 1) IN (SELECT name FROM touched_roles)
               OR regexp_extract(coalesce(k.issuer_arn, k.arn, k.caller_arn, ''), ':user/(?:.*/)?([^/]+)$', 1)
                  IN (SELECT name FROM touched_users))
        ORDER BY n""",
        (first, organised),
    )
    yield from _cut(scene, found)


def _people(scene: Scene, names: Iterable[str | None]) -> list[str]:
    """All names that users have had, since what was done under one stays in force (IAM API Reference, 'UpdateUser')."""
    others: dict[str, set[str]] = {}
    for row in scene.rows(_RENAMED):
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


def _cut(scene: Scene, found: Iterator[Row] | list[Row]) -> Iterator[Cut]:
    rows = list(found)
    if not rows:
        return  # working out the effects of changes takes time
    callers = [scene.caller(row) for row in rows]
    effects = scene.effects(callers)
    for row, caller in zip(rows, callers, strict=True):
        key = row["id"].partition("@")[0] if row["kind"] == "long_term_key" else None
        ending = effects.ended(caller, key, scene.as_of)
        if ending is not None and not _late(row, ending):
            yield Cut(
                row=row,
                at=int(ending.at.timestamp()),
                done_at=int(ending.done_at.timestamp()),
                by=ending.by,
                call=ending.event_name,
                sentence=ending.sentence,
                unusable=ending.unusable,
            )


def _late(row: Row, ending: Ending) -> bool:
    """Whether the credential had expired by then anyway."""
    end = moment(row["expires_at"]) or moment(row["expires_bound"])
    return row["kind"] != "long_term_key" and end is not None and ending.at >= end
