"""
What is found in a case by name: raw records by their events, credentials by whom they speak for, calls by who made
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from tokentrail.case.arguments import names
from tokentrail.case.views import Views
from tokentrail.errors import SubjectNotFound
from tokentrail.formatting import listed
from tokentrail.store.folder import CaseFolder

if TYPE_CHECKING:
    from tokentrail.case.result_set import LazyRows
    from tokentrail.lineage.forest import Forest
    from tokentrail.lineage.model import CallLines, Credential, Overview, Tick, TimelineEvent
    from tokentrail.results import RawRecord
    from tokentrail.sources.alerts import Alert, AlertSession

_SAME_ISSUE = timedelta(seconds=2)
"""How far the time that an alert gives as a session's creation may lie from the one in the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSubjects:
    """What of an alert the evidence knows."""

    subjects: tuple[str, ...]
    """By what an answer can start: its credentials, else its sessions, else its instances, principals or addresses."""
    source_ips: tuple[str, ...]
    """The alert's addresses, where the subjects are principals or instances: colleagues may share these."""
    missing: tuple[str, ...]
    """What it names more exactly than that, and the evidence does not know."""


class Lookups:
    """The part of a case that finds things by name."""

    _folder: CaseFolder
    _views: Views

    @property
    def fingerprint(self) -> str:
        """What stands for all evidence of the case: another ingest changes it."""
        return self._folder.snapshot().fingerprint

    def records(self, events: Sequence[str], *, as_of: datetime | None = None) -> Iterator[RawRecord]:
        """The raw records of some events, secrets blanked, by their place in the evidence."""
        from tokentrail.case.raw_records import of_events

        yield from of_events(self._folder, self._views.forest(as_of), names(events))

    def evidence_name(self, sha256: str) -> str:
        """The file or S3 key that an evidence object was read from."""
        stored = self._folder.snapshot().objects().get(sha256)
        return stored.name if stored else ""

    def files_of(self, events: Sequence[str], *, as_of: datetime | None = None) -> dict[str, str]:
        """The file or S3 key in which each of some events came, by event id."""
        from tokentrail.case.raw_records import files_of_events

        return files_of_events(self._folder, self._views.forest(as_of), names(events))

    def timeline(self, subjects: Sequence[str], *, as_of: datetime | None = None) -> LazyRows[TimelineEvent]:
        """The events of subjects and of all that descends from them, in order of time, then id."""
        from tokentrail.case.result_set import LazyRows
        from tokentrail.lineage.model import TimelineEvent

        return LazyRows(lambda: self._timeline(subjects, as_of), TimelineEvent)

    def _timeline(self, subjects: Sequence[str], as_of: datetime | None) -> Iterator[TimelineEvent]:
        from tokentrail.case.raw_records import objects
        from tokentrail.lineage import calls

        yield from calls.timeline(self._views.forest(as_of), names(subjects), objects(self._folder))

    def call_lines(
        self, subjects: Sequence[str], *, telling: str, room: int, run: int, as_of: datetime | None = None
    ) -> CallLines:
        """
        The same as lines: like calls in a row are one; of telling ones and of others come the first.

        Args:
            subjects: As in `timeline`.
            telling: A pattern that the names of telling calls begin with; a call that failed tells as well.
            room: Lines of either sort.
            run: Like calls in a row from which on they become one line.
            as_of: The moment.
        """
        from tokentrail.case.raw_records import objects
        from tokentrail.lineage import calls

        held = objects(self._folder)
        return calls.lines(self._views.forest(as_of), subjects, held, telling=telling, room=room, run=run)

    def ticks(
        self,
        subjects: Sequence[str],
        *,
        start: datetime,
        end: datetime,
        places: float,
        as_of: datetime | None = None,
    ) -> Iterator[Tick]:
        """How many calls each made in each place of a stretch of time that is so many places wide."""
        from tokentrail.lineage import calls

        yield from calls.ticks(self._views.forest(as_of), subjects, start=start, end=end, places=places)

    def overview(self, *, as_of: datetime | None = None) -> Overview:
        """How many credentials of which kind are in which state, and which an investigation might start from."""
        return self._views.forest(as_of).overview()

    def subjects_of(self, alert: Alert, *, as_of: datetime | None = None) -> AlertSubjects:
        """
        What of an alert the evidence knows: the most exact of its names, and those that are not in the evidence.

        Args:
            alert: As `sources.alerts.read_alerts` reads it.
            as_of: The moment.

        Raises:
            SubjectNotFound: nothing of it is in the evidence.
        """
        forest, missing = self._views.forest(as_of), list[str]()
        shared = alert.instances, alert.principals
        for some in (alert.access_key_ids, alert.sessions, *shared, alert.addresses):
            found = [(one, _in_evidence(forest, one)) for one in some]
            if subjects := dict.fromkeys(subject for _, known in found for subject in known):
                narrowed = alert.addresses if some in shared else ()
                return AlertSubjects(subjects=tuple(subjects), source_ips=narrowed, missing=tuple(missing))
            missing += [one if isinstance(one, str) else one.principal_id for one, _ in found]
        raise SubjectNotFound(
            f"the alert {alert.id} of {alert.source} names {listed(missing)}; none of it is in the evidence. "
            "Ingest the log of that account and time."
        )

    def called(self, ids: Sequence[str], *, as_of: datetime | None = None) -> tuple[Credential, ...]:
        """The credentials of some ids; what no credential is called is left out."""
        forest = self._views.forest(as_of)
        return tuple(forest.credentials(forest.named(ids)))

    def named(self, subjects: Sequence[str], *, as_of: datetime | None = None) -> Iterator[Credential]:
        """
        The credentials that subjects stand for, as a trace takes them, and none of what they descend from or minted.

        Raises:
            SubjectNotFound: nothing answers to a subject.
            UsageError: a prefix fits several.
        """
        from tokentrail.lineage.trace import starts_of

        forest = self._views.forest(as_of)
        yield from forest.credentials(forest.chosen_rows(starts_of(forest, names(subjects))))

    def speaking_for(
        self,
        principals: Sequence[str],
        *,
        since: datetime,
        but: Sequence[str] = (),
        most: int,
        as_of: datetime | None = None,
    ) -> tuple[tuple[Credential, ...], int]:
        """
        Credentials that speak for some principals and may have worked after a moment, and how many more there are.

        Args:
            principals: Roles, users or sessions, by their ARNs.
            since: The moment.
            but: Ids of those that don't count.
            most: Of how many all is told: of those that began first.
            as_of: The moment of the answer.
        """
        forest, start = self._views.forest(as_of), int(since.timestamp())
        alive = f"coalesce(f.expires_at, f.expires_bound, {start}) >= {start}"
        found = forest.speaking_for_any(principals, alive) - forest.places_of_ids(but)
        first = forest.earliest(found, most)
        return tuple(forest.credentials(forest.chosen_rows(first))), len(found) - len(first)


def _in_evidence(forest: Forest, name: str | AlertSession) -> list[str]:
    """By what the evidence knows a name of an alert: the name, or the ids of the sessions of its time of issue."""
    asked = name if isinstance(name, str) else name.principal_id
    try:
        found = forest.resolve(asked)
    except SubjectNotFound:
        return []
    issued = None if isinstance(name, str) else name.issued_at
    if issued is None:
        return [asked]
    sessions = forest.credentials(forest.chosen_rows(found))
    same = [one.id for one in sessions if one.issued_at and abs(one.issued_at - issued) <= _SAME_ISSUE]
    return same or [asked]
