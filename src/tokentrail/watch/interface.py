"""What watching is made of: arrivals from a feed, notices for a sink."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from tokentrail.store.interface import EvidenceObject

Change = Literal["new", "revised", "withdrawn"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An evidence object that a feed brought, with its bytes."""

    object: EvidenceObject
    at: float
    """When it arrived, in seconds since 1970: when the queue got its message, or when it was first seen."""
    token: Any = None
    """What the feed knows it by."""


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
    """Messages or objects that wait where they are, as far as that is known."""
    held: int
    """Those that were fetched and wait here."""
    oldest: float | None
    """When the oldest of these arrived."""


class Feed(Protocol):
    """Brings evidence as it comes, and is told when the case has it."""

    def check(self) -> None:
        """
        See that it can be followed.

        Raises:
            SourceError: there is no such source, or it may not be read.
        """

    def start(self) -> None:
        """Check, and begin to follow."""

    def take(self, most: int, wait: float) -> Sequence[Arrival]:
        """What has arrived, of so many bytes about, in order; waits so many seconds for the first."""

    def kept(self, arrivals: Sequence[Arrival]) -> None:
        """The case holds these."""

    def behind(self) -> Behind:
        """How far it is behind."""

    def drained(self) -> bool:
        """Whether all that there was when it was last looked for has been taken."""

    def lost(self) -> Sequence[Lost]:
        """What could not be brought since this was last asked."""

    def troubles(self) -> Sequence[str]:
        """What hinders it now, in words."""

    def stop(self) -> None:
        """Stop following; what was not kept comes again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A finding as it is sent: what it says now, and what that is to what was sent before."""

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
        """What is the same however often it is sent."""
        return f"{self.id}.{self.revision}"

    def shown(self) -> dict[str, Any]:
        """The document that others script against: the finding, and what this notice is to it."""
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
    """Where notices go."""

    @property
    def name(self) -> str:
        """What it is known by in the ledger: the same for the same place, and without secrets."""

    @property
    def shown(self) -> str:
        """What it is called on a screen."""

    @property
    def near(self) -> bool:
        """Whether delivery waits for nobody, so that it is done at once."""

    @property
    def at_once(self) -> int:
        """How many notices it is given at once: where one fails, all of them are sent again."""

    def delivered(self) -> frozenset[str]:
        """Keys of notices that are known to have come through, where the sink can tell; looked at after a restart."""

    def deliver(self, notices: Sequence[Notice]) -> None:
        """
        Deliver some notices.

        Raises:
            SinkFailed: not all of them came through.
        """
