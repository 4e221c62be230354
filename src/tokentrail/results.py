"""Typed results of the case as a whole: what an ingest did, and what the case holds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from importlib import import_module
from typing import Any

_NOTEBOOK = "tokentrail.notebook"
"""What shows results; loaded when a result is first shown, so that results depend on no face."""


class NotebookLine:
    """Mixin of results that a Python prompt shows in one short line; the faces, which are above results, write it."""

    __slots__ = ()

    def __repr__(self) -> str:
        line: str = import_module(_NOTEBOOK).line(self)
        return line


class NotebookTable(NotebookLine):
    """Mixin of results that a notebook shows as a picture or table."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        """The result as HTML, by IPython's protocol for rich display."""
        html: str = import_module(_NOTEBOOK).html(self)
        return html


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectCounts:
    """Evidence objects of one ingest."""

    read: int
    repeated: int
    """Objects whose very bytes the case held already."""
    skipped: int
    """Names that are no log objects: digests, folders that can't be listed, unreadable files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordCounts:
    """Records of one ingest: `read` is `new` plus `repeated`; rejected ones come on top."""

    read: int
    new: int
    repeated: int
    rejected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A record, a field of one, or a whole object that could not be read."""

    object: str
    ordinal: int | None
    """The record's place in the object; `None` where the object as a whole is meant."""
    field: str | None
    """The one field that was lost; `None` where the whole record was."""
    reason: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedObject:
    """A name that was given and holds no records."""

    object: str
    reason: str
    lost: bool = False
    """Whether evidence may have been missed: a digest file holds none, an unreadable file may."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class IngestSummary(NotebookLine):
    """What one ingest did."""

    objects: ObjectCounts
    records: RecordCounts
    rejected: tuple[Rejection, ...]
    skipped: tuple[SkippedObject, ...]
    seconds: float
    asked: tuple[str, ...] = ()
    """What was asked of a source of which not all was fetched, and what that leaves out; a sentence each."""
    lacking: tuple[str, ...] = ()
    """What the carriers of these objects leave out of records or logs; a sentence each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What the derived tables of a case hold that were made anew."""

    segments: int
    records: int
    credentials: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HourGap:
    """Hours between the first and the last evidence of an account and region in which there is none."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """What the case has seen of one account and region."""

    account: str | None
    region: str | None
    first: datetime
    last: datetime
    hours_seen: int
    gaps: tuple[HourGap, ...]
    read_only_events: bool
    """
    Without read-only management events, AssumeRole is missing, which is logged as read-only.

    Source: IAM User Guide, 'Logging IAM and AWS STS API calls with AWS CloudTrail'.
    """
    write_events: bool
    """
    Without management events that write, what makes and ends keys, tokens and policies is missing.

    A trail may log reads alone, or data events alone (CloudTrail User Guide, 'Logging management events').
    """
    data_events: bool
    digest: str | None = None
    """
    What CloudTrail's digests prove of these hours: `complete`, `altered`, `missing` or `partial`, and by what; `None`
    until it has been verified.
    """


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Status(NotebookLine):
    """What is in the case."""

    case_id: str
    objects: int
    records: int
    credentials: int
    first: datetime | None
    last: datetime | None
    coverage: tuple[Coverage, ...]
    rejected: tuple[Rejection, ...]
    warnings: tuple[str, ...]
    evidence_digest: str = ""
    """Of the SHA-256s of all evidence objects, sorted, one a line: what two answers rest on can be compared by it."""
    unfinished: tuple[str, ...] = ()
    """A sentence on each ingest that began and has not ended: not all of its evidence is in the case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRecord:
    """One record as received, secrets blanked, and where it lies."""

    event_id: str
    object: str
    """The evidence object's SHA-256."""
    ordinal: int
    record: Any
    name: str = ""
    """The evidence object's file or S3 key, as it was read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogPeriod:
    """A stretch of time of one account and region, and what CloudTrail's digests prove of its log files."""

    account: str
    region: str
    start: datetime
    end: datetime
    verdict: str
    """`complete`: every log file is as it was delivered; `altered`; or `missing`."""
    proof: str
    """`signature`, or `hash chain` where signatures could not be checked."""
    files: int
    not_in_case: int
    """Log files that are as they were delivered, but that the case does not hold."""
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class UnlistedLog:
    """A log file of the case that no digest of its hour knows: a trail without digests wrote it, or anybody."""

    account: str
    region: str
    written: datetime
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LogVerification:
    """What verifying log files by their digests showed."""

    periods: tuple[LogPeriod, ...]
    digests: int
    files: int
    unlisted: tuple[str, ...]
    """Log files of the case in these hours of which the digests know nothing."""
    said: tuple[str, ...]
    """What could not be verified, and why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UsedFrom:
    """An address, or a tool by its user agent, and how much it was used."""

    name: str
    calls: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackerActivity:
    """From when to when, from where and with what the attacker's credentials of a trace were used."""

    first: datetime | None
    """The first call; `None` if there is none."""
    first_call: str | None
    """What it called: `s3:ListBuckets`."""
    first_event: str | None
    last: datetime | None
    calls: int
    addresses: tuple[UsedFrom, ...]
    """The addresses, the most used first."""
    tools: tuple[UsedFrom, ...]
    """The user agents, the most used first."""
    shared_from: tuple[UsedFrom, ...]
    """Where a subject was used, if from several addresses: its owner may be at one. The earliest first."""
