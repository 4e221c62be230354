"""
The watch itself: evidence in, findings out, for ever.

Each round takes what has arrived, puts it into the case, tells the feed so, and looks up what that must be seen with;
as soon as the look before is done, it has all that linked and judged, and sends what is new. When nothing comes, what
was held back is said; what looks can't see, a sweep looks for beside.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from threading import Event
from typing import NamedTuple

from tokentrail.detection.wording import at
from tokentrail.errors import CaseError
from tokentrail.present.words import number
from tokentrail.store.folder import CaseFolder
from tokentrail.store.memory import without_collection
from tokentrail.store.tasks import Options
from tokentrail.watch.beat import Beat, Counts
from tokentrail.watch.carrying import Pinned
from tokentrail.watch.gathering import Gathered, Gathering
from tokentrail.watch.guard import Guard
from tokentrail.watch.held import MOST
from tokentrail.watch.intake import Tables
from tokentrail.watch.interface import Feed, Sink
from tokentrail.watch.judging import Judging
from tokentrail.watch.ledger import Ledger
from tokentrail.watch.look_runner import InlineRunner, ProcessRunner
from tokentrail.watch.looking import Looker, LookRequest, LookResult
from tokentrail.watch.opening import folder_to_follow_into
from tokentrail.watch.outbox import Outbox
from tokentrail.watch.reconcile import Look
from tokentrail.watch.sweep import Sweeping, SweepProcess, Swept
from tokentrail.watch.telling import Teller

BATCH = 4 << 20
"""Stored bytes that go into the case and are judged together."""
_WAIT, _GLANCE = 0.2, 0.02
"""Seconds to wait for what comes; while a look is taken, which is to be told as soon as it is done."""
_GATHERED = 0.25
"""Seconds between two batches that are taken in while a look goes on: the next look waits for the last of them, but
small ones cost as much as large ones."""
_OTHERS = 5.0
"""Seconds between two looks whether another process has put something into the case."""
_DUTY = 3.0
"""A sweep waits for so many times as long as the last one took: it has a quarter of the time at most."""
_SWEEP_EVERY = 60.0
_SLOW, _LEAST = 0.6, 20_000
"""Seconds that a look may take, or it looks at less the next time, but never at less than half so many records."""
_PINNED, _OF_EACH = 200, 20
"""The newest findings, and the credentials of each, that are carried before others."""
_TRIES = 3
"""Sweeps that may fail one after the other where nothing can go on without one."""
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
    beside: bool = True
    """Whether a process of its own judges, while this one takes in what comes."""
    quiet: float = 1.0
    """Seconds without evidence after which what was held back is said."""
    beat: float = 60.0
    """Seconds between two lines that say how far behind it is."""


class _Looking(NamedTuple):
    """A look that is being taken."""

    number: int
    settled: bool
    told_all: bool
    """Whether a sweep had judged all that it sees."""
    gathered: Gathered
    answer: Future[LookResult]


class Watch:
    """
    Follows one feed into one case.

    Args:
        folder: The case.
        feed: Where evidence comes from.
        sinks: Where findings go.
        guards: Plans to keep guard over.
        settings: How it judges, and how much it holds.
        say: Called with each sentence that a person should read.
        clock: Returns the time, in seconds since 1970.

    Raises:
        CaseBusy: another watch follows into this case.
        UsageError: something that it should judge by can't be read.
    """

    def __init__(
        self, folder: CaseFolder, feed: Feed, sinks: Sequence[Sink], guards: Sequence[Guard], settings: Settings,
        say: Callable[[str], None], clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        if folder.mirror is not None:
            folder_to_follow_into(folder.mirror.bucket.uri)  # which refuses
        self._folder, self._feed, self._guards = folder, feed, guards
        self._settings, self._say, self._clock = settings, say, clock
        self._ledger = Ledger(folder.path / "watch")
        for guard in guards:
            guard.begun_in(folder.path / "watch")
        self._sinks = sinks
        self._counts = Counts()
        self._over = Event()
        self._look = 0
        self._looking: _Looking | None = None
        self._dirty = self._unsettled = True
        self._unswept = False
        self._sweep: SweepProcess | None = None
        self._sweep_began = self._sweep_after = 0.0
        self._sweep_look = 0
        self._told_all = False
        """Whether a sweep has judged all that has come: a look at a part has nothing to add then."""
        self._sweeps: list[Tables | None] = []
        """What became of sweeps since the last look; see `LookRequest`."""
        self._known = folder.path / "watch" / "past-known"
        """There once a watch has noted what the case showed before it."""
        self._first = settings.only_new and self._ledger.empty and not self._known.exists()
        self._failed = 0
        """Sweeps in a row."""
        runner = ProcessRunner if settings.beside else InlineRunner
        self._runner = runner(Looker(folder.path, settings.judging, guards))

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
        with self._ledger, without_collection(), ExitStack() as over:
            over.callback(self._runner.end)
            if not gc.get_freeze_count():
                over.callback(gc.unfreeze)
                gc.freeze()  # what is imported will stay: `MemoryReturner` need not look through it
            outbox = Outbox(self._ledger, self._sinks, self._say)
            self._teller = Teller(self._ledger, outbox, self._counts, known=self._first)
            over.callback(outbox.stop)
            over.callback(self._tell_left, outbox)
            over.callback(outbox.flush, _LAST)
            ready = self._runner.ask(LookRequest(now=self._clock()))
            settings = self._settings
            self._gathering = Gathering(self._folder, settings.hot, settings.options, self._counts)
            over.callback(self._gathering.close)
            over.callback(self._feed.stop)
            over.callback(self._end_sweep)
            over.callback(self._teller.end)
            self._held = self._gathering.held
            self._unswept = not self._held.whole
            for guard in self._guards:
                for line in guard.told():
                    self._say(line)
            ready.result()
            beat = Beat(self._feed, self._folder.path / "watch", self._counts, settings.beat, self._clock)
            if self._knows_the_past():
                self._feed.start()
                self._rounds(outbox, beat)
                self._tell_the_rest()
            beat.last(self._say)
        return self._counts

    def _knows_the_past(self) -> bool:
        """Where only what is new shall be told, note all that the case shows already; `False` if stopped before."""
        if self._first and self._held.whole:
            self._ask(settled=True)
            self._judged()
        elif self._first:
            self._begin_sweep()
            while (self._sweep is not None or self._failed) and not self._over.wait(_WAIT):
                if self._sweep is None:
                    self._begin_sweep()
                self._swept(True)
            if self._sweep is not None or self._failed:
                return False
            while self._teller.busy:
                self._teller.tell_some(self._clock())
        if self._first:
            self._known.touch(mode=0o600)
        self._first = False
        self._teller.first_is_over()
        return True

    def _rounds(self, outbox: Outbox, beat: Beat) -> None:
        quiet_since = taken_at = others_at = self._clock()
        while not self._over.is_set():
            self._told()
            if self._looking is None or self._clock() - taken_at >= _GATHERED:
                arrivals = self._feed.take(BATCH, self._patience)
                if arrivals:
                    quiet_since = taken_at = self._clock()
                    self._came(self._gathering.take(self._feed, arrivals, self._told))
                if self._clock() - others_at >= _OTHERS:
                    others_at = self._clock()
                    self._came(self._gathering.take_others(self._told))
            elif not self._teller.busy:
                time.sleep(_GLANCE)
            settled = self._clock() - quiet_since >= self._settings.quiet
            if self._looking is None:
                self._look_again(settled)
            self._teller.tell_some(self._clock())
            self._tell_losses()
            outbox.again()
            beat.beat(self._say, outbox.left)
            if self._settings.once and settled and self._finished():
                break

    def _came(self, any_record: bool) -> None:
        """Note that something has come, if so, that is to be judged."""
        if any_record:
            self._dirty = self._unsettled = self._unswept = True
            self._told_all = False

    def _tell_the_rest(self) -> None:
        """Have told what was taken in, and what the last sweep found."""
        while self._looking is not None or self._dirty:
            if self._looking is None:
                self._ask(settled=False)
            self._judged()
        while self._teller.busy:
            self._teller.tell_some(self._clock())

    def _tell_left(self, outbox: Outbox) -> None:
        if left := outbox.left:
            self._say(
                f"{number(left, 'notice has', 'notices have')} not come through; the next start sends the rest."
            )

    def _tell_losses(self) -> None:
        for flaw in self._counts.flaws():
            self._say(flaw)
        for one in self._feed.lost():
            fate = "given up" if one.final else "left for another try"
            self._say(f"Not read: {one.name}: {one.reason}; {fate}.")
            self._counts.lost += 1

    @property
    def _patience(self) -> float:
        """Seconds to wait for what comes: none if something waits to be judged that whoever judges has time for."""
        if self._looking is not None:
            return _GLANCE
        return 0.0 if self._dirty or self._teller.busy else _WAIT

    def _look_again(self, settled: bool) -> None:
        """Have the next look taken, if anything is new."""
        self._swept(settled)
        if self._dirty or (settled and self._unsettled):
            self._ask(settled=settled)
        self._gathering.keep()

    def _ask(self, *, settled: bool) -> None:
        """Have all that is held judged."""
        self._dirty, self._unsettled = False, not settled
        if not (self._held.any or self._sweeps):
            self._unsettled = False
            return
        self._look += 1
        gathered = self._gathering.hand_over(self._pinned)
        asked = LookRequest(
            new=gathered.new, recalled=gathered.recalled, now=self._clock(), sweeps=self._sweeps,
            letting=gathered.letting, forget=gathered.forget,
        )  # fmt: skip
        self._sweeps = []
        self._looking = _Looking(self._look, settled, self._told_all, gathered, self._runner.ask(asked))

    def _told(self) -> None:
        """Send what is new if a look has ended."""
        if self._looking is not None and self._looking.answer.done():
            self._judged()

    def _judged(self) -> None:
        """Wait for what a look finds, if there is one, and send what is new."""
        if self._looking is None:
            return
        looking, self._looking = self._looking, None
        told, gathered, now = looking.answer.result(), looking.gathered, self._clock()
        look = Look(
            number=looking.number, since=looking.number, complete=gathered.complete, settled=looking.settled,
            now=now, delay=None if gathered.arrived is None else now - gathered.arrived, fresh=gathered.fresh,
        )  # fmt: skip
        if gathered.complete or not looking.told_all:
            self._teller.tell(look, told.found)
            self._teller.take_back(look, {one["id"] for one in told.found})
        self._teller.tell(replace(look, complete=False, fresh=None), told.guarded)
        self._gathering.judged(gathered.new)
        self._pace(told.took)
        self._counts.judged(now)

    def _pace(self, took: float) -> None:
        """Judge fewer records with each batch where that takes too long, and more again where it does not."""
        most = self._settings.hot
        if took > _SLOW:
            self._held.most = max(min(_LEAST, most), int(self._held.most * 0.8))
        elif took < _SLOW / 2:
            self._held.most = min(most, int(self._held.most * 1.1))

    def _pinned(self) -> Pinned:
        """Credentials of plans, and of the newest findings."""
        return Pinned(
            plans=tuple(one for guard in self._guards for one in guard.pinned),
            findings=tuple(
                ident
                for one in self._ledger.newest(_PINNED)
                for ident in one.document["credentials"][:_OF_EACH]
            ),
        )

    def _swept(self, settled: bool) -> None:
        """Take what a sweep found, or begin one when it is time, and what the last one found is told."""
        if self._sweep is not None:
            if self._sweep.done():
                sweep, self._sweep = self._sweep, None
                swept = sweep.result()
                took = self._clock() - self._sweep_began
                self._sweep_after = self._clock() + max(took * _DUTY, 0.0 if settled else _SWEEP_EVERY)
                if swept is None:
                    self._unswept = True
                    self._failed += 1
                    if self._failed >= _TRIES and (self._first or self._settings.once):
                        raise CaseError(
                            f"{self._folder.path}: a sweep over the whole case failed {_TRIES} times; what it printed "
                            "says why. `tokentrail detect` looks at the case as a sweep does."
                        )
                    self._say("A sweep over the whole case failed; it is tried again.")
                    self._sweep_after += _SWEEP_EVERY
                else:
                    self._failed = 0
                    self._take_over(sweep, swept)
            return
        due = self._unswept and not self._held.whole and not self._teller.busy
        if due and (self._clock() >= self._sweep_after or (settled and self._settings.once)):
            self._begin_sweep()

    def _end_sweep(self) -> None:
        if self._sweep is not None:
            self._sweep.kill()

    def _begin_sweep(self) -> None:
        self._unswept = False
        self._sweep_began, self._sweep_look = self._clock(), self._look
        self._sweeps.append(None)
        back, last = self._settings.look_back, self._counts.last
        self._sweep = SweepProcess(
            Sweeping(
                case=self._folder.path, judging=self._settings.judging,
                since=None if back is None or last is None else last - back,
                pinned=self._pinned(), carried=self._held.carriable, settled=self._gathering.settled(),
                waited_for=self._settings.once or self._first,
            )
        )  # fmt: skip

    def _take_over(self, sweep: SweepProcess, swept: Swept) -> None:
        """What the sweep found stands, but for what came after it began: that is told from now on."""
        self._look += 1
        self._told_all = not self._unswept
        look = Look(
            number=self._look, since=self._look if self._told_all else self._sweep_look, complete=True, settled=True,
            now=self._clock(), start="" if swept.since is None else at(swept.since),
        )  # fmt: skip
        self._teller.tell_all_of(sweep, look)
        self._sweeps.append(swept.carried)
        self._dirty = True

    def _finished(self) -> bool:
        """Whether all that there was is in the case and judged."""
        swept = self._held.whole or not (self._sweep or self._teller.busy or self._unswept)
        return self._feed.drained() and not (self._dirty or self._unsettled or self._looking) and swept
