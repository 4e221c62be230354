"""
What a case holds, lacks and could not read, and what an ingest did, as text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from tokentrail.formatting import counted, joined
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.text.text_writer import TextWriter, pad
from tokentrail.results import Coverage, IngestSummary, Rejection, SkippedObject, Status

_MOST = 20
_PLACES, _ACCOUNTS = 100, 200
"""Regions up to which each has a line, and of more, accounts."""
_HEADS = "READS: read-only management events occur. DATA: data events occur."


def write_status(status: Status, writer: TextWriter, *, rejected: bool = False) -> None:
    """
    Write what a case holds.

    Args:
        status: What to write.
        writer: Where to.
        rejected: Whether to list all that could not be read, instead of counting it.
    """
    span = f", {words.span(status.first, status.last)}" if status.first and status.last else ""
    writer.wrapped(
        f"Case {status.case_id}: {counted(status.records, 'event')} from "
        f"{counted(status.objects, 'evidence object')}, {counted(status.credentials, 'credential')}{span}."
    )
    if status.coverage:
        _coverage(status.coverage, writer)
    if status.warnings or status.unfinished:
        writer.heading("Evidence gaps")
    for sentence in (*status.unfinished, *words.alike(status.warnings)):
        writer.wrapped(sentence, first="  - ")
    writer.line()
    writer.wrapped(
        _lost(status.rejected, unfinished=bool(status.unfinished)) + _how_to_list(status.rejected, rejected)
    )
    if rejected:
        write_rejected(status.rejected, writer)


def write_rejected(rejections: Sequence[Rejection], writer: TextWriter) -> None:
    """List what could not be read: object, place in it, reason."""
    for one in rejections:
        place = "" if one.ordinal is None else f", record {one.ordinal}"
        part = f", field {one.field}" if one.field else ""
        times = f" ({one.count:,} times)" if one.count > 1 else ""
        writer.wrapped(f"{one.object}{place}{part}: {one.reason}{times}", first="  - ")


def write_ingest(summary: IngestSummary, writer: TextWriter) -> None:
    """Write what an ingest did."""
    objects, records = summary.objects, summary.records
    writer.line(
        f"Objects: {objects.read:,} read, {objects.repeated:,} held already, {objects.skipped:,} skipped."
    )
    writer.line(
        f"Records: {records.read:,} read, {records.new:,} new, {records.repeated:,} repeated, "
        f"{records.rejected:,} rejected; {summary.seconds:.1f} s."
    )
    if not (objects.read or objects.repeated or objects.skipped):
        writer.wrapped("Nothing was there to read.", first="  - ")
    for sentence in (*summary.asked, *summary.lacking):
        writer.wrapped(sentence, first="  - ")
    _skipped(summary.skipped, writer)
    sums = _by_object(summary.rejected)
    for (name, field, reason), count in sums[:_MOST]:
        lost = f"field {field} of {counted(count, 'record')}" if field else counted(count, "record")
        writer.wrapped(f"{name}: {lost}: {reason}", first="  - ")
    writer.and_more(len(sums), _MOST, " lines; tokentrail status --rejected lists all")


def held_before(before: Status, summary: IngestSummary) -> list[str]:
    """Say so when a case held evidence before an ingest that was more than a repetition of it."""
    same = not summary.objects.read and summary.objects.repeated >= before.objects
    if not before.objects or same:
        return []
    return [
        f"This case held other evidence before: {counted(before.objects, 'object')} with "
        f"{counted(before.records, 'event')}. The answer rests on all of it; --case NEW_FOLDER starts afresh."
    ]


def _by_object(rejections: Sequence[Rejection]) -> list[tuple[tuple[str, str | None, str], int]]:
    sums: dict[tuple[str, str | None, str], int] = {}
    for one in rejections:
        key = (one.object, one.field, one.reason)
        sums[key] = sums.get(key, 0) + one.count
    return list(sums.items())


def _coverage(coverage: Sequence[Coverage], writer: TextWriter) -> None:
    writer.line()
    head = f"{'ACCOUNT':<14}{'REGION':<16}{'FIRST':<22}{'LAST':<22}{'HOURS':>6}{'GAPS':>6}  READS DATA"
    writer.line((head, "bold"))
    if len(coverage) > _PLACES:
        _by_account(coverage, writer)
        return
    for one in coverage:
        _covered(one, one.region or "-", writer)
        if one.digest:
            writer.line(f"    digests: {one.digest}")
        for gap in sorted(one.gaps, key=lambda gap: gap.start - gap.end)[:3]:
            writer.line(f"    nothing in {words.span(gap.start, gap.end)}")
        if len(one.gaps) > 3:
            more = counted(len(one.gaps) - 3, "more gap")
            writer.line(f"    … and {more}, none of them longer; --format json lists them")
    writer.line(_HEADS)


def _by_account(coverage: Sequence[Coverage], writer: TextWriter) -> None:
    """A line for an account, whose hours and gaps are those of its regions together."""
    accounts: dict[str | None, list[Coverage]] = {}
    for one in coverage:
        accounts.setdefault(one.account, []).append(one)
    for regions in list(accounts.values())[:_ACCOUNTS]:
        together = replace(
            regions[0], first=min(one.first for one in regions), last=max(one.last for one in regions),
            hours_seen=sum(one.hours_seen for one in regions), gaps=tuple(gap for one in regions for gap in one.gaps),
            read_only_events=any(one.read_only_events for one in regions),
            write_events=any(one.write_events for one in regions),
            data_events=any(one.data_events for one in regions),
        )  # fmt: skip
        _covered(together, counted(len(regions), "region"), writer)
        digests = Counter(one.digest.partition(" ")[0] for one in regions if one.digest)
        if digests:
            writer.line(
                f"    digests: {', '.join(f'{count:,} {said}' for said, count in sorted(digests.items()))}"
            )
    if len(accounts) > _ACCOUNTS:
        writer.line(f"… and {counted(len(accounts) - _ACCOUNTS, 'more account')}")
    writer.wrapped(
        f"{_HEADS} Of an account, hours and gaps are those of its regions together; --format json tells each "
        "region, and which hours are silent."
    )


def _covered(one: Coverage, where: str, writer: TextWriter) -> None:
    reads, data = ("yes" if found else "no" for found in (one.read_only_events, one.data_events))
    writer.line(
        pad(one.account or "-", 14), pad(where, 16), f"{timestamp(one.first):<22}",
        f"{timestamp(one.last):<22}{one.hours_seen:>6,}{len(one.gaps):>6,}  {reads:<6}{data}",
    )  # fmt: skip


def _skipped(skipped: Sequence[SkippedObject], writer: TextWriter) -> None:
    for one in skipped[:_MOST]:
        writer.wrapped(f"{one.object}: skipped, {one.reason}", first="  - ")
    writer.and_more(len(skipped), _MOST, " skipped; --format json lists them")


def _lost(rejections: Sequence[Rejection], *, unfinished: bool) -> str:
    whole = sum(one.count for one in rejections if one.field is None)
    fields = sum(one.count for one in rejections if one.field is not None)
    if not whole and not fields:
        return "Every record that was reached was read." if unfinished else "Every record was read."
    parts = [counted(whole, "record or object", "records or objects") + " rejected"] if whole else []
    parts += [counted(fields, "field") + " lost of records otherwise read"] if fields else []
    return joined(parts) + "."


def _how_to_list(rejections: Sequence[Rejection], shown: bool) -> str:
    return "" if shown or not rejections else " `tokentrail status --rejected` lists them."
