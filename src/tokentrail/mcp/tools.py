"""
The tools: each asks the case one question, and answers with the documents that `--format json` prints.

The case is opened when it is first asked, so that a server starts where there is none yet. It is opened twice, for the
newest evidence and for earlier moments, so that going back and forth in time links neither again. What takes long is
kept until the evidence changes, since an assistant asks for page after page of one answer.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar, cast

from tokentrail.case import Case
from tokentrail.case.call_filter import CallFilter
from tokentrail.containment.model import Plan
from tokentrail.errors import CaseReplaced, RecordNotFound, UsageError
from tokentrail.formatting import counted, quoted
from tokentrail.lineage.model import Trace
from tokentrail.mcp import questions as asked
from tokentrail.mcp.answer import Page, answer, cited, paged
from tokentrail.mcp.explain import explain
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.present import words
from tokentrail.present.document import Document, document, members, plain, timestamp
from tokentrail.results import Status

Found = TypeVar("Found")
_LOOKED_AFTER = 30.0
"""Seconds after which a case in a bucket is checked for changes."""
_KEPT = 16
_LEADS = (
    "Leads are ranked by how rare their signals are among all leads of this case; a lead is no finding, and a weak one "
    "may be harmless."
)
_FINDINGS = (
    "Findings are judgements by rules: `false_alarm` of each tells how to recognise a harmless case. None is no proof "
    "that nothing happened."
)
_PROOF = "The proof holds under `proof.holds_if` and within its scope; `explain` tells what the scope means."


@dataclass(slots=True)
class _Held:
    """An open case, for the newest evidence and for earlier moments."""

    newest: Case
    earlier: Case

    def close(self) -> None:
        self.newest.close()
        self.earlier.close()


@dataclass(frozen=True, slots=True)
class _Told:
    """What an answer says beside its items."""

    also: Sequence[str] = ()
    """Sentences on what it infers."""
    missing: Sequence[str] = ()
    """Sentences on what it lacks, besides what the case as a whole does."""
    events: Sequence[str] = ()
    """Events that it rests on, besides those that its items name."""


class CaseTools:
    """One case, and the answers to an assistant's questions. Only one thread at a time may use it."""

    def __init__(
        self, folder: Path | str, as_of: datetime | None = None, snapshots: Iterable[Snapshot] = ()
    ) -> None:
        self._folder = folder
        self._as_of = as_of
        self._snapshots = tuple(snapshots)
        self._held: _Held | None = None
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()

    def close(self) -> None:
        """Close the case, if it was opened."""
        if self._held is not None:
            self._held.close()
            self._held = None
        self._kept.clear()

    def leads(self, question: asked.LeadsQuestion) -> Document:
        """Rank leads."""
        when, since, until = self._when(question), asked.time(question.since), asked.time(question.until)
        case = self._case(when)
        found = self._keep(
            ("leads", when, since, until), lambda: case.leads(as_of=when, since=since, until=until)
        )
        return self._rows(question, found, _Told(also=[_LEADS], missing=found.failed))

    def trace(self, question: asked.TraceQuestion) -> Document:
        """Trace subjects."""
        when, about = self._when(question), _about(question)
        case = self._case(when)
        found: Trace = self._keep(("trace", when, *about.items()), lambda: case.trace(as_of=when, **about))
        states = Counter(one.state for one in found.credentials if one.tainted)
        also = [*words.named_persons(found), *([] if found.handed is None else words.handed(found))]
        missing = words.gaps(found.gaps, 0)
        if found.handed is None:
            missing.append(
                "What hosts, portals and sign-ins handed out since was not looked for: `plan` does."
            )
        events = [one.event_id for one in found.links if one.event_id]
        told = _Told(also=also, missing=missing, events=events)
        return self._part(question, found, question.part, told, tainted=dict(sorted(states.items())))

    def timeline(self, question: asked.TimelineQuestion) -> Document:
        """List calls."""
        when, subjects = self._when(question), _named(question.subjects)
        wanted = CallFilter.of(
            since=asked.time(question.since), until=asked.time(question.until),
            calls=asked.listed(question.calls), errors=question.errors,
        )  # fmt: skip
        return self._rows(question, wanted.only(self._case(when).timeline(subjects, as_of=when)))

    def credential(self, question: asked.CredentialQuestion) -> Document:
        """Tell of a credential."""
        when, names = self._when(question), _named(question.credential)
        return self._rows(question, self._case(when).named(names, as_of=when))

    def event(self, question: asked.EventQuestion) -> Document:
        """
        Show raw records.

        Raises:
            RecordNotFound: the evidence holds no such event, or its object is gone.
        """
        when, names = self._when(question), _named(question.event_id)
        found = tuple(self._case(when).records(names, as_of=when))
        if not found:
            raise RecordNotFound(
                f"no record of the event {quoted(names[0])} can be read from this case: it is not in the evidence as "
                "of then, or its file is gone. Take an id from `events` of an answer; `status` tells what the case "
                "holds."
            )
        return self._rows(question, found)

    def detect(self, question: asked.DetectQuestion) -> Document:
        """Judge the evidence."""
        when, rules = self._when(question), asked.listed(question.rules) or None
        case = self._case(when)

        def judged() -> tuple[tuple[Document, ...], list[str]]:
            said: list[str] = []
            found = case.detect(
                as_of=when,
                rules=rules,
                min_severity=question.min_severity,
                said=said.append,
            )
            return tuple(map(document, found)), [*said, *found.failed]

        found, said = self._keep(("detect", when, rules, question.min_severity), judged)
        return self._rows(question, found, _Told(also=[_FINDINGS], missing=said))

    def plan(self, question: asked.PlanQuestion) -> Document:
        """Plan and prove."""
        when, about = self._when(question), _about(question)
        case, steps, spare = self._case(when), asked.listed(question.what_if), asked.listed(question.spare)
        found: Plan = self._keep(
            ("plan", when, question.strategy, steps, spare, *about.items()),
            lambda: case.contain(
                strategy=question.strategy, what_if=steps, spare=spare, as_of=when, snapshots=self._snapshots, **about
            ),
        )  # fmt: skip
        tainted = case.called(found.tainted, as_of=when)
        told = _Told(also=[_PROOF], missing=words.not_spared(found), events=list(cited(plain(tainted))))
        return self._part(question, found, question.part, told)

    def status(self, question: asked.StatusQuestion) -> Document:
        """Tell what the case holds."""
        return self._part(question, self._status(self._when(question)), question.part)

    def explain(self, question: asked.ExplainQuestion) -> Document:
        """Explain a word; no case is asked."""
        return answer({}, paged(explain(question.word), question.offset, question.limit))

    def _rows(self, question: asked.Question, found: Iterable[object], told: _Told = _Told()) -> Document:
        """An answer whose items are results of one kind."""
        page = paged(found, question.offset, question.limit)
        return self._answer(question, {}, page, told)

    def _part(
        self,
        question: asked.Question,
        found: object,
        part: str,
        told: _Told = _Told(),
        **more: Any,
    ) -> Document:
        """An answer whose items are one part of a result of several lists; the others are counted."""
        summary, counts = dict[str, Any](), dict[str, int]()
        items: tuple[object, ...] = ()
        for name, value in members(found):
            if isinstance(value, tuple):
                counts[name] = len(value)
                items = value if name == part else items
            else:
                summary[name] = plain(value)
        page = paged(items, question.offset, question.limit)
        return self._answer(question, summary | {"counts": counts, **more, "part": part}, page, told)

    def _answer(self, question: asked.Question, summary: Document, page: Page, told: _Told) -> Document:
        when = self._when(question)
        missing = [*told.missing, *self._missing(when)]
        return answer(
            self._summary(when) | summary, page, also=told.also, missing=missing, events=told.events
        )

    def _summary(self, when: datetime | None) -> Document:
        status = self._status(when)
        moment = when or status.last
        return {"case_id": status.case_id, "as_of": timestamp(moment) if moment else None}

    def _missing(self, when: datetime | None) -> Iterator[str]:
        """What the case as a whole lacks."""
        status = self._status(when)
        yield from (*status.unfinished, *status.warnings)
        if lost := sum(one.count for one in status.rejected if one.field is None):
            told = counted(lost, "record or object", "records or objects")
            yield f"{told} could not be read: `status` with part `rejected` lists them."

    def _status(self, when: datetime | None) -> Status:
        case = self._case(when)
        return self._keep(("status", when), lambda: case.status(as_of=when))

    def _when(self, question: asked.Question) -> datetime | None:
        return asked.time(question.as_of) if question.as_of else self._as_of

    def _case(self, when: datetime | None) -> Case:
        """
        The case, with the newest evidence that others have put into it.

        Raises:
            CaseError: there is none, or it can't be reached.
        """
        if self._held is not None:
            try:
                self._held.newest.refresh(_LOOKED_AFTER)
            except CaseReplaced:
                self.close()
        if self._held is None:
            newest = Case.open(self._folder, create=False)
            self._held = _Held(newest, Case.open(self._folder, create=False))
        return self._held.newest if when is None else self._held.earlier

    def _keep(self, key: Hashable, ask: Callable[[], Found]) -> Found:
        """Ask, unless the same was asked of the same evidence before."""
        assert self._held is not None
        whole = (self._held.newest.fingerprint, key)
        if whole not in self._kept:
            self._kept[whole] = ask()
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(whole)
        return cast(Found, self._kept[whole])


def _about(question: asked.AboutSubjects) -> dict[str, Any]:
    """The subjects of a question and what narrows it, as `Case` takes them."""
    return {
        "subjects": _named(question.subjects),
        "since": asked.time(question.attacker_since),
        "source_ips": asked.listed(question.source_ips),
        "trusted_ips": asked.listed(question.trusted_ips),
    }


def _named(given: asked.Some) -> tuple[str, ...]:
    found = asked.listed(given)
    if not found:
        raise UsageError(
            "nothing was named: give a key id, ARN, address, instance or event; `leads` ranks some."
        )
    return found
