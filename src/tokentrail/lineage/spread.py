"""
Number a forest that no single process holds: roots by rounds of joins, then each tree wherever it lies.

In each round a credential learns who is twice as far above it, so that the rounds grow with the logarithm of the
longest chain. Trees are then numbered as on one machine (`number`), many of them at once, and put one behind the other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from tokentrail.lineage.number import GAP, number
from tokentrail.store.interface import Linker

BUCKETS = 200
"""Groups of trees that are numbered apart from each other."""
_MOST_ROUNDS = 64
"""More than a chain of any length can need: whoever has no root by then hangs on a ring."""
_NUMBERED = pa.schema([
    ("ck", pa.int64()), ("root_ck", pa.int64()), ("place", pa.int64()), ("above", pa.int64()), ("depth", pa.int64()),
    ("size", pa.int64()),
])  # fmt: skip
_ROUND = "CREATE TABLE {fresh} AS SELECT a.ck, b.up FROM {last} a JOIN {last} b ON b.ck = a.up"
_MOVED = "SELECT count(*) AS moved FROM {fresh} f JOIN {last} l ON l.ck = f.ck WHERE f.up <> l.up"
_TREES = """
SELECT p.ck, coalesce(p.parent_ck, -1) AS parent_ck, coalesce(p.moment, 0) AS moment, p.id,
       CASE WHEN r.ck IS NULL THEN -1 ELSE CAST(hash(a.up) % {buckets} AS INT) END AS bucket
FROM parents p JOIN {last} a ON a.ck = p.ck LEFT JOIN roots r ON r.ck = a.up"""
_OFFSETS = """
CREATE TABLE offsets AS
SELECT t.ck, sum(t.size) OVER (ORDER BY coalesce(p.moment, 0), p.id ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)
             - t.size AS start
FROM trees t JOIN parents p ON p.ck = t.ck WHERE t.root_ck = t.ck"""
_PLACES = """
CREATE TABLE places AS
SELECT t.ck, {gap} * (2 * (o.start + t.place) - t.depth + 1) AS n,
       {gap} * (2 * (o.start + t.above) - t.depth + 2) AS parent, {gap} * (2 * o.start + 1) AS root, t.depth,
       {gap} * (2 * t.size - 1) AS span
FROM trees t JOIN offsets o ON o.ck = t.root_ck"""


class Grouping(Linker, Protocol):
    """An engine that can let Python work on groups of rows."""

    def grouped(
        self, sql: str, by: str, work: Callable[[pa.Table], pa.Table], schema: pa.Schema, name: str
    ) -> None:
        """Make a table of what `work` makes of each group of a query's rows, wherever the group lies."""


def in_rounds(engine: Grouping) -> None:
    """Number the forest: `places` from `parents`."""
    engine.run("CREATE TABLE above0 AS SELECT ck, coalesce(parent_ck, ck) AS up FROM parents")
    engine.run("CREATE TABLE roots AS SELECT ck FROM parents WHERE parent_ck IS NULL")
    last = "above0"
    for turn in range(1, _MOST_ROUNDS):
        fresh = f"above{turn}"
        engine.run(_ROUND.format(fresh=fresh, last=last))
        [found] = engine.table(_MOVED.format(fresh=fresh, last=last)).to_pylist()
        engine.run(f"DROP TABLE {last}")
        last = fresh
        if not found["moved"]:
            break
    engine.grouped(_TREES.format(last=last, buckets=BUCKETS), "bucket", trees, _NUMBERED, "trees")
    engine.run(_OFFSETS)
    engine.run(_PLACES.format(gap=GAP))


def trees(rows: pa.Table) -> pa.Table:
    """
    Number some whole trees, each from its own root.

    Args:
        rows: `ck`, `parent_ck`, `moment`, `id`, in any order.

    Returns:
        `ck`, `root_ck`; `place`, and that of the parent as `above`, both counted from the root; `depth`, `size`.
    """
    placed = number(rows.sort_by([("moment", "ascending"), ("id", "ascending")]).select(["ck", "parent_ck"]))
    root = placed["root"].to_numpy()
    parent = placed["parent"].combine_chunks()
    return pa.table(
        {
            "ck": placed["ck"],
            "root_ck": pa.array(placed["ck"].to_numpy()[root]),
            "place": pa.array(placed["n"].to_numpy() - root),
            "above": pc.subtract(parent, placed["root"]),
            "depth": placed["depth"],
            "size": placed["size"],
        },
        schema=_NUMBERED,
    )
