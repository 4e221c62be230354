"""
The page of a case without a subject: the case at a glance, and what to look at first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import get_args

from tokentrail.formatting import counted, more, verb
from tokentrail.lineage.model import KINDS, Candidate, Kind, Overview, State
from tokentrail.present import words
from tokentrail.present.document import Document
from tokentrail.present.html.console import Live, address
from tokentrail.present.html.evidence import evidence_view
from tokentrail.present.html.findings import Severity, findings_view, severity
from tokentrail.present.html.label_resolver import LabelResolver
from tokentrail.present.html.leads import any_strong, leads_view, subject_of
from tokentrail.present.html.page import page
from tokentrail.present.html.view_models import Figure, Reference
from tokentrail.present.safe import brief
from tokentrail.results import Status

_STATES = get_args(State)
_PLACES = {
    "leads": "Leads", "first": "First", "start": "Where to start", "kinds": "Kinds", "findings": "Findings",
    "evidence": "Evidence",
}  # fmt: skip
_ALWAYS = ("start", "kinds", "findings", "evidence")
"""Sections that every page of a case has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingSubject:
    """A subject that findings point to, and what became of it: something to look at first."""

    subject: str
    severity: str
    """The worst of its findings."""
    titles: tuple[str, ...]
    findings: int
    of: str
    """Whom it speaks for."""
    credentials: int
    """It, and all that descends from it."""
    alive: int
    """How many of these work, or may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingSubjects:
    """What findings point to: the gravest, looked into, and how much more there is."""

    shown: tuple[FindingSubject, ...] = ()
    others: int = 0
    """Subjects of findings that are not looked into, for want of room, and descend from none of those shown."""
    working: int = 0
    """How many of these work themselves, or may."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowedSubject:
    """A subject that findings point to, as the page shows it."""

    severity: Severity
    subject: Reference
    of: str
    works: str
    """How many credentials from it work, in words."""
    alive: int
    titles: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownCandidate:
    """A credential that an investigation might start from."""

    name: Reference
    kind: str
    state: str
    minted: int
    events: int
    account: str
    principal: str


@dataclass(frozen=True, slots=True)
class KindCount:
    """How many credentials of a kind are in each state."""

    kind: str
    counts: tuple[Reference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseView:
    """What the page shows besides leads, findings and evidence."""

    case_id: str
    until: datetime | None
    """Of the evidence."""
    headline: str
    advice: str
    figures: tuple[Figure, ...]
    places: tuple[tuple[str, str], ...]
    """The page's sections in their order: the anchor and title of each."""
    subjects: tuple[FollowedSubject, ...]
    others: str
    """How many subjects are not shown, in words."""
    candidates: tuple[ShownCandidate, ...]
    kinds: tuple[KindCount, ...]


def case_page(
    case_id: str,
    found: Overview,
    findings: Sequence[Document] | None,
    status: Status,
    version: str,
    *,
    subjects: FindingSubjects | None = None,
    leads: Sequence[Document] = (),
    failed: Sequence[str] = (),
    live: Live | None = None,
) -> str:
    """
    Build the page.

    Leads come before what findings point to where one is strong, and else after it: what only differs from the rest is
    no match for a finding.
    """
    names = LabelResolver({}, {}, live=live)
    subjects = subjects or FindingSubjects()
    ahead = [name for name, shown in (("leads", leads), ("first", subjects.shown)) if shown]
    if not any_strong(leads):
        ahead.sort()  # `first` comes first
    places = tuple((place, _PLACES[place]) for place in (*ahead, *_ALWAYS))
    view = CaseView(
        case_id=case_id, until=status.last, headline=_headline(found, subjects), advice=_advice(subjects, leads, live),
        figures=_figures(found, findings, status), places=places,
        subjects=tuple(_followed(one, names) for one in subjects.shown), others=_others(subjects),
        candidates=tuple(_candidate(one, names) for one in found.candidates), kinds=_kinds(found, live),
    )  # fmt: skip
    return page(
        "case.html", f"Case {case_id}", version, live, case=view, states=list(_STATES), leads=leads_view(leads, names),
        findings=findings_view(findings, names, failed=failed), evidence=evidence_view(status, None),
    )  # fmt: skip


def _headline(found: Overview, subjects: FindingSubjects) -> str:
    if not subjects.shown:
        return f"{counted(found.credentials, 'credential')} in the evidence"
    alive = sum(one.alive for one in subjects.shown)
    what = counted(len(subjects.shown) + subjects.others, "subject")
    works = f"{counted(alive, 'credential')} still {verb(alive, 'works', 'work')}"
    if subjects.others:
        behind = works if alive else "nothing works any more"
        first = f"{what} to follow: behind the first {len(subjects.shown)}, {behind}"
        return f"{first}, and {_working(subjects)}" if subjects.working else first
    return f"{what} to follow, {f'behind which {works}' if alive else 'none of which works any more'}"


def _working(subjects: FindingSubjects) -> str:
    return f"{subjects.working:,} of the others still {verb(subjects.working, 'works', 'work')}"


def _advice(subjects: FindingSubjects, leads: Sequence[Document], live: Live | None) -> str:
    if live is None:
        return (
            "No subject was named, so that nothing here counts as an attacker's. Name one: "
            "`tokentrail report SUBJECT -o FILE.html`."
        )
    if live.looking:
        return (
            "Detection is still looking for where to start, which may take minutes in a case of this size. Trace what "
            "you know meanwhile: a key, an ARN, an address, an event."
        )
    if subjects.shown:
        first = brief(subjects.shown[0].subject, 80)
        return f"Look first at {first}. Nothing counts as an attacker's until a subject is traced."
    if any_strong(leads):
        first = brief(subject_of(leads[0]), 80)
        return f"No finding names a credential, and much speaks for theft at {first}: look there first."
    return "Nothing was found that points to a subject. Trace what you know: a key, an ARN, an address, an event."


def _figures(found: Overview, findings: Sequence[Document] | None, status: Status) -> tuple[Figure, ...]:
    working = sum(count for _, state, count in found.counts if state in ("active", "unknown"))
    accounts = len({one.account for one in status.coverage if one.account})
    lost = sum(one.count for one in status.rejected if one.field is None)
    return (
        Figure(f"{found.credentials:,}", "credentials"),
        Figure(f"{working:,}", "of these work, or may"),
        Figure("…", "findings are looked for")
        if findings is None
        else Figure(f"{len(findings):,}", verb(len(findings), "finding", "findings")),
        Figure(f"{status.records:,}", "events"),
        Figure(f"{accounts:,}", verb(accounts, "account", "accounts")),
        Figure(f"{lost:,}", "records that could not be read"),
    )


def _followed(one: FindingSubject, names: LabelResolver) -> FollowedSubject:
    family = counted(one.credentials, "credential")
    return FollowedSubject(
        severity=severity(one.severity), subject=names.traced(one.subject), of=brief(one.of, 120),
        works=f"{one.alive:,} of {family} from it still {verb(one.alive, 'works', 'work')}", alive=one.alive,
        titles=brief("; ".join(one.titles) + more(one.findings - len(one.titles)), 600),
    )  # fmt: skip


def _others(subjects: FindingSubjects) -> str:
    """Say how many subjects are not looked into here, and how many of them work."""
    if not subjects.others:
        return ""
    told = f"… and findings point to {counted(subjects.others, 'more subject')}"
    if not subjects.working:
        return told
    return f"{told}, of which {subjects.working:,} still {verb(subjects.working, 'works', 'work')}"


def _candidate(one: Candidate, names: LabelResolver) -> ShownCandidate:
    return ShownCandidate(
        name=names.traced(one.id), kind=KINDS.get(one.kind, one.kind), state=one.state, minted=one.minted,
        events=one.events, account=one.account or "-", principal=brief(words.principal(one.principal)),
    )  # fmt: skip


def _kinds(found: Overview, live: Live | None) -> tuple[KindCount, ...]:
    """Count by kind and state; in a console each number leads to the list of what it counts."""
    by: dict[Kind, dict[State, int]] = {}
    for kind, state, count in found.counts:
        by.setdefault(kind, {})[state] = count
    return tuple(
        KindCount(
            KINDS.get(kind, kind), tuple(_count(kind, state, counts.get(state, 0), live) for state in _STATES)
        )
        for kind, counts in by.items()
    )


def _count(kind: Kind, state: State, count: int, live: Live | None) -> Reference:
    if not count or live is None:
        return Reference(f"{count:,}" if count else "-")
    return Reference(f"{count:,}", address("/credentials", [("kind", kind), ("state", state)], live.as_of))
