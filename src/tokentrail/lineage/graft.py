"""
Give places to new credentials among those that keep theirs, in the room that `number` leaves between places.

The order of all credentials is the same as if everything were numbered at once; only the numbers differ.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tokentrail.lineage.number import GAP, Integers, number


class Kin(NamedTuple):
    """The children of one parent that keep their places: those as old as one to be placed, or younger, by age."""

    starts: Integers
    moments: Integers
    ids: Mapping[int, str]
    """The ids, by place, of those that have the same time as one to be placed."""
    end: int
    """The last place in use below the parent; of roots, the last of all."""

    def behind(self, moment: int, name: str) -> int:
        """The last place in use before the sibling that comes after one of that age, if there is any."""
        first = int(np.searchsorted(self.moments, moment))
        last = int(np.searchsorted(self.moments, moment, side="right"))
        place = bisect_left(
            range(last), name, lo=first, hi=last, key=lambda at: self.ids[int(self.starts[at])]
        )
        return int(self.starts[place]) - GAP if place < len(self.starts) else self.end


class Above(NamedTuple):
    """A credential that keeps its place, and below which others are placed."""

    n: int
    root: int
    depth: int


class NoPlace(Exception):
    """There is not enough room, or the links to parents form a ring."""


_NOBODY = -1
_TOP = Above(-1, -1, -1)
"""Stands for the parent of roots."""


def grafted(rows: pa.Table, above: Mapping[int, Above], kin: Mapping[int | None, Kin]) -> pa.Table:
    """
    Place credentials among others.

    Args:
        rows: `who`, `parent` (one of `who`, or of `above`; null for roots), `moment`, `id`.
        above: Those that stay where they are and that are the parents of some, by what `parent` calls them.
        kin: The children of each of these that stay too; of no parent at all, the roots, if some become roots.

    Returns:
        `who`, `n`, `parent`, `root`, `depth`, `span`, as `number.labelled`; parents and roots by their places.

    Raises:
        NoPlace: they can't be placed so.
    """
    told = rows.to_pylist()
    here = {row["who"] for row in told}
    for row in told:
        row["inside"] = row["parent"] in here
        row["behind"] = 0 if row["inside"] else kin[row["parent"]].behind(row["moment"], row["id"])
    ordered = pa.table({
        "ck": rows["who"], "moment": rows["moment"], "id": rows["id"],
        "behind": pa.array([row["behind"] for row in told], pa.int64()),
        "parent_ck": pa.array([row["parent"] if row["inside"] else _NOBODY for row in told], pa.int64()),
    }).sort_by([("behind", "ascending"), ("moment", "ascending"), ("id", "ascending")])  # fmt: skip
    placed = number(ordered.select(["ck", "parent_ck"]))
    tops = set(placed["ck"].to_numpy()[placed["depth"].to_numpy() == 0].tolist())
    outermost = {row["who"]: row for row in told if row["who"] in tops}
    if any(row["inside"] for row in outermost.values()):
        raise NoPlace  # a ring, which was cut where its eldest is: all of it may lie elsewhere then
    return _labelled(placed, outermost, above)


def _labelled(placed: pa.Table, tops: Mapping[int, Any], above: Mapping[int, Above]) -> pa.Table:
    """Spread the numbered trees over the room behind the place that each follows."""
    cks, size, depth = (placed[name].to_numpy() for name in ("ck", "size", "depth"))
    root = placed["root"].to_numpy()
    top = [tops[one] for one in cks[root].tolist()]
    behind = np.array([one["behind"] for one in top], np.int64)
    # Trees that follow the same place share its room, one behind the other.
    starts = np.flatnonzero(np.concatenate(([True], behind[1:] != behind[:-1]))) if len(cks) else behind
    many = np.diff(np.append(starts, len(cks)))
    step = np.repeat(GAP // (2 * many + 1), many)
    if len(step) and step.min() < 1:
        raise NoPlace
    begun = 2 * np.arange(len(cks)) - depth
    n = behind + step * (begun - np.repeat(2 * starts, many) + 1)
    over = [_TOP if one["parent"] is None else above[one["parent"]] for one in top]
    outer, roots, depths = (np.array([one[at] for one in over], np.int64) for at in range(3))
    inside = depth > 0
    parent = np.where(
        inside, n[placed["parent"].fill_null(pa.scalar(0)).to_numpy()] if len(cks) else n, outer
    )
    return pa.table({
        "who": placed["ck"],
        "n": pa.array(n),
        "parent": pa.array(parent, mask=~inside & (outer == _TOP.n)),
        "root": pa.array(np.where(roots == _TOP.root, n[root], roots)),
        "depth": pa.array(depth + depths + 1),
        "span": pa.array(step * (2 * size - 1)),
    })  # fmt: skip

