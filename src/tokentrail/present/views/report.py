"""What a report of a subject is made of: the results that page, Markdown and indicators show."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from tokentrail.containment.model import Plan
from tokentrail.lineage.model import CallLines, Credential, Tick, Trace
from tokentrail.present.document import Document
from tokentrail.results import AttackerActivity, RawRecord, Status


class Calls(Protocol):
    """Knows the calls of a trace, and those of the colleagues that are drawn."""

    def lines(self, *, telling: str, room: int, run: int) -> CallLines:
        """
        Tell the trace's calls as lines, the first so many telling and other ones.

        Args:
            telling: A pattern that the names of telling calls begin with; a call that failed tells as well.
            room: Lines of either sort.
            run: Like calls in a row from which on they become one line.
        """

    def ticks(self, *, start: datetime, end: datetime, places: float) -> Iterable[Tick]:
        """Count all their calls by credential and place in a stretch of time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """All that one page shows."""

    case_id: str
    trace: Trace
    calls: Calls
    """Asked while the page is laid out."""
    status: Status
    version: str
    """Of the program that writes the page."""
    activity: AttackerActivity | None = None
    """From when to when, from where and with what the attacker was about."""
    plan: Plan | None = None
    bystanders: tuple[Credential, ...] = ()
    """Credentials of others that speak for the same roles and users."""
    findings: tuple[Document, ...] | None = None
    """`None`: detection was not asked."""
    elsewhere: tuple[Document, ...] = ()
    """Findings about other credentials than the page's."""
    failed: tuple[str, ...] = ()
    """Sentences about rules that ended in an error, whose findings may be missing."""
    records: tuple[RawRecord, ...] = ()
    """The records that the answer rests on, where the page is to hold them itself."""
    notes: tuple[str, ...] = ()
    """What was left out of all this before it came here."""
    since: datetime | None = None
    source_ips: tuple[str, ...] = ()
    trusted_ips: tuple[str, ...] = ()
    """What narrowed what counts as the attacker's, as it was asked."""
