"""
The case's answers to the questions of pages, one question at a time; costly ones are kept until the evidence changes.

The same case is opened twice, once for the newest evidence and once for earlier times, so that going back and forth in
time does not link the newest evidence again.
"""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

from starlette.datastructures import QueryParams

from tokentrail.case import Case
from tokentrail.case.result_set import Rows
from tokentrail.containment.model import Plan
from tokentrail.errors import CaseError, CaseReplaced, RecordNotFound, UsageError
from tokentrail.lineage.model import Credential, State, TimelineEvent, Trace
from tokentrail.policy.account.snapshot import Snapshot
from tokentrail.present.document import Document
from tokentrail.present.html.branch import members
from tokentrail.present.html.call_lines import LIVE_ROOM
from tokentrail.present.html.case_page import FindingSubjects
from tokentrail.present.html.console import Live, Turn
from tokentrail.present.html.page import ReportLayout, laid_out
from tokentrail.present.views.report import ReportData
from tokentrail.report_data import (
    Question,
    finding_subjects,
    gather,
    turns,
    with_findings,
    with_handed_out,
)
from tokentrail.results import RawRecord, Status
from tokentrail.web import query_params
from tokentrail.web.background_detection import LARGE, BackgroundDetection, Found, detected, ranked
from tokentrail.web.pages import (
    CredentialsPage,
    EvidencePage,
    FindingsPage,
    LineagePage,
    RecordPage,
    StartPage,
    TimelinePage,
    TracePage,
    failed_of,
)

_LOOKED_AFTER = 30.0
"""Seconds after which a case in a bucket is checked for changes."""
_KEPT = 16
"""How many costly answers are kept."""
_BRANCH = 100
"""How many credentials of a part of a lineage are on one page."""
Answer = TypeVar("Answer")


class ConsoleQueries:
    """A case folder, and the answers to the console's questions. Only one thread at a time may use it."""

    def __init__(self, folder: Path | str, snapshots: Iterable[Snapshot] = ()) -> None:
        self._snapshots = tuple(snapshots)
        self._folder = folder
        self._kept: OrderedDict[Hashable, Any] = OrderedDict()
        self.turn = threading.Lock()
        """Held by whoever asks."""
        self._open()

    def _open(self) -> None:
        self._newest = Case.open(self._folder, create=False)
        self._earlier = Case.open(self._folder, create=False)
        self.background = BackgroundDetection(self._folder)
        """Where detection looks at a large case."""

    def close(self) -> None:
        """Close the case."""
        self.background.end()
        self._newest.close()
        self._earlier.close()

    def refresh(self) -> None:
        """
        Look now and then for what others put into a case in a bucket, and for another case in its place.

        Raises:
            CaseError: it is no longer there, as when its evidence is read in again, or can't be reached.
        """
        try:
            self._newest.refresh(_LOOKED_AFTER)
        except CaseReplaced:
            self.close()
            self._kept.clear()
            self._open()

    def start(self, query: QueryParams) -> StartPage:
        """The start page: the case at a glance."""
        when = query_params.as_of(query)
        case, findings = self._case(when), self._findings(when)
        return StartPage(
            case_id=case.case_id,
            overview=self._keep(("overview", when), lambda: case.overview(as_of=when)),
            subjects=FindingSubjects()
            if findings is None
            else self._keep(("finding_subjects", when), lambda: finding_subjects(case, findings, when)),
            findings=findings,
            leads=self._leads(when),
            status=case.status(as_of=when),
            live=self.live("/", query),
        )

    def trace(self, query: QueryParams) -> TracePage:
        """A subject's page."""
        layout, live = self._sheet(query), self.story("/trace", query)
        used = layout.report_data.activity
        live = replace(
            live, addresses=tuple(filter(_is_address, (one.name for one in used.addresses))) if used else ()
        )
        names = replace(layout.names, live=live)
        shown = replace(layout, names=names, picture=replace(layout.picture, names=names))
        when = query_params.as_of(query)
        return TracePage(
            layout=shown,
            found=lambda: self._findings(when),
            page=query_params.page(query),
            live=live,
        )

    def lineage(self, query: QueryParams) -> LineagePage:
        """One page of a part of a subject's lineage."""
        layout, part, page = self._sheet(query), query_params.part(query), query_params.page(query)
        every = members(layout, part)
        found, more = _page(every, page, _BRANCH)
        live = self.story("/lineage", query)
        return LineagePage(
            layout=layout, part=part, credentials=found, count=len(every), page=page, more=more, live=live
        )

    def _sheet(self, query: QueryParams) -> ReportLayout:
        """
        All that a subject's page shows.

        What detection finds is asked for the newest evidence alone: it would double the time that a move of the
        slider takes, and is a click away.
        """
        question = query_params.question(query)
        findings: Rows[Document] | None = None
        if question.as_of is None:
            with suppress(CaseError):  # told where the page leads for findings
                findings = self._findings(None)
        return self._keep(
            ("sheet", question, findings is None),
            lambda: laid_out(
                with_findings(self._gathered(question), findings, failed_of(findings)), room=LIVE_ROOM
            ),
        )

    def _gathered(self, question: Question) -> ReportData:
        case = self._case(question.as_of)
        whole = replace(question, snapshots=self._snapshots)
        return self._keep(("gathered", question), lambda: gather(case, whole, records=False))

    def plan(self, query: QueryParams) -> Plan:
        """The plan of a subject's page, as `tokentrail contain -o` writes it."""
        found = self._gathered(query_params.question(query)).plan
        if found is None:
            raise CaseError("no plan was asked for.")
        return found

    def timeline(self, query: QueryParams) -> TimelinePage:
        """A subject's calls, some at a time."""
        question, search = query_params.question(query), query.get("search", "").strip()
        subjects = with_handed_out(self._gathered(question).trace, question.subjects)
        events = self._case(question.as_of).timeline(subjects, as_of=question.as_of)
        found, more = _page(_with(events, search), query_params.page(query))
        return TimelinePage(
            events=found, subjects=question.subjects, search=search, page=query_params.page(query), more=more,
            live=self.story("/timeline", query),
        )  # fmt: skip

    def credentials(self, query: QueryParams) -> CredentialsPage:
        """The inventory, some at a time."""
        when, wish = query_params.as_of(query), query_params.wish(query)
        every = self._case(when).credentials(as_of=when, state=wish.state, kind=wish.kind, search=wish.search)
        found, more = _page(_sorted(every, wish.sort), query_params.page(query))
        live = self.live("/credentials", query)
        return CredentialsPage(
            credentials=found, wish=wish, page=query_params.page(query), more=more, live=live
        )

    def findings(self, query: QueryParams) -> FindingsPage:
        """All findings."""
        return FindingsPage(
            findings=self._findings(query_params.as_of(query)),
            wish=query_params.finding_wish(query),
            live=self.live("/findings", query),
        )

    def evidence(self, query: QueryParams) -> EvidencePage:
        """The page of what was read."""
        when = query_params.as_of(query)
        return EvidencePage(status=self._case(when).status(as_of=when), live=self.live("/evidence", query))

    def event(self, event_id: str, query: QueryParams) -> RecordPage:
        """
        The raw record of an event.

        Raises:
            RecordNotFound: the evidence holds no such event, or its object is gone.
        """
        for one in self._newest.records([event_id]):
            return RecordPage(record=one, live=self.live(f"/record/{one.object}/{one.ordinal}", query))
        raise RecordNotFound(f"no record of the event {event_id[:80]} can be read from this case.")

    def record(self, sha256: str, ordinal: int, query: QueryParams) -> RecordPage:
        """
        The raw record at a place in the evidence.

        Raises:
            CaseError: there is none.
        """
        found = self._newest.record(sha256, ordinal)
        event_id = found.get("eventID") if isinstance(found, dict) else None
        named = event_id if isinstance(event_id, str) else ""
        one = RawRecord(
            event_id=named,
            object=sha256,
            ordinal=ordinal,
            record=found,
            name=self._newest.evidence_name(sha256),
        )
        return RecordPage(record=one, live=self.live(f"/record/{sha256}/{ordinal}", query))

    def live(self, path: str, query: QueryParams) -> Live:
        """Where a page stands: it can be asked for any moment of the evidence."""
        status, when = self._status(), query_params.as_of(query)
        return Live(
            path=path, query=query_params.kept(query, story=False), as_of=when, first=status.first, last=status.last,
            newest=status.last,
            looking=when is None and self.looking() is not None,
        )  # fmt: skip

    def story(self, path: str, query: QueryParams) -> Live:
        """Where a page about a subject stands: its slider goes over the turns of the story, and a little further."""
        question = replace(query_params.question(query), as_of=None)
        found: tuple[Turn, ...] = self._keep(("turns", question), lambda: turns(self._traced(question)))
        live = replace(self.live(path, query), query=query_params.kept(query, story=True), turns=found)
        if not found or live.last is None:
            return live
        begin, end = found[0].time, found[-1].time
        return replace(live, first=begin, last=min(live.last, end + max(_AFTER, (end - begin) / 4)))

    def _traced(self, question: Question) -> Trace:
        """The trace for a page of the newest evidence; remembered if it was asked before."""
        gathered = self._kept.get((self._newest.fingerprint, ("gathered", question)))
        if gathered is not None:
            return cast(ReportData, gathered).trace
        return self._newest.family(
            question.subjects,
            since=question.since,
            source_ips=question.source_ips,
            trusted_ips=question.trusted_ips,
            followed=True,
        )

    def _case(self, when: datetime | None) -> Case:
        return self._newest if when is None else self._earlier

    def looking(self) -> Future[Found] | None:
        """Detection's answer for the newest evidence while it is still looking; in a small case nobody waits for it."""
        if self._status().records < LARGE:
            return None
        found = self.background.ask(self._newest.fingerprint)
        return None if found.done() else found

    def _findings(self, when: datetime | None) -> Rows[Document] | None:
        """What detection finds; `None` while it is still looking at the newest evidence."""
        if self._is_beside(when):
            found = self.background.ask(self._newest.fingerprint)
            return found.result().findings if found.done() else None
        return self._keep(("findings", when), lambda: detected(self._case(when), when))

    def _leads(self, when: datetime | None) -> Rows[Document] | None:
        """The first leads; `None` while detection is still looking at the newest evidence."""
        if self._is_beside(when):
            found = self.background.ask(self._newest.fingerprint)
            return found.result().leads if found.done() else None
        return self._keep(("leads", when), lambda: ranked(self._case(when), when))

    def _is_beside(self, when: datetime | None) -> bool:
        """Whether detection runs in a process of its own."""
        return when is None and self._status().records >= LARGE

    def _status(self) -> Status:
        return self._keep(("status",), self._newest.status)

    def _keep(self, key: Hashable, ask: Callable[[], Answer]) -> Answer:
        """Compute an answer, unless the same was asked of the same evidence before."""
        whole = (self._newest.fingerprint, key)
        if whole not in self._kept:
            self._kept[whole] = ask()
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(whole)
        return cast(Answer, self._kept[whole])


def _is_address(name: str) -> bool:
    """Whether it is an IP address, and no service that called."""
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


_AFTER = timedelta(hours=1)
"""How long after the last turn of a story its slider goes on, at least."""
_SORTED = 50_000
"""The most credentials that are sorted: each must be judged for it, and all are kept."""
_EVER = datetime.max.replace(tzinfo=UTC)
_ORDER: dict[str, Callable[[Credential], Any]] = {
    "credential": lambda one: one.id,
    "kind": lambda one: one.kind,
    "state": lambda one: get_args(State).index(one.state),
    "of": lambda one: (one.account or "", one.principal or ""),
    "issued": lambda one: one.issued_at or _EVER,
    "ends": lambda one: one.expires_at or one.expires_bound or _EVER,
    "calls": lambda one: -one.events,
}
"""What credentials are sorted by, for each column; equal ones stay in order of time."""


def _sorted(credentials: Iterator[Credential], by: str | None) -> Iterable[Credential]:
    """
    Sort credentials by a column.

    Raises:
        UsageError: there are too many.
    """
    if by is None:
        return credentials
    held = list(islice(credentials, _SORTED + 1))
    if len(held) > _SORTED:
        raise UsageError(
            f"more than {_SORTED:,} credentials are too many to sort: narrow the list by search, state or kind, or "
            "sort what `tokentrail credentials --format csv` prints."
        )
    return sorted(held, key=_ORDER[by])


def _with(events: Iterable[TimelineEvent], search: str) -> Iterable[TimelineEvent]:
    """The calls that contain a text."""
    wanted = search.lower()
    return (one for one in events if wanted in _said(one)) if wanted else events


def _said(one: TimelineEvent) -> str:
    parts = (
        one.event_id, one.credential, one.account, one.region, one.event_source, one.event_name, one.error_code,
        one.source_ip, one.user_agent, *one.resources, *one.about,
    )  # fmt: skip
    return "\n".join(part for part in parts if part).lower()


def _page(
    every: Iterable[Answer], page: int, at_once: int = query_params.PAGE
) -> tuple[tuple[Answer, ...], bool]:
    """One page of a list, and whether there is more."""
    first = (page - 1) * at_once
    found = tuple(islice(every, first, first + at_once + 1))
    return found[:at_once], len(found) > at_once
