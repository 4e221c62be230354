"""
How CloudTrail lays its files out in a bucket, and what a name alone tells.

    [prefix/]AWSLogs/[o-id/]ACCOUNT/CloudTrail/REGION/YYYY/MM/DD/ACCOUNT_CloudTrail_REGION_YYYYMMDDTHHmmZ_RANDOM.json.gz

Source: AWS CloudTrail User Guide, 'Finding your CloudTrail log files', 'CloudTrail log file name format' and
'Aggregating data events'.
"""

from __future__ import annotations

import re
from collections.abc import Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal

from tokentrail.sources.interface import Wanted

LATE = timedelta(hours=1)
"""
Files named up to so much after the wanted time are read too: delivery takes some five minutes, and seldom longer.

Source: AWS CloudTrail User Guide, 'How CloudTrail works'.
"""
LOGS = ("CloudTrail", "CloudTrail-NetworkActivity")
"""The folders of an account that hold events."""
DIGESTS = "CloudTrail-Digest"
_OTHERS = {
    DIGESTS: "digest files: hashes of log files, no events; verify-logs reads them",
    "CloudTrail-Insight": "Insights events: unusual rates of calls, no calls",
    "CloudTrail-Aggregated": "summaries of data events, no events",
}
_ACCOUNT, _ORGANISATION = re.compile(r"\d{12}"), re.compile(r"o-[a-z0-9]{10,32}")
_REGION = re.compile(r"[a-z]{2,}(?:-[a-z]+)+-\d")
_FILE = re.compile(
    r"(?:^|/)(?P<account>\d{12})_(?P<kind>CloudTrail(?:-[A-Za-z]+)?)_(?P<region>[a-z0-9-]+)_"
    r"(?:(?P<minute>\d{8}T\d{4})Z|\S*?(?P<second>\d{8}T\d{6})Z)[^/]*\Z"
)
_TO_THE_SECOND = len("20260102T030405")
DAY = 3
"""How deep the folder of a day lies in that of its region."""

Step = Literal["outside", "logs", "organisation", "account", "service", "region"]


@dataclass(frozen=True, slots=True)
class Name:
    """What the name of a file that CloudTrail wrote tells."""

    account: str
    kind: str
    region: str
    written: datetime | None

    @property
    def other(self) -> str | None:
        """Why it holds no events, if so."""
        return _OTHERS.get(self.kind)


def name(key: str) -> Name | None:
    """Read the name of a file; `None` if CloudTrail names none so."""
    found = _FILE.search(key)
    if found is None:
        return None
    account, kind, region, minute, second = found.groups()
    return Name(account, kind, region, _moment(minute or second))


@lru_cache(maxsize=4096)
def _moment(text: str) -> datetime | None:
    """The minute or second that a name bears; many files bear the same, and reading it takes longer than the rest."""
    try:
        return datetime.strptime(
            text, "%Y%m%dT%H%M%S" if len(text) == _TO_THE_SECOND else "%Y%m%dT%H%M"
        ).replace(tzinfo=UTC)
    except ValueError:
        return None


def wanted(found: Name, asked: Wanted) -> bool:
    """Whether a file may hold events that are asked for."""
    if (asked.accounts and found.account not in asked.accounts) or (
        asked.regions and found.region not in asked.regions
    ):
        return False
    if found.written is None:
        return True
    early = asked.since is not None and found.written < asked.since.replace(second=0, microsecond=0)
    return not early and (asked.until is None or found.written <= asked.until + LATE)


def step(folder: str) -> Step | None:
    """Where in the layout a folder stands that ends with `/`; `None` if below a region, or nowhere in it."""
    parts = folder.split("/")[:-1]
    if "AWSLogs" not in parts:
        return "outside"
    rest = parts[len(parts) - parts[::-1].index("AWSLogs") :]
    if rest and _ORGANISATION.fullmatch(rest[0]):
        rest = rest[1:]
        if not rest:
            return "organisation"
    if not rest:
        return "logs"
    fits = (
        _ACCOUNT.fullmatch(rest[0]) is not None
        and (len(rest) < 2 or rest[1] in (*LOGS, DIGESTS))
        and (len(rest) < 3 or _REGION.fullmatch(rest[2]) is not None)
    )
    steps: tuple[Step | None, ...] = ("account", "service", "region")
    return steps[len(rest) - 1] if fits and len(rest) <= len(steps) else None


def unwanted(parent: Step, child: str, asked: Wanted, kinds: Set[str]) -> str | None:
    """
    Why a folder within the layout is not gone into, if so; an empty reason if it was not asked for.

    Args:
        parent: What the folder lies in.
        child: Its own name.
        asked: What is wanted.
        kinds: The folders of an account that are wanted.
    """
    if parent in ("logs", "organisation"):
        if parent == "logs" and _ORGANISATION.fullmatch(child):
            return None
        if not _ACCOUNT.fullmatch(child):
            return "neither an account nor an organisation; name it to have it read"
        return "" if asked.accounts and child not in asked.accounts else None
    if parent == "account":
        if child in kinds:
            return None
        if child in LOGS:
            return ""
        return _OTHERS.get(child, "logs of another service; name it to have it read")
    return (
        ""
        if parent == "service" and asked.regions and _REGION.fullmatch(child) and child not in asked.regions
        else None
    )


def day(region_folder: str, moment: datetime) -> str:
    """The folder of a day."""
    return f"{region_folder}{moment:%Y/%m/%d}/"


def date_depth(folder: str) -> int | None:
    """How deep a folder that ends with `/` lies in a region's, which year, month and day divide; `None` if in none."""
    region = region_folder(folder)
    return None if region is None else folder.count("/") - region.count("/")


def region_folder(folder: str) -> str | None:
    """The region's folder that a folder is or lies in, if it does."""
    parts = folder.split("/")
    for end in range(len(parts), 0, -1):
        head = "/".join(parts[:end]) + "/"
        if step(head) == "region":
            return head
    return None
