"""
The case as it could be seen at a moment: the stored forest, or one grown from the evidence up to then alone.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from tokentrail.case import linking
from tokentrail.case.asked import utc
from tokentrail.case.bookkeeping import lacking
from tokentrail.case.copies import SOME, contradicting
from tokentrail.errors import CaseError
from tokentrail.lineage import busy, coverage, rows
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.grow import LINKING, Grown, grow, reopen
from tokentrail.lineage.later import is_grown
from tokentrail.results import Coverage
from tokentrail.store.duck import DuckEngine
from tokentrail.store.folder import CaseFolder
from tokentrail.store.interface import Snapshot
from tokentrail.store.tidying import SPILL

_INHERITED: list[object] = []
"""What belongs to the process that this one was forked from: to let go of it might wait for ever."""
Link: TypeAlias = Callable[[Snapshot, Path], Grown]
_FEW = 3_000_000
"""Records below which threads that share a query's work cost more than they bring: statements run beside each other."""
_MANY = 3_000_000
"""
Records from which on it is kept what busy credentials did, and what a first trace asks all of them: of fewer, that is
read soon enough.
"""

_ALL = 1 << 60
"""Bytes of memory: more than a machine has, of which an engine takes half at most."""


@dataclass(slots=True)
class View:
    """The case as it could be seen at one moment."""

    fingerprint: str
    until: int | None
    engine: DuckEngine
    grown: Grown
    derived: Path
    scratch: bool = False
    """Whether what was derived is for this view alone."""
    _covered: tuple[Coverage, ...] | None = None
    _lacking: tuple[str, ...] | None = None
    _contradicting: tuple[str, ...] | None = None
    _forest: Forest | None = None

    def forest(self, as_of: datetime | None) -> Forest:
        """The forest at a moment, which remembers what it was asked for as long as the moment is the same."""
        as_of = utc(as_of) or rows.moment(self.grown.last) or datetime.fromtimestamp(0, UTC)
        if self._forest is None or self._forest.as_of != as_of:
            self._forest = Forest(self.engine, as_of, self.derived)
        return self._forest

    def covered(self) -> tuple[Coverage, ...]:
        """What the evidence of the view covers; worked out when first asked for."""
        if self._covered is None:
            self._covered = coverage.coverage(self.engine, self.derived)
        return self._covered

    def lacking(self, folder: CaseFolder) -> tuple[str, ...]:
        """What the carriers of the evidence leave out; looked for when first asked for."""
        if self._lacking is None:
            self._lacking = lacking(folder)
        return self._lacking

    def contradicting(self) -> tuple[str, ...]:
        """Which events came in copies that contradict each other, where that is soon found; looked for once."""
        if self._contradicting is None:
            few = self.grown.records <= _MANY  # all of them are looked through, and a trace reads but some
            self._contradicting = contradicting(self.engine, SOME) if few else ()
        return self._contradicting

    def know(self) -> None:
        """Have at hand what the first trace would ask all evidence about; where that can't be had, it asks itself."""
        with suppress(CaseError):
            self.covered()
            self.forest(None).know()

    def close(self) -> None:
        """Let go of the engine, and of a forest that was grown for this view alone."""
        self.engine.close()
        if self.scratch:
            shutil.rmtree(self.derived, ignore_errors=True)


class Views:
    """Opens views of a case folder, and keeps the last one open."""

    def __init__(self, folder: CaseFolder) -> None:
        self._folder = folder
        self._view: View | None = None
        self._linker: DuckEngine | None = None
        self._process = os.getpid()
        self.link: Link | None = None
        """What derives the forest of all evidence, if it is not this process."""
        self.link_from = 0
        """Records from which on it does so."""

    def close(self) -> None:
        """Let go of the engine."""
        self._see_whose()
        if self._view:
            self._view.close()
            self._view = None
        if self._linker:  # what it linked could not be put in place
            self._linker.close()
            self._linker = None

    def forest(self, as_of: datetime | None) -> Forest:
        """The forest as of a moment."""
        return self.open(as_of).forest(as_of)

    def open(self, as_of: datetime | None) -> View:
        """The case as of a moment: the stored forest, or one grown from the evidence up to then alone."""
        snapshot = self._folder.snapshot()
        self._see_whose()
        if self._view and self._view.fingerprint == snapshot.fingerprint:
            until = self._until(as_of, self._view)
            if until == self._view.until:
                return self._view
        self.close()
        view = self._whole(snapshot)
        until = self._until(as_of, view)
        if until is not None:
            view.close()
            view = self._earlier(snapshot, until)
        self._view = view
        return view

    def _see_whose(self) -> None:
        """In a process that was forked meanwhile, begin anew: what the other one's engine waits for never comes."""
        if self._process != os.getpid():
            _INHERITED.append((self._view, self._linker))
            self._view = self._linker = None
            self._process = os.getpid()

    def _until(self, as_of: datetime | None, view: View) -> int | None:
        if as_of is None:
            return None
        seconds = int(utc(as_of).timestamp())
        newest = view.grown.last if view.until is None else None
        return None if newest is not None and seconds >= newest else seconds

    def _whole(self, snapshot: Snapshot) -> View:
        """The forest of all evidence: derived once, then stored."""
        name = f"{snapshot.fingerprint}-{LINKING}"
        damaged = self._folder.derived(name)
        if damaged is not None:
            with suppress(CaseError, OSError, ValueError, RecursionError):
                return self._stored(snapshot, damaged)
        fresh = self._folder.new_derived()
        try:
            far = self.link if _records(snapshot) >= self.link_from else None
            grown = (far or self._grown)(snapshot, fresh)
            whole = far is None and not grown.added and grown.records >= _MANY
            if whole:
                self._roll_up(snapshot, fresh)
            (fresh / "grown.json").write_text(json.dumps(asdict(grown)))
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        if damaged is not None:
            self._folder.forget_derived(damaged)
        view = self._stored(snapshot, self._folder.place_derived(fresh, name))
        if whole:  # of what was added only that is asked, which is soon done
            view.know()
        return view

    def _roll_up(self, snapshot: Snapshot, folder: Path) -> None:
        """Keep what busy credentials did; where that can't be, it is read from where it lies."""
        with closing(self._engine(snapshot, None)) as engine:
            try:
                reopen(engine, folder)
                busy.keep(engine, folder)
            except CaseError:
                busy.forget(folder)

    def _stored(self, snapshot: Snapshot, folder: Path) -> View:
        """
        The forest as it was stored.

        Raises:
            CaseError: a table of it, or of the segments, can't be read.
            ValueError: how large it is said to be can't.
        """
        with ExitStack() as failed:
            engine = self._engine(snapshot, None)
            failed.callback(engine.close)
            reopen(engine, folder)
            engine.indexed(folder)
            grown = linking.grown_to(folder)
            if grown.added != is_grown(folder):
                raise CaseError(f"{folder}: it lacks what was added to it.")
            failed.pop_all()
        return View(snapshot.fingerprint, None, engine, grown, folder)

    def _grown(self, snapshot: Snapshot, into: Path) -> Grown:
        return linking.grown(self._folder, snapshot, into, self._lent)

    @contextmanager
    def _lent(self, records: int, roomy: bool) -> Iterator[DuckEngine]:
        """An engine to link with; where opening one takes longer than linking few records, it then answers too."""
        with ExitStack() as failed:
            engine = self._sized(records, roomy=roomy)
            failed.callback(engine.close)
            if not engine.small:
                yield engine
                return
            with engine.aside():
                yield engine
            self._linker = engine
            failed.pop_all()

    def _earlier(self, snapshot: Snapshot, until: int) -> View:
        """A forest that knows only evidence up to a moment, kept for as long as it is asked about."""
        scratch = Path(tempfile.mkdtemp(prefix="tokentrail-"))
        with ExitStack() as failed:
            engine = self._engine(snapshot, until)
            failed.callback(engine.close)
            with engine.aside() if engine.small else nullcontext():
                grown = grow(engine, scratch)
            if engine.small:
                failed.pop_all()
        if not engine.small:
            engine = self._engine(snapshot, until)
        reopen(engine, scratch)
        return View(snapshot.fingerprint, until, engine, grown, scratch, scratch=True)

    def _engine(self, snapshot: Snapshot, until: int | None) -> DuckEngine:
        engine, self._linker = self._linker or self._sized(_records(snapshot)), None
        folders = list(snapshot.folders.values())
        for name in ("events", "issuances", "changes"):
            engine.segments(name, folders, until=until)
        engine.segments("identities", folders)
        return engine

    def _sized(self, records: int, *, roomy: bool = False) -> DuckEngine:
        """An engine for so many records, with the usual memory or as much as may be had."""
        spill = self._folder.path / "derived" / SPILL
        threads, memory = 1 if records < _FEW else None, _ALL if roomy else None
        return DuckEngine(spill, threads=threads, records=records, memory=memory)


def _records(snapshot: Snapshot) -> int:
    """Records of all segments, as their manifests say."""
    return sum(one.records for manifest in snapshot.manifests for one in manifest.objects)
