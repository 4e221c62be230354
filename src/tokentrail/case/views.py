"""
Views of a case as of a moment: the stored forest, or for an earlier moment one derived from the evidence up to then.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tokentrail.case import linking
from tokentrail.case.arguments import utc
from tokentrail.case.bookkeeping import left_out_by_carriers, masked_ids
from tokentrail.case.contradicting_copies import SOME, contradicting
from tokentrail.errors import CaseError
from tokentrail.lineage import activity_cache, coverage, rows
from tokentrail.lineage.derived_database import reopen
from tokentrail.lineage.link import LINKING, ForestSize, link_all
from tokentrail.lineage.model import Gap
from tokentrail.lineage.segment_tables import fill
from tokentrail.results import Coverage
from tokentrail.store.duck import DuckEngine
from tokentrail.store.folder import CaseFolder
from tokentrail.store.interface import Snapshot
from tokentrail.store.temporary_files import ensure_process_folder, new_temporary_folder, remove_if_empty
from tokentrail.store.tidying import DATABASE, SPILL

if TYPE_CHECKING:
    from tokentrail.lineage.forest import Forest

_INHERITED: list[object] = []
"""Engines of the process that this one was forked from, kept referenced: closing one here could wait for ever."""
_FEW = 3_000_000
"""Records below which several threads for one query cost more than they bring; statements run in parallel instead."""
_MANY = 3_000_000
"""
Records from which on roll-ups of busy credentials are worked out when the case is linked. With fewer records it is
quick enough to read them when asked.
"""

_WORTH, _SHARE = 300_000, 0.01
"""Records, and the share of a case, from which on what came since roll-ups were stored is rolled up, too."""
_TAKEN = 2
"""How many times as much an earlier set of those holds at most that a new one takes in: so there are few."""
_ALL = 1 << 60
"""Bytes of memory, more than any machine has: the engine then takes the half that it may take at most."""


@dataclass(slots=True)
class View:
    """A case as of one moment: an engine that knows the evidence and the derived tables, and what was asked of it."""

    fingerprint: str
    until: int | None
    engine: DuckEngine
    size: ForestSize
    derived: Path
    scratch: bool = False
    """Whether the derived folder belongs to this view alone, and goes with it."""
    spans: tuple[int | None, int | None] = (None, None)
    """When the first and the last event of the case is, those after the moment too, in seconds since 1970."""
    _covered: tuple[Coverage, ...] | None = None
    _lacking: tuple[Gap, ...] | None = None
    _contradicting: tuple[str, ...] | None = None
    _forest: Forest | None = None

    def forest(self, as_of: datetime | None) -> Forest:
        """The forest as of a moment; it is kept, with all that it remembers, while the moment stays the same."""
        from tokentrail.lineage.forest import Forest  # loads what judges states, of which `status` tells none

        as_of = utc(as_of) or rows.moment(self.size.last) or datetime.fromtimestamp(0, UTC)
        if self._forest is None or self._forest.as_of != as_of:
            first, last = map(rows.moment, self.spans)
            spans = (first, last) if first and last else None
            self._forest = Forest(self.engine, as_of, self.derived, spans)
        return self._forest

    def covered(self) -> tuple[Coverage, ...]:
        """What the evidence of the view covers; worked out when first asked for."""
        if self._covered is None:
            self._covered = coverage.coverage(self.engine)
        return self._covered

    def lacking(self, folder: CaseFolder) -> tuple[Gap, ...]:
        """What the carriers of the evidence leave out; looked for when first asked for."""
        if self._lacking is None:
            self._lacking = coverage.left_out(left_out_by_carriers(folder)) + coverage.left_out(
                masked_ids(folder), "masked_ids"
            )
        return self._lacking

    def contradicting(self) -> tuple[str, ...]:
        """Which events came in contradicting copies; looked for once, and only in a case of not too many records."""
        if self._contradicting is None:
            few = self.size.records <= _MANY  # it reads all records, which would slow down a trace of some
            self._contradicting = contradicting(self.engine, SOME) if few else ()
        return self._contradicting

    def close(self) -> None:
        """Let go of the engine, and delete a forest that was derived for this view alone."""
        self.engine.close()
        if self.scratch:
            shutil.rmtree(self.derived, ignore_errors=True)
        remove_if_empty()


class Views:
    """Opens views of a case folder, and keeps the last one open."""

    def __init__(self, folder: CaseFolder) -> None:
        self._folder = folder
        self._view: View | None = None
        self._linker: DuckEngine | None = None
        self._process = os.getpid()

    def close(self) -> None:
        """Let go of the engine."""
        self._drop_inherited()
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
        """The view as of a moment; the last one stays open, and serves again while moment and evidence are the same."""
        snapshot = self._folder.snapshot()
        self._drop_inherited()
        if self._view and self._view.fingerprint == snapshot.fingerprint:
            until = self._until(as_of, self._view)
            if until == self._view.until:
                return self._view
        self.close()
        view = self._whole(snapshot)
        until = self._until(as_of, view)
        if until is not None:
            view.close()
            spans = view.size.first, view.size.last
            view = self._earlier(snapshot, until)
            view.spans = spans
        self._view = view
        return view

    def _drop_inherited(self) -> None:
        """In a forked process, forget the parent's engines: the threads that they would wait for are not here."""
        if self._process != os.getpid():
            _INHERITED.append((self._view, self._linker))
            self._view = self._linker = None
            self._process = os.getpid()

    def _until(self, as_of: datetime | None, view: View) -> int | None:
        if as_of is None:
            return None
        seconds = int(utc(as_of).timestamp())
        newest = view.size.last if view.until is None else None
        return None if newest is not None and seconds >= newest else seconds

    def _whole(self, snapshot: Snapshot) -> View:
        """The view of all evidence: its forest is derived once and stored."""
        name = f"{snapshot.fingerprint}-{LINKING}"
        damaged = self._folder.derived(name)
        if not self._folder.writable:
            return self._aside(snapshot, damaged)
        if damaged is not None:
            with suppress(CaseError, OSError, ValueError, RecursionError):
                return self._stored(snapshot, damaged)
        return self._derived_anew(snapshot, [] if damaged is None else [damaged])

    def rebuild(self) -> View:
        """
        Derive all tables from the segments alone, and then remove all that was derived before.

        Raises:
            CaseError: nothing can be written here, or a segment can't be read.
        """
        if not self._folder.writable:
            raise CaseError(
                f"{self._folder.path}: nothing can be written here, so nothing can be rebuilt. Copy the case to where "
                "you can write; a case that can't be written answers all the same."
            )
        self._drop_inherited()
        self.close()
        self._view = self._derived_anew(self._folder.snapshot(), self._folder.all_derived(""), reuse=False)
        return self._view

    def _derived_anew(self, snapshot: Snapshot, before: Sequence[Path], *, reuse: bool = True) -> View:
        """The view of all evidence, whose tables are derived and then take the place of earlier ones."""
        name = f"{snapshot.fingerprint}-{LINKING}"
        fresh = self._folder.new_derived()
        with ExitStack() as failed:
            failed.callback(shutil.rmtree, fresh, ignore_errors=True)
            size = linking.derive(self._folder, snapshot, fresh, self._lent, reuse=reuse)
            engine = self._engine(snapshot, None)
            failed.callback(engine.close)
            fill(engine, fresh / DATABASE)
            if size.records >= _MANY:
                self._roll_up(snapshot, fresh, added=size.added > 0)
            (fresh / "grown.json").write_text(json.dumps(asdict(size)))
            for folder in before:
                self._folder.forget_derived(folder)
            placed = self._folder.place_derived(fresh, name)
            failed.pop_all()
        return self._stored(snapshot, placed, engine)

    def _aside(self, snapshot: Snapshot, stored: Path | None) -> View:
        """The same of a case that can't be written: what is still to be worked out goes to a temporary folder."""
        if stored is not None:
            scratch = new_temporary_folder()
            with suppress(CaseError, OSError, ValueError, RecursionError):
                for path in sorted(stored.rglob("*")):
                    beside = scratch / path.relative_to(stored)
                    beside.mkdir(mode=0o700) if path.is_dir() else beside.symlink_to(path)
                view = self._stored(snapshot, scratch)
                view.scratch = True
                return view
            shutil.rmtree(scratch, ignore_errors=True)
        return self._earlier(snapshot, None)

    def _roll_up(self, snapshot: Snapshot, folder: Path, *, added: bool) -> None:
        """Store roll-ups of busy credentials; where that fails, their calls are read from the evidence when asked."""
        stay, segments = _to_roll_up(snapshot, folder) if added else (0, None)
        if segments is not None and not segments:
            return
        with closing(self._engine(snapshot, None)) as engine:
            try:
                reopen(engine, folder)
                activity_cache.forget(folder, stay)
                activity_cache.keep(engine, folder, segments)
            except (CaseError, OSError):
                activity_cache.forget(folder, stay)

    def _stored(self, snapshot: Snapshot, folder: Path, engine: DuckEngine | None = None) -> View:
        """
        The view of all evidence by a stored forest.

        Args:
            snapshot: The case.
            folder: Where the forest is stored.
            engine: One that knows the evidence; it is closed where this fails.

        Raises:
            CaseError: a table of it, or of the segments, can't be read.
            ValueError: the file that says how large it is can't be read.
        """
        engine = engine or self._engine(snapshot, None)
        with ExitStack() as failed:
            failed.callback(engine.close)
            reopen(engine, folder)
            engine.use_index(folder)
            size = linking.read_size(folder)
            failed.pop_all()
        return View(snapshot.fingerprint, None, engine, size, folder)

    @contextmanager
    def _lent(self, records: int, roomy: bool) -> Iterator[DuckEngine]:
        """Lend an engine to link with. One for few records is kept to answer: opening takes longest there."""
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

    def _earlier(self, snapshot: Snapshot, until: int | None) -> View:
        """The view of an earlier moment: its forest is derived from the evidence up to then, and goes with it."""
        scratch = new_temporary_folder()
        with ExitStack() as failed:
            failed.callback(shutil.rmtree, scratch, ignore_errors=True)
            engine = self._engine(snapshot, until)
            failed.callback(engine.close)
            with engine.aside() if engine.small else nullcontext():
                size = link_all(engine, scratch)
            if not engine.small:
                engine.close()
                engine = self._engine(snapshot, until)
                failed.callback(engine.close)
            fill(engine, scratch / DATABASE)
            reopen(engine, scratch)
            failed.pop_all()
        return View(snapshot.fingerprint, until, engine, size, scratch, scratch=True)

    def _engine(self, snapshot: Snapshot, until: int | None) -> DuckEngine:
        engine, self._linker = self._linker or self._sized(linking.records_of(snapshot)), None
        folders = list(snapshot.folders.values())
        for name in ("events", "issuances", "changes"):
            engine.segments(name, folders, until=until)
        engine.segments("identities", folders)
        return engine

    def _sized(self, records: int, *, roomy: bool = False) -> DuckEngine:
        """An engine that suits a number of records; `roomy` gives it as much memory as the machine allows."""
        spill = self._folder.path / "derived" / SPILL if self._folder.writable else ensure_process_folder()
        threads, memory = 1 if records < _FEW else None, _ALL if roomy else None
        within = [self._folder.path]
        return DuckEngine(spill, threads=threads, records=records, memory=memory, within=within)


def _to_roll_up(snapshot: Snapshot, folder: Path) -> tuple[int, set[int] | None]:
    """
    What came since roll-ups were stored, if it is enough for a further set; the set takes in small ones before it.

    Returns:
        How many sets stay as they are, and the segments of the new one.
    """
    stored = activity_cache.sets(folder)
    told = [{name for name in snapshot.folders if int(name, 16) in one} for one in stored]
    fresh = snapshot.folders.keys() - set().union(*told)
    records, stay = linking.records_of(snapshot, fresh), len(stored)
    if not stored or records < max(_WORTH, linking.records_of(snapshot) * _SHARE):
        return stay, set()
    while stay > 1 and (more := linking.records_of(snapshot, told[stay - 1])) <= _TAKEN * records:
        stay, records = stay - 1, records + more
        fresh |= told[stay]
    return stay, {int(name, 16) for name in fresh}
