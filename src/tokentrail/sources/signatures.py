"""Check the signatures of digest files with AWS's public keys."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tokentrail.errors import SourceError, UsageError
from tokentrail.sources import aws
from tokentrail.sources.digests import Digest, Signature
from tokentrail.sources.interface import Access, Failed

_AROUND = timedelta(hours=1)
"""The key of a backfill is asked for from this long before to this long after it was made, as the AWS CLI does
(`aws cloudtrail validate-logs`)."""


class PublicKeys:
    """
    AWS's public keys for digest files, by fingerprint: from files, else from ListPublicKeys of each region.

    Args:
        given: Keys from files.
        access: How AWS is reached; `None` if it is not to be asked.
    """

    def __init__(self, given: Mapping[str, bytes], access: Access | None) -> None:
        self._keys = dict(given)
        self._access = access
        self._asked: set[tuple[str, str, datetime | None]] = set()
        self.said: list[str] = []
        """Why signatures could not be checked, if any."""

    def check(self, one: Digest, signature: str | None, signed: datetime | None = None) -> Signature:
        """
        Check the signature of a digest.

        Args:
            one: The digest.
            signature: Its signature, in hexadecimal, if it is known.
            signed: When a backfill was made, since it is signed with the key of that time; `None` for other digests.
        """
        key = self._key(one, signed) if signature else None
        if signature is None or key is None:
            return "absent"
        return "good" if fits(key, signature, one.signed_text) else "bad"

    def _key(self, one: Digest, signed: datetime | None) -> bytes | None:
        if one.fingerprint is None:
            return None
        if (
            one.fingerprint not in self._keys
            and self._access
            and (one.region, one.fingerprint, signed) not in self._asked
        ):
            self._asked.add((one.region, one.fingerprint, signed))
            window = (one.start, one.end) if signed is None else (signed - _AROUND, signed + _AROUND)
            self._ask(self._access, one.region, window)
        return self._keys.get(one.fingerprint)

    def _ask(self, access: Access, region: str, window: tuple[datetime, datetime]) -> None:
        more: dict[str, str] = {}
        try:
            while True:
                page = aws.ask(
                    access,
                    "cloudtrail",
                    "list_public_keys",
                    region,
                    StartTime=window[0],
                    EndTime=window[1],
                    **more,
                )
                for key in page.get("PublicKeyList", ()):
                    self._keys[str(key["Fingerprint"])] = bytes(key["Value"])
                if not page.get("NextToken"):
                    return
                more = {"NextToken": page["NextToken"]}
        except Failed as failed:
            why = (
                f"{region}: public keys could not be listed ({failed}), so signatures there were not checked."
            )
            if why not in self.said:
                self.said.append(why)


def fits(key: bytes, signature: str, text: bytes) -> bool:
    """Whether a signature (hexadecimal; RSA, PKCS #1 v1.5, SHA-256) fits a text and a key (DER, PKCS #1)."""
    try:
        public = serialization.load_der_public_key(key)
        if not isinstance(public, rsa.RSAPublicKey):
            return False
        public.verify(bytes.fromhex(signature), text, padding.PKCS1v15(), hashes.SHA256())
    except (InvalidSignature, ValueError, UnsupportedAlgorithm):
        return False
    return True


def from_files(paths: Iterable[Path]) -> dict[str, bytes]:
    """
    Read public keys as `aws cloudtrail list-public-keys` prints them.

    Raises:
        SourceError: a file can't be read.
        UsageError: it holds no public keys.
    """
    found: dict[str, bytes] = {}
    for path in paths:
        try:
            listed: Any = json.loads(path.read_bytes())["PublicKeyList"]
            for one in listed:
                found[str(one["Fingerprint"])] = base64.b64decode(one["Value"], validate=True)
        except OSError as error:
            raise SourceError(f"{path}: can't be read ({error.strerror}).") from error
        except (ValueError, KeyError, TypeError, binascii.Error) as error:
            raise UsageError(
                f"{path}: holds no public keys. Give what `aws cloudtrail list-public-keys` prints, for each region."
            ) from error
    return found
