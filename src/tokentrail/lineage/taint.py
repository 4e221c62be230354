"""
Which credentials are tainted, by their places alone: for questions to which most of a large case may be the answer.

The same as `trace` finds, without what is known of each of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tokentrail.lineage.forest import Forest
from tokentrail.lineage.rows import moment
from tokentrail.lineage.trace import Narrowing
from tokentrail.store.interface import Engine

Places = NDArray[np.int64]
_EDGES = """
    SELECT f.parent_n AS parent, f.n AS child, f.parent_link = 'created' AS made, t.created_event AS event,
           CASE WHEN f.parent_link = 'created' THEN t.created_time ELSE f.issued_time END AS time, c.ip
    FROM forest f JOIN taint_from s ON s.n = f.parent_n
    LEFT JOIN creations t ON t.n = f.n
    LEFT JOIN issuances c ON c.segment = f.segment AND c.object = f.object AND c.ordinal = f.ordinal
    UNION ALL
    SELECT l.parent, l.child, TRUE, t.created_event, l.time, NULL FROM links l JOIN taint_from s ON s.n = l.parent
    LEFT JOIN creations t ON t.n = l.child"""
"""What was minted, made or set by some credentials, when and from where; of what was made, the event tells that."""


def tainted(engine: Engine, forest: Forest, subjects: Sequence[str], narrowing: Narrowing) -> Places:
    """
    The subjects, what was minted or made from them as `narrowing` admits, and all that descends from those, in order.

    Raises:
        SubjectNotFound: nothing answers to a subject.
        UsageError: a prefix fits several.
    """
    starts = np.array(sorted(set[int]().union(*(forest.resolve(one) for one in subjects))), dtype=np.int64)
    parents, children = _pair(engine.table("SELECT parent, child FROM links"))
    [row] = engine.rows("SELECT coalesce(max(n), -1) + 1 AS many FROM forest")
    reached = np.zeros(row["many"], dtype=np.bool_)
    fresh = starts
    while len(fresh):
        for n, size in _spans(engine, fresh):
            reached[n : n + size] = True  # a subtree is a range of rows
        found = children[reached[parents]]
        fresh = np.unique(found[~reached[found]])
    if narrowing != Narrowing():
        reached = _narrowed(engine, forest, starts, reached, narrowing)
    return np.flatnonzero(reached)


def _narrowed(
    engine: Engine, forest: Forest, starts: Places, reached: NDArray[np.bool_], narrowing: Narrowing
) -> NDArray[np.bool_]:
    edges = engine.table(
        "SELECT parent_n, n FROM forest WHERE parent_n IS NOT NULL UNION ALL SELECT parent, child FROM links"
    )
    parents, children = _pair(edges)
    inside = reached[parents] & reached[children]
    order = np.argsort(parents[inside], kind="stable")
    parents, children = parents[inside][order], children[inside][order]
    found = np.zeros(len(reached), dtype=np.bool_)
    found[starts] = True
    fresh = np.array(
        [n for n in _admitted(engine, forest, starts, narrowing) if not found[n]], dtype=np.int64
    )
    while len(fresh):
        found[fresh] = True
        below = children[
            numbers(np.searchsorted(parents, fresh), np.searchsorted(parents, fresh, side="right"))
        ]
        fresh = np.unique(below[~found[below]])
    return found


def _admitted(engine: Engine, forest: Forest, starts: Places, narrowing: Narrowing) -> Iterator[int]:
    engine.register("taint_from", pa.table({"n": starts}))
    made = engine.rows(f"SELECT DISTINCT event FROM ({_EDGES}) WHERE made AND event IS NOT NULL")
    addresses = forest.addresses(row["event"] for row in made)
    for batch in engine.batches(_EDGES):
        for row in batch.to_pylist():
            address = addresses.get(row["event"]) if row["made"] else row["ip"]
            if narrowing.admits(moment(row["time"]), address):
                yield row["child"]


def numbers(starts: NDArray[Any], ends: NDArray[Any]) -> NDArray[np.int64]:
    """The numbers of some ranges, one range after the other."""
    sizes = ends - starts
    before = np.cumsum(sizes) - sizes
    return np.repeat(starts - before, sizes) + np.arange(sizes.sum(), dtype=np.int64)


def _spans(engine: Engine, places: Places) -> Iterable[Sequence[int]]:
    engine.register("taint_from", pa.table({"n": places}))
    found = engine.table("SELECT f.n, f.size FROM forest f JOIN taint_from s ON s.n = f.n")
    spans: list[list[int]] = np.stack(_pair(found), axis=1).tolist()
    return spans


def _pair(table: pa.Table) -> tuple[Places, Places]:
    first, second = (np.asarray(column.to_numpy(), dtype=np.int64) for column in table.columns)
    return first, second
