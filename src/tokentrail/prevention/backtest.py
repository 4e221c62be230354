"""
How a guardrail would have fared over the case's whole history.

A refused call that mints means that its child never existed, nor anything that the child did or minted in turn.
What the log can't decide counts as having got through, and is counted apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from tokentrail.lineage.rows import Row, moment
from tokentrail.policy.actions import actions_of
from tokentrail.policy.deny import UNDENIABLE
from tokentrail.policy.truth import Truth
from tokentrail.prevention.attacker import Attacker
from tokentrail.prevention.circumstances import spoken
from tokentrail.prevention.history import History
from tokentrail.prevention.model import AttackerCall, Backtest, Broken, Guardrail
from tokentrail.prevention.proposal import Proposal

MOST = 10
"""Principals and actions that are listed unless the history is asked for."""
Outcome = Literal["refused", "never made", "made", "undecided"]


@dataclass(slots=True)
class _Tally:
    """Ordinary calls of one principal and action."""

    calls: int = 0
    first: int = 1 << 62
    last: int = 0
    why: dict[str, None] = field(default_factory=dict)

    def add(self, row: Row, why: Iterable[str]) -> None:
        self.calls += row["calls"]
        self.first = min(self.first, row["first"])
        self.last = max(self.last, row["last"])
        self.why.update(dict.fromkeys(why))


def run(
    history: History, attacker: Attacker, proposals: list[Proposal], *, whole: bool
) -> Iterator[Guardrail]:
    """
    Test proposals.

    Args:
        whole: List every call, instead of the most frequent ones.
    """
    totals = history.totals()
    history.prepare(proposals)
    theirs = _Theirs(history, attacker)
    for one in proposals:
        yield _guardrail(one, _test(history, theirs, one, totals, whole=whole))


def _guardrail(one: Proposal, tested: Backtest) -> Guardrail:
    return Guardrail(
        id=one.id, rule=one.rule, title=one.title, kind=one.kind, account=one.account, target=one.target,
        policy=one.policy,
        setting=one.setting, prevents=one.prevents, limits=one.limits, stage=one.stage, attach=one.attach,
        backtest=tested,
    )  # fmt: skip


def _test(
    history: History, theirs: _Theirs, one: Proposal, totals: tuple[int, int], *, whole: bool
) -> Backtest:
    broken, open_ones = _ordinary(history, one)
    outcomes = theirs.under(history, one)
    refused, never, undecided = (int((outcomes == value).sum()) for value in (_REFUSED, _NEVER, _UNDECIDED))
    ordinary_undecided = sum(item.calls for item in open_ones.values())
    most = None if whole else MOST
    return Backtest(
        events=sum(totals),
        attacker_events=totals[0],
        attacker_blocked=refused + never,
        attacker_refused=refused,
        attacker_undecided=undecided,
        ordinary_events=totals[1],
        ordinary_blocked=sum(item.calls for item in broken.values()),
        ordinary_undecided=ordinary_undecided,
        undecided=undecided + ordinary_undecided,
        story_ends_at=theirs.end(outcomes),
        broken=_listed(broken)[:most],
        undecided_by=_listed(open_ones)[:most],
        attacker_calls=theirs.told(outcomes) if whole else (),
    )


_Tallies = dict[tuple[str, str], _Tally]


def _ordinary(history: History, one: Proposal) -> tuple[_Tallies, _Tallies]:
    broken: _Tallies = defaultdict(_Tally)
    open_ones: _Tallies = defaultdict(_Tally)
    for row in history.ordinary(one):
        named = row["principal"] or row["type"] or "?", spoken(row["source"], row["name"])
        tallies = broken if row["verdict"] == Truth.YES.name else open_ones
        tallies[named].add(row, (row["why"],) if row["why"] else ())
    return broken, open_ones


def _listed(tallies: _Tallies) -> tuple[Broken, ...]:
    ordered = sorted(tallies.items(), key=lambda item: (-item[1].calls, item[0]))
    return tuple(
        Broken(
            principal=principal, action=action, calls=one.calls, first=_time(one.first), last=_time(one.last),
            why=", ".join(one.why) or None,
        )
        for (principal, action), one in ordered
    )  # fmt: skip


_MADE, _UNDECIDED, _REFUSED, _NEVER = range(4)
_OUTCOMES: tuple[Outcome, ...] = ("made", "undecided", "refused", "never made")


class _Theirs:
    """The attacker's calls, in order of time: by whom, what each brought about, and what no policy can deny."""

    def __init__(self, history: History, attacker: Attacker) -> None:
        found = history.theirs()
        self.names = attacker.names
        self.n = np.array(found["n"].to_pylist(), dtype=np.int64)
        self.times = np.array(found["moment"].to_pylist(), dtype=np.int64)
        called = list(zip(found["source"].to_pylist(), found["name"].to_pylist(), strict=True))
        self.actions = [spoken(source, name) for source, name in called]
        self.deniable = np.array(
            [not UNDENIABLE.issuperset(actions_of(source, name)) for source, name in called], dtype=bool
        )
        self.births: dict[int, list[int]] = defaultdict(list)
        """By credential, the calls that brought it about."""
        for place, children in enumerate(found["children"].to_pylist()):
            for child in children or ():
                self.births[child].append(place)
        self.children: dict[int, list[int]] = defaultdict(list)
        for child, parent in attacker.parents.items():
            self.children[parent].append(child)

    def under(self, history: History, one: Proposal) -> NDArray[np.int8]:
        """What becomes of each call under a proposal."""
        outcomes = np.zeros(len(self.n), dtype=np.int8)
        refused = history.refused(one)
        places = np.array(refused["k"].to_pylist(), dtype=np.int64)
        sure = np.array([verdict == Truth.YES.name for verdict in refused["verdict"].to_pylist()], dtype=bool)
        outcomes[places[~sure]] = _UNDECIDED
        outcomes[places[sure]] = _REFUSED
        gone = self._never_born(outcomes)
        if gone:
            outcomes[np.isin(self.n, np.array(sorted(gone), dtype=np.int64))] = _NEVER
        return outcomes

    def _never_born(self, outcomes: NDArray[np.int8]) -> set[int]:
        """
        What refused calls alone would have brought about, and all that descends from it.

        One of several calls that got through is enough for it to be there.
        """
        gone: set[int] = set()
        fresh = [
            child
            for child, places in self.births.items()
            if all(outcomes[place] == _REFUSED for place in places)
        ]
        while fresh:
            n = fresh.pop()
            if n not in gone:
                gone.add(n)
                fresh += self.children[n]
        return gone

    def end(self, outcomes: NDArray[np.int8]) -> datetime | None:
        """
        From when on nothing of the attacker's gets through.

        What no policy can deny (GetCallerIdentity, GetSessionToken) does not keep the story going: what a token of
        it does is judged by itself.
        """
        through = self.times[self.deniable & (outcomes <= _UNDECIDED)]
        last = int(through.max()) if len(through) else -1
        after = self.times[(outcomes >= _REFUSED) & (self.times > last)]
        return moment(int(after.min())) if len(after) else None

    def told(self, outcomes: NDArray[np.int8]) -> tuple[AttackerCall, ...]:
        """Every call, alike ones together."""
        grouped: dict[tuple[str, str, Outcome], list[int]] = defaultdict(list)
        for n, action, outcome, time in zip(self.n, self.actions, outcomes, self.times, strict=True):
            grouped[self.names[int(n)], action, _OUTCOMES[outcome]].append(int(time))
        listed = [
            AttackerCall(
                credential=credential, action=action, calls=len(times), first=_time(min(times)),
                last=_time(max(times)), outcome=outcome,
            )
            for (credential, action, outcome), times in grouped.items()
        ]  # fmt: skip
        return tuple(sorted(listed, key=lambda one: (one.first, one.credential, one.action, one.outcome)))


def _time(seconds: int) -> datetime:
    found = moment(seconds)
    assert found is not None
    return found


def ranked(guardrails: Iterable[Guardrail]) -> tuple[Guardrail, ...]:
    """
    Put what would have ended the story first, and of these what costs least and comes earliest.

    Then what would have stopped a part of it, then the rest; equal ones by effort.
    """
    return tuple(sorted(guardrails, key=_rank))


def _rank(one: Guardrail) -> tuple[object, ...]:
    tested = one.backtest
    ends = tested.story_ends_at
    free = tested.ordinary_blocked + tested.ordinary_undecided == 0
    gain = 0 if ends is not None else 1 if tested.attacker_blocked else 2
    return (
        gain, not free if gain == 0 else 0, one.stage if not free else 0,
        ends.timestamp() if ends else 0.0, -tested.attacker_blocked, one.stage, tested.ordinary_blocked, one.id,
        one.target or "",
    )  # fmt: skip
