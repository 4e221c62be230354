"""
What findings say about the credentials that they name.

The findings of ten million events may name a hundred thousand credentials. As objects these would take most of the
memory of a detection, so that they are kept as columns, from which each finding takes its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set
from itertools import islice
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from tokentrail.detection.context import DetectionContext
from tokentrail.lineage.rows import OWNER, Row, owner

_TOLD = (
    "n", "coalesce(nullif(issued_at, 0), nullif(issued_time, 0), first, 0) AS age", "id", "root_n", "seen_account",
    "arn", "root_id", "coalesce(seen_account, '') = '' OR coalesce(arn, '') = '' AS unseen",
)  # fmt: skip
_TOGETHER = 1_000


class CredentialSummary(NamedTuple):
    """What findings say about a credential."""

    age: int
    """When it was issued or, if the log does not show that, first used, in seconds since 1970."""
    id: str
    root: int
    account: str | None
    principal: str | None
    root_id: str


class CredentialSummaries:
    """The briefs of some credentials, by their numbers."""

    def __init__(self, context: DetectionContext, places: Set[int]) -> None:
        self._columns = _columns(context, places) if context.large else None
        known = {} if context.large else context.credentials(places)
        self._rows = {n: _brief(row) for n, row in known.items()}

    def each(self, asked: Iterable[Sequence[int]]) -> Iterator[list[CredentialSummary]]:
        """For each finding, given by its credentials' places, the briefs of these in their order."""
        for some in _together(asked):
            told = iter(self._of([n for places in some for n in places]))
            for places in some:
                yield list(islice(told, len(places)))

    def _of(self, places: list[int]) -> Iterable[CredentialSummary]:
        if self._columns is None:
            return (self._rows[n] for n in places)
        n = self._columns["n"].to_numpy()
        at = np.searchsorted(n, places)
        assert np.array_equal(n[at], places)  # else a finding would name another credential
        found = self._columns.take(at)
        return (
            CredentialSummary(*row)
            for row in zip(*(found[name].to_pylist() for name in CredentialSummary._fields), strict=True)
        )


def _together(asked: Iterable[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    """Findings in batches: to look up the credentials of each finding by itself would take too long."""
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


def _brief(row: Row) -> CredentialSummary:
    who = (row["seen_account"], row["arn"])
    age = row["issued_at"] or row["issued_time"] or row["first"] or 0
    account, principal = who if all(who) else owner(row)
    return CredentialSummary(age, row["id"], row["root_n"], account, principal, row["root_id"])


def _columns(context: DetectionContext, places: Set[int]) -> pa.Table:
    """The briefs as columns, sorted by place; for unused credentials, more columns are read to find their owner."""
    import pyarrow.compute as pc  # takes its time to load, for large cases alone

    told = context.columns_of(places, _TOLD).sort_by("n")
    unseen = told["unseen"].combine_chunks()
    asked = context.columns_of(told["n"].filter(unseen).to_numpy().tolist(), ("n", *OWNER)).sort_by("n")
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
