"""
The pages as values: the HTML and the JSON twin of each are made from the same fields.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from tokentrail import __version__
from tokentrail.case.result_set import Rows
from tokentrail.lineage.model import CallLine, Credential, Overview, TimelineEvent
from tokentrail.present.document import Document, document, timestamp
from tokentrail.present.html import console_pages
from tokentrail.present.html.branch import Part, branch_page
from tokentrail.present.html.case_page import FindingSubjects, case_page
from tokentrail.present.html.console import Live
from tokentrail.present.html.page import ReportLayout, sheet_page
from tokentrail.report_data import about
from tokentrail.results import RawRecord, Status
from tokentrail.web.query_params import CredentialFilter, FindingWish

_AT_ONCE = 1_000
"""How many entries of each list of a trace are in one page of its twin."""
_LONG = ("credentials", "links", "created", "apis", "resources", "secrets_read", "by_principal")


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
    subjects: FindingSubjects
    findings: Rows[Document] | None
    """None while detection is still looking."""
    leads: Rows[Document] | None
    """The first ones; None while detection is still looking."""
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
            subjects=self.subjects,
            leads=self.leads or (),
            failed=failed_of(self.findings, self.leads),
            live=self.live,
        )

    def twin(self) -> Document:
        """Tell a program the same."""
        return {
            "case_id": self.case_id, "first": [document(one) for one in self.subjects.shown],
            "leads": _listed(self.leads),
            "others": {"subjects": self.subjects.others, "working": self.subjects.working},
            "overview": document(self.overview), "findings": _listed(self.findings), "status": document(self.status),
            "failed": list(failed_of(self.findings, self.leads)),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class TracePage:
    """A subject: its lifelines, plan, lineage, timeline, what was taken, findings, evidence."""

    layout: ReportLayout
    found: Callable[[], Rows[Document] | None]
    """Asks what detection finds in the case; `None` while that is still looking."""
    page: int
    live: Live

    def html(self) -> str:
        """Show it to a person."""
        return sheet_page(self.layout)

    def twin(self) -> Document:
        """Tell a program the same, the long lists of the trace some at a time; of the calls, the lines shown."""
        report_data, chronicle, found = self.layout.report_data, self.layout.chronicle, self.found()
        lists = {name: getattr(report_data.trace, name) for name in _LONG}
        first, last = (self.page - 1) * _AT_ONCE, self.page * _AT_ONCE
        shown = replace(report_data.trace, **{name: found[first:last] for name, found in lists.items()})
        return {
            "case_id": report_data.case_id,
            "page": self.page,
            "more": any(len(found) > last for found in lists.values()),
            "counts": {name: len(found) for name, found in lists.items()},
            "trace": document(shown),
            "activity": document(report_data.activity) if report_data.activity else None,
            "plan": document(report_data.plan) if report_data.plan else None,
            "colleagues": [document(one) for one in report_data.bystanders],
            "calls": {"count": chronicle.events, "left_out": chronicle.left_events,
                      "lines": [_line(one) for one in chronicle.lines]},
            "turns": [document(one) for one in self.live.turns],
            "findings": _listed(found and about(report_data.trace, found)),
            "failed": list(failed_of(found)),
            "status": document(report_data.status),
            "notes": list(report_data.notes),
        }  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class LineagePage:
    """Part of a subject's lineage: a group of siblings, or what a search finds, some at a time."""

    layout: ReportLayout
    part: Part
    credentials: tuple[Credential, ...]
    count: int
    """How many there are in all."""
    page: int
    more: bool
    live: Live

    def html(self) -> str:
        """Show it to a person."""
        return branch_page(
            self.layout, self.part, self.credentials, self.count, self.page,
            more=self.more, live=self.live, version=__version__,
        )  # fmt: skip

    def twin(self) -> Document:
        """Tell a program the same."""
        listed = [document(one) for one in self.credentials]
        return {"credentials": listed, "count": self.count, "page": self.page, "more": self.more}


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
    wish: CredentialFilter
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

    findings: Rows[Document] | None
    wish: FindingWish
    live: Live

    def html(self) -> str:
        """Show it to a person."""
        accounts = sorted({str(each) for one in self.findings or () for each in one.get("accounts") or ()})
        asked = {name: value for name, value in document(self.wish).items() if value}
        return console_pages.findings_page(
            self._shown(), failed_of(self.findings), self.live, __version__, asked=asked, accounts=accounts
        )

    def _shown(self) -> list[Document] | None:
        return None if self.findings is None else [one for one in self.findings if self.wish.fits(one)]

    def twin(self) -> Document:
        """Tell a program the same."""
        return {"findings": _listed(self._shown()), "failed": list(failed_of(self.findings))}


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


def _line(one: CallLine) -> Document:
    return document(one.first) | {"until": timestamp(one.until), "count": one.count, "marked": one.telling}


def failed_of(*answers: Rows[Document] | None) -> tuple[str, ...]:
    """Sentences about the rules and signals that failed while answers were looked for."""
    return tuple(one for answer in answers if answer is not None for one in answer.failed)


def _listed(findings: Sequence[Document] | None) -> list[Document] | None:
    return None if findings is None else list(findings)
