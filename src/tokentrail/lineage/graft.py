"""
Give places to new credentials among those that keep theirs, in the room that `number` leaves between places.

The order of all credentials is the same as if everything were numbered at once; only the numbers differ.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from tokentrail.lineage.number import GAP, Integers, number


class Kin(NamedTuple):
    """The children of one parent that keep their places: those as old as one to be placed, or younger, by age."""

    starts: Integers
    ends: Integers
    """The first and the last place of each one's tree."""
    moments: Integers
    ids: Mapping[int, str]
    """The ids, by place, of those that have the same time as one to be placed."""
    used: int
    """The last place in use before the first of them, or before the end."""
    end: int
    """Where the parent's tree ends; of roots, a place behind all."""

    def rooms(self, moments: Integers, name: Callable[[int], str]) -> tuple[Integers, Integers]:
        """
        Between which places some belong that have these ages.

        Both are in use; or the second is where a gap ends, where others left that were between: a tree that comes later
        lies within one gap between places of the first linking.

        Args:
            moments: The ages.
            name: Tells the id of one of them by its position.
        """
        first = np.searchsorted(self.moments, moments)
        place = np.searchsorted(self.moments, moments, side="right")
        for at in np.flatnonzero(first < place).tolist():
            place[at] = bisect_left(
                range(place[at]), name(at), lo=int(first[at]), key=lambda one: self.ids[int(self.starts[one])]
            )
        begin = np.append(self.used, self.ends)[place]
        return begin, np.minimum(np.append(self.starts, self.end)[place], (begin // GAP + 1) * GAP)


class Above(NamedTuple):
    """A credential that keeps its place, and below which others are placed."""

    n: int
    root: int
    depth: int


class NoPlace(Exception):
    """There is not enough room, or the links to parents form a ring."""


class Crowded(Exception):
    """There is not enough room in some gaps between places of the first linking, with all the others that are there."""

    def __init__(self, gaps: Iterable[int]) -> None:
        super().__init__()
        self.gaps = frozenset(gaps)
        """Their numbers: by what multiple of `GAP` each begins."""


_NOBODY = -1
_LEFT, _WIDE, _LEAD = 16, 1 << 16, 64
"""Of room up to a place of the first linking an eighth is used at most, so much for a tree's end, and some is left."""
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
        NoPlace: they can't be placed.
        Crowded: they can't while others keep their places.
    """
    who, moment = rows["who"].to_numpy(), rows["moment"].to_numpy()
    parent = rows["parent"].fill_null(pa.scalar(_NOBODY)).to_numpy()
    inside = np.isin(parent, who)
    rooms = np.zeros((len(who), 2), np.int64)
    over = np.full((len(who), 3), _TOP.n)
    ids = rows["id"].combine_chunks()
    for called, some in _alike(parent, np.flatnonzero(~inside)):
        outer = None if called == _NOBODY else called
        told = partial(_told, ids, some)
        rooms[some] = np.transpose(kin[outer].rooms(moment[some], told))
        over[some] = _TOP if outer is None else above[outer]
    ordered = pa.table({
        "ck": rows["who"], "moment": rows["moment"], "id": rows["id"],
        "behind": pa.array(rooms[:, 0]), "parent_ck": pa.array(np.where(inside, parent, _NOBODY)),
    }).sort_by([("behind", "ascending"), ("moment", "ascending"), ("id", "ascending")])  # fmt: skip
    placed = number(ordered.select(["ck", "parent_ck"]))
    order = np.argsort(who)
    tops = order[np.searchsorted(who[order], placed["ck"].to_numpy()[placed["root"].to_numpy()])]
    if inside[tops].any():
        raise NoPlace  # a ring, which was cut where its eldest is: all of it may lie elsewhere then
    return _labelled(placed, rooms[tops], over[tops])


def _told(ids: pa.Array[Any], places: Integers, at: int) -> str:
    """The id in one of some rows."""
    return str(ids[int(places[at])].as_py())


def _alike(values: Integers, places: Integers) -> Iterator[tuple[int, Integers]]:
    """Some places of an array by the value that stands there."""
    ordered = places[np.argsort(values[places], kind="stable")]
    firsts = np.flatnonzero(np.diff(values[ordered], prepend=np.iinfo(np.int64).min))
    for start, end in pairwise([*firsts.tolist(), len(ordered)]):
        yield int(values[ordered[start]]), ordered[start:end]


def _labelled(placed: pa.Table, rooms: Integers, over: Integers) -> pa.Table:
    """
    Spread the numbered trees over the room that each has.

    Args:
        placed: What was numbered.
        rooms: Between which places the tree of each comes.
        over: Below whom it is placed: as an `Above`.
    """
    size, depth, root = (placed[name].to_numpy() for name in ("size", "depth", "root"))
    behind = rooms[:, 0]
    # Trees that follow the same place share its room, one behind the other.
    starts = np.flatnonzero(np.diff(behind, prepend=-1))
    many = np.diff(np.append(starts, len(behind)))
    lead, step = (np.repeat(one, many) for one in _spread(rooms[starts], many))
    n = behind + lead + step * (2 * np.arange(len(behind)) - depth - np.repeat(2 * starts, many) + 1)
    outer, roots, depths = over.T
    inside = depth > 0
    parent = np.where(inside, n[placed["parent"].fill_null(pa.scalar(0)).to_numpy()] if len(n) else n, outer)
    return pa.table({
        "who": placed["ck"],
        "n": pa.array(n),
        "parent": pa.array(parent, mask=~inside & (outer == _TOP.n)),
        "root": pa.array(np.where(roots == _TOP.root, n[root], roots)),
        "depth": pa.array(depth + depths + 1),
        "span": pa.array(step * (2 * size - 1)),
    })  # fmt: skip


def _spread(rooms: Integers, many: Integers) -> tuple[Integers, Integers]:
    """
    How far from its beginning the first of so many trees begins in each room, and how far apart their ends are.

    Up to a place of the first linking room is left behind them, where most comes later, and some before them.
    """
    first, last = rooms.T
    room = last - first
    tight = room // (2 * many + 1)
    if tight.size and tight.min() < 1:
        crowded = tight < 1
        if (room[crowded] == GAP).any():
            raise NoPlace
        raise Crowded((first[crowded] // GAP).tolist())
    loose = np.where(last % GAP == 0, np.minimum(room // (_LEFT * many), _WIDE), 0)
    return np.where(loose > 0, room // _LEAD, 0), np.where(loose > 0, loose, tight)
