"""A session that works although a change should have ended it."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from tokentrail.detection.model import Hit, Rule
from tokentrail.detection.scene import Scene
from tokentrail.detection.wording import at, counted, listed, named, span
from tokentrail.lineage.rows import Row, event_id

_UNDENIABLE = "('GetCallerIdentity', 'GetSessionToken')"
"""Calls that succeed under any deny (botocore's STS model; IAM User Guide, 'GetSessionToken')."""

_USED = f"""
    SELECT n, uses, time, event_id, event_id_text FROM (
      SELECT c.n, d.time, d.event_id, d.event_id_text, count(*) OVER (PARTITION BY c.n) AS uses,
             row_number() OVER (PARTITION BY c.n ORDER BY d.time, d.event_id) AS place
      FROM cut_then c JOIN deeds d ON d.n = c.n AND d.time > c.bites_at AND d.error IS NULL AND NOT d.forwarded
      WHERE d.name NOT IN {_UNDENIABLE}
    ) WHERE place = 1 ORDER BY time, event_id"""


def find(scene: Scene) -> Iterator[Hit]:
    """Look for successful calls after the time at which each ending must have taken effect."""
    cuts = {one.row["n"]: one for one in (*scene.cut_keys(), *scene.cut_sessions())}
    grace = scene.thresholds.whole("propagation")
    if not cuts:
        return
    bites = [max(one.at, one.done_at) + grace for one in cuts.values()]
    scene.add_table(
        "cut_then", {"n": pa.array(list(cuts), pa.int64()), "bites_at": pa.array(bites, pa.int64())}
    )
    used: dict[str, list[Row]] = {}
    for row in scene.rows(_USED):
        used.setdefault(cuts[row["n"]].by, []).append(row)
    for by, found in sorted(used.items()):
        cut = cuts[found[0]["n"]]
        yield Hit(
            about=(by,),
            time=found[0]["time"],
            severity="high",
            why=f"{cut.sentence}, at {at(cut.done_at)}; yet {listed(named(cuts[row['n']].row) for row in found)} "
            f"called with success more than {span(grace)} later, first at {at(found[0]['time'])} "
            f"({counted(sum(row['uses'] for row in found), 'call')}).",
            subject=found[0]["n"],
            places=tuple(row["n"] for row in found),
            events=(by, *(event_id(row["event_id"], row["event_id_text"]) or "" for row in found)),
            count=sum(row["uses"] for row in found),
            thresholds=("propagation",),
        )


RULE = Rule(
    id="used-after-revocation",
    title="A credential works although it was revoked",
    severity="high",
    attack=("T1550.001", "T1562"),
    why="The step that was to end it did not bite, or was undone and put back: whoever holds it is still in.",
    false_alarm="IAM takes seconds, rarely minutes, until a change holds everywhere; later calls are no false alarm. "
    "A policy of another service (a bucket's, a key's) can't override an explicit deny.",
    references=(
        "IAM User Guide, 'Troubleshoot IAM': changes are not always immediately visible",
        "OFFENSAI, 'AWS IAM eventual consistency persistence'",
    ),
    find=find,
    thresholds=("propagation",),
)
