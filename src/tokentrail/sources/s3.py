"""
Evidence in S3: objects that worker processes fetch themselves.

A worker gets the name of an object and how AWS is reached, never its bytes. If the connection breaks within an object,
reading goes on where it broke. An object that is gone or has changed since it was listed does not affect the others.
"""

from __future__ import annotations

import errno
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tokentrail.errors import SourceError
from tokentrail.sources import aws
from tokentrail.sources.interface import EVERYWHERE, Access, Batch, Failed, Spread, Wanted
from tokentrail.sources.listing import Listed, Lister, bucket_and_prefix
from tokentrail.sources.words import next_step, refused

LARGEST = 512 << 20
"""
Bytes of an object, at most, where a source is followed or a queue read, since many objects are in memory at once.

CloudTrail's files are a hundredth of that, but notifications and listings also name whatever else has the prefix.
"""
TOO_LARGE = (
    "larger than 512 MB, as no log file of CloudTrail's is; `tokentrail ingest` reads it, if it is to be read"
)
FINAL = frozenset({errno.ENOENT, errno.ESTALE, errno.EFBIG})
"""Errors after which an object can never be read: it is gone, was replaced, or is too large. Others may pass."""
_CUTS = 6
"""How often in a row the connection may break without any new byte."""
_TRIES = 60
"""How often an object is requested in all, since a server that ignores ranges would begin anew for ever."""
_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class S3Object:
    """One object of a bucket, as it was listed."""

    access: Access
    bucket: str
    key: str
    size: int
    etag: str
    sleep: Callable[[float], None] = time.sleep

    distant = True
    """Reading it waits for a network."""
    place = None

    @property
    def name(self) -> str:
        """Its URL."""
        return f"s3://{self.bucket}/{self.key}"

    @property
    def identity(self) -> str:
        """Identifies this version of the object: by its URL, ETag and size."""
        at = f"{self.access.endpoint_url}#" if self.access.endpoint_url else ""
        return f"{at}{self.name}#{self.etag.strip(chr(34))}#{self.size}"

    def read(self, most: int | None = None) -> bytes:
        """
        Fetch its bytes.

        Args:
            most: Bytes above which it is not read.

        Raises:
            OSError: it is gone, has changed, is too large or can't be read; others may be readable.
            SourceError: no object can be read any more.
        """
        if most is not None and self.size > most:
            raise OSError(errno.EFBIG, TOO_LARGE)
        parts: list[bytes] = []
        same = {"IfMatch": self.etag} if self.etag else {}
        got = broken = 0
        for left in range(_TRIES)[::-1]:
            try:
                for at, piece in aws.body(
                    self.access, start=got, same=same, Bucket=self.bucket, Key=self.key
                ):
                    if at != got:  # a server that ignores ranges begins anew
                        parts, got = [], 0
                    parts.append(piece)
                    got += len(piece)
                    broken = 0
                    if most is not None and got > most:
                        raise OSError(errno.EFBIG, TOO_LARGE)
                return b"".join(parts)
            except Failed as failed:
                if failed.kind != "cut" or broken >= _CUTS or not left:
                    raise self._given_up(failed) from failed
                if got and got == self.size:
                    return b"".join(parts)
                self.sleep(_PAUSE * 2**broken)
                broken += 1
        raise AssertionError("the last try returns or raises")

    def _given_up(self, failed: Failed) -> Exception:
        if failed.kind in EVERYWHERE:
            return SourceError(refused(failed, "read", self.name))
        if failed.kind == "missing":
            return OSError(errno.ENOENT, "deleted between listing and reading")
        number = errno.ESTALE if failed.kind == "changed" else errno.EIO
        return OSError(number, f"{failed}. {next_step(failed, self.name)}")


def objects(source: str, access: Access, wanted: Wanted, spread: Spread | None = None) -> Batch:
    """
    List the evidence objects under `s3://bucket/prefix`, in order of name, and check that some can be read.

    Args:
        source: The URL.
        access: How AWS is reached.
        wanted: Which part is wanted.
        spread: Lists what lies in the folders of regions, if not this process.

    Raises:
        SourceError: the bucket can't be listed, holds nothing there, or lets nothing be read.
        UsageError: no bucket is named.
    """
    bucket, prefix = bucket_and_prefix(source)
    found = Lister(access, bucket, wanted).contents(prefix, spread)
    if not found.objects and not found.skipped and wanted == Wanted(subjects=wanted.subjects):
        raise SourceError(
            f"{source}: no objects there. Check the prefix; it is spelled as in S3, case and all."
        )
    _probe(access, bucket, found.objects)
    given = [S3Object(access, bucket, one.key, one.size, one.etag) for one in found.objects]
    return Batch(given, found.skipped, found.part.said(source, wanted))


def _probe(access: Access, bucket: str, listed: Sequence[Listed]) -> None:
    """
    Check that objects can be read, by a byte of the first, of one in the middle, or of the last.

    If all three are denied, probably all objects are, which should be said once. If only some prefixes or KMS keys are,
    as where the key of older logs was disabled, the objects concerned are named one by one later.
    """
    apart = dict.fromkeys(listed[at] for at in (0, len(listed) // 2, -1) if listed)
    denied: SourceError | None = None
    for one in (one for one in apart if one.size):
        try:
            asked = {"Bucket": bucket, "Key": one.key, "Range": "bytes=0-0", **aws.payer(access)}
            aws.ask(access, "s3", "get_object", **asked)["Body"].close()
        except Failed as failed:
            told = SourceError(refused(failed, "read", f"s3://{bucket}/{one.key}"))
            if failed.kind in EVERYWHERE:
                raise told from failed
            if failed.kind in ("denied", "kms"):
                told.__cause__ = failed
                denied = denied or told
                continue
        return
    if denied is not None:
        raise denied
