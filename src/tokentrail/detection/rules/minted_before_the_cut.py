"""Tokens minted shortly before their key was cut, which outlive it."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.rotation import rotated
from tokentrail.detection.scene import Scene
from tokentrail.detection.wording import at, listed, named, span
from tokentrail.lineage.rows import Row, event_id

_MINTED = """
    SELECT c.key_n, k.* FROM cut_recently c JOIN known k ON k.parent_n = c.key_n
    WHERE k.parent_link <> 'created' AND k.issued_time BETWEEN c.done_at - c.window AND c.done_at
      AND coalesce(k.expires_at, k.expires_bound, c.done_at + 1) > c.done_at + ?
    ORDER BY c.key_n, k.issued_time, k.n"""


def find(scene: Scene) -> Iterator[Hit]:
    """For each key that was ended, look at what it had minted shortly before."""
    cuts = {one.row["n"]: one for one in scene.cut_keys()}
    window = scene.thresholds.whole("before_cut")
    if not cuts:
        return
    scene.add_table(
        "cut_recently",
        {
            "key_n": pa.array(list(cuts), pa.int64()),
            "done_at": pa.array([one.done_at for one in cuts.values()], pa.int64()),
            "window": pa.array([window] * len(cuts), pa.int64()),
        },
    )
    found: dict[int, list[Row]] = {}
    for row in scene.rows(_MINTED, (scene.thresholds.whole("outlives_by"),)):
        found.setdefault(row["key_n"], []).append(row)
    for n, minted in sorted(found.items()):
        cut = cuts[n]
        if all(row["kind"] != "session_token" for row in minted) and rotated(scene, cut):
            continue
        used = [row for row in minted if (row["last"] or 0) > cut.done_at]
        severity: Severity = (
            "high" if any(row["kind"] == "session_token" for row in minted) else "medium" if used else "low"
        )
        yield Hit(
            about=(cut.row["id"], cut.by),
            time=cut.done_at,
            severity=severity,
            why=f"{cut.call} ended {named(cut.row)} at {at(cut.done_at)}; within {span(window)} before, it had minted "
            f"{listed(named(row) + ' at ' + at(row['issued_time']) for row in minted)}, "
            f"which outlive it" + (", and have been used since." if used else "."),
            subject=n,
            places=(n, *(row["n"] for row in minted)),
            events=(*(event_id(row["issue_event"], row["issue_text"]) or "" for row in minted), cut.by),
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
    thresholds=("before_cut", "outlives_by", "new_for"),
)
