"""
Choose the older records that are carried on when the hot set lets segments go.

They stay records like any others, so that linking and rules treat them alike: the calls that issued credentials, a few
of each kind of call from each address, changes in IAM, and the very first record, since rules ask since when there is
evidence. If there is no room for all, credentials are taken in this order: those of plans; tokens that are not a
role's, which are few and live long; those of the newest findings; those that were used last; then the first of each
habit (who assumes which role, and at which depth), the second of each, and so on. A credential's ancestors are carried
with it, and the call that issued it comes before what it did.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pyarrow as pa

from tokentrail.detection.scene import Scene
from tokentrail.watch.intake import SCHEMAS, TABLES, Tables
from tokentrail.watch.judging import Sight

_RARE, _RECENT, _OF_A_HABIT = 3_000, 1_000, 12
"""How many credentials at most: rare ones, those used last, and of each habit, which rules see in ten of them."""
_DEEDS = 3
"""How many ranks lower what a credential did is than the call that issued it."""
_CHANGES = 5_000
"""How many changes at most, the newest ones."""
_READS, _CALLS = 120, 3
"""How many calls that are alike: of GetObject, which a rule counts by the hundred, and of others."""

_SEEN = """
    SELECT n, CASE WHEN pinned = 0 THEN 0 WHEN rare AND rare_place <= {rare} THEN 1 WHEN pinned = 1 THEN 2
                   WHEN place <= {recent} THEN 3 ELSE 3 + least(nth, deep) END AS rank
    FROM (
      SELECT n, id, rare, pinned, place, row_number() OVER (PARTITION BY rare ORDER BY place) AS rare_place,
             row_number() OVER (PARTITION BY maker, into_role, kind ORDER BY began, n) AS nth,
             row_number() OVER (PARTITION BY depth ORDER BY began, n) AS deep
      FROM (
        SELECT k.n, k.id, k.kind, k.depth, k.into_role, p.person AS maker, coalesce(k.issued_time, k.first, 0) AS began,
               s.place AS pinned,
               k.parent_n IS NOT NULL AND k.kind NOT IN ('assumed_role', 'service_role', 'forwarded', 'unknown',
                                                         'assumed_role_web_identity', 'assumed_role_saml') AS rare,
               row_number() OVER (ORDER BY greatest(coalesce(k.last, 0), coalesce(k.issued_time, 0)) DESC, k.n) AS place
        FROM known k LEFT JOIN known p ON p.n = k.parent_n LEFT JOIN pinned s ON s.id = k.id
      )
    )
    WHERE pinned IS NOT NULL OR (rare AND rare_place <= {rare}) OR place <= {recent} OR nth <= {habit}
       OR deep <= {habit}
    ORDER BY rank, place LIMIT {most}"""
_PLACES = """
    SELECT segment, object, ordinal, min(rank) AS rank, max(time) AS time FROM (
      SELECT f.segment, f.object, f.ordinal, l.rank, f.issued_time AS time
      FROM forest f JOIN lasting l ON l.n = f.n WHERE f.segment IS NOT NULL
      UNION ALL
      SELECT segment, object, ordinal, 0, time FROM (SELECT * FROM events ORDER BY time, event_id LIMIT 1)
      UNION ALL
      SELECT segment, object, ordinal, 3, time FROM (
        SELECT segment, object, ordinal, time FROM changes ORDER BY time DESC, event_id LIMIT {changes})
      UNION ALL
      SELECT segment, object, ordinal, rank + {deeds}, time FROM (
        SELECT d.segment, d.object, d.ordinal, d.time, d.name, l.rank,
               row_number() OVER (PARTITION BY d.n, d.name, d.error IS NULL, d.ip ORDER BY d.time, d.event_id) AS nth,
               row_number() OVER (PARTITION BY d.n, d.ip ORDER BY d.time DESC, d.event_id DESC) AS back
        FROM deeds d JOIN lasting l ON l.n = d.n
      ) WHERE nth <= CASE WHEN name = 'GetObject' THEN {reads} ELSE {calls} END OR back = 1
    ) WHERE segment IN (SELECT segment FROM leaving)
    GROUP BY segment, object, ordinal ORDER BY rank, time DESC, segment, object, ordinal LIMIT {most}"""
_ROWS = (
    "SELECT t.* FROM {name} t JOIN lasting_places p "
    "ON p.segment = t.segment AND p.object = t.object AND p.ordinal = t.ordinal"
)
_IDENTITIES = (
    "SELECT i.* FROM identities i JOIN (SELECT DISTINCT e.segment, e.identity FROM events e JOIN lasting_places p "
    "ON p.segment = e.segment AND p.object = e.object AND p.ordinal = e.ordinal) u "
    "ON u.segment = i.segment AND u.identity = i.identity"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pinned:
    """The ids of credentials that are carried before others."""

    plans: tuple[str, ...] = ()
    """Those of the plans that are guarded."""
    findings: tuple[str, ...] = ()
    """Those of the newest findings."""


def records_to_carry(sight: Sight, scene: Scene, leaving: Iterable[int], pinned: Pinned, most: int) -> Tables:
    """
    Choose the records to carry on.

    Args:
        sight: The evidence, linked.
        scene: The same, as rules see it.
        leaving: The numbers of the segments that are let go.
        pinned: The credentials that are carried before others.
        most: How many records, at most.
    """
    scene.add_table("leaving", {"segment": pa.array(sorted(leaving), pa.int64())})
    ranks = _ranked_credentials(scene, pinned, most)
    scene.add_table(
        "lasting",
        {"n": pa.array(list(ranks), pa.int64()), "rank": pa.array(list(ranks.values()), pa.int64())},
    )
    limits = {
        "changes": min(_CHANGES, most // 4),
        "reads": _READS,
        "calls": _CALLS,
        "deeds": _DEEDS,
        "most": most,
    }
    scene.table("lasting_places", _PLACES.format(**limits))
    queries = {name: _IDENTITIES if name == "identities" else _ROWS.format(name=name) for name in TABLES}
    return {name: sight.engine.table(query).cast(SCHEMAS[name]) for name, query in queries.items()}


def _ranked_credentials(scene: Scene, pinned: Pinned, most: int) -> dict[int, int]:
    """By place in the forest: the rank of each credential to carry, lowest first; ancestors have the lowest below."""
    pinned_places = {**dict.fromkeys(pinned.findings, 1), **dict.fromkeys(pinned.plans, 0)}
    scene.add_table(
        "pinned",
        {
            "id": pa.array(list(pinned_places), pa.string()),
            "place": pa.array(list(pinned_places.values()), pa.int64()),
        },
    )
    query = _SEEN.format(
        rare=min(_RARE, most // 4), recent=min(_RECENT, most // 8), habit=_OF_A_HABIT, most=most * 2 // 3
    )
    ranks: dict[int, int] = {}
    by_rank: dict[int, list[int]] = {}
    for row in scene.rows(query):
        by_rank.setdefault(row["rank"], []).append(row["n"])
    for rank, places in sorted(by_rank.items()):
        for n in (*places, *scene.ancestors(places)):
            ranks.setdefault(n, rank)
    return ranks
