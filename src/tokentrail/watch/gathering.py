"""
What comes, on its way to the judge: into the case, then with it the older records that it must be seen with.

It also keeps account of what the judge holds, and decides what it lets go: so it knows what must be recalled of what
comes while a look is still being taken.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokentrail.errors import CaseError
from tokentrail.store.folder import CaseFolder, segment_name
from tokentrail.store.tasks import Options
from tokentrail.watch.beat import Counts
from tokentrail.watch.carrying import Pinned
from tokentrail.watch.fresh import identifiers
from tokentrail.watch.held import Held
from tokentrail.watch.intake import Intake, Tables, tables_of
from tokentrail.watch.interface import Arrival, Feed
from tokentrail.watch.looking import Letting, Segment
from tokentrail.watch.memory import MemoryReturner
from tokentrail.watch.recall import Recall
from tokentrail.watch.recollection import Recalled, Recollection
from tokentrail.watch.sweep import newest


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What has come since the last look."""

    new: Sequence[Segment]
    recalled: Sequence[Recalled]
    complete: bool
    """Whether a look that sees it sees all that the case has."""
    fresh: frozenset[str] | None
    """What findings call it; `None` if all is told anyway."""
    arrived: float | None
    """When the first of it came."""
    letting: Letting | None
    forget: frozenset[int]


class Gathering:
    """
    Takes in what comes.

    Args:
        folder: The case.
        hot: Records that are judged with each batch.
        options: How to read.
        counts: Told what came.

    Raises:
        CaseError: what was kept to be recalled can't be read.
    """

    def __init__(self, folder: CaseFolder, hot: int, options: Options, counts: Counts) -> None:
        self._folder, self._counts = folder, counts
        self._recall = Recall(folder.path / "watch")
        self._recollection = Recollection(self._recall)
        self.held = Held(hot)
        self._new: list[Segment] = []
        self._recalled: list[Recalled] = []
        self._fresh: set[str] = set()
        self._arrived: float | None = None
        self._unkept: list[Segment] = []
        """Segments that were judged, and can't be asked for again yet."""
        self._memory = MemoryReturner()
        self._there = set[str]()
        """The names of the segments of the case that are known."""
        self._intake = self._opened(options)

    def _opened(self, options: Options) -> Intake:
        """Take up the case where it is: what no watch has told yet and the newest of it is held."""
        before = self._folder.published()  # those too that others have replaced
        snapshot = CaseFolder.open(self._folder.path, create=False).snapshot()  # which is not kept
        self._there = {*before, *(one.segment for one in snapshot.manifests)}
        spans = self._recall.spans()
        last = max(spans, key=lambda number: spans[number].low, default=None)
        times = {one.segment: newest(self._folder.segment(one.segment)) for one in snapshot.manifests}
        fitting: list[Segment] = []
        room = self.held.most
        known = {one.segment: int(one.segment, 16) in spans for one in snapshot.manifests}
        for manifest in sorted(
            snapshot.manifests, key=lambda one: (known[one.segment], -times[one.segment], one.segment)
        ):
            self._counts.last = max(self._counts.last or 0, times[manifest.segment])
            room -= sum(one.records for one in manifest.objects)
            if room < 0:
                self.held.whole = False
                continue
            tables = tables_of(self._folder, manifest.segment)
            fitting.append(Segment(int(manifest.segment, 16), tables, manifest.objects))
        for one in sorted(fitting, key=lambda one: times[segment_name(one.number)]):
            self.held.add(one.number, one.tables["events"].num_rows)
            self._new.append(one)
            if one.number in spans:
                self.held.kept(one.number, spans[one.number])
                self._recollection.kept(one.number, None)
        for one in self._new:
            if spans and (one.number == last or one.number not in spans):
                self._recollect(one.tables)  # a watch was killed before it told what is in them
        return Intake(self._folder, snapshot.objects().values(), options)

    def take(self, feed: Feed, arrivals: Sequence[Arrival], between: Callable[[], None]) -> bool:
        """
        Put what has arrived into the case, and tell the feed so; whether there is any record in it.

        Args:
            feed: Where it came from.
            arrivals: It.
            between: Done between steps of this, none of which takes long: a look may have ended.
        """
        taken = self._intake.take(arrivals)
        between()
        feed.kept(arrivals)
        self._counts.take(taken.outcomes)
        if taken.segment is None or taken.tables is None:
            return False
        self._there.add(taken.segment)
        self._add(Segment(int(taken.segment, 16), taken.tables, taken.objects), between)
        first = min(one.at for one in arrivals)
        self._arrived = first if self._arrived is None else min(self._arrived, first)
        return True

    def take_others(self, between: Callable[[], None]) -> bool:
        """
        Take up what another process has put into the case; whether there is any.

        What is too much to be held is left to the next sweep; a merged segment holds what others did.
        """
        there = self._folder.published()
        fresh = sorted(there - self._there)
        self._there = set(there)
        found = False
        for name in fresh:
            try:
                manifest = self._folder.manifest(name)
                if manifest.replaces:
                    continue
                if sum(one.records for one in manifest.objects) > self.held.most // 2:
                    self.held.whole = False
                else:
                    tables = tables_of(self._folder, name)
                    self._add(Segment(int(name, 16), tables, manifest.objects), between)
                found = True
            except (CaseError, FileNotFoundError):  # merged and removed meanwhile
                continue
        return found

    def _add(self, new: Segment, between: Callable[[], None]) -> None:
        self.held.add(new.number, new.tables["events"].num_rows)
        self._new.append(new)
        between()
        self._recollect(new.tables, between)
        self._counts.newest(new.tables["events"])

    def _recollect(self, tables: Tables, between: Callable[[], None] = lambda: None) -> None:
        """Bring back the older records that new ones must be seen with."""
        touched = self._recollection.note(tables)
        if self.held.whole:
            return
        self._fresh |= identifiers(tables)
        between()
        found = self._recollection.find(touched, self.held.spans(), self.held.recallable, between)
        if found is not None:
            self._recalled.append(found)
            self.held.recall(found.segment, found.tables["events"].num_rows)

    def hand_over(self, pinned: Callable[[], Pinned]) -> Gathered:
        """
        Hand over what has come since this was last asked, to be judged with what is held.

        Args:
            pinned: Credentials that are carried before others when something is let go.
        """
        complete, letting = self.held.whole, None
        if self.held.full:
            self._recollection.let_go(self.held.let_go())
            letting = Letting(newest=self.held.newest, pinned=pinned(), carriable=self.held.carriable)
        forget = self.held.forget()
        self._recollection.forget(forget)
        gathered = Gathered(
            new=self._new, recalled=self._recalled, complete=complete, letting=letting, forget=forget,
            fresh=None if complete else frozenset(self._fresh), arrived=self._arrived,
        )  # fmt: skip
        self._new, self._recalled, self._fresh, self._arrived = [], [], set(), None
        return gathered

    def judged(self, segments: Sequence[Segment]) -> None:
        """Note that what was handed over has been judged, and told: a watch that is killed need not again."""
        self._unkept += segments

    def keep(self) -> None:
        """Keep for later what was judged; nothing waits for it."""
        unkept = self.held.unkept if self._unkept else frozenset()
        for one in self._unkept:
            if one.number in unkept:
                span, names = self._recall.keep(*one)
                self.held.kept(one.number, span)
                self._recollection.kept(one.number, names)
        self._unkept.clear()
        self._memory.return_free()

    def settled(self) -> frozenset[str]:
        """The segments of the case that were judged, or that this watch leaves to sweeps."""
        return frozenset(self._there) - {segment_name(number) for number in self.held.unkept}

    def close(self) -> None:
        """Let go of the case."""
        self._recall.close()
