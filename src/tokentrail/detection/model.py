"""The types of detection: a rule, what it found, and a finding as others script against it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from tokentrail.detection.addresses import Address
from tokentrail.results import NotebookLine

if TYPE_CHECKING:
    from tokentrail.detection.context import DetectionContext
    from tokentrail.detection.views import View

Severity = Literal["info", "low", "medium", "high", "critical"]
SEVERITIES: tuple[Severity, ...] = ("info", "low", "medium", "high", "critical")
"""From the least to the worst."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Finding(NotebookLine):
    """Something in the evidence that looks like theft, with the events that it rests on and what to do about it."""

    id: str
    """Stable: the same for the same finding in repeated runs and with later evidence."""
    rule: str
    title: str
    severity: Severity
    time: datetime
    """When it became true."""
    subject: str | None
    """The credential to start an investigation from, of which the others in this finding are descendants."""
    credentials: tuple[str, ...]
    principals: tuple[str, ...]
    accounts: tuple[str, ...]
    events: tuple[str, ...]
    """The ids of the events that it rests on, in order of time; of many, the first ones."""
    addresses: tuple[Address, ...] = ()
    """The addresses of these events, in order of time; only of those that its credentials' lineages made."""
    count: int
    """How many events there are in all."""
    why: str
    false_alarm: str
    """How to recognise a harmless case."""
    attack: tuple[str, ...]
    """ATT&CK techniques."""
    next: str
    """The command to run next."""
    thresholds: tuple[str, ...]
    """The thresholds that it was judged by, as `name=value`."""
    root: str | None = None
    """The topmost known ancestor of the subject, or itself: what leaked may be an ancestor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """What a rule found, with credentials by their numbers."""

    about: tuple[str, ...]
    """What identifies the finding: ids of credentials and events, which later evidence does not change."""
    time: int
    severity: Severity
    why: str
    subject: int | None
    """The credential to start from, by its number."""
    places: tuple[int, ...]
    """All credentials concerned."""
    events: tuple[str, ...]
    """Event ids, in order of time."""
    count: int
    thresholds: tuple[str, ...] = ()
    """Names of the thresholds that it was judged by."""
    principals: tuple[str, ...] = ()
    """Principals besides those as which the credentials act."""
    accounts: tuple[str, ...] = ()
    source_key: str | None = None
    """A compromised workload role, which hands the thief credentials again and again: its hits are one story."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule: one idea of what theft looks like, and how to find it."""

    id: str
    title: str
    severity: Severity
    """The highest severity of its findings."""
    attack: tuple[str, ...]
    why: str
    """Why it matters."""
    false_alarm: str
    references: tuple[str, ...]
    find: Callable[[DetectionContext], Iterable[Hit]]
    late: bool = False
    """Whether it uses what other rules found suspicious, and so must run after them."""
    thresholds: tuple[str, ...] = ()
    prefilter: frozenset[str] = frozenset()
    """Names of events and kinds of credentials: if the evidence has none of them, the rule need not run. Empty if it
    must always run."""
    reads: tuple[View, ...] = ()
    """The views that it reads, which are made before it runs; tables of the derived database are always there."""


def at_least(severity: Severity, bar: Severity) -> bool:
    """Tell whether a severity reaches another."""
    return SEVERITIES.index(severity) >= SEVERITIES.index(bar)
