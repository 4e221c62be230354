"""
Which credentials are tainted, by their numbers alone: for questions to which most of a large case may be the answer.

The same as `trace` finds, without what is known of each of them. A credential is known here by its position among all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tokentrail.lineage.forest import Forest
from tokentrail.lineage.rows import moment
from tokentrail.lineage.trace import Narrowing, starts_of
from tokentrail.lineage.trees import NONE, Flags, Integers, nearest, positions
from tokentrail.store.interface import Engine

_EDGES = """
    SELECT f.parent_n AS parent, f.n AS child, f.parent_link = 'created' AS made, f.created_event AS event,
           CASE WHEN f.parent_link = 'created' THEN f.created_time ELSE f.issued_time END AS time, c.ip
    FROM credentials f JOIN taint_from s ON s.n = f.parent_n
    LEFT JOIN issuances c ON c.segment = f.segment AND c.object = f.object AND c.ordinal = f.ordinal
    UNION ALL
    SELECT l.parent, l.child, TRUE, t.created_event, l.time, NULL FROM links l JOIN taint_from s ON s.n = l.parent
    LEFT JOIN credentials t ON t.n = l.child"""
"""What was minted, made or set by some credentials, when and from where; of what was made, the event tells that."""


def tainted(engine: Engine, forest: Forest, subjects: Sequence[str], narrowing: Narrowing) -> Integers:
    """
    The subjects, what was minted or made from them as `narrowing` admits, and all that descends from those, in order.

    Raises:
        SubjectNotFound: nothing answers to a subject.
        UsageError: a prefix fits several.
    """
    found = starts_of(forest, subjects)
    every, above = _columns(engine.table("SELECT n, coalesce(parent_n, -1) FROM credentials ORDER BY n"))
    up = positions(every, above)
    parents, children = (
        positions(every, ends) for ends in _columns(engine.table("SELECT parent, child FROM links"))
    )
    starts = positions(every, np.array(sorted(found), dtype=np.int64))
    reached = np.zeros(len(every), dtype=np.bool_)
    fresh = starts
    while len(fresh):
        reached[fresh] = True
        reached = nearest(up, reached) != NONE
        below = children[reached[parents]]
        fresh = np.unique(below[~reached[below]])
    if narrowing != Narrowing():
        children = np.concatenate([np.flatnonzero(up != NONE), children])
        parents = np.concatenate([up[up != NONE], parents])
        admitted = np.array([*_admitted(engine, forest, every[starts], narrowing)], dtype=np.int64)
        reached = _narrowed(parents, children, reached, starts, positions(every, admitted))
    return every[reached]


def _narrowed(
    parents: Integers, children: Integers, reached: Flags, starts: Integers, admitted: Integers
) -> Flags:
    """
    The starts, and what descends from what was admitted.

    Args:
        parents: The parent of each link.
        children: The child of each link.
        reached: Whether each is a start, or descends from one.
        starts: The starts.
        admitted: Those of their children that are admitted.
    """
    inside = reached[parents] & reached[children]
    order = np.argsort(parents[inside], kind="stable")
    parents, children = parents[inside][order], children[inside][order]
    found = np.zeros(len(reached), dtype=np.bool_)
    found[starts] = True
    fresh = np.unique(admitted)
    fresh = fresh[~found[fresh]]
    while len(fresh):
        found[fresh] = True
        below = children[
            numbers(np.searchsorted(parents, fresh), np.searchsorted(parents, fresh, side="right"))
        ]
        fresh = np.unique(below[~found[below]])
    return found


def _admitted(engine: Engine, forest: Forest, starts: Integers, narrowing: Narrowing) -> Iterator[int]:
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


def _columns(table: pa.Table) -> list[Integers]:
    return [np.asarray(column.to_numpy(), dtype=np.int64) for column in table.columns]
