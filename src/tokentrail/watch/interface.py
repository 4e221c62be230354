"""The interfaces of a watch: feeds, which bring evidence as arrivals, and sinks, which receive findings as notices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal, Protocol, get_args, get_type_hints

from tokentrail.detection.model import Finding
from tokentrail.present.document import Document
from tokentrail.store.interface import EvidenceObject

Change = Literal["new", "revised", "withdrawn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An evidence object that a feed brought, with its bytes."""

    object: EvidenceObject
    at: float
    """When it arrived, in seconds since 1970: when the queue got its message, or when it was first seen."""
    token: Any = None
    """What the feed itself needs to recognise it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """Evidence that a feed could not bring."""

    name: str
    reason: str
    final: bool
    """Whether it will not be tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behind:
    """How far a feed is behind."""

    waiting: int | None
    """Messages or objects that wait in the source, as far as that is known."""
    held: int
    """Those that were fetched, and wait to be put into the case."""
    oldest: float | None
    """When the oldest of those that were fetched arrived, in seconds since 1970."""


class Feed(Protocol):
    """Brings evidence as it comes, and is told when the case has it."""

    def check(self) -> None:
        """
        Check that the source can be followed.

        Raises:
            SourceError: there is no such source, or it may not be read.
        """

    def start(self) -> None:
        """Check, and begin to follow."""

    def take(self, most: int, wait: float) -> Sequence[Arrival]:
        """Take what has arrived, in order, about `most` bytes of it; waits up to `wait` seconds for the first."""

    def kept(self, arrivals: Sequence[Arrival]) -> None:
        """Note that the case holds some arrivals."""

    def behind(self) -> Behind:
        """How far it is behind."""

    def drained(self) -> bool:
        """Whether all that the source had when it was last looked through is in the case."""

    def lost(self) -> Sequence[Lost]:
        """What could not be brought since the last call of this."""

    def troubles(self) -> Sequence[str]:
        """What hinders it now, in words."""

    def stop(self) -> None:
        """Stop following; what the case does not hold comes again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A finding as it is sent: what it says now, and how that relates to what was sent before."""

    id: str
    revision: int
    """1 the first time; each revision counts on."""
    change: Change
    changed: tuple[str, ...]
    """The fields that differ from the revision before."""
    document: dict[str, Any]
    """The finding as `detect --format jsonl` has it."""
    delay: float | None = None
    """Seconds from the arrival of the evidence that brought it to this notice; `None` if no arrival did."""

    @property
    def key(self) -> str:
        """Identifies the notice: the same each time that it is sent, another for each revision."""
        return f"{self.id}.{self.revision}"

    def shown(self) -> dict[str, Any]:
        """The document that others script against: the finding, with the fields of this notice."""
        return {
            **self.document,
            "change": self.change,
            "revision": self.revision,
            "changed": list(self.changed),
            "delay": None if self.delay is None else round(self.delay, 3),
        }


class SinkFailed(Exception):
    """A notice could not be delivered; it will be tried again."""


class SinkRefused(SinkFailed):
    """A notice was refused for good: it will not be tried again, and that is said."""


class Sink(Protocol):
    """Receives notices."""

    @property
    def name(self) -> str:
        """Its name in the ledger: the same for the same place, and without secrets."""

    @property
    def shown(self) -> str:
        """Its name for people."""

    @property
    def local(self) -> bool:
        """Whether it can be written to at once, without waiting for a network."""

    @property
    def at_once(self) -> int:
        """How many notices `deliver` is given at a time, at most; if it fails, all of them are sent again."""

    def delivered(self) -> frozenset[str]:
        """The keys of notices that it has received, as far as it can tell; asked for at the start of a watch."""

    def deliver(self, notices: Sequence[Notice]) -> None:
        """
        Deliver some notices.

        Raises:
            SinkFailed: not all of them came through.
        """


def finding(document: Document) -> Finding:
    """Turn a document back into the finding; fields that an older TokenTrail did not write have their defaults."""
    hints = _hints()
    values = {
        one.name: _value_of(document[one.name], hints[one.name])
        for one in fields(Finding)
        if one.name in document
    }
    values["time"] = datetime.fromisoformat(str(document["time"]))
    return Finding(**values)


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(Finding)


def _value_of(value: Any, hint: Any) -> Any:
    if not isinstance(value, list):
        return value
    [inner, *_] = get_args(hint) or (None,)
    if isinstance(inner, type) and is_dataclass(inner):
        return tuple(inner(**one) for one in value)
    return tuple(value)
