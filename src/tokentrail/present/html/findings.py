"""
What detection found, each finding a document as `detect` prints it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from tokentrail.formatting import counted
from tokentrail.present.document import Document
from tokentrail.present.html.console import address
from tokentrail.present.html.label_resolver import LabelResolver
from tokentrail.present.html.view_models import Excerpt, Reference, excerpt
from tokentrail.present.safe import brief
from tokentrail.present.text.findings_text import past_the_first, subject_first

_MOST = 200
_EVENTS = 6
_SEVERITIES = ("critical", "high", "medium", "low", "info")


@dataclass(frozen=True, slots=True, kw_only=True)
class Severity:
    """How grave a finding is."""

    text: str
    level: str
    """One of the levels that there are, whatever the text is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownFinding:
    """A finding; or several that differ in whom they are about, of which the first was shown already."""

    severity: Severity
    title: str
    time: str
    rule: str
    credentials: Excerpt[Reference]
    count: int = 1
    """How often it happened."""
    why: str = ""
    trace: Reference | None = None
    """Its subject's page, in a console."""
    next: str = ""
    next_is_command: bool = False
    false_alarm: str = ""
    attack: tuple[str, ...] = ()
    """Techniques of ATT&CK."""
    events: Excerpt[Reference] = field(default_factory=Excerpt)
    alike: int = 0
    """How many findings it stands for."""
    until: str = ""
    """The time of the last of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsElsewhere:
    """Findings about credentials that are not on the page, summed up."""

    told: str
    place: str | None
    """All findings of the console."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsView:
    """What the section of the findings shows."""

    answer: Literal["found", "looking", "later", "not asked"]
    """`later`: the console's page of findings has the answer."""
    place: str = ""
    """Where to look for findings that are not here."""
    note: str = ""
    failed: tuple[str, ...] = ()
    """Sentences about rules that ended in an error, whose findings may be missing."""
    findings: Excerpt[ShownFinding] = field(default_factory=Excerpt)
    elsewhere: FindingsElsewhere | None = None


def findings_view(
    findings: Sequence[Document] | None,
    names: LabelResolver,
    elsewhere: Sequence[Document] = (),
    *,
    failed: Sequence[str] = (),
) -> FindingsView:
    """
    Choose what the section shows.

    Args:
        findings: Those about the page's credentials.
        names: What these are called.
        elsewhere: Those about others: a page about one key is not all that the case holds.
        failed: Sentences about rules that ended in an error, whose findings may be missing.
    """
    live = names.live
    if findings is None and live is not None and live.looking:
        return FindingsView(answer="looking", place=address(live.path, live.query))
    if findings is None and live is not None:
        return FindingsView(answer="later", place=address("/findings", (), live.as_of))
    if findings is None:
        return FindingsView(answer="not asked")
    return FindingsView(
        answer="found", failed=tuple(failed), findings=_ranked(findings, names), elsewhere=_elsewhere(elsewhere, names),
        note=f"{counted(len(findings), 'finding')}, the most severe first." if findings else "",
    )  # fmt: skip


def severity(text: str) -> Severity:
    """Say how grave a finding is."""
    return Severity(text=brief(text, 20), level=text if text in _SEVERITIES else "info")


def _ranked(findings: Sequence[Document], names: LabelResolver) -> Excerpt[ShownFinding]:
    """The gravest first; of those that differ in whom they are about alone, the first and how many more there are."""
    ranked = sorted(findings, key=_rank)
    others = past_the_first(
        ranked, lambda one: tuple(map(one.get, ("rule", "severity", "title"))), lambda one: str(one.get("id"))
    )
    folded = {str(one.get("id")) for same in others.values() for one in same} - others.keys()
    chosen = [one for one in ranked if str(one.get("id")) not in folded]

    def shown(one: Document) -> ShownFinding:
        same = others.get(str(one.get("id")))
        return _others(same, names) if same else _finding(one, names)

    return excerpt(chosen, _MOST, shown)


def _elsewhere(findings: Sequence[Document], names: LabelResolver) -> FindingsElsewhere | None:
    if not findings:
        return None
    counts = [(each, sum(one.get("severity") == each for one in findings)) for each in _SEVERITIES]
    grave = ", ".join(f"{count:,} {each}" for each, count in counts if count)
    told = f"Not about the credentials on this page: {counted(len(findings), 'more finding')} ({grave}), "
    return FindingsElsewhere(told=told, place=address("/findings") if names.live else None)


def _rank(one: Document) -> tuple[int, str, str]:
    level = one.get("severity")
    place = _SEVERITIES.index(level) if level in _SEVERITIES else len(_SEVERITIES)
    return place, str(one.get("time") or ""), str(one.get("id") or "")


def _finding(one: Document, names: LabelResolver) -> ShownFinding:
    ids = subject_first(one.get("subject"), [str(each) for each in one.get("credentials") or ()])
    todo = brief(str(one.get("next") or ""), 600)
    return ShownFinding(
        severity=severity(str(one.get("severity") or "info")), title=_title(one), count=int(one.get("count") or 1),
        why=brief(str(one.get("why") or ""), 1000), trace=_trace(one, names),
        next=todo, next_is_command=todo.startswith("tokentrail "),
        false_alarm=brief(str(one.get("false_alarm") or ""), 600),
        time=str(one.get("time") or ""), rule=str(one.get("rule") or ""),
        attack=tuple(brief(str(each), 40) for each in one.get("attack") or ()), credentials=names.references(ids),
        events=excerpt([str(each) for each in one.get("events") or ()], _EVENTS, names.event),
    )  # fmt: skip


def _title(one: Document) -> str:
    return brief(str(one.get("title") or one.get("rule") or ""))


def _others(alike: Sequence[Document], names: LabelResolver) -> ShownFinding:
    """What findings come to that differ from those above in whom they are about."""
    first, last = alike[0], alike[-1]
    ids = list(dict.fromkeys(str(each) for one in alike for each in one.get("credentials") or ()))
    return ShownFinding(
        severity=severity(str(first.get("severity") or "info")), title=_title(first), alike=len(alike),
        time=str(first.get("time") or ""), until=str(last.get("time") or ""), rule=str(first.get("rule") or ""),
        credentials=names.references(ids),
    )  # fmt: skip


def _trace(one: Document, names: LabelResolver) -> Reference | None:
    """Lead to the page of its subject, in a console."""
    subject = one.get("subject")
    if names.live is None or not subject or str(subject) in names.anchors:
        return None
    return names.traced(str(subject))
