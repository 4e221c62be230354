"""The types of detection: a rule, what it found, and a finding as others script against it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from tokentrail.detection.addresses import Address

if TYPE_CHECKING:
    from tokentrail.detection.scene import Scene

Severity = Literal["info", "low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "low", "medium", "high", "critical")
"""From the least to the worst."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One story that the evidence tells, with what it rests on and what answers it."""

    id: str
    """The same for the same story, however often and from however much later evidence it is told."""
    rule: str
    title: str
    severity: Severity
    time: datetime
    """When it became true."""
    subject: str | None
    """The credential to start from: what the others of this finding descend from."""
    credentials: tuple[str, ...]
    principals: tuple[str, ...]
    accounts: tuple[str, ...]
    events: tuple[str, ...]
    """The events that it rests on, in order of time; of many, the first ones."""
    addresses: tuple[Address, ...] = ()
    """Where those of its lineages came from, in order of time, with what is known of each; not a responder's."""
    count: int
    """How many events there are in all."""
    why: str
    false_alarm: str
    """How to tell that it is harmless."""
    attack: tuple[str, ...]
    """ATT&CK techniques."""
    next: str
    """The command that answers it."""
    thresholds: tuple[str, ...]
    """The thresholds that it was judged by, `name=value`."""
    root: str | None = None
    """The topmost known ancestor of the subject, which may be the subject itself: what leaked may stand above it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """What a rule found, by places in the forest."""

    about: tuple[str, ...]
    """What makes it this finding and no other: ids of credentials and events that later evidence does not change."""
    time: int
    severity: Severity
    why: str
    subject: int | None
    """The credential to start from, by its place in the forest."""
    places: tuple[int, ...]
    """All credentials concerned."""
    events: tuple[str, ...]
    """Event ids, in order of time."""
    count: int
    thresholds: tuple[str, ...] = ()
    """Names of the thresholds that it was judged by."""
    principals: tuple[str, ...] = ()
    """Principals beyond those that the credentials speak for."""
    accounts: tuple[str, ...] = ()
    next: str | None = None
    """What to do, where it is not to contain the subject."""
    hole: str | None = None
    """What gives out credential after credential to whoever is in it: these have no ancestor, and are one story."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One idea of what theft looks like."""

    id: str
    title: str
    severity: Severity
    """The worst that it finds."""
    attack: tuple[str, ...]
    why: str
    """Why it matters."""
    false_alarm: str
    references: tuple[str, ...]
    find: Callable[[Scene], Iterable[Hit]]
    late: bool = False
    """Whether it asks which credentials others found suspicious, and so comes after them."""
    thresholds: tuple[str, ...] = ()
    marks: frozenset[str] = frozenset()
    """Names of calls and kinds of credentials (see `Scene.marks`): evidence that has none of them has nothing for it.
    Empty where no such names can be told."""


def at_least(severity: Severity, bar: Severity) -> bool:
    """Tell whether a severity reaches another."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(bar)
