"""From a case to the answer of `guard`: whose calls are the attacker's, then audit, guardrails and back-test."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from tokentrail.case.views import Views
from tokentrail.detection.model import Finding
from tokentrail.errors import UsageError
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.trace import Narrowing, networks, trace
from tokentrail.prevention.attacker import Attacker, of_findings, of_subjects, worst_subjects
from tokentrail.prevention.guard import Given, guard
from tokentrail.prevention.model import Guard
from tokentrail.store.folder import CaseFolder
from tokentrail.store.interface import Engine


class Guarding:
    """What a case answers about prevention; a part of `Case`, which has the rest."""

    _folder: CaseFolder
    _views: Views

    def detect(self, *, as_of: datetime | None = None) -> tuple[Finding, ...]:
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
        narrowing = Narrowing(since, networks(source_ips), networks(trusted_ips))
        forest, engine = self._views.forest(as_of), self._views.open(as_of).engine
        found = () if subjects else self.detect(as_of=as_of)
        return guarded(self._folder, engine, forest, subjects, found, narrowing, given or Given())


def guarded(
    folder: CaseFolder, engine: Engine, forest: Forest, subjects: Sequence[str], findings: Sequence[Finding],
    narrowing: Narrowing, given: Given,
) -> Guard:  # fmt: skip
    """
    Answer for subjects, or for what findings name.

    Raises:
        UsageError: there is no subject to narrow, or a policy or snapshot can't be used.
    """
    if not subjects and narrowing != Narrowing():
        raise UsageError("--since and addresses narrow a subject: give one with --subject.")
    named = tuple(subjects) or worst_subjects(findings)
    attacker = Attacker()
    if named:
        traced = trace(forest, named, up=False, down=True, narrowing=narrowing, gaps=())
        attacker = (
            of_subjects(engine, forest, traced, narrowing)
            if subjects
            else of_findings(engine, forest, traced, findings)
        )
    objects = [one.name for one in folder.snapshot().objects().values()]
    return guard(engine, forest, attacker, objects, given)
