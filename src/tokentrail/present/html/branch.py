"""
The page of a part of a lineage, which only a live console has: the members of a group that folds, or what a search
finds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from tokentrail.lineage.model import Credential
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.console import Live, address, console_bar, pages, story
from tokentrail.present.html.markup import brief, join, tag
from tokentrail.present.html.page import Sheet, footer, whole
from tokentrail.present.html.pieces import section
from tokentrail.present.html.tree import above, branch, group_of, living_first, search
from tokentrail.present.lineage import birth


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


def members(sheet: Sheet, part: Part) -> list[Credential]:
    """List the credentials of a part, those that work first; a search looks at colleagues' as well."""
    trace = sheet.dossier.trace
    if part.find:
        wanted = part.find.lower()
        return living_first(
            [one for one in (*trace.credentials, *sheet.dossier.bystanders) if wanted in _said(one)]
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
    sheet: Sheet, part: Part, found: Sequence[Credential], count: int, page: int, *, more: bool, live: Live,
    version: str,
) -> str:  # fmt: skip
    """Show some of the credentials of a part, each with what it did and what descends from it."""
    dossier, names = sheet.dossier, replace(sheet.names, live=live)
    back = tag("a", tag("code", brief(words.listed(dossier.trace.subject, 2), 120)),
               href=address("/trace", story(live), live.as_of) + "#lineage")  # fmt: skip
    said = f"{words.number(count, 'credential')} found in the lineage of " if part.find else (
        f"{words.number(count, 'credential')} of one kind, role and parent in the lineage of "
    )  # fmt: skip
    drawn = branch(dossier.trace, dossier.bystanders, found, names, alone=bool(part.find))
    body = join([
        console_bar(live),
        tag("header",
            tag("p", tag("b", "TokenTrail"), f"  as of {timestamp(dossier.trace.as_of)}", class_="kicker"),
            tag("h1", "Part of a lineage")),
        tag("main",
            section("lineage", "Lineage", tag("p", said, back, class_="note"), search(live, part.find),
                    drawn if found else tag("p", "None.", class_="empty"), pages(live, page, more)),
            id="content"),
        footer(version),
    ])  # fmt: skip
    return whole("Part of a lineage · TokenTrail", body, live=True, fetches=True)
