"""
What findings say of the credentials that they name.

A case of ten million events names a hundred thousand: as objects these would be most of what judging holds, so that
they stay columns, and each finding takes out its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import islice
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tokentrail.detection.scene import Scene
from tokentrail.lineage.rows import OWNER, Row, owner

_TOLD = (
    "n", "coalesce(nullif(issued_at, 0), nullif(issued_time, 0), first, 0) AS age", "id", "root_n", "seen_account",
    "arn", "root_id", "coalesce(seen_account, '') = '' OR coalesce(arn, '') = '' AS unseen",
)  # fmt: skip
_TOGETHER = 1_000


class Brief(NamedTuple):
    """What findings say of a credential."""

    age: int
    """When it was issued or, if nobody saw that, first used; seconds."""
    id: str
    root: int
    account: str | None
    principal: str | None
    root_id: str


class Briefs:
    """What findings say of some credentials, by their places in the forest."""

    def __init__(self, scene: Scene, places: Set[int]) -> None:
        self._columns = _columns(scene, places) if scene.large else None
        known = {} if scene.large else scene.known(places)
        self._rows = {n: _brief(row) for n, row in known.items()}

    def each(self, asked: Iterable[Sequence[int]]) -> Iterator[list[Brief]]:
        """Of some findings' credentials those of each finding, in its order."""
        for some in _together(asked):
            told = iter(self._of([n for places in some for n in places]))
            for places in some:
                yield list(islice(told, len(places)))

    def _of(self, places: list[int]) -> Iterable[Brief]:
        if self._columns is None:
            return (self._rows[n] for n in places)
        n = self._columns["n"].to_numpy()
        at = np.searchsorted(n, places)
        assert np.array_equal(n[at], places)  # else a finding would name another credential
        found = self._columns.take(at)
        return (Brief(*row) for row in zip(*(found[name].to_pylist() for name in Brief._fields), strict=True))


def _together(asked: Iterable[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    """The credentials of some findings at a time: to look up each finding's alone takes longer than all of it."""
    some: list[Sequence[int]] = []
    held = 0
    for places in asked:
        some.append(places)
        held += len(places)
        if held >= _TOGETHER:
            yield some
            some, held = [], 0
    if some:
        yield some


def _brief(row: Row) -> Brief:
    who = (row["seen_account"], row["arn"])
    age = row["issued_at"] or row["issued_time"] or row["first"] or 0
    account, principal = who if all(who) else owner(row)
    return Brief(age, row["id"], row["root_n"], account, principal, row["root_id"])


def _columns(scene: Scene, places: Set[int]) -> pa.Table:
    """A row each by place; whose one is that nobody was seen using, only more columns tell."""
    import pyarrow.compute as pc  # takes its time to load, for large cases alone

    told = scene.told(places, _TOLD).sort_by("n")
    unseen = told["unseen"].combine_chunks()
    asked = scene.told(told["n"].filter(unseen).to_numpy().tolist(), ("n", *OWNER)).sort_by("n")
    owners = [owner(row) for some in asked.to_batches(_TOGETHER) for row in some.to_pylist()]
    accounts, principals = (pa.array([one[at] for one in owners], pa.string()) for at in (0, 1))
    return pa.table(
        {
            "n": told["n"],
            "age": told["age"],
            "id": told["id"],
            "root": told["root_n"],
            "account": pc.replace_with_mask(told["seen_account"].combine_chunks(), unseen, accounts),
            "principal": pc.replace_with_mask(told["arn"].combine_chunks(), unseen, principals),
            "root_id": told["root_id"],
        }
    )
