"""Use of a credential whose ancestor key was deactivated, deleted or denied."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from tokentrail.detection.cuts import Cut
from tokentrail.detection.model import Hit, Rule, Severity
from tokentrail.detection.rotation import rotated
from tokentrail.detection.scene import Scene
from tokentrail.detection.wording import at, counted, listed, named
from tokentrail.lineage.rows import Row, event_id

_USED = """
    SELECT key_n, n, uses, time, event_id, event_id_text, minted_after FROM (
      SELECT c.key_n, k.n, d.time, d.event_id, d.event_id_text,
             coalesce(k.issued_time, 0) > c.done_at AS minted_after,
             count(*) OVER (PARTITION BY c.key_n, k.n) AS uses,
             row_number() OVER (PARTITION BY c.key_n, k.n ORDER BY d.time, d.event_id) AS place
      FROM cut_now c
      JOIN known k ON k.n > c.key_n AND k.n < c.key_n + c.span
      JOIN deeds d ON d.n = k.n AND d.time > c.done_at AND d.error IS NULL AND NOT d.forwarded
      WHERE d.name <> 'GetCallerIdentity'
        AND NOT EXISTS (SELECT 1 FROM known m WHERE m.parent_link = 'created' AND m.n > c.key_n
                        AND m.n <= k.n AND k.n < m.n + m.span)
    ) WHERE place = 1 ORDER BY key_n, time, event_id"""
"""First uses after the cut of what was minted from the key; what acts through things that it made is another story."""


def find(scene: Scene) -> Iterator[Hit]:
    """Look among the descendants of each key that was ended for credentials that were used afterwards."""
    cuts = {one.row["n"]: one for one in scene.cut_keys()}
    if not cuts:
        return
    scene.add_table(
        "cut_now",
        {
            "key_n": pa.array(list(cuts), pa.int64()),
            "span": pa.array([one.row["span"] for one in cuts.values()], pa.int64()),
            "done_at": pa.array([one.done_at for one in cuts.values()], pa.int64()),
        },
    )
    used: dict[int, list[Row]] = {}
    for row in scene.rows(_USED):
        used.setdefault(row["key_n"], []).append(row)
    names = scene.known(row["n"] for found in used.values() for row in found)
    for n, found in sorted(used.items()):
        yield _hit(cuts[n], found, names, quiet=rotated(scene, cuts[n]))


def _hit(cut: Cut, found: list[Row], names: dict[int, Row], *, quiet: bool) -> Hit:
    fresh = [row for row in found if row["minted_after"]]
    severity: Severity = "critical" if fresh else "low" if quiet else "high"
    why = (
        f"{cut.call} ended {named(cut.row)} at {at(cut.done_at)}, yet {counted(len(found), 'credential')} minted from "
        f"it went on: {listed(named(names[row['n']]) for row in found)}, first at {at(found[0]['time'])}"
    )
    if fresh:
        why += f"; {counted(len(fresh), 'of them was', 'of them were')} minted only after the key was gone"
    elif quiet:
        why += "; all of it where the user's next key works too, an address of days ago: the key was rotated, it seems"
    return Hit(
        about=(cut.row["id"],),
        time=found[0]["time"],
        severity=severity,
        why=why + ".",
        subject=cut.row["n"],
        places=(cut.row["n"], *(row["n"] for row in found)),
        events=(cut.by, *(event_id(row["event_id"], row["event_id_text"]) or "" for row in found)),
        count=sum(row["uses"] for row in found),
        thresholds=("new_for",),
    )


RULE = Rule(
    id="outlived-key",
    title="Credentials go on after the key behind them was cut",
    severity="critical",
    attack=("T1550.001", "T1078.004"),
    why="Deactivating or deleting a key ends the key alone. What was minted from it works until it expires, for up to "
    "36 hours, and a session token among it mints new role sessions all the while.",
    false_alarm="Keys are rotated in good order too: then the key's owner knows the sessions, and none is minted "
    "after the cut. Where they work only at old addresses at which the user's next key works too, it is told at low "
    "severity.",
    references=(
        "IAM User Guide, 'Disabling permissions for temporary security credentials'",
        "Netskope Threat Labs, 'Securing AWS Temporary Tokens'",
    ),
    find=find,
    thresholds=("new_for",),
)
