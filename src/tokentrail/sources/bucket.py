"""
An S3 bucket in which a case is stored.

A case relies on two properties: what was put is seen by all later requests, listings included (Amazon S3 User Guide,
'Amazon S3 data consistency model': strong read-after-write consistency), and an object appears whole or not at all. The
bucket is reached as the SDK's environment says (`AWS_PROFILE`, `AWS_ENDPOINT_URL`), however evidence is read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tokentrail.errors import CaseError
from tokentrail.sources import aws
from tokentrail.sources.interface import Access, Failed
from tokentrail.sources.words import next_step

_CUTS = 6
"""How often in a row the connection may break without any new byte."""
_PAUSE = 0.2
_CONFLICTS = 5
"""How often to put an object that somebody else is putting under the same name at the moment."""
_BATCH = 1_000
"""Names that one call removes at most (Amazon S3 API Reference, 'DeleteObjects')."""
_PAGE = 1_000
_SMALL = 256 << 20
"""Bytes that no manifest, note or list has; without a limit, whoever may write there could fill the memory."""
_NO_BUCKET = "NoSuchBucket"
_CONFLICT = "ConditionalRequestConflict"
"""The error where two put under one name at once: try again (Amazon S3 User Guide, 'Conditional writes')."""
_NEXT = {
    _NO_BUCKET: "There is no such bucket. Check its name, or make it first, private, with default encryption.",
    "denied": "Access was denied. To read a case takes s3:ListBucket and s3:GetObject, to add to it s3:PutObject "
    "(docs/policies/case.json). A case is reached with what AWS_PROFILE names, not with --profile.",
    "kms": "The bucket's KMS key may not be used. Reading takes kms:Decrypt on it, writing kms:GenerateDataKey too, in "
    "its key policy as well if it is another account's.",
    "credentials": "There are no credentials that work. A case is reached with the SDK's own environment: set "
    "AWS_PROFILE, and look after this machine's clock.",
    "network": "AWS could not be reached. Look after the network, the proxy and AWS_ENDPOINT_URL. Then run the same "
    "command again: it goes on where it stopped.",
}


class Listed(NamedTuple):
    """What a listing says of an object."""

    key: str
    changed: float


@dataclass(frozen=True, slots=True)
class S3Bucket:
    """A bucket, and what all names in it begin with."""

    access: Access
    bucket: str
    prefix: str
    """Empty, or ends with a slash."""
    sleep: Callable[[float], None] = time.sleep

    @classmethod
    def at(cls, bucket: str, prefix: str) -> S3Bucket:
        """A place in a bucket; where another address than AWS's is set, names stand in the path of requests."""
        address = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
        return cls(Access(endpoint_url=address or None), bucket, f"{prefix}/" if prefix else "")

    @property
    def uri(self) -> str:
        """What a user calls it."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def listed(self, prefix: str, most: int | None = None) -> list[Listed]:
        """What is there under names that begin so, in order of name."""
        found: list[Listed] = []
        with self._told("listed", prefix):
            for page in self._pages(prefix, most):
                for one in page.get("Contents", ()):
                    key = str(one["Key"]).removeprefix(self.prefix)
                    found.append(Listed(key, one["LastModified"].timestamp()))
                if most is not None and len(found) >= most:
                    break
        return found[:most]

    def _pages(self, prefix: str, most: int | None) -> Iterator[dict[str, Any]]:
        more: dict[str, str] = {}
        while True:
            page = aws.ask(
                self.access, "s3", "list_objects_v2", Bucket=self.bucket, Prefix=self.prefix + prefix,
                MaxKeys=min(most or _PAGE, _PAGE), **more,
            )  # fmt: skip
            yield page
            if not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    def read(self, key: str) -> bytes | None:
        """The bytes of something small; `None` if nothing has that name."""
        found = bytearray()

        def take(piece: bytes) -> None:
            found.extend(piece)
            if len(found) > _SMALL:
                raise CaseError(
                    f"{self.uri}/{key}: is larger than anything of its name in a case. It is none of TokenTrail's; "
                    "remove it."
                )

        return bytes(found) if self._stream(key, found.clear, take) else None

    def fetch(self, key: str, target: Path) -> bool:
        """Write what has a name to a new file, whole or not at all; whether anything has it."""
        fresh = target.with_name(f".{target.name}.{os.urandom(8).hex()}")
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:

                def begin() -> None:
                    file.seek(0)
                    file.truncate()

                if not self._stream(key, begin, file.write):
                    return False
            fresh.replace(target)
            return True
        finally:
            fresh.unlink(missing_ok=True)

    def _stream(self, key: str, begin: Callable[[], None], take: Callable[[bytes], Any]) -> bool:
        """
        Read an object piece by piece, on from where a connection broke: the SDK sees that none is missing.

        One that another was put in place of meanwhile, as notes are, is begun anew.
        """
        same: dict[str, str] = {}
        got = broken = 0
        with self._told("read", key):
            while True:
                try:
                    for at, piece in aws.body(
                        self.access, start=got, same=same, Bucket=self.bucket, Key=self.prefix + key
                    ):
                        if at != got:  # a server that knows no ranges begins anew
                            begin()
                            got = 0
                        take(piece)
                        got, broken = got + len(piece), 0
                    return True
                except Failed as failed:
                    if failed.code == "NoSuchKey":
                        return False
                    if failed.kind not in ("cut", "changed") or broken >= _CUTS:
                        raise
                    if failed.kind == "changed":
                        begin()
                        same, got = {}, 0
                    self.sleep(_PAUSE * 2**broken)
                    broken += 1

    def put(self, key: str, data: bytes | Path) -> None:
        """Put bytes, or those of a file, in place of what had that name."""
        with self._told("written", key):
            if isinstance(data, Path):
                aws.put_file(self.access, data, self.bucket, self.prefix + key)
            else:
                self._put(key, data)

    def _put(self, key: str, data: bytes, **only: str) -> None:
        aws.ask(self.access, "s3", "put_object", Bucket=self.bucket, Key=self.prefix + key, Body=data, **only)

    def put_new(self, key: str, data: bytes) -> bool:
        """Put bytes where nothing has that name; whether that was so."""
        with self._told("written", key):
            for left in range(_CONFLICTS)[::-1]:
                try:
                    self._put(key, data, IfNoneMatch="*")
                    return True
                except Failed as failed:
                    if failed.code == _CONFLICT and left:
                        self.sleep(_PAUSE)
                    elif failed.kind == "changed":
                        return False
                    else:
                        raise
        raise AssertionError("the last try returns or raises")

    def remove(self, keys: Sequence[str]) -> None:
        """Remove what has these names, as far as that is allowed: a bucket may be one that nothing is removed from."""
        for at in range(0, len(keys), _BATCH):
            named = [{"Key": self.prefix + one} for one in keys[at : at + _BATCH]]
            try:
                with self._told("removed", ""):
                    asked = {"Objects": named, "Quiet": True}
                    aws.ask(self.access, "s3", "delete_objects", Bucket=self.bucket, Delete=asked)
            except CaseError as error:
                if not isinstance(error.__cause__, Failed) or error.__cause__.kind != "denied":
                    raise
                return

    def close(self) -> None:
        """Let go of connections; they are made again when needed."""
        aws.close(self.access)

    @contextmanager
    def _told(self, done: str, key: str) -> Iterator[None]:
        try:
            yield
        except Failed as failed:
            where = f"s3://{self.bucket}/{self.prefix}{key}"
            step = _NEXT.get(failed.code) or _NEXT.get(failed.kind) or next_step(failed, where)
            raise CaseError(f"{where}: could not be {done} ({failed}). {step}") from failed
