"""
CloudTrail's layout of files in a bucket, and what the name of a file or folder says.

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
Files are read that were written up to this long after the wanted time: delivery takes about five minutes on average.

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
    """What the name of a file of CloudTrail's says."""

    account: str
    kind: str
    region: str
    written: datetime | None

    @property
    def other(self) -> str | None:
        """Why the file holds no events; `None` if it does, or is of an unknown kind."""
        return _OTHERS.get(self.kind)


def name(key: str) -> Name | None:
    """Read the name of a file; `None` if it is not one that CloudTrail gives."""
    found = _FILE.search(key)
    if found is None:
        return None
    account, kind, region, minute, second = found.groups()
    return Name(account, kind, region, _moment(minute or second))


@lru_cache(maxsize=4096)
def _moment(text: str) -> datetime | None:
    """The time in a name, which is cached, since many files have the same and parsing it is slow."""
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
    """The step of the layout at which a folder, with `/` at its end, is; `None` if below a region, or not in it."""
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
    Why a folder within the layout is not to be listed; `None` if it is.

    Args:
        parent: The step of the folder that it is in.
        child: Its own name.
        asked: What is wanted.
        kinds: The wanted folders of an account.

    Returns:
        The reason; empty if it is only that the folder is not wanted.
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
    """How many levels (year, month, day) a folder, with `/` at its end, is below a region's; `None` if it is not."""
    region = region_folder(folder)
    return None if region is None else folder.count("/") - region.count("/")


def region_folder(folder: str) -> str | None:
    """The region's folder that a folder is, or is in; `None` if there is none."""
    parts = folder.split("/")
    for end in range(len(parts), 0, -1):
        head = "/".join(parts[:end]) + "/"
        if step(head) == "region":
            return head
    return None
