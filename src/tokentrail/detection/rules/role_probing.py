"""One credential tries roles until one opens."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.reading import Place
from tokentrail.detection.scene import Scene
from tokentrail.detection.wording import at, counted, listed, named
from tokentrail.lineage.rows import Row, event_id

_CALLS = """
    SELECT e.segment, e.identity, e.object, e.ordinal, e.time, e.event_id, e.event_id_text FROM facts e
    WHERE e.source = 'sts.amazonaws.com' AND e.name = 'AssumeRole'
      AND e.error IN ('AccessDenied', 'AccessDeniedException')"""
"""They are few: set aside, whoever made them is found without all callers being held in memory."""
_REFUSED = """
    SELECT a.n, c.time, c.segment, c.object, c.ordinal, c.event_id, c.event_id_text,
           count(*) OVER (PARTITION BY a.n) AS refused
    FROM refused_calls c JOIN actors a ON a.segment = c.segment AND a.identity = c.identity
    WHERE a.n IS NOT NULL
    QUALIFY refused >= ? ORDER BY a.n, c.time, c.event_id"""
_ROLE = re.compile(r"on resource: (arn:[\w-]+:iam::\d{12}:role/[\w+=,.@/-]+)")


def find(scene: Scene) -> Iterator[Hit]:
    """Count refused AssumeRole calls; which roles they were for stands only in their messages."""
    if not scene.table("refused_calls", _CALLS):
        return
    by_caller: dict[int, list[Row]] = {}
    for row in scene.rows(_REFUSED, (scene.thresholds.whole("many_denied"),)):
        by_caller.setdefault(row["n"], []).append(row)
    known = scene.known(by_caller)
    for n, refused in sorted(by_caller.items()):
        roles = _roles(scene, refused[: scene.thresholds.whole("most_records")])
        if len({role.rpartition("/")[2] for role in roles}) >= scene.thresholds["many_denied"]:
            yield _hit(known[n], refused, sorted(roles))


def _roles(scene: Scene, refused: list[Row]) -> set[str]:
    places: list[Place] = [(row["segment"], row["object"], row["ordinal"]) for row in refused]
    messages = (str(record.get("errorMessage") or "") for _, record in scene.read(places))
    return {found[1] for message in messages if (found := _ROLE.search(message))}


def _hit(known: Row, refused: list[Row], roles: list[str]) -> Hit:
    severity: Severity = "high" if known["kind"] in ("service_role", "session_token") else "medium"
    return Hit(
        about=(known["id"], event_id(refused[0]["event_id"], refused[0]["event_id_text"]) or ""),
        time=refused[0]["time"],
        severity=severity,
        why=f"{named(known)} was refused {counted(len(roles), 'role')} from {at(refused[0]['time'])} to "
        f"{at(refused[-1]['time'])}: {listed(role.rpartition('/')[2] for role in roles)}.",
        subject=known["n"],
        places=(known["n"],),
        events=tuple(event_id(row["event_id"], row["event_id_text"]) or "" for row in refused),
        count=len(refused),
        thresholds=("many_denied", "most_records"),
    )


RULE = Rule(
    id="role-probing",
    title="A credential tries one role after the other",
    severity="high",
    attack=("T1087.004", "T1548.005"),
    why="Whoever holds a stolen key and does not know the account tries which roles it opens.",
    false_alarm="A script that walks all accounts of an organisation is refused where its role is missing: always "
    "the same role name, in many accounts, which counts as one.",
    references=(
        "CloudTrail record of a refused AssumeRole: requestParameters is null, errorMessage names the role",
    ),
    find=find,
    thresholds=("many_denied", "most_records"),
)
