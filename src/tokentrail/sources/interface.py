"""What is asked of a source, how AWS is reached, and what a source answers beside evidence objects."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol

Kind = Literal[
    "missing", "denied", "kms", "expired", "credentials", "throttled", "network", "cut", "changed", "other"
]
"""
Why a call failed: `cut` is an answer that ended too soon, `changed` an object that isn't what was listed.
"""
EVERYWHERE = frozenset({"expired", "credentials", "throttled", "network"})
"""Failures that would meet every other object or place as well: reading ends, and goes on when it is run again."""
Spread = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[Any]]
"""Does work on each of some things elsewhere, several at once; answers come in their order. All of it must pickle."""
SHARDS = 200
"""Folders that are enough to spread: of fewer, those that lie deeper are looked for."""
QUEUE = "sqs:"
"""What stands before the URL of a queue."""


def _new_run() -> str:
    return secrets.token_hex(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How AWS is reached; what isn't given comes from the SDK's own environment. Workers make their clients from it."""

    profile: str | None = None
    role_arn: str | None = None
    """A role to assume with the profile's credentials."""
    endpoint_url: str | None = None
    request_payer: bool = False
    """Whether the requester agrees to pay for reading."""
    run: str = field(default_factory=_new_run)
    """Names this run in the user agent and in the session names of roles; clients are shared within it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which part of a source is wanted."""

    since: datetime | None = None
    until: datetime | None = None
    accounts: frozenset[str] = frozenset()
    """All, if none is named."""
    regions: frozenset[str] = frozenset()
    subjects: tuple[str, ...] = ()
    """Access key ids that LookupEvents is to follow, instead of fetching all."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A name that is no evidence object, and why."""

    name: str
    reason: str
    lost: bool = True
    """Whether evidence may have been missed: a digest file holds none, an unreadable folder may."""


@dataclass(slots=True)
class Batch:
    """Evidence objects that go into the case together."""

    objects: list[Any]
    """Each is an `EvidenceObject` of the store's interface."""
    skipped: list[Skipped] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """What was asked of the source, where that is less than all; one sentence each."""
    kept: Callable[[], None] = lambda: None
    """To be called once the case holds them."""


class Notes(Protocol):
    """Small documents that a case keeps beside its evidence."""

    def note(self, name: str) -> Any:
        """A document, or `None`."""

    def place_note(self, name: str, value: Any) -> None:
        """Keep a document, all of it or not at all."""


class Failed(Exception):
    """A call of AWS that failed, with the reason in words."""

    def __init__(self, kind: Kind, code: str, message: str) -> None:
        super().__init__(kind, code, message)
        self.kind = kind
        self.code = code
        self.message = message
        self.folder: str | None = None
        """Which folder of a bucket could not be listed, if that is what failed."""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code
