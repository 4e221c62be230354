"""The types that all sources share: what is wanted of them, how AWS is reached, and what they yield."""

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
"""Failures that all other objects or places would meet as well: reading ends, and goes on when it is run again."""
Spread = Callable[[Callable[[Any], Any], Sequence[Any]], Iterator[Any]]
"""
Calls a function on each of some things in other processes or machines, such as Spark's executors.

Results come in the order of the things. The function, the things and the results must be picklable.
"""
SHARDS = 200
"""Folders that are enough to be spread; while there are fewer, the folders in them are listed first."""
QUEUE = "sqs:"
"""The prefix by which a source is told to be a queue; its URL follows."""


def _new_run() -> str:
    return secrets.token_hex(6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """How AWS is reached; for what is `None`, the SDK's own environment counts. It can be sent to worker processes."""

    profile: str | None = None
    role_arn: str | None = None
    """A role to assume with the profile's credentials."""
    endpoint_url: str | None = None
    request_payer: bool = False
    """Whether the requester agrees to pay for reading."""
    run: str = field(default_factory=_new_run)
    """Identifies this run in the user agent and in the session names of roles. Accesses of one run share clients."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Queries:
    """How a source that takes queries is asked, and how much that may scan."""

    workgroup: str | None = None
    output: str | None = None
    """`s3://` address for results, where the workgroup has none."""
    max_scan: int | None = None
    """Bytes after which no further query is started, and one that runs is stopped."""
    price: float | None = None
    """What scanning a terabyte (10¹² bytes) costs, for an estimate; AWS's price list has the figure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which part of a source is wanted."""

    since: datetime | None = None
    until: datetime | None = None
    accounts: frozenset[str] = frozenset()
    """None for all."""
    regions: frozenset[str] = frozenset()
    """None for all."""
    subjects: tuple[str, ...] = ()
    """Access key ids to follow where a source is asked; none to fetch all that LookupEvents has."""
    queries: Queries = field(default_factory=Queries)


@dataclass(frozen=True, slots=True)
class Skipped:
    """Something that was found and not read as evidence, and why."""

    name: str
    reason: str
    lost: bool = True
    """Whether it may hold evidence, as a folder that can't be listed may, and a digest file does not."""


@dataclass(slots=True)
class Batch:
    """Evidence objects that go into the case together."""

    objects: list[Any]
    """Each is an `EvidenceObject` of the store's interface."""
    skipped: list[Skipped] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    """Sentences for the user about what was and was not read of the source."""
    kept: Callable[[], None] = lambda: None
    """To be called once the case holds the objects."""


class Notes(Protocol):
    """Small documents that a case stores beside its evidence, such as how far LookupEvents got."""

    def note(self, name: str) -> Any:
        """A document, or `None`."""

    def place_note(self, name: str, value: Any) -> None:
        """Store a document, atomically."""


class Failed(Exception):
    """A call of AWS that failed, with the reason in words."""

    def __init__(self, kind: Kind, code: str, message: str) -> None:
        super().__init__(kind, code, message)
        self.kind = kind
        self.code = code
        self.message = message
        self.folder: str | None = None
        """The folder of a bucket that could not be listed, if that is what failed."""

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code
