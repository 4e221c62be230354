"""What would have stopped it, of one case at one moment: whose calls are the attacker's, then `prevention`."""

from __future__ import annotations

from collections.abc import Sequence

from tokentrail.detection.model import Finding
from tokentrail.errors import UsageError
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.taint import tainted
from tokentrail.lineage.trace import Narrowing
from tokentrail.prevention.attacker import Attacker, of_findings, of_subjects, worst_subjects
from tokentrail.prevention.guard import Given, guard
from tokentrail.prevention.model import Guard
from tokentrail.store.folder import CaseFolder
from tokentrail.store.interface import Engine


def guarded(
    folder: CaseFolder, engine: Engine, forest: Forest, subjects: Sequence[str], findings: Sequence[Finding],
    narrowing: Narrowing, given: Given | None,
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
        places = tainted(engine, forest, named, narrowing)
        attacker = (
            of_subjects(engine, forest, named, places, narrowing)
            if subjects
            else of_findings(engine, forest, named, places, findings)
        )
    objects = [one.name for one in folder.snapshot().objects().values()]
    with folder.scratch() as scratch:
        return guard(engine, forest, attacker, objects, given or Given(), scratch)
