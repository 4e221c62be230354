"""
CloudTrail's digest files: what they say, how they chain, and what that proves of hours of log. Pure.

Each hour, CloudTrail writes the hashes of the log files that it delivered, and of the digest file before; it signs that
with RSA, and keeps the signature in the metadata of the object. All hashes are of unpacked content.

Source: AWS CloudTrail User Guide, 'CloudTrail digest file structure' and 'Custom implementations of CloudTrail log file
integrity validation'.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from typing import Literal

import msgspec

from tokentrail.events.gunzip import expand

Verdict = Literal["complete", "altered", "missing"]
Proof = Literal["signature", "hash chain"]
Signature = Literal["good", "bad", "absent"]
"""`absent` also means that the key is not at hand."""
_FOLDER = re.compile(r"/\d{4}/\d\d/\d\d/")
_STAMP = re.compile(r"_\d{8}T\d{6}Z")
_BACKFILL = re.compile(r"_backfill\.json(\.gz)?\Z")


class _File(msgspec.Struct, gc=False):
    s3Bucket: str  # noqa: N815 - as CloudTrail spells it
    s3Object: str  # noqa: N815 - as CloudTrail spells it
    hashValue: str  # noqa: N815 - as CloudTrail spells it
    hashAlgorithm: str = "SHA-256"  # noqa: N815 - as CloudTrail spells it


class _Digest(msgspec.Struct, gc=False):
    awsAccountId: str  # noqa: N815 - as CloudTrail spells it
    digestStartTime: datetime  # noqa: N815 - as CloudTrail spells it
    digestEndTime: datetime  # noqa: N815 - as CloudTrail spells it
    digestS3Bucket: str  # noqa: N815 - as CloudTrail spells it
    digestS3Object: str  # noqa: N815 - as CloudTrail spells it
    digestPublicKeyFingerprint: str | None = None  # noqa: N815 - as CloudTrail spells it
    digestSignatureAlgorithm: str | None = None  # noqa: N815 - as CloudTrail spells it
    previousDigestS3Bucket: str | None = None  # noqa: N815 - as CloudTrail spells it
    previousDigestS3Object: str | None = None  # noqa: N815 - as CloudTrail spells it
    previousDigestHashValue: str | None = None  # noqa: N815 - as CloudTrail spells it
    previousDigestSignature: str | None = None  # noqa: N815 - as CloudTrail spells it
    logFiles: list[_File] = []  # noqa: N815 - msgspec copies it


_decode = msgspec.json.Decoder(_Digest).decode


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFile:
    """A log file as a digest knows it."""

    bucket: str
    key: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """One digest file."""

    account: str
    region: str
    bucket: str
    key: str
    start: datetime
    end: datetime
    sha256: str
    fingerprint: str | None
    previous: tuple[str, str, str] | None
    """Bucket, key and hash of the digest before."""
    previous_signature: str | None
    files: tuple[LogFile, ...]
    found_at: tuple[str, str] | None = None
    """Bucket and key where it was found, if in S3. A copy may be elsewhere than where the digest itself says it is."""

    @property
    def backfill(self) -> bool:
        """Whether it adds log files to an hour that had its digest already."""
        return _BACKFILL.search(self.key) is not None

    @property
    def chain(self) -> tuple[str, str]:
        """What digests of one trail and region share: bucket, and key without the time; backfills form their own."""
        return self.bucket, _STAMP.sub("", _FOLDER.sub("/", self.key))

    def place_of(self, log: LogFile) -> tuple[str, str]:
        """Bucket and key of one of its log files: beside it, if both were copied elsewhere together."""
        if self.found_at is None or log.bucket != self.bucket:
            return log.bucket, log.key
        bucket, key = self.found_at
        said, found = self.key.split("/"), key.split("/")
        while said and found and said[-1] == found[-1]:
            said.pop(), found.pop()
        head, other = ("/".join((*parts, "")) for parts in (said, found))
        return bucket, other + log.key.removeprefix(head) if log.key.startswith(head) else log.key

    @property
    def signed_text(self) -> bytes:
        """The text that CloudTrail signed."""
        place, before = f"{self.bucket}/{self.key}", self.previous_signature or "null"
        return "\n".join((f"{self.end:%Y-%m-%dT%H:%M:%SZ}", place, self.sha256, before)).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedDigest:
    """A digest, and the result of checking its signature."""

    digest: Digest
    signature: Signature


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """What became of one log file of a digest."""

    verdict: Verdict
    held: bool
    """Whether the copy that was compared is the case's, and not one at the source."""
    why: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """A span of time of one account and region, and what its digests prove."""

    account: str
    region: str
    start: datetime
    end: datetime
    verdict: Verdict
    proof: Proof
    files: int
    """Log files that the digests list."""
    not_in_case: int
    """Those of them that are unaltered at their source, and that the case does not hold."""
    why: tuple[str, ...] = ()


def unpacked_hash(data: bytes) -> str | None:
    """The SHA-256 of an object's expanded content, in hexadecimal; `None` if it can't be expanded as a whole."""
    expanded = expand(data)
    return None if expanded.broken else hashlib.sha256(expanded.data).hexdigest()


def digest(data: bytes, region: str) -> Digest | str:
    """Read a digest file; returns the reason if it is none."""
    expanded = expand(data)
    if expanded.broken:
        return expanded.broken
    try:
        found = _decode(expanded.data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return f"no digest file: {error}"
    algorithms = {one.hashAlgorithm for one in found.logFiles} - {"SHA-256"}
    if algorithms or found.digestSignatureAlgorithm not in (None, "SHA256withRSA"):
        return "made with an algorithm that is not known here"
    parts = (found.previousDigestS3Bucket, found.previousDigestS3Object, found.previousDigestHashValue)
    bucket, key, before = parts
    return Digest(
        account=found.awsAccountId,
        region=region,
        bucket=found.digestS3Bucket,
        key=found.digestS3Object,
        start=_utc(found.digestStartTime),
        end=_utc(found.digestEndTime),
        sha256=hashlib.sha256(expanded.data).hexdigest(),
        fingerprint=found.digestPublicKeyFingerprint,
        previous=(bucket, key, before) if bucket and key and before else None,
        previous_signature=found.previousDigestSignature,
        files=tuple(
            LogFile(bucket=one.s3Bucket, key=one.s3Object, sha256=one.hashValue) for one in found.logFiles
        ),
    )


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def judge(seen: Iterable[CheckedDigest], states: Callable[[Digest], Sequence[FileState]]) -> Iterator[Period]:
    """
    Judge each hour of each chain of digests.

    Args:
        seen: The digests.
        states: Returns what became of the log files of a digest.

    Returns:
        What is proven, in order of account, region and time; neighbours in time that agree are joined.
    """
    chains: dict[tuple[str, str], list[CheckedDigest]] = defaultdict(list)
    for one in seen:
        chains[one.digest.chain].append(one)
    found = [
        period for chain in sorted(chains) for period in _chain(sorted(chains[chain], key=_by_time), states)
    ]
    yield from merged(sorted(found, key=lambda one: (one.account, one.region, one.start, one.end)))


def _by_time(one: CheckedDigest) -> tuple[datetime, str]:
    return one.digest.end, one.digest.key


def _chain(
    chain: Sequence[CheckedDigest], states: Callable[[Digest], Sequence[FileState]]
) -> Iterator[Period]:
    faults: Mapping[str, list[str]] = defaultdict(list)
    for before, after in pairwise(chain):
        wrong, why = _link(before, after)
        if wrong is not None and why is not None:
            faults[wrong.digest.key].append(why)
        elif why is not None:
            yield _gap(before.digest, after.digest, why)
    for one in chain:
        yield _period(one, faults[one.digest.key], states(one.digest))


def _link(before: CheckedDigest, after: CheckedDigest) -> tuple[CheckedDigest | None, str | None]:
    """
    Check that a digest holds the hash of the one before.

    Returns:
        The digest that was altered, `None` if none was; and what is wrong. Without an altered one, that is why
        digests between the two are missing; `None` if nothing is wrong.
    """
    expected = after.digest.previous
    if expected is None and after.digest.backfill:
        return None, None  # there are some for few hours only
    if expected is None:
        why = "those before were removed, or validation was off"
        return None, f"the chain of digests starts anew with {after.digest.key}: {why}"
    if expected[:2] != (before.digest.bucket, before.digest.key):
        return None, f"digest file {expected[1]} is missing"
    if expected[2].lower() == before.digest.sha256:
        return None, None
    if before.signature == "good" and after.signature != "good":
        return after, f"digest file {after.digest.key} gives a wrong hash for the one before"
    return before, f"digest file {before.digest.key} is not the one whose hash the next one holds"


def _gap(before: Digest, after: Digest, why: str) -> Period:
    return Period(
        account=after.account, region=after.region, start=before.end, end=max(after.start, before.end),
        verdict="missing", proof="hash chain", files=0, not_in_case=0, why=(why,),
    )  # fmt: skip


def _period(one: CheckedDigest, faults: Sequence[str], states: Sequence[FileState]) -> Period:
    why = [*faults, *(state.why for state in states if state.why)]
    if one.signature == "bad":
        why.insert(0, f"the signature of digest file {one.digest.key} does not fit")
    altered = bool(faults) or one.signature == "bad" or any(state.verdict == "altered" for state in states)
    missing = any(state.verdict == "missing" for state in states)
    return Period(
        account=one.digest.account,
        region=one.digest.region,
        start=one.digest.start,
        end=one.digest.end,
        verdict="altered" if altered else "missing" if missing else "complete",
        proof="signature" if one.signature == "good" else "hash chain",
        files=len(states),
        not_in_case=sum(not state.held for state in states if state.verdict == "complete"),
        why=tuple(why),
    )


def merged(periods: Iterable[Period]) -> Iterator[Period]:
    """Join neighbours in time that agree."""
    last: Period | None = None
    for one in periods:
        if last is not None and _agree(last, one):
            last = replace(
                last,
                end=max(last.end, one.end),
                files=last.files + one.files,
                not_in_case=last.not_in_case + one.not_in_case,
                why=last.why + tuple(why for why in one.why if why not in last.why),
            )
            continue
        if last is not None:
            yield last
        last = one
    if last is not None:
        yield last


def _agree(one: Period, other: Period) -> bool:
    same = (one.account, one.region, one.verdict, one.proof) == (
        other.account, other.region, other.verdict, other.proof,
    )  # fmt: skip
    return same and other.start <= one.end
