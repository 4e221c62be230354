"""Write a level of later rows beside the tables of the first linking (see `later`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tokentrail.lineage import later
from tokentrail.lineage.grow import OUTPUT, ForestSize
from tokentrail.lineage.listing import filled
from tokentrail.lineage.number import GAP
from tokentrail.store.interface import Engine

_MERGED, _SMALL = 4, 5_000
"""A level is taken in by a new one that has a quarter of its rows or more, or if it has few."""
_KEPT = "t.n NOT IN (SELECT n FROM gone_now)"
_WRITTEN = {
    "forest": f"""
        SELECT * FROM ({{linked}})
        UNION ALL
        SELECT c.n, c.parent, c.root, c.depth, c.span, s.* EXCLUDE (n, parent_n, root_n, depth, span)
        FROM held_forest s JOIN carried c ON c.old = s.n
        UNION ALL SELECT * FROM taken_forest t WHERE {_KEPT}
        ORDER BY n""",
    "creations": f"""
        SELECT * FROM ({{linked}})
        UNION ALL SELECT c.n, s.* EXCLUDE (n) FROM held_creations s JOIN carried c ON c.old = s.n
        UNION ALL SELECT * FROM taken_creations t WHERE {_KEPT}
        ORDER BY n""",
    "names": f"""
        SELECT * FROM ({{linked}})
        UNION ALL
        SELECT s.name, c.n, s.own FROM (SELECT * FROM stored_names WHERE n IN ({{{{held.n}}}})) s
        JOIN carried c ON c.old = s.n
        UNION ALL SELECT * FROM taken_names t WHERE {_KEPT}
        ORDER BY name, n, own""",
    "who": """
        SELECT o.n, w.segment, w.identity FROM who w JOIN places o ON o.ck = w.ck
        WHERE w.ck >= 0 AND NOT EXISTS (
          SELECT 1 FROM had h WHERE h.segment = w.segment AND h.identity = w.identity AND h.n = o.n
            AND h.n IN (SELECT old FROM staying) AND h.segment NOT IN (SELECT segment FROM removed_segments))
        UNION ALL
        SELECT c.n, s.segment, s.identity FROM (SELECT * FROM stored_who WHERE n IN ({{held.n}})) s
        JOIN carried c ON c.old = s.n
        UNION ALL
        SELECT * FROM taken_who t WHERE t.n NOT IN (SELECT n FROM gone_now WHERE unplaced)
          AND t.segment NOT IN (SELECT segment FROM removed_segments)
          AND NOT EXISTS (SELECT 1 FROM moved m WHERE m.segment = t.segment AND m.identity = t.identity)
        ORDER BY n, segment, identity""",
    "links": f"""
        SELECT * FROM ({{linked}})
        UNION ALL
        SELECT coalesce(c.n, s.child), coalesce(m.n, s.parent), s.* EXCLUDE (child, parent) FROM stored_links s
        LEFT JOIN carried c ON c.old = s.child LEFT JOIN replaced m ON m.old = s.parent
        WHERE s.child NOT IN (SELECT n FROM touched_before) AND (c.n IS NOT NULL OR m.n IS NOT NULL)
        UNION ALL
        SELECT * FROM taken_links t WHERE {_KEPT.replace("t.n", "t.child")}
          AND t.parent NOT IN (SELECT n FROM gone_now WHERE unplaced)
        ORDER BY child, time, parent, what, thing, api, event_id""",
    later.GONE: """
        SELECT n, bool_or(unplaced) AS unplaced FROM (SELECT * FROM gone_now UNION ALL SELECT * FROM taken_gone)
        WHERE {below} OR n % {gap} = 0 GROUP BY n ORDER BY n""",
    later.GONE_WHO: """
        SELECT segment, identity FROM gone_who_now UNION SELECT segment, identity FROM taken_gone_who
        ORDER BY segment, identity""",
}
"""The rows of each file: of what was linked again, of what else moved, and what is left of levels that it takes in."""


def written(
    engine: Engine, base: Path, into: Path, records: int, before: ForestSize, linked: int
) -> ForestSize:
    """
    Write a new level.

    Args:
        engine: Knows all places.
        base: The folder of the earlier forest.
        into: Where to write.
        records: How many records there are.
        before: How large the forest was.
        linked: How many credentials the first linking placed.

    Returns:
        How large it is now. The files of all levels but the last are those of the earlier one.
    """
    [size] = engine.rows(
        """
        SELECT (SELECT count(*) FROM parents) AS linked, (SELECT count(*) FROM touched_before) AS before,
               (SELECT count(*) FROM carried) AS carried, (SELECT count(*) FROM lost) AS lost"""
    )
    stay = _levels_left(later.sizes(base), size["linked"] + size["carried"])
    later.register_above(engine, base, stay, "taken_", "stored_")
    gone = later.gone_in(base, stay)
    engine.register("taken_gone", gone.places)
    engine.register("taken_gone_who", gone.who)
    for name, query in _WRITTEN.items():
        told = filled(engine, query.format(linked=OUTPUT.get(name), below=stay > 0, gap=GAP))
        engine.write(told, later.level_file(into, stay + 1, name))
    engine.write(OUTPUT["losers"], into / "losers.parquet")
    spans, known = "SELECT first, last FROM new_people UNION ALL SELECT ?, ?", [before.first, before.last]
    if engine.rows("SELECT 1 AS one FROM removed_people LIMIT 1"):
        spans, known = "SELECT first, last FROM all_people", []  # of ten million, which takes a while
    [found] = engine.rows(f"SELECT min(first) AS first, max(last) AS last FROM ({spans})", known)
    return ForestSize(
        records - size["lost"],
        before.credentials - size["before"] + size["linked"],
        found["first"],
        found["last"],
        levels=stay + 1,
        linked=linked,
    )


def _levels_left(sizes: Sequence[int], rows: int) -> int:
    """How many of the levels stay as they are, by their numbers of rows, below a new one that has so many."""
    stay = len(sizes)
    while stay and sizes[stay - 1] <= max(_MERGED * rows, _SMALL):
        stay -= 1
        rows += sizes[stay]
    return stay
