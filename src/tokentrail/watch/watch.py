"""
The watch itself: a loop that takes in what a feed brings, links and judges it, and sends new findings.

A turn begins as soon as evidence has come and the turn before began long enough ago: at most half a minute, less where
judging is quick. Evidence is committed to the case before the feed is told so (which deletes a queue's messages);
findings are in the ledger before they are sent; and segments count as judged once their findings are there. So a watch
that is killed at any moment loses nothing, and repeats nothing that the ledger knows of.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from threading import Event

from tokentrail.formatting import counted
from tokentrail.store.folder import CaseFolder
from tokentrail.store.freed_memory import give_back, without_collection
from tokentrail.store.ingest import ingest
from tokentrail.store.merge import AT_ONCE, merge_small
from tokentrail.store.tasks import Options
from tokentrail.watch.detection_pass import DetectionPass, Document, Judged, Judging
from tokentrail.watch.feeds_and_sinks import folder_to_follow_into
from tokentrail.watch.guard import PREFIX, Guard
from tokentrail.watch.heartbeat import Counts, Heartbeat
from tokentrail.watch.interface import Arrival, Feed, Notice, Sink
from tokentrail.watch.ledger import Entry, Ledger
from tokentrail.watch.outbox import Outbox
from tokentrail.watch.reconcile import REVISED_EVERY, Pass, notices, withdrawn

BATCH = 16 << 20
"""Stored bytes that are put into the case at once, even before the next turn."""
TURN = 30.0
"""Seconds from the beginning of a turn to the next, at most; longer if the turn itself takes longer."""
HOT = 300_000
"""Records that a turn judges, at most."""
_SHARE = 4.0
"""A turn begins no sooner than so many times the duration of the last one after that one's beginning; see `TURN`."""
_WAIT = 0.2
"""Seconds to wait for arrivals."""
_OTHERS = 5.0
"""Seconds after which to check again whether another process has put evidence into the case."""
_LAST = 10.0
"""Seconds that sinks are given when the watch stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to watch."""

    judging: Judging = field(default_factory=Judging)
    options: Options = field(default_factory=Options)
    hot: int = HOT
    """Records that a turn judges, at most; of a larger case a window (`window`)."""
    look_back: int | None = None
    """Seconds before the newest record from which on evidence is judged; all of it by default."""
    only_new: bool = False
    """Whether findings of what the case holds at the very first start are noted as known, and not sent."""
    once: bool = False
    """Whether to stop when all that the feed has now is in the case and judged."""
    turn: float = TURN
    """Seconds from the beginning of a turn to the next, at most."""
    quiet: float = 1.0
    """Seconds without new evidence after which it counts as settled, and revisions that were held back are sent."""
    beat: float = 60.0
    """Seconds between two lines that say how far behind the watch is."""


class Watch:
    """
    Follows one feed into one case.

    Args:
        folder: The case.
        feed: Where evidence comes from.
        sinks: Where findings go.
        guards: The guards of containment plans that were carried out.
        settings: How it judges, and how often.
        say: Called with each sentence that a person should read.
        clock: Returns the time, in seconds since 1970.

    Raises:
        CaseBusy: another watch follows into this case.
        UsageError: the case is in a bucket, or a file that it should judge by can't be read.
    """

    def __init__(
        self, folder: CaseFolder, feed: Feed, sinks: Sequence[Sink], guards: Sequence[Guard], settings: Settings,
        say: Callable[[str], None], clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        if folder.mirror is not None:
            folder_to_follow_into(folder.mirror.bucket.uri)  # which refuses
        self._folder, self._feed, self._guards, self._sinks = folder, feed, guards, sinks
        self._settings, self._say, self._clock = settings, say, clock
        self._detection = DetectionPass(folder, settings.judging, guards)
        folder.check_writable()
        self._ledger = Ledger(folder.path / "watch")
        for guard in guards:
            guard.begun_in(folder.path / "watch")
        self._counts = Counts()
        self._stopping = Event()
        self._arrivals: list[Arrival] = []
        """What was taken from the feed, and is not in the case yet."""
        self._arrived: float | None = None
        """When the first of the evidence came that was not judged yet."""
        self._seen = frozenset[str]()
        """The segments that were there when the last turn began, or that this watch has made since."""
        self._judged = set[str]()
        self._said = set[str]()
        """What was said of rules that failed: once is enough."""
        self._fresh = 0
        """Segments that came since small ones were last merged."""
        self._last: Judged | None = None
        """The last pass, if its findings were sent before evidence had settled."""
        self._dirty = False
        """Whether evidence has come since the last turn began."""
        self._next_turn = self._quiet_since = self._settled_at = self._others_at = 0.0

    def stop(self) -> None:
        """Ask it to stop; safe to call from a signal handler."""
        self._stopping.set()

    def run(self) -> Counts:
        """
        Watch until asked to stop, and return what was done.

        Raises:
            SourceError: the source can't be followed at all.
            CaseError: the case or the ledger can't be written.
        """
        with self._ledger, without_collection(), ExitStack() as at_end:
            if not gc.get_freeze_count():
                at_end.callback(gc.unfreeze)
                gc.freeze()  # what is imported will stay: collections need not look through it
            self._outbox = Outbox(self._ledger, self._sinks, self._say)
            at_end.callback(self._outbox.stop)
            at_end.callback(self._say_what_is_left)
            at_end.callback(self._outbox.flush, _LAST)
            at_end.callback(self._detection.close)
            at_end.callback(self._feed.stop)
            for guard in self._guards:
                for line in guard.told():
                    self._say(line)
            self._heartbeat = Heartbeat(
                self._feed, self._folder.path / "watch", self._counts, self._settings.beat, self._clock
            )
            self._judged |= self._ledger.judged()
            self._seen = self._folder.published()
            self._dirty = not self._judged.issuperset(self._folder.snapshot().folders)
            self._note_the_past()
            self._feed.start()
            self._rounds()
            if self._dirty:
                self._turn(settled=False)
            self._heartbeat.last(self._say)
        return self._counts

    def _note_the_past(self) -> None:
        """If only new findings are to be sent, note at the very first start those of what the case holds."""
        noted = self._folder.path / "watch" / "past-known"
        if not self._settings.only_new or not self._ledger.empty or noted.exists():
            return
        if self._dirty:
            self._turn(settled=True, known=True)
        noted.touch(mode=0o600)

    def _rounds(self) -> None:
        self._quiet_since = self._others_at = self._clock()
        while not self._stopping.is_set():
            came = self._take()
            now = self._now()
            waited = (
                self._settings.once and not came
            )  # nothing more comes for now: there is nothing to wait for
            full = _size(self._arrivals) >= BATCH
            if self._arrivals and (full or waited or now >= self._next_turn):
                self._ingest()
            if now - self._others_at >= _OTHERS:
                self._others_at = now
                self._see_new()
            settled = now - self._quiet_since >= self._settings.quiet
            # Who is behind takes in more, for a while, before it judges: a turn takes as long for little as for much.
            due = now >= self._next_turn + (self._settings.turn if full else 0.0)
            if self._dirty and (due or waited):
                self._turn(settled=settled)
            elif settled and self._last is not None and not self._dirty:
                self._send(self._last, settled=True)
            self._say_losses()
            self._outbox.again()
            self._beat()
            if self._settings.once and settled and self._finished():
                break

    def _now(self) -> float:
        """The time; a clock that was set back, perhaps by hours, holds up no turn."""
        now = self._clock()
        if now < self._others_at:
            self._next_turn = self._quiet_since = self._others_at = self._settled_at = now
        return now

    def _take(self) -> bool:
        """Take what has arrived from the feed, while there is room; whether anything came."""
        if _size(self._arrivals) >= BATCH:
            return True
        arrivals = self._feed.take(BATCH, _WAIT)
        self._arrivals += arrivals
        if arrivals:
            self._quiet_since = self._clock()
        return bool(arrivals)

    def _ingest(self) -> None:
        """Put what was taken into the case, and tell the feed so."""
        arrivals, self._arrivals = self._arrivals, []
        objects = [one.object for one in arrivals]
        outcomes = list(ingest(self._folder, objects, options=self._settings.options, workers=1))
        self._feed.kept(arrivals)
        self._counts.take(outcomes)
        if self._see_new():
            first = min(one.at for one in arrivals)
            self._arrived = first if self._arrived is None else min(self._arrived, first)

    def _see_new(self) -> bool:
        """Note the segments that this watch or another process has added to the case; whether there are any."""
        before, self._seen = self._seen, self._folder.published()
        new = len(self._seen - before)
        self._fresh += new
        self._dirty = self._dirty or new > 0
        return new > 0

    def _turn(self, *, settled: bool, known: bool = False) -> None:
        """
        Link and judge what the case holds, and send what is new.

        Args:
            settled: Whether evidence has stopped coming for now.
            known: Whether findings are only noted as known; those of guards are sent anyway.
        """
        began, self._dirty = self._clock(), False
        arrived, self._arrived = self._arrived, None
        settings = self._settings
        with self._heartbeat.while_judging():
            judged = self._detection.judge(self._judged, settings.hot, settings.look_back, began)
        self._counts.last = judged.last
        for sentence in dict.fromkeys(judged.failed):
            if sentence not in self._said:
                self._said.add(sentence)
                self._say(sentence)
        settled = settled or began - self._settled_at >= REVISED_EVERY
        self._send(judged, settled=settled, arrived=arrived, known=known)
        new = judged.segments - self._judged
        self._ledger.note_judged(new, self._judged - judged.segments)
        self._judged = {*judged.segments}
        self._counts.judged_at = self._clock()
        self._next_turn = began + min(max(0.0, (self._clock() - began) * _SHARE), settings.turn)
        self._merge()
        gc.collect()
        give_back()

    def _send(
        self, judged: Judged, *, settled: bool, arrived: float | None = None, known: bool = False
    ) -> None:
        """Send what is new among the findings of a pass, as the ledger knows."""
        now = self._clock()
        how = Pass(
            complete=judged.complete and not judged.failed, settled=settled, now=now,
            delay=None if arrived is None else now - arrived, fresh=judged.fresh, start=judged.start,
        )  # fmt: skip
        self._publish(how, judged.found, known=known)
        gone = withdrawn(how, self._standing({one["id"] for one in judged.found}))
        self._deliver([*gone], now)
        self._publish(replace(how, complete=False, fresh=None), judged.guarded)
        self._last = None if settled else judged
        if settled:
            self._settled_at = now

    def _publish(self, how: Pass, found: Sequence[Document], *, known: bool = False) -> None:
        fresh = [*notices(how, found, self._ledger.last(one["id"] for one in found))]
        if known:
            self._outbox.know(fresh, how.now)
        else:
            self._deliver(fresh, how.now)

    def _deliver(self, listed: Sequence[Notice], now: float) -> None:
        self._outbox.send(listed, now)
        self._counts.notices += len(listed)

    def _standing(self, found: Collection[str]) -> Iterator[Entry]:
        """Findings that were sent and a pass has not found, without those of guards; read only when iterated."""
        standing = self._ledger.standing(found)
        yield from (one for one in standing if not str(one.notice.document["rule"]).startswith(PREFIX))

    def _merge(self) -> None:
        """Merge small segments now and then, so that a case that grows by a segment a turn stays one of few files."""
        if self._fresh < AT_ONCE:
            return
        self._fresh = 0
        merge_small(self._folder, self._merged, among=self._judged)
        self._folder.tidy()
        self._seen = self._folder.published()

    def _merged(self, segment: str, replaced: Sequence[str]) -> None:
        self._ledger.note_judged([segment], replaced)
        self._judged = self._judged - {*replaced} | {segment}

    def _beat(self) -> None:
        self._heartbeat.beat(self._say, self._outbox.left)

    def _say_what_is_left(self) -> None:
        if left := self._outbox.left:
            self._say(
                f"{counted(left, 'notice has', 'notices have')} not come through; the next start sends the rest."
            )

    def _say_losses(self) -> None:
        for flaw in self._counts.flaws():
            self._say(flaw)
        for one in self._feed.lost():
            fate = "given up" if one.final else "left for another try"
            self._say(f"Not read: {one.name}: {one.reason}; {fate}.")
            self._counts.lost += 1

    def _finished(self) -> bool:
        """Whether all that the feed had is in the case and judged, and all that follows from it was sent."""
        return self._feed.drained() and not (self._arrivals or self._dirty or self._last)


def _size(arrivals: Sequence[Arrival]) -> int:
    return sum(one.object.size for one in arrivals)
