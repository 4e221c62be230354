"""
The sweep: link and judge the whole case, or its last days, in a process of its own, at low priority.

It finds what looks can't, since they see only the hot set, and corrects what they found wrongly for the same reason. It
also stores records for recall that are not stored yet, as of evidence that another process ingested, and merges small
segments. The watch goes on meanwhile, however long it takes.
"""

from __future__ import annotations

import gc
import math
import os
import pickle
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from threading import Thread
from typing import IO

import pyarrow.parquet as pq

from tokentrail.case.raw import reader, scanner
from tokentrail.detection.model import Finding
from tokentrail.errors import CaseError
from tokentrail.present.document import document
from tokentrail.store.duck import DuckEngine
from tokentrail.store.folder import CaseFolder
from tokentrail.store.merge import merge_small
from tokentrail.store.tidying import SPILL
from tokentrail.store.workers import environment, started
from tokentrail.watch.backlog import keep_all, merged
from tokentrail.watch.carrying import Pinned, records_to_carry
from tokentrail.watch.intake import TABLES, Tables
from tokentrail.watch.judging import Judge, Judging, linked
from tokentrail.watch.recall import Recall
from tokentrail.watch.reconcile import Document

_NICE, _LEAST_URGENT = 10, 19
_UNHURRIED = 600.0
"""Seconds for which a sweep gets only idle processor time; longer, and it might never end on a busy machine."""
_TOGETHER = 100
"""Findings that are passed to the watch at a time: looks wait while it sends them."""
_PROGRAM = """
import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
from tokentrail.store.without_pandas import hide_pandas
hide_pandas()
from tokentrail.watch.sweep import main
main()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRequest:
    """What to sweep, and how."""

    case: Path
    judging: Judging
    since: int | None
    """Segments whose newest record is older are left out."""
    pinned: Pinned = field(default_factory=Pinned)
    """Credentials whose records are carried before others."""
    carried: int = 0
    """How many records the hot set may carry."""
    settled: frozenset[str] | None = None
    """The segments that may be stored for recall and merged: those that the watch has judged; all by default."""
    merging: bool = True
    """Whether segments are stored for recall, and small ones merged, before the case is judged."""
    waited_for: bool = False
    """Whether the watch waits for its end, so that it gets its share of the processors from the start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResult:
    """What a sweep returns, but for its findings, which may be very many: `SweepProcess.found` has them."""

    carried: Tables
    """The older records that the hot set is to carry from now on."""
    records: int
    """How many records were judged."""
    since: int | None
    """As it was asked for."""


def sweep(asked: SweepRequest) -> tuple[SweepResult, Sequence[Finding]]:
    """Judge a case as `Case.detect` does; what linking derives is not stored."""
    folder = CaseFolder.open(asked.case, create=False)
    if asked.merging:
        with closing(Recall(folder.path / "watch")) as recall:
            keep_all(folder, recall, asked.settled)
            merge_small(folder, partial(merged, recall), asked.settled)
        folder.tidy()
    snapshot = folder.snapshot()
    folders = [
        path for path in snapshot.folders.values() if asked.since is None or newest(path) >= asked.since
    ]
    judge = Judge(asked.judging)

    def fill(engine: DuckEngine) -> None:
        for name in TABLES:
            engine.segments(name, folders)

    with folder.scratch() as scratch:
        if scratch is None:
            raise CaseError(f"{folder.path}: can't be written, so no sweep can be made over it.")
        with (
            linked(fill, scratch, folder.path / "derived" / SPILL) as sight,
            closing(judge.scene(sight, reader(folder), scanner(folder, lambda lost: None))) as scene,
        ):
            found = judge.findings(scene)
            numbers = [int(one.name, 16) for one in folders]
            kept = records_to_carry(sight, scene, numbers, asked.pinned, asked.carried)
            return SweepResult(carried=kept, records=sight.size.records, since=asked.since), found


def newest(segment: Path) -> int:
    """The time of the newest record of a segment, from the footer of its file; 0 for an empty one."""
    footer = pq.ParquetFile(segment / "events.parquet").metadata
    column = footer.schema.names.index("time")
    groups = [footer.row_group(n).column(column).statistics for n in range(footer.num_row_groups)]
    times = [one.max for one in groups if one is not None and one.has_min_max]
    return max((int(one) for one in times if one is not None), default=0)


class SweepProcess:
    """
    A sweep that runs in a process of its own.

    It stays in the watch's session, since Linux shares processors between sessions first, and only within one by how
    nice a process is (sched(7), 'The autogroup feature'); a group of its own keeps a terminal's signals from it.
    """

    def __init__(self, asked: SweepRequest) -> None:
        self._answer: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        self._process = subprocess.Popen(  # noqa: S603 - this very program
            started(_PROGRAM),
            stdin=subprocess.PIPE,
            stdout=self._answer,
            process_group=0,
            env=environment(),
        )  # fmt: skip
        if not asked.waited_for:
            _give_way(self._process.pid)
        self._began = time.monotonic()
        Thread(target=self._tell, args=(asked,), daemon=True).start()

    def _tell(self, asked: SweepRequest) -> None:
        """Send it the request, in a thread of its own: it reads that only once it has loaded its modules."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError), self._process.stdin as stdin:
            pickle.dump(sys.path, stdin)
            pickle.dump(asked, stdin)

    def done(self) -> bool:
        """Whether it has ended; one that has run for long gets its share of the processors from now on."""
        if time.monotonic() - self._began > _UNHURRIED:
            self._began = math.inf
            _take_turns("SCHED_OTHER", self._process.pid)
        return self._process.poll() is not None

    def result(self) -> SweepResult | None:
        """Wait for its result; `None` if it failed."""
        if self._process.wait() != 0:
            self._answer.close()
            return None
        self._answer.seek(0)
        swept: SweepResult = pickle.load(self._answer)  # noqa: S301 - our own process
        return swept

    def found(self) -> Iterator[Sequence[Document]]:
        """Yield its findings as documents, up to a hundred at a time; only once, and after `result`."""
        with self._answer:
            while some := pickle.load(self._answer):  # noqa: S301 - our own process
                yield some

    def kill(self) -> None:
        """End it; none of its writes can be left half done."""
        self._process.kill()
        self._process.wait()
        self._answer.close()


def _give_way(process: int) -> None:
    """Give a process that has just begun a low priority, so that not even loading its modules slows the watch."""
    with suppress(OSError):  # it has ended already, or a container forbids it: then it runs as it is
        urgency = os.getpriority(os.PRIO_PROCESS, process)
        os.setpriority(os.PRIO_PROCESS, process, min(urgency + _NICE, _LEAST_URGENT))
    # A processor that does nothing but an idle task counts as free when the watch's work is placed.
    _take_turns("SCHED_IDLE", process)
    if sys.platform == "linux":  # the other processors are left to the watch
        with suppress(OSError):
            os.sched_setaffinity(process, {max(os.sched_getaffinity(process))})


def _take_turns(policy: str, process: int) -> None:
    """Have a process scheduled by one of Linux's policies (sched(7)), if the system has it and allows it."""
    if sys.platform == "linux":  # macOS names some of them, and has no call that sets one
        with suppress(OSError):  # it has just ended, or a container forbids it: then it runs as it is
            os.sched_setscheduler(process, getattr(os, policy), os.sched_param(0))


def main() -> None:
    """Run the process of a sweep: read the request from standard input, and answer on standard output."""
    gc.disable()  # it is over soon, and rows hold no cycles
    asked = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent wrote it
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # nobody else may write into the answer
    swept, found = sweep(asked)
    pickle.dump(swept, answers)
    for start in range(0, len(found), _TOGETHER):
        pickle.dump([document(one) for one in found[start : start + _TOGETHER]], answers)
    pickle.dump([], answers)
    answers.close()
