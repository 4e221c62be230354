"""Find calls that succeeded although the credentials that made them should not work any more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pyarrow as pa

from tokentrail.detection.scene import Scene
from tokentrail.lineage.rows import Row
from tokentrail.policy.history.survival import Ended, called, outlives

_CALLS = """
    SELECT d.n, d.time, d.source, d.name, d.ip, d.event_id, d.event_id_text
    FROM deeds d JOIN guarded g ON g.n = d.n AND d.time >= g.since
    WHERE d.error IS NULL AND NOT d.forwarded ORDER BY d.time, d.event_id"""


def successes(scene: Scene, endings: Mapping[int, Sequence[Ended]]) -> dict[int, list[Row]]:
    """
    The calls that show that credentials still worked after they should have ended.

    Args:
        scene: The evidence.
        endings: By place in the forest: what should have ended the credential, at least one for each.

    Returns:
        The calls by place, oldest first.
    """
    since = [int(min(one.effective_at for one in some).timestamp()) for some in endings.values()]
    scene.add_table("guarded", {"n": pa.array([*endings], pa.int64()), "since": pa.array(since, pa.int64())})
    calls: dict[int, list[Row]] = {}
    for row in scene.rows(_CALLS):
        time = datetime.fromtimestamp(row["time"], UTC)
        if outlives(endings[row["n"]], time, called(row["source"], row["name"])):
            calls.setdefault(row["n"], []).append(row)
    return calls
