"""
Detection for a large case in a process of its own: it takes minutes, and pages don't wait for it.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from tokentrail.case import Case
from tokentrail.case.result_set import Rows
from tokentrail.errors import CaseError
from tokentrail.present.document import Document, document
from tokentrail.store.workers import Worker, WorkerLost

_SOON = 0.5
"""Seconds between two looks at whether the parent process is still there."""
_LEADS = 20
"""Leads that a page may list."""
LARGE = 1_000_000
"""With at least so many records, detection takes more than some seconds, and runs in a process of its own."""


@dataclass(frozen=True, slots=True)
class Found:
    """What detection found, and in which evidence."""

    fingerprint: str
    findings: Rows[Document]
    leads: Rows[Document]
    """The first ones."""


@dataclass(frozen=True, slots=True)
class DetectionRun:
    """Runs detection over the newest evidence of a case; it pickles."""

    folder: Path | str

    def __call__(self, _: None) -> Found:
        """Detect, with the catalogue, and rank leads."""
        with Case.open(self.folder, create=False) as case:
            return Found(case.fingerprint, detected(case), ranked(case))


class BackgroundDetection:
    """Runs one detection after another, each in a process of its own."""

    def __init__(self, folder: Path | str) -> None:
        self._look = DetectionRun(folder)
        self._pool = ThreadPoolExecutor(1, "detection")
        self._worker: Worker[None, Found] | None = None
        self._asked: tuple[str, Future[Found]] | None = None

    def ask(self, fingerprint: str) -> Future[Found]:
        """
        What detection finds in some evidence, given by its fingerprint; it is looked for once.

        While a detection over older evidence is under way, its answer is given instead.

        Raises:
            CaseError: raised by the future's result: the process was ended, or the case can't be read.
        """
        if self._asked is None or (self._asked[1].done() and _evidence(*self._asked) != fingerprint):
            self._asked = fingerprint, self._pool.submit(self._looked)
        return self._asked[1]

    def _looked(self) -> Found:
        self._worker = Worker(self._look)
        try:
            return self._worker.run(None)
        except WorkerLost as lost:
            raise CaseError(
                "the process that looks for findings was ended, perhaps for want of memory. Start the console again; "
                "`tokentrail detect` finds the same."
            ) from lost
        finally:
            self._worker.end()

    def end(self) -> None:
        """End the process of a detection under way."""
        if self._worker is not None:
            self._worker.end()
        self._pool.shutdown(wait=False, cancel_futures=True)


def detected(case: Case, as_of: datetime | None = None) -> Rows[Document]:
    """What the catalogue finds in a case as of a time, as documents, and which rules failed."""
    found = case.detect(as_of=as_of)
    return Rows(map(document, found), failed=found.failed)


def ranked(case: Case, as_of: datetime | None = None) -> Rows[Document]:
    """The first leads of a case as of a time, as documents, and which signals failed."""
    leads = case.leads(as_of=as_of, limit=_LEADS)
    return Rows(map(document, leads), failed=leads.failed)


def _evidence(asked: str, answer: Future[Found]) -> str:
    """An identifier of the evidence that an answer is about, which may have grown before the detection began."""
    return asked if answer.exception() else answer.result().fingerprint
