"""How a value changes over time: a sequence of steps, each of which is in force from its time until the next."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar

from tokentrail.policy.history.changes import Change, Order
from tokentrail.policy.language.conditions import change_times
from tokentrail.policy.language.documents import Document, Malformed

PlacedPolicy = Document | Malformed | None
"""What a policy's place has: a policy that can be read, one that can't, or none."""
ValueT = TypeVar("ValueT")

_CLOCK_KEYS = frozenset({"aws:currenttime", "aws:epochtime"})


@dataclass(frozen=True, slots=True)
class Step(Generic[ValueT]):
    """That `value` is in force from a time on, because of an event."""

    order: Order
    event_name: str
    value: ValueT

    @property
    def time(self) -> datetime:
        """When it begins."""
        return self.order[0]

    @property
    def event_id(self) -> str:
        """The event that made it."""
        return self.order[2]


def step(change: Change, value: ValueT) -> Step[ValueT]:
    """The step that a change makes."""
    return Step(change.order, change.event_name, value)


def step_at(steps: Sequence[Step[ValueT]], as_of: datetime) -> int:
    """The index of the step in force at a time, including changes in that second; -1 before the first."""
    return bisect_right(steps, as_of, key=lambda item: item.order[0]) - 1


def gated(
    gate: Sequence[Step[bool]], inner: Sequence[Step[PlacedPolicy]], before: PlacedPolicy = None
) -> list[Step[PlacedPolicy]]:
    """
    Join whether a policy applies over time (is attached, or the user is in its group) with its documents over time.

    Args:
        gate: Whether it applies; it does not before the first step.
        inner: Its documents.
        before: Its document before the first step of `inner`.
    """
    joined: list[Step[PlacedPolicy]] = []
    counts, says, place = False, before, 0
    for opening in gate:
        while place < len(inner) and inner[place].order <= opening.order:
            says, place = inner[place].value, place + 1
            if counts:
                joined.append(inner[place - 1])
        counts = opening.value
        held = says if counts else None
        joined.append(Step(opening.order, opening.event_name, held))
    return joined + (list(inner[place:]) if counts else [])


def with_clock(steps: Sequence[Step[PlacedPolicy]], as_of: datetime) -> list[Step[PlacedPolicy]]:
    """
    The steps up to a time, split where dates in a document (`aws:CurrentTime`) change its effect.

    Then the effect of a step at its own time is its effect until the next step.
    """
    found: list[Step[PlacedPolicy]] = []
    for index, item in enumerate(steps):
        if item.time > as_of:
            break
        found.append(item)
        if isinstance(item.value, Document):
            following = steps[index + 1].time if index + 1 < len(steps) else as_of + timedelta(seconds=1)
            end = min(following, as_of + timedelta(seconds=1))
            found += [
                Step((moment, *item.order[1:]), item.event_name, item.value)
                for moment in _moments(item.value)
                if item.time < moment < end
            ]
    return found


def has_clock(document: Document) -> bool:
    """Whether what a document denies depends on the time of the request."""
    return not _CLOCK_KEYS.isdisjoint(document.denial_keys)


def _moments(document: Document) -> list[datetime]:
    """The times at which conditions on the time of the request may change: each date, and the second after it."""
    conditions = (condition for statement in document.denials for condition in statement.conditions)
    return sorted(change_times(conditions, _CLOCK_KEYS))
