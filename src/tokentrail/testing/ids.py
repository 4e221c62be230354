"""
Identifiers as AWS makes them, drawn from a seed so that the same world always has the same ones.
"""

from __future__ import annotations

import base64
import random
import uuid
from collections.abc import Callable

FAKE_SESSION_TOKEN = "FAKESESSIONTOKEN"
"""
Stands in every session token that the builder writes, so that a test can prove that no output holds one.
"""

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_FILE_NAME = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"


class Ids:
    """A source of identifiers, none of which it gives out twice."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._given: set[str] = set()

    def access_key(self, prefix: str, account: str) -> str:
        """Make a 20-character access key id: `AKIA...` long-term, `ASIA...` temporary."""
        return self._unique(lambda: prefix + self._account_part(account))

    def principal(self, prefix: str, account: str) -> str:
        """Make a 21-character unique id: `AIDA...` a user, `AROA...` a role, `ANPA...` a managed policy."""
        return self._unique(lambda: prefix + self._account_part(account) + self._letters(_BASE32, 1))

    def uuid(self) -> str:
        """Make an event id or request id."""
        return self._unique(lambda: str(uuid.UUID(int=self._random.getrandbits(128), version=4)))

    def hex(self, length: int) -> str:
        """Make a lower-case hexadecimal string, as in instance ids and certificate serials."""
        return self._unique(lambda: self._letters("0123456789abcdef", length))

    def file_name(self) -> str:
        """Make the 16 random characters that end a log file's name."""
        return self._unique(lambda: self._letters(_FILE_NAME, 16))

    def blob(self, length: int) -> str:
        """Make text that looks like base64, as in `x-amz-id-2` or `codeSha256`."""
        return self._letters(_BASE64, length)

    def session_token(self) -> str:
        """Make a session token: nobody's, and recognisable by `FAKE_SESSION_TOKEN`."""
        return "IQoJb3JpZ2luX2Vj" + FAKE_SESSION_TOKEN + self.blob(96)

    def chance(self, probability: float) -> bool:
        """Decide one thing that AWS does only sometimes, such as adding `onBehalfOf`."""
        return self._random.random() < probability

    def _letters(self, alphabet: str, length: int) -> str:
        return "".join(self._random.choices(alphabet, k=length))

    def _account_part(self, account: str) -> str:
        """
        Hide the account in the id, as AWS does.

        Not documented by AWS; described by Aidan Steele (2020) and Tal Be'ery, and on hackingthe.cloud
        ("Get Account ID from AWS Access Keys"): the account is bits 7 to 46 of the first six bytes, below a
        set bit.
        """
        head = (1 << 47) | (int(account) << 7) | self._random.getrandbits(7)
        raw = head.to_bytes(6, "big") + self._random.randbytes(4)
        return base64.b32encode(raw).decode()

    def _unique(self, make: Callable[[], str]) -> str:
        while (made := make()) in self._given:
            continue
        self._given.add(made)
        return made
