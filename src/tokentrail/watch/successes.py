"""The calls with which credentials succeed though they should not work any more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

import pyarrow as pa

from tokentrail.detection.scene import Scene
from tokentrail.lineage.rows import Row
from tokentrail.policy.deny import UNDENIABLE

_CALLS = """
    SELECT w.n, e.time, e.source, e.name, e.ip, e.event_id, e.event_id_text
    FROM facts e JOIN who w ON w.segment = e.segment AND w.identity = e.identity
    JOIN guarded g ON g.n = w.n AND e.time > g.bites
    WHERE e.error IS NULL ORDER BY e.time, e.event_id"""


def successes(
    scene: Scene, bites: Mapping[int, datetime], gone: Mapping[int, datetime] = MappingProxyType({})
) -> dict[int, list[Row]]:
    """
    The calls with which credentials succeed after some moments, by place.

    Args:
        scene: The evidence.
        bites: From when on each should not work.
        gone: From when on nothing answers some, not even what no policy denies.
    """
    scene.add_table(
        "guarded",
        {
            "n": pa.array([*bites], pa.int64()),
            "bites": pa.array([int(at.timestamp()) for at in bites.values()], pa.int64()),
        },
    )
    calls: dict[int, list[Row]] = {}
    for row in scene.rows(_CALLS):
        call = f"{str(row['source']).removesuffix('.amazonaws.com')}:{row['name']}"
        ended = gone.get(row["n"])
        if call.lower() not in UNDENIABLE or (ended and row["time"] > int(ended.timestamp())):
            calls.setdefault(row["n"], []).append(row)
    return calls
