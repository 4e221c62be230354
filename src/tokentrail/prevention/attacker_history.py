"""
The attacker's calls, and what a guardrail would have made of them.

They may be most of a large case, so that they are held in columns of numbers, without an object for each.
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

from tokentrail.aws.calls.permissions import actions_of
from tokentrail.lineage.activity import time_of
from tokentrail.lineage.rows import moment
from tokentrail.lineage.taint import numbers
from tokentrail.policy.language.documents import UNDENIABLE
from tokentrail.policy.language.truth import Truth
from tokentrail.prevention.attacker import Attacker
from tokentrail.prevention.history import OUTSIDERS, History
from tokentrail.prevention.lots import Lot
from tokentrail.prevention.model import AttackerCall
from tokentrail.prevention.request_context import spoken

_AT_ONCE = 65_536
"""Calls that are examined at a time."""
Outcome = Literal["refused", "never made", "made", "undecided"]
_MADE, _UNDECIDED, _REFUSED, _NEVER = range(4)
_OUTCOMES: tuple[Outcome, ...] = ("made", "undecided", "refused", "never made")


@dataclass(frozen=True, slots=True)
class Impact:
    """What a proposal would have made of the attacker's calls."""

    groups: NDArray[np.int8]
    """By group of calls: the outcome (`_MADE` and so on) for callers whose credential would have existed."""
    gone: NDArray[np.bool_]
    """By credential: whether it would never have existed."""


class _Ranges:
    """For each of some things, several numbers: stored one behind the other, `sizes` of them for each thing."""

    def __init__(self, sizes: NDArray[Any], values: NDArray[Any]) -> None:
        self._ends = np.cumsum(sizes)
        self._sizes = sizes
        self._values = values

    def of(self, things: NDArray[Any]) -> NDArray[Any]:
        """The numbers of some things."""
        ends = self._ends[things]
        return self._values[numbers(ends - self._sizes[things], ends)]


class AttackerHistory:
    """
    The attacker's calls: the group, the credential and the time of each.

    Credentials are numbered by their place among the attacker's (`Attacker.places`), groups as in `History`.

    Args:
        history: The calls, as they were grouped last.
        attacker: The attacker.
    """

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
        """By group: the places in `_who` and `_children` of what was read of it, as a group may come several times."""
        self._who = _Ranges(sizes, who)
        self._children = _Ranges(bred, children)
        self._births = np.bincount(children, minlength=many)
        """By credential: how many calls created it."""
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
        """By group: whether outsiders (`arrivals`) made its calls, which they would have made even if refused."""
        self._deniable = ~self._outside & np.array(
            [not UNDENIABLE.issuperset(actions_of(one["source"], one["name"])) for one in told],
            dtype=np.bool_,
        )

    def under(self, history: History, lot: Lot) -> Iterator[Impact]:
        """Yield the impact of each proposal of a lot."""
        found = history.refused(lot).sort_by("nth")
        numbered = found["k"].to_numpy()
        sure = np.array(found["verdict"].to_pylist(), dtype=np.str_) == Truth.YES.name
        ends = np.searchsorted(found["nth"].to_numpy(), np.arange(len(lot)), side="right")
        for start, end in pairwise((0, *ends)):
            groups = np.full(len(self._actions), _MADE, dtype=np.int8)
            own, surely = numbered[start:end], sure[start:end]
            groups[own[~surely]] = _UNDECIDED
            groups[own[surely]] = _REFUSED
            yield Impact(groups, self._never_born(own[surely]))

    def _never_born(self, refused: NDArray[Any]) -> NDArray[np.bool_]:
        """
        Which credentials would never have existed: those that only refused calls created, and all their descendants.

        If one of several calls that created a credential gets through, it exists.
        """
        gone = np.zeros(len(self._calls), dtype=np.bool_)
        children, times = np.unique(self._children.of(self._rows.of(refused)), return_counts=True)
        fresh = children[times == self._births[children]]
        while len(fresh):
            gone[fresh] = True
            below = self._below.of(fresh)
            fresh = np.unique(below[~gone[below]])
        return gone

    def counts(self, impact: Impact) -> tuple[int, int, int]:
        """How many calls are refused, never made, and undecided."""
        refused, undecided = (self._made(impact, outcome) for outcome in (_REFUSED, _UNDECIDED))
        away = self._rows.of(np.flatnonzero((impact.groups == _REFUSED) & self._outside))
        sent = int(impact.gone[self._who.of(away)].sum())
        return refused + sent, int(self._calls[impact.gone].sum()) - sent, undecided

    def _made(self, impact: Impact, outcome: int) -> int:
        """How many calls have an outcome, of those whose credential would have existed."""
        rows = self._rows.of(np.flatnonzero(impact.groups == outcome))
        return sum(
            int((~impact.gone[self._who.of(rows[start : start + _AT_ONCE])]).sum())
            for start in range(0, len(rows), _AT_ONCE)
        )

    def end(self, impact: Impact) -> datetime | None:
        """
        When the story ends: the time from which on no call of the attacker's gets through; `None` if it does not end.

        Calls that no policy can deny (GetCallerIdentity, GetSessionToken), and those of outsiders, don't count: what is
        done with a token that they issue is judged by itself.
        """
        after, at = 0, len(self._times)
        while at:  # from the end, as mostly something gets through until then
            start = max(0, at - _AT_ONCE)
            group = self._group[start:at]
            through = np.flatnonzero(
                self._deniable[group] & (self._outcomes(impact, start, at) <= _UNDECIDED)
            )
            if len(through):
                after = int(np.searchsorted(self._times, self._times[start + through[-1]], side="right"))
                break
            at = start
        for start in range(after, len(self._times), _AT_ONCE):
            stopped = np.flatnonzero(self._outcomes(impact, start, start + _AT_ONCE) >= _REFUSED)
            if len(stopped):
                return moment(int(self._times[start + stopped[0]]))
        return None

    def _outcomes(self, impact: Impact, start: int, end: int) -> NDArray[np.int8]:
        """The outcomes of the calls from `start` to `end` in order of time."""
        found: NDArray[np.int8] = impact.groups[self._group[start:end]]
        away = (found == _REFUSED) & self._outside[self._group[start:end]]
        found[impact.gone[self._by[start:end]] & ~away] = _NEVER
        return found

    def told(self, impact: Impact) -> tuple[AttackerCall, ...]:
        """All calls with their outcomes, those of one credential, action and outcome together."""
        named = {action: place for place, action in enumerate(dict.fromkeys(self._actions))}
        actions = np.array([named[one] for one in self._actions], dtype=np.int32)[self._group]
        outcomes = self._outcomes(impact, 0, len(self._times))
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
    """The number of each group."""
    sizes: NDArray[np.int32]
    """How many calls it has."""
    who: NDArray[np.int32]
    """The credential of each call."""
    times: NDArray[np.int64]
    """The time of each call."""
    bred: NDArray[np.int32]
    """How many credentials the calls of each group created."""
    children: NDArray[np.int32]
    """These credentials."""

    @classmethod
    def of(cls, batch: pa.RecordBatch) -> _Columns:
        """The columns of a batch of `History.theirs`."""
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
    """Times in 32 bits, unless one of them is forged to be before 1970 or after 2105."""
    fits = len(seconds) and seconds.min() >= 0 and seconds.max() <= np.iinfo(np.uint32).max
    return seconds.astype(np.uint32) if fits else seconds
