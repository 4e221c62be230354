"""
Sigma's correlations: how many, how many different, all of them, all in order, within a span of time and a group.

Source: Sigma specification, 'Sigma Correlation Rules'.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from tokentrail.detection.model import Hit
from tokentrail.detection.scene import Scene
from tokentrail.detection.sigma.reading import Correlation
from tokentrail.detection.wording import at, counted, listed, span


class Match(NamedTuple):
    """A record that a rule of a correlation matched."""

    time: int
    event: str
    rule: str
    group: tuple[str, ...]
    value: str | None
    n: int | None
    arn: str
    account: str


def correlated(scene: Scene, correlation: Correlation, matches: Sequence[Match]) -> Iterator[Hit]:
    """For each group, the first span of time that meets the correlation."""
    groups: dict[tuple[str, ...], list[Match]] = {}
    for one in sorted(set(matches), key=lambda one: (one.time, one.event, one.rule)):
        groups.setdefault(one.group, []).append(one)
    for group, listed_by_time in sorted(groups.items()):
        window = _first(correlation, listed_by_time)
        if window:
            yield _hit(correlation, group, window)


def _first(correlation: Correlation, matches: Sequence[Match]) -> list[Match]:
    if correlation.way == "temporal_ordered":
        return _in_order(correlation, matches)
    window: deque[Match] = deque()
    seen: Counter[str] = Counter()
    wanted = len(set(correlation.of)) if correlation.way == "temporal" else correlation.least
    for one in matches:
        window.append(one)
        seen[_counted(correlation, one)] += 1
        while window[0].time < one.time - correlation.seconds:
            gone = _counted(correlation, window.popleft())
            seen[gone] -= 1
            if not seen[gone]:
                del seen[gone]
        reached = len(window) if correlation.way == "event_count" else len(seen)
        if reached >= wanted:
            return list(window)
    return []


def _counted(correlation: Correlation, one: Match) -> str:
    return one.rule if correlation.way == "temporal" else one.value or ""


def _in_order(correlation: Correlation, matches: Sequence[Match]) -> list[Match]:
    """The first run of matches that goes through the rules in their order."""
    for start, first in enumerate(matches):
        if first.rule != correlation.of[0]:
            continue
        run = [first]
        for one in matches[start + 1 :]:
            if one.time > first.time + correlation.seconds:
                break
            if len(run) < len(correlation.of) and one.rule == correlation.of[len(run)]:
                run.append(one)
        if len(run) == len(correlation.of):
            return run
    return []


def _hit(correlation: Correlation, group: tuple[str, ...], window: list[Match]) -> Hit:
    rule = correlation.rule
    places = tuple(sorted({one.n for one in window if one.n is not None}))
    by = f" for {listed(one or 'nothing' for one in group)}" if group else ""
    events = list(dict.fromkeys(one.event for one in window))
    return Hit(
        about=(*group, events[0]),
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
