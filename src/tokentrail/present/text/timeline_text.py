"""
A timeline as text: a line for a call, and one line for a run of calls that are alike.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import TextIO

from rich.cells import cell_len

from tokentrail.formatting import counted, short
from tokentrail.lineage.model import TimelineEvent
from tokentrail.present import words
from tokentrail.present.document import Document, columns, document, timestamp
from tokentrail.present.formats.json_csv import write_csv
from tokentrail.present.safe import cut_head, safe
from tokentrail.present.text.text_writer import Part, TextWriter, pad

_TAIL = 6
_NAME, _CALL, _ADDRESS = 12, 27, 16
_LEAST = 12
"""With fewer columns left, the end of a resource's name would mean nothing, so that it gets a line of its own."""
_TIME = 21
_UNDER = _TIME + _NAME
"""The column where that line begins."""
RUN = 4
"""So many calls in a row of one credential, name, address and outcome become one line."""

_END = 100
"""Lines at either end of a long timeline."""
_TIMESKETCH = ("message", "datetime", "timestamp_desc")


@dataclass(slots=True)
class Run:
    """Calls in a row that are alike."""

    first: TimelineEvent
    last: TimelineEvent
    count: int
    failed: int = 0
    """Of calls that succeeded first, how many did not."""


class ShortNames:
    """Short names of credentials, such as `ASIA…OPQSY7`, no two alike; a legend says what they stand for."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()

    def short(self, credential: str) -> str:
        """Give a credential's short name: its beginning and as much of its end as no other has."""
        if credential not in self._names:
            self._names[credential] = self._new(credential)
            self._taken.add(self._names[credential])
        return self._names[credential]

    def legend(self) -> list[tuple[str, str]]:
        """List the short names and what they stand for, by first appearance."""
        return [(short, credential) for credential, short in self._names.items()]

    def _new(self, credential: str) -> str:
        for tail in range(_TAIL, len(credential) - 4):
            short = f"{credential[:4]}…{credential[-tail:]}"
            if short not in self._taken:
                return short
        return credential


def write_timeline(events: Iterable[TimelineEvent], writer: TextWriter, *, whole: str | None = None) -> int:
    """
    Write a timeline, then what the short names stand for.

    Args:
        events: In order.
        writer: Where to.
        whole: The command that tells all of it, where of a long one its two ends are enough.

    Returns:
        How many events were written.
    """
    names, count = ShortNames(), 0
    lines = _lines(runs(events))
    for run in lines if whole is None else _ends(lines):
        if isinstance(run, int):
            writer.wrapped(f"{counted(run, 'event')} between; all: {whole}", first="… ", style="bold")
            continue
        if not count:
            head = f"{'TIME':<{_TIME}}{'CREDENTIAL':<{_NAME}}{'CALL':<{_CALL}}{'FROM':<{_ADDRESS}}RESULT, RESOURCE"
            writer.line((head, "bold"))
        count += run.count
        if run.count >= RUN:
            _line(run.first, names, writer, run=run)
        else:
            _line(run.first, names, writer)
    if count:
        writer.heading("Credentials")
        widest = max(cell_len(safe(short)) for short, _ in names.legend())
        for short, credential in names.legend():
            writer.line(f"  {_column(short, max(_NAME, widest + 1))}{safe(credential)}")
    return count


def _ends(listed: Iterator[Run]) -> Iterator[Run | int]:
    """The first and the last of many lines, and how many events are between; of others, all."""
    yield from islice(listed, _END)
    last: deque[Run] = deque()
    between = 0
    for run in listed:
        last.append(run)
        if len(last) > _END:
            between += last.popleft().count
    if between:
        yield between
    yield from last


def runs(events: Iterable[TimelineEvent]) -> Iterator[Run]:
    """Group calls in a row that are alike; runs too short to be worth it come out call by call."""
    held: list[TimelineEvent] = []
    run: Run | None = None
    for event in events:
        if run is not None and _alike(run.first, event):
            run.last, run.count = event, run.count + 1
            if run.count < RUN:
                held.append(event)
            continue
        yield from _done(run, held)
        run, held = Run(event, event, 1), [event]
    yield from _done(run, held)


def _lines(found: Iterable[Run]) -> Iterator[Run]:
    """
    Put together what one line tells as well as many: one call in many regions, and one of which a few failed.

    Where calls that succeeded fail from then on, or begin to succeed, that begins a line.
    """
    line: _Line | None = None
    for run in found:
        if line is None:
            line = _Line(run)
        elif not line.takes(run):
            yield from line.done()
            first, *more = *line.failures, run
            line = _Line(first)
            for one in more:
                if not line.takes(one):
                    yield from line.done()
                    line = _Line(one)
    if line is not None:
        yield from line.done()
        yield from line.failures


class _Line:
    """Runs of one call that become one line, where they are calls enough."""

    def __init__(self, run: Run) -> None:
        self._whole = replace(run)
        self._few = [run]
        self.failures: list[Run] = []
        """The last of them, which belong to it if more succeed after them."""

    def takes(self, run: Run) -> bool:
        """Take a run in, if it belongs here."""
        if _what(run.first) != _what(self._whole.first):
            return False
        failed = sum(one.count for one in self.failures)
        if run.first.error_code == self._whole.first.error_code:
            self._few = [*self._few, *self.failures, run] if self._whole.count < RUN else []
            self._whole.last = run.last
            self._whole.count += failed + run.count
            self._whole.failed += failed
            self.failures = []
            return True
        belongs = self._whole.first.error_code is None and failed + run.count < RUN
        if belongs:
            self.failures.append(run)
        return belongs

    def done(self) -> Iterator[Run]:
        """Give the line, or the calls where they are few."""
        yield from [self._whole] if self._whole.count >= RUN else self._few


def _done(run: Run | None, held: list[TimelineEvent]) -> Iterator[Run]:
    if run is not None and run.count >= RUN:
        yield run
    else:
        yield from (Run(event, event, 1) for event in held)


def _alike(one: TimelineEvent, other: TimelineEvent) -> bool:
    return _kind(one) == _kind(other)


def _kind(event: TimelineEvent) -> tuple[str | bool | None, ...]:
    return (*_what(event), event.error_code, event.region)


def _what(event: TimelineEvent) -> tuple[str | bool | None, ...]:
    return (
        event.credential,
        event.event_source,
        event.event_name,
        event.source_ip,
        event.account,
        event.began,
    )


def _line(event: TimelineEvent, names: ShortNames, writer: TextWriter, *, run: Run | None = None) -> None:
    error = f"! {event.error_code} " if event.error_code else "began it " if event.began else ""
    until = words.span(event.time, run.last.time).removeprefix(timestamp(event.time)) if run else ""
    failed = f", {run.failed:,} failed" if run and run.failed else ""
    times = f"x{run.count:,}{until}{failed} " if run else ""
    lead: list[Part] = [
        f"{timestamp(event.time):<{_TIME}}",
        (_column(names.short(event.credential), _NAME), "bold"),
        _column(words.call(event.event_source, event.event_name), _CALL),
        _column(event.source_ip or "-", _ADDRESS),
    ]
    result: list[Part] = [(safe(error), "yellow"), times]
    about = safe(on_what(event, run.count if run else 1))
    room = writer.columns - _cells(lead) - _cells(result)
    if cell_len(about) <= room or (run is None and room >= _LEAST):
        writer.line(*lead, *result, cut_head(about, room))
    elif room >= 0:
        writer.line(*lead, *result)
        writer.line(" " * _UNDER, cut_head(about, writer.columns - _UNDER))
    else:
        writer.line(*lead)
        room = writer.columns - _UNDER - _cells(result)
        below = [cut_head(about, writer.columns - _UNDER)] if cell_len(about) > room else []
        writer.line(" " * _UNDER, *result, *([] if below else [about]))
        for one in below:
            writer.line(" " * _UNDER, one)


def _cells(parts: Iterable[Part]) -> int:
    return sum(cell_len(part if isinstance(part, str) else part[0]) for part in parts)


def _column(text: str, columns: int) -> str:
    """Fill a column; what is longer takes its room from the next, since no id or address may be cut."""
    shown = safe(text)
    return pad(shown, columns) if cell_len(shown) < columns else shown + " "


def resource(event: TimelineEvent) -> str:
    """Name the thing that a call was about, without the head of its ARN, which says nothing; else what it asked for."""
    named = max((one for one in event.resources if one), key=len, default="")
    if not named:
        return ", ".join(one.partition("=")[2] for one in event.about)
    return short(named)


def on_what(first: TimelineEvent, count: int) -> str:
    """Name what a line's calls were about: of several it is the first one's, and the others' may be another thing."""
    about = resource(first)
    return f"first {about}" if about and count > 1 else about


def write_timesketch(events: Iterable[TimelineEvent], stream: TextIO) -> None:
    """
    Write the events as CSV that Timesketch imports, one at a time: its three columns first, then all of ours.

    Source: Timesketch, 'Import data into Timesketch': `message`, `datetime` in ISO 8601, `timestamp_desc`.
    """
    write_csv(_timesketch_rows(events), (*_TIMESKETCH, *columns(TimelineEvent)), stream)


def _timesketch_rows(events: Iterable[TimelineEvent]) -> Iterator[Document]:
    for one in events:
        failed = f": {one.error_code}" if one.error_code else ""
        on = f" on {named}" if (named := resource(one)) else ""
        where = f" from {one.source_ip}" if one.source_ip else ""
        call = words.call(one.event_source, one.event_name)
        yield {
            "message": f"{call} {'began' if one.began else 'by'} {one.credential}{where}{on}{failed}",
            "datetime": one.time.isoformat(timespec="seconds"),
            "timestamp_desc": "CloudTrail event time",
            **document(one),
        }
