"""
Give places to what was linked again, and write the later files that stand beside the tables of the first linking.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa

from tokentrail.lineage import later
from tokentrail.lineage.graft import Above, Kin, NoPlace, grafted
from tokentrail.lineage.grow import OUTPUT, ForestSize, statements
from tokentrail.lineage.listing import filled
from tokentrail.lineage.number import GAP
from tokentrail.lineage.touched import TooMuch
from tokentrail.store.interface import Engine

_MOST = 1_500_000
"""Credentials that are placed one by one at most; each takes half a kilobyte of memory."""
_AGE = "coalesce(b.issued_at, b.first, c.created_time, 0)"
_SINCE = """
CREATE TABLE since AS
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
SELECT s.parent_n, b.n, {_AGE} AS moment FROM base_forest b JOIN since s ON s.parent_n = coalesce(b.parent_n, -1)
LEFT JOIN base_creations c ON c.n = b.n
WHERE {{}} AND {_AGE} >= s.moment AND b.n NOT IN (SELECT n FROM unplaced)"""
"""The siblings that come after those that are placed, or are of the same time."""
_IDS = """
SELECT b.n, b.id FROM base_forest b WHERE b.n IN (
  SELECT k.n FROM kin k LEFT JOIN above a ON a.n = k.parent_n
  JOIN leaving l ON l.moment = k.moment AND l.parent IS NOT DISTINCT FROM a.parent)"""
"""Siblings of the same time are ordered by id."""
_WRITTEN = {
    "forest": """
        SELECT * FROM ({linked})
        UNION ALL
        SELECT c.n, c.parent, c.root, c.depth, c.span, s.* EXCLUDE (n, parent_n, root_n, depth, span)
        FROM held_forest s JOIN carried c ON c.old = s.n
        ORDER BY n""",
    "creations": """
        SELECT * FROM ({linked})
        UNION ALL SELECT c.n, s.* EXCLUDE (n) FROM held_creations s JOIN carried c ON c.old = s.n
        ORDER BY n""",
    "names": """
        SELECT * FROM ({linked})
        UNION ALL SELECT s.name, c.n, s.own FROM held_names s JOIN carried c ON c.old = s.n
        ORDER BY name, n, own""",
    "who": """
        SELECT o.n, w.segment, w.identity FROM who w JOIN places o ON o.ck = w.ck
        WHERE w.ck >= 0 AND NOT EXISTS (
          SELECT 1 FROM had h WHERE h.segment = w.segment AND h.identity = w.identity AND h.n = o.n
            AND NOT h.later AND h.n IN (SELECT old FROM staying)
            AND h.segment NOT IN (SELECT segment FROM removed_segments))
        UNION ALL
        SELECT c.n, s.segment, s.identity FROM later_who s JOIN carried c ON c.old = s.n
        UNION ALL
        SELECT c.n, s.segment, s.identity FROM stored_who s JOIN carried c ON c.old = s.n
        WHERE c.old <> c.n AND c.old % {gap} = 0
          AND NOT EXISTS (SELECT 1 FROM later_who l WHERE l.n = s.n AND l.segment = s.segment AND l.identity = s.identity)
        ORDER BY n, segment, identity""",
    "links": """
        SELECT * FROM ({linked})
        UNION ALL
        SELECT coalesce(c.n, s.child), coalesce(m.n, s.parent), s.* EXCLUDE (child, parent) FROM stored_links s
        LEFT JOIN carried c ON c.old = s.child LEFT JOIN replaced m ON m.old = s.parent
        WHERE s.child NOT IN (SELECT n FROM touched_before)
          AND (c.n IS NOT NULL OR m.n IS NOT NULL
               OR EXISTS (SELECT 1 FROM later_links l WHERE l.child = s.child AND l.parent = s.parent))
        ORDER BY child, time, parent, what, thing, api, event_id""",
}
"""The rows of each later file: of what was linked again, and what stays of the previous later file."""
_GONE = f"""
SELECT n, bool_or(unplaced) AS unplaced FROM (
  SELECT n, TRUE AS unplaced FROM unplaced
  UNION ALL SELECT old, FALSE FROM staying
  UNION ALL SELECT n, FALSE FROM carried WHERE n % {GAP} = 0
) GROUP BY n ORDER BY n"""
_GONE_WHO = """
SELECT segment, identity FROM gone_before UNION SELECT segment, identity FROM moved
UNION SELECT segment, NULL FROM removed_segments ORDER BY segment, identity"""


def place(engine: Engine, base: Path) -> int:
    """
    Make the tables of places: `places` for what was linked again, and `carried` for what else is in later files.

    Returns:
        How many credentials the first linking placed.

    Raises:
        TooMuch: there is no room.
    """
    gone, who = later.gone_in(base)
    engine.register("gone_places", gone)
    engine.run("CREATE TABLE unplaced_before AS SELECT n FROM gone_places WHERE unplaced")
    engine.register("gone_identities", who)
    engine.run("CREATE TABLE gone_before AS SELECT * FROM gone_identities")
    for one in statements("add_3_leaving.sql"):
        engine.run(filled(engine, one.replace("{gap}", str(GAP))))
    [found] = engine.rows("SELECT count(*) AS linked FROM base_forest")
    linked = int(found["linked"])
    try:
        engine.register("grafting", _grafted(engine, linked))
    except NoPlace as error:
        raise TooMuch("there is no room among the places, or parents go round in a ring") from error
    engine.run("CREATE TABLE grafts AS SELECT * FROM grafting")
    for one in statements("add_4_places.sql"):
        engine.run(one)
    return linked


def _grafted(engine: Engine, linked: int) -> pa.Table:
    """Places for all credentials that have none yet, or must leave theirs."""
    [found] = engine.rows("SELECT count(*) AS many FROM leaving")
    if found["many"] > _MOST:
        raise TooMuch(f"{found['many']} places are to be found anew")
    rows = engine.table("SELECT * FROM leaving")
    engine.run(_SINCE)
    stay = engine.rows("SELECT * FROM above")
    ends: dict[int | None, tuple[int, int]] = {
        row["parent"]: (row["n"], row["n"] + row["span"] - GAP) for row in stay
    }
    ends[None] = _ROOTS, 2 * GAP * linked
    above = {row["parent"]: Above(row["n"], row["root_n"], row["depth"]) for row in stay}
    return grafted(rows, above, _kin(engine, ends))


def _kin(engine: Engine, ends: Mapping[int | None, tuple[int, int]]) -> dict[int | None, Kin]:
    """The siblings that decide the order, by what a parent is called, given its place and the last one below it."""
    [first] = engine.rows("SELECT min(moment) AS moment FROM since")
    if first["moment"] is None:
        return {}
    engine.run(f"CREATE TABLE kin AS {' UNION ALL '.join(_KIN.format(one.format(first['moment'])) for one in _FROM)}")
    rows = engine.table("SELECT * FROM kin ORDER BY parent_n, n")
    ids = {row["n"]: row["id"] for row in engine.rows(_IDS)} if rows.num_rows else {}
    parents, starts, moments = (rows[name].to_numpy() for name in ("parent_n", "n", "moment"))
    found = {}
    for called, (parent, end) in ends.items():
        here = slice(*(int(np.searchsorted(parents, parent, side=side)) for side in ("left", "right")))
        found[called] = Kin(starts[here], moments[here], ids, end)
    return found


def written(engine: Engine, into: Path, records: int, before: ForestSize, linked: int) -> ForestSize:
    """
    Write the later files.

    Args:
        engine: Knows all places.
        into: Where to write.
        records: How many records there are.
        before: How large the forest was.
        linked: How many credentials the first linking placed.

    Returns:
        How large it is now.
    """
    for name, query in _WRITTEN.items():
        engine.write(query.format(linked=OUTPUT[name], gap=GAP), later.later_file(into, name))
    engine.write(OUTPUT["losers"], into / "losers.parquet")
    engine.write(_GONE, into / later.GONE)
    engine.write(_GONE_WHO, into / later.GONE_WHO)
    spans, known = "SELECT first, last FROM new_people UNION ALL SELECT ?, ?", [before.first, before.last]
    if engine.rows("SELECT 1 AS one FROM removed_people LIMIT 1"):
        spans, known = "SELECT first, last FROM all_people", []  # of ten million, which takes a while
    [found] = engine.rows(
        f"""
        SELECT (SELECT count(*) FROM carried) + (SELECT count(*) FROM parents) - (SELECT count(*) FROM ({_GONE})) AS more,
               (SELECT count(*) FROM lost) AS lost,
               min(first) AS first, max(last) AS last
        FROM ({spans})""",
        known,
    )
    return ForestSize(
        records - found["lost"], linked + found["more"], found["first"], found["last"], added=True, linked=linked
    )
