"""A step of containment that somebody else took back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.scene import Scene
from tokentrail.detection.wording import at, short
from tokentrail.lineage.rows import Row, event_id

_CALLS = (
    "PutRolePolicy", "PutUserPolicy", "DeleteRolePolicy", "DeleteUserPolicy", "UpdateAccessKey",
    "AttachUserPolicy", "AttachRolePolicy", "DetachUserPolicy", "DetachRolePolicy",
)  # fmt: skip
_STEPS = f"""
    SELECT c.n, c.name, c.time, c.event_id, c.event_id_text, c.request, c.document, c.by_arn, c.in_account
    FROM changed c
    WHERE c.name IN {_CALLS!r}
      AND (c.name NOT LIKE 'Put%' OR c.request IS NOT NULL)
      AND (c.name NOT LIKE 'Put%' OR coalesce(c.in_account, '') IN (
        SELECT coalesce(d.in_account, '') FROM changed d
        WHERE d.name LIKE 'Put%Policy' AND d.document LIKE '%"Deny"%'))"""
"""Policies that are put count where one that denies was put at all: another put in its place may take it back. What is
left of these texts is few, and only then whose they are is asked."""
_TAKEN = """
    SELECT s.*, coalesce(k.person, s.by_arn) AS person FROM steps s LEFT JOIN makers k ON k.n = s.n
    ORDER BY s.time, s.event_id"""
_DENYING = ("AWSDenyAll", "AWSCompromisedKeyQuarantine")
_REVOCATION = "AWSRevokeOlderSessions"
_Thing = tuple[str, str, str, str]


def find(scene: Scene) -> Iterator[Hit]:
    """Walk through the changes: what denied or deactivated, and what took that back."""
    if not scene.table("steps", _STEPS):
        return
    within = scene.thresholds.whole("undone_within")
    standing: dict[_Thing, Row] = {}
    for row in scene.rows(_TAKEN):
        asked = json.loads(row["request"]) if row["request"] else {}
        thing = _thing(row, asked)
        if thing is None:
            continue
        if _contains(row, asked):
            standing[thing] = row
            continue
        before = standing.pop(thing, None)
        unseen = before is None and row["name"].startswith(("Detach", "Delete"))
        if unseen or (before is not None and row["time"] - before["time"] <= within):
            hit = _hit(scene, row, before, thing)
            if hit is not None:
                yield hit


def _thing(row: Row, asked: dict[str, Any]) -> _Thing | None:
    """What a call is about, where it is one that can contain or undo."""
    account = row["in_account"] or ""
    who = str(asked.get("roleName") or asked.get("userName") or "")
    name = row["name"]
    if name == "UpdateAccessKey":
        return (account, "key", who, str(asked.get("accessKeyId")))
    if name.startswith(("Attach", "Detach")):
        arn = str(asked.get("policyArn", ""))
        return (account, "attached", who, arn) if any(one in arn for one in _DENYING) else None
    policy = str(asked.get("policyName", ""))
    denies = row["document"] is not None and '"Deny"' in row["document"]
    known = policy == _REVOCATION or denies or name.startswith("Put")
    return (account, "inline", who, policy) if known or name.startswith("Delete") else None


def _contains(row: Row, asked: dict[str, Any]) -> bool:
    if row["name"] == "UpdateAccessKey":
        return bool(asked.get("status") == "Inactive")
    if row["name"].startswith("Put"):
        return row["document"] is not None and '"Deny"' in row["document"]
    return bool(row["name"].startswith("Attach"))


def _hit(scene: Scene, row: Row, before: Row | None, thing: _Thing) -> Hit | None:
    """A responder who takes back a step of their own is left out."""
    _, kind, who, what = thing
    if before is None and not (kind == "attached" or what == _REVOCATION):
        return None
    suspicious = scene.suspicious(row["n"])
    own = bool(who) and (row["by_arn"] or "").endswith(f"/{who}")
    if before is not None and before["person"] == row["person"] and not (suspicious or own):
        return None
    severity: Severity = "critical" if suspicious or own else "medium"
    event = event_id(row["event_id"], row["event_id_text"]) or ""
    done = [event_id(before["event_id"], before["event_id_text"]) or ""] if before else []
    since = f", which {short(before['by_arn'])} had set at {at(before['time'])}" if before else ""
    named = {
        "key": f"made the key {what} active again",
        "attached": f"detached {short(what)} from {who}",
    }.get(kind, f"took the denial {what} from {who}")
    return Hit(
        about=(event,),
        time=row["time"],
        severity=severity,
        why=f"{short(row['by_arn'])} {named} at {at(row['time'])}{since}.",
        subject=row["n"],
        places=() if row["n"] is None else (row["n"],),
        events=(*done, event),
        count=1 + len(done),
        principals=(row["by_arn"],) if row["by_arn"] else (),
        accounts=(row["in_account"],) if row["in_account"] else (),
        thresholds=("undone_within",),
    )


RULE = Rule(
    id="containment-undone",
    title="A step of containment was taken back by somebody else",
    severity="critical",
    attack=("T1562", "T1098"),
    why="Who may write IAM can lift a denial within the seconds that it takes to bite, and go on as before.",
    false_alarm="Colleagues lift what is no longer needed, too; who set a step and takes it back is left out.",
    references=(
        "OFFENSAI, 'AWS IAM eventual consistency persistence'",
        "AWS Identity and Access Management User Guide, 'AWSCompromisedKeyQuarantineV3'",
    ),
    find=find,
    marks=frozenset(_CALLS),
    late=True,
    thresholds=("undone_within",),
)
