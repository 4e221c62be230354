"""CloudTrail as a notary: digest files as it writes them, signed with a key of the test's own."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from cloud_cases import BUCKET, Answer, Request
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from evidence import HOME, START
from tokentrail.testing import World, native

HOUR = timedelta(hours=1)


def private_key(name: str = "aws") -> rsa.RSAPrivateKey:
    """A key of a name."""
    return _made(name)


@cache
def _made(_: str) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_key(name: str = "aws") -> bytes:
    """The public half, as ListPublicKeys gives it."""
    return (
        private_key(name)
        .public_key()
        .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    )


def fingerprint(name: str = "aws") -> str:
    return hashlib.md5(public_key(name), usedforsecurity=False).hexdigest()


def listed_keys(name: str = "aws") -> dict[str, Any]:
    """What ListPublicKeys answers."""
    value = base64.b64encode(public_key(name)).decode()
    return {"PublicKeyList": [{"Value": value, "Fingerprint": fingerprint(name)}]}


def with_keys(request: Request) -> Answer | None:
    """A wire on which CloudTrail tells its public keys."""
    return Answer(listed_keys()) if request.operation == "ListPublicKeys" else None


@dataclass
class Notary:
    """A trail of some hours: logs, and a digest for each hour."""

    hours: int = 4
    logs_an_hour: int = 2
    region: str = "us-east-1"
    trail: str = "my_trail"
    start: datetime = START
    quiet: Collection[int] = ()
    """Hours without a log."""
    objects: dict[str, bytes] = field(default_factory=dict)
    signatures: dict[str, str] = field(default_factory=dict)
    logs: list[str] = field(default_factory=list)
    digests: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        world = World(self.start, seed=sum(map(ord, self.region)), region=self.region)
        ada = world.user("ada")
        before: Mapping[str, Any] = {}
        for hour in range(self.hours):
            start = self.start + hour * HOUR
            files = []
            for number in range(0 if hour in self.quiet else self.logs_an_hour):
                moment = start + timedelta(minutes=10 + 20 * number)
                world.wait((moment - world.now).total_seconds())
                ada.calls("ec2:DescribeInstances")
                files.append(self._log(moment + timedelta(minutes=5), native(world.records()[-1:]), number))
            before = self._digest(start, files, before)

    def _log(self, moment: datetime, content: bytes, number: int) -> dict[str, str]:
        key = (
            f"AWSLogs/{HOME}/CloudTrail/{self.region}/{moment:%Y/%m/%d}/"
            f"{HOME}_CloudTrail_{self.region}_{moment:%Y%m%dT%H%MZ}_{number:016}.json.gz"
        )
        self.objects[key] = gzip.compress(content, mtime=0)
        self.logs.append(key)
        return {
            "s3Bucket": BUCKET, "s3Object": key, "hashValue": hashlib.sha256(content).hexdigest(),
            "hashAlgorithm": "SHA-256",
        }  # fmt: skip

    def backfill(self, hour: int, signer: str) -> None:
        """A log that came too late for the digest of its hour, and the digest that was made for it later."""
        moment = self.start + hour * HOUR
        world = World(moment, seed=hour, region=self.region)
        world.user("eve").calls("ec2:DescribeInstances")
        files = [self._log(moment, native(world.records()), 900 + hour)]
        self._digest(moment, files, {}, "_backfill", signer)

    def _digest(
        self,
        start: datetime,
        files: list[dict[str, str]],
        before: Mapping[str, Any],
        suffix: str = "",
        signer: str = "aws",
    ) -> dict[str, Any]:
        end = start + HOUR
        key = (
            f"AWSLogs/{HOME}/CloudTrail-Digest/{self.region}/{end:%Y/%m/%d}/"
            f"{HOME}_CloudTrail-Digest_{self.region}_{self.trail}_us-east-1_{end:%Y%m%dT%H%M%SZ}{suffix}.json.gz"
        )
        told = {
            "awsAccountId": HOME, "digestStartTime": f"{start:%Y-%m-%dT%H:%M:%SZ}",
            "digestEndTime": f"{end:%Y-%m-%dT%H:%M:%SZ}", "digestS3Bucket": BUCKET, "digestS3Object": key,
            "digestPublicKeyFingerprint": fingerprint(signer), "digestSignatureAlgorithm": "SHA256withRSA",
            "previousDigestS3Bucket": before.get("bucket"), "previousDigestS3Object": before.get("key"),
            "previousDigestHashValue": before.get("hash"), "previousDigestHashAlgorithm": "SHA-256",
            "previousDigestSignature": before.get("signature"), "logFiles": files,
        }  # fmt: skip
        content = json.dumps(told).encode()
        digest = hashlib.sha256(content).hexdigest()
        text = "\n".join(
            (told["digestEndTime"], f"{BUCKET}/{key}", digest, before.get("signature") or "null")
        )
        signature = private_key(signer).sign(text.encode(), padding.PKCS1v15(), hashes.SHA256()).hex()
        self.objects[key] = gzip.compress(content, mtime=0)
        self.signatures[key] = signature
        self.digests.append(key)
        return {"bucket": BUCKET, "key": key, "hash": digest, "signature": signature}

    def rewrite(self, key: str, old: bytes, new: bytes) -> None:
        """Alter an object as a forger would."""
        content = gzip.decompress(self.objects[key])
        assert old in content
        self.objects[key] = gzip.compress(content.replace(old, new), mtime=0)

    def without(self, key: str) -> None:
        """Delete an object."""
        del self.objects[key]
