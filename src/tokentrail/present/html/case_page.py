"""
The page of a case without a subject: what it holds, and where an investigation might start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from tokentrail.lineage.model import State
from tokentrail.present import words
from tokentrail.present.document import Document, timestamp
from tokentrail.present.html.console import Live, console_bar, trace_address
from tokentrail.present.html.dossier import Names
from tokentrail.present.html.evidence import evidence_section
from tokentrail.present.html.findings import findings_section
from tokentrail.present.html.markup import Html, brief, join, tag
from tokentrail.present.html.page import footer, navigation, whole
from tokentrail.present.html.pieces import section, table
from tokentrail.present.overview import Overview
from tokentrail.results import Status

_STATES = get_args(State)
_PLACES = (
    ("start", "Where to start"),
    ("kinds", "Kinds"),
    ("findings", "Findings"),
    ("evidence", "Evidence"),
)


def case_page(
    case_id: str,
    found: Overview,
    findings: Sequence[Document] | None,
    status: Status,
    version: str,
    live: Live | None = None,
) -> str:
    """Build the page."""
    until = f"  ·  evidence until {timestamp(status.last)}" if status.last else ""
    how = (
        "Ask about one above, or choose one below."
        if live
        else "Name one: `tokentrail report SUBJECT -o FILE.html`."
    )
    body = join([
        console_bar(live) if live else None,
        tag(
            "header",
            tag("p", tag("b", "TokenTrail"), f"  case {case_id}{until}", class_="kicker"),
            tag("h1", f"{words.number(found.credentials, 'credential')} in the evidence"),
            tag("p", f"No subject was named, so that nothing here counts as an attacker's. {how}", class_="lead"),
        ),
        navigation(_PLACES),
        tag(
            "main",
            candidates(found, linked=live is not None),
            kinds(found),
            findings_section(findings, Names({}, {}), live=live is not None),
            evidence_section(status, None),
        ),
        footer(version),
    ])  # fmt: skip
    return whole(f"Case {case_id} · TokenTrail", body, live=live is not None)


def candidates(found: Overview, *, linked: bool = False) -> Html:
    """List what an investigation might start from."""
    rows = [
        (_named(one.id, linked=linked), words.KINDS.get(one.kind, one.kind), one.state, f"{one.minted:,}",
         f"{one.events:,}", one.account or "-", brief(words.principal(one.principal)))
        for one in found.candidates
    ]  # fmt: skip
    heads = ("Credential", "Kind", "State", "Minted", "Calls", "Account", "Principal")
    body = (
        table(heads, rows, caption="Where to start", numbers=(3, 4))
        if rows
        else tag("p", "None.", class_="empty")
    )
    return section("start", "Where to start", body,
                   note="Long-term keys and session tokens, those that minted most first.")  # fmt: skip


def _named(credential: str, *, linked: bool) -> Html:
    shown = tag("code", brief(credential))
    return tag("a", shown, href=trace_address(credential)) if linked else shown


def kinds(found: Overview) -> Html:
    """Count by kind and state."""
    by: dict[str, dict[str, int]] = {}
    for kind, state, count in found.counts:
        by.setdefault(words.KINDS.get(kind, kind), {})[state] = count
    rows = [
        (kind, *(f"{counts[state]:,}" if counts.get(state) else "-" for state in _STATES))
        for kind, counts in by.items()
    ]
    counted = table(("Kind", *_STATES), rows, caption="Credentials by kind and state", numbers=(1, 2, 3, 4))
    return section("kinds", "Kinds and states", counted)
