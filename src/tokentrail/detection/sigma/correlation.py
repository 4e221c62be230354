"""
Sigma's correlations: how many, how many different, all of them, all in order, within a span of time and a group.

Source: Sigma specification, 'Sigma Correlation Rules'.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from tokentrail.detection.model import Hit
from tokentrail.detection.sigma.reading import Correlation
from tokentrail.detection.sigma.sweep import BETWEEN
from tokentrail.detection.wording import at, counted, listed, span
from tokentrail.lineage.rows import event_id


class Match(NamedTuple):
    """A record that a rule of a correlation matched."""

    group: str
    time: int
    event: tuple[bytes | None, str | None]
    """Its id, and the id's text where it is no UUID."""
    rule: str
    value: str
    n: int | None
    arn: str
    account: str


def correlated(correlation: Correlation, matches: Iterable[Match]) -> Iterator[Hit]:
    """For each group, the first span of time that meets the correlation; matches come by group, then by time."""
    for group, of_group in groupby(matches, lambda one: one.group):
        find = _in_order if correlation.way == "temporal_ordered" else _together
        window = find(correlation, of_group)
        if window:
            yield _hit(correlation, group, window)


def _together(correlation: Correlation, matches: Iterable[Match]) -> list[Match]:
    window: deque[Match] = deque()
    seen: Counter[object] = Counter()
    wanted = len(set(correlation.of)) if correlation.way == "temporal" else correlation.least
    for one in matches:
        if correlation.way == "value_count" and not one.value:
            continue  # without the field there is no value: as null in a count of distinct values
        window.append(one)
        seen[_counted(correlation, one)] += 1
        while window[0].time < one.time - correlation.seconds:
            gone = _counted(correlation, window.popleft())
            seen[gone] -= 1
            if not seen[gone]:
                del seen[gone]
        if len(seen) >= wanted:
            return list(window)
    return []


def _counted(correlation: Correlation, one: Match) -> object:
    """What must differ to count again: of several rules that match one record, `event_count` counts the record."""
    match correlation.way:
        case "event_count":
            return one.event
        case "value_count":
            return one.value
        case _:
            return one.rule


def _in_order(correlation: Correlation, matches: Iterable[Match]) -> list[Match]:
    """The first run of matches that goes through the rules in their order, however many go before it in vain."""
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
            return list(runs[len(correlation.of)])
    return []


def _hit(correlation: Correlation, group: str, window: list[Match]) -> Hit:
    rule = correlation.rule
    places = tuple(sorted({one.n for one in window if one.n is not None}))
    told = group.split(BETWEEN) if correlation.group_by else []
    by = f" for {listed(one or 'nothing' for one in told)}" if told else ""
    events = [event_id(*one) or "" for one in dict.fromkeys(one.event for one in window)]
    return Hit(
        about=(*told, events[0]),
        time=window[-1].time,
        severity=rule.severity,
        why=f"{counted(len(events), 'call')} within {span(correlation.seconds)}{by}, from {at(window[0].time)} to "
        f"{at(window[-1].time)}. {rule.why}",
        subject=window[0].n if window[0].n is not None else (places[0] if places else None),
        places=places,
        events=tuple(events),
        count=len(events),
        principals=tuple(sorted({one.arn for one in window if one.n is None and one.arn})),
        accounts=tuple(sorted({one.account for one in window if one.account})),
    )
