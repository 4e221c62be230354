"""
What the answer rests on: what was read, what could not be, what is missing.
"""

from __future__ import annotations

from tokentrail.lineage.model import Trace
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.html.markup import Html, brief, tag
from tokentrail.present.html.pieces import and_more, bullets, section, table
from tokentrail.results import Coverage, Status

_MOST = 200


def evidence_section(
    status: Status, trace: Trace | None, notes: tuple[str, ...] = (), records: Html | None = None
) -> Html:
    """Build the section."""
    span = f", {words.span(status.first, status.last)}" if status.first and status.last else ""
    told = (
        f"{words.number(status.records, 'event')} from {words.number(status.objects, 'evidence object')}, "
        f"{words.number(status.credentials, 'credential')} in all{span}."
    )
    gaps = words.gaps(trace.gaps, _MOST) if trace else []
    return section(
        "evidence", "Evidence",
        tag("p", told),
        _named(status.evidence_digest),
        tag("h3", "Evidence gaps"),
        bullets(dict.fromkeys([
            *notes, *status.unfinished, *(brief(one, 600) for one in gaps[:_MOST]), *words.alike(status.warnings),
        ]))
        or tag("p", "No gap in the evidence of these accounts is known."),
        and_more(len(gaps), _MOST, "`tokentrail trace --format json` has all of them"),
        tag("h3", "What was read"),
        _coverage(status.coverage),
        tag("h3", "What could not be read"),
        _rejected(status),
        records,
    )  # fmt: skip


def _named(digest: str) -> Html | None:
    """Name all that was read, so that a page in a file of its own can be tied to it later."""
    if not digest:
        return None
    return tag("p", "The SHA-256 of these objects' SHA-256s, sorted and one a line, is ", tag("code", digest),
               ": it tells whether another page, or a case, rests on the same evidence.", class_="note")  # fmt: skip


def _coverage(coverage: tuple[Coverage, ...]) -> Html:
    if not coverage:
        return tag("p", "Nothing.", class_="empty")
    rows = [
        (one.account or "-", one.region or "-", tag("time", timestamp(one.first)), tag("time", timestamp(one.last)),
         f"{one.hours_seen:,}", f"{len(one.gaps):,}", "yes" if one.read_only_events else "NO",
         "yes" if one.data_events else "no", one.digest or "not checked")
        for one in coverage[:_MOST]
    ]  # fmt: skip
    heads = (
        "Account",
        "Region",
        "First",
        "Last",
        "Hours",
        "Gaps",
        "Read-only events",
        "Data events",
        "Digests",
    )
    return tag("div", table(heads, rows, caption="What the evidence covers", numbers=(4, 5)),
               and_more(len(coverage), _MOST, "`tokentrail status --format json` has all of them"))  # fmt: skip


def _rejected(status: Status) -> Html:
    if not status.rejected:
        return tag(
            "p", "Every record that was reached was read." if status.unfinished else "Every record was read."
        )
    items = []
    for one in status.rejected[:_MOST]:
        place = "" if one.ordinal is None else f", record {one.ordinal}"
        part = f", field {one.field}" if one.field else ""
        times = f" ({one.count:,} times)" if one.count > 1 else ""
        items.append(brief(f"{one.object}{place}{part}: {one.reason}{times}", 600))
    total = sum(one.count for one in status.rejected)
    return tag(
        "details", tag("summary", f"{words.number(total, 'thing')} could not be read"), bullets(items),
        and_more(len(status.rejected), _MOST, "`tokentrail status --rejected` lists all of them"),
    )  # fmt: skip
