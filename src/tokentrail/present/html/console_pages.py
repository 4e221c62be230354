"""
The pages that only a live console has: lists that can be searched and turned over, one raw record, and a refusal.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tokentrail.detection.model import SEVERITIES
from tokentrail.lineage.model import KINDS, Credential, TimelineEvent
from tokentrail.present.document import Document
from tokentrail.present.html.console import Live, address, asked_moment, narrowed, turning
from tokentrail.present.html.evidence import evidence_view
from tokentrail.present.html.findings import findings_view
from tokentrail.present.html.label_resolver import LabelResolver
from tokentrail.present.html.page import page
from tokentrail.present.html.records import shown_record
from tokentrail.present.html.timeline import moment, outcome
from tokentrail.present.html.view_models import Reference
from tokentrail.present.safe import brief
from tokentrail.present.text.timeline_text import resource
from tokentrail.results import RawRecord, Status

_ACCOUNTS = 500
"""Accounts that can be chosen from."""
_SORTED = ("Credential", "Kind", "State", "Of", "Issued", "Ends", "Calls")
"""The columns by which credentials can be sorted."""


@dataclass(frozen=True, slots=True)
class SortableColumn:
    """The head of a column that a list can be sorted by."""

    name: str
    place: str
    """The list sorted by it, or, where it is, in the order of time."""
    told: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class ListedCall:
    """A call of the list of all calls."""

    event: TimelineEvent
    time: Reference
    """The moment, leading to the raw record."""
    credential: Reference
    result: str
    resource: str


def credentials_page(
    found: Sequence[Credential], asked: dict[str, str], number: int, *, more: bool, live: Live, version: str
) -> str:
    """List credentials that meet what was asked."""
    sort = asked.get("sort")
    order = f"sorted by {sort}" if sort else "in order of time"
    names = LabelResolver({}, {}, live=live)
    return page(
        "credentials.html", "Credentials in the evidence", version, live, asked=asked,
        credentials=[(names.traced(one.id), one) for one in found],
        columns=[_column(name, asked, live) for name in _SORTED],
        kept=((("sort", sort),) if sort else ()) + asked_moment(live), turning=turning(live, number, more),
        note=f"Every credential that the evidence shows, issued or used, {order}.",
        kinds=KINDS,
    )  # fmt: skip


def _column(name: str, asked: Mapping[str, str], live: Live) -> SortableColumn:
    chosen = asked.get("sort") == name.lower()
    kept = [(key, value) for key, value in live.query if key not in ("sort", "page")]
    place = address(live.path, kept if chosen else [*kept, ("sort", name.lower())], live.as_of)
    return SortableColumn(
        name, place, "in order of time again" if chosen else f"sort by {name.lower()}", chosen
    )


def timeline_page(
    events: Sequence[TimelineEvent], subjects: Sequence[str], search: str, number: int, *, more: bool, live: Live,
    version: str,
) -> str:  # fmt: skip
    """List the calls of a subject and of all that descends from it, each leading to its record."""
    names = LabelResolver({}, {}, live=live)
    calls = [_listed_call(one, names) for one in events]
    return page(
        "timeline_page.html", "Timeline", version, live, calls=calls, wanted=search,
        subjects=[names.traced(one, 80) for one in subjects],
        kept=(*(("subject", one) for one in subjects), *asked_moment(live)), narrowed=narrowed(live),
        turning=turning(live, number, more),
    )  # fmt: skip


def _listed_call(one: TimelineEvent, names: LabelResolver) -> ListedCall:
    result = one.error_code or outcome(one)
    return ListedCall(one, moment(one, names), names.reference(one.credential), result, resource(one))


def findings_page(
    findings: Sequence[Document] | None, failed: Sequence[str], live: Live, version: str, *,
    asked: Mapping[str, str], accounts: Sequence[str],
) -> str:  # fmt: skip
    """List all findings, or those of a severity or account."""
    title = "What detection finds" if live.looking else "What detection found"
    return page(
        "findings_page.html", title, version, live, choosing=findings is not None, asked=asked,
        severities=[(one, one) for one in reversed(SEVERITIES)],
        accounts=[(one, brief(one, 40)) for one in accounts[:_ACCOUNTS]], kept=asked_moment(live),
        findings=findings_view(findings, LabelResolver({}, {}, live=live), failed=failed),
    )  # fmt: skip


def evidence_page(status: Status, live: Live, version: str) -> str:
    """Tell what was read, and what was not."""
    evidence = evidence_view(status, None)
    return page(
        "console_page.html", "What the answers rest on", version, live, section="evidence.html", evidence=evidence
    )  # fmt: skip


def record_page(one: RawRecord, live: Live, version: str) -> str:
    """Show one record."""
    return page("record_page.html", "A record", version, live, record=shown_record(one))


def refusal_page(
    title: str, told: str, live: Live | None, version: str, onward: tuple[str, str] | None = None
) -> str:
    """Say why there is no answer, and where to go on."""
    return page("refusal.html", title, version, live, told=told, onward=onward)
