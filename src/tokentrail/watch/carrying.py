"""
Which older records are carried on when the hot set lets segments go.

They are records as they are, so that linking and rules need not know: of each credential that was seen lately, of the
first ones of each habit (who takes up which role, how deep), and of all above them, the calls that issued them and a
few of each kind of call from each address; the newest changes; and the first record of all, since rules ask since when
there is evidence.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from tokentrail.detection.scene import Scene
from tokentrail.watch.intake import SCHEMAS, TABLES, Tables
from tokentrail.watch.judging import Sight

_RECENT = 6_000
"""Credentials that were seen last."""
_OF_A_HABIT = 12
"""First credentials of each habit; rules take ten for a habit."""
_CHANGES = 10_000
_READS, _CALLS = 120, 3
"""Of calls alike: GetObject, which is counted by the hundred, and others."""

_SEEN = """
    SELECT n FROM (
      SELECT k.n, k.id,
             row_number() OVER (PARTITION BY p.person, k.into_role, k.kind, k.depth
                                ORDER BY coalesce(k.issued_time, k.first, 0), k.n) AS nth,
             row_number() OVER (ORDER BY greatest(coalesce(k.last, 0), coalesce(k.issued_time, 0)) DESC, k.n) AS place
      FROM known k LEFT JOIN known p ON p.n = k.parent_n
    ) WHERE nth <= {habit} OR place <= {recent} OR id IN (SELECT id FROM pinned)"""
_PLACES = """
    SELECT segment, object, ordinal, min(class) AS class, max(time) AS time FROM (
      SELECT f.segment, f.object, f.ordinal, 1 AS class, f.issued_time AS time
      FROM forest f JOIN lasting l ON l.n = f.n WHERE f.segment IS NOT NULL
      UNION ALL
      SELECT segment, object, ordinal, 1, time FROM (SELECT * FROM events ORDER BY time, event_id LIMIT 1)
      UNION ALL
      SELECT segment, object, ordinal, 2, time FROM (
        SELECT segment, object, ordinal, time FROM changes ORDER BY time DESC, event_id LIMIT {changes})
      UNION ALL
      SELECT segment, object, ordinal, 3, time FROM (
        SELECT d.segment, d.object, d.ordinal, d.time, d.name,
               row_number() OVER (PARTITION BY d.n, d.name, d.error IS NULL, d.ip ORDER BY d.time, d.event_id) AS nth,
               row_number() OVER (PARTITION BY d.n, d.ip ORDER BY d.time DESC, d.event_id DESC) AS back
        FROM deeds d JOIN lasting l ON l.n = d.n
      ) WHERE nth <= CASE WHEN name = 'GetObject' THEN {reads} ELSE {calls} END OR back = 1
    ) WHERE segment IN (SELECT segment FROM leaving)
    GROUP BY segment, object, ordinal ORDER BY class, time DESC, segment, object, ordinal LIMIT {most}"""
_ROWS = (
    "SELECT t.* FROM {name} t JOIN lasting_places p "
    "ON p.segment = t.segment AND p.object = t.object AND p.ordinal = t.ordinal"
)
_IDENTITIES = (
    "SELECT i.* FROM identities i JOIN (SELECT DISTINCT e.segment, e.identity FROM events e JOIN lasting_places p "
    "ON p.segment = e.segment AND p.object = e.object AND p.ordinal = e.ordinal) u "
    "ON u.segment = i.segment AND u.identity = i.identity"
)


def carried(sight: Sight, scene: Scene, leaving: Iterable[int], pinned: Iterable[str], most: int) -> Tables:
    """
    Choose what is carried on.

    Args:
        sight: The hot set, linked.
        scene: The same, as rules see it.
        leaving: The segments that go.
        pinned: Ids of credentials of which nothing is forgotten: those of findings and of plans.
        most: Records at most.
    """
    scene.give("leaving", {"segment": pa.array(sorted(leaving), pa.int64())})
    scene.give("pinned", {"id": pa.array(sorted(set(pinned)), pa.string())})
    seen = [row["n"] for row in scene.rows(_SEEN.format(habit=_OF_A_HABIT, recent=_RECENT))]
    lasting = sorted({*seen, *sight.forest.ancestors(seen)})
    scene.give("lasting", {"n": pa.array(lasting, pa.int64())})
    scene.table("lasting_places", _PLACES.format(changes=_CHANGES, reads=_READS, calls=_CALLS, most=most))
    queries = {name: _IDENTITIES if name == "identities" else _ROWS.format(name=name) for name in TABLES}
    return {name: sight.engine.table(query).cast(SCHEMAS[name]) for name, query in queries.items()}
