"""
The page of a case without a subject: what it holds, and where an investigation might start.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from tokentrail.lineage.model import State
from tokentrail.present import words
from tokentrail.present.document import Document, timestamp
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
    case_id: str, found: Overview, findings: Sequence[Document] | None, status: Status, version: str
) -> str:
    """Build the page."""
    until = f"  ·  evidence until {timestamp(status.last)}" if status.last else ""
    body = join([
        tag(
            "header",
            tag("p", tag("b", "TokenTrail"), f"  case {case_id}{until}", class_="kicker"),
            tag("h1", f"{words.number(found.credentials, 'credential')} in the evidence"),
            tag("p", "No subject was named, so that nothing here counts as an attacker's. Name one: "
                "`tokentrail report SUBJECT -o FILE.html`.", class_="lead"),
        ),
        navigation(_PLACES),
        tag(
            "main", candidates(found), kinds(found), findings_section(findings, Names({}, {})),
            evidence_section(status, None),
        ),
        footer(version),
    ])  # fmt: skip
    return whole(f"Case {case_id} · TokenTrail", body)


def candidates(found: Overview) -> Html:
    """List what an investigation might start from."""
    rows = [
        (tag("code", brief(one.id)), words.KINDS.get(one.kind, one.kind), one.state, f"{one.minted:,}",
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
