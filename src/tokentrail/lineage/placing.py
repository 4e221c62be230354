"""
Give places to what was linked again, and write a level of later rows beside the tables of the first linking.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from tokentrail.lineage import later
from tokentrail.lineage.graft import Above, Crowded, Kin, NoPlace, grafted
from tokentrail.lineage.grow import OUTPUT, ForestSize, statements
from tokentrail.lineage.listing import filled
from tokentrail.lineage.number import GAP
from tokentrail.lineage.touched import TooMuch
from tokentrail.store.interface import Engine

_MOST = 1_500_000
"""Credentials that are placed at once at most; each takes some memory."""
_MERGED, _SMALL = 4, 5_000
"""A level is taken in by a new one that has a quarter of its rows or more, or if it has few."""
_AGE = "coalesce(b.issued_at, b.first, c.created_time, 0)"
_SINCE = """
CREATE OR REPLACE TABLE since AS
SELECT coalesce(a.n, -1) AS parent_n, min(l.moment) AS moment FROM leaving l LEFT JOIN above a ON a.parent = l.parent
WHERE l.parent IS NULL OR a.n IS NOT NULL GROUP BY coalesce(a.n, -1)"""
"""The parents (-1: none) below which credentials are placed, each with the time of the eldest of these."""
_ROOTS = -1
_FROM = (
    "b.issued_at >= {0}",
    "b.issued_at IS NULL AND b.first >= {0}",
    "b.issued_at IS NULL AND b.first IS NULL AND coalesce(c.created_time, 0) >= {0}",
)
"""The parts of what is of an age, each told so that most of the forest need not be read for it."""
_KIN = f"""
SELECT s.parent_n, b.n, b.span, {_AGE} AS moment FROM stored_forest b JOIN since s ON s.parent_n = coalesce(b.parent_n, -1)
LEFT JOIN stored_creations c ON c.n = b.n
WHERE {{}} AND {_AGE} >= s.moment AND b.n NOT IN (SELECT n FROM unplaced)"""
"""The siblings that come after those that are placed, or are of the same time."""
_IDS = """
SELECT b.n, b.id FROM stored_forest b WHERE b.n IN (
  SELECT k.n FROM kin k LEFT JOIN above a ON a.n = k.parent_n
  JOIN leaving l ON l.moment = k.moment AND l.parent IS NOT DISTINCT FROM a.parent)"""
"""Siblings of the same time are ordered by id."""
_USED = f"""
SELECT f.parent_n, max(CASE WHEN l.n + l.span < f.next THEN l.n + l.span ELSE l.n END) AS used
FROM later_forest l JOIN firsts f ON l.n // {GAP} = f.gap AND l.n < f.next
WHERE l.n % {GAP} <> 0 AND l.n NOT IN (SELECT n FROM unplaced) GROUP BY f.parent_n"""
"""The last place in use before another one and in the same gap: the end of a tree, or the beginning of one around both."""
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
        SELECT s.name, c.n, s.own FROM (SELECT * FROM stored_names WHERE n IN ({{{{held.n}}}})) s JOIN carried c ON c.old = s.n
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
        GROUP BY n ORDER BY n""",
    later.GONE_WHO: """
        SELECT segment, identity FROM gone_who_now UNION SELECT segment, identity FROM taken_gone_who
        ORDER BY segment, identity""",
}
"""
The rows of each file of a new level: of what was linked again, of what else moved, and what is left of the levels that it
takes in.
"""


def place(engine: Engine) -> int:
    """
    Make the tables of places: `places` for what was linked again, and `carried` for what else moved.

    Returns:
        How many credentials the first linking placed.

    Raises:
        TooMuch: there is no room.
    """
    [found] = engine.rows("SELECT count(*) AS linked FROM base_forest")
    linked = int(found["linked"])
    engine.run("CREATE TABLE crowded (gap BIGINT)")
    while not _fits(engine, linked):
        pass
    engine.run("CREATE TABLE grafts AS SELECT * FROM grafting")
    for one in statements("add_4_places.sql"):
        engine.run(one)
    return linked


def _fits(engine: Engine, linked: int) -> bool:
    """Find places (`grafting`). If some gaps are too crowded for that, they are noted, and all in them is to be placed."""
    for one in statements("add_3_leaving.sql"):
        engine.run(filled(engine, one.replace("{gap}", str(GAP))))
    try:
        engine.register("grafting", _grafted(engine, linked))
    except NoPlace as error:
        raise TooMuch("there is no room among the places, or parents go round in a ring") from error
    except Crowded as error:
        known = {row["gap"] for row in engine.rows("SELECT gap FROM crowded")}
        if known.issuperset(error.gaps):
            raise TooMuch("there is no room in gaps that were emptied") from error
        engine.register("more_crowded", pa.table({"gap": pa.array([*error.gaps], pa.int64())}))
        engine.run("INSERT INTO crowded SELECT gap FROM more_crowded")
        return False
    return True


def _grafted(engine: Engine, linked: int) -> pa.Table:
    """Places for all credentials that have none yet, or must leave theirs."""
    [found] = engine.rows("SELECT count(*) AS many FROM leaving")
    if found["many"] > _MOST:
        raise TooMuch(f"{found['many']} places are to be found anew")
    rows = engine.table("SELECT * FROM leaving")
    engine.run(_SINCE)
    stay = engine.rows("SELECT * FROM above")
    ends: dict[int | None, tuple[int, int]] = {
        row["parent"]: (row["n"], row["n"] + row["span"]) for row in stay
    }
    ends[None] = _ROOTS, GAP * (2 * linked + 1)  # so many trees begin and end before
    above = {row["parent"]: Above(row["n"], row["root_n"], row["depth"]) for row in stay}
    return grafted(rows, above, _kin(engine, ends))


def _kin(engine: Engine, ends: Mapping[int | None, tuple[int, int]]) -> dict[int | None, Kin]:
    """The siblings that decide the order, by what a parent is called, given its place and where its tree ends."""
    [first] = engine.rows("SELECT min(moment) AS moment FROM since")
    if first["moment"] is None:
        return {}
    parts = [_KIN.format(one.format(first["moment"])) for one in _FROM]
    engine.run(f"CREATE OR REPLACE TABLE kin AS {' UNION ALL '.join(parts)}")
    rows = engine.table("SELECT * FROM kin ORDER BY parent_n, n")
    ids = {row["n"]: row["id"] for row in engine.rows(_IDS)} if rows.num_rows else {}
    parents, starts, spans, moments = (rows[name].to_numpy() for name in ("parent_n", "n", "span", "moment"))
    here = {
        called: slice(*(int(np.searchsorted(parents, parent, side=side)) for side in ("left", "right")))
        for called, (parent, _) in ends.items()
    }
    firsts = {
        called: int(starts[some][0]) if some.start < some.stop else ends[called][1]
        for called, some in here.items()
    }
    used = _used(engine, {ends[called][0]: place for called, place in firsts.items()})
    return {
        called: Kin(
            starts[some],
            starts[some] + spans[some],
            moments[some],
            ids,
            used[ends[called][0]],
            ends[called][1],
        )
        for called, some in here.items()
    }


def _used(engine: Engine, firsts: Mapping[int, int]) -> dict[int, int]:
    """By parent, the last place in use before another one, which may be where the parent's tree ends."""
    gaps = {parent: (place - 1) // GAP for parent, place in firsts.items()}
    given = pa.table({
        "parent_n": pa.array(firsts.keys(), pa.int64()), "next": pa.array(firsts.values(), pa.int64()),
        "gap": pa.array(gaps.values(), pa.int64()),
    })  # fmt: skip
    engine.register("firsts", given)
    found = {row["parent_n"]: row["used"] for row in engine.rows(_USED)}
    return {parent: found.get(parent, gap * GAP) for parent, gap in gaps.items()}


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
        told = filled(engine, query.format(linked=OUTPUT.get(name)))
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
