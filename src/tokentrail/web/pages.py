"""
The pages, each a value: what it shows as HTML and what its JSON twin says come from the same fields.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from tokentrail import __version__
from tokentrail.lineage.model import Credential, TimelineEvent
from tokentrail.present.document import Document, document
from tokentrail.present.html import console_pages
from tokentrail.present.html.case_page import Lead, case_page
from tokentrail.present.html.chronicle import Line
from tokentrail.present.html.console import Live
from tokentrail.present.html.page import Sheet, sheet_page
from tokentrail.present.overview import Overview
from tokentrail.results import RawRecord, Status
from tokentrail.web.asked import Wish


class Page(Protocol):
    """What every page can do."""

    def html(self) -> str:
        """Show it to a person."""

    def twin(self) -> Document:
        """Tell a program the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StartPage:
    """The case at a glance, and what to look at first."""

    case_id: str
    overview: Overview
    leads: tuple[Lead, ...]
    findings: tuple[Document, ...]
    status: Status
    live: Live

    def html(self) -> str:
        """Show it to a person."""
        return case_page(
            self.case_id,
            self.overview,
            self.findings,
            self.status,
            __version__,
            leads=self.leads,
            live=self.live,
        )

    def twin(self) -> Document:
        """Tell a program the same."""
        return {
            "case_id": self.case_id, "first": [document(one) for one in self.leads],
            "overview": document(self.overview), "findings": list(self.findings), "status": document(self.status),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePage:
    """A subject: its lifelines, plan, lineage, timeline, what was taken, findings, evidence."""

    sheet: Sheet
    live: Live

    def html(self) -> str:
        """Show it to a person."""
        return sheet_page(self.sheet)

    def twin(self) -> Document:
        """Tell a program the same; of the calls, the lines that the page shows."""
        dossier, chronicle = self.sheet.dossier, self.sheet.chronicle
        return {
            "case_id": dossier.case_id,
            "trace": document(dossier.trace),
            "plan": document(dossier.plan) if dossier.plan else None,
            "colleagues": [document(one) for one in dossier.bystanders],
            "calls": {"count": chronicle.events, "left_out": chronicle.left_events,
                      "lines": [_line(one) for one in chronicle.lines]},
            "turns": [document(one) for one in self.live.turns],
            "findings": list(dossier.findings or ()),
            "status": document(dossier.status),
            "notes": list(dossier.notes),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelinePage:
    """The calls of a subject and of all that descends from it, some at a time."""

    events: tuple[TimelineEvent, ...]
    subjects: tuple[str, ...]
    search: str
    page: int
    more: bool
    live: Live

    def html(self) -> str:
        """Show it to a person."""
        return console_pages.timeline_page(
            self.events,
            self.subjects,
            self.search,
            self.page,
            more=self.more,
            live=self.live,
            version=__version__,
        )

    def twin(self) -> Document:
        """Tell a program the same."""
        return {"events": [document(one) for one in self.events], "page": self.page, "more": self.more}


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialsPage:
    """The inventory, or what of it was looked for, some at a time."""

    credentials: tuple[Credential, ...]
    wish: Wish
    page: int
    more: bool
    live: Live

    def html(self) -> str:
        """Show it to a person."""
        asked = {name: value for name, value in document(self.wish).items() if value}
        return console_pages.credentials_page(
            self.credentials, asked, self.page, more=self.more, live=self.live, version=__version__
        )

    def twin(self) -> Document:
        """Tell a program the same."""
        return {
            "credentials": [document(one) for one in self.credentials],
            "page": self.page,
            "more": self.more,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingsPage:
    """All that detection found."""

    findings: tuple[Document, ...]
    live: Live

    def html(self) -> str:
        """Show it to a person."""
        return console_pages.findings_page(self.findings, self.live, __version__)

    def twin(self) -> Document:
        """Tell a program the same."""
        return {"findings": list(self.findings)}


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidencePage:
    """What was read, and what was not."""

    status: Status
    live: Live

    def html(self) -> str:
        """Show it to a person."""
        return console_pages.evidence_page(self.status, self.live, __version__)

    def twin(self) -> Document:
        """Tell a program the same."""
        return document(self.status)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordPage:
    """One raw record, secrets blanked."""

    record: RawRecord
    live: Live

    def html(self) -> str:
        """Show it to a person."""
        return console_pages.record_page(self.record, self.live, __version__)

    def twin(self) -> Document:
        """Tell a program the same."""
        return document(self.record)


def _line(one: Line) -> Document:
    run = one.run
    return document(run.first) | {
        "until": document(run.last)["time"],
        "count": run.count,
        "marked": one.notable,
    }


def findings_told(findings: Sequence[object]) -> tuple[Document, ...]:
    """Turn findings into documents."""
    return tuple(document(one) for one in findings)
