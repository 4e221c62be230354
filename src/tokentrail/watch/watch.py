"""
The watch itself: evidence in, findings out, for ever.

Each round takes what has arrived, puts it into the case, tells the feed so, looks up what that must be seen with, links
and judges it, and sends what is new. When nothing comes, what was held back is said; what so can't be seen, a sweep
looks for beside.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice
from threading import Event

from tokentrail.present.document import document
from tokentrail.store.folder import CaseFolder
from tokentrail.store.interface import StoredObject
from tokentrail.store.tasks import Options
from tokentrail.watch.beat import Beat, Counts
from tokentrail.watch.carrying import Pinned, carried
from tokentrail.watch.fresh import identifiers
from tokentrail.watch.guard import PREFIX, Guard
from tokentrail.watch.hot import MOST, HotSet
from tokentrail.watch.intake import Intake, Tables, tables_of
from tokentrail.watch.interface import Arrival, Feed, Notice, Sink
from tokentrail.watch.judging import Judge, Judging, linked_again
from tokentrail.watch.ledger import Entry, Ledger
from tokentrail.watch.outbox import Outbox
from tokentrail.watch.recall import Recall
from tokentrail.watch.recollection import Recollection
from tokentrail.watch.reconcile import Document, Look, notices
from tokentrail.watch.sweep import Sweeping, SweepProcess, Swept, newest

BATCH = 4 << 20
"""Stored bytes that go into the case and are judged together."""
_WAIT = 0.2
_DUTY = 3.0
"""A sweep waits for so many times as long as the last one took: it has a quarter of the time at most."""
_SWEEP_EVERY = 60.0
_SLOW, _LEAST = 1.2, 20_000
"""Seconds that a look may take, or it looks at less the next time, but never at less than half so many records."""
_PINNED, _OF_EACH = 200, 20
"""The newest findings, and the credentials of each, that are carried before others."""
_LAST = 10.0
"""Seconds that sinks are given when the watch stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to watch."""

    judging: Judging = field(default_factory=Judging)
    options: Options = field(default_factory=Options)
    hot: int = MOST
    """Records that are judged with each batch."""
    look_back: int | None = None
    """Seconds before the newest record that sweeps look at; all by default."""
    only_new: bool = False
    """Whether what the case shows at the very first start is known already."""
    once: bool = False
    """Whether to stop when all that there was is in the case and judged."""
    quiet: float = 1.0
    """Seconds without evidence after which what was held back is said."""
    beat: float = 60.0
    """Seconds between two lines that say how far behind it is."""


class Watch:
    """
    Follows one feed into one case.

    Args:
        folder: The case.
        feed: Where evidence comes from.
        sinks: Where findings go.
        guards: Plans to keep guard over.
        settings: How.
        say: Told what a person should know, a sentence at a time.
        clock: Seconds since 1970.

    Raises:
        CaseBusy: another watch follows into this case.
        UsageError: something that it should judge by can't be read.
    """

    def __init__(
        self, folder: CaseFolder, feed: Feed, sinks: Sequence[Sink], guards: Sequence[Guard], settings: Settings,
        say: Callable[[str], None], clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._folder, self._feed, self._guards = folder, feed, guards
        self._settings, self._say, self._clock = settings, say, clock
        self._judge = Judge(settings.judging)
        self._ledger = Ledger(folder.path / "watch")
        self._sinks = sinks
        self._recall = Recall(folder.path / "watch")
        self._recollection = Recollection(self._recall)
        self._hot = HotSet(folder, settings.hot)
        self._over = Event()
        self._look = 0
        self._unjudged: dict[int, Tables] = {}
        """The segments that came since the last look."""
        self._unkept: list[tuple[int, Tables, Sequence[StoredObject]]] = []
        """Those that can't be asked for again yet: that has time until findings are told."""
        self._dirty = self._unsettled = True
        self._unswept = False
        self._sweep: SweepProcess | None = None
        self._sweep_began = self._sweep_after = 0.0
        self._sweep_look = 0
        self._counts = Counts()
        self._first = settings.only_new and not self._ledger.entries

    def stop(self) -> None:
        """Ask it to stop; safe to call from a signal handler."""
        self._over.set()

    def run(self) -> Counts:
        """
        Watch until asked to stop.

        Raises:
            SourceError: the source can't be followed at all.
            CaseError: the case or the ledger can't be written.
        """
        with self._ledger:
            outbox = Outbox(self._ledger, self._sinks, self._say)
            try:
                intake = self._opened()
                for guard in self._guards:
                    for line in guard.told():
                        self._say(line)
                self._know_the_past(outbox)
                self._feed.start()
                beat = Beat(
                    self._feed, self._folder.path / "watch", self._counts, self._settings.beat, self._clock
                )
                self._rounds(intake, outbox, beat)
                beat.last(self._say)
            finally:
                if self._sweep is not None:
                    self._sweep.kill()
                self._feed.stop()
                self._hot.close()
                self._recall.close()
                outbox.flush(_LAST)
                outbox.stop()
        return self._counts

    def _opened(self) -> Intake:
        """Take up the case where it is: the newest of it into the hot set."""
        snapshot = self._folder.snapshot()
        intake = Intake(self._folder, snapshot.objects().values(), self._settings.options)
        spans = self._recall.spans()
        last = max(spans, key=lambda number: spans[number].low, default=None)
        times = {one.segment: newest(self._folder.segment(one.segment)) for one in snapshot.manifests}
        fitting: list[tuple[int, Tables, Sequence[StoredObject]]] = []
        room = self._settings.hot
        for manifest in sorted(snapshot.manifests, key=lambda one: (-times[one.segment], one.segment)):
            self._counts.last = max(self._counts.last or 0, times[manifest.segment])
            room -= sum(one.records for one in manifest.objects)
            if room < 0:
                self._hot.whole = False
                self._unswept = True
                continue
            tables = tables_of(self._folder, manifest.segment)
            fitting.append((int(manifest.segment, 16), tables, manifest.objects))
        for number, tables, objects in reversed(fitting):
            self._hot.add(number, tables, objects)
            if number in spans:
                self._hot.kept(number, spans[number])
                self._recollection.kept(number, None)
            else:
                self._unkept.append((number, tables, objects))
            if spans and (number == last or number not in spans):  # a watch was killed before it judged them
                self._unjudged[number] = tables
        self._keep()
        return intake

    def _know_the_past(self, outbox: Outbox) -> None:
        """Where only what is new shall be told, note all that the case shows already."""
        if self._first and self._hot.whole:
            self._judged(outbox, True, None)
        elif self._first:
            self._begin_sweep()
            while self._sweep is not None and not self._over.wait(_WAIT):
                self._swept(outbox, True)
        self._first = False

    def _rounds(self, intake: Intake, outbox: Outbox, beat: Beat) -> None:
        quiet_since = self._clock()
        while not self._over.is_set():
            arrivals = self._feed.take(BATCH, _WAIT)
            if arrivals:
                quiet_since = self._clock()
                self._take(intake, arrivals)
            settled = self._clock() - quiet_since >= self._settings.quiet
            if self._dirty or (settled and self._unsettled):
                self._judged(outbox, settled, min((one.at for one in arrivals), default=None))
            self._swept(outbox, settled)
            for one in self._feed.lost():
                fate = "given up" if one.final else "left for another try"
                self._say(f"Not read: {one.name}: {one.reason}; {fate}.")
                self._counts.lost += 1
            beat.beat(self._say, outbox.left)
            if self._settings.once and settled and self._finished():
                return

    def _take(self, intake: Intake, arrivals: Sequence[Arrival]) -> None:
        taken = intake.take(arrivals)
        self._feed.kept(arrivals)
        self._counts.take(taken.outcomes)
        if taken.segment is None or taken.tables is None:
            return
        stored = [
            StoredObject(sha256=one.sha256, name=one.name, size=one.size, records=one.records, rejected=one.rejected)
            for one in taken.outcomes
            if one.sha256 in set(taken.objects) and not one.repeated
        ]  # fmt: skip
        number = int(taken.segment, 16)
        self._hot.add(number, taken.tables, stored)
        self._unkept.append((number, taken.tables, stored))
        self._counts.newest(taken.tables["events"])
        self._unjudged[number] = taken.tables
        self._dirty = self._unsettled = self._unswept = True

    def _recalled(self) -> None:
        """Bring back the older records that those must be seen with which came since the last look."""
        touched = [self._recollection.note(tables) for tables in self._unjudged.values()]
        if touched and not self._hot.whole:
            found = self._recollection.about(touched, self._hot.spans(), self._hot.recallable)
            if found is not None:
                self._hot.recall(found)

    def _keep(self) -> None:
        """Keep for later what came."""
        for number, tables, stored in self._unkept:
            span, names = self._recall.keep(number, tables, stored)
            self._hot.kept(number, span)
            self._recollection.kept(number, names)
        self._unkept.clear()

    def _judged(self, outbox: Outbox, settled: bool, arrived: float | None) -> None:
        """Judge the hot set, and send what is new."""
        if not self._hot.rows:
            self._dirty = self._unsettled = False
            return
        self._look += 1
        began = time.monotonic()
        complete = self._hot.whole
        self._recalled()
        fresh = (
            None
            if complete
            else frozenset[str]().union(*(identifiers(one) for one in self._unjudged.values()))
        )
        kept: Tables | None = None
        with linked_again(self._hot.engine()) as sight:
            scene = self._judge.scene(sight, self._hot.read)
            found = [document(one) for one in self._judge.findings(scene)]
            now = self._clock()
            guarded = [
                document(one)
                for guard in self._guards
                for one in guard.findings(sight, scene, datetime.fromtimestamp(now, UTC))
            ]
            now = self._clock()
            look = Look(
                number=self._look, since=self._look, complete=complete, settled=settled, now=now,
                delay=None if arrived is None else now - arrived, fresh=fresh,
            )  # fmt: skip
            self._send(outbox, look, found, self._entries(guard=False))
            self._send(outbox, replace(look, complete=False, fresh=None), guarded, self._entries(guard=True))
            self._dirty = False
            self._unsettled = not settled
            self._unjudged.clear()
            self._pace(time.monotonic() - began)
            if self._hot.full:
                kept = carried(sight, scene, self._hot.older(), self._pinned(), self._hot.carriable)
        self._keep()
        if kept is not None:
            older = self._hot.older()
            self._hot.carry(older, kept)
            self._recollection.let_go(older)
        if self._hot.crowded:
            self._hot.forget()
            self._recollection.forget()
        self._counts.judged(now)

    def _pace(self, took: float) -> None:
        """Judge fewer records with each batch where that takes too long, and more again where it does not."""
        most = self._settings.hot
        if took > _SLOW:
            self._hot.most = max(min(_LEAST, most), int(self._hot.most * 0.8))
        elif took < _SLOW / 2:
            self._hot.most = min(most, int(self._hot.most * 1.1))

    def _send(self, outbox: Outbox, look: Look, found: Sequence[Document], entries: dict[str, Entry]) -> None:
        sent = list(notices(look, found, entries))
        known = [one for one in sent if self._first and not _is_guard(one)]
        outbox.know(known, look.now)
        told = [one for one in sent if one not in known]
        outbox.send(told, look.now)
        self._counts.notices += len(told)
        for one in sent:
            self._ledger.entries[one.id].asserted = look.number

    def _entries(self, *, guard: bool) -> dict[str, Entry]:
        return {ident: one for ident, one in self._ledger.entries.items() if _is_guard(one.notice) is guard}

    def _pinned(self) -> Pinned:
        """Credentials of plans, and of the newest findings."""
        newest = islice(reversed(self._ledger.entries.values()), _PINNED)
        return Pinned(
            plans=tuple(one for guard in self._guards for one in guard.pinned),
            findings=tuple(
                ident for one in newest for ident in one.notice.document["credentials"][:_OF_EACH]
            ),
        )

    def _swept(self, outbox: Outbox, settled: bool) -> None:
        """Take what a sweep found, or begin one when it is time."""
        if self._sweep is not None:
            if self._sweep.done():
                found, self._sweep = self._sweep.result(), None
                took = self._clock() - self._sweep_began
                self._sweep_after = self._clock() + max(took * _DUTY, 0.0 if settled else _SWEEP_EVERY)
                if found is None:
                    self._unswept = True
                    self._say("A sweep over the whole case failed; it is tried again.")
                    self._sweep_after += _SWEEP_EVERY
                else:
                    self._take_over(outbox, found)
            return
        due = self._unswept and not self._hot.whole
        if due and (self._clock() >= self._sweep_after or (settled and self._settings.once)):
            self._begin_sweep()

    def _begin_sweep(self) -> None:
        self._unswept = False
        self._sweep_began, self._sweep_look = self._clock(), self._look
        self._hot.sweep_begins()
        back, last = self._settings.look_back, self._counts.last
        self._sweep = SweepProcess(
            Sweeping(
                case=self._folder.path, judging=self._settings.judging,
                since=None if back is None or last is None else last - back,
                pinned=self._pinned(), carried=self._hot.carriable,
            )
        )  # fmt: skip

    def _take_over(self, outbox: Outbox, found: Swept) -> None:
        """What the sweep found stands, but for what came after it began."""
        self._look += 1
        entries = self._entries(guard=False)
        if found.since is not None:  # what lies before is not looked at any more
            start = datetime.fromtimestamp(found.since, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
            entries = {name: one for name, one in entries.items() if one.notice.document["time"] >= start}
        look = Look(number=self._look, since=self._sweep_look, complete=True, settled=True, now=self._clock())
        self._send(outbox, look, [document(one) for one in found.findings], entries)
        self._hot.swept(found.carried)
        self._dirty = True

    def _finished(self) -> bool:
        """Whether all that there was is in the case and judged."""
        swept = self._hot.whole or (self._sweep is None and not self._unswept)
        return self._feed.drained() and not self._dirty and not self._unsettled and swept


def _is_guard(notice: Notice) -> bool:
    """Whether it is about a plan: told whatever else is known, and never withdrawn."""
    return str(notice.document["rule"]).startswith(PREFIX)
