"""What a traced lineage created, learned and touched, and which evidence is missing, as text."""

from __future__ import annotations

from collections.abc import Sequence

from tokentrail.formatting import counted, size, verb
from tokentrail.lineage.model import Created, Gap, Trace
from tokentrail.present import words
from tokentrail.present.document import timestamp
from tokentrail.present.text.text_writer import TextWriter, pad
from tokentrail.present.views.damage import (
    ALONE,
    MADE,
    KnownSecret,
    Tally,
    Unkeyed,
    calls,
    known_secrets,
    resources,
    unkeyed,
)

_MOST = 20
_ALL = "; --format json has all of them"
_TOP = 10
_CALL = 22


def write_damage(trace: Trace, writer: TextWriter) -> None:
    """Write what the tainted credentials made, learned, touched and called."""
    tainted = {one.id for one in trace.credentials if one.tainted}
    _made([one for one in trace.created if one.by in tainted], writer)
    _learned(known_secrets(trace, tainted), writer)
    _touched(resources(trace, tainted), writer)
    _called(calls(trace, tainted), writer)
    _named_alone(unkeyed(trace, tainted), writer)


def write_gaps(gaps: Sequence[Gap], writer: TextWriter) -> None:
    """Write what evidence the answer lacks."""
    writer.heading("Evidence gaps")
    told = words.gaps(gaps, _MOST)
    for one in told[:_MOST]:
        writer.wrapped(one, first="  - ")
    if not told:
        writer.line("  No gap in the evidence of these accounts is known.")
    writer.and_more(len(told), _MOST, _ALL)


def _made(created: Sequence[Created], writer: TextWriter) -> None:
    if not created:
        return
    writer.heading(MADE)
    for one in created[:_MOST]:
        what = f"{one.what.replace('_', ' ')} {one.id or ''}".rstrip()
        writer.wrapped(f"{one.event_name}: {what}, by {one.by}", first=f"  {timestamp(one.time)}  ")
    writer.and_more(len(created), _MOST, _ALL)


def _learned(known: Sequence[KnownSecret], writer: TextWriter) -> None:
    if not known:
        return
    writer.heading(f"{counted(len(known), 'secret')} read: rotate {verb(len(known), 'it', 'these')}")
    for one in known[:_MOST]:
        first, times = one.reads[0], len(one.reads)
        often = f" {times:,} times" if times > 1 else ""
        told = f"{one.what or 'of unknown name'}  ({first.event_name}{often} by {first.credential})"
        writer.wrapped(told, first=f"  {timestamp(first.time)}  ")
    writer.and_more(len(known), _MOST, _ALL)


def _touched(tallies: Sequence[Tally], writer: TextWriter) -> None:
    if not tallies:
        return
    writer.heading("Resources touched, the most bytes first")
    writer.line(f"  {'BYTES OUT':>10}{'CALLS':>9}{'FAILED':>8}  {pad('CALL', _CALL)} RESOURCE")
    for one in tallies[:_TOP]:
        amount = size(one.bytes_out) if one.bytes_out else "-"
        failed = f"{one.errors:,}" if one.errors else "-"
        inside = f" and {one.inside:,} in it" if one.inside else ""
        lead = f"  {amount:>10}{one.count:>9,}{failed:>8}  {pad(one.call, _CALL)} "
        writer.wrapped(one.name + inside, first=lead, rest=" " * len(lead))
    writer.and_more(len(tallies), _TOP, _ALL)


def _called(tallies: Sequence[Tally], writer: TextWriter) -> None:
    if not tallies:
        return
    total = counted(sum(one.count for one in tallies), "call")
    writer.heading(f"{total} of {counted(len(tallies), 'kind')}, the most frequent first")
    writer.line(f"  {'CALLS':>19}{'FAILED':>8}  CALL")
    for one in tallies[:_TOP]:
        failed = f"{one.errors:,}" if one.errors else "-"
        writer.line(f"  {one.count:>19,}{failed:>8}  {one.call}")
    writer.and_more(len(tallies), _TOP, _ALL)


def _named_alone(tallies: Sequence[Unkeyed], writer: TextWriter) -> None:
    if not tallies:
        return
    writer.heading(ALONE)
    for one in tallies[:_TOP]:
        lead = f"  {one.count:>19,}  "
        writer.wrapped(one.sentence, first=lead, rest=" " * len(lead))
    writer.and_more(len(tallies), _TOP, _ALL)
