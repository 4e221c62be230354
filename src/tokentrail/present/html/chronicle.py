"""
What a page keeps of the events of a trace, gone through once: how dense each line's calls are, and the calls worth a
line of their own.

A page has room for some thousand lines. Calls that mint, make, change or fail come first; of the rest, runs of like
calls become one line, and what still does not fit is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from tokentrail.lineage.model import TimelineEvent
from tokentrail.present.html.rows import Row
from tokentrail.present.html.window import Window
from tokentrail.present.timeline import Run, runs

_NOTABLE, _ORDINARY = 1500, 1500
"""Lines of either sort that a page has room for."""
_TELLING = re.compile(
    r"(Assume|Create|Put|Attach|Detach|Delete|Update|Add|Remove|Set|Modify|Authorize|Enable|Disable|Stop|Run|Invoke|"
    r"Get(SessionToken|FederationToken|SecretValue|PasswordData|SigninToken|CallerIdentity|RoleCredentials)|"
    r"ConsoleLogin|SwitchRole|StartSession|GetParameter)"
)
BIN = 3.0
"""Width of a tick's place, in the picture's units."""


@dataclass(slots=True)
class Line:
    """A line of the timeline: a call, or a run of like ones."""

    run: Run
    notable: bool


@dataclass(slots=True)
class Chronicle:
    """What is kept."""

    lines: list[Line] = field(default_factory=list)
    events: int = 0
    left_out: int = 0
    """Lines for which there was no room."""
    left_events: int = 0
    by: dict[str, str] = field(default_factory=dict)
    """For events that ended a credential and that one of the trace made: which."""


def read(
    events: Iterable[TimelineEvent], rows: Sequence[Row], window: Window, ended_by: Iterable[str] = ()
) -> Chronicle:
    """Go through events once; each line of the picture gets its ticks."""
    kept = Chronicle()
    looked_for = frozenset(ended_by)
    notable: list[tuple[int, Line]] = []
    ordinary: list[tuple[int, Line]] = []
    counted = _counting(events, rows, window, kept, looked_for)
    for place, run in enumerate(runs(counted)):
        line = Line(run, _notable(run.first))
        chosen, room = (notable, _NOTABLE) if line.notable else (ordinary, _ORDINARY)
        if len(chosen) < room:
            chosen.append((place, line))
        else:
            kept.left_out += 1
            kept.left_events += run.count
    kept.lines = [line for _, line in sorted(notable + ordinary, key=lambda item: item[0])]
    return kept


def tick(events: Iterable[TimelineEvent], rows: Sequence[Row], window: Window) -> None:
    """Give lines their ticks, and keep nothing else."""
    for _ in _counting(events, rows, window, Chronicle(), frozenset()):
        pass


def _counting(
    events: Iterable[TimelineEvent],
    rows: Sequence[Row],
    window: Window,
    kept: Chronicle,
    ended: frozenset[str],
) -> Iterator[TimelineEvent]:
    of = {one.id: row for row in rows for one in row.members}
    start, end = window.start, window.end
    scale = (window.right - window.left) / (end - start).total_seconds() / BIN
    for event in events:
        kept.events += 1
        row = of.get(event.credential)
        if row is not None and start <= event.time <= end:
            ticks = row.bad if event.error_code else row.good
            place = int((event.time - start).total_seconds() * scale)
            ticks[place] = ticks.get(place, 0) + 1
        if event.event_id in ended:
            kept.by[event.event_id] = event.credential
        yield event


def _notable(event: TimelineEvent) -> bool:
    return bool(event.error_code) or bool(_TELLING.match(event.event_name or ""))
