"""
Take in what arrives: put it into the case, and gather with it the older records that it must be seen with.

It also keeps the account of which records the judge has, and decides which it lets go. So it knows what must be
recalled for new evidence even while a look is under way.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tokentrail.errors import CaseError
from tokentrail.store.folder import CaseFolder, segment_name
from tokentrail.store.interface import Snapshot
from tokentrail.store.tasks import Options
from tokentrail.watch.beat import Counts
from tokentrail.watch.carrying import Pinned
from tokentrail.watch.fresh import identifiers
from tokentrail.watch.held import Held
from tokentrail.watch.intake import Intake, Tables, tables_of
from tokentrail.watch.interface import Arrival, Feed
from tokentrail.watch.looking import Letting, Segment
from tokentrail.watch.memory import MemoryReturner
from tokentrail.watch.recall import Recall, Span
from tokentrail.watch.recollection import Recalled, Recollection
from tokentrail.watch.sweep import newest


@dataclass(frozen=True, slots=True, kw_only=True)
class Gathered:
    """What has come since the last look, and what to let go of after the next one."""

    new: Sequence[Segment]
    recalled: Sequence[Recalled]
    complete: bool
    """Whether a look that has this sees all evidence of the case."""
    fresh: frozenset[str] | None
    """The ids that findings use for its credentials and events; `None` if the look is complete, when none is needed."""
    arrived: float | None
    """When the first of it arrived, in seconds since 1970; `None` if nothing arrived by the feed."""
    letting: Letting | None
    """What to let go of after the look, if anything."""
    forget: frozenset[int]
    """The numbers of the recalled segments to let go of after the look."""


class Gathering:
    """
    Takes in what arrives.

    Args:
        folder: The case.
        hot: How many records are judged with each batch, at most.
        options: How to read evidence.
        counts: Counts what arrived.

    Raises:
        CaseError: the case, or the database of records to recall, can't be read.
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
        """Segments that were judged, and are not stored for recall yet."""
        self._memory = MemoryReturner()
        self._there = set[str]()
        """The names of the segments of the case that are known here."""
        self._intake = self._taken_up(options)

    def _taken_up(self, options: Options) -> Intake:
        """Take up the case as it is, and hold those of its segments that fit."""
        before = self._folder.published()  # with those that a merged segment has replaced
        snapshot = CaseFolder.open(self._folder.path, create=False).snapshot()  # which is not kept
        self._there = {*before, *(one.segment for one in snapshot.manifests)}
        spans = self._recall.spans()
        last = max(spans, key=lambda number: spans[number].low, default=None)
        times = {one.segment: newest(self._folder.segment(one.segment)) for one in snapshot.manifests}
        for one in sorted(
            self._fitting(snapshot, times, spans), key=lambda one: times[segment_name(one.number)]
        ):
            self.held.add(one.number, one.tables["events"].num_rows)
            self._new.append(one)
            if one.number in spans:
                self.held.kept(one.number, spans[one.number])
                self._recollection.kept(one.number, None)
        for one in self._new:
            if spans and (one.number == last or one.number not in spans):
                self._recollect(one.tables)  # a watch was killed before it told what is in them
        return Intake(self._folder, snapshot.objects().values(), options)

    def _fitting(
        self, snapshot: Snapshot, times: Mapping[str, int], spans: Mapping[int, Span]
    ) -> list[Segment]:
        """
        The segments of a case that can be held: first those that were not judged, then the newest, while there is room.

        Args:
            snapshot: The case.
            times: The time of the newest record of each segment, by its name.
            spans: Those of the segments that are stored for recall, by number: these were judged.
        """
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
        return fitting

    def take(self, feed: Feed, arrivals: Sequence[Arrival], between: Callable[[], None]) -> bool:
        """
        Put what has arrived into the case, and tell the feed so.

        Args:
            feed: The feed that brought it.
            arrivals: What it brought.
            between: Called between steps, none of which takes long, so that a look that has ended need not wait.

        Returns:
            Whether the case has any new record.
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
        Take up segments that another process has put into the case.

        One that is too large to be held is left to the next sweep. Merged segments are passed over, since they hold
        nothing new.

        Args:
            between: As in `take`.

        Returns:
            Whether there was any.
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
        """Recall the older records that new ones must be seen with, unless all records are held."""
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
        Hand over what has come since the last call, to be judged with what is held.

        Args:
            pinned: Returns the credentials whose records are carried before others, if something is let go.
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
        """Note that segments that were handed over have been judged, and their findings sent."""
        self._unkept += segments

    def keep(self) -> None:
        """Store for recall what was judged; to be called when nothing waits for this process."""
        unkept = self.held.unkept if self._unkept else frozenset()
        for one in self._unkept:
            if one.number in unkept:
                span, names = self._recall.keep(*one)
                self.held.kept(one.number, span)
                self._recollection.kept(one.number, names)
        self._unkept.clear()
        self._memory.return_free()

    def settled(self) -> frozenset[str]:
        """The names of the segments that were judged, or that this watch leaves to sweeps."""
        return frozenset(self._there) - {segment_name(number) for number in self.held.unkept}

    def close(self) -> None:
        """Close the database."""
        self._recall.close()
