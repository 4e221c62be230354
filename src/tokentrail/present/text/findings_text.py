"""
Findings as text: the worst first, each with its facts, how to tell a false alarm, and what answers it. And the
catalogue.
"""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from tokentrail import formatting
from tokentrail.detection.addresses import Address
from tokentrail.detection.model import SEVERITIES, Finding, Rule, Severity
from tokentrail.formatting import counted
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.text.text_writer import TextWriter

_STYLES: dict[Severity, str] = {
    "critical": "bold red", "high": "red", "medium": "yellow", "low": "cyan", "info": "dim",
}  # fmt: skip
Found = TypeVar("Found")
_LABEL = 13
_MOST = 6
_ALIKE = 10
"""Findings of one kind that are all told; of more the first, and what the others come to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """A rule as it is listed."""

    id: str
    title: str
    severity: Severity
    """The worst that it finds."""
    attack: tuple[str, ...]
    why: str
    false_alarm: str
    thresholds: tuple[str, ...]
    references: tuple[str, ...]
    source: str
    """Whose it is: `tokentrail`, or the file of a Sigma rule."""
    problem: str | None = None
    """Why it can't be run."""


def entry(rule: Rule, *, source: str = "tokentrail") -> CatalogueEntry:
    """A rule of the catalogue as it is listed."""
    return CatalogueEntry(
        id=rule.id, title=rule.title, severity=rule.severity, attack=rule.attack, why=rule.why,
        false_alarm=rule.false_alarm, thresholds=rule.thresholds, references=rule.references, source=source,
    )  # fmt: skip


def unusable(title: str, source: str, problem: str) -> CatalogueEntry:
    """A rule that can't be run, as it is listed."""
    return CatalogueEntry(
        id="", title=title, severity="info", attack=(), why="", false_alarm="", thresholds=(), references=(),
        source=source, problem=problem,
    )  # fmt: skip


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Order findings for a reader: the worst first, then by time."""
    return sorted(findings, key=lambda one: (-SEVERITIES.index(one.severity), one.time, one.id))


def to_start_from(findings: Iterable[Finding]) -> list[Finding]:
    """
    The worst findings that lead to one subject, to which most of them do: one about it first, be it less grave.

    They lead to their own subject, or to what that descends from if anything was found about that: the first may be
    about an old session, and another about the key that this and many others came from.
    """
    named = [one for one in worst_first(findings) if one.subject is not None]
    about = {one.subject: one for one in reversed(named)}
    leads = [(one.root if one.root in about else one.subject, one)
             for one in named if one.severity == named[0].severity]  # fmt: skip
    for start, _ in Counter(lead for lead, _ in leads).most_common(1):
        return [about[start], *(one for lead, one in leads if lead == start and one is not about[start])]
    return []


def write_findings(
    findings: Iterable[Finding], writer: TextWriter, *, case: Path | str | None = None, explain: bool = False,
    files: Mapping[str, str] = MappingProxyType({}),
) -> None:  # fmt: skip
    """
    Write findings, the worst first.

    Args:
        findings: In any order.
        writer: Where to.
        case: The case that their commands name, where one must be named.
        explain: Whether to write their events, thresholds and how to tell a false alarm, too.
        files: The file or S3 key of each event, as far as they are known.
    """
    listed = worst_first(findings)
    if not listed:
        writer.wrapped(
            "Nothing found. That is no proof that nothing happened: `tokentrail status` lists the evidence gaps."
        )
        return
    counts = Counter(one.severity for one in listed)
    told = ", ".join(f"{counts[name]} {name}" for name in reversed(SEVERITIES) if counts[name])
    writer.line((counted(len(listed), "finding"), "bold"), f": {told}")
    told_before: set[tuple[str, str]] = set()
    others = past_the_first(listed, lambda one: (one.rule, one.severity, one.title), attrgetter("id"))
    folded = {one.id for same in others.values() for one in same}
    for one in listed:
        if one.id in others:
            _write_others(others[one.id], writer, case)
        if one.id in folded:
            continue
        doubt = one.rule, one.false_alarm  # rules may share what they say
        write_finding(one, writer, case=case, doubted=doubt in told_before, explain=explain, files=files)
        told_before.add(doubt)
    if not explain:
        writer.line()
        command = words.pasted("tokentrail detect --explain", case)
        writer.command(f"Events, thresholds and how to tell a false alarm: {command}")


def past_the_first(
    listed: Iterable[Found], kind: Callable[[Found], object], name: Callable[[Found], str]
) -> dict[str, list[Found]]:
    """Of each kind of which there are many, those past the first few, by the name of the first of them."""
    alike: dict[object, list[Found]] = {}
    for one in listed:
        alike.setdefault(kind(one), []).append(one)
    return {name(same[_MOST]): same[_MOST:] for same in alike.values() if len(same) > _ALIKE}


def write_finding(
    one: Finding,
    writer: TextWriter,
    *,
    case: Path | str | None = None,
    doubted: bool = False,
    explain: bool = False,
    files: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """
    Write one finding.

    Args:
        one: The finding.
        writer: Where to.
        case: The case that its command names, where one must be named.
        doubted: Whether it was told above of its rule how to tell a false alarm.
        explain: Whether to write events, thresholds and how to tell a false alarm, too.
        files: The file or S3 key of each event, as far as they are known.
    """
    writer.line()
    writer.entry(
        (f"{one.severity.upper():<9}", _STYLES[one.severity]), f" {timestamp(one.time)}  ",
        tail=one.title, indent=" " * 10, style="bold",
    )  # fmt: skip
    writer.wrapped(one.why, first=_label("what"))
    writer.wrapped(_some(subject_first(one.subject, one.credentials)), first=_label("credentials"))
    if one.root is not None and one.root not in one.credentials:
        they = "it descends" if len(one.credentials) == 1 else "they descend"
        writer.wrapped(f"{one.root}, which {they} from", first=_label("ancestor"))
    more = f" ({counted(one.count, 'event')} in all)" if one.count > len(one.events) else ""
    if explain:
        writer.wrapped(_some(one.events) + more, first=_label("events"))
    if one.addresses:
        writer.wrapped(_some([_address(each) for each in one.addresses]), first=_label("from"))
    held = list(dict.fromkeys(files[each] for each in one.events if each in files))
    if explain and held:
        writer.wrapped(_some(held), first=_label("files"))
    if explain:
        doubt = f"see the first finding by {one.rule}" if doubted else one.false_alarm
        writer.wrapped(doubt, first=_label("false alarm?"))
    by = f"{one.rule}  {' '.join(one.attack)}"
    writer.wrapped(
        by + (f"  ({', '.join(one.thresholds)})" if one.thresholds and explain else ""), first=_label("rule")
    )
    if one.next.startswith("tokentrail "):
        writer.command(words.pasted(one.next, case), first=_label("next"), style="bold")
    else:
        writer.wrapped(one.next, first=_label("next"), style="bold")


def _write_others(alike: Sequence[Finding], writer: TextWriter, case: Path | str | None) -> None:
    """Write in one what findings come to that differ from those above in whom they are about."""
    first = alike[0]
    writer.line()
    writer.entry(
        (f"{first.severity.upper():<9}", _STYLES[first.severity]),
        f" {timestamp(first.time)}  and {len(alike):,} more: ",
        tail=first.title, indent=" " * 10, style="bold",
    )  # fmt: skip
    writer.wrapped(timestamp(max(one.time for one in alike)), first=_label("last"))
    for label, each in (
        ("credentials", (id for one in alike for id in subject_first(one.subject, one.credentials))),
        (
            "ancestors",
            (one.root for one in alike if one.root is not None and one.root not in one.credentials),
        ),
        ("from", (_address(each) for one in alike for each in one.addresses)),
    ):
        if items := list(dict.fromkeys(each)):
            writer.wrapped(_some(items), first=_label(label))
    every = words.pasted(f"tokentrail detect --rule {shlex.quote(first.rule)} --format jsonl", case)
    writer.command(f"{every} lists each", first=_label("rule"))


def subject_first(subject: str | None, credentials: Sequence[str]) -> list[str]:
    """A finding's credentials for a reader: what it is about, then the others by age."""
    return sorted(credentials, key=lambda one: one != subject)


def _address(one: Address) -> str:
    owner = " ".join(part for part in (f"AS{one.asn}" if one.asn is not None else None, one.owner) if part)
    known = ", ".join(part for part in (one.country, owner, one.aws and f"AWS {one.aws}") if part)
    return f"{one.ip} ({known})" if known else one.ip


def _some(items: Sequence[str]) -> str:
    return formatting.listed(items, _MOST) or "-"


def _label(text: str) -> str:
    return f"  {text:{_LABEL}}"


def write_catalogue(entries: Iterable[CatalogueEntry], writer: TextWriter) -> None:
    """Write the catalogue, then what can't be run of it."""
    listed = list(entries)
    usable = [one for one in listed if one.problem is None]
    writer.line(counted(len(usable), "rule"), "; the severity is the worst that a rule finds")
    for one in usable:
        writer.line()
        writer.line(
            (f"{one.severity.upper():<9}", _STYLES[one.severity]), f" {one.id}  ", (one.title, "bold")
        )
        writer.wrapped(one.why, first=_label("why"))
        writer.wrapped(one.false_alarm, first=_label("false alarm?"))
        writer.wrapped("  ".join((" ".join(one.attack), *one.thresholds)) or "-", first=_label("ATT&CK"))
        writer.wrapped("; ".join(one.references) or "-", first=_label("sources"))
        if one.source != "tokentrail":
            writer.wrapped(one.source, first=_label("file"))
    unusable = [one for one in listed if one.problem is not None]
    if unusable:
        writer.heading(f"{counted(len(unusable), 'rule')} that can't be run")
        for one in unusable:
            writer.wrapped(f"{one.title} ({one.source}): {one.problem}", first="  - ")
