"""A role taken up again by the same lineage after its sessions were revoked."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from tokentrail.detection.cuts import Cut
from tokentrail.detection.homes import familiar
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.scene import Scene
from tokentrail.detection.tables import began
from tokentrail.detection.wording import at, counted, listed, named
from tokentrail.lineage.rows import Row, event_id

_REVOKED = began(
    "SELECT r.by_event, r.done_at, r.role, k.root_n, k.n FROM revoked r JOIN known k ON k.n = r.n"
)
_MINTED = began("""
    SELECT c.by_event, c.done_at, c.began AS cut_began, k.*
    FROM (SELECT DISTINCT by_event, done_at, role, root_n, began FROM revoked_now) c
    JOIN known k ON k.root_n = c.root_n AND k.into_role = c.role AND k.issued_time > c.done_at
    WHERE k.n NOT IN (SELECT n FROM ended)""")
_AGAIN = f"""
    SELECT k.*, p.kind AS parent_kind, p.person AS parent_person, h.first AS home_since, h.elsewhere,
           (SELECT count(*) FROM known e WHERE e.into_role = k.into_role AND e.parent_n IS NOT NULL
            AND e.issued_time < k.done_at AND e.root_n = k.root_n) AS before
    FROM ({_MINTED}) k
    LEFT JOIN known p ON p.n = k.parent_n
    LEFT JOIN homes h ON h.person = p.person AND h.ip = k.issue_ip
    WHERE k.began = k.cut_began
    ORDER BY k.by_event, k.began, k.issued_time, k.n"""


def find(scene: Scene) -> Iterator[Hit]:
    """For each revocation and lineage, look at what the lineage minted of the role afterwards."""
    cuts = [one for one in scene.cut_sessions() if one.row["into_role"] and one.row["kind"] != "service_role"]
    if not cuts:
        return
    scene.add_table(
        "revoked",
        {
            "by_event": pa.array([one.by for one in cuts], pa.string()),
            "done_at": pa.array([one.done_at for one in cuts], pa.int64()),
            "role": pa.array([one.row["into_role"] for one in cuts], pa.string()),
            "n": pa.array([one.row["n"] for one in cuts], pa.int64()),
        },
    )
    scene.table("revoked_now", _REVOKED)
    whose = {row["n"]: row["began"] for row in scene.rows("SELECT DISTINCT n, began FROM revoked_now")}
    ended = {one.row["n"] for one in (*scene.cut_keys(), *scene.cut_sessions())}
    scene.add_table("ended", {"n": pa.array(sorted(ended), pa.int64())})
    stories: dict[tuple[str, int], list[Row]] = {}
    for row in scene.rows(_AGAIN):
        stories.setdefault((row["by_event"], row["began"]), []).append(row)
    of: dict[tuple[str, int], list[Cut]] = {}
    for one in cuts:
        of.setdefault((one.by, whose[one.row["n"]]), []).append(one)
    for (by, root), found in sorted(stories.items()):
        mine = of[by, root]
        signs = _signs(scene, mine, found)
        if signs:
            yield _hit(scene, mine, found, signs, by)


def _signs(scene: Scene, mine: list[Cut], found: list[Row]) -> list[str]:
    """What tells a thief's return from a colleague's signing in again."""
    parents = {one.row["parent_n"] for one in mine}
    keys = {one.row["n"]: one for one in scene.cut_keys()}
    signs = []
    if found[0]["began"] in keys:
        signs.append("the key at the top of the lineage had been cut")
    if any(row["parent_n"] not in parents for row in found):
        signs.append("another credential of the lineage minted it than had minted the revoked one")
    fresh = scene.thresholds.whole("new_for")
    if any(
        row["home_since"] is not None
        and row["home_since"] > row["issued_time"] - fresh
        and row["elsewhere"] >= scene.thresholds["habit_calls"]
        and not familiar(scene, row["parent_person"], row["issue_ip"], row["home_since"])
        for row in found
    ):
        signs.append("from an address that is new to whoever minted it")
    portable = any(
        row["parent_kind"] in ("long_term_key", "session_token", "federation_token") for row in found
    )
    if portable and found[0]["before"] < scene.thresholds["mints_are_habit"]:
        signs.append("with a credential that can be carried off, which had rarely taken up this role before")
    return signs


def _hit(scene: Scene, mine: list[Cut], found: list[Row], signs: list[str], by: str) -> Hit:
    severity: Severity = "critical" if len(signs) > 1 else "high"
    root = scene.known([found[0]["began"]])[found[0]["began"]]
    return Hit(
        about=(by, root["id"]),
        time=found[0]["issued_time"],
        severity=severity,
        why=f"{mine[0].call} revoked {named(mine[0].row)} at {at(mine[0].done_at)}; the same lineage, under "
        f"{named(root)}, then minted {counted(len(found), 'session')} of the role again, first at "
        f"{at(found[0]['issued_time'])}: {listed(row['id'] for row in found)}; {listed(signs)}.",
        subject=root["n"],
        places=(root["n"], *(one.row["n"] for one in mine), *(row["n"] for row in found)),
        events=(by, *(event_id(row["issue_event"], row["issue_text"]) or "" for row in found)),
        count=len(found),
        thresholds=("new_for", "habit_calls", "mints_are_habit"),
    )


RULE = Rule(
    id="minted-again",
    title="Role re-assumed after session revocation",
    severity="critical",
    attack=("T1550.001", "T1078.004"),
    why="Revoking a role's sessions ends those issued before the cutoff and no later one. A credential upstream that "
    "still works mints the next at once.",
    false_alarm="A colleague who works in the role signs in again after a revocation: by the same credential, from the "
    "same place as before. Such returns are left out; what is left differs in what the finding says.",
    references=("IAM User Guide, 'Revoking IAM role temporary security credentials'",),
    find=find,
    thresholds=("new_for", "habit_calls", "mints_are_habit"),
)
