"""
What a page shows of a subject, asked of the case in one go.

It may import the case and what the page is made of. It decides nothing about evidence, and draws nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypedDict

from tokentrail import __version__
from tokentrail.case import Case
from tokentrail.containment.model import Plan, Strategy
from tokentrail.detection.model import SEVERITIES
from tokentrail.lineage.model import CallLines, Credential, Tick, Trace, TracedCredential
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.present import words
from tokentrail.present.document import Document
from tokentrail.present.html.case_page import FindingSubject, FindingSubjects
from tokentrail.present.html.console import Turn, spread
from tokentrail.present.html.flags import consequence
from tokentrail.present.html.label_resolver import LabelResolver
from tokentrail.present.html.rows import actions
from tokentrail.present.views.report import ReportData
from tokentrail.results import AttackerActivity, RawRecord

_PRINCIPALS = 40
"""Roles and users whose other sessions are looked for."""
_RECORDS = 120
"""Raw records that a page holds itself."""
_LEADS, _TITLES = 6, 4
_TURNS = 60
_BYSTANDERS = 5000
_DRAWN = 60
"""Colleagues' credentials whose calls are drawn."""


class Narrowed(TypedDict):
    """What narrows what counts as the attacker's, as the questions to a case take it."""

    since: datetime | None
    source_ips: tuple[str, ...]
    trusted_ips: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked about: as for `trace` and `contain`."""

    subjects: tuple[str, ...]
    as_of: datetime | None = None
    since: datetime | None = None
    source_ips: tuple[str, ...] = ()
    trusted_ips: tuple[str, ...] = ()
    strategy: Strategy = "standard"
    snapshots: tuple[Snapshot, ...] = ()

    @property
    def narrowed(self) -> Narrowed:
        """What narrows what counts as the attacker's."""
        return {"since": self.since, "source_ips": self.source_ips, "trusted_ips": self.trusted_ips}


@dataclass(frozen=True, slots=True)
class _Calls:
    """The calls of a trace and of the colleagues that are drawn, asked of a case."""

    case: Case
    subjects: tuple[str, ...]
    drawn: tuple[str, ...]
    as_of: datetime | None

    def lines(self, *, telling: str, room: int, run: int) -> CallLines:
        return self.case.call_lines(self.subjects, telling=telling, room=room, run=run, as_of=self.as_of)

    def ticks(self, *, start: datetime, end: datetime, places: float) -> Iterator[Tick]:
        for group in (self.subjects, self.drawn):
            if group:
                yield from self.case.ticks(group, start=start, end=end, places=places, as_of=self.as_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class Solution:
    """A question's trace, plan and attacker activity: what takes long, and is asked once for all faces."""

    trace: Trace
    plan: Plan
    activity: AttackerActivity


def solve(case: Case, question: Question) -> Solution:
    """
    Trace and plan.

    Raises:
        SubjectNotFound: nothing answers to a subject.
        UsageError: a prefix fits several, or an address can't be read.
    """
    as_of, narrowed = question.as_of, question.narrowed
    trace = case.trace(question.subjects, as_of=as_of, followed=True, **narrowed)
    plan = case.contain(
        question.subjects, strategy=question.strategy, as_of=as_of, snapshots=question.snapshots, **narrowed
    )
    return Solution(trace=trace, plan=plan, activity=case.activity(trace, as_of=as_of, **narrowed))


def gather(
    case: Case, question: Question, findings: Sequence[Document] | None = None, *, failed: Sequence[str] = (),
    records: bool = True, solution: Solution | None = None,
) -> ReportData:  # fmt: skip
    """
    Ask the case all that a page shows.

    Args:
        case: What is asked.
        question: The subjects, and what narrows them.
        findings: What detection found, as documents; `None` where it was not asked.
        failed: Sentences about rules that ended in an error.
        records: Whether the page holds the raw records itself that it rests on.
        solution: The question's trace and plan, where they were asked before.

    Raises:
        SubjectNotFound: nothing answers to a subject.
        UsageError: a prefix fits several, or an address can't be read.
    """
    asked = question
    solved = solution or solve(case, asked)
    trace, activity = solved.trace, solved.activity
    bystanders, notes = _bystanders(case, trace, asked.as_of)
    drawn = [one.id for one in bystanders[:_DRAWN]]
    theirs = None if findings is None else about(trace, findings)
    rests = _rests_on(trace, theirs or (), activity.first_event) if records else ()
    return ReportData(
        case_id=case.case_id,
        trace=trace,
        calls=_Calls(case, with_handed_out(trace, asked.subjects), tuple(drawn), asked.as_of),
        status=case.status(as_of=asked.as_of),
        version=__version__,
        activity=activity,
        plan=solved.plan,
        bystanders=bystanders,
        findings=theirs,
        elsewhere=_elsewhere(findings, theirs),
        failed=tuple(failed),
        records=tuple(sorted(case.records(rests, as_of=asked.as_of), key=_written)) if rests else (),
        notes=notes,
        since=asked.since,
        source_ips=asked.source_ips,
        trusted_ips=asked.trusted_ips,
    )  # fmt: skip


def with_findings(
    report_data: ReportData, findings: Sequence[Document] | None, failed: Sequence[str]
) -> ReportData:
    """The same, with what detection found since."""
    theirs = None if findings is None else about(report_data.trace, findings)
    return replace(report_data, findings=theirs, elsewhere=_elsewhere(findings, theirs), failed=tuple(failed))


def _elsewhere(
    findings: Sequence[Document] | None, theirs: Sequence[Document] | None
) -> tuple[Document, ...]:
    here = {id(one) for one in theirs or ()}
    return tuple(one for one in findings or () if id(one) not in here)


def with_handed_out(trace: Trace, subjects: Sequence[str]) -> tuple[str, ...]:
    """The subjects of a followed trace, and what was handed out since: a page shows the calls of both."""
    return (*subjects, *(one.credential for one in trace.handed or ()))


def about(trace: Trace, findings: Sequence[Document]) -> tuple[Document, ...]:
    """Choose the findings that concern a trace's credentials."""
    traced = {one.id for one in trace.credentials}
    return tuple(one for one in findings if traced.intersection(one.get("credentials") or ()))


def finding_subjects(case: Case, findings: Sequence[Document], as_of: datetime | None) -> FindingSubjects:
    """
    Sum up what findings point to: each subject, its worst finding first, and what became of its family.

    A subject that descends from another one is not listed by itself: who traces the other sees it too. A few are looked
    into; the rest are counted, with those that work.
    """
    by_subject: dict[str, list[Document]] = {}
    for one in sorted(findings, key=_gravest_first):
        if one.get("subject"):
            by_subject.setdefault(one["subject"], []).append(one)
    families: dict[str, list[TracedCredential]] = {}
    within: dict[str, str] = {}
    for subject in by_subject:
        top = next(
            (top for top, family in families.items() if any(one.id == subject for one in family)), None
        )
        if top is None and len(families) < _LEADS:
            family = [
                one for one in case.family([subject], as_of=as_of, followed=True).credentials if one.tainted
            ]
            members = {one.id for one in family}
            within |= {name: subject for name, of in within.items() if of in members}
            families = {name: of for name, of in families.items() if name not in members}
            families[subject], top = family, subject
        if top is not None:
            within[subject] = top
    found: dict[str, list[Document]] = {}
    for subject, told in by_subject.items():
        if subject in within:
            found.setdefault(within[subject], []).extend(told)
    others = by_subject.keys() - within.keys()
    return FindingSubjects(
        shown=tuple(
            _finding_subject(one, sorted(told, key=_gravest_first), families[one])
            for one, told in found.items()
        ),
        others=len(others),
        working=sum(one.state in ("active", "unknown") for one in case.called(sorted(others), as_of=as_of)),
    )


def _gravest_first(one: Document) -> tuple[int, str, str]:
    return -SEVERITIES.index(one["severity"]), one["time"], one["id"]


def _finding_subject(
    subject: str, told: Sequence[Document], family: Sequence[TracedCredential]
) -> FindingSubject:
    titles = tuple(dict.fromkeys(one["title"] for one in told))
    return FindingSubject(
        subject=subject, severity=told[0]["severity"], titles=titles[:_TITLES], findings=len(told),
        of=next((words.who(one) for one in family if one.id == subject), ""), credentials=len(family),
        alive=sum(one.state in ("active", "unknown") for one in family),
    )  # fmt: skip


def turns(trace: Trace) -> tuple[Turn, ...]:
    """List the moments at which something about the attacker's credentials changed."""
    names, mine = LabelResolver.of(trace), [one for one in trace.credentials if one.tainted]
    handed = {one.credential: one.why for one in trace.handed or ()}
    found = [Turn(time=one.time, what=f"{one.what}: {consequence(one, names)}") for one in actions(trace, ())]
    for one in mine:
        if one.issued_at and one.parent:
            api = one.issued_by.api if one.issued_by else "minted"
            told = f"{names.short(one.parent)} minted {names.short(one.id)} ({api}, {words.kind(one)})"
            found.append(Turn(time=one.issued_at, what=told))
        elif one.issued_at and one.id in handed:
            found.append(Turn(time=one.issued_at, what=f"{names.short(one.id)} begins: {handed[one.id]}"))
        elif one.first_used and one.id in trace.subject:
            found.append(Turn(time=one.first_used, what=f"{names.short(one.id)} is first seen"))
    return spread(found, _TURNS)


def _rests_on(trace: Trace, findings: Sequence[Document], first: str | None) -> tuple[str, ...]:
    """List the events that an answer rests on, the weightiest first, as many as a page has room for."""
    tainted = [one for one in trace.credentials if one.tainted]
    mine = {one.id for one in tainted}
    found = [
        iter((first,)),
        (one.ended_by for one in tainted),
        (str(event) for one in findings for event in (one.get("events") or ())[:6]),
        (one.issued_by.event_id for one in tainted if one.issued_by),
        (one.event_id for one in trace.created if one.by in mine),
        (one.event_id for one in trace.secrets_read if one.credential in mine),
    ]
    each = (one for kind in found for one in dict.fromkeys(kind))
    return tuple(dict.fromkeys(one for one in each if one))[:_RECORDS]


def _written(one: RawRecord) -> tuple[str, str]:
    time = one.record.get("eventTime") if isinstance(one.record, dict) else None
    return (time if isinstance(time, str) else "", one.event_id)


def _bystanders(
    case: Case, trace: Trace, as_of: datetime | None
) -> tuple[tuple[Credential, ...], tuple[str, ...]]:
    """Find who else spoke for the attacker's roles and users while the attacker was about."""
    tainted = [one for one in trace.credentials if one.tainted]
    speakers = sorted({name for one in tainted if (name := one.role or one.principal)})
    turns = [moment for one in tainted for moment in (one.issued_at, one.ended_at) if moment and one.parent]
    begin = min(turns, default=trace.as_of)
    traced = [one.id for one in trace.credentials]
    notes = []
    if len(speakers) > _PRINCIPALS:
        notes.append(
            f"Colleagues were looked for in {_PRINCIPALS} of {len(speakers):,} roles and users only."
        )
    seen, more = case.speaking_for(
        speakers[:_PRINCIPALS], since=begin, but=traced, most=_BYSTANDERS, as_of=as_of
    )
    kept = sorted(
        (
            one
            for one in seen
            if (end := one.ended_at or one.expires_at or one.expires_bound) is None or end >= begin
        ),
        key=lambda one: (one.issued_at or one.first_used or begin, one.id),
    )
    if more:
        notes.append(
            f"{more:,} later credentials of colleagues are left out: the picture has no room for them."
        )
    if len(kept) + more > _DRAWN:
        notes.append(
            f"The picture shows the calls of {_DRAWN} of {len(kept) + more:,} credentials of colleagues."
        )
    return tuple(kept), tuple(notes)
