"""
One pass of detection: link what the case holds, and judge its evidence, or a window of it, as `detect` does.

Linking is the case's own: what came since the last pass is added to what was derived before.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tokentrail.case.raw_records import reader, scanner
from tokentrail.case.views import View, Views
from tokentrail.detection import run as detection
from tokentrail.detection.addresses import Addresses
from tokentrail.detection.allow_list import Allowed
from tokentrail.detection.context import DetectionContext
from tokentrail.detection.model import Severity
from tokentrail.detection.rule_failures import Failures
from tokentrail.detection.thresholds import Thresholds
from tokentrail.formatting import at
from tokentrail.lineage.forest import Forest
from tokentrail.present.document import document
from tokentrail.store.duck import DuckEngine
from tokentrail.store.folder import CaseFolder
from tokentrail.store.freed_memory import without_collection
from tokentrail.watch.guard import Guard
from tokentrail.watch.window import extent, window_of

_MANY = 100_000
"""Records from which on a query keeps more than one processor busy."""
_READ_FOR = 900.0
"""Seconds for which somebody may still read derived tables that a newer pass replaced."""
Document = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """What to judge by."""

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The findings of a pass, as documents."""

    found: Sequence[Document] = ()
    """Those of the rules."""
    guarded: Sequence[Document] = ()
    """Those of the guards of containment plans."""
    complete: bool = True
    """Whether all evidence of the case was judged."""
    failed: Sequence[str] = ()
    """Sentences about rules that ended in an error: what these found before may still be so."""
    fresh: Set[str] | None = None
    """Of an incomplete pass: the ids of the credentials that act in the window."""
    start: str = ""
    """Of an incomplete pass: the time of the first event of the window, as documents spell it."""
    segments: Set[str] = frozenset()
    """The segments that the case had."""
    last: int | None = None
    """The time of the newest event, in seconds since 1970."""


class DetectionPass:
    """
    Judges a case, again and again.

    Args:
        folder: The case.
        judging: What to judge by.
        guards: The guards of containment plans.

    Raises:
        UsageError: a rule does not exist, or a file can't be read as what it should be.
    """

    def __init__(self, folder: CaseFolder, judging: Judging, guards: Sequence[Guard]) -> None:
        self._folder, self._guards = folder, guards
        self._views = Views(folder)
        self._derived: list[tuple[Path, float]] = []
        """The derived folders that passes have opened, the newest last, and since when."""
        self._newest: dict[str, int] = {}
        """By segment, the time of its newest event."""
        self._rules = detection.chosen(judging.rules)
        self._severity = judging.min_severity
        self._allowed = Allowed.read(judging.suppress) if judging.suppress else None
        self._thresholds = Thresholds.read(judging.thresholds) if judging.thresholds else None
        self._addresses = Addresses.read(judging.geoip, judging.aws_ranges)
        self._sigma = None
        if judging.folders:
            from tokentrail.detection.sigma.reading import read_rules  # pySigma takes its time to load

            self._sigma = read_rules(judging.folders)

    def close(self) -> None:
        """Let go of the engine."""
        self._views.close()

    def judge(self, judged: Set[str], most: int, look_back: int | None, now: float) -> Judged:
        """
        Link what has come, and judge.

        Args:
            judged: The segments that passes have judged; all others are judged whole.
            most: How many records are judged; where the case has more, a window of it.
            look_back: Seconds before the newest record from which on evidence is judged; all of it by default.
            now: Seconds since 1970.
        """
        snapshot = self._folder.snapshot()
        if not snapshot.manifests:
            return Judged()
        view = self._linked()
        times = self._times(snapshot.folders)
        records = {one.segment: sum(each.records for each in one.objects) for one in snapshot.manifests}
        last = max(times.values())
        reach = extent(
            times, records, times.keys() - judged, most, None if look_back is None else last - look_back
        )
        failures = Failures()
        with self._folder.scratch() as scratch, without_collection():
            if len(reach.whole) == len(times) or scratch is None:
                with self._scene(view.engine, view.forest(None), view.size.records, scratch) as context:
                    found = self._found(context, failures)
                    guarded = self._guarded(view, context, now)
                return Judged(
                    found=found,
                    guarded=guarded,
                    failed=[*failures.sentences],
                    segments=frozenset(times),
                    last=last,
                )
            with closing(window_of(view, snapshot, reach, scratch)) as window:
                forest = Forest(window.engine, view.forest(None).as_of, window.derived)
                with self._scene(window.engine, forest, window.records, scratch / "context") as context:
                    found = self._found(context, failures)
                fresh, first = window.acting, window.first
            guarded = []
            if self._guards:
                with self._scene(
                    view.engine, view.forest(None), view.size.records, scratch / "guards"
                ) as context:
                    guarded = self._guarded(view, context, now)
            return Judged(
                found=found, guarded=guarded, failed=[*failures.sentences], complete=False, fresh=fresh,
                start=at(first), last=last, segments=frozenset(times),
            )  # fmt: skip

    def _linked(self) -> View:
        """The view of all evidence; derived folders that this process replaced a while ago are removed."""
        view = self._views.open(None)
        if not self._derived or self._derived[-1][0] != view.derived:
            self._derived.append((view.derived, time.monotonic()))
        while len(self._derived) > 1 and time.monotonic() - self._derived[1][1] >= _READ_FOR:
            self._folder.forget_derived(self._derived.pop(0)[0])
        return view

    def _times(self, folders: Mapping[str, Path]) -> dict[str, int]:
        self._newest = {
            name: self._newest[name] if name in self._newest else newest_event(folder)
            for name, folder in folders.items()
        }
        return self._newest

    @contextmanager
    def _scene(
        self, engine: DuckEngine, forest: Forest, records: int, scratch: Path | None
    ) -> Iterator[DetectionContext]:
        many = self._sigma is None and records >= _MANY
        with (
            engine.shared_by((os.cpu_count() or 1) if many else 1),
            closing(
                DetectionContext(
                    engine, forest, self._thresholds, reader(self._folder),
                    scanner(self._folder, lambda lost: None), self._addresses, scratch,
                )
            ) as context,
        ):  # fmt: skip
            yield context

    def _found(self, context: DetectionContext, failures: Failures) -> list[Document]:
        """
        What the rules find, each hit a finding of its own.

        Hits are not joined into stories (`together`): a window may hold the end of a story alone, whose finding would
        bear another id.
        """
        found = detection.detect(
            context, self._rules, failures=failures, sigma=self._sigma, min_severity=self._severity,
            allowed=self._allowed, together=False,
        )  # fmt: skip
        return [document(one) for one in found]

    def _guarded(self, view: View, context: DetectionContext, now: float) -> list[Document]:
        moment = datetime.fromtimestamp(now, UTC)
        return [document(one) for guard in self._guards for one in guard.findings(view, context, moment)]


def newest_event(segment: Path) -> int:
    """The time of the newest record of a segment, from the footer of its file; 0 for an empty one."""
    footer = pq.ParquetFile(segment / "events.parquet").metadata
    column = footer.schema.names.index("time")
    groups = [footer.row_group(n).column(column).statistics for n in range(footer.num_row_groups)]
    times = [one.max for one in groups if one is not None and one.has_min_max]
    return max((int(one) for one in times if one is not None), default=0)
