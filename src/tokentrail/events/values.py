"""Times, ids and texts as CloudTrail spells them."""

from __future__ import annotations

import re
from datetime import UTC, datetime

_MONTHS = {name: n + 1 for n, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())}
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TOKEN_MEMBER = re.compile(
    r'("(?:sessionToken|SessionToken|secretAccessKey|SecretAccessKey|session_token)\\*"\s*:\s*\\*")[^"\\]*'
)
HIDDEN = "HIDDEN_BY_TOKENTRAIL"


def seconds(text: str | None) -> int | None:
    """
    Read a time as seconds since 1970 UTC; `None` where it can't be read.

    Accepts ISO 8601 in its extended and basic forms, epoch seconds, and the US form of STS answers, with or
    without a comma after the year and with a narrow no-break space before AM and PM.
    """
    if not text:
        return None
    try:
        if text[-1] == "Z" and len(text) in (16, 20):
            when = datetime.fromisoformat(text[:-1]).replace(tzinfo=UTC)
        else:
            when = datetime.fromisoformat(text)
        return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        pass
    try:
        return _us(text) or _epoch(text)
    except (ValueError, KeyError, OverflowError):
        return None


def _us(text: str) -> int | None:
    """Read `Nov 30, 2024, 8:43:17 PM`, the year's comma optional, any kind of space."""
    parts = text.replace(",", " ").split()  # split() knows the narrow no-break space too
    if len(parts) != 5 or parts[4] not in ("AM", "PM"):
        return None
    hour, minute, second = map(int, parts[3].split(":"))
    if not 1 <= hour <= 12:
        return None
    day = datetime(int(parts[2]), _MONTHS[parts[0]], int(parts[1]), tzinfo=UTC)
    return int(day.timestamp()) + (hour % 12 + (12 if parts[4] == "PM" else 0)) * 3600 + minute * 60 + second


def _epoch(text: str) -> int | None:
    number = float(text)
    if not 0 < number < 1e14:
        return None
    return int(number / 1000 if number > 1e11 else number)


def uuid_bytes(text: str | None) -> bytes | None:
    """The sixteen bytes of a UUID in its usual lower-case spelling, from which the text can be had again."""
    if text is None or not _UUID.fullmatch(text):
        return None
    return bytes.fromhex(text.replace("-", ""))


def hide_secrets(text: str) -> str:
    """Blank the values of session tokens and secret keys in JSON text, nested and escaped ones included."""
    if "Token" not in text and "Secret" not in text and "ecretAccess" not in text and "session_t" not in text:
        return text
    return _TOKEN_MEMBER.sub(r"\1" + HIDDEN, text)
