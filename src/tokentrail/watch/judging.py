"""Link some evidence and judge it by the catalogue: what `Case.detect` does over a case, over any tables."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tokentrail.detection import run as detection
from tokentrail.detection.addresses import Addresses
from tokentrail.detection.model import Finding, Severity
from tokentrail.detection.reading import Read, Sweep
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
"""Bytes that the tables of a sweep may take; the rest is spilled."""
_NOWHERE, _DERIVED = Path(), "derived"
"""Where an engine that writes no file keeps what it derives; where another does."""
Fill = Callable[[DuckEngine], None]
"""Makes the tables of some evidence known to an engine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """How to judge; another process can be told so."""

    rules: tuple[str, ...] | None = None
    min_severity: Severity = "info"
    suppress: Path | None = None
    thresholds: Path | None = None
    folders: tuple[Path, ...] = ()
    """Of Sigma rules."""
    geoip: tuple[Path, ...] = ()
    """MaxMind databases."""
    aws_ranges: Path | None = None
    """AWS's ip-ranges.json."""


@dataclass(frozen=True, slots=True)
class Sight:
    """Some evidence, linked."""

    engine: DuckEngine
    forest: Forest
    size: ForestSize
    scratch: Path | None = None
    """Where files may be made for as long as it is looked at."""

    def covered(self) -> Sequence[Coverage]:
        """Which accounts and regions it is of, and until when."""
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

    def scene(self, sight: Sight, read: Read, sweep: Sweep | None = None) -> Scene:
        """The evidence as rules see it; `sweep` is a quicker way to read many records than `read`."""
        return Scene(
            sight.engine, sight.forest, self._thresholds, read, sweep, self._addresses, sight.scratch
        )

    def findings(self, scene: Scene) -> tuple[Finding, ...]:
        """What the rules find, hit by hit: a look sees no more than the end of a story, a sweep all of it."""
        return detection.detect(
            scene, self._rules, sigma=self._sigma, min_severity=self._severity, allowed=self._allowed,
            together=False,
        )  # fmt: skip


@contextmanager
def linked_again(engine: MemoryEngine) -> Iterator[Sight]:
    """Link what an engine holds in memory, for as long as it is looked at; the engine is as before then."""
    with engine.aside():
        size = grow(engine, _NOWHERE)
    with engine.aside():
        reopen(engine, _NOWHERE)
        moment = rows.moment(size.last) or datetime.fromtimestamp(0, UTC)
        yield Sight(engine, Forest(engine, moment, _NOWHERE), size)


@contextmanager
def linked(fill: Fill, scratch: Path, spill: Path) -> Iterator[Sight]:
    """
    Link some evidence, for as long as it is looked at; on one processor, since others have more urgent work.

    Args:
        fill: Makes the evidence known.
        scratch: A folder that is made for it, and is the caller's to remove.
        spill: Where tables go that memory is not to hold.
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
