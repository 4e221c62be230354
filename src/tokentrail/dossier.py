"""
What a page shows of a subject, asked of the case in one go.

It may import the case and what the page is made of. It decides nothing about evidence, and draws nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tokentrail import __version__
from tokentrail.case import Case
from tokentrail.containment.model import Strategy
from tokentrail.errors import SubjectNotFound, UsageError
from tokentrail.lineage.model import Credential, Trace
from tokentrail.present.document import Document
from tokentrail.present.html.dossier import Dossier

_PRINCIPALS = 40
"""Roles and users whose other sessions are looked for."""
_BYSTANDERS = 5000
_DRAWN = 60
"""Colleagues' credentials whose calls are drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked about: as for `trace` and `contain`."""

    subjects: tuple[str, ...]
    as_of: datetime | None = None
    since: datetime | None = None
    source_ips: tuple[str, ...] = ()
    trusted_ips: tuple[str, ...] = ()
    strategy: Strategy = "standard"


def gather(case: Case, question: Question, findings: Sequence[Document] | None = None) -> Dossier:
    """
    Ask the case all that a page shows.

    Args:
        case: What is asked.
        question: The subjects, and what narrows them.
        findings: What detection found, as documents; `None` where it was not asked.

    Raises:
        SubjectNotFound: nothing answers to a subject.
        UsageError: a prefix fits several, or an address can't be read.
    """
    asked = question
    trace = case.trace(
        asked.subjects, as_of=asked.as_of, since=asked.since, source_ips=asked.source_ips,
        trusted_ips=asked.trusted_ips,
    )  # fmt: skip
    plan = case.contain(
        asked.subjects, strategy=asked.strategy, as_of=asked.as_of, since=asked.since,
        source_ips=asked.source_ips, trusted_ips=asked.trusted_ips,
    )  # fmt: skip
    bystanders, notes = _bystanders(case, trace, asked.as_of)
    drawn = [one.id for one in bystanders[:_DRAWN]]
    about = {one.id for one in trace.credentials}
    return Dossier(
        case_id=case.case_id,
        trace=trace,
        events=case.timeline(asked.subjects, as_of=asked.as_of),
        status=case.status(as_of=asked.as_of),
        version=__version__,
        plan=plan,
        bystanders=bystanders,
        bystander_events=case.timeline(drawn, as_of=asked.as_of) if drawn else (),
        findings=None if findings is None else tuple(
            one for one in findings if about.intersection(one.get("credentials") or ())
        ),
        notes=notes,
    )  # fmt: skip


def _bystanders(
    case: Case, trace: Trace, as_of: datetime | None
) -> tuple[tuple[Credential, ...], tuple[str, ...]]:
    """Find who else spoke for the attacker's roles and users while the attacker was about."""
    tainted = [one for one in trace.credentials if one.tainted]
    speakers = sorted({name for one in tainted if (name := one.role or one.principal)})
    turns = [moment for one in tainted for moment in (one.issued_at, one.ended_at) if moment and one.parent]
    begin = min(turns, default=trace.as_of)
    traced = {one.id for one in trace.credentials}
    found: dict[str, Credential] = {}
    notes = []
    if len(speakers) > _PRINCIPALS:
        notes.append(
            f"Colleagues were looked for in {_PRINCIPALS} of {len(speakers):,} roles and users only."
        )
    for name in speakers[:_PRINCIPALS]:
        try:
            others = case.trace([name], as_of=as_of, up=False, down=False)
        except (
            SubjectNotFound,
            UsageError,
        ):  # a role that the log names otherwise; nobody else is known in it
            continue
        for one in others.credentials:
            end = one.ended_at or one.expires_at or one.expires_bound
            if one.id not in traced and (end is None or end >= begin):
                found[one.id] = replace(one, tainted=False)
    kept = sorted(found.values(), key=lambda one: (one.issued_at or one.first_used or begin, one.id))
    if len(kept) > _BYSTANDERS:
        notes.append(f"{len(kept) - _BYSTANDERS:,} credentials of colleagues are left out for want of room.")
    if len(kept) > _DRAWN:
        notes.append(f"The picture shows the calls of {_DRAWN} of {len(kept):,} credentials of colleagues.")
    return tuple(kept[:_BYSTANDERS]), tuple(notes)
