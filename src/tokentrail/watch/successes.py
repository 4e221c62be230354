"""Find calls that succeeded although the credentials that made them should not work any more."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType

import pyarrow as pa

from tokentrail.detection.scene import Scene
from tokentrail.lineage.rows import Row
from tokentrail.policy.language.evaluate import UNDENIABLE

_CALLS = """
    SELECT w.n, e.time, e.source, e.name, e.ip, e.event_id, e.event_id_text
    FROM facts e JOIN who w ON w.segment = e.segment AND w.identity = e.identity
    JOIN guarded g ON g.n = w.n AND e.time > g.bites
    WHERE e.error IS NULL ORDER BY e.time, e.event_id"""


def successes(
    scene: Scene, bites: Mapping[int, datetime], gone: Mapping[int, datetime] = MappingProxyType({})
) -> dict[int, list[Row]]:
    """
    The successful calls of credentials after the moments from which on they should not work.

    Calls that no policy can deny don't count, unless the credential itself is gone.

    Args:
        scene: The evidence.
        bites: By place in the forest: the moment from which on the credential should not work.
        gone: By place, where its key was deactivated or deleted: the moment from which on no call can succeed.

    Returns:
        The calls by place, oldest first.
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
