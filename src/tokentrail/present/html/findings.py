"""
What detection found, each finding a document as `detect` prints it.
"""

from __future__ import annotations

from collections.abc import Sequence

from tokentrail.present import words
from tokentrail.present.document import Document
from tokentrail.present.findings import past_the_first, subject_first
from tokentrail.present.html.console import address, trace_address
from tokentrail.present.html.dossier import Names
from tokentrail.present.html.markup import Html, join, prose, tag
from tokentrail.present.html.pieces import and_more, event, references, section
from tokentrail.present.safe import brief
from tokentrail.spelling import more

_MOST = 200
_EVENTS = 6
_SEVERITIES = ("critical", "high", "medium", "low", "info")


def findings_section(
    findings: Sequence[Document] | None,
    names: Names,
    elsewhere: Sequence[Document] = (),
    *,
    failed: Sequence[str] = (),
) -> Html:
    """
    Build the section.

    Args:
        findings: Those about the page's credentials.
        names: What these are called.
        elsewhere: Those about others: a page about one key is not all that the case holds.
        failed: Sentences about rules that ended in an error, whose findings may be missing.
    """
    if findings is None and names.live is not None and names.live.looking:
        told = "Detection is still looking, which may take minutes in a case of this size. All else here is whole. "
        again = tag("a", "Look again", href=address(names.live.path, names.live.query))
        return section("findings", "Findings", tag("p", told, again, ".", class_="empty"))
    if findings is None and names.live is not None:
        there = tag("a", "What detection finds in the evidence up to this moment",
                    href=address("/findings", (), names.live.as_of))  # fmt: skip
        return section("findings", "Findings", tag("p", there))
    if findings is None:
        told = "Detection was not asked for this page, so that nothing here says whether there is anything to find."
        return section("findings", "Findings", tag("p", told, class_="empty"))
    if not findings:
        return section(
            "findings",
            "Findings",
            *_failed(failed),
            tag("p", "Detection ran and found nothing about these.", class_="empty"),
            _elsewhere(elsewhere, names),
        )
    ranked = sorted(findings, key=_rank)
    others = past_the_first(
        ranked, lambda one: tuple(map(one.get, ("rule", "severity", "title"))), lambda one: str(one.get("id"))
    )
    folded = {str(one.get("id")) for same in others.values() for one in same} - others.keys()
    chosen = [one for one in ranked if str(one.get("id")) not in folded]
    shown = (
        _others(same, names) if (same := others.get(str(one.get("id")))) else _finding(one, names)
        for one in chosen[:_MOST]
    )
    return section(
        "findings", "Findings",
        *_failed(failed),
        tag("ol", *shown, class_="findings"),
        and_more(len(chosen), _MOST, "`tokentrail detect` lists all of them"),
        _elsewhere(elsewhere, names),
        note=f"{words.number(len(findings), 'finding')}, the most severe first.",
    )  # fmt: skip


def _failed(sentences: Sequence[str]) -> list[Html]:
    return [tag("p", tag("b", one)) for one in sentences]


def _elsewhere(findings: Sequence[Document], names: Names) -> Html | None:
    if not findings:
        return None
    counts = [(each, sum(one.get("severity") == each for one in findings)) for each in _SEVERITIES]
    grave = ", ".join(f"{count:,} {each}" for each, count in counts if count)
    told = (
        f"Not about the credentials on this page: {words.number(len(findings), 'more finding')} ({grave}), "
    )
    way = (
        tag("a", "all findings", href=address("/findings"))
        if names.live
        else tag("code", "tokentrail detect")
    )
    return tag("p", told, way, ".", class_="note")


def _rank(one: Document) -> tuple[int, str, str]:
    severity = one.get("severity")
    place = _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)
    return place, str(one.get("time") or ""), str(one.get("id") or "")


def _finding(one: Document, names: Names) -> Html:
    severity = str(one.get("severity") or "info")
    ids = subject_first(one.get("subject"), [str(each) for each in one.get("credentials") or ()])
    count = int(one.get("count") or 1)
    attack = join(
        (tag("span", brief(str(each), 40), class_="technique") for each in one.get("attack") or ()), ", "
    )
    return tag(
        "li",
        tag("h3", severity_badge(severity), " ",
            brief(str(one.get("title") or one.get("rule") or "")), f" ×{count:,}" if count > 1 else None),
        tag("p", brief(str(one.get("why") or ""), 1000)),
        _ask(one, names),
        _next(one.get("next")),
        _sentence("Harmless if: ", one.get("false_alarm"), "soft"),
        tag("p", tag("time", str(one.get("time") or "")), "  ", tag("code", str(one.get("rule") or "")),
            "  ", attack, "  ", join(["on ", references(ids, names)]) if ids else None, class_="soft"),
        _events(one, names),
    )  # fmt: skip


def _others(alike: Sequence[Document], names: Names) -> Html:
    """What findings come to that differ from those above in whom they are about."""
    first, last = alike[0], alike[-1]
    ids = list(dict.fromkeys(str(each) for one in alike for each in one.get("credentials") or ()))
    return tag(
        "li",
        tag("h3", severity_badge(str(first.get("severity") or "info")), f" and {len(alike):,} more: ",
            brief(str(first.get("title") or first.get("rule") or ""))),
        tag("p", tag("time", str(first.get("time") or "")), " to ", tag("time", str(last.get("time") or "")), "  ",
            tag("code", str(first.get("rule") or "")), join(["  on ", references(ids, names)]) if ids else None, "; ",
            prose("`tokentrail detect --format jsonl` lists each"), class_="soft"),
    )  # fmt: skip


def severity_badge(severity: str) -> Html:
    """How grave it is."""
    known = severity if severity in _SEVERITIES else "info"
    return tag("span", brief(severity, 20), class_=f"severity {known}")


def _events(one: Document, names: Names) -> Html | None:
    """Name the events that it rests on."""
    ids = [str(each) for each in one.get("events") or ()]
    if not ids:
        return None
    shown = join((event(each, names) for each in ids[:_EVENTS]), ", ")
    return tag("p", "Rests on ", shown, more(len(ids) - _EVENTS), class_="soft")


def _ask(one: Document, names: Names) -> Html | None:
    """Lead to the page of its subject, in a console."""
    subject = one.get("subject")
    if names.live is None or not subject or str(subject) in names.anchors:
        return None
    return tag("p", tag("a", f"Trace {brief(str(subject))}", href=trace_address(str(subject), names.live)))


def _next(told: object) -> Html | None:
    """What to do about a finding: a command as such, so that it can be copied."""
    if not told:
        return None
    text = brief(str(told), 600)
    return tag("p", tag("b", "Next: "), tag("code" if text.startswith("tokentrail ") else "span", text))


def _sentence(lead: str, told: object, class_: str | None) -> Html | None:
    return tag("p", tag("b", lead), brief(str(told), 600), class_=class_) if told else None
