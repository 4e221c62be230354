"""
Test proposals over the whole history of the case: which calls would each have refused?

If a call that mints is refused, its child never existed, nor anything that the child did or minted in turn. A call that
the log can't decide counts as one that got through, and is also counted apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby

from tokentrail.lineage.doings import time_of
from tokentrail.lineage.rows import Row
from tokentrail.policy.language.truth import Truth
from tokentrail.prevention.attacker import Attacker
from tokentrail.prevention.attacker_history import AttackerHistory, Impact
from tokentrail.prevention.circumstances import spoken
from tokentrail.prevention.history import WHYS, History
from tokentrail.prevention.lots import Lot, grouping, lots
from tokentrail.prevention.model import Backtest, Broken, Guardrail
from tokentrail.prevention.proposal import Proposal

MOST = 10
"""Pairs of principal and action that are listed, unless the whole history is asked for."""


@dataclass(slots=True)
class _Tally:
    """Ordinary calls of one principal and action."""

    calls: int = 0
    first: int = 1 << 62
    last: int = 0
    why: set[str] = field(default_factory=set)

    def add(self, row: Row, why: Iterable[str]) -> None:
        self.calls += row["calls"]
        self.first = min(self.first, row["first"])
        self.last = max(self.last, row["last"])
        self.why.update(why)


def run(
    history: History, attacker: Attacker, proposals: list[Proposal], *, whole: bool
) -> Iterator[Guardrail]:
    """
    Test proposals, and yield the guardrails with their back-tests.

    Args:
        history: The calls of the case.
        attacker: The attacker.
        proposals: The proposals.
        whole: List every call, instead of the most frequent ones.
    """
    totals = history.totals()
    history.prepare(proposals)
    shared = AttackerHistory(history, attacker)
    for asked, some in groupby(proposals, key=grouping):
        theirs = shared
        if asked is not None:
            history.narrow(asked)
            theirs = AttackerHistory(history, attacker)
        for lot in lots(some):
            yield from _tested(history, theirs, lot, totals, whole=whole)


def _guardrail(one: Proposal, tested: Backtest) -> Guardrail:
    return Guardrail(
        id=one.id, rule=one.rule, title=one.title, kind=one.kind, account=one.account, target=one.target,
        policy=one.policy,
        setting=one.setting, prevents=one.prevents, limits=one.limits, stage=one.stage, attach=one.attach,
        backtest=tested,
    )  # fmt: skip


def _tested(
    history: History, theirs: AttackerHistory, lot: Lot, totals: tuple[int, int], *, whole: bool
) -> Iterator[Guardrail]:
    ordinary = _ordinary(history, lot)
    for nth, (one, impact) in enumerate(zip(lot, theirs.under(history, lot), strict=True)):
        yield _guardrail(one, _test(theirs, impact, *ordinary.pop(nth, ({}, {})), totals, whole=whole))


def _test(
    theirs: AttackerHistory,
    impact: Impact,
    broken: _Tallies,
    open_ones: _Tallies,
    totals: tuple[int, int],
    *,
    whole: bool,
) -> Backtest:
    refused, never, undecided = theirs.counts(impact)
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
        story_ends_at=theirs.end(impact),
        broken=_listed(broken)[:most],
        undecided_by=_listed(open_ones)[:most],
        attacker_calls=theirs.told(impact) if whole else (),
    )


_Tallies = dict[tuple[str, str], _Tally]


def _ordinary(history: History, lot: Lot) -> dict[int, tuple[_Tallies, _Tallies]]:
    """By the number of a proposal in its lot: the ordinary calls that it refuses, and those that it may refuse."""
    found: dict[int, tuple[_Tallies, _Tallies]] = {}
    for row in history.ordinary(lot):
        broken, open_ones = found.setdefault(row["nth"], (defaultdict(_Tally), defaultdict(_Tally)))
        named = row["principal"] or row["type"] or "?", spoken(row["source"], row["name"])
        tallies = broken if row["verdict"] == Truth.YES.name else open_ones
        tallies[named].add(row, row["why"].split(WHYS) if row["why"] else ())
    return found


def _listed(tallies: _Tallies) -> tuple[Broken, ...]:
    ordered = sorted(tallies.items(), key=lambda item: (-item[1].calls, item[0]))
    return tuple(
        Broken(
            principal=principal, action=action, calls=one.calls, first=time_of(one.first), last=time_of(one.last),
            why=", ".join(sorted(one.why)) or None,
        )
        for (principal, action), one in ordered
    )  # fmt: skip


def ranked(guardrails: Iterable[Guardrail]) -> tuple[Guardrail, ...]:
    """
    Sort guardrails by use.

    First come those that would have ended the story (of these, those that cost nothing, then by effort or by when the
    story ends), then those that would have refused some of the attacker's calls, then the rest.
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
