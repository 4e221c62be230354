"""Link evidence and judge it by the rules: what `Case.detect` does with a case, for any tables of evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tokentrail.detection import run as detection
from tokentrail.detection.addresses import Addresses
from tokentrail.detection.model import Finding, Severity
from tokentrail.detection.reading import Read, Scan
from tokentrail.detection.scene import Scene
from tokentrail.detection.suppress import Allowed
from tokentrail.detection.thresholds import Thresholds
from tokentrail.lineage import rows
from tokentrail.lineage.coverage import coverage
from tokentrail.lineage.forest import Forest
from tokentrail.lineage.grow import ForestSize, grow, reopen
from tokentrail.results import Coverage
from tokentrail.store.duck import DuckEngine
from tokentrail.store.in_memory import MemoryEngine

_TABLES = 512 << 20
"""Bytes of memory that the engine of a sweep may use; DuckDB writes the rest to disk."""
_NOWHERE, _DERIVED = Path(), "derived"
"""The folder of derived tables: a stand-in for an engine that writes no files, and a name in the scratch folder."""
Fill = Callable[[DuckEngine], None]
"""Registers the tables of some evidence with an engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """What to judge by; it can be sent to another process."""

    rules: tuple[str, ...] | None = None
    """The names of the rules; all of the catalogue by default."""
    min_severity: Severity = "info"
    suppress: Path | None = None
    """A file of what is allowed, which raises no finding."""
    thresholds: Path | None = None
    """A file of thresholds for rules."""
    folders: tuple[Path, ...] = ()
    """Folders of Sigma rules."""
    geoip: tuple[Path, ...] = ()
    """MaxMind databases."""
    aws_ranges: Path | None = None
    """AWS's ip-ranges.json."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Linked evidence."""

    engine: DuckEngine
    forest: Forest
    size: ForestSize
    scratch: Path | None = None
    """A folder for files that last as long as this does; `None` where all is in memory."""

    def covered(self) -> Sequence[Coverage]:
        """The accounts and regions of the evidence, and the times that it covers of each."""
        return coverage(self.engine, _NOWHERE if self.scratch is None else self.scratch / _DERIVED)


class Judge:
    """
    Judges evidence, again and again.

    Raises:
        UsageError: a rule does not exist, or a file can't be read as what it should be.
    """

    def __init__(self, judging: Judging) -> None:
        self._rules = detection.chosen(judging.rules)
        self._severity = judging.min_severity
        self._allowed = Allowed.read(judging.suppress) if judging.suppress else None
        self._thresholds = Thresholds.read(judging.thresholds) if judging.thresholds else None
        self._addresses = Addresses.read(judging.geoip, judging.aws_ranges)
        self._sigma = None
        if judging.folders:
            from tokentrail.detection.sigma.reading import read_rules  # pySigma takes its time to load

            self._sigma = read_rules(judging.folders)

    def scene(self, sight: Sight, read: Read, scan: Scan | None = None) -> Scene:
        """
        Show linked evidence to rules.

        Args:
            sight: The evidence.
            read: Reads raw records.
            scan: A quicker way to read very many of them, where there is one.
        """
        return Scene(sight.engine, sight.forest, self._thresholds, read, scan, self._addresses, sight.scratch)

    def findings(self, scene: Scene) -> tuple[Finding, ...]:
        """
        What the rules find, each hit a finding of its own.

        Hits are not joined into stories (`together`), since a look sees only the end of one, and a sweep all of it:
        their findings would differ.
        """
        return detection.detect(
            scene, self._rules, sigma=self._sigma, min_severity=self._severity, allowed=self._allowed,
            together=False,
        )  # fmt: skip


@contextmanager
def linked_in_memory(engine: MemoryEngine) -> Iterator[Sight]:
    """Link what an engine holds in memory; what was derived is dropped again when the context ends."""
    with engine.aside():
        size = grow(engine, _NOWHERE)
    with engine.aside():
        reopen(engine, _NOWHERE)
        moment = rows.moment(size.last) or datetime.fromtimestamp(0, UTC)
        yield Sight(engine, Forest(engine, moment, _NOWHERE), size)


@contextmanager
def linked(fill: Fill, scratch: Path, spill: Path) -> Iterator[Sight]:
    """
    Link evidence in files, with one thread, since the watch needs the other processors.

    Args:
        fill: Registers the evidence.
        scratch: A folder for derived tables, which the caller removes.
        spill: The folder to which DuckDB may write what memory is not to hold.
    """
    derived = scratch / _DERIVED
    derived.mkdir(mode=0o700, parents=True)
    with closing(DuckEngine(spill, threads=1, memory=_TABLES)) as engine:
        fill(engine)
        size = grow(engine, derived)
    with closing(DuckEngine(spill, threads=1, memory=_TABLES)) as engine:
        fill(engine)
        reopen(engine, derived)
        moment = rows.moment(size.last) or datetime.fromtimestamp(0, UTC)
        yield Sight(engine, Forest(engine, moment, derived), size, scratch)
