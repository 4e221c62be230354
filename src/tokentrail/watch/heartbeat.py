"""Say how far behind a watch is: in a line now and then for people, and in a small file for programs (`state.json`)."""

from __future__ import annotations

import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Lock, Thread

from tokentrail.errors import CaseError, SourceError
from tokentrail.formatting import at, counted
from tokentrail.store.folder import write_atomically
from tokentrail.store.tasks import Outcome
from tokentrail.watch.interface import Behind, Feed

_STATE_EVERY = 5.0
"""Seconds between two writings of `state.json`."""
_NAMED = 1_000
"""Objects that could not be read as a whole, of which the last so many are named."""


@dataclass(slots=True)
class Counts:
    """What a watch has done since it started."""

    objects: int = 0
    repeated: int = 0
    records: int = 0
    rejected: int = 0
    lost: int = 0
    """Messages and objects that could not be read."""
    notices: int = 0
    """Findings and revisions that were sent."""
    last: int | None = None
    """The time of the newest record."""
    judged_at: float | None = None
    """When the last turn ended, in seconds since 1970."""
    _flawed: deque[Outcome] = field(default_factory=lambda: deque(maxlen=_NAMED))

    def take(self, outcomes: Iterable[Outcome]) -> None:
        """Count what became of objects that came in."""
        for one in outcomes:
            if one.failed or (one.rejected and not one.repeated):
                self._flawed.append(one)
            if one.failed:
                self.lost += 1
            elif one.repeated:
                self.repeated += 1
            else:
                self.objects += 1
                self.records += one.records
                self.rejected += one.rejected

    def flaws(self) -> Iterator[str]:
        """Name in words, each once, the objects that could not be read as a whole."""
        while self._flawed:
            one = self._flawed.popleft()
            yield f"Not read: {one.name}: {one.failed}." if one.failed else (
                f"Not read as a whole: {one.name}: {counted(one.rejected, 'part')} rejected, "
                f"{counted(one.records, 'record')} read; `tokentrail status --rejected` says why."
            )  # fmt: skip


class Heartbeat:
    """
    Says now and then how far behind the watch is.

    Args:
        feed: The feed that is followed.
        folder: The folder of `state.json`, which is replaced as a whole every few seconds.
        counts: What was done.
        every: Seconds between two lines.
        clock: Returns the time, in seconds since 1970.
    """

    def __init__(
        self, feed: Feed, folder: Path, counts: Counts, every: float, clock: Callable[[], float]
    ) -> None:
        self._feed, self._path, self._counts = feed, folder / "state.json", counts
        self._every, self._clock = every, clock
        self._next_line = clock() + every
        self._next_state = 0.0
        self._troubles: frozenset[str] = frozenset()
        self._hindered_since = 0.0
        self._before = clock()
        self._undelivered = 0
        self._writing = Lock()
        self._over = Event()

    @contextmanager
    def while_judging(self) -> Iterator[None]:
        """A context in which `state.json` is written on time by a thread, so that a watch at work seems alive."""
        self._over.clear()
        thread = Thread(target=self._write_on_time, daemon=True)
        thread.start()
        try:
            yield
        finally:
            self._over.set()
            thread.join()

    def _write_on_time(self) -> None:
        while not self._over.wait(_STATE_EVERY):
            with suppress(OSError, CaseError, SourceError):  # the watch itself will meet and say it
                self._write(self._feed.behind(), self._clock())

    def beat(self, say: Callable[[str], None], undelivered: int) -> None:
        """
        Say and write what is due: new troubles at once, the rest when its time has come.

        Args:
            say: Called with each sentence.
            undelivered: How many notices some sink has yet to receive.
        """
        now, self._undelivered = self._clock(), undelivered
        # The clock may be set back, perhaps by hours, in which nobody would hear of the watch.
        if now < self._before:
            self._next_line, self._next_state = now + self._every, now
            self._hindered_since = min(self._hindered_since, now)
        self._before = now
        troubles = frozenset(self._feed.troubles())
        for one in sorted(troubles - self._troubles):
            say(one)
        if self._troubles and not troubles:
            say("The source is read again.")
        if troubles and not self._troubles:
            self._hindered_since = now
        self._troubles = troubles
        if now < self._next_state and now < self._next_line:
            return
        behind = self._feed.behind()
        if now >= self._next_state:
            self._next_state = now + _STATE_EVERY
            self._write(behind, now)
        if now >= self._next_line:
            self._next_line = now + self._every
            say(self._line(behind, now, undelivered))

    def last(self, say: Callable[[str], None]) -> None:
        """Say what was done in all."""
        done = self._counts
        say(
            f"Stopped: {counted(done.objects, 'object')}, {counted(done.records, 'record')}, "
            f"{counted(done.notices, 'finding or revision', 'findings and revisions')} sent, "
            f"{counted(done.repeated, 'object')} repeated, "
            f"{counted(done.lost, 'message or object', 'messages or objects')} not read, "
            f"{counted(done.rejected, 'record')} rejected."
        )

    def _line(self, behind: Behind, now: float, undelivered: int) -> str:
        waiting = (behind.waiting or 0) + behind.held
        done = self._counts
        if waiting:
            late = f", the oldest for {_lasting(now - behind.oldest)}" if behind.oldest else ""
            lag = f"Behind: {waiting:,} waiting{late}"
        else:
            lag = "Up to date"
        if self._troubles:  # it knows of nothing that waits, which is no sign that nothing does
            lag = f"Hindered for {_lasting(now - self._hindered_since)}" + (
                f", {waiting:,} waiting" if waiting else ""
            )
        newest = at(done.last) if done.last else "none yet"
        parts = [
            lag, f"newest record {newest}", counted(done.records, "record"),
            counted(done.notices, "finding or revision", "findings and revisions"),
        ]  # fmt: skip
        if undelivered:
            parts.append(f"{undelivered:,} not delivered yet")
        if done.lost:
            parts.append(f"{done.lost:,} not read")
        if done.rejected:
            parts.append(f"{counted(done.rejected, 'record')} rejected")
        return " ".join(["; ".join(parts) + ".", *sorted(self._troubles)])

    def _write(self, behind: Behind, now: float) -> None:
        state = {
            "pid": os.getpid(), "updated": _stamp(now), "waiting": behind.waiting, "held": behind.held,
            "oldest_arrival": _stamp(behind.oldest), "newest_record": _stamp(self._counts.last),
            "judged": _stamp(self._counts.judged_at), "objects": self._counts.objects,
            "records": self._counts.records, "rejected": self._counts.rejected, "lost": self._counts.lost,
            "notices": self._counts.notices, "undelivered": self._undelivered, "troubles": sorted(self._troubles),
        }  # fmt: skip
        with self._writing:
            write_atomically(self._path, json.dumps(state).encode())


def _stamp(seconds: float | None) -> str | None:
    return None if seconds is None else at(seconds)


def _lasting(seconds: float) -> str:
    """Spell a span of time, roughly."""
    if seconds < 120:
        return f"{max(0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
