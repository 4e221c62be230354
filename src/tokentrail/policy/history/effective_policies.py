"""
The policies in force on one principal at one time, prepared to judge many credentials.

A role may have a hundred thousand sessions, and its policies may have been written twenty thousand times. Documents
that deny everything to tokens issued before a cutoff, as revocations write them, are therefore sorted by cutoff, and a
session is looked up among them.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Literal

from tokentrail.policy.history.timeline import PlacedPolicy, Step, ValueT, has_clock, step_at, with_clock
from tokentrail.policy.language.context import Caller, Context, context_of, with_time
from tokentrail.policy.language.documents import EVERY, Document, Malformed
from tokentrail.policy.language.evaluate import (
    Call,
    Extent,
    Verdict,
    complete_reason,
    cutoff_of,
    denied,
    denies_everything,
    widest,
)
from tokentrail.policy.language.truth import Truth


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What ended a credential, and since when."""

    at: datetime
    """Since when it has not worked; the time of issue, if it was already denied then."""
    by: str
    """The id of the event that did it."""
    event_name: str
    done_at: datetime
    """When that event happened."""
    sentence: str
    unusable: bool = False
    """Whether it can sign no request since, as its key is inactive or deleted: then no call works at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What limits a credential without ending it, or what might have ended it."""

    certainty: Literal["partly", "undecided"]
    at: datetime | None
    event_id: str | None
    event_name: str | None
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A policy that applies to a principal, over time: where it is, and its documents."""

    label: str
    steps: Sequence[Step[PlacedPolicy]]
    doubt: str | None = None
    """Why it may not apply to the principal at all; `None` if it does."""
    boundary: bool = False


@dataclass(frozen=True, slots=True)
class _Run:
    """The unbroken sequence of documents with denials in one place, up to the time in question."""

    place: Place
    steps: list[Step[PlacedPolicy]]
    cutoffs: list[float | None]
    """By step: its document's cutoff (`cutoff_of`)."""


@dataclass(frozen=True)
class _Cut:
    """That from a step on, all tokens issued before a cutoff have been denied everything."""

    cutoff: float
    step: Step[PlacedPolicy]
    document: Document
    place: Place

    @cached_property
    def sentence(self) -> str:
        """What it denies."""
        return f"{self.place.label} {complete_reason(widest(self.document))}"


@dataclass(slots=True)
class EffectivePolicies:
    """All that is in force on one principal at one time."""

    plain: list[_Run] = field(default_factory=list)
    """Runs of documents that all have a cutoff and surely apply to the principal."""
    intricate: list[_Run] = field(default_factory=list)
    """All other runs."""
    unread: list[tuple[Place, Step[PlacedPolicy], str]] = field(default_factory=list)
    """Policies in force that can't be read, with the reason."""
    cutoffs: list[float] = field(default_factory=list)
    """The cutoffs of `plain` runs, sorted."""
    earliest: list[_Cut] = field(default_factory=list)
    """For each of `cutoffs`, the earliest of the cuts with the same or a later cutoff."""
    lasting: bool = False
    """Whether a deny on conditions about the time of the request counts only if it holds at any later time, too."""

    @classmethod
    def at(cls, places: Sequence[Place], as_of: datetime, *, lasting: bool = False) -> EffectivePolicies:
        """Find what is in force in each place at a time."""
        found = cls(lasting=lasting)
        for place in places:
            index = step_at(place.steps, as_of)
            held = place.steps[index].value if index >= 0 else None
            if isinstance(held, Malformed):
                found.unread.append((place, place.steps[index], held.reason))
            elif isinstance(held, Document) and (held.denials or (place.boundary and not held.allows)):
                found._add(_run(place, index, as_of))
        found._sort()
        return found

    def _add(self, run: _Run) -> None:
        plain = run.place.doubt is None and None not in run.cutoffs
        (self.plain if plain else self.intricate).append(run)

    def _sort(self) -> None:
        self.intricate = _distinct(self.intricate)
        cuts = sorted((cut for run in self.plain for cut in _cuts(run)), key=lambda cut: cut.cutoff)
        self.cutoffs = [cut.cutoff for cut in cuts]
        for cut in reversed(cuts):
            best = self.earliest[-1] if self.earliest else cut
            self.earliest.append(min(best, cut, key=lambda item: item.step.order))
        self.earliest.reverse()

    def ending(self, caller: Caller) -> Ending | None:
        """The earliest ending of a credential that still lasts."""
        issued = caller.issue_second
        found = [self._by_cutoff(caller, issued)] if issued is not None else []
        runs = self.intricate if issued is not None else (*self.intricate, *self.plain)
        if runs:
            context = context_of(caller)
            found += [self._run_ending(run, caller, context) for run in runs if run.place.doubt is None]
        return earliest(ending for ending in found if ending is not None)

    def denies(self, caller: Caller, action: str) -> bool:
        """Whether a policy in force surely denies the credential an action on every resource."""
        runs = [run for run in (*self.plain, *self.intricate) if run.place.doubt is None]
        if not runs:
            return False
        call = Call.of((action.lower(),), (EVERY,), context_of(caller))
        documents = [run.steps[-1].value for run in runs]
        return any(
            isinstance(document, Document) and denied(document, call) is Truth.YES for document in documents
        )

    def notes(self, caller: Caller) -> Iterator[Note]:
        """What limits a credential without surely ending it."""
        for place, item, reason in self.unread:
            yield _note("undecided", item, f"{place.label}: undecided, since {reason}")
        runs = self.intricate if caller.issue_second is not None else (*self.intricate, *self.plain)
        if runs:
            context = context_of(caller)
            for run in runs:
                yield from self._run_notes(run, context)

    def _verdict(self, item: Step[PlacedPolicy], context: Context) -> Verdict:
        """Judge a document at the beginning of its step."""
        if not isinstance(item.value, Document):
            return Verdict(extent=Extent.NO, reason="denies nothing")
        asked = with_time(context, item.time, onwards=self.lasting) if has_clock(item.value) else context
        return denies_everything(item.value, asked)

    def _run_ending(self, run: _Run, caller: Caller, context: Context) -> Ending | None:
        """The ending by a run: its first step from which on, unbroken until now, all is denied to the credential."""
        since: tuple[Step[PlacedPolicy], Verdict] | None = None
        for item in reversed(run.steps):
            verdict = self._verdict(item, context)
            if verdict.extent is not Extent.ALL:
                break
            since = (item, verdict)
        return ended_by(since[0], caller, f"{run.place.label} {since[1].reason}") if since else None

    def _run_notes(self, run: _Run, context: Context) -> Iterator[Note]:
        item, place = run.steps[-1], run.place
        verdict = self._verdict(item, context)
        if verdict.extent is Extent.ALL and place.doubt:
            yield _note("undecided", item, f"{place.label} {verdict.reason}, but {place.doubt}")
        elif verdict.extent is Extent.UNDECIDED:
            yield _note("undecided", item, f"{place.label} {verdict.reason}")
        elif verdict.extent is Extent.PARTLY:
            yield _note("partly", item, f"{place.label} {verdict.reason}")
        if place.boundary and verdict.extent is not Extent.ALL and not _allows(item):
            sentence = (
                f"{place.label} allows nothing; only a resource policy that names the session may still do"
            )
            yield _note("partly", item, sentence)

    def _by_cutoff(self, caller: Caller, issued: float) -> Ending | None:
        index = bisect_right(self.cutoffs, issued)
        if index == len(self.cutoffs):
            return None
        cut = self.earliest[index]
        return ended_by(cut.step, caller, cut.sentence)


def _distinct(runs: Sequence[_Run]) -> list[_Run]:
    """The runs without those that repeat another's single document, of which the one put first decides for all."""
    first: dict[object, _Run] = {}
    for run in runs:
        alone = len(run.steps) == 1 and run.place.doubt is None and not run.place.boundary
        name: object = id(run.steps[0].value) if alone else id(run)
        known = first.get(name)
        if known is None or run.steps[0].order < known.steps[0].order:
            first[name] = run
    return list(first.values())


def ended_by(item: Step[ValueT], caller: Caller, sentence: str, *, unusable: bool = False) -> Ending:
    """Turn a step into the ending of a credential, which can't lie before its issue."""
    at = max(item.time, caller.issued_at) if caller.issued_at else item.time
    return Ending(
        at=at, by=item.event_id, event_name=item.event_name, done_at=item.time, sentence=sentence, unusable=unusable
    )  # fmt: skip


def earliest(endings: Iterable[Ending]) -> Ending | None:
    """Pick the ending that came first; among those that came at one time, the one done first."""
    return min(endings, key=lambda ending: (ending.at, ending.done_at, ending.by), default=None)


def _run(place: Place, index: int, as_of: datetime) -> _Run:
    steps, first = place.steps, index
    while first > 0:
        before = steps[first - 1].value
        if not (isinstance(before, Document) and before.denials):
            break
        first -= 1
    run = list(steps[first : index + 1])
    clocks = any(isinstance(item.value, Document) and has_clock(item.value) for item in run)
    run = with_clock(run, as_of) if clocks else run
    return _Run(place, run, [cutoff_of(item.value) for item in run if isinstance(item.value, Document)])


def _cuts(run: _Run) -> Iterator[_Cut]:
    cutoff = math.inf
    for item, own in zip(reversed(run.steps), reversed(run.cutoffs), strict=True):
        if isinstance(item.value, Document) and own is not None:
            cutoff = min(cutoff, own)
            yield _Cut(cutoff, item, item.value, run.place)


def _allows(item: Step[PlacedPolicy]) -> bool:
    return not isinstance(item.value, Document) or item.value.allows


def _note(certainty: Literal["partly", "undecided"], item: Step[PlacedPolicy], sentence: str) -> Note:
    return Note(
        certainty=certainty,
        at=item.time,
        event_id=item.event_id,
        event_name=item.event_name,
        sentence=sentence,
    )
