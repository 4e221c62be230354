"""
Number a forest: parents by position, roots, depths, and preorder with subtree sizes.

With these stored, all descendants of a credential are one range of places, whatever the size of the forest.
Places are stored with room between them (`labelled`), so that an increment adds to a forest and leaves it as it is.
Roots and depths come from pointer doubling: the rounds grow with the logarithm of the longest chain.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

Integers: TypeAlias = "np.ndarray[Any, np.dtype[np.int64]]"
_NONE = -1
GAP = 1 << 30
"""
The room between what is next to each other. A tree of places begins at its root's `n` and ends at `n + span`, and
between any two such ends there is as much: so whatever comes later has room before a tree, in it, and behind it.
"""
_DENSE = 8
"""How much longer a table of all names between the lowest and the highest may be than one of the names."""


def number(rows: pa.Table) -> pa.Table:
    """
    Place credentials in preorder, siblings and roots in the order in which they are given.

    Args:
        rows: `ck`, `parent_ck` (integers; -1: none).

    Returns:
        `ck`, `n` (place), `parent`, `root`, `depth`, `size` (of the subtree, itself included).
    """
    count = rows.num_rows
    cks = rows["ck"].to_numpy()
    parent = _positions(cks, rows["parent_ck"].to_numpy())
    depth, root = _depths(parent)
    size = _sizes(parent, depth)
    place = _preorder(parent, depth, size)
    order = np.argsort(place, kind="stable")
    sorted_parent = parent[order]
    has = sorted_parent != _NONE
    return pa.table({
        "ck": pa.array(cks[order]),
        "n": pa.array(np.arange(count)),
        "parent": pa.array(np.where(has, place[sorted_parent], 0), mask=~has),
        "root": pa.array(place[root[order]]),
        "depth": pa.array(depth[order]),
        "size": pa.array(size[order]),
    })  # fmt: skip


def labelled(placed: pa.Table) -> pa.Table:
    """
    Places as they are stored, with room between them.

    Args:
        placed: What `number` answers.

    Returns:
        `ck`, `n`, `parent`, `root`, `depth`, `span`: descendants are those between `n` and `n + span`.
    """
    depth, size = placed["depth"].to_numpy(), placed["size"].to_numpy()
    n, root, parent = (placed[name] for name in ("n", "root", "parent"))
    above = np.asarray(parent.fill_null(pa.scalar(0)))
    return pa.table({
        "ck": placed["ck"],
        # So many trees begin up to it, and so many end before it.
        "n": pa.array(GAP * (2 * n.to_numpy() - depth + 1)),
        "parent": pa.array(GAP * (2 * above - depth + 2), mask=depth == 0),
        "root": pa.array(GAP * (2 * root.to_numpy() + 1)),
        "depth": placed["depth"],
        "span": pa.array(GAP * (2 * size - 1)),
    })  # fmt: skip


def _positions(names: Integers, wanted: Integers) -> Integers:
    """Where each wanted name stands among `names`; -1 for none. Names may have gaps, as those of a cluster do."""
    if not len(names):
        return wanted
    lowest, span = names.min(), int(names.max()) - int(names.min()) + 1
    if span <= _DENSE * len(names):  # one after the other: looked up where they would stand
        places = np.full(span + 1, _NONE)
        places[names - lowest] = np.arange(len(names))
        return places[np.where((wanted < lowest) | (wanted - lowest > span), span, wanted - lowest)]
    order = np.argsort(names, kind="stable")
    found = order[np.minimum(np.searchsorted(names[order], wanted), len(names) - 1)]
    return np.where(names[found] == wanted, found, _NONE)


def _depths(parent: Integers) -> tuple[Integers, Integers]:
    """Depth and root of each node; a ring of parents, which only false evidence can hold, is cut at its first node."""
    count = len(parent)
    nodes = np.arange(count)
    while True:
        above = np.where(parent == _NONE, nodes, parent)
        depth = (parent != _NONE).astype(np.int64)
        for _ in range(max(1, count).bit_length() + 1):
            higher = above[above]
            if np.array_equal(higher, above):  # everybody is at a root: most chains are short
                break
            depth = depth + depth[above]
            above = higher
        ringed = np.flatnonzero(parent[above] != _NONE) if count else nodes
        if not len(ringed):
            return depth, above
        parent[_first_on_ring(parent, int(ringed[0]))] = _NONE


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


def _levels(depth: Integers) -> list[Integers]:
    """Nodes by depth, from the roots down, in order within each."""
    if not len(depth):
        return []
    order = np.argsort(depth, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(depth[order])) + 1)


def _sizes(parent: Integers, depth: Integers) -> Integers:
    size = np.ones(len(parent), dtype=np.int64)
    for level in reversed(_levels(depth)[1:]):
        np.add.at(size, parent[level], size[level])
    return size


def _preorder(parent: Integers, depth: Integers, size: Integers) -> Integers:
    """Each node's place: after its parent and its elder siblings' whole subtrees."""
    place = np.zeros(len(parent), dtype=np.int64)
    levels = _levels(depth)
    if not levels:
        return place
    place[levels[0]] = _before(size[levels[0]])
    for level in levels[1:]:
        ordered = level[np.argsort(parent[level], kind="stable")]
        above = parent[ordered]
        running = _before(size[ordered])
        first = np.concatenate(([True], above[1:] != above[:-1]))
        start = np.maximum.accumulate(np.where(first, np.arange(len(ordered)), 0))
        place[ordered] = place[above] + 1 + running - running[start]
    return place


def _before(sizes: Integers) -> Integers:
    """The sum of all earlier sizes."""
    return np.concatenate(([0], np.cumsum(sizes)[:-1]))
