"""Give places to what was linked again, and to what has to move for it."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa

from tokentrail.lineage.graft import Above, Crowded, Kin, NoPlace, grafted
from tokentrail.lineage.grow import statements
from tokentrail.lineage.number import GAP
from tokentrail.lineage.touched import TooMuch
from tokentrail.store.interface import Engine

_MOST = 1_500_000
"""Credentials that are placed at once at most; each takes some memory."""
_AGE = "coalesce(b.issued_at, b.first, b.created_time, 0)"
_SINCE = """
CREATE OR REPLACE TABLE since AS
SELECT coalesce(a.n, -1) AS parent_n, min(l.moment) AS moment FROM leaving l LEFT JOIN above a ON a.parent = l.parent
WHERE l.parent IS NULL OR a.n IS NOT NULL GROUP BY coalesce(a.n, -1)"""
"""The parents (-1: none) below which credentials are placed, each with the time of the eldest of these."""
_ROOTS = -1
_FROM = (
    "b.issued_at >= {0}",
    "b.issued_at IS NULL AND b.first >= {0}",
    "b.issued_at IS NULL AND b.first IS NULL AND coalesce(b.created_time, 0) >= {0}",
)
"""The parts of what is of an age, each told so that most of the forest need not be read for it."""
_KIN = f"""
SELECT s.parent_n, b.n, b.span, {_AGE} AS moment FROM stored_credentials b
JOIN since s ON s.parent_n = coalesce(b.parent_n, -1)
WHERE {{}} AND {_AGE} >= s.moment AND b.n NOT IN (SELECT n FROM unplaced)"""
"""The siblings that come after those that are placed, or are of the same time."""
_IDS = """
SELECT b.n, b.id FROM stored_credentials b WHERE b.n IN (
  SELECT k.n FROM kin k LEFT JOIN above a ON a.n = k.parent_n
  JOIN leaving l ON l.moment = k.moment AND l.parent IS NOT DISTINCT FROM a.parent)"""
"""Siblings of the same time are ordered by id."""
_USED = f"""
SELECT f.parent_n, p.place AS used FROM firsts f ASOF JOIN (
  SELECT unnest([n, n + span]) AS place FROM later_credentials
  WHERE n // {GAP} IN (SELECT gap FROM firsts) AND n % {GAP} <> 0 AND n NOT IN (SELECT n FROM unplaced)
) p ON f.next > p.place"""
"""The last place in use before another one: where a tree ends, or begins that has both in it."""


def place(engine: Engine) -> None:
    """
    Make the tables of places: `places` for what was linked again, and `carried` for what else moved.

    Raises:
        TooMuch: there is no room.
    """
    engine.run(f"CREATE VIEW later_credentials AS SELECT * FROM stored_credentials WHERE n % {GAP} <> 0")
    engine.run("CREATE TABLE crowded (gap BIGINT)")
    while not _fits(engine):
        pass
    engine.run("CREATE TABLE grafts AS SELECT * FROM grafting")
    for one in statements("add_4_places.sql"):
        engine.run(one)


def _fits(engine: Engine) -> bool:
    """Find places (`grafting`). Gaps that are too crowded for that are noted, and all in them is to be placed again."""
    for one in statements("add_3_leaving.sql"):
        engine.run(one.replace("{gap}", str(GAP)))
    try:
        engine.register("grafting", _grafted(engine))
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


def _grafted(engine: Engine) -> pa.Table:
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
    [last] = engine.rows("SELECT max(n + span) AS place FROM stored_credentials WHERE parent_n IS NULL")
    ends[None] = _ROOTS, ((last["place"] or 0) // GAP + 1) * GAP  # behind all
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
    return {parent: max(found.get(parent, 0), gap * GAP) for parent, gap in gaps.items()}
