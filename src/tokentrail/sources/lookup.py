"""
Fetch events that CloudTrail itself keeps for 90 days with LookupEvents: all of them, or those that a trace needs.

The API returns up to fifty events in an answer, newest first, and answers twice a second for each account and region.
What was answered is noted in the case once the events are in it, so that the next run asks only for the rest.

Source: AWS CloudTrail API Reference, 'LookupEvents'.
"""

from __future__ import annotations

import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tokentrail.errors import SourceError
from tokentrail.formatting import at, joined
from tokentrail.sources import aws
from tokentrail.sources.files import BytesObject
from tokentrail.sources.following import Following, Question
from tokentrail.sources.interface import EVERYWHERE, Access, Batch, Failed, Notes, Skipped, Wanted
from tokentrail.sources.query_progress import QueryProgress
from tokentrail.sources.spans import Span
from tokentrail.sources.words import refused

RATE = 2.0
"""Calls that are answered per second in an account and region."""
KEPT = 90 * 24 * 3600
"""Seconds for which CloudTrail keeps events."""
LATE = 15 * 60
"""Seconds after which an event can be looked up; newer ones are asked for again by the next run."""
_PAGES = 20
"""Pages of one account and region in a batch, at most."""
_NOTE = "lookup-events"


class Pace:
    """Limits the rate of calls: a token bucket of two calls, which is refilled at `RATE`."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        self._full = clock()
        """When the bucket will be full again."""

    def wait(self) -> None:
        """Wait until a call may be made."""
        with self._lock:
            now = self._clock()
            self._full = max(self._full, now) + 1 / RATE
            pause = self._full - now - 2 / RATE
        if pause > 0:
            self._sleep(pause)


@dataclass(frozen=True, slots=True)
class Place:
    """One account and region."""

    access: Access
    account: str
    region: str
    pace: Pace = field(default_factory=Pace, compare=False)

    @property
    def name(self) -> str:
        """Its name in the notes of the case."""
        return f"{self.account}/{self.region}"


@dataclass(slots=True)
class _Asking:
    """A question to one place, which is being asked."""

    place: Place
    question: Question
    left: list[Span]
    """The spans of time that are left to ask, the newest last."""
    answered: list[Span] = field(default_factory=list)
    """The spans that were answered since the last batch was stored."""
    token: str | None = None
    """The token of the next page."""
    refused: Failed | None = None
    """Why the place answers no more."""

    @property
    def name(self) -> str:
        return f"{self.place.name}/{self.question.attribute}={self.question.value}"

    def pages(self, limit: int) -> Iterator[BytesObject]:
        """Fetch up to so many pages, and note what was answered."""
        for _ in range(limit):
            if not self.left:
                return
            start, end = self.left[-1]
            try:
                answer = self._ask(start, end)
            except Failed as failed:
                if self.token is None or failed.code != "InvalidNextTokenException":
                    raise
                self.token = None  # it has grown old: go on from the oldest event that came
                continue
            events, self.token = answer.get("Events", []), answer.get("NextToken")
            oldest = int(min((one["EventTime"].timestamp() for one in events), default=end + 1))
            if self.token is None:
                self.answered.append((start, end))
                self.left.pop()
            elif oldest <= end:
                self.answered.append((oldest + 1, end))
                self.left[-1] = (start, max(start, oldest))
            if events:
                yield self._page(events)

    def _ask(self, start: int, end: int) -> Any:
        asked: dict[str, Any] = {} if self.token is None else {"NextToken": self.token}
        if self.question.attribute:
            asked["LookupAttributes"] = [
                {"AttributeKey": self.question.attribute, "AttributeValue": self.question.value}
            ]
        if self.token is None:
            self._window = (start, end)
        start, end = self._window
        self.place.pace.wait()
        return aws.ask(
            self.place.access, "cloudtrail", "lookup_events", self.place.region, MaxResults=50,
            StartTime=datetime.fromtimestamp(start, UTC), EndTime=datetime.fromtimestamp(end, UTC), **asked,
        )  # fmt: skip

    _window: Span = (0, 0)
    """The span of the request that the token belongs to."""

    def _page(self, events: Sequence[dict[str, Any]]) -> BytesObject:
        """A page as an evidence object, with the record of each event exactly as CloudTrail returned it."""
        times = [one["EventTime"].timestamp() for one in events]
        newest = datetime.fromtimestamp(max(times), UTC)
        asked = f"/{self.question.attribute}={self.question.value}" if self.question.attribute else ""
        told = [{**one, "EventTime": when} for one, when in zip(events, times, strict=True)]
        content = json.dumps({"Events": told}, separators=(",", ":"), sort_keys=True).encode()
        return BytesObject(f"lookup-events:{self.place.name}{asked}/{newest:%Y-%m-%dT%H:%M:%SZ}", content)


def batches(
    accesses: Sequence[Access], wanted: Wanted, notes: Notes, clock: Callable[[], float] = time.time
) -> Iterator[Batch]:
    """
    Look up events, in batches that go into the case one after the other.

    Args:
        accesses: One for each account; of two for the same account, the first is used.
        wanted: Which accounts, regions and times; with subjects, only what a trace of these access keys needs.
        notes: The notes of the case, in which what was answered is stored.
        clock: Returns the time now, in seconds since 1970.

    Raises:
        SourceError: no account can be asked, or a failure ended it; the next run continues.
    """
    now = int(clock())
    window = (
        max(now - KEPT, int(wanted.since.timestamp()) if wanted.since else 0),
        min(now, int(wanted.until.timestamp()) if wanted.until else now),
    )
    places, skipped = _places(accesses, wanted)
    answered = QueryProgress.of(notes, _NOTE)
    following = _following(wanted.subjects, window, answered)
    rounds = _Rounds(places, window, now - LATE, answered, following)
    yield Batch([], skipped)
    while asked := rounds.next():
        pages = _fetch(asked)
        rounds.learn(pages)
        yield Batch(pages, kept=lambda asked=asked: rounds.keep(asked, notes))  # type: ignore[misc]  # mypy can't tell the default's type
    yield Batch([], rounds.refusals(), said=_said(places, window, following))


def _following(subjects: Sequence[str], window: Span, answered: QueryProgress) -> Following | None:
    if not subjects:
        return None
    return Following(subjects, window, answered.followed.get(" ".join(sorted(subjects))))


class _Rounds:
    """Asks questions of all places in rounds, some pages of each in a round, until all are answered."""

    def __init__(
        self,
        places: Sequence[Place],
        window: Span,
        settled: int,
        answered: QueryProgress,
        following: Following | None,
    ) -> None:
        self._places, self._window, self._settled = places, window, settled
        self._answered, self._following = answered, following
        self._under_way: list[_Asking] = []
        self._refused: dict[str, Failed] = {}
        if following is None:
            self._start([Question("", "", window)])

    def next(self) -> list[_Asking]:
        """What to ask now; nothing once all is answered."""
        self._under_way = [one for one in self._under_way if one.left and one.place.name not in self._refused]
        if not self._under_way and self._following is not None:
            while not self._under_way and (questions := self._following.questions()):
                self._start(questions)
        return self._under_way

    def _start(self, questions: Iterable[Question]) -> None:
        for question in questions:
            for place in self._places:
                if (question.regions and place.region not in question.regions) or place.name in self._refused:
                    continue
                one = _Asking(place, question, [])
                one.left = self._answered.remaining(one.name, question.window)
                if one.left:
                    self._under_way.append(one)

    def keep(self, asked: Sequence[_Asking], notes: Notes) -> None:
        """Note what was answered, now that the case holds it."""
        for one in asked:
            self._answered.add(one.name, [(start, min(end, self._settled)) for start, end in one.answered])
            one.answered = []
            if one.refused:
                self._refused[one.place.name] = one.refused
        if self._following is not None:
            self._answered.followed[self._following.name] = self._following.state()
        self._answered.keep(notes)

    def refusals(self) -> list[Skipped]:
        """The places that refused to answer."""
        return [
            Skipped(f"lookup-events:{name}", refused(failed, "looked up", f"lookup-events:{name}"))
            for name, failed in sorted(self._refused.items())
        ]

    def learn(self, pages: Iterable[BytesObject]) -> None:
        """Learn from what was found, which may lead to further questions."""
        if self._following is not None:
            self._following.learn(one.data for one in pages)


def _fetch(asked: Sequence[_Asking]) -> list[BytesObject]:
    """Fetch pages from all places in parallel; each place is asked its questions one after the other."""
    by_place: dict[str, list[_Asking]] = defaultdict(list)
    for one in asked:
        by_place[one.place.name].append(one)
    with ThreadPoolExecutor(max(1, len(by_place))) as pool:
        return [page for pages in pool.map(_some, by_place.values()) for page in pages]


def _some(asked: Sequence[_Asking]) -> list[BytesObject]:
    found: list[BytesObject] = []
    for one in asked:
        try:
            found += one.pages(_PAGES - len(found))
        except Failed as failed:
            if failed.kind in EVERYWHERE:
                raise SourceError(refused(failed, "looked up", f"lookup-events:{one.place.name}")) from failed
            one.refused = failed
            return found
    return found


def _places(accesses: Sequence[Access], wanted: Wanted) -> tuple[list[Place], list[Skipped]]:
    """The accounts and regions to ask, and the accounts that can't be asked."""
    places: list[Place] = []
    skipped: list[Skipped] = []
    accounts: set[str] = set()
    for access in accesses:
        where = f"lookup-events:{access.profile}" if access.profile else "lookup-events"
        try:
            account = str(aws.ask(access, "sts", "get_caller_identity")["Account"])
            if account in accounts or (wanted.accounts and account not in wanted.accounts):
                continue
            accounts.add(account)
            regions = sorted(wanted.regions) or _regions(access)
        except Failed as failed:
            why = refused(failed, "looked up", where)
            if len(accesses) == 1:
                raise SourceError(f"{why} --region names regions without ec2:DescribeRegions.") from failed
            skipped.append(Skipped(where, why))
            continue
        places += (Place(access, account, region) for region in regions)
    if not places:
        raise SourceError("lookup-events: no account can be asked. Look after --profile and --account.")
    return places, skipped


def _regions(access: Access) -> list[str]:
    """The regions that are enabled in an account."""
    answer = aws.ask(access, "ec2", "describe_regions")
    return sorted(str(one["RegionName"]) for one in answer["Regions"])


def _said(places: Sequence[Place], window: Span, following: Following | None) -> list[str]:
    accounts = sorted({one.account for one in places})
    regions = sorted({one.region for one in places})
    where = f"{joined(accounts)}, {len(regions)} region{'s' if len(regions) > 1 else ''}"
    start, end = map(at, window)
    head = f"LookupEvents was asked of {where}, from {start} to {end}"
    never = "It holds management events only: no data events, such as reads of S3 objects."
    if following is None:
        return [f"{head}, for all that it keeps. {never}"]
    return [f"{head}, for what follows from {joined(following.subjects)}. {never}", *following.said()]
