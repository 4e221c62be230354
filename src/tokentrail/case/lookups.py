"""
What is found in a case by name: raw records by their events, credentials by whom they speak for.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from tokentrail.case.raw import of_events
from tokentrail.case.views import Views
from tokentrail.lineage import rows
from tokentrail.lineage.model import Credential
from tokentrail.results import RawRecord
from tokentrail.store.folder import CaseFolder


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
        yield from of_events(self._folder, self._views.forest(as_of), events)

    def speaking_for(
        self, principals: Sequence[str], *, as_of: datetime | None = None
    ) -> tuple[Credential, ...]:
        """Every credential that speaks for one of some roles, users or sessions."""
        forest = self._views.forest(as_of)
        found = forest.chosen_rows(set[int]().union(*(forest.speaking_for(one) for one in principals)))
        judge = forest.judge_of(found)
        return tuple(rows.credential(row, judge) for row in found)
