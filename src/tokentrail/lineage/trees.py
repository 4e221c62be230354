"""
Trees of credentials: the root of each, how deep it lies below, and what is nearest above it.

All of it follows from who is whose parent. It is found by pointer doubling: in each round everybody learns who is twice
as far above. So the rounds grow with the logarithm of the longest chain, which an attacker may make a million long.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
Flags: TypeAlias = "np.ndarray[Any, np.dtype[np.bool_]]"
NONE = -1
_DENSE = 8
"""How much longer a table of all names between the lowest and the highest may be than one of the names."""


class Ring(Exception):
    """Parents go round in a ring, as only forged evidence can have it."""


def number(rows: pa.Table) -> pa.Table:
    """
    Number credentials from 1 on, tree by tree, so that the rows of each lie together where they are sorted by number.

    Args:
        rows: `ck`, `parent_ck` (integers; -1: none), in the order in which equals are numbered.

    Returns:
        `ck`, `n`, `parent`, `root`, `depth`, sorted by `n`; `parent` and `root` are numbers, too.
    """
    cks = rows["ck"].to_numpy()
    parent = positions(cks, rows["parent_ck"].to_numpy())
    depth, root = depths_and_roots(parent, cut=True)
    order = np.lexsort((depth, root))
    n = np.empty(len(order), np.int64)
    n[order] = np.arange(1, len(order) + 1)
    above = parent[order]
    return pa.table({
        "ck": pa.array(cks[order]),
        "n": pa.array(n[order]),
        "parent": pa.array(np.where(above == NONE, NONE, n[above]), mask=above == NONE),
        "root": pa.array(n[root[order]]),
        "depth": pa.array(depth[order]),
    })  # fmt: skip


def positions(names: Integers, wanted: Integers) -> Integers:
    """Where each wanted name stands among `names`; -1 for none. Names may have gaps, as those of a cluster do."""
    if not len(names):
        return np.full(len(wanted), NONE)
    lowest, span = names.min(), int(names.max()) - int(names.min()) + 1
    if span <= _DENSE * len(names):  # one after the other: looked up where they would stand
        places = np.full(span + 1, NONE)
        places[names - lowest] = np.arange(len(names))
        return places[np.where((wanted < lowest) | (wanted - lowest > span), span, wanted - lowest)]
    order = np.argsort(names, kind="stable")
    found = order[np.minimum(np.searchsorted(names[order], wanted), len(names) - 1)]
    return np.where(names[found] == wanted, found, NONE)


def depths_and_roots(parent: Integers, *, cut: bool) -> tuple[Integers, Integers]:
    """
    The depth and the root of each credential.

    Args:
        parent: The position of the parent of each; -1 for none. A ring that is cut is cut here, too.
        cut: Whether a ring is cut, at its first credential.

    Raises:
        Ring: there is a ring that is not to be cut.
    """
    count = len(parent)
    nodes = np.arange(count)
    while True:
        above = np.where(parent == NONE, nodes, parent)
        depth = (parent != NONE).astype(np.int64)
        for _ in range(max(1, count).bit_length() + 1):
            higher = above[above]
            if np.array_equal(higher, above):  # everybody is at a root: most chains are short
                break
            depth = depth + depth[above]
            above = higher
        ringed = np.flatnonzero(parent[above] != NONE) if count else nodes
        if not len(ringed):
            return depth, above
        if not cut:
            raise Ring
        parent[_first_on_ring(parent, int(ringed[0]))] = NONE


def nearest(parent: Integers, starts: Flags) -> Integers:
    """
    The position of the nearest of some credentials at or above each; -1 where there is none.

    Args:
        parent: The position of the parent of each; -1 for none. There is no ring.
        starts: Whether each is one of them.
    """
    _, top = depths_and_roots(np.where(starts, NONE, parent), cut=False)
    return np.where(starts[top], top, NONE)


def _first_on_ring(parent: Integers, node: int) -> int:
    """The lowest node of the ring that `node` hangs on."""
    visited: set[int] = set()
    while node not in visited:
        visited.add(node)
        node = int(parent[node])
    ring = [node]
    while int(parent[ring[-1]]) != node:
        ring.append(int(parent[ring[-1]]))
    return min(ring)
