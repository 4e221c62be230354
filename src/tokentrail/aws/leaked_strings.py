"""
What a string that leaked is: which AWS credential it holds, of which account and user, and until when it works.

All of it is read out of the string itself, without asking AWS. No secret leaves this module: of a secret key, a
session token, a signature and an API key it is only told that they are there.
Sources: IAM User Guide, 'IAM identifiers' (the prefixes of ids); AWS Signature Version 4, 'Authenticating requests:
using query parameters' (presigned URLs); Amazon Bedrock User Guide, 'Handle compromised long-term and short-term API
keys'; BeyondTrust, 'bedrock-keys-security' (what API keys are made of).
"""

from __future__ import annotations

import base64
import binascii
import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import parse_qs, unquote

LeakedKind = Literal[
    "long_term_key", "temporary_key", "api_key", "short_term_api_key", "presigned_url", "service_bearer_token"
]

_KEY_ID = re.compile(r"(?<![A-Za-z0-9])A(?:KIA|SIA|BIA|CCA)[A-Z0-9]{16}(?![A-Za-z0-9])")
_KINDS: dict[str, LeakedKind] = {
    "AKIA": "long_term_key", "ASIA": "temporary_key", "ABIA": "service_bearer_token", "ACCA": "api_key",
}  # fmt: skip
_SECRET = re.compile(r"(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])")
"""A secret access key: 40 letters, digits, slashes and plus signs."""
_TOKEN = re.compile(r"(?<![A-Za-z0-9/+])(?:IQoJ|FwoG|FQoG|AQoD)[A-Za-z0-9/+=]{80,}")
"""A session token, by how those that STS has handed out so far begin; not documented by AWS."""
_NEAR, _BESIDE = 5, 4_096
"""Lines behind a key id, and characters of each, in which a secret or token is taken for its own."""
_LONG_API_KEY = re.compile(r"(?<![A-Za-z0-9])ABSK([A-Za-z0-9+/=_-]{20,8192})")
_SHORT_API_KEY = re.compile(r"(bedrock|aws-external-anthropic)-api-key-([A-Za-z0-9+/=_-]{20,8192})")
_OWNER = re.compile(r"(?P<user>[\w+=,.@-]{1,64}?)-at-(?P<account>\d{12})(?::|$)", re.ASCII)
_SERVICE_USER = re.compile(
    r"(?<![\w+.@-])(?P<user>[\w+.@-]{1,64}?)-at-(?P<account>\d{12})(?!\d)(?P<secret>[:,][^\s@\"']{8,})?",
    re.ASCII,
)
"""
The name, and perhaps the password behind it, by which somebody signs in to a service with a service-specific credential
(IAM User Guide, 'Using IAM with CodeCommit: Git credentials'; Amazon Keyspaces Developer Guide, 'Create
service-specific credentials').
"""
_GIT = re.compile(r"git-codecommit\.|cassandra\.")
_OF_SERVICE = {"git-codecommit.": "codecommit", "cassandra.": "cassandra"}
_URL = re.compile(r"[^\s\"'<>\\^`{}|]+")
"""What a URL may consist of: each run of such characters may be one."""
_SIGNED = re.compile(r"X-Amz-(?:Credential|Algorithm)=|AWSAccessKeyId=", re.IGNORECASE)
_LONGEST_API_KEY = timedelta(hours=12)
_LONGEST_URL = timedelta(days=7)
"""How long they work at most, whatever they say (the guides named above)."""
_ENCODES_ACCOUNT = 1 << 47
_ACCOUNT_BITS = 0x7FFFFFFFFF80


@dataclass(frozen=True, slots=True, kw_only=True)
class LeakedCredential:
    """A credential that a string holds, without any secret."""

    kind: LeakedKind
    id: str | None
    """The access key id or `ACCA...`; of a presigned URL or short-term API key, that of the key that signed it."""
    account: str | None
    """From the id itself (see `account_of_key`), or as a long-term API key names it."""
    user: str | None = None
    service: str | None = None
    issued_at: datetime | None = None
    expires_at: datetime | None = None
    """Of what tells it; a session behind a signature may end sooner."""
    with_secret: bool = False
    """Whether what is needed to use it leaked with it: the secret key, or the signature or API key itself."""
    with_token: bool = False
    """Whether a session token leaked with it."""
    line: int = 1

    @property
    def subject(self) -> str | None:
        """What `tokentrail investigate --subject` starts from."""
        if self.id:
            return self.id
        return f"arn:aws:iam::{self.account}:user/{self.user}" if self.account and self.user else None


def account_of_key(key_id: str) -> str | None:
    """
    The account that an access key id belongs to, read out of the id; `None` where it tells none.

    Ids that were made since 2019 or so hold it; older ones do not. Not documented by AWS: Aidan Steele (2020) and Tal
    Be'ery described it. `sts:GetAccessKeyInfo` tells it with certainty.
    """
    try:
        head = int.from_bytes(base64.b32decode(key_id[4:12] + key_id[12:20].ljust(8, "A"))[:6], "big")
    except (binascii.Error, ValueError):
        return None
    account = (head & _ACCOUNT_BITS) >> 7
    return f"{account:012}" if head & _ENCODES_ACCOUNT and account < 10**12 else None


def leaked_credentials(text: str) -> tuple[LeakedCredential, ...]:
    """
    The credentials that a text holds, in the order of its lines; each is told once.

    Args:
        text: Anything: a key, a credentials file, a `.env`, a Terraform state, a diff, a URL.
    """
    lines = text.splitlines()
    found: dict[tuple[str, str | None, str | None, datetime | None], LeakedCredential] = {}
    for number, line in enumerate(lines, 1):
        for one in _in_line(line, number, lines):
            found.setdefault((one.kind, one.id, one.user, one.issued_at), one)
    return tuple(found.values())


def secret_given(text: str) -> str | None:
    """
    Why a text is no name to ask for, if it holds a secret: what it is and which name to give. The secret is not in it.

    Args:
        text: What somebody gave as a name: an id, an ARN, or what leaked itself.
    """
    found = [one for one in leaked_credentials(text) if one.with_secret]
    if found:
        one = found[0]
        given = f": give {shlex.quote(one.subject)} instead" if one.subject else ""
        return f"holds a secret ({_IN_WORDS[one.kind]}){given}. {_NOT_HERE}"
    bare = _SECRET.fullmatch(text)
    if _TOKEN.search(text) or (bare and all(any(map(of, text)) for of in _OF_SECRETS)):
        return f"looks like a secret key or a session token, which names nobody: give the id of its key. {_NOT_HERE}"
    return None


_IN_WORDS: dict[LeakedKind, str] = {
    "long_term_key": "an access key with its secret", "temporary_key": "a temporary key with its secret",
    "api_key": "an API key", "short_term_api_key": "a short-term API key", "presigned_url": "a presigned URL",
    "service_bearer_token": "a bearer token",
}  # fmt: skip
_OF_SECRETS = (str.islower, str.isupper, str.isdigit)
"""What a secret key has some letters of: a name of forty letters, such as a certificate's serial, lacks one of them."""
_NOT_HERE = (
    "Others on this machine can see what stands on a command line, and your shell keeps it: `tokentrail identify -` "
    "reads what leaked from standard input"
)


def _in_line(line: str, number: int, lines: list[str]) -> Iterator[LeakedCredential]:
    rest = line
    for pattern, read in _WHOLE:
        for whole in pattern.finditer(rest):
            if one := read(whole, number):
                rest = (
                    rest[: whole.start()] + " " * len(whole[0]) + rest[whole.end() :]
                )  # its id is told with it
                yield one
    for owner in _SERVICE_USER.finditer(rest):
        named = _GIT.search(rest)
        yield LeakedCredential(
            kind="api_key", id=None, account=owner["account"], user=owner["user"],
            with_secret=owner["secret"] is not None,
            service=_OF_SERVICE[named[0]] if named else None, line=number,
        )  # fmt: skip
    for key in _KEY_ID.finditer(rest):
        kind, beside = _KINDS[key[0][:4]], _beside(rest[key.end() : key.end() + _BESIDE], number, lines)
        yield LeakedCredential(
            kind=kind, id=key[0], account=account_of_key(key[0]) if kind != "api_key" else None,
            with_secret=_SECRET.search(beside) is not None,
            with_token=kind == "temporary_key" and _TOKEN.search(beside) is not None, line=number,
        )  # fmt: skip


def _beside(line: str, number: int, lines: list[str]) -> str:
    """What stands behind a key id, on its line and the next ones, up to the next id: all tools write the id first."""
    text = "\n".join(one[:_BESIDE] for one in (line, *lines[number : number + _NEAR]))
    following = _KEY_ID.search(text)
    return text[: following.start()] if following else text


def _decoded(text: str) -> str:
    """What Base64 of either alphabet holds; empty where it is none."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def _long_api_key(found: re.Match[str], number: int) -> LeakedCredential:
    """A long-term API key: `ABSK` and Base64 of `USER-at-ACCOUNT:SECRET`."""
    owner = _OWNER.match(_decoded(found[1]))
    return LeakedCredential(
        kind="api_key", id=None, account=owner["account"] if owner else None, user=owner["user"] if owner else None,
        service="bedrock", with_secret=True, line=number,
    )  # fmt: skip


def _short_api_key(found: re.Match[str], number: int) -> LeakedCredential:
    """A short-term API key: Base64 of a presigned request, which works as long as the session that signed it."""
    signed = _signed(_decoded(found[2]), number, _LONGEST_API_KEY)
    return LeakedCredential(
        kind="short_term_api_key", id=signed.id if signed else None, account=signed.account if signed else None,
        service=found[1], issued_at=signed.issued_at if signed else None, with_secret=True,
        expires_at=signed.expires_at if signed else None, line=number,
    )  # fmt: skip


def _presigned(found: re.Match[str], number: int) -> LeakedCredential | None:
    return _signed(found[0], number, _LONGEST_URL) if _SIGNED.search(found[0]) else None


def _signed(url: str, number: int, longest: timedelta) -> LeakedCredential | None:
    """A request signed in its query, in either version of the signature; `None` where it names no key."""
    query = {
        name.casefold(): values[-1]
        for name, values in parse_qs(url.partition("?")[2] or url, max_num_fields=None).items()
    }
    scope = unquote(query.get("x-amz-credential", "")).split("/")
    key = _KEY_ID.fullmatch(scope[0]) or _KEY_ID.fullmatch(query.get("awsaccesskeyid", ""))
    if key is None:
        return None
    issued = _stamp(query.get("x-amz-date", ""))
    expires = _until(issued, query.get("x-amz-expires", ""), longest) or _epoch(query.get("expires", ""))
    return LeakedCredential(
        kind="presigned_url", id=key[0], account=account_of_key(key[0]), issued_at=issued, expires_at=expires,
        service=scope[3] if len(scope) > 3 and scope[3].isidentifier() else None, line=number,
        with_secret=any(name in query for name in ("x-amz-signature", "signature")),
        with_token="x-amz-security-token" in query,
    )  # fmt: skip


def _stamp(text: str) -> datetime | None:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    except ValueError:
        return None


def _until(issued: datetime | None, seconds: str, longest: timedelta) -> datetime | None:
    if issued is None or not (seconds.isascii() and seconds.isdigit() and len(seconds) < 8):
        return None
    return issued + min(timedelta(seconds=int(seconds)), longest)


def _epoch(text: str) -> datetime | None:
    if not (text.isascii() and text.isdigit() and len(text) < 12):
        return None
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None


_WHOLE: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], int], LeakedCredential | None]], ...] = (
    (_LONG_API_KEY, _long_api_key), (_SHORT_API_KEY, _short_api_key), (_URL, _presigned),
)  # fmt: skip
"""What holds a credential by itself: no other id in it is looked for."""
