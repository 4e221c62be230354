"""
The page of a case without a subject: the case at a glance, and what to look at first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

from tokentrail.lineage.model import KINDS, Kind, Overview, State
from tokentrail.present import words
from tokentrail.present.document import Document, timestamp
from tokentrail.present.html.console import Live, address, trace_address
from tokentrail.present.html.dossier import Names
from tokentrail.present.html.evidence import evidence_view
from tokentrail.present.html.findings import findings_section, severity_badge
from tokentrail.present.html.leads import any_strong, leads_section, subject_of
from tokentrail.present.html.markup import Html, prose, tag
from tokentrail.present.html.page import navigation, page
from tokentrail.present.html.pieces import figure, section, table
from tokentrail.present.html.templating import render
from tokentrail.present.safe import brief
from tokentrail.results import Status
from tokentrail.spelling import more

_STATES = get_args(State)
_PLACES = (
    ("leads", "Leads"), ("first", "First"), ("start", "Where to start"), ("kinds", "Kinds"), ("findings", "Findings"),
    ("evidence", "Evidence"),
)  # fmt: skip


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
    until = f"  ·  evidence until {timestamp(status.last)}" if status.last else ""
    names = Names({}, {}, live=live)
    subjects = subjects or FindingSubjects()
    ahead = [
        ("leads", leads_section(leads, names) if leads else None),
        ("first", first(subjects, names) if subjects.shown else None),
    ]
    if subjects.shown and not any_strong(leads):
        ahead.reverse()
    titles = dict(_PLACES)
    places = [(place, titles[place]) for place, shown in ahead if shown is not None]
    places += [one for one in _PLACES if one[0] not in ("leads", "first")]
    header = tag(
        "header",
        tag("p", tag("b", "TokenTrail"), f"  case {case_id}{until}", class_="kicker"),
        tag("h1", _headline(found, subjects)),
        tag("p", prose(_advice(subjects, leads, live)), class_="lead"),
        _figures(found, findings, status),
    )
    content = [
        *(shown for _, shown in ahead), candidates(found, names), kinds(found, live),
        findings_section(findings, names, failed=failed), render("evidence.html", evidence=evidence_view(status, None)),
    ]  # fmt: skip
    return page(
        "parts.html", f"Case {case_id}", version, live, header=header, navigation=navigation(tuple(places)),
        content=content,
    )  # fmt: skip


def _headline(found: Overview, subjects: FindingSubjects) -> str:
    if not subjects.shown:
        return f"{words.number(found.credentials, 'credential')} in the evidence"
    alive = sum(one.alive for one in subjects.shown)
    what = words.number(len(subjects.shown) + subjects.others, "subject")
    works = f"{words.number(alive, 'credential')} still {words.verb(alive, 'works', 'work')}"
    if subjects.others:
        behind = works if alive else "nothing works any more"
        first = f"{what} to follow: behind the first {len(subjects.shown)}, {behind}"
        return f"{first}, and {_working(subjects)}" if subjects.working else first
    return f"{what} to follow, {f'behind which {works}' if alive else 'none of which works any more'}"


def _working(subjects: FindingSubjects) -> str:
    return f"{subjects.working:,} of the others still {words.verb(subjects.working, 'works', 'work')}"


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


def _figures(found: Overview, findings: Sequence[Document] | None, status: Status) -> Html:
    working = sum(count for _, state, count in found.counts if state in ("active", "unknown"))
    accounts = len({one.account for one in status.coverage if one.account})
    lost = sum(one.count for one in status.rejected if one.field is None)
    return tag(
        "dl",
        figure(f"{found.credentials:,}", "credentials"),
        figure(f"{working:,}", "of these work, or may"),
        figure("…", "findings are looked for")
        if findings is None
        else figure(f"{len(findings):,}", words.verb(len(findings), "finding", "findings")),
        figure(f"{status.records:,}", "events"),
        figure(f"{accounts:,}", words.verb(accounts, "account", "accounts")),
        figure(f"{lost:,}", "records that could not be read"),
        class_="figures",
    )  # fmt: skip


def first(subjects: FindingSubjects, names: Names) -> Html:
    """List what to look at first."""
    items = []
    for one in subjects.shown:
        shown = tag("code", brief(one.subject))
        named = tag("a", shown, href=trace_address(one.subject, names.live)) if names.live else shown
        family = words.number(one.credentials, "credential")
        works = f"{one.alive:,} of {family} from it still {words.verb(one.alive, 'works', 'work')}"
        items.append(tag(
            "li",
            tag("h3", severity_badge(one.severity), " ", named, tag("span", f"  {brief(one.of, 120)}", class_="soft")),
            tag("p", tag("strong", works, class_="bad" if one.alive else "good"), ". ",
                brief("; ".join(one.titles) + more(one.findings - len(one.titles)), 600), "."),
        ))  # fmt: skip
    note = (
        "Subjects that findings point to, the most severe first, with all that descends from each, and what hosts and "
        "sign-ins behind it handed out since."
    )
    return section(
        "first",
        "Look at this first",
        tag("ol", *items, class_="findings"),
        _others(subjects),
        note=note,
    )


def _others(subjects: FindingSubjects) -> Html | None:
    """Say how many subjects are not looked into here, and how many of them work."""
    if not subjects.others:
        return None
    told = f"… and findings point to {words.number(subjects.others, 'more subject')}"
    works = (
        f", of which {subjects.working:,} still {words.verb(subjects.working, 'works', 'work')}"
        if subjects.working
        else ""
    )
    return tag("p", f"{told}{works}: see ", tag("a", "Findings", href="#findings"), ".", class_="note")


def candidates(found: Overview, names: Names) -> Html:
    """List what an investigation might start from."""
    rows = [
        (_named(one.id, names), KINDS.get(one.kind, one.kind), one.state, f"{one.minted:,}",
         f"{one.events:,}", one.account or "-", brief(words.principal(one.principal)))
        for one in found.candidates
    ]  # fmt: skip
    heads = ("Credential", "Kind", "State", "Minted", "Calls", "Account", "Principal")
    body = (
        table(heads, rows, caption="Credentials to start from", numbers=(3, 4))
        if rows
        else tag("p", "None.", class_="empty")
    )
    return section("start", "Where to start", body,
                   note="Long-term keys and session tokens, those that minted most first.")  # fmt: skip


def _named(credential: str, names: Names) -> Html:
    shown = tag("code", brief(credential))
    return tag("a", shown, href=trace_address(credential, names.live)) if names.live else shown


def kinds(found: Overview, live: Live | None = None) -> Html:
    """Count by kind and state."""
    by: dict[Kind, dict[State, int]] = {}
    for kind, state, count in found.counts:
        by.setdefault(kind, {})[state] = count
    rows = [
        (KINDS.get(kind, kind), *(_count(kind, state, counts.get(state, 0), live) for state in _STATES))
        for kind, counts in by.items()
    ]
    counted = table(("Kind", *_STATES), rows, caption="Credentials by kind and state", numbers=(1, 2, 3, 4))
    return section("kinds", "Kinds and states", counted)


def _count(kind: Kind, state: State, count: int, live: Live | None) -> Html | str:
    """A number, leading to the list of what it counts in a console."""
    if not count or live is None:
        return f"{count:,}" if count else "-"
    return tag(
        "a", f"{count:,}", href=address("/credentials", [("kind", kind), ("state", state)], live.as_of)
    )
