"""
The attacker's calls, and what becomes of them under a guardrail.

They may be most of a large case: they are held as columns of numbers, and no object is made of each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from tokentrail.lineage.doings import time_of
from tokentrail.lineage.rows import moment
from tokentrail.lineage.taint import numbers
from tokentrail.policy.actions import actions_of
from tokentrail.policy.deny import UNDENIABLE
from tokentrail.policy.truth import Truth
from tokentrail.prevention.arrivals import OUTSIDERS
from tokentrail.prevention.attacker import Attacker
from tokentrail.prevention.circumstances import spoken
from tokentrail.prevention.history import History
from tokentrail.prevention.lots import Lot
from tokentrail.prevention.model import AttackerCall

_AT_ONCE = 65_536
"""Calls that are looked through at once for the end of the story."""
Outcome = Literal["refused", "never made", "made", "undecided"]
_MADE, _UNDECIDED, _REFUSED, _NEVER = range(4)
_OUTCOMES: tuple[Outcome, ...] = ("made", "undecided", "refused", "never made")


@dataclass(frozen=True, slots=True)
class Fate:
    """What becomes of the attacker's calls under a proposal."""

    groups: NDArray[np.int8]
    """By group, the outcome if the credentials that called are there."""
    gone: NDArray[np.bool_]
    """By credential, whether it would never have come to be."""


class _Ranges:
    """Numbers that belong to each of some things in a row."""

    def __init__(self, sizes: NDArray[Any], values: NDArray[Any]) -> None:
        self._ends = np.cumsum(sizes)
        self._sizes = sizes
        self._values = values

    def of(self, things: NDArray[Any]) -> NDArray[Any]:
        """Those of some things."""
        ends = self._ends[things]
        return self._values[numbers(ends - self._sizes[things], ends)]


class Theirs:
    """The attacker's calls: in what group the history has each, by which credential, and when."""

    def __init__(self, history: History, attacker: Attacker) -> None:
        self._names = attacker.names
        many = len(attacker.places)
        found: dict[str, list[Any]] = {name: [] for name in _Columns._fields}
        for batch in history.theirs():
            for name, values in zip(_Columns._fields, _Columns.of(batch), strict=True):
                found[name].append(values)
        number, sizes, who, times, bred, children = (
            np.concatenate(found.pop(name) or [np.zeros(0, dtype=np.int32)]) for name in _Columns._fields
        )
        self._rows = _Ranges(np.bincount(number), np.argsort(number, kind="stable"))
        """By number of a group, its rows here."""
        self._who = _Ranges(sizes, who)
        self._children = _Ranges(bred, children)
        self._births = np.bincount(children, minlength=many)
        """By credential, how many calls brought it about."""
        self._calls = np.bincount(who, minlength=many)
        descents = history.descents().sort_by("parent")
        parents, below = (np.asarray(column.to_numpy(), dtype=np.int32) for column in descents.columns)
        self._below = _Ranges(np.bincount(parents, minlength=many), below)
        times = _narrow(times)
        order = np.argsort(times, kind="stable")
        self._times = times[order]
        del times
        self._by = who[order]
        self._group = np.repeat(number, sizes)[order]
        told = history.their_groups().to_pylist()
        self._actions = [spoken(one["source"], one["name"]) for one in told]
        self._outside = np.array([one["type"] in OUTSIDERS for one in told], dtype=np.bool_)
        """By group, whether its calls themselves brought their credential about: refused, they were made still."""
        self._deniable = ~self._outside & np.array(
            [not UNDENIABLE.issuperset(actions_of(one["source"], one["name"])) for one in told],
            dtype=np.bool_,
        )

    def under(self, history: History, lot: Lot) -> Iterator[Fate]:
        """What becomes of the calls under each of some proposals."""
        found = history.refused(lot).sort_by("nth")
        numbered = found["k"].to_numpy()
        sure = np.array(found["verdict"].to_pylist(), dtype=np.str_) == Truth.YES.name
        ends = np.searchsorted(found["nth"].to_numpy(), np.arange(len(lot)), side="right")
        for start, end in pairwise((0, *ends)):
            groups = np.full(len(self._actions), _MADE, dtype=np.int8)
            own, surely = numbered[start:end], sure[start:end]
            groups[own[~surely]] = _UNDECIDED
            groups[own[surely]] = _REFUSED
            yield Fate(groups, self._never_born(own[surely]))

    def _never_born(self, refused: NDArray[Any]) -> NDArray[np.bool_]:
        """
        What refused calls alone would have brought about, and all that descends from it.

        One of several calls that got through is enough for it to be there.
        """
        gone = np.zeros(len(self._calls), dtype=np.bool_)
        children, times = np.unique(self._children.of(self._rows.of(refused)), return_counts=True)
        fresh = children[times == self._births[children]]
        while len(fresh):
            gone[fresh] = True
            below = self._below.of(fresh)
            fresh = np.unique(below[~gone[below]])
        return gone

    def counts(self, fate: Fate) -> tuple[int, int, int]:
        """How many calls are refused, never made, and undecided."""
        refused, undecided = (self._made(fate, outcome) for outcome in (_REFUSED, _UNDECIDED))
        away = self._rows.of(np.flatnonzero((fate.groups == _REFUSED) & self._outside))
        sent = int(fate.gone[self._who.of(away)].sum())
        return refused + sent, int(self._calls[fate.gone].sum()) - sent, undecided

    def _made(self, fate: Fate, outcome: int) -> int:
        """How many calls have an outcome that credentials make which are there."""
        rows = self._rows.of(np.flatnonzero(fate.groups == outcome))
        return sum(
            int((~fate.gone[self._who.of(rows[start : start + _AT_ONCE])]).sum())
            for start in range(0, len(rows), _AT_ONCE)
        )

    def end(self, fate: Fate) -> datetime | None:
        """
        From when on nothing of the attacker's gets through.

        What no policy can deny (GetCallerIdentity, GetSessionToken), and who comes in from outside, does not keep the
        story going: what a token of it does is judged by itself.
        """
        after, at = 0, len(self._times)
        while at:  # from the end, as mostly something gets through until then
            start = max(0, at - _AT_ONCE)
            group = self._group[start:at]
            through = np.flatnonzero(self._deniable[group] & (self._outcomes(fate, start, at) <= _UNDECIDED))
            if len(through):
                after = int(np.searchsorted(self._times, self._times[start + through[-1]], side="right"))
                break
            at = start
        for start in range(after, len(self._times), _AT_ONCE):
            stopped = np.flatnonzero(self._outcomes(fate, start, start + _AT_ONCE) >= _REFUSED)
            if len(stopped):
                return moment(int(self._times[start + stopped[0]]))
        return None

    def _outcomes(self, fate: Fate, start: int, end: int) -> NDArray[np.int8]:
        """What becomes of some calls, in order of time."""
        found: NDArray[np.int8] = fate.groups[self._group[start:end]]
        away = (found == _REFUSED) & self._outside[self._group[start:end]]
        found[fate.gone[self._by[start:end]] & ~away] = _NEVER
        return found

    def told(self, fate: Fate) -> tuple[AttackerCall, ...]:
        """Every call, alike ones together."""
        named = {action: place for place, action in enumerate(dict.fromkeys(self._actions))}
        actions = np.array([named[one] for one in self._actions], dtype=np.int32)[self._group]
        outcomes = self._outcomes(fate, 0, len(self._times))
        order = np.lexsort((outcomes, actions, self._by))  # which leaves alike ones in order of time
        by, actions, outcomes, times = self._by[order], actions[order], outcomes[order], self._times[order]
        differs = (np.diff(by) != 0) | (np.diff(actions) != 0) | (np.diff(outcomes) != 0)
        starts = np.flatnonzero(np.append(True, differs)[: len(by)])
        ends = np.append(starts, len(by))[1:]
        spelled = list(named)
        listed = [
            AttackerCall(
                credential=self._names[by[start]], action=spelled[actions[start]], calls=int(end - start),
                first=time_of(int(times[start])), last=time_of(int(times[end - 1])), outcome=_OUTCOMES[outcomes[start]],
            )
            for start, end in zip(starts, ends, strict=True)
        ]  # fmt: skip
        return tuple(sorted(listed, key=lambda one: (one.first, one.credential, one.action, one.outcome)))


class _Columns(NamedTuple):
    """Some groups of calls, as columns of numbers."""

    number: NDArray[np.int32]
    sizes: NDArray[np.int32]
    who: NDArray[np.int32]
    times: NDArray[np.int64]
    bred: NDArray[np.int32]
    children: NDArray[np.int32]

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> _Columns:
        """Those of a batch of the history's."""
        calls: Any = batch["calls"]
        children: Any = batch["children"]
        each = calls.flatten()
        return cls(
            number=batch["k"].to_numpy().astype(np.int32),
            sizes=calls.value_lengths().to_numpy(),
            who=each.field("place").to_numpy(),
            times=each.field("moment").to_numpy(),
            bred=children.value_lengths().fill_null(0).to_numpy(),
            children=children.flatten().to_numpy(),
        )


def _narrow(seconds: NDArray[Any]) -> NDArray[Any]:
    """Times in half the room, where none is forged to be before 1970 or after 2105."""
    fits = len(seconds) and seconds.min() >= 0 and seconds.max() <= np.iinfo(np.uint32).max
    return seconds.astype(np.uint32) if fits else seconds
