"""
Sigma's correlations: in each group and span of time, how many events, how many values, all rules, or all in order.

Source: Sigma specification, 'Sigma Correlation Rules'.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby, islice
from typing import NamedTuple

from tokentrail.detection.model import Hit
from tokentrail.detection.sigma.reading import Correlation
from tokentrail.detection.sigma.sweep import BETWEEN
from tokentrail.detection.wording import at, counted, listed, span
from tokentrail.lineage.rows import event_id


class Match(NamedTuple):
    """A record that one of a correlation's rules matched."""

    group: str
    time: int
    event: tuple[bytes | None, str | None]
    """Its id, and the id's text where it is no UUID."""
    rule: str
    value: str
    n: int | None
    arn: str
    account: str


@dataclass(slots=True)
class _Story:
    """What meets a correlation in one group: one stretch of time, or several without unrelated matches in between."""

    met: int
    """When it was first met."""
    first: Match
    last: int = 0
    stretches: int = 0
    count: int = 0
    events: list[str] = field(default_factory=list)
    """The first of them."""
    places: set[int] = field(default_factory=set)
    principals: set[str] = field(default_factory=set)
    accounts: set[str] = field(default_factory=set)
    second: set[object] = field(default_factory=set)
    """The events of the last second: a record that several rules match comes again within it."""

    def add(self, one: Match, most: int) -> None:
        """Add a match; matches come in order of time."""
        if one.time != self.last:
            self.second.clear()
        self.last = one.time
        if one.event not in self.second:
            self.second.add(one.event)
            self.count += 1
            if len(self.events) < most:
                self.events.append(event_id(*one.event) or "")
        if one.n is not None:
            self.places.add(one.n)
        elif one.arn:
            self.principals.add(one.arn)
        if one.account:
            self.accounts.add(one.account)


def correlated(
    correlation: Correlation, matches: Iterable[Match], *, events: int, places: int
) -> Iterator[Hit]:
    """
    For each group that meets the correlation, all that does.

    Args:
        correlation: The correlation.
        matches: By group, then by time.
        events: How many events a hit lists.
        places: How many credentials.
    """
    for group, of_group in groupby(matches, lambda one: one.group):
        find = _in_order if correlation.way == "temporal_ordered" else _together
        story = None
        for begins, fresh in find(correlation, of_group):
            story = story or _Story(met=fresh[-1].time, first=fresh[0])
            story.stretches += begins
            for one in fresh:
                story.add(one, events)
        if story:
            yield _hit(correlation, group, story, places)


def _together(correlation: Correlation, matches: Iterable[Match]) -> Iterator[tuple[bool, list[Match]]]:
    """The new matches of each span that meets a correlation, and whether a new stretch of time begins with them."""
    window: deque[Match] = deque()
    untold = 0
    seen: Counter[object] = Counter()
    wanted = len(set(correlation.of)) if correlation.way == "temporal" else correlation.least
    for one in matches:
        if correlation.way == "value_count" and not one.value:
            continue  # without the field there is no value: as null in a count of distinct values
        window.append(one)
        untold += 1
        seen[_counted(correlation, one)] += 1
        while window[0].time < one.time - correlation.seconds:
            gone = _counted(correlation, window.popleft())
            seen[gone] -= 1
            if not seen[gone]:
                del seen[gone]
        untold = min(untold, len(window))
        if len(seen) >= wanted:
            yield untold == len(window), [*islice(reversed(window), untold)][::-1]
            untold = 0


def _counted(correlation: Correlation, one: Match) -> object:
    """What must differ to count again: if several rules match one record, `event_count` counts it once."""
    match correlation.way:
        case "event_count":
            return one.event
        case "value_count":
            return one.value
        case _:
            return one.rule


def _in_order(correlation: Correlation, matches: Iterable[Match]) -> Iterator[tuple[bool, list[Match]]]:
    """Each sequence of matches that meets the rules in their order."""
    runs: dict[int, tuple[Match, ...]] = {}
    """For each number of rules gone through, the run that began last: it has the most time left."""
    for one in matches:
        for place in range(len(correlation.of) - 1, -1, -1):
            if one.rule != correlation.of[place]:
                continue
            before = runs.get(place, ())
            if place and (not before or before[0].time < one.time - correlation.seconds):
                continue
            runs[place + 1] = (*before, one)
        if len(correlation.of) in runs:
            yield True, list(runs[len(correlation.of)])
            runs.clear()


def _hit(correlation: Correlation, group: str, story: _Story, most: int) -> Hit:
    rule = correlation.rule
    places = tuple(sorted(story.places)[:most])
    told = group.split(BETWEEN) if correlation.group_by else []
    by = f" for {listed(one or 'nothing' for one in told)}" if told else ""
    short = story.last - story.first.time <= correlation.seconds
    within = f" within {span(correlation.seconds)}"
    often = f" in {story.stretches:,} stretches of time" if story.stretches > 1 else ""
    return Hit(
        about=(*told, story.events[0]),
        time=story.met,
        severity=rule.severity,
        why=f"{counted(story.count, 'call')}{within if short else often}{by}, from {at(story.first.time)} to "
        f"{at(story.last)}{'' if short else f', as many{within} as the rule asks for'}. {rule.why}",
        subject=story.first.n if story.first.n is not None else (places[0] if places else None),
        places=places,
        events=tuple(story.events),
        count=story.count,
        principals=tuple(sorted(story.principals)[:most]),
        accounts=tuple(sorted(story.accounts)),
    )
