"""
Verify log files against CloudTrail's digests: those that the case holds in the case, all others at their source.

Log files are looked for by the names that digests hold, but only in the case and in the sources that the user named, so
that a forged digest can't make anything else be read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tokentrail.errors import SourceError, UsageError
from tokentrail.events.values import seconds
from tokentrail.sources import aws, digests, files, trail
from tokentrail.sources.digests import CheckedDigest, Digest, FileState, LogFile, Period, Signature
from tokentrail.sources.interface import Access, Failed, Skipped, Wanted
from tokentrail.sources.listing import Lister, bucket_and_prefix
from tokentrail.sources.s3 import S3Object
from tokentrail.sources.signatures import PublicKeys
from tokentrail.sources.words import refused

_AT_ONCE = 16
_TRIES = 4
_EDGE = timedelta(minutes=15)
"""A file this near to the first or the last hour may be listed by a digest outside of them, which was not read."""
_BACKFILLED = "backfill-generation-timestamp"
"""The metadata of a backfill that says when it was made (AWS CLI, `aws cloudtrail validate-logs`)."""
_SAYS_MOST: tuple[Signature, ...] = ("good", "bad", "absent")
"""The results of a signature, the one that says most first."""
_MOST_SAID = 20
"""Accounts and regions that are named as unproven, at most."""
Read = Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class HeldObject:
    """An evidence object that the case holds."""

    name: str
    read: Read


@dataclass(frozen=True, slots=True)
class _DigestFile:
    """A digest file that was found: where, and how to read it and its signature."""

    name: str
    region: str
    read: Callable[[], tuple[bytes, Mapping[str, str]]]
    """Its content and, of an object in S3, its metadata."""
    found_at: tuple[str, str] | None = None
    """Bucket and key, if in S3."""


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A log file of the case that no digest lists, though digests cover its account, region and hour."""

    account: str
    region: str
    written: datetime
    name: str


@dataclass(slots=True)
class Verified:
    """What was verified."""

    periods: tuple[Period, ...]
    digests: int
    unlisted: tuple[Unlisted, ...]
    said: tuple[str, ...]


@dataclass(slots=True)
class _Places:
    """Where log files are looked for."""

    held: dict[str, list[HeldObject]] = field(default_factory=lambda: defaultdict(list))
    """In the case: by the last part of their name, which CloudTrail makes unique."""
    near: dict[str, list[HeldObject]] = field(default_factory=lambda: defaultdict(list))
    """In local folders, by the same."""
    buckets: dict[str, Access] = field(default_factory=dict)
    """The buckets that the user named."""

    def states(self, one: Digest) -> list[FileState]:
        """What became of the log files of a digest."""
        return [self._state(log, one) for log in one.files]

    def _state(self, log: LogFile, one: Digest) -> FileState:
        for held, places in ((True, self.held), (False, self.near)):
            copies = places.get(_last(log.key), ())
            if copies:
                return _worst([_compared(log, copy.read, held=held) for copy in copies])
        bucket, key = one.place_of(log)
        if bucket not in self.buckets and one.found_at is not None:
            bucket = one.found_at[0]  # a replica has its keys
        if bucket not in self.buckets:
            return _absent(log, "is missing")
        return _compared(log, S3Object(self.buckets[bucket], bucket, key, 0, "").read, held=False)


def verify(
    sources: Sequence[str],
    access: Access,
    wanted: Wanted,
    held: Iterable[HeldObject],
    keys: Mapping[str, bytes],
    progress: Callable[[int, int], None] | None = None,
) -> Verified:
    """
    Verify log files against digests.

    Args:
        sources: Folders or `s3://bucket/prefix` that hold digests, and the log files that the case does not hold.
        access: How AWS is reached.
        wanted: Which accounts, regions and days.
        held: The evidence objects of the case.
        keys: Public keys from files, by fingerprint.
        progress: Called with how many digests were judged, and how many there are.

    Raises:
        SourceError: a source can't be listed, or has no digests.
    """
    places = _Places()
    for one in held:
        places.held[_last(one.name)].append(one)
    found = [one for source in sources for one in _digests(source, access, wanted, places)]
    if not found:
        raise SourceError(
            f"{', '.join(sources)}: no digest files there. They lie beside the logs, in CloudTrail-Digest/: give the "
            "folder that holds both, such as …/AWSLogs/. A trail writes them once log file validation is on."
        )
    remote = bool(places.buckets)
    public = PublicKeys(keys, access if remote else None)
    try:
        seen, said = _read_all(found, public)
        judged = _judged(seen, places, progress)
    finally:
        aws.close(access)
    unlisted = tuple(_unlisted(places, seen))
    unproven = _beyond(places, seen, wanted, {one.name for one in unlisted})
    return Verified(judged, len(seen), unlisted, (*said, *unproven, *public.said, *_weakness(seen)))


def _digests(source: str, access: Access, wanted: Wanted, places: _Places) -> Iterator[_DigestFile]:
    if source.startswith("s3://"):
        bucket, prefix = bucket_and_prefix(source)
        places.buckets[bucket] = access
        for one in Lister(access, bucket, wanted, (trail.DIGESTS,)).contents(prefix).objects:
            known = trail.name(one.key)
            if known is not None:
                read = _reader(access, bucket, one.key)
                yield _DigestFile(f"{bucket}/{one.key}", known.region, read, (bucket, one.key))
        return
    if ":" in source.partition("/")[0]:
        raise UsageError(
            f"{source}: digests lie in folders and buckets. Give a folder or s3://BUCKET/PREFIX."
        )
    for file in files.objects([source]):
        if isinstance(file, Skipped):
            continue
        known = trail.name(file.name)
        if known is not None and known.kind == trail.DIGESTS and trail.wanted(known, wanted):
            yield _DigestFile(file.name, known.region, lambda file=file: (file.read(), {}))  # type: ignore[misc]  # mypy can't tell the default's type
        elif known is not None:
            places.near[_last(file.name)].append(HeldObject(file.name, file.read))


def _reader(access: Access, bucket: str, key: str) -> Callable[[], tuple[bytes, Mapping[str, str]]]:
    def read() -> tuple[bytes, Mapping[str, str]]:
        for left in range(_TRIES)[::-1]:
            try:
                return aws.whole(access, bucket, key)
            except Failed as failed:
                if failed.kind == "missing":
                    raise OSError(f"{failed}") from failed
                if failed.kind != "cut" or not left:
                    raise SourceError(refused(failed, "read", f"s3://{bucket}/{key}")) from failed
        raise AssertionError("the last try returns or raises")

    return read


def _read_all(found: Sequence[_DigestFile], public: PublicKeys) -> tuple[list[CheckedDigest], list[str]]:
    """Read the digests; what can't be read as one is said, and shows as missing in its chain."""
    seen: list[CheckedDigest] = []
    said: list[str] = []

    def read(one: _DigestFile) -> tuple[Digest | str, Mapping[str, str]]:
        try:
            content, metadata = one.read()
        except OSError as error:
            return f"can't be read ({error})", {}
        return digests.digest(content, one.region), metadata

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for one, (parsed, metadata) in zip(found, pool.map(read, found), strict=True):
            if isinstance(parsed, str):
                said.append(f"{one.name}: {parsed}. The hours that it vouches for are not proven.")
            elif _last(one.name) != _last(parsed.key):
                said.append(
                    f"{one.name}: says that it is {parsed.bucket}/{parsed.key}. It proves nothing here."
                )
            else:
                signed = seconds(metadata.get(_BACKFILLED))
                when = None if signed is None else datetime.fromtimestamp(signed, UTC)
                outcome = public.check(parsed, metadata.get("signature"), when)
                seen.append(CheckedDigest(digest=replace(parsed, found_at=one.found_at), signature=outcome))
    return _each_once(seen), said


def _each_once(seen: Iterable[CheckedDigest]) -> list[CheckedDigest]:
    """Keep one of several copies of a digest, as where sources overlap: the one whose signature says most."""
    found: dict[tuple[str, str, str], CheckedDigest] = {}
    for one in seen:
        named = one.digest.bucket, one.digest.key, one.digest.sha256
        if named not in found or _SAYS_MOST.index(one.signature) < _SAYS_MOST.index(found[named].signature):
            found[named] = one
    return list(found.values())


def _judged(
    seen: Sequence[CheckedDigest], places: _Places, progress: Callable[[int, int], None] | None
) -> tuple[Period, ...]:
    listed = [one.digest for one in seen]
    states: dict[int, Sequence[FileState]] = {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for number, (one, found) in enumerate(zip(listed, pool.map(places.states, listed), strict=True)):
            states[id(one)] = found
            if progress:
                progress(number + 1, len(listed))
    return tuple(digests.judge(seen, lambda one: states[id(one)]))


def _compared(log: LogFile, read: Read, *, held: bool) -> FileState:
    try:
        content = read()
    except OSError as error:
        return _absent(log, "is missing" if error.errno == 2 else f"can't be read ({error.strerror})")
    if digests.unpacked_hash(content) == log.sha256.lower():
        return FileState(verdict="complete", held=held)
    where = "as the case holds it" if held else "at its source"
    return FileState(
        verdict="altered", held=held, why=f"log file {log.bucket}/{log.key} was altered, {where}"
    )


def _absent(log: LogFile, why: str) -> FileState:
    return FileState(verdict="missing", held=False, why=f"log file {log.bucket}/{log.key} {why}")


def _worst(states: Sequence[FileState]) -> FileState:
    return next((one for one in states if one.verdict != "complete"), states[0])


def _unlisted(places: _Places, seen: Sequence[CheckedDigest]) -> Iterator[Unlisted]:
    """Find log files of the case that digests don't list though they cover the time; see `Unlisted`."""
    listed = {_last(log.key) for one in seen for log in one.digest.files}
    spans: dict[tuple[str, str], list[Any]] = defaultdict(list)
    for one in seen:
        spans[one.digest.account, one.digest.region] += [one.digest.start, one.digest.end]
    for name, copies in sorted(places.held.items()):
        known = trail.name(copies[0].name)
        if name in listed or known is None or known.kind not in trail.LOGS or known.written is None:
            continue
        span = spans.get((known.account, known.region))
        if span and min(span) + _EDGE <= known.written <= max(span) - _EDGE:
            yield Unlisted(known.account, known.region, known.written, copies[0].name)


def _beyond(
    places: _Places, seen: Sequence[CheckedDigest], wanted: Wanted, unlisted: Set[str]
) -> Iterator[str]:
    """
    Name the accounts and regions of log files of the case that digests neither list nor cover.

    Nothing is proven of these. If somebody deletes all digests of a region, or the newest ones, the chain of the others
    has no gap.
    """
    listed = {_last(log.key) for one in seen for log in one.digest.files}
    open_ones: dict[tuple[str, str], list[datetime]] = defaultdict(list)
    for name, copies in places.held.items():
        known = trail.name(copies[0].name)
        if name in listed or known is None or known.kind not in trail.LOGS or known.written is None:
            continue
        asked = trail.wanted(known, wanted) and (wanted.until is None or known.written <= wanted.until)
        if asked and copies[0].name not in unlisted:
            open_ones[known.account, known.region].append(known.written)
    for (account, region), written in sorted(open_ones.items())[:_MOST_SAID]:
        files = "1 log file" if len(written) == 1 else f"{len(written):,} log files"
        yield (
            f"{account} {region}: {files} of the case, written {_clock(min(written))} to {_clock(max(written))}, "
            "of which no digest that was found says anything. Nothing is proven of them: digests were deleted, not "
            "copied, not written yet, or validation was off."
        )
    if len(open_ones) > _MOST_SAID:
        yield f"{len(open_ones) - _MOST_SAID:,} more accounts and regions have log files of which nothing is proven."


def _clock(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%MZ}"


def _weakness(seen: Sequence[CheckedDigest]) -> Iterator[str]:
    unsigned = sum(one.signature == "absent" for one in seen)
    if unsigned:
        yield (
            f"{unsigned:,} of {len(seen):,} digests: the signature could not be checked, only the chain of hashes, "
            "which shows what was altered by someone who could not rewrite every later digest too. S3 keeps signatures "
            "in the metadata of the objects: verify there, with AWS or --public-keys at hand."
        )


def _last(name: str) -> str:
    """The last part of a name, without the ending of gzip."""
    return name.rpartition("/")[2].removesuffix(".gz")
