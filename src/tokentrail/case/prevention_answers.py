"""What a case answers about prevention."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from tokentrail.case.arguments import names, narrowing_of
from tokentrail.case.result_set import Rows
from tokentrail.case.views import Views
from tokentrail.store.folder import CaseFolder

if TYPE_CHECKING:
    from tokentrail.detection.model import Finding
    from tokentrail.prevention.guard import Given
    from tokentrail.prevention.model import Guard


class Guarding:
    """What a case answers about prevention; a part of `Case`, which has the rest."""

    _folder: CaseFolder
    _views: Views

    def detect(self, *, as_of: datetime | None = None) -> Rows[Finding]:
        """Judge the evidence, as `Case` does."""
        raise NotImplementedError  # `Case` answers; this part only asks it

    def guard(
        self,
        subjects: Sequence[str] = (),
        *,
        as_of: datetime | None = None,
        since: datetime | None = None,
        source_ips: Sequence[str] = (),
        trusted_ips: Sequence[str] = (),
        given: Given | None = None,
    ) -> Guard:
        """
        Say what would have stopped it: audit, guardrail policies, and their back-test; nothing is changed anywhere.

        Args:
            subjects: As in `trace`, and so are `since`, `source_ips` and `trusted_ips`; else what findings name.
            given: Snapshots, credential reports, SCPs, policies of one's own to test.

        Raises:
            UsageError: a subject, address or policy can't be used, or two snapshots are of one account.
        """
        from tokentrail.case.guard_answer import (
            guarded,  # takes its time to load, and other verbs need none of it
        )

        narrowing = narrowing_of(since, source_ips, trusted_ips)
        view = self._views.open(as_of)
        forest, engine = view.forest(as_of), view.engine
        found: Rows[Finding] = Rows() if subjects else self.detect(as_of=as_of)
        answer = guarded(
            self._folder, engine, forest, names(subjects), found, narrowing, given, covered=view.covered
        )
        return replace(answer, failed=found.failed)
