"""
The page of a part of a lineage, which only a live console has: the members of a group that folds, or what a search
finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tokentrail.formatting import counted, listed
from tokentrail.lineage.model import Credential
from tokentrail.present import words
from tokentrail.present.html.console import Live, address, story, turning
from tokentrail.present.html.page import ReportLayout, page
from tokentrail.present.html.tree import above, branch, group_of, living_first, searched
from tokentrail.present.text.trace_text import birth


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Which part of a lineage is asked for."""

    under: str | None = None
    """The parent of a group."""
    kind: str | None = None
    of: str | None = None
    """The role or principal of a group."""
    find: str = ""
    """What is searched for instead."""


def members(layout: ReportLayout, part: Part) -> list[Credential]:
    """List the credentials of a part, those that work first; a search looks at colleagues' as well."""
    trace = layout.report_data.trace
    if part.find:
        wanted = part.find.lower()
        return living_first(
            [one for one in (*trace.credentials, *layout.report_data.bystanders) if wanted in _said(one)]
        )
    known = {one.id for one in trace.credentials}
    return living_first([
        one for one in trace.credentials
        if above(one, known) == part.under
        and (part.kind is None or group_of(one) == (part.kind, part.of or ""))
    ])  # fmt: skip


def _said(one: Credential) -> str:
    told = (
        one.id, *one.access_key_ids, words.kind(one), one.principal, one.role, one.session_name, one.source_identity,
        one.identity, words.state(one), birth(one), *one.source_ips,
    )  # fmt: skip
    return "\n".join(each for each in told if each).lower()


def branch_page(
    layout: ReportLayout, part: Part, found: Sequence[Credential], count: int, number: int, *, more: bool, live: Live,
    version: str,
) -> str:  # fmt: skip
    """Show some of the credentials of a part, each with what it did and what descends from it."""
    report_data, names = layout.report_data, replace(layout.names, live=live)
    shown = (
        branch(report_data.trace, report_data.bystanders, found, names, alone=bool(part.find))
        if found
        else None
    )
    return page(
        "lineage_page.html", "Part of a lineage", version, live, fetches=True, as_of=report_data.trace.as_of,
        count=counted(count, "credential"), part=part, branch=shown, kept=searched(live),
        back=address("/trace", story(live), live.as_of) + "#lineage",
        subject=listed(report_data.trace.subject, 2), turning=turning(live, number, more),
    )  # fmt: skip
