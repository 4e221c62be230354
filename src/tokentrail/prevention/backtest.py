"""
Test proposals over the whole history of the case: which calls would each have refused?

If a call that mints is refused, its child never existed, nor anything that the child did or minted in turn, be it the
attacker's or a colleague's. A call that the log can't decide counts as one that got through, and is also counted apart.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import Literal

from tokentrail.lineage.activity import time_of
from tokentrail.lineage.rows import Row
from tokentrail.policy.language.truth import Truth
from tokentrail.prevention.attacker import Attacker
from tokentrail.prevention.attacker_history import AttackerHistory, Impact
from tokentrail.prevention.history import WHYS, History
from tokentrail.prevention.lots import Lot, grouping, lots
from tokentrail.prevention.model import Backtest, Broken, Guardrail
from tokentrail.prevention.proposal import GuardrailProposal
from tokentrail.prevention.request_context import spoken

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


_Tallies = dict[tuple[str, str], _Tally]


@dataclass(frozen=True, slots=True)
class _Ordinary:
    """What a proposal would have made of ordinary calls; no call is counted twice."""

    refused: _Tallies = field(default_factory=lambda: defaultdict(_Tally))
    never: _Tallies = field(default_factory=lambda: defaultdict(_Tally))
    undecided: _Tallies = field(default_factory=lambda: defaultdict(_Tally))

    def of(self, verdict: str) -> _Tallies:
        """The calls with a verdict that is no acquittal."""
        return self.refused if verdict == Truth.YES.name else self.undecided


def run(
    history: History, attacker: Attacker, proposals: list[GuardrailProposal], *, whole: bool
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


def _guardrail(one: GuardrailProposal, tested: Backtest) -> Guardrail:
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
        yield _guardrail(one, _test(theirs, impact, ordinary.pop(nth, _Ordinary()), totals, whole=whole))


def _test(
    theirs: AttackerHistory, impact: Impact, ordinary: _Ordinary, totals: tuple[int, int], *, whole: bool
) -> Backtest:
    refused, never, undecided = theirs.counts(impact)
    ordinary_refused, ordinary_never, ordinary_undecided = (
        sum(one.calls for one in tallies.values())
        for tallies in (ordinary.refused, ordinary.never, ordinary.undecided)
    )
    most = None if whole else MOST
    return Backtest(
        events=sum(totals),
        attacker_events=totals[0],
        attacker_blocked=refused + never,
        attacker_refused=refused,
        attacker_undecided=undecided,
        ordinary_events=totals[1],
        ordinary_blocked=ordinary_refused + ordinary_never,
        ordinary_refused=ordinary_refused,
        ordinary_undecided=ordinary_undecided,
        undecided=undecided + ordinary_undecided,
        story_ends_at=theirs.end(impact),
        broken=_ordered([*_listed(ordinary.refused, "refused"), *_listed(ordinary.never, "never made")])[
            :most
        ],
        undecided_by=_ordered(_listed(ordinary.undecided, "undecided"))[:most],
        attacker_calls=theirs.told(impact) if whole else (),
    )


def _ordinary(history: History, lot: Lot) -> dict[int, _Ordinary]:
    """By the number of a proposal in its lot: the ordinary calls that it stops, and those that it may refuse."""
    found: dict[int, _Ordinary] = defaultdict(_Ordinary)
    surely = False
    for row in history.ordinary(lot):
        surely |= row["verdict"] == Truth.YES.name
        tally = found[row["nth"]].of(row["verdict"])[_named(row)]
        tally.add(row, row["why"].split(WHYS) if row["why"] else ())
    if not surely:
        return found
    never_made = history.never_made(lot)
    for row in never_made.calls:
        found[row["nth"]].never[_named(row)].add(row, ())
    for row in never_made.judged:
        found[row["nth"]].of(row["verdict"])[_named(row)].calls -= row["calls"]
    return found


def _named(row: Row) -> tuple[str, str]:
    """The principal and the action of some calls."""
    return row["principal"] or row["type"] or "?", spoken(row["source"], row["name"])


def _listed(tallies: _Tallies, outcome: Literal["refused", "never made", "undecided"]) -> list[Broken]:
    return [
        Broken(
            principal=principal, action=action, calls=one.calls, first=time_of(one.first), last=time_of(one.last),
            outcome=outcome, why=", ".join(sorted(one.why)) or None,
        )
        for (principal, action), one in tallies.items() if one.calls
    ]  # fmt: skip


def _ordered(some: Iterable[Broken]) -> tuple[Broken, ...]:
    return tuple(sorted(some, key=lambda one: (-one.calls, one.principal, one.action, one.outcome)))


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
