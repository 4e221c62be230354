"""
Ask a service that takes queries for what a trace of some access keys needs, so that the logs stay where they are.

This is what Athena, CloudTrail Lake and CloudWatch Logs share: questions by lineage, put together into as few queries
as hold them, since each costs what it scans; a limit on that; and a note of the case of what was answered, so that the
next run goes on. A service adds how a query is spelled, sent and read.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tokentrail.errors import SourceError, UsageError
from tokentrail.formatting import at, counted, joined
from tokentrail.sources import aws
from tokentrail.sources.files import BytesObject
from tokentrail.sources.following import QUERIES, Following, Question
from tokentrail.sources.interface import Access, Batch, Failed, Notes, Skipped, Wanted
from tokentrail.sources.query_progress import QueryProgress
from tokentrail.sources.spans import Span
from tokentrail.sources.words import refused

LATE = 24 * 3600
"""Seconds after which a record is taken to have arrived; newer ones are asked for again by the next run."""
_TERABYTE = 10**12


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A query, and the questions that it answers."""

    text: str
    questions: tuple[Question, ...]
    parameters: tuple[str, ...] = ()
    """What stands in the places of its question marks."""

    @property
    def window(self) -> Span:
        """The seconds that its questions are about."""
        return _around(self.questions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """What a service tells of a query that it was sent."""

    ended: bool
    scanned: int
    failure: str = ""
    """Why it ended without an answer."""
    answer: Any = None


@dataclass(slots=True)
class Spent:
    """What the queries of a run have scanned and returned."""

    queries: int = 0
    scanned: int = 0
    rows: int = 0


class ScanLimit(Exception):
    """The queries have scanned what they may."""


class Asker(ABC):
    """Spells questions as queries of one service, sends these within the scan that is allowed, and reads results."""

    note: ClassVar[str]
    """The name of the note of the case in which it stands what was answered."""
    service: ClassVar[str]
    """The service as the SDK spells it."""
    region: str | None = None
    """The region of the source where its name tells it; else the SDK's own."""

    def __init__(self, source: str, access: Access, wanted: Wanted) -> None:
        self.source, self.wanted, self._access = source, wanted, access
        self.spent = Spent()
        self.lost: list[Skipped] = []
        """What could not be fetched."""

    @abstractmethod
    def query(self, questions: Sequence[Question]) -> Query:
        """The query that answers some questions."""

    @abstractmethod
    def fits(self, query: Query) -> bool:
        """Whether the service takes a query of this size."""

    @abstractmethod
    def run(self, query: Query) -> Iterator[BytesObject]:
        """Run a query; what it finds as evidence, with the query's id and text."""

    def shown(self, query: Query) -> str:
        """The query as a person reads it, with all that is sent beside its text."""
        return query.text

    def queries(self, questions: Sequence[Question]) -> Iterator[Query]:
        """As few queries as answer some questions."""
        left = list(questions)
        while left:
            many = bisect_left(
                range(1, len(left) + 1), True, key=lambda some: not self.fits(self.query(left[:some]))
            )
            yield self.query(left[: max(1, many)])
            left = left[max(1, many) :]

    def before(self) -> None:
        """Count a query, unless no more may be scanned."""
        limit = self.wanted.queries.max_scan
        if limit is not None and self.spent.scanned >= limit:
            raise ScanLimit
        self.spent.queries += 1

    def wait(self, ran: str, look: Callable[[], Progress], stop: Callable[[], Any]) -> Progress:
        """Wait until a query ends, and stop it when it scans more than is allowed."""
        limit, pause = self.wanted.queries.max_scan, 0.05
        while True:
            told = look()
            if told.ended:
                self.spent.scanned += told.scanned
                return told
            if limit is not None and self.spent.scanned + told.scanned > limit:
                self.spent.scanned += told.scanned
                stop()
                raise ScanLimit
            time.sleep(pause)
            pause = min(pause * 2, 2.0)

    def came(self, ran: str, rows: int, found: int) -> None:
        """Count a query's rows, and name those that it found and that did not come."""
        self.spent.rows += rows
        if rows < found:
            why = f"{counted(found - rows, 'row')} of the {found:,} that it found did not come"
            self.lost.append(Skipped(f"{self.source}/{ran}", why))

    def failed(self, ran: str, why: str) -> SourceError:
        """That a query gave no answer."""
        return SourceError(
            f"{self.source}: query {ran} did not succeed ({why}). The next run goes on from here."
        )

    def call(self, operation: str, **asked: Any) -> Any:
        """Call the service."""
        try:
            return aws.ask(self._access, self.service, operation, self.region, **asked)
        except Failed as failed:
            raise SourceError(refused(failed, "asked", self.source)) from failed


def batches(asker: Asker, notes: Notes, clock: Callable[[], float] = time.time) -> Iterator[Batch]:
    """
    Ask by lineage, in batches that go into the case one after the other.

    Args:
        asker: The service, with the keys to follow, and the bounds: times, accounts, regions, bytes scanned.
        notes: The notes of the case, in which what was answered is stored.
        clock: Returns the time now, in seconds since 1970.

    Raises:
        SourceError: the source can't be asked, or a query failed; the next run continues.
        UsageError: there is no subject, or no time from which on it is followed.
    """
    now, wanted = int(clock()), asker.wanted
    window = _window(asker.source, wanted, now)
    answered = QueryProgress.of(notes, asker.note)
    place = "/".join([asker.source, ",".join(sorted(wanted.accounts)), ",".join(sorted(wanted.regions))])
    state = f"{place} {' '.join(sorted(set(wanted.subjects)))}"
    following = Following(wanted.subjects, window, answered.followed.get(state), QUERIES)
    stopped = False
    while not stopped and (questions := following.questions()):
        for query in asker.queries(_left(questions, answered, place)):
            try:
                pages = list(asker.run(query))
            except ScanLimit:
                stopped = True
                break
            following.learn(one.data for one in pages)

            def keep(query: Query = query) -> None:
                for one in query.questions:
                    answered.add(_name(place, one), [(one.window[0], min(one.window[1], now - LATE))])
                answered.followed[state] = following.state()
                answered.keep(notes)

            yield Batch(pages, kept=keep)
    skipped = [*asker.lost, *([Skipped(asker.source, _limit_reached(wanted))] if stopped else [])]
    yield Batch([], skipped, said=[*_said(asker, window, following)])


def shown(asker: Asker, clock: Callable[[], float] = time.time) -> list[str]:
    """The queries that a run would begin with; those that follow depend on their answers. None is sent."""
    window = _window(asker.source, asker.wanted, int(clock()))
    following = Following(asker.wanted.subjects, window, None, QUERIES)
    return [asker.shown(query) for query in asker.queries(following.questions())]


def _window(source: str, wanted: Wanted, now: int) -> Span:
    if not wanted.subjects:
        raise UsageError(
            f"{source}: give --subject KEY, whose lineage is fetched. To read all, read the logs' bucket."
        )
    if wanted.since is None:
        raise UsageError(
            f"{source}: give --since: what is scanned is paid for. 36 hours before the first suspect call do."
        )
    return int(wanted.since.timestamp()), min(now, int(wanted.until.timestamp()) if wanted.until else now)


def _around(questions: Sequence[Question]) -> Span:
    return min(one.window[0] for one in questions), max(one.window[1] for one in questions)


def _left(questions: Sequence[Question], answered: QueryProgress, place: str) -> list[Question]:
    """What of some questions was not answered by an earlier run."""
    return [
        Question(one.attribute, one.value, span)
        for one in questions
        for span in answered.remaining(_name(place, one), one.window)
    ]


def _name(place: str, question: Question) -> str:
    return f"{place}/{question.attribute}={question.value}"


def _limit_reached(wanted: Wanted) -> str:
    return (
        f"--max-scan {wanted.queries.max_scan} was reached before all was asked, so that parts of the lineage may be "
        "missing. Run it again with a higher one: it goes on from here"
    )


def _said(asker: Asker, window: Span, following: Following) -> Iterator[str]:
    (start, end), spent = map(at, window), asker.spent
    yield f"{asker.source} was asked from {start} to {end}, for what follows from {joined(following.subjects)}."
    price, scanned = asker.wanted.queries.price, f"{spent.scanned:,} bytes"
    cost = "" if price is None else f", about {spent.scanned / _TERABYTE * price:.4f} at {price:g} a terabyte"
    queries = counted(spent.queries, "query", "queries")
    yield f"{queries} scanned {scanned}{cost}, and returned {counted(spent.rows, 'row')}."
    yield from following.said()
