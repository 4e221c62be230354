"""
What the answer rests on: what was read, what could not be, what is missing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tokentrail.formatting import counted
from tokentrail.lineage.model import Trace
from tokentrail.present import words
from tokentrail.present.html.records import ShownRecord
from tokentrail.present.html.view_models import Excerpt, excerpt, first
from tokentrail.present.safe import brief
from tokentrail.results import Coverage, Rejection, Status

_MOST = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceView:
    """What the section of the evidence shows."""

    told: str
    """How many events from how many objects."""
    digest: str
    """Names all that was read, so that a page in a file of its own can be tied to it later."""
    gaps: tuple[str, ...]
    gaps_left: int
    coverage: Excerpt[Coverage]
    rejections: str
    """How many things could not be read, in words."""
    rejected: Excerpt[str]
    records: tuple[ShownRecord, ...]
    """The records that the answer rests on, if the page has them."""


def evidence_view(
    status: Status, trace: Trace | None, notes: tuple[str, ...] = (), records: Iterable[ShownRecord] = ()
) -> EvidenceView:
    """Choose what the section shows."""
    span = f", {words.span(status.first, status.last)}" if status.first and status.last else ""
    told = (
        f"{counted(status.records, 'event')} from {counted(status.objects, 'evidence object')}, "
        f"{counted(status.credentials, 'credential')} in all{span}."
    )
    gaps = words.gaps(trace.gaps, _MOST) if trace else []
    sentences = (
        *notes, *status.unfinished, *(brief(one, 600) for one in gaps[:_MOST]), *words.alike(status.warnings)
    )  # fmt: skip
    return EvidenceView(
        told=told, digest=status.evidence_digest, gaps=tuple(dict.fromkeys(sentences)),
        gaps_left=max(0, len(gaps) - _MOST), coverage=first(status.coverage, _MOST),
        rejections=_rejections(status), rejected=excerpt(status.rejected, _MOST, _rejected), records=tuple(records),
    )  # fmt: skip


def _rejections(status: Status) -> str:
    if not status.rejected:
        return "Every record that was reached was read." if status.unfinished else "Every record was read."
    return f"{counted(sum(one.count for one in status.rejected), 'thing')} could not be read"


def _rejected(one: Rejection) -> str:
    place = "" if one.ordinal is None else f", record {one.ordinal}"
    part = f", field {one.field}" if one.field else ""
    times = f" ({one.count:,} times)" if one.count > 1 else ""
    return brief(f"{one.object}{place}{part}: {one.reason}{times}", 600)
