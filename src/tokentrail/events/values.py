"""Times, ids and texts as CloudTrail spells them."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache

ACCOUNT_DIGITS = 12
"""Of an account's id: what takes it for a number drops the zeroes before it."""
_MONTH_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: n + 1 for n, name in enumerate(_MONTH_NAMES)}
_HALVES = {"AM": 0, "PM": 12 * 3600}
_TAILS = {
    f":{second:02}{space}{half}": second + more
    for second in range(60)
    for space in (" ", "\u202f")
    for half, more in _HALVES.items()
}
"""How nearly all times in the US form end, and the seconds that this says."""
_NUMBER = re.compile(r"\d{9,14}(\.\d+)?(e\d+)?", re.ASCII)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_SECRETS = (
    ("session", "token"), ("security", "token"), ("secret", "access", "key"), ("secret", "string"),
    ("secret", "binary"), ("web", "identity", "token"), ("saml", "assertion"), ("trade", "in", "token"),
    ("access", "token"), ("refresh", "token"), ("id", "token"), ("authorization", "token"), ("client", "secret"),
    ("auth", "token"), ("activation", "code"), ("private", "key"), ("password",), ("credential", "secret"),
    ("api", "key", "value"), ("signature",),
)  # fmt: skip
SECRET_ENDINGS = tuple("".join(words) for words in _SECRETS)
"""
How names end whose values are secrets, in small letters and without what separates their words.

AWS hides most of these in its logs (CloudTrail User Guide, 'CloudTrail record contents'); what it does not say is
hidden is not relied upon.
"""
SECRET_NAMES = ("token", "secret")
"""Whole names of the same kind (AWS CodeBuild API Reference, 'ImportSourceCredentials' and 'Webhook')."""
_LONGEST_NAME = 24
_ENDINGS = "|".join("[-_]?".join(words) for words in _SECRETS)
_MEMBER = re.compile(
    rf"({'|'.join(sorted({words[-1] for words in _SECRETS}))})"
    r'(\\*"\s*:\s*\\*")(?:[^"\\]|\\+[^"\\])*',
    re.IGNORECASE | re.ASCII,
)
"""A member whose name ends as those of secrets do: to look for the whole names takes twice as long."""
_SECRET_IN_URL = re.compile(
    r"((?:[?&\s]|%(?:25)*(?:3F|26)|\\+u0026|\\+[nrt])(?:(?:X-Amz-)?security-token|(?:X-Amz-)?signature)"
    r"(?:=|\\+u003d|%(?:25)*3D))(?:(?!%(?:25)*26)[^&,\s\"'\\<>])+",
    re.IGNORECASE | re.ASCII,
)
"""
How a presigned URL or a header carries its signature and a session token, also where the URL is encoded as a part of
another, or of one within one. What stands before it is in no name of AWS's, so that nobody can choose one that is
hidden here.

Sources: Amazon S3 API Reference, 'Authenticating Requests: Using Query Parameters (AWS Signature Version 4)' and
'Authenticating Requests: Using the Authorization Header'; Amazon S3 User Guide, 'Signing and authenticating REST
requests (AWS signature version 2)'; IAM API Reference, 'Role' (what a name consists of).
"""
_PASSWORD_IN_URL = re.compile(r"(://[^\s\"'\\/:@]{1,128}:)[^\s\"'\\/@]+(?=@)")
"""How a URL carries a password, such as the one of a repository that somebody clones."""
_SECRET_IN_TEXT = re.compile(
    r"((?:[\s;&?]|\\+[nrt])[\w-]{0,40}?(?:(?:session|security)[\W_]{0,3}token|secret[\W_]?access[\W_]?key)"
    r"[\"'\\]*\s*(?:[=:]|%(?:25)*3D)\s*[\"'\\]*)(?:(?!%(?:25)*26)[^\s\"'\\,}&]|\\+/){16,}",
    re.IGNORECASE | re.ASCII,
)
"""How a command, a header or a file of settings names its secret, where no JSON is around it; no name, as above."""
_SECRET_PAIR = re.compile(
    rf'((?:name|key)\\*"\s*:\s*\\*"[^"\\]{{0,99}}(?:{_ENDINGS})\\*"'
    r'\s*,\s*(?:\\*"type\\*"\s*:\s*\\*"\w{0,30}\\*"\s*,\s*)?\\*"value\\*"\s*:\s*\\*")(?:[^"\\]|\\+[^"\\])*',
    re.IGNORECASE | re.ASCII,
)
"""
How a container or a build is given a variable: its name, and beside it its value.

Sources: Amazon ECS API Reference, 'KeyValuePair'; AWS CodeBuild API Reference, 'EnvironmentVariable'.
"""
_OF_PAIRS = "environment"
"""How all members begin that hold such pairs."""
_BASE64 = r"(?:[\w+=-]|\\*/|\\+u00(?:2[BbFf]|3[Dd])|%(?:25)*(?:2[BbFf]|3[Dd]))"
"""A character of Base64 in either alphabet, as JSON and URLs write it."""
_API_KEY = re.compile(
    rf"(?<![A-Za-z0-9])(?:((?:bedrock|aws-external-anthropic)-api-key-){_BASE64}{{130,}}"
    rf"|(ABSK|IQoJ|FwoG|FQoG|AQoD)(?:[A-Za-z0-9+=]{{61,}}|(?:(?![-_]){_BASE64}){{126,}})){_BASE64}*",
    re.ASCII,
)
"""
An API key or a session token, wherever it stands: an API key is all that is needed to use it.

No name of a role, a user or a session is as long as any of them: 64 characters at most, or 129 with a slash where one
stands behind the other in an ARN (IAM User Guide, 'IAM and AWS STS quotas'). So nobody can choose one that is hidden
here, and that a policy could then not name. Session tokens are told by how those that STS has handed out so far begin,
which AWS does not document.
Sources: Amazon Bedrock User Guide, 'Handle compromised long-term and short-term API keys'; BeyondTrust,
'bedrock-keys-security'.
"""
_SECRET_HINTS = (
    "ntoken", "ytoken", "stoken", "htoken", "dtoken", "_token", "-token", '"token', "secret", "password",
    "assertion", "activationc", "activation_c", "activation-c", "privatek", "private_k", "private-k",
    "signature", "absk", "api-key-", "apikeyv", "api_key_v",
    "iqoj", "fwog", "fqog", "aqod", "://",
)  # fmt: skip
"""One of these is in every text that the expression finds something in, not in `clientToken`: quick to look for."""
SECRET_HINT = f"(?i:{'|'.join(map(re.escape, _SECRET_HINTS))})"
"""The same as an expression that any engine knows."""
HIDDEN = "HIDDEN_BY_TOKENTRAIL"
WITHHELD = "HIDDEN_DUE_TO_SECURITY_REASONS"
"""What AWS writes in place of what it hides (CloudTrail User Guide, 'Data events', its example): nobody's key id."""


def seconds(text: str | None) -> int | None:
    """
    Read a time as seconds since 1970 UTC; `None` where it can't be read.

    Accepts ISO 8601 in its extended and basic forms, also with BigQuery's `UTC` behind it, epoch seconds or
    milliseconds, and the US form of STS answers, with or without a comma after the year and with any kind of space
    before AM and PM.
    """
    if not text:
        return None
    try:
        if text[-1] == "M":
            return _us(text)
        if _NUMBER.fullmatch(text):
            return _epoch(float(text))
        when = datetime.fromisoformat(text.removesuffix(" UTC"))
        return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() // 1)
    except (ValueError, KeyError, OverflowError):
        return None


def _us(text: str) -> int:
    """Read `Nov 30, 2024, 8:43:17 PM`, the year's comma optional."""
    tail = _TAILS.get(text[-6:])
    if tail is not None:
        return _minute(text[:-6]) + tail
    minute, end = text.rsplit(":", 1)
    second, half = end.split()  # knows any kind of space
    if not 0 <= int(second) < 60:
        raise ValueError(text)
    return _minute(minute) + int(second) + _HALVES[half]


@lru_cache(maxsize=1 << 14)
def _minute(text: str) -> int:
    """Read `Nov 30, 2024, 8:43` as a time before noon: the minutes of a log repeat."""
    month, day, year, clock = text.replace(",", " ").split()
    hour, minute = map(int, clock.split(":"))
    if not 1 <= hour <= 12:
        raise ValueError(text)
    return int(datetime(int(year), _MONTHS[month], int(day), hour % 12, minute, tzinfo=UTC).timestamp())


def _epoch(number: float) -> int | None:
    """Seconds or milliseconds: no log reaches past the year 5138, or back before March 1973 in milliseconds."""
    if not 0 < number < 1e14:
        return None
    return int(number / 1000 if number > 1e11 else number)


def uuid_bytes(text: str | None) -> bytes | None:
    """The sixteen bytes of a UUID in its usual lower-case spelling, from which the text can be had again."""
    if text is None or not _UUID.fullmatch(text):
        return None
    return bytes.fromhex(text.replace("-", ""))


def may_hold_secret(text: str) -> bool:
    """Whether a text has something in it that each one has which `hide_secrets` changes."""
    small = text.lower()
    return any(hint in small for hint in _SECRET_HINTS)


def hide_secrets(text: str) -> str:
    """Blank tokens, secret keys, API keys, passwords and signatures in JSON, nested and escaped too, or other text."""
    if not may_hold_secret(text):
        return text
    if _OF_PAIRS in text.lower():
        text = _SECRET_PAIR.sub(r"\1" + HIDDEN, text)
    text = _SECRET_IN_URL.sub(r"\1" + HIDDEN, _MEMBER.sub(_blanked, text))
    text = _PASSWORD_IN_URL.sub(r"\1" + HIDDEN, text)
    text = _SECRET_IN_TEXT.sub(r"\1" + HIDDEN, text)
    return _API_KEY.sub(r"\1\2" + HIDDEN, text)


def _blanked(found: re.Match[str]) -> str:
    """A member without its value, if its name is a secret's."""
    name = (
        found.string[max(0, found.start() - _LONGEST_NAME) : found.end(1)].replace("-", "").replace("_", "")
    )
    whole = found[1].lower() in SECRET_NAMES and found.string[found.start() - 1 : found.start()] == '"'
    return f"{found[1]}{found[2]}{HIDDEN}" if whole or name.lower().endswith(SECRET_ENDINGS) else found[0]


def session_of(principal_id: str | None) -> str:
    """
    A session's name, which stands behind the last colon of a principal id; empty where there is none.

    It holds no colon, while the role's id before it may: an instance identity role's is `ACCOUNT:aws:ec2-instance` (AWS
    STS API Reference, 'AssumeRole'; Amazon EC2 User Guide, 'Instance identity roles').
    """
    _, colon, name = (principal_id or "").rpartition(":")
    return name if colon else ""


def provider_of(principal_id: str | None) -> str | None:
    """
    The provider by which a web identity came in: its principal id is that, the audience and the subject.

    Source: IAM User Guide, 'Logging IAM and AWS STS API calls with AWS CloudTrail'.
    """
    told = (principal_id or "").split(":", 6)
    if told[0] == "arn":
        return ":".join(told[:6]) if len(told) > 6 and told[5].startswith("oidc-provider/") else None
    return told[0] if len(told) > 1 and "." in told[0] and "/" not in told[0] else None
