"""What would have stopped it, of one case at one moment: whose calls are the attacker's, then `prevention`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tokentrail.case.source_issued import MOST_FOLLOWED, follow_sources, roots
from tokentrail.detection.model import Finding
from tokentrail.errors import UsageError
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.taint import tainted
from tokentrail.lineage.trace import Narrowing, family
from tokentrail.prevention.attacker import Attacker, HandedOut, of_findings, of_subjects, worst_subjects
from tokentrail.prevention.guard import Given, guard
from tokentrail.prevention.model import Guard
from tokentrail.results import Coverage
from tokentrail.store.folder import CaseFolder
from tokentrail.store.interface import Engine


def guarded(
    folder: CaseFolder, engine: Engine, forest: Forest, subjects: Sequence[str], findings: Sequence[Finding],
    narrowing: Narrowing, given: Given | None, *, covered: Callable[[], Sequence[Coverage]],
) -> Guard:  # fmt: skip
    """
    Answer for subjects, or for what findings name.

    Raises:
        UsageError: there is no subject to narrow, or a policy or snapshot can't be used.
    """
    if not subjects and narrowing != Narrowing():
        raise UsageError("--attacker-since and addresses narrow a subject: give one with --subject.")
    named = tuple(subjects) or worst_subjects(findings)
    attacker = Attacker()
    if named:
        places = tainted(engine, forest, named, narrowing)
        since = HandedOut(followed=len(places) <= MOST_FOLLOWED)
        if since.followed:
            # Else a thief's next session makes the ordinary ways that guardrails are made from.
            found = family(forest, named, narrowing=narrowing, gaps=())
            more = follow_sources(forest, found, covered, narrowing)
            since = HandedOut(roots(found, more), len(more.doubts)) if more else HandedOut(followed=False)
            places = tainted(engine, forest, (*named, *since.handed), narrowing) if since.handed else places
        attacker = (
            of_subjects(engine, forest, named, places, narrowing, since)
            if subjects
            else of_findings(engine, forest, named, places, findings, since)
        )
    objects = [one.name for one in folder.snapshot().objects().values()]
    with folder.scratch() as scratch:
        return guard(engine, forest, attacker, objects, given or Given(), scratch)
