"""
Number a forest that no single process holds: roots and depths by rounds of joins, then each tree by itself.

In each round a credential learns who is twice as far above it, so that the rounds grow with the logarithm of the
longest chain (`lineage.trees` does the same in one process).
"""

from __future__ import annotations

import pyarrow as pa

from tokentrail.lineage.trees import depths_and_roots, positions
from tokentrail.store.interface import Linker

_MOST_ROUNDS = 64
"""More than a chain of any length can need: whoever has no root by then hangs on a ring."""
_FIRST = """
CREATE TABLE above0 AS
SELECT ck, coalesce(parent_ck, ck) AS up, CASE WHEN parent_ck IS NULL THEN 0 ELSE 1 END AS depth FROM parents"""
_ROUND = """
CREATE TABLE {fresh} AS SELECT a.ck, b.up, a.depth + b.depth AS depth FROM {last} a JOIN {last} b ON b.ck = a.up"""
_MOVED = "SELECT count(*) AS moved FROM {fresh} f JOIN {last} l ON l.ck = f.ck WHERE f.up <> l.up"
_RINGED = """
SELECT p.ck, p.parent_ck FROM parents p JOIN {last} a ON a.ck = p.ck
LEFT JOIN (SELECT ck FROM parents WHERE parent_ck IS NULL) r ON r.ck = a.up
WHERE r.ck IS NULL ORDER BY coalesce(p.moment, 0), p.id"""
"""Credentials that hang on a ring, which only forged evidence has."""
_ROOTED = """
CREATE TABLE rooted AS
SELECT a.ck, coalesce(r.root, a.up) AS root, coalesce(r.depth, a.depth) AS depth
FROM {last} a LEFT JOIN ringed r ON r.ck = a.ck"""
_STARTS = """
CREATE TABLE starts AS
SELECT t.root, CAST(sum(t.many) OVER (
  ORDER BY coalesce(p.moment, 0), p.id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
) - t.many AS BIGINT) + 1 AS start
FROM (SELECT root, count(*) AS many FROM rooted GROUP BY root) t JOIN parents p ON p.ck = t.root"""
_NUMBERED = """
CREATE TABLE numbered AS
SELECT t.ck, t.depth, s.start, CASE WHEN t.ck = t.root THEN NULL ELSE p.parent_ck END AS parent_ck,
       s.start - 1 + row_number() OVER (PARTITION BY t.root ORDER BY t.depth, coalesce(p.moment, 0), p.id) AS n
FROM rooted t JOIN starts s ON s.root = t.root JOIN parents p ON p.ck = t.ck"""
_PLACES = """
CREATE TABLE places AS
SELECT t.ck, t.n, u.n AS parent, t.start AS root, t.depth FROM numbered t LEFT JOIN numbered u ON u.ck = t.parent_ck"""


def in_rounds(engine: Linker) -> None:
    """Number the forest: `places` from `parents`, as `trees.number` would."""
    engine.run(_FIRST)
    last = "above0"
    for turn in range(1, _MOST_ROUNDS):
        fresh = f"above{turn}"
        engine.run(_ROUND.format(fresh=fresh, last=last))
        [found] = engine.table(_MOVED.format(fresh=fresh, last=last)).to_pylist()
        engine.run(f"DROP TABLE {last}")
        last = fresh
        if not found["moved"]:
            break
    engine.register("ringed", _cut(engine.table(_RINGED.format(last=last))))
    for one in (_ROOTED.format(last=last), _STARTS, _NUMBERED, _PLACES):
        engine.run(one)


def _cut(rows: pa.Table) -> pa.Table:
    """The roots and depths of what hangs on rings, once each is cut at its eldest credential."""
    cks = rows["ck"].to_numpy()
    depth, root = depths_and_roots(positions(cks, rows["parent_ck"].to_numpy()), cut=True)
    return pa.table({
        "ck": pa.array(cks, pa.int64()), "root": pa.array(cks[root], pa.int64()), "depth": pa.array(depth, pa.int64()),
    })  # fmt: skip
